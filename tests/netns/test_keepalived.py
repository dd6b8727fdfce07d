# SPDX-License-Identifier: GPL-2.0-or-later
"""Twintrack under real keepalived, with the shipped sample configuration and notify script."""

import time

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


def test_a_node_that_is_catching_up_preempts_when_it_is_proven_and_not_before(pair):
    """Firewall 1 is preferred, is back, hears everybody, and gets none of the flows: what is longer than a heartbeat is lost."""
    traffic = pair.lab.traffic(CONNECTIONS)
    pair.wait_synced(1)
    pair.lab.power_cut(1)
    pair.wait_primary(2)
    pair.keepalived[1].close()
    pair.lab.reboot(1)
    pair.lab.fw[1].nft("table inet narrow {\nchain c {\ntype filter hook input priority -400\n"
                       "iifname \"sync0\" udp dport 9788 meta length > 700 counter drop\n}\n}\n")
    pair.start(1)
    daemon = pair.lab.daemon[1]
    wait_for(lambda: pair.keepalived[1].check_state() == "failed", timeout=60, what="its health check has failed")
    for _ in range(20):  # long after it would have taken over (3 adverts)
        assert daemon.twintrack("health", check=False).returncode == 1
        assert not holds_address(pair.lab, 1) and is_primary(pair.lab, 2)
        time.sleep(0.5)
    traffic.mark()
    pair.lab.fw[1].run("nft", "delete", "table", "inet", "narrow")
    pair.wait_primary(1)
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
