# SPDX-License-Identifier: GPL-2.0-or-later
"""A million flows: the burst that makes them, what they occupy, and what it takes to audit, catch up and commit them.

One scenario gives all these figures, so that the million is made once for each system and repetition.
"""

import os
import time

from ground import ACTIVE, BACKUP, FLOW, Floor, Twintrack, flush, installed_systems, wait_for
from heartbeats import Watch
from measure import FLOOR, OURS, THEIRS, Figure, Spent, Target, cpu_ns, resident_bytes

FLOWS = int(os.environ.get("FLOWS", 1_000_000))
HEARTBEAT_S = 0.2
IDLE_S = 20
AUDIT_INTERVAL_S = 12  # a pass takes a quarter of it


def _figures():
    return {figure.name: figure for figure in (
        Figure("burst", "both tables equal after the burst's last create", "s", [Target(2)]),
        Figure("burst-overruns", "events lost in the burst", "overruns", [Target(0)]),
        Figure("memory-internal", "resident memory a flow, internal", "bytes", [Target(150)]),
        Figure("memory-external", "resident memory a flow, external", "bytes", [Target(150)]),
        Figure("idle", "idle daemon, all flows held, audit off; the busier node", "% of a core", [Target(0.1)]),
        Figure("audit", "CPU of an audit pass, a flow", "ns", [Target(1.5, FLOOR)]),
        Figure("heartbeat", "heartbeat late while an audit runs", "ms", [Target(5)]),
        Figure("catchup", "full catch-up of a restarted peer", "s", [Target(1, THEIRS)],
               notes=["from the start of its new process; one that was killed is silent for peer-timeout (1 s) before "
                      "a new session of its may take its place"]),
        Figure("catchup-cpu", "CPU of it, both nodes, a flow", "ns", [Target(0.7, THEIRS)]),
        Figure("commit", "commit of all flows", "s", [Target(1.3, FLOOR), Target(1 / 3, THEIRS, "<= 1/3 x conntrackd")]),
        Figure("commit-cpu", "CPU of it, a flow", "ns", [Target(1.3, FLOOR)]),
    )}


PARTS = {
    "burst": ("burst", "burst-overruns"),
    "memory": ("memory-internal", "memory-external"),
    "idle": ("idle",),
    "audit": ("audit", "heartbeat"),
    "catchup": ("catchup", "catchup-cpu"),
    "commit": ("commit", "commit-cpu"),
}


def _floor(figures, parts):
    if "idle" in parts:
        with Floor() as ground:
            figures["idle"].add(FLOOR, max(ground.heartbeats(IDLE_S)) * 100)
    if not {"audit", "commit"} & parts:
        return
    with Floor() as ground:
        made = ground.flowgen("create", "--count", FLOWS, *FLOW)
        figures["commit"].add(FLOOR, made["kernel_seconds"])
        figures["commit-cpu"].add(FLOOR, made["kernel_cpu_ns"] / FLOWS)
        figures["audit"].add(FLOOR, ground.dump()["cpu_ns"] / FLOWS)


def _fill(ground, figures):
    """The burst, and what it leaves in memory."""
    before = [resident_bytes(ground.process(node)) for node in (ACTIVE, BACKUP)]
    ground.flowgen("create", "--count", FLOWS, *FLOW)
    start = time.monotonic()
    ground.wait_equal(FLOWS)
    figures["burst"].add(ground.name, time.monotonic() - start)
    for node, name, least in zip((ACTIVE, BACKUP), ("memory-internal", "memory-external"), before):
        figures[name].add(ground.name, (resident_bytes(ground.process(node)) - least) / FLOWS)


def _idle(ground, figures):
    """One node wakes up for its own heartbeats and for those that answer them, the other once for both."""
    with Spent(ground.process(ACTIVE), ground.process(BACKUP)) as spent:
        time.sleep(IDLE_S)
    shares = [each_ns / 1e9 / spent.seconds * 100 for each_ns in spent.each_ns]
    figures["idle"].add(ground.name, max(shares))
    figures["idle"].notes.append(f"active {shares[0]:.3f} %, backup {shares[1]:.3f} %")


def _passes(ground):
    return ground.daemon[ACTIVE].status()["kernel"]["audit"]["passes"]


def _audit(ground, figures):
    """One pass, spread as a running daemon spreads it; what the daemon spends besides is small, and counted."""
    before = _passes(ground)
    with Watch(ground.space[ACTIVE]) as watch, Spent(ground.process(ACTIVE)) as spent:
        ground.set_audit_interval(f"{AUDIT_INTERVAL_S}s")
        wait_for(lambda: _passes(ground) > before, 10 * AUDIT_INTERVAL_S, "an audit pass", interval=0.2)
    ground.set_audit_interval("3600s")
    figures["audit"].add(ground.name, spent.cpu_ns / FLOWS)
    figures["heartbeat"].add(ground.name, max(0.0, watch.longest_gap_s() - HEARTBEAT_S) * 1000)


def _catch_up(ground, figures):
    ground.end(BACKUP)
    before = cpu_ns(ground.process(ACTIVE))
    start = time.monotonic()
    ground.begin_anew(BACKUP)
    ground.wait_equal(FLOWS)
    figures["catchup"].add(ground.name, time.monotonic() - start)
    spent = cpu_ns(ground.process(ACTIVE)) - before + cpu_ns(ground.process(BACKUP))
    figures["catchup-cpu"].add(ground.name, spent / FLOWS)


def _commit(ground, figures):
    """The active node dies with its kernel: that has its flows in the hash of the same host here, and would make every chain
    of NAT twice as long."""
    ground.kill(ACTIVE)
    flush(ground.space[ACTIVE])
    spent = Spent(ground.process(BACKUP))
    children = ground.children_cpu_ns(BACKUP)
    with spent:
        ground.commit()
    made = ground.flow_count(BACKUP)
    if made < FLOWS:
        figures["commit"].notes.append(f"{ground.name} committed {made:,} of {FLOWS:,}")
    figures["commit"].add(ground.name, spent.seconds)
    figures["commit-cpu"].add(ground.name, (spent.cpu_ns + ground.children_cpu_ns(BACKUP) - children) / FLOWS)


def million(runs, names):
    """burst of 1,000,000 flows, and their memory, audit, catch-up and commit"""
    parts, figures = set(names), _figures()
    for _ in range(runs):
        _floor(figures, parts)
        for system in installed_systems():
            with system() as ground:
                _fill(ground, figures)
                if system is Twintrack:
                    kernel = ground.daemon[ACTIVE].status()["kernel"]
                    figures["burst-overruns"].add(OURS, kernel["overruns"])
                    if "idle" in parts:
                        _idle(ground, figures)
                    if "audit" in parts:
                        _audit(ground, figures)
                if "catchup" in parts:
                    _catch_up(ground, figures)
                if "commit" in parts:
                    _commit(ground, figures)
    return [figures[name] for part in PARTS if part in parts for name in PARTS[part]]


BENCHES = {name: million for name in PARTS}
