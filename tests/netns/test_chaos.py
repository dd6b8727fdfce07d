# SPDX-License-Identifier: GPL-2.0-or-later
"""A few random sequences of failures and switch-overs (`make chaos` runs more), and what they found, each by itself."""

import pytest

import chaos
from flows import internal_count, start_pair
from lab import wait_for
from roles import FENCE, assert_all_live, move_addresses, wait_settled

EVENTS = 10
SEEDS = [3, 5]
CONNECTIONS = 60


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_sequence_ends_in_one_primary_and_one_backup(seed):
    wrong, _, report = chaos.run_seed(seed, EVENTS)
    assert not wrong, f"{wrong}\n{report}"


def test_a_role_taken_back_over_a_dark_link_keeps_connections(lab):
    """This kernel knows the windows of an earlier time, and no peer names the flows: they are refreshed all the same."""
    start_pair(lab, FENCE)
    traffic = lab.traffic(CONNECTIONS)
    wait_settled(lab, 1)
    lab.dark()
    for to in (2, 1, 2, 1):
        traffic.mark()
        lab.daemon[3 - to].twintrack("backup")
        move_addresses(lab, to)
        lab.daemon[to].twintrack("primary")
        assert_all_live(traffic.verdict(), CONNECTIONS)
    lab.back()
    assert wait_settled(lab, 1) >= CONNECTIONS


def test_a_primary_takes_over_again_when_a_later_one_gives_way(lab):
    """VRRP tells the one nothing that was master all the time; what the other got comes, and what was closed here stays
    closed; what only fell silent here may live on there, and is taken again."""
    start_pair(lab, FENCE)
    lab.flowgen(1, "create", "--count", 1000)
    wait_settled(lab, 1)
    lab.dark()
    lab.daemon[2].twintrack("primary")
    lab.flowgen(1, "update", "--count", 150, "--tcp-state", "time_wait")
    lab.flowgen(1, "destroy", "--count", 200)
    lab.flowgen(2, "create", "--first", 90000, "--count", 100)
    wait_for(lambda: internal_count(lab, 1) == 800 and internal_count(lab, 2) == 1100, 30, "both went on")
    lab.daemon[2].twintrack("backup")
    lab.back()
    assert wait_settled(lab, 1) == 950
    assert lab.daemon[1].status()["term"] > 2
