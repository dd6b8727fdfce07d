# SPDX-License-Identifier: GPL-2.0-or-later
"""Links that lose, links of every kind, several links and several nodes: the copies are equal, and proven so."""

import pytest

from flows import (Stopwatch, all_proven, answer, assert_tables_equal, background_flowgen, exit_codes, finish_flowgen,
                   internal_count, is_proven, peer_of, start_pair)
from lab import wait_for

END_GOAL_S = 2
RETURN_GOAL_S = 5
IPV6_GROUP = "ff12::5:1"


def shuffle(lab, first=0):
    """Some work for the links: 4,000 flows, a part of them changed and a part of them gone."""
    lab.flowgen(1, "create", "--first", first, "--count", 3000)
    lab.flowgen(1, "create", "--ipv6", "--first", first, "--count", 1000)
    lab.flowgen(1, "update", "--first", first, "--count", 1000, "--mark", 7, "--tcp-state", "close_wait")
    lab.flowgen(1, "destroy", "--first", first + 500, "--count", 1000)


def assert_carries(lab, first=0):
    shuffle(lab, first)
    Stopwatch("the end", END_GOAL_S).wait(lambda: all_proven(lab), f"links: {len(lab.sync_links)}, "
                                                                   f"nodes: {len(lab.nodes)}: proven")
    assert_tables_equal(lab)


@pytest.mark.parametrize("percent", [1, 5, 20])
def test_random_loss_both_ways_is_repaired(lab, percent):
    """200,000 creates and as many destroys; 30,000 older flows and 20,000 new ones stay."""
    start_pair(lab)
    lab.flowgen(1, "create", "--count", 30000)
    wait_for(lambda: all_proven(lab), 60)
    lab.loss(percent)
    others = background_flowgen(lab, 1, "create", "--first", 100000, "--count", 20000, "--rate", 5000)
    lab.flowgen(1, "churn", "--first", 1000000, "--rate", 50000, "--seconds", 4, "--alive", 5000)
    finish_flowgen(others)
    watch = Stopwatch("the end", END_GOAL_S)
    watch.wait(lambda: all_proven(lab), f"{percent} % loss, 200,000 creates and destroys: equal and proven")
    flows = assert_tables_equal(lab)
    assert 50000 <= flows < 50020
    peer = peer_of(lab.daemon[2].status(), 1)
    assert peer["divergences"] == 0
    assert peer["resyncs"]["full"] == 1  # the first; what was lost is repaired, not sent all over
    assert peer["resyncs"]["partial"] > 0
    lost, received = peer["links"][0]["lost"], peer["links"][0]["received"]
    assert percent / 2 < 100 * lost / (lost + received) < percent * 2


def test_loss_and_churn_together_do_not_stop_the_proofs(lab):
    """While changes go on, loss or not, the commands say in sync again and again, not only after the end."""
    start_pair(lab)
    lab.loss(5)
    churn = background_flowgen(lab, 1, "churn", "--rate", 2000, "--seconds", 3, "--alive", 1000)
    code, words = answer(lab, 1, "wait-synced", "--timeout", "20s")
    assert code == 0, words
    assert churn.poll() is None
    finish_flowgen(churn)
    wait_for(lambda: all_proven(lab), 20)
    assert_tables_equal(lab)


@pytest.mark.parametrize("kind", ["ipv6 multicast", "unicast", "ipv6 unicast", "chacha20"])
def test_each_kind_of_link_carries_everything(lab, kind):
    def overrides(node):
        others = [n for n in lab.nodes if n != node]
        return {"ipv6 multicast": {"link sync0": {"group": IPV6_GROUP}},
                "unicast": {"link sync0": {"group": None, "peer": [lab.sync_address(n) for n in others]}},
                "ipv6 unicast": {"link sync0": {"group": None, "peer": [lab.sync_address6(n) for n in others]}},
                "chacha20": {"sync": {"cipher": "chacha20-poly1305"}}}[kind]

    start_pair(lab, overrides)
    assert_carries(lab)
    lab.dark()
    shuffle(lab, 10000)
    lab.back()
    watch = Stopwatch("the link's return", RETURN_GOAL_S)
    watch.wait(lambda: all_proven(lab), f"{kind}: equal and proven")
    assert_tables_equal(lab)


def test_one_of_two_links_may_go_dark_and_nobody_notices(make_lab):
    lab = make_lab(sync_links=2)
    start_pair(lab)
    assert_carries(lab)
    for link in (0, 1):
        before = peer_of(lab.daemon[2].status(), 1)
        lab.dark(link)
        assert_carries(lab, 10000 * (link + 1))
        # longer than the peer timeout: still alive, never a gap
        lab.flowgen(1, "churn", "--first", 100000, "--rate", 1000, "--seconds", 2)
        assert is_proven(lab, 1, 2) or wait_for(lambda: is_proven(lab, 1, 2), 20)
        peer = peer_of(lab.daemon[2].status(), 1)
        assert peer["alive"] and peer["resyncs"] == before["resyncs"]
        lost = [after["lost"] - first["lost"] for after, first in zip(peer["links"], before["links"])]
        assert lost[link] > 100 > lost[1 - link]
        assert exit_codes(lab, 2)["health"] == 0
        lab.back(link)
    assert "[peer-gone]" not in lab.daemon[1].log() + lab.daemon[2].log()


def test_a_pulled_cable_of_one_link_is_named_and_harmless(make_lab):
    lab = make_lab(sync_links=2)
    start_pair(lab)
    lab.link_set(1, "sync0", "down")
    wait_for(lambda: not lab.daemon[1].status()["links"][0]["up"], 30, "the daemon sees the carrier go")
    assert any("sync0" in problem for problem in lab.daemon[1].status()["problems"])
    code, words = answer(lab, 1, "health", "--strict")
    assert code == 1
    assert_carries(lab)
    lab.link_set(1, "sync0", "up")
    wait_for(lambda: lab.daemon[1].status()["links"][0]["up"], 30, "the daemon sees the carrier come")
    received = peer_of(lab.daemon[2].status(), 1)["links"][0]["received"]
    wait_for(lambda: peer_of(lab.daemon[2].status(), 1)["links"][0]["received"] > received, 30, "the link works again")
    assert_carries(lab, 10000)


def test_both_links_dark_is_an_outage_and_either_one_ends_it(make_lab):
    lab = make_lab(sync_links=2)
    start_pair(lab)
    for link in (0, 1):
        for each in (0, 1):
            lab.dark(each)
        wait_for(lambda: not peer_of(lab.daemon[2].status(), 1)["alive"], 30, "the peer is missed")
        shuffle(lab, 10000 * (link + 1))
        lab.back(link)
        watch = Stopwatch("one link's return", RETURN_GOAL_S)
        watch.wait(lambda: all_proven(lab), "both links dark: equal and proven")
        assert_tables_equal(lab)
        lab.back(1 - link)


def test_four_links_that_lose_differently_carry_all(make_lab):
    lab = make_lab(sync_links=4)
    start_pair(lab, lambda node: {
        "link sync1": {"group": "ff12::5:2"},
        "link sync2": {"group": None, "peer": lab.sync_address(3 - node, 2)},
        "link sync3": {"group": None, "peer": lab.sync_address6(3 - node, 3)}})
    for link, percent in enumerate((0, 20, 5, 1)):
        lab.loss(percent, link)
    assert_carries(lab)
    full = peer_of(lab.daemon[2].status(), 1)["resyncs"]["full"]
    for last in (3, 1):
        for link in lab.sync_links:
            lab.loss(0 if link == last else 100, link)
        assert_carries(lab, 10000 * last)
    assert peer_of(lab.daemon[2].status(), 1)["resyncs"]["full"] == full


def test_three_nodes_each_hold_the_tables_of_the_two_others(make_lab):
    lab = make_lab(nodes=3)
    start_pair(lab)
    shuffle(lab)
    lab.flowgen(2, "create", "--first", 5000, "--count", 500)
    lab.flowgen(3, "create", "--first", 9000, "--count", 700)
    watch = Stopwatch("the end", END_GOAL_S)
    watch.wait(lambda: all(all_proven(lab, node) for node in lab.nodes), "three nodes: all copies proven")
    for node in lab.nodes:
        assert_tables_equal(lab, node)
    assert answer(lab, 1, "wait-synced", "--timeout", "5s", "--peers", "2")[0] == 0

    lab.daemon[3].kill()
    shuffle(lab, 20000)
    wait_for(lambda: is_proven(lab, 1, 2), 30)
    assert_tables_equal(lab, 1, [2])
    wait_for(lambda: not peer_of(lab.daemon[1].status(), 3)["alive"], 30)
    assert answer(lab, 1, "wait-synced", "--timeout", "5s")[0] == 0
    code, words = answer(lab, 1, "wait-synced", "--timeout", "500ms", "--peers", "2")
    assert code == 1 and "node 3" in words
    assert answer(lab, 2, "health")[0] == 0
    lab.daemon[3].start()
    watch = Stopwatch("its start", RETURN_GOAL_S)
    watch.wait(lambda: all(all_proven(lab, node) for node in lab.nodes), "the third of three nodes: all copies proven")
    for node in lab.nodes:
        assert_tables_equal(lab, node)


def test_a_dark_third_node_does_not_slow_the_second(make_lab):
    """Live data waits for the slowest live peer; one that is gone is waited for no longer than its timeout."""
    lab = make_lab(nodes=3)
    start_pair(lab)
    lab.daemon[3].pause()
    lab.flowgen(1, "create", "--count", 60000)
    watch = Stopwatch("the end", END_GOAL_S)
    watch.wait(lambda: is_proven(lab, 1, 2), "60,000 flows beside a node that hangs: proven")
    assert_tables_equal(lab, 1, [2])
    assert internal_count(lab, 1) >= 60000
    lab.daemon[3].resume()
    watch = Stopwatch("its awakening", RETURN_GOAL_S)
    watch.wait(lambda: all_proven(lab), "a node that hung: equal and proven")
    assert_tables_equal(lab)
