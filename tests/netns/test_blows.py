# SPDX-License-Identifier: GPL-2.0-or-later
"""What may befall a node in the middle of each transition, and the end is the same: nothing that both had is lost.

All moments, blows and victims are `make blows`; without TWINTRACK_BLOWS=all a part of them runs, in which each moment and
each blow is met.  One pair of firewalls goes through them all, as in life: each begins where the one before has ended.
"""

import datetime
import itertools
import os
import threading
import time

import pytest

from flows import start_pair
from lab import Lab, wait_for
from roles import FENCE, assert_all_live, move_addresses, role_of, wait_settled

CONNECTIONS = 60
FLOWS = 20000
UNDER_WAY = 2000  # so many flows tell that a commit or a withdrawal has begun
DAY_S = 86400
HANG_S = 10
CONFIG = {"fence": {**FENCE["fence"], "timeout": "60s"}}  # longer than a hang


class Pair:
    """Two firewalls under traffic; `giver` is primary, and has the addresses."""

    def __init__(self):
        self.lab = Lab(own_machines=True)
        self.lab.vip_to(1)
        start_pair(self.lab, CONFIG)
        self.lab.flowgen(1, "create", "--count", FLOWS)
        self.traffic = self.lab.traffic(CONNECTIONS, duration_s=3600)
        self.giver, self.taker = 1, 2
        self.clock = {1: 0, 2: 0}
        self.held = wait_settled(self.lab, 1, 120)
        self.is_good = True

    def call(self, node, verb):
        self.lab.daemon[node].twintrack(verb)

    def ask(self, node, verb):
        """A call whose answer may be lost to a blow; returns what waits for its end."""
        asked = threading.Thread(target=self.lab.daemon[node].twintrack, args=(verb,), kwargs={"check": False})
        asked.start()
        return asked.join

    def wait_role(self, node, role):
        """Without another call: nobody repeats a notify script."""
        def reached():
            answer = self.lab.daemon[node].twintrack("status", "--json", check=False)
            return answer.returncode == 0 and role_of(self.lab, node) == role

        wait_for(reached, 60, f"node {node} is {role}")


# ---- moments: each begins a transition, strikes in the middle, ends it, and tells who is primary then ----

def taking_over(pair, strike):
    """`primary` at the taker, the giver lives and is primary."""
    end = pair.ask(pair.taker, "primary")
    wait_for(lambda: pair.lab.flow_count(pair.taker) > UNDER_WAY, 60, "the takeover is under way", interval=0.001)
    strike()
    end()
    pair.wait_role(pair.taker, "primary")
    pair.call(pair.giver, "backup")
    move_addresses(pair.lab, pair.taker)
    return pair.taker


def giving(verb):
    def moment(pair, strike):
        """Given away, and taken back when nobody took it: frozen in between, with leftovers that nobody has claimed."""
        end = pair.ask(pair.giver, verb)
        wait_for(lambda: pair.lab.daemon[pair.giver].status()["handover"]["state"] == "frozen", 60, "it is frozen")
        strike()
        end()
        pair.wait_role(pair.giver, verb)
        pair.call(pair.giver, "primary")
        return pair.giver

    moment.__name__ = f"giving_by_{verb}"
    return moment


def handing_over_backup_first(pair, strike):
    """The giver is frozen, and the taker commits."""
    pair.call(pair.giver, "backup")
    end = pair.ask(pair.taker, "primary")
    wait_for(lambda: pair.lab.flow_count(pair.taker) > UNDER_WAY, 60, "the takeover is under way", interval=0.001)
    strike()
    end()
    pair.wait_role(pair.taker, "primary")
    move_addresses(pair.lab, pair.taker)
    return pair.taker


def handing_over_primary_first(pair, strike):
    """The taker has all, and the giver withdraws its leftovers."""
    pair.call(pair.taker, "primary")
    move_addresses(pair.lab, pair.taker)
    end = pair.ask(pair.giver, "backup")
    wait_for(lambda: pair.lab.flow_count(pair.giver) < pair.held - UNDER_WAY, 60, "leftovers go", interval=0.001)
    strike()
    end()
    pair.wait_role(pair.giver, "backup")
    return pair.taker


MOMENTS = [taking_over, giving("backup"), giving("fault"), handing_over_backup_first, handing_over_primary_first]


# ---- blows: what happens at once, and what is looked at when the transition is over ----

def kill(pair, node):
    pair.lab.daemon[node].kill()
    pair.lab.daemon[node].start()
    return lambda: None


def hang(pair, node):
    pair.lab.daemon[node].pause()
    time.sleep(HANG_S)
    pair.lab.daemon[node].resume()
    return lambda: None


def full_disk(pair, node):
    """It stays full over the end of the transition, and over a crash after it."""
    daemon = pair.lab.daemon[node]
    daemon.fill_disk()

    def afterwards():
        role = role_of(pair.lab, node)
        assert os.path.getsize(f"{daemon.run_directory}/filler") > 0
        daemon.kill()
        daemon.start()
        pair.wait_role(node, role)
        assert not any("state file" in problem for problem in daemon.status()["problems"])
        daemon.free_disk()

    return afterwards


def clock_set_back(pair, node):
    """By a day, and by another one the next time."""
    daemon = pair.lab.daemon[node]
    pair.clock[node] -= DAY_S
    daemon.set_clock(pair.clock[node])

    def afterwards():
        daemon.twintrack("reload")  # so that something is logged
        stamp = daemon.log().splitlines()[-1].split()[0]
        expected = datetime.datetime.now() + datetime.timedelta(seconds=pair.clock[node])
        assert abs((datetime.date.fromisoformat(stamp) - expected.date()).days) <= 1 and stamp < str(datetime.date.today())

    return afterwards


BLOWS = [kill, hang, full_disk, clock_set_back]
ALL = list(itertools.product(MOMENTS, BLOWS, ["giver", "taker"]))
PART = [(taking_over, kill, "taker"), (giving("backup"), kill, "giver"), (giving("fault"), clock_set_back, "giver"),
        (handing_over_backup_first, kill, "giver"), (handing_over_primary_first, kill, "giver"),
        (handing_over_backup_first, hang, "taker"), (taking_over, full_disk, "taker"),
        (giving("backup"), full_disk, "giver"), (handing_over_primary_first, clock_set_back, "taker")]
CASES = ALL if os.environ.get("TWINTRACK_BLOWS") == "all" else PART


@pytest.fixture(scope="module")
def pairs():
    """The pair that all share, in a list; the next test makes another one after a failure."""
    kept = []
    yield kept
    for pair in kept:
        pair.lab.close()


@pytest.fixture
def pair(pairs):
    if pairs and not pairs[0].is_good:
        pairs.pop().lab.close()
    if not pairs:
        pairs.append(Pair())
    pairs[0].is_good = False
    return pairs[0]


@pytest.mark.parametrize("moment, blow, victim", CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_blow_in_the_middle_of_a_transition_changes_nothing_about_its_end(pair, moment, blow, victim):
    node = getattr(pair, victim)
    afterwards = []
    pair.traffic.mark()
    primary = moment(pair, lambda: afterwards.append(blow(pair, node)))
    afterwards[0]()
    assert wait_settled(pair.lab, primary, 120) >= pair.held
    assert_all_live(pair.traffic.verdict(90), CONNECTIONS)
    pair.giver, pair.taker = primary, 3 - primary
    pair.is_good = True
