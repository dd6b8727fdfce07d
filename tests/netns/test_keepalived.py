# SPDX-License-Identifier: GPL-2.0-or-later
"""Twintrack under real keepalived, with the shipped sample configuration and notify script."""

import pytest

from lab import LAN_VIP, LAN_VIP6, WAN_VIP, WAN_VIP6, Lab, wait_for
from vrrp import Keepalived

CONNECTIONS = 500
FENCE = {"enable": "yes", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6]}


def holds_address(lab, node):
    """The virtual addresses of both sides are at this node."""
    shown = lab.fw[node].run("ip", "-o", "addr", "show").stdout
    return all(f" {address}/" in shown for address in (LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6))


def is_primary(lab, node):
    return holds_address(lab, node) and lab.daemon[node].status()["role"] == "primary"


class Pair:
    """Two firewalls, each with twintrackd and keepalived, firewall 1 preferred."""

    def __init__(self, lab):
        self.lab = lab
        self.keepalived = {}
        for node in lab.nodes:
            lab.daemon[node].write_config(fence=FENCE)
        for node in lab.nodes:
            self.start(node)

    def start(self, node):
        self.lab.daemon[node].start(fence=FENCE)
        self.keepalived[node] = Keepalived(self.lab, node).start()

    def wait_primary(self, node):
        wait_for(lambda: is_primary(self.lab, node), 120, f"firewall {node} is primary and holds the addresses")

    def wait_settled(self, node):
        """Both may be masters for a moment when both start at once: wait until the other has given way."""
        def settled():
            return is_primary(self.lab, node) and all(
                self.lab.daemon[other].status()["role"] == "backup" and not holds_address(self.lab, other)
                for other in self.lab.nodes if other != node)
        wait_for(settled, 120, f"firewall {node}, and it alone, is primary and holds the addresses")

    def wait_synced(self, node):
        self.lab.daemon[node].wait_synced(timeout=120)

    def close(self):
        for keepalived in self.keepalived.values():
            keepalived.close()

    def logs(self):
        return "".join(f"--- keepalived {node} ---\n{keepalived.log()}{keepalived.calls()}"
                       for node, keepalived in self.keepalived.items())


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
