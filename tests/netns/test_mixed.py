# SPDX-License-Identifier: GPL-2.0-or-later
"""Two daemons of different versions of the protocol: neither takes anything of the other, and both say who is to be upgraded.

No daemon of another version exists yet: a third host on the path between two of this one puts the version into their
datagrams, one more for what node 2 says, one less for what it hears.
"""

import socket
import threading

import wire
from lab import wait_for


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
            except OSError:
                continue
            to = 3 - self.node_at[source]
            changed = bytearray(data)
            changed[wire.VERSION_AT] = (changed[wire.VERSION_AT] + self.add[to]) % 256
            self.socket.sendto(changed, (self.lab.sync_address(to), wire.PORT))


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
        wait_for(lambda: in_step(lab), what="both are in step while they speak one version")
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
