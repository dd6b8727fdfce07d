# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes from the kernel's event at the active node to the flow in the backup's table."""

import statistics

import syscalls
from ground import BACKUP, Twintrack, installed_systems, program
from measure import Figure, Target

RATE, COUNT = 20_000, 40_000
WARM_UP = 2_000  # flows that are not counted


def _samples_us(ground):
    """Microseconds from creation to application of each flow."""
    keys = ["--key", ground.key] if isinstance(ground, Twintrack) else []
    with syscalls.Trace(ground.process(BACKUP)) as trace:
        done = ground.space[1].run(program("tools/latency"), "--there", f"/run/netns/{ground.space[BACKUP].name}",
                                   "--rate", RATE, "--count", COUNT, *keys, timeout=300)
        ground.wait_equal(COUNT)
    samples, lost = [], 0
    for line in done.stdout.splitlines()[WARM_UP:-1]:
        created, arrived = map(float, line.split())
        applied = trace.applied_us(arrived) if arrived else None
        if applied is None:
            lost += 1
        else:
            samples.append(applied - created)
    if lost > COUNT / 100:
        raise RuntimeError(f"{lost} of {COUNT} flows were not found on the link or in the trace")
    return samples


def latency(runs, _names):
    """replication latency, kernel event to applied at the peer, at 20,000 events a second"""
    median = Figure("latency", "replication latency, median", "us", [Target(200)])
    late = Figure("latency-p99", "replication latency, 99th percentile", "us", [Target(1000)])
    if not syscalls.is_there():
        median.notes.append("not measured: this kernel does not trace system calls (CONFIG_FTRACE_SYSCALLS)")
        return [median, late]
    for _ in range(runs):
        for system in installed_systems():
            with system() as ground:
                samples = _samples_us(ground)
            median.add(system.name, statistics.median(samples))
            late.add(system.name, statistics.quantiles(samples, n=100)[98])
    return [median, late]


BENCHES = {"latency": latency}
