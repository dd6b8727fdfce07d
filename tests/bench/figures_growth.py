# SPDX-License-Identifier: GPL-2.0-or-later
"""What grows with the table, and what does not: from 10,000 to 4,000,000 flows."""

import os
import statistics
import time

from ground import ACTIVE, BACKUP, FLOW, Twintrack, wait_for
from measure import OURS, Figure, Spent, Target, resident_bytes

SIZES = [int(size) for size in os.environ.get("SIZES", "10000,100000,1000000,4000000").split(",")]
RATE, COUNT = 100_000, 100_000
ROUNDS = 5  # of creates and destroys; their median counts, each has flows of its own
RUNS_EACH = 3  # of the runs asked for, one in so many: the largest table takes long to make


def _change(ground, size, first):
    """COUNT flows come and go beside so many others: CPU an event of both nodes."""
    with Spent(ground.process(ACTIVE), ground.process(BACKUP)) as spent:
        for action in ("create", "destroy"):
            ground.flowgen(action, "--first", first, "--count", COUNT, "--rate", RATE,
                           *(FLOW if action == "create" else ()))
        ground.wait_equal(size)
    return [each_ns / (2 * COUNT) for each_ns in spent.each_ns]


def _measure(size):
    """What one size comes to: name -> value."""
    with Twintrack() as ground:
        empty = [resident_bytes(ground.process(node)) for node in (ACTIVE, BACKUP)]
        ground.flowgen("create", "--count", size, *FLOW)
        ground.wait_equal(size, 300)
        memory = [resident_bytes(ground.process(node)) - least for node, least in zip((ACTIVE, BACKUP), empty)]
        wait_for(lambda: all(daemon.status()["kernel"]["audit"]["passes"] for daemon in ground.daemon.values()), 300,
                 "both nodes' first pass is over")
        rounds = [_change(ground, size, size + number * COUNT) for number in range(ROUNDS)]
        sender, receiver = (statistics.median(node_ns) for node_ns in zip(*rounds))
        daemon = ground.daemon[ACTIVE]
        start = time.monotonic()
        daemon.stop(300)
        stopped = time.monotonic()
        daemon.start()
        wait_for(lambda: _is_whole(daemon, size), 300, "the first pass is over", interval=0.01)
        return {"sender": sender, "receiver": receiver,
                "internal": memory[0] / size, "external": memory[1] / size,
                "shutdown": stopped - start, "startup": time.monotonic() - stopped}


def _is_whole(daemon, size):
    status = daemon.status()
    return status["internal"]["flows"] == size and status["kernel"]["audit"]["passes"] > 0


def _figures():
    return {
        "sender": Figure("growth-sender", "growth: sender CPU an event, largest by smallest table", "x",
                         [Target(1.5)]),
        "receiver": Figure("growth-receiver", "growth: receiver CPU an event, largest by smallest table", "x",
                           [Target(1.5)]),
        "internal": Figure("growth-internal", "growth: memory a flow, largest table by the one before", "x",
                           [Target(1.1, text="<= 1.1 x: linear")]),
        "external": Figure("growth-external", "growth: external memory a flow, likewise", "x",
                           [Target(1.1, text="<= 1.1 x: linear")]),
        "startup": Figure("growth-startup", "growth: start-up a flow, likewise", "x",
                          [Target(1.2, text="<= 1.2 x: linear")]),
        "shutdown": Figure("growth-shutdown", "growth: shutdown, seconds with the largest table", "s"),
    }


def growth(runs, _names):
    """CPU an event, memory, start-up and shutdown from 10,000 to 4,000,000 flows"""
    figures = _figures()
    for run in range(max(1, runs // RUNS_EACH)):
        taken = [_measure(size) for size in SIZES]
        for name, figure in figures.items():
            values = [one[name] for one in taken]
            if run == 0:
                figure.points = list(zip(SIZES, values))
            figure.notes = [f"{size:,} flows: {value:.3g}" for size, value in zip(SIZES, values)]
        for name in ("sender", "receiver"):
            figures[name].add(OURS, taken[-1][name] / taken[0][name])
        for name in ("internal", "external"):
            figures[name].add(OURS, taken[-1][name] / taken[-2][name])
        figures["startup"].add(OURS, taken[-1]["startup"] / SIZES[-1] / (taken[-2]["startup"] / SIZES[-2]))
        figures["shutdown"].add(OURS, taken[-1]["shutdown"])
    return list(figures.values())


BENCHES = {"growth": growth}
