# SPDX-License-Identifier: GPL-2.0-or-later
"""Outages of the sync link and of the daemons: afterwards everybody holds the same, and says so only then."""

import os

import pytest

from flows import (GOOD, Stopwatch, all_proven, answer, assert_tables_equal, background_flowgen, exit_codes,
                   finish_flowgen, internal_count, is_proven, never, peer_of, start_pair)
from lab import LAN_VIP, WAN_VIP, wait_for
from limits import HostLimits

FENCE = {"fence": {"enable": "yes", "address": [LAN_VIP, WAN_VIP]}}
RETURN_GOAL_S = 5
MANY = 300000
# where a daemon dies in the middle: SYNC_FLOWS=300000 does this at full size, too
SOME = int(os.environ.get("SYNC_FLOWS", "30000"))


@pytest.fixture
def many():
    """Room for more flows than a host's default."""
    with HostLimits(nf_conntrack_max=1000000):
        yield


def fill(lab, count):
    lab.flowgen(1, "create", "--count", count)
    wait_for(lambda: all_proven(lab), 60, "the first flows are replicated")


def change_in_the_dark(lab, count):
    """All flows end, and a third as many others begin."""
    lab.flowgen(1, "destroy", "--count", count)
    lab.flowgen(1, "create", "--first", count, "--count", count // 3)


def wait_silent(lab):
    for node in lab.nodes:
        wait_for(lambda n=node: not any(peer["alive"] for peer in lab.daemon[n].status()["peers"]), 30,
                 f"node {node} misses its peer")


def light(lab):
    lab.back()
    return Stopwatch("the link's return", RETURN_GOAL_S)


def test_after_an_outage_with_everything_changed_both_are_equal(many, lab):
    count = MANY
    start_pair(lab, FENCE)
    fill(lab, count)
    assert assert_tables_equal(lab) >= count
    lab.dark()
    change_in_the_dark(lab, count)
    watch = light(lab)
    watch.wait(lambda: all_proven(lab), f"{count:,} flows gone and {count // 3:,} new in the dark: equal and proven")
    flows = assert_tables_equal(lab)
    assert count // 3 <= flows < count // 3 + 20
    peer = peer_of(lab.daemon[2].status(), 1)
    assert peer["divergences"] == 0
    assert peer["resyncs"]["full"] <= 2
    assert exit_codes(lab, 1) == exit_codes(lab, 2) == GOOD


def test_commands_tell_the_truth_while_a_backup_hears_nobody(lab):
    start_pair(lab, FENCE)
    fill(lab, 2000)
    assert exit_codes(lab, 1) == exit_codes(lab, 2) == GOOD
    lab.dark()
    wait_silent(lab)
    lab.flowgen(1, "create", "--first", 5000, "--count", 1000)
    for node in (1, 2):
        status = lab.daemon[node].status()
        assert not peer_of(status, 3 - node)["in_sync"]
        assert "silent" in peer_of(status, 3 - node)["holds"]["reason"]
        # the last firewall may hold the address, with or without peers; that is no good state all the same
        assert answer(lab, node, "health")[0] == 0
        code, words = answer(lab, node, "health", "--strict")
        assert code == 1 and "silent" in words
        code, words = answer(lab, node, "wait-synced", "--timeout", "500ms")
        assert code == 1 and "not alive" in words
        code, words = answer(lab, node, "verify")
        assert code == 0 and f"peer {3 - node}'s copy was not compared: node {3 - node} is silent" in words
    assert peer_of(lab.daemon[2].status(), 1)["flows"] >= 2000
    light(lab).wait(lambda: all_proven(lab), "a thousand new flows proven")
    assert_tables_equal(lab)


@pytest.mark.parametrize("victim", [1, 2])
@pytest.mark.parametrize("blow", ["kill", "stop"])
def test_a_daemon_that_is_restarted_within_the_outage(many, lab, victim, blow):
    count = SOME
    start_pair(lab)
    fill(lab, count)
    lab.dark()
    lab.flowgen(1, "destroy", "--count", count // 2)
    getattr(lab.daemon[victim], blow)()
    lab.flowgen(1, "destroy", "--first", count // 2, "--count", count // 2)
    lab.flowgen(1, "create", "--first", count, "--count", count // 3)
    lab.daemon[victim].start()
    watch = light(lab)
    watch.wait(lambda: all_proven(lab), f"node {victim}: {blow} and start in the dark: equal and proven")
    assert_tables_equal(lab)
    assert lab.daemon[1].status()["role"] == "primary"  # a restart loses no role
    assert lab.daemon[2].status()["role"] == "backup"


@pytest.mark.parametrize("victim", [1, 2])
def test_a_daemon_that_is_killed_within_the_catch_up(many, lab, victim):
    count = 2 * SOME
    start_pair(lab)
    fill(lab, count)
    lab.dark()
    change_in_the_dark(lab, count)
    lab.slow(4)  # so slow that the catch-up is sure to be still at work
    lab.back()
    before = peer_of(lab.daemon[2].status(), 1)["applied"]
    wait_for(lambda: peer_of(lab.daemon[2].status(), 1)["applied"] > before, 30, "the catch-up works", interval=0.005)
    assert not is_proven(lab, 1, 2)
    lab.daemon[victim].kill()
    lab.slow(None)
    lab.daemon[victim].start()
    watch = Stopwatch("the start", RETURN_GOAL_S)
    watch.wait(lambda: all_proven(lab), f"node {victim} killed within the catch-up: equal and proven")
    assert_tables_equal(lab)


@pytest.mark.parametrize("blow", ["kill", "stop"])
def test_the_copy_at_the_backup_never_shrinks_while_the_active_daemon_restarts(many, lab, blow):
    count = SOME
    start_pair(lab)
    fill(lab, count)
    held = internal_count(lab, 1)

    def shrunk():
        flows = peer_of(lab.daemon[2].status(), 1).get("flows", 0)
        return flows if flows < held else None

    with never(shrunk, 0.01):
        getattr(lab.daemon[1], blow)()
        lab.daemon[1].start()
        watch = Stopwatch("the start", RETURN_GOAL_S)
        watch.wait(lambda: all_proven(lab), f"active daemon: {blow} and start, {count:,} flows: equal and proven")
    assert_tables_equal(lab)


def test_a_restarted_backup_says_that_it_is_not_in_sync_until_it_is(lab):
    start_pair(lab)
    fill(lab, 30000)
    lab.daemon[2].kill()
    wait_for(lambda: not peer_of(lab.daemon[1].status(), 2)["in_sync"], 30, "the active node misses its backup")
    assert answer(lab, 1, "wait-synced", "--timeout", "200ms")[0] == 1
    assert answer(lab, 2, "health")[0] == 3
    lab.slow(2)
    lab.daemon[2].start()
    wait_for(lambda: 0 < peer_of(lab.daemon[2].status(), 1).get("flows", 0) < 30000, 30, "the catch-up works",
             interval=0.005)
    code, words = answer(lab, 2, "health")
    assert code == 1, words
    assert answer(lab, 2, "wait-synced", "--timeout", "100ms")[0] == 1
    status = lab.daemon[2].status()
    assert not peer_of(status, 1)["in_sync"] and peer_of(status, 1)["resyncs"]["full_running"]
    lab.slow(None)
    Stopwatch("the line's recovery", RETURN_GOAL_S).wait(lambda: all_proven(lab), "a restarted backup: proven")
    assert answer(lab, 2, "health")[0] == 0
    assert_tables_equal(lab)


def test_changes_go_on_while_the_link_comes_and_goes(lab):
    start_pair(lab)
    fill(lab, 5000)
    churn = background_flowgen(lab, 1, "churn", "--first", 100000, "--rate", 5000, "--seconds", 4, "--alive", 2000)
    for _ in range(4):
        lab.dark()
        wait_silent(lab)
        lab.back()
        wait_for(lambda: peer_of(lab.daemon[2].status(), 1)["alive"], 30, "they hear each other")
    finish_flowgen(churn)
    Stopwatch("the end", 2).wait(lambda: all_proven(lab), "a link that came and went under 5,000 changes/s: proven")
    assert_tables_equal(lab)
