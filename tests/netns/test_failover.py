# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job: the active firewall loses power under 5,000 live connections, and no connection notices."""

import pytest

from flows import Stopwatch, start_pair
from lab import LAN_VIP, LAN_VIP6, SERVER, WAN_VIP, WAN_VIP6, Lab
from limits import HostLimits

LIVE = 5000
COMMIT_GOAL_S = 3
FENCE = {"enable": "yes", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6]}


def fail_over(lab, speaker, idle):
    """Power cut, addresses move, and only then `twintrack primary`; returns what became of the connections."""
    lab.vip_to(1)
    start_pair(lab, {"fence": FENCE})
    # hung counts as killed, but only what stays hung: ten times what a takeover may take, on a machine that may be busy
    traffic = lab.traffic(LIVE, address=SERVER, speak=speaker, duration_s=600, verdict_s=180)
    traffic.wait_ready()
    if idle:
        made = lab.flowgen(1, "create", "--count", idle, "--snat", WAN_VIP)
        assert made["done"] == idle
    lab.daemon[1].wait_synced(timeout=120)
    lab.power_cut(1)
    traffic.mark()
    lab.vip_to(2)
    watch = Stopwatch(f"the power cut with {idle:,} idle flows", COMMIT_GOAL_S)
    lab.daemon[2].twintrack("primary")
    watch.note("all is committed")
    assert "split-brain" not in lab.daemon[2].log(), "a dead primary is no rival"
    return traffic.verdict(timeout=240)


@pytest.mark.parametrize("speaker", ["server", "client", "half"])
def test_no_connection_notices(lab, speaker):
    verdict = fail_over(lab, speaker, 0)
    assert (verdict.before, verdict.killed) == (LIVE, 0), verdict


def test_no_connection_notices_with_a_million_idle_flows_behind():
    with HostLimits(nf_conntrack_max=2_500_000, nf_conntrack_buckets=1_048_576):
        with Lab() as lab:
            verdict = fail_over(lab, "server", 1_000_000)
            assert (verdict.before, verdict.killed) == (LIVE, 0), verdict
