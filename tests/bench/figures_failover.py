# SPDX-License-Identifier: GPL-2.0-or-later
"""Failover as users feel it: power cut under 5,000 live connections with a million idle flows behind."""

import os
import time

from ground import LabError, flush
from lab import LAN_VIP, LAN_VIP6, SERVER, WAN_VIP, WAN_VIP6, Lab
from measure import OURS, Figure, Target

LIVE = int(os.environ.get("LIVE", 5000))
IDLE = int(os.environ.get("FLOWS", 1_000_000))
FENCE = {"enable": "yes", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6]}
MAX_FLOWS = 6_000_000
NICE = -10
RUNS_EACH = 2  # of the runs asked for, one in so many


def _start(lab, mode):
    """Both daemons; the first is primary.  LabError where this build has no such mode."""
    lab.start({"fence": FENCE, "table": {"max-flows": MAX_FLOWS}, "commit": {"mode": mode}})
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    lab.daemon[1].wait_synced()
    for daemon in lab.daemon.values():  # as in the service files; the traffic's ends are on the same processors
        os.setpriority(os.PRIO_PROCESS, daemon.process.pid, NICE)


def _fail_over(mode):
    """What became of the connections; the addresses move before `twintrack primary`, as keepalived does it.

    The live connections are in the middle of the idle ones, so that no order of the commit favours them.
    """
    with Lab() as lab:
        lab.vip_to(1)
        _start(lab, mode)
        lab.flowgen(1, "create", "--count", IDLE // 2, "--snat", WAN_VIP)
        traffic = lab.traffic(LIVE, address=SERVER, speak="half", duration_s=600, verdict_s=60)
        lab.flowgen(1, "create", "--count", IDLE - IDLE // 2, "--first", IDLE // 2, "--snat", WAN_VIP)
        lab.daemon[1].wait_synced(timeout=120)
        time.sleep(2)  # undisturbed by what it took to make them
        lab.cables_out(1)
        lab.daemon[1].kill()  # who listens to new flows, if only in a namespace of the dead, makes the kernel build events for all
        traffic.mark(wait=False)  # its ends may be busy
        lab.vip_to(2)
        lab.daemon[2].twintrack("primary", timeout=300)
        traffic.wait_marked()
        lab.power_cut(1)  # only now: to end what runs there takes the processors longer than all of the above
        verdict = traffic.verdict(timeout=180)
        lapses = lab.daemon[2].status()["fence"]["lapses"]
        for space in lab.fw.values():
            flush(space)
        return verdict, lapses


def _runs(runs, mode, figures):
    killed, median, longest = figures
    for _ in range(max(1, runs // RUNS_EACH)):
        verdict, lapses = _fail_over(mode)
        if lapses:  # a machine that stands still for longer than [fence] timeout opens it
            killed.notes.append(f"the fence was not refreshed in time, {lapses} times: {verdict.reasons}")
        killed.add(OURS, verdict.killed + verdict.hung)
        median.add(OURS, verdict.median_wait_ms / 1000)
        longest.add(OURS, verdict.longest_wait_ms / 1000)
    return list(figures)


def failover(runs, _names):
    """power cut under 5,000 live connections, 1,000,000 idle behind, fence on, commit on failover"""
    return _runs(runs, "on-failover", (
        Figure("failover-killed", "failover: connections killed", "of 5,000", [Target(0)]),
        Figure("failover-median", "failover: median wait", "s", [Target(1.7)]),
        Figure("failover-longest", "failover: longest wait", "s", [Target(3)])))


def failover_warm(runs, _names):
    """the same, warm: the peer's flows are in the kernel already"""
    figures = (Figure("warm-killed", "warm failover: connections killed", "of 5,000", [Target(0)]),
               Figure("warm-median", "warm failover: median wait", "s"),
               Figure("warm-longest", "warm failover: longest wait", "s", [Target(0.5)]))
    try:
        return _runs(runs, "warm", figures)
    except LabError as error:
        figures[0].notes.append(f"not measured: {str(error).splitlines()[0]}")
        return list(figures)


BENCHES = {"failover": failover, "failover-warm": failover_warm}
