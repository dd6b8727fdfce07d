# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes of different versions.

No daemon of another version exists yet.  For another version of the protocol a third host on the path between two daemons
puts the version into their datagrams, one more for what node 2 says, one less for what it hears; attributes of a later
version come from tests/tools/later.c, which is the protocol of this tree with flows of its own making.
"""

import socket
import threading

import pytest

import wire
from lab import wait_for
from programs import JsonLines, program

FLOWS = 50


class Relay:
    """Carries datagrams between nodes 1 and 2 from host 3; `versions` says what to add for whom each way."""

    def __init__(self, lab):
        self.lab, self.add = lab, {1: 0, 2: 0}  # by the node that receives
        self.node_at = {lab.sync_address(node): node for node in (1, 2)}
        with lab.fw[3].entered():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((lab.sync_address(3), wire.PORT))
        self.socket.settimeout(0.1)
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.ends.set()
        self.thread.join()
        self.socket.close()

    def run(self):
        while not self.ends.is_set():
            try:
                data, (source, _) = self.socket.recvfrom(65536)
                to = 3 - self.node_at[source]
                changed = bytearray(data)
                changed[wire.VERSION_AT] = (changed[wire.VERSION_AT] + self.add[to]) % 256
                self.socket.sendto(changed, (self.lab.sync_address(to), wire.PORT))
            except OSError:
                continue  # nothing came, or who it is for does not listen yet


def problems(lab, node):
    return " | ".join(lab.daemon[node].status()["problems"])


def in_step(lab):
    return lab.daemon[1].peer(2).get("in_sync") and lab.daemon[2].peer(1).get("in_sync")


def test_a_newer_and_an_older_daemon_refuse_each_other_in_words(make_lab):
    lab = make_lab(nodes=3)
    with Relay(lab) as relay:
        for node in (1, 2):
            lab.daemon[node].start(overrides={"link sync0": {"group": None, "peer": lab.sync_address(3)}})
        lab.flowgen(1, "create", "--count", 10)
        wait_for(lambda: in_step(lab) and lab.daemon[2].peer(1)["flows"] == 10,
                 what="both are in step while they speak one version")
        assert lab.daemon[2].peer(1)["flows_unreadable"] == 0
        relay.add = {1: 1, 2: -1}
        older = "node 2: speaks version 2 of the protocol, newer than ours, 1: nothing of it is taken; upgrade this node"
        newer = "node 1: speaks version 0 of the protocol, older than ours, 1: nothing of it is taken; upgrade that one"
        wait_for(lambda: older in problems(lab, 1), what="the older one names the newer one")
        wait_for(lambda: newer in problems(lab, 2), what="the newer one names the older one")
        for node in (1, 2):
            wait_for(lambda: not lab.daemon[node].peer(3 - node)["alive"], what="nothing of the other counts")
            assert not lab.daemon[node].peer(3 - node)["in_sync"]
            assert lab.daemon[node].status()["drops"]["other-version"] > 0
            text = " ".join(lab.daemon[node].twintrack("status").stdout.split())
            assert "speaks version" in text
        assert len(lab.table_flows(2, "external")) == 10  # what was held stays
        relay.add = {1: 0, 2: 0}
        wait_for(lambda: in_step(lab), what="both are in step again")


@pytest.fixture
def with_later(lab):
    """Starts node 1, and a node 2 of a later version whose flows have an attribute of that type."""
    running = []

    def start(attribute):
        lab.daemon[1].start(overrides={"link sync0": {"group": None, "peer": lab.sync_address(2)}})
        running.append(JsonLines(lab.fw[2], program("tools/later"), "--id", 2, "--key", lab.key, "--address",
                                 lab.sync_address(2), "--peer", lab.sync_address(1), "--flows", FLOWS, "--attribute",
                                 hex(attribute)))
        running[-1].wait_event("ready")
        return lab.daemon[1]

    yield start
    for later in running:
        later.close()


def test_a_skippable_attribute_of_a_later_version_passes(with_later):
    daemon = with_later(0x9a)
    wait_for(lambda: daemon.peer(2).get("in_sync"), what="node 1 proves its copy, attributes and all")
    peer = daemon.peer(2)
    assert peer["flows"] == FLOWS and peer["software"] == "later"
    assert not peer["incompatible"] and peer["flows_unreadable"] == 0 and peer["divergences"] == 0


def test_a_critical_attribute_of_a_later_version_is_counted_and_said(with_later):
    daemon = with_later(0x2a)
    wait_for(lambda: daemon.peer(2).get("incompatible"), what="node 1 meets what it does not know")
    wait_for(lambda: daemon.peer(2)["flows"] == FLOWS - FLOWS // 5, what="what it knows is here")
    peer = daemon.peer(2)
    assert peer["flows_unreadable"] == FLOWS // 5
    assert not peer["in_sync"] and not peer["holds"]["in_sync"]
    assert peer["holds"]["reason"] == "its flows have attributes that this version does not know"
    assert f"{FLOWS // 5} records so far; upgrade this node" in peer["problem"]
    assert any("upgrade this node" in text for text in daemon.status()["problems"])
    assert "upgrade this node" in " ".join(daemon.twintrack("status").stdout.split())
    assert daemon.twintrack("wait-synced", "--timeout", "1s", check=False).returncode == 1
