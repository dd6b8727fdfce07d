# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures: what one is, how processes are measured, and what many repetitions come to.

Everything is measured in pairs: floor, Twintrack and conntrackd take turns within one repetition, and a ratio is
formed within it.  So what the machine does meanwhile (its clock, its neighbours) hits both sides alike.
"""

import os
import statistics
import time
from dataclasses import dataclass, field

FLOOR, OURS, THEIRS = "floor", "twintrack", "conntrackd"


def cpu_ns(pid):
    """What all threads of a process have spent on a processor, kernel time included (exact, not ticks)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


class Spent:
    """CPU and wall time of processes between the beginning of a block and its end: .cpu_ns, .seconds."""

    def __init__(self, *pids):
        self.pids = pids
        self.cpu_ns = self.seconds = 0

    def __enter__(self):
        self._cpu = [cpu_ns(pid) for pid in self.pids]
        self._start = time.monotonic()
        return self

    def __exit__(self, *exc):
        self.seconds = time.monotonic() - self._start
        self.each_ns = [cpu_ns(pid) - before for pid, before in zip(self.pids, self._cpu)]
        self.cpu_ns = sum(self.each_ns)


@dataclass
class Target:
    """A limit for a figure: on the value itself, or on the ratio to another system's."""

    limit: float
    to: str = None       # FLOOR or THEIRS: the ratio's other side; None: the value
    text: str = ""
    least: bool = False  # the value must not be below it, instead of above

    def describe(self, unit):
        if self.text:
            return self.text
        if self.least:
            return f">= {self.limit:,g} {unit}"
        if self.to:
            return f"<= {self.limit:g} x {self.to}"
        return f"<= {self.limit:g} {unit}"


@dataclass
class Figure:
    """One line of the table.  samples: system -> a value for each repetition (all of one length)."""

    name: str
    title: str
    unit: str
    targets: list = field(default_factory=list)
    samples: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    points: list = field(default_factory=list)  # for a curve: (x, value)

    def add(self, system, value):
        self.samples.setdefault(system, []).append(value)

    def median(self, system):
        values = self.samples.get(system)
        return statistics.median(values) if values else None

    def spread(self, system):
        """Least and greatest."""
        values = self.samples.get(system)
        return (min(values), max(values)) if values else None

    def ratio(self, to, system=OURS):
        """The median of the ratios within each repetition; None where one side is missing."""
        ours, other = self.samples.get(system, []), self.samples.get(to, [])
        ratios = [a / b for a, b in zip(ours, other) if b]
        return statistics.median(ratios) if ratios else None

    def judge(self, target):
        """True, False, or None: could not be measured here."""
        value = self.ratio(target.to) if target.to else self.median(OURS)
        if value is None:
            return None
        return value >= target.limit if target.least else value <= target.limit

    def as_json(self):
        return {
            "name": self.name, "title": self.title, "unit": self.unit, "samples": self.samples,
            "points": self.points, "notes": self.notes,
            "median": {system: self.median(system) for system in self.samples},
            "ratio": {to: self.ratio(to) for to in (FLOOR, THEIRS)},
            "targets": [{"limit": t.limit, "to": t.to, "text": t.describe(self.unit), "holds": self.judge(t)}
                        for t in self.targets],
        }
