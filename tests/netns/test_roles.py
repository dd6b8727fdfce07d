# SPDX-License-Identifier: GPL-2.0-or-later
"""Roles in every order: called twice, on both nodes, at once, while another runs; three nodes; active-active."""

import re
import subprocess
import threading
import time

import pytest

from flows import Stopwatch, answer, internal_count, kernel_flows_to_replicate, peer_of, start_pair
from lab import wait_for
from roles import (FENCE, assert_all_live, external_counts, move_addresses, role_of, switch_over, wait_settled)

CONNECTIONS = 200
FLOWS = 1000


def pair(lab, flows=FLOWS, overrides=FENCE):
    start_pair(lab, overrides)
    lab.flowgen(1, "create", "--count", flows)
    assert wait_settled(lab, 1) == flows


def test_primary_twice_and_backup_twice_change_nothing(lab):
    pair(lab)
    term = lab.daemon[1].status()["term"]
    assert answer(lab, 1, "primary")[0] == 0 and answer(lab, 2, "backup")[0] == 0
    assert wait_settled(lab, 1) == FLOWS
    assert lab.daemon[1].status()["term"] == term


def test_primary_on_both_is_seen_by_both_in_words(lab):
    pair(lab)
    lab.daemon[2].twintrack("primary")
    watch = Stopwatch("the second `primary`", 0.4)
    terms = {node: lab.daemon[node].status()["term"] for node in (1, 2)}

    def seen(node):
        said = " ".join(lab.daemon[node].status()["problems"])
        return "split brain" in said and all(f"(term {term})" in said for term in terms.values())

    watch.wait(lambda: seen(1) and seen(2), "split brain seen by both, with both terms")
    assert terms[1] < terms[2]
    for node in (1, 2):
        assert re.search("split.?brain", lab.daemon[node].log())
        assert answer(lab, node, "health")[0] == 0 and answer(lab, node, "health", "--strict")[0] == 1
        assert sum(kernel_flows_to_replicate(lab, node).values()) == FLOWS, "neither deletes the other's flows"
    lab.daemon[1].twintrack("backup")
    assert wait_settled(lab, 2) == FLOWS


def test_two_primaries_delete_nothing_of_each_other_s(lab):
    pair(lab)
    lab.daemon[2].twintrack("primary")
    lab.flowgen(1, "destroy", "--count", 200)
    lab.flowgen(2, "create", "--first", 90000, "--count", 100)
    wait_for(lambda: lab.daemon[2].peer(1)["flows"] == FLOWS - 200, 30, "the destruction is replicated")
    assert sum(kernel_flows_to_replicate(lab, 2).values()) == FLOWS + 100
    assert sum(kernel_flows_to_replicate(lab, 1).values()) == FLOWS - 200
    lab.daemon[1].twintrack("backup")
    assert wait_settled(lab, 2) == FLOWS - 200 + 100, "when the older one gives way, what had ended there has ended"


def test_backup_on_both_loses_nothing(lab):
    pair(lab)
    lab.daemon[1].twintrack("backup")
    lab.daemon[2].twintrack("backup")
    wait_for(lambda: lab.daemon[1].status()["handover"]["state"] == "frozen", 10, "the stream is frozen")
    assert lab.flow_count(1) >= FLOWS and external_counts(lab, 2)[1] == FLOWS
    for node in (1, 2):
        assert answer(lab, node, "health")[0] == 0, "no live primary whose copy is not proven"
    lab.daemon[1].twintrack("primary")
    assert wait_settled(lab, 1) == FLOWS
    lab.daemon[1].twintrack("backup")
    lab.daemon[2].twintrack("primary")
    assert wait_settled(lab, 2) == FLOWS


@pytest.mark.parametrize("node", [1, 2])
def test_fault_and_back(lab, node):
    pair(lab)
    lab.daemon[node].twintrack("fault")
    assert role_of(lab, node) == "fault" and lab.daemon[node].status()["fence"]["armed"]
    assert lab.daemon[3 - node].peer(node) and wait_for(lambda: lab.daemon[3 - node].peer(node)["role"] == "fault", 10)
    lab.daemon[node].twintrack("primary" if node == 1 else "backup")
    assert wait_settled(lab, 1) == FLOWS


def test_ten_transitions_in_five_seconds(lab):
    pair(lab)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    traffic.mark()
    end = time.monotonic()
    for turn in range(10):
        lab.daemon[1 + turn % 2].twintrack("backup")
        move_addresses(lab, 2 - turn % 2)
        lab.daemon[2 - turn % 2].twintrack("primary")
        end += 0.5
        time.sleep(max(0.0, end - time.monotonic()))
    assert_all_live(traffic.verdict(), CONNECTIONS)
    assert wait_settled(lab, 1) >= FLOWS + CONNECTIONS


def test_ten_requests_to_one_node_at_once_end_in_the_last(lab):
    pair(lab, 20000)
    for role in ("primary", "backup") * 4 + ("primary",):
        asked = lab.fw[2].popen(*lab.daemon[2].command(role)[4:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.03)
    asked.wait(60)
    code, said = answer(lab, 2, "backup")
    assert code == 0 and role_of(lab, 2) == "backup", said
    lab.daemon[1].twintrack("primary")
    lab.daemon[1].twintrack("backup")
    lab.daemon[1].twintrack("primary")
    assert wait_settled(lab, 1) == 20000


def test_a_backup_breaks_off_a_takeover_that_runs(lab):
    """keepalived's last word counts; each caller is told what happened, and what was committed does not stay."""
    pair(lab, 60000)
    said = {}

    def ask():
        said["primary"] = answer(lab, 2, "primary")

    asked = threading.Thread(target=ask)
    asked.start()
    wait_for(lambda: lab.flow_count(2) > 1000, 30, "the takeover is under way", interval=0.001)
    said["backup"] = answer(lab, 2, "backup")
    asked.join()
    assert said["backup"][0] == 0 and role_of(lab, 2) == "backup"
    if said["primary"][0] == 1:  # else it was done before
        assert "broken off by a newer `backup`" in said["primary"][1]
        assert wait_settled(lab, 1) == 60000
        return
    lab.daemon[1].twintrack("backup")
    lab.daemon[1].twintrack("primary")
    assert wait_settled(lab, 1) == 60000


def test_nothing_that_had_ended_is_committed(lab):
    """There, other traffic, back and there again: claims see to it that no table is committed twice."""
    pair(lab)
    switch_over(lab, 2)
    assert wait_settled(lab, 2) == FLOWS
    lab.flowgen(2, "destroy", "--count", FLOWS)
    lab.flowgen(2, "create", "--first", 50000, "--count", 300)
    assert wait_settled(lab, 2) == 300
    switch_over(lab, 1)
    assert wait_settled(lab, 1) == 300
    switch_over(lab, 2)
    assert wait_settled(lab, 2) == 300


def test_a_claimed_table_of_a_dead_node_is_not_committed_again(lab):
    pair(lab)
    lab.power_cut(1)
    lab.daemon[2].twintrack("primary")
    assert internal_count(lab, 2) == FLOWS
    lab.flowgen(2, "destroy", "--count", FLOWS)
    wait_for(lambda: internal_count(lab, 2) == 0, 30, "they have ended")
    wait_for(lambda: external_counts(lab, 2)[1] == 0, 30, "what was committed is not kept")
    lab.daemon[2].twintrack("backup")
    lab.daemon[2].twintrack("primary")
    lab.daemon[2].twintrack("commit")
    assert internal_count(lab, 2) == 0


def test_a_dead_peer_s_flows_run_out_by_the_clock_of_its_silence(lab):
    """And what has run out is not committed."""
    lab.fw[2].sysctl(net__netfilter__nf_conntrack_udp_timeout=1, net__netfilter__nf_conntrack_udp_timeout_stream=1)
    start_pair(lab, FENCE)
    lab.flowgen(1, "create", "--count", 300)
    lab.flowgen(1, "create", "--proto", "udp", "--first", 5000, "--count", 200, "--timeout", 6)
    wait_for(lambda: external_counts(lab, 2)[1] == 500, 30, "the backup holds all")
    lab.power_cut(1)
    wait_for(lambda: not lab.daemon[2].peer(1)["alive"], 30, "it is silent")
    wait_for(lambda: external_counts(lab, 2)[1] == 300, 120, "the UDP flows have run out", interval=0.5)
    lab.daemon[2].twintrack("primary")
    assert internal_count(lab, 2) == 300


def test_primary_while_catching_up_says_what_is_missing(lab):
    # without a fence nothing waits; node 2 takes node 1 for alive while its cable is pulled, so that the rest is missing
    start_pair(lab, lambda node: {"sync": {"peer-timeout": "60s"}} if node == 2 else {})
    lab.flowgen(1, "create", "--count", 30000)
    wait_settled(lab, 1, 60)
    lab.daemon[2].kill()
    lab.slow(4)
    lab.daemon[2].start()
    wait_for(lambda: 1000 < lab.daemon[2].peer(1).get("flows", 0) < 25000, 30, "it catches up", interval=0.01)
    lab.link_set(2, "sync0", "down")  # with all that is queued for it
    code, said = answer(lab, 2, "primary")
    assert code == 0 and "is still coming in" in said and "versions are missing" in said
    lab.slow(None)
    lab.link_set(2, "sync0", "up")
    lab.daemon[1].twintrack("backup")
    assert wait_settled(lab, 2) == 30000


# ---- three nodes, and two actives ----

def unicast(lab):
    def of(node):
        peers = [lab.sync_address(other) for other in lab.nodes if other != node]
        return {**FENCE, "link sync0": {"group": None, "peer": peers}}
    return of


@pytest.mark.parametrize("kind", ["multicast", "unicast"])
@pytest.mark.parametrize("heir", [2, 3])
def test_of_three_either_backup_takes_over_and_the_other_follows(make_lab, kind, heir):
    lab = make_lab(nodes=3)
    lab.vip_to(1)
    start_pair(lab, FENCE if kind == "multicast" else unicast(lab))
    lab.flowgen(1, "create", "--count", FLOWS)
    traffic = lab.traffic(CONNECTIONS)
    held = wait_settled(lab, 1)
    traffic.mark()
    lab.power_cut(1)
    lab.vip_to(heir)
    lab.daemon[heir].twintrack("primary")
    assert_all_live(traffic.verdict(), CONNECTIONS)
    third = 5 - heir
    wait_for(lambda: peer_of(lab.daemon[third].status(), heir).get("in_sync")
             and external_counts(lab, third)[1] == external_counts(lab, heir)[1] == 0, 30,
             "the other backup follows the new one, and nobody keeps what was claimed")
    assert external_counts(lab, third)[heir] == internal_count(lab, heir) >= held
    lab.daemon[heir].twintrack("backup")
    lab.daemon[third].twintrack("primary")
    wait_for(lambda: internal_count(lab, third) >= held and internal_count(lab, heir) == 0, 30, "and on to the third")


def test_a_planned_switch_over_among_three(make_lab):
    lab = make_lab(nodes=3)
    lab.vip_to(1)
    start_pair(lab, FENCE)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    for to in (2, 3, 1):
        traffic.mark()
        switch_over(lab, to)
        assert_all_live(traffic.verdict(), CONNECTIONS)
        assert wait_settled(lab, to) >= CONNECTIONS


def test_two_actives_back_each_other_up(lab):
    lab.start(node={"mode": "active-active"})
    for node in (1, 2):
        lab.daemon[node].twintrack("primary")
    for node in (1, 2):
        lab.flowgen(node, "create", "--first", node * 100000, "--count", FLOWS)
    for node in (1, 2):
        wait_for(lambda n=node: lab.daemon[n].peer(3 - n)["flows"] == FLOWS, 30, "each holds the other's")
        status = lab.daemon[node].status()
        assert not status["split_brain"] and not status["fence"]["enabled"]
        assert "split" not in " ".join(status["problems"])
    lab.power_cut(2)
    for _ in range(2):
        lab.daemon[1].twintrack("primary")
        assert internal_count(lab, 1) == 2 * FLOWS, "every `primary` commits"


def test_an_active_takes_over_the_connections_of_the_other_and_gives_them_back(lab):
    """Each forwards its own; one loses power, the other takes its addresses, until it is back."""
    lab.start(node={"mode": "active-active"})
    for node in (1, 2):
        lab.daemon[node].twintrack("primary")
    traffic = lab.traffic(CONNECTIONS)
    lab.flowgen(2, "create", "--first", 500000, "--count", FLOWS)
    wait_for(lambda: lab.daemon[2].peer(1)["flows"] >= CONNECTIONS and lab.daemon[1].peer(2)["flows"] == FLOWS
             and lab.daemon[2].peer(1)["in_sync"], 30, "each holds the other's")
    lab.power_cut(1)
    traffic.mark()
    lab.daemon[2].twintrack("primary")
    lab.vip_to(2)
    assert_all_live(traffic.verdict(), CONNECTIONS)
    lab.reboot(1)
    lab.daemon[1].start(node={"mode": "active-active"})
    wait_for(lambda: lab.daemon[1].peer(2).get("flows", 0) >= CONNECTIONS + FLOWS, 60, "it holds all when it is back")
    traffic.mark()
    lab.daemon[1].twintrack("primary")
    move_addresses(lab, 1)
    assert_all_live(traffic.verdict(), CONNECTIONS)
    for node in (1, 2):
        assert not lab.daemon[node].status()["split_brain"]
