# SPDX-License-Identifier: GPL-2.0-or-later
"""Restarts and reboots, of either node and in the middle of a takeover: none of them costs a flow anywhere."""

import os
import subprocess

import pytest

from flows import internal_count, kernel_flows_to_replicate, never, peer_of, start_pair
from lab import wait_for
from roles import FENCE, assert_all_live, external_counts, role_of, switch_over, wait_settled

CONNECTIONS = 300
FLOWS = 5000


def pair(lab, flows=FLOWS):
    start_pair(lab, FENCE)
    lab.flowgen(1, "create", "--count", flows)


def drops(lab, node):
    """Packets that the fence of a node holds back are no connection's while its daemon is primary."""
    fence = lab.daemon[node].status()["fence"]
    return fence.get("virtual_packets", 0) + fence.get("forward_packets", 0)


@pytest.mark.parametrize("blow", ["stop", "kill"])
def test_a_restart_of_the_active_daemon_is_noticed_by_no_packet(lab, blow):
    pair(lab)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    term, held = lab.daemon[1].status()["term"], internal_count(lab, 1)

    def shrunk():
        flows = peer_of(lab.daemon[2].status(), 1).get("flows", 0)
        return flows if flows < held else None

    traffic.mark()
    pinger = lab.client.popen("ping", "-n", "-q", "-i", "0.05", "-c", "60", "198.51.100.2", stdout=subprocess.PIPE, text=True)
    with never(shrunk, 0.02):
        getattr(lab.daemon[1], blow)()
        lab.daemon[1].start()
        assert role_of(lab, 1) == "primary"
        lab.daemon[1].wait_synced(60)
    assert ", 0% packet loss" in pinger.communicate(timeout=60)[0]
    assert_all_live(traffic.verdict(), CONNECTIONS)
    assert traffic.summary().longest_wait_ms < 1000, "nothing waited for a retransmission"
    assert lab.daemon[1].status()["term"] == term, "it goes on; that is no takeover"
    assert drops(lab, 1) == 0
    assert wait_settled(lab, 1) >= FLOWS + CONNECTIONS


def test_a_rebooted_active_node_s_flows_are_still_committed(lab):
    """It is back, empty, before anyone promoted the backup: what the backup held is the only copy."""
    pair(lab)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    held = internal_count(lab, 1)
    traffic.mark()
    lab.power_cut(1)
    lab.reboot(1)
    lab.daemon[1].start(overrides=FENCE)
    lab.daemon[1].twintrack("backup")
    wait_for(lambda: lab.daemon[2].peer(1).get("orphans"), 60, "what was held for node 1 is an orphan now")
    assert external_counts(lab, 2)[1] >= held
    assert "from before it rebooted" in lab.daemon[2].twintrack("status").stdout
    lab.vip_to(2)
    lab.daemon[2].twintrack("primary")
    assert_all_live(traffic.verdict(), CONNECTIONS)
    assert wait_settled(lab, 2) >= held
    wait_for(lambda: not lab.daemon[2].peer(1)["orphans"], 30, "what was committed is not kept to be committed again")


def test_a_rebooted_node_that_preempts_at_once_costs_nothing(lab):
    """It was the active one, the other took over; it returns with the higher priority, while it is catching up."""
    pair(lab, 30000)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    traffic.mark()
    lab.power_cut(1)
    lab.vip_to(2)
    lab.daemon[2].twintrack("primary")
    assert_all_live(traffic.verdict(), CONNECTIONS)
    lab.reboot(1)
    lab.slow(20)  # so that it is sure to be still catching up
    lab.daemon[1].start(overrides=FENCE)
    traffic.mark()
    lab.daemon[1].twintrack("backup")
    switch_over(lab, 1, ("move", "primary", "backup"))
    lab.slow(None)
    assert_all_live(traffic.verdict(), CONNECTIONS)
    assert wait_settled(lab, 1, 60) >= 30000 + CONNECTIONS


def test_an_empty_reboot_that_is_told_primary_with_the_backup_idle(lab):
    """VRRP gives the address back to the rebooted node, and the backup was never promoted: its orphan must not be lost."""
    pair(lab)
    held = internal_count(lab, 1)
    wait_settled(lab, 1)
    lab.power_cut(1)
    lab.reboot(1)
    lab.daemon[1].start(overrides=FENCE)
    lab.daemon[1].twintrack("primary")
    lab.daemon[1].wait_synced(60)
    assert role_of(lab, 2) == "backup" and external_counts(lab, 2)[1] >= held
    switch_over(lab, 2)
    assert wait_settled(lab, 2) >= held


@pytest.mark.parametrize("wanted", ["primary", "backup"])
def test_a_role_asked_for_while_the_daemon_was_down(lab, wanted):
    pair(lab)
    wait_settled(lab, 1)
    held = internal_count(lab, 1)
    lab.daemon[2].kill()
    assert lab.daemon[2].twintrack(wanted, check=False).returncode == 3
    lab.daemon[2].start()
    wait_for(lambda: role_of(lab, 2) == wanted, 30, f"node 2 is {wanted}")
    if wanted == "backup":
        assert wait_settled(lab, 1) == held
        return
    assert sum(kernel_flows_to_replicate(lab, 2).values()) == held, "it committed before it became primary"
    lab.daemon[1].twintrack("backup")
    assert wait_settled(lab, 2) == held


def test_backup_asked_for_while_the_active_daemon_was_down(lab):
    """Its kernel's flows are leftovers when it starts: handed over, then removed."""
    pair(lab)
    wait_settled(lab, 1)
    held = internal_count(lab, 1)
    lab.daemon[1].kill()
    assert lab.daemon[1].twintrack("backup", check=False).returncode == 3
    lab.daemon[2].twintrack("primary")
    lab.daemon[1].start()
    assert role_of(lab, 1) == "backup"
    assert wait_settled(lab, 2) == held


@pytest.mark.parametrize("blow", ["kill", "pause"])
@pytest.mark.parametrize("victim", [1, 2])
def test_a_blow_in_the_middle_of_a_takeover(lab, blow, victim):
    pair(lab, 60000)
    wait_settled(lab, 1)
    taker = lab.daemon[2]
    asked = lab.fw[2].popen(*taker.command("primary")[4:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: lab.flow_count(2) > 2000, 30, "the takeover is under way", interval=0.001)
    getattr(lab.daemon[victim], blow)()
    if blow == "kill":
        lab.daemon[victim].start()
    else:
        wait_for(lambda: not lab.daemon[3 - victim].peer(victim)["alive"], 30, "the other misses it")
        lab.daemon[victim].resume()
    asked.wait(60)
    lab.daemon[1].twintrack("backup")
    assert wait_settled(lab, 2) == 60000


def test_a_full_disk_under_the_state_file_holds_up_nothing(lab):
    pair(lab, 500)
    wait_settled(lab, 1)
    directory = lab.daemon[2].directory
    lab.daemon[2].kill()
    # a file system that is full from the start, under the socket and the state file alone
    small = os.path.join(directory, "small")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "tmpfs", small], check=True)
    try:
        lab.daemon[2].socket = os.path.join(small, "s")
        with open(os.path.join(small, "filler"), "wb") as file:
            file.write(b"x" * 4096)
        lab.daemon[2].start(overrides={**FENCE, "control": {"socket": lab.daemon[2].socket}})
        lab.daemon[2].twintrack("backup", check=False)
        wait_for(lambda: lab.daemon[2].peer(1).get("flows") == 500, 30, "the copy is there")
        lab.daemon[1].twintrack("backup")
        assert lab.daemon[2].twintrack("primary", check=False).returncode == 0
        assert wait_settled(lab, 2) == 500
        assert any("state file can't be written" in text for text in lab.daemon[2].status()["problems"])
        assert "can't write" in lab.daemon[2].log()
    finally:
        lab.daemon[2].kill()
        subprocess.run(["umount", "-l", small], check=False)


def test_a_clock_set_back_by_a_day_changes_nothing():
    """No part of the daemon reads the wall clock but the log's stamps."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = subprocess.run(["grep", "-rlE", r"CLOCK_REALTIME|\bgettimeofday\(|\btime\(NULL\)", "--include=*.[ch]",
                            os.path.join(root, "proto"), os.path.join(root, "syncd", "daemon"),
                            os.path.join(root, "syncd", "kernel")], capture_output=True, text=True, check=False)
    assert [os.path.basename(path) for path in found.stdout.split()] == ["log.c"]
