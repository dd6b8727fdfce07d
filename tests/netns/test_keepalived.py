# SPDX-License-Identifier: GPL-2.0-or-later
"""Twintrack under real keepalived, with the shipped sample configuration and notify script."""

import pytest

from lab import Lab, wait_for
from vrrp import Pair, holds_address, is_primary

CONNECTIONS = 500


@pytest.fixture
def pair():
    """keepalived has settled, firewall 1 works, and its flows are at firewall 2."""
    with Lab() as lab:
        built = Pair(lab)
        try:
            built.wait_settled(1)
            yield built
        finally:
            print(built.logs() + lab.logs())  # pytest shows it when the test failed
            built.close()


def assert_all_live(traffic):
    verdict = traffic.verdict(timeout=60)
    assert (verdict.before, verdict.killed) == (CONNECTIONS, 0), verdict


def test_a_pulled_cable_and_its_return_kill_no_connection(pair):
    traffic = pair.lab.traffic(CONNECTIONS)
    pair.wait_synced(1)
    pair.lab.link_set(1, "lan0", "down")
    traffic.mark()
    pair.wait_primary(2)
    assert_all_live(traffic)
    wait_for(lambda: pair.lab.daemon[1].status()["role"] == "fault", what="firewall 1 knows that it is at fault")

    pair.lab.link_set(1, "lan0", "up")
    pair.wait_primary(1)  # its health says that it holds everything, and it has the higher priority
    traffic.mark()
    assert_all_live(traffic)
    wait_for(lambda: pair.lab.daemon[2].status()["role"] == "backup", what="firewall 2 is the backup again")


def test_a_power_cut_and_the_machine_that_comes_back_kill_no_connection(pair):
    traffic = pair.lab.traffic(CONNECTIONS)
    pair.wait_synced(1)
    pair.lab.power_cut(1)
    traffic.mark()
    pair.wait_primary(2)
    assert_all_live(traffic)

    pair.keepalived[1].close()
    pair.lab.reboot(1)
    pair.start(1)
    pair.wait_primary(1)
    traffic.mark()
    assert_all_live(traffic)


def test_a_stopped_keepalived_makes_the_node_a_backup(pair):
    traffic = pair.lab.traffic(CONNECTIONS)
    pair.wait_synced(1)
    pair.keepalived[1].stop()
    traffic.mark()
    pair.wait_primary(2)
    assert_all_live(traffic)
    assert "notify" in pair.keepalived[1].calls()
    wait_for(lambda: pair.lab.daemon[1].status()["role"] == "backup", what="firewall 1 gave its role away")


def test_a_stopped_daemon_does_not_take_the_addresses_from_the_last_firewall(pair):
    pair.keepalived[2].stop()
    pair.lab.daemon[2].stop()
    pair.lab.daemon[1].stop()
    pair.lab.daemon[1].start()
    wait_for(lambda: is_primary(pair.lab, 1), 60, "the daemon resumes the role it had")
    assert holds_address(pair.lab, 1)
