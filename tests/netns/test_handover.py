# SPDX-License-Identifier: GPL-2.0-or-later
"""Planned switch-overs: whatever the order and the time between, nothing in flight is lost, and nothing is left behind."""

import threading
import time

import pytest

from flows import background_flowgen, finish_flowgen, start_pair
from lab import wait_for
from roles import FENCE, assert_all_live, move_addresses, role_of, switch_over, wait_settled

CONNECTIONS = 300
ORDERS = [("backup", "move", "primary"), ("backup", "primary", "move"), ("primary", "backup", "move"),
          ("move", "primary", "backup"), ("primary", "move", "backup")]


def pair(lab, overrides=FENCE):
    start_pair(lab, overrides)
    return lab


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_a_switch_over_there_and_back_costs_no_connection(lab, order):
    pair(lab)
    traffic = lab.traffic(CONNECTIONS)
    lab.flowgen(1, "create", "--count", 2000)
    wait_settled(lab, 1)
    traffic.mark()
    switch_over(lab, 2, order)
    assert_all_live(traffic.verdict(), CONNECTIONS)
    assert wait_settled(lab, 2) >= CONNECTIONS + 2000
    traffic.mark()
    switch_over(lab, 1, order)
    assert_all_live(traffic.verdict(), CONNECTIONS)
    assert wait_settled(lab, 1) >= CONNECTIONS + 2000


@pytest.mark.parametrize("first", ["backup", "primary"])
def test_seconds_may_lie_between_the_two_halves(lab, first):
    """What the old primary sees meanwhile gets to the new one, too."""
    pair(lab)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    traffic.mark()
    if first == "primary":
        lab.daemon[2].twintrack("primary")
        lab.flowgen(1, "create", "--first", 70000, "--count", 500)
        time.sleep(2)  # the length of the pause is what is tested
        lab.daemon[1].twintrack("backup")
        move_addresses(lab, 2)
    else:
        lab.daemon[1].twintrack("backup")
        lab.vip_from(1)
        time.sleep(2)
        lab.vip_to(2)
        lab.daemon[2].twintrack("primary")
    assert_all_live(traffic.verdict(), CONNECTIONS)
    flows = wait_settled(lab, 2)
    assert flows >= CONNECTIONS + (500 if first == "primary" else 0)


def test_both_halves_at_once(lab):
    pair(lab)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    for to in (2, 1, 2):
        traffic.mark()
        halves = [threading.Thread(target=lab.daemon[to].twintrack, args=("primary",)),
                  threading.Thread(target=lab.daemon[3 - to].twintrack, args=("backup",)),
                  threading.Thread(target=move_addresses, args=(lab, to))]
        for half in halves:
            half.start()
        for half in halves:
            half.join()
        assert_all_live(traffic.verdict(), CONNECTIONS)
        wait_settled(lab, to)


def test_what_begins_and_ends_at_the_old_primary_is_followed(lab):
    """Changes go on there while the other has taken over already, until it gives the role away."""
    pair(lab)
    lab.flowgen(1, "create", "--count", 3000)
    wait_settled(lab, 1)
    churn = background_flowgen(lab, 1, "churn", "--first", 100000, "--rate", 2000, "--seconds", 3, "--alive", 500)
    wait_for(lambda: lab.daemon[2].peer(1)["flows"] > 3000, 30, "the churn is seen")
    lab.daemon[2].twintrack("primary")
    finish_flowgen(churn)
    lab.flowgen(1, "destroy", "--count", 1000)
    lab.daemon[1].twintrack("backup")
    flows = wait_settled(lab, 2)
    status = lab.daemon[2].status()["handover"]
    assert status["followed"] > 0 and status["follow_lost"] == 0
    assert status["follow_deleted"] >= 1000 and status["follow_touched"] == 0
    claims = {claim["node"]: claim for claim in status["claims"]}
    assert not claims[1]["followed"] and claims[1]["version"] >= 3000
    assert claims[1]["session"] == lab.daemon[1].status()["session"]
    assert lab.daemon[1].status()["handover"]["withdrawn"] >= 2000
    assert lab.daemon[1].status()["wanted_role"] == "backup"
    assert 2000 <= flows <= 2500, "what had ended is gone here, what was left is here"


def test_a_takeover_under_way_takes_in_what_still_changes(lab):
    pair(lab)
    lab.flowgen(1, "create", "--count", 60000)
    wait_settled(lab, 1)
    churn = background_flowgen(lab, 1, "churn", "--first", 200000, "--rate", 5000, "--seconds", 2, "--alive", 1000)
    wait_for(lambda: lab.daemon[2].peer(1)["flows"] > 60000, 30, "the churn is seen")
    answer = threading.Thread(target=lab.daemon[2].twintrack, args=("primary",))
    answer.start()
    finish_flowgen(churn)
    answer.join()
    lab.daemon[1].twintrack("backup")
    assert 60000 <= wait_settled(lab, 2) <= 61010


def test_leftovers_wait_for_a_primary_that_holds_them(lab):
    """Frozen: the old primary's kernel keeps its flows as long as nobody else has them."""
    pair(lab)
    lab.flowgen(1, "create", "--count", 1000)
    wait_settled(lab, 1)
    lab.daemon[2].kill()
    lab.daemon[1].twintrack("backup")
    handover = lab.daemon[1].status()["handover"]
    assert (handover["state"], handover["leftovers"]) == ("frozen", True) and handover["v_end"] >= 1000
    assert "our stream ends at version" in lab.daemon[1].twintrack("status").stdout
    lab.daemon[2].start()
    wait_for(lambda: lab.daemon[2].peer(1).get("flows") == 1000, 30, "the copy is there again")
    assert lab.flow_count(1) >= 1000 and role_of(lab, 2) == "backup"
    lab.daemon[2].twintrack("primary")
    assert wait_settled(lab, 2) == 1000
    assert "1000 flows that the new primary holds are deleted here" in lab.daemon[1].log()


def test_a_role_given_away_and_taken_back_leaves_all_as_it_was(lab):
    pair(lab)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    traffic.mark()
    lab.daemon[1].twintrack("backup")
    lab.daemon[1].twintrack("primary")
    assert_all_live(traffic.verdict(), CONNECTIONS)
    assert wait_settled(lab, 1) >= CONNECTIONS


def test_a_flow_of_the_backup_s_own_stays(lab):
    """The sweep of leftovers is not for what the host itself speaks."""
    pair(lab)
    lab.flowgen(1, "create", "--count", 100)
    wait_settled(lab, 1)
    lab.server.run("ping", "-n", "-c", "1", "-W", "2", "198.51.100.11")
    own = lab.fw[1].run("conntrack", "-L", "-p", "icmp").stdout
    assert "198.51.100.11" in own
    switch_over(lab, 2)
    wait_settled(lab, 2)
    assert "198.51.100.11" in lab.fw[1].run("conntrack", "-L", "-p", "icmp").stdout
