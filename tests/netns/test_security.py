# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has no key, or only a recording, changes nothing; each kind is counted by its cause, and status says so in words."""

import os
import struct

import pytest

from lab import Lab, wait_for
import wire

FLOWS = 50
CALM = {"sync": {"peer-timeout": "30s"}}  # so that a short silence changes nothing that is compared


@pytest.fixture
def trio(make_lab):
    """Nodes 1 (primary, with flows) and 2 (backup) in step, and a third host on the sync link without a daemon."""
    lab = make_lab(nodes=3)
    for node, role in ((1, "primary"), (2, "backup")):
        lab.daemon[node].start(overrides=CALM)
        lab.daemon[node].twintrack(role)
    lab.flowgen(1, "create", "--count", FLOWS)
    in_step(lab, FLOWS)
    return lab


def in_step(lab, flows):
    """Waits until node 2 is proven to hold exactly these flows of node 1."""
    wait_for(lambda: (peer := lab.daemon[2].peer(1)).get("in_sync") and peer["flows"] == flows and
             lab.daemon[1].peer(2).get("in_sync"), what=f"node 2 holds {flows} flows of node 1")


def known(lab, node, other):
    """What a stranger must not change."""
    status, peer = lab.daemon[node].status(), lab.daemon[node].peer(other)
    return {"role": status["role"], "term": status["term"], "session": status["session"],
            "peers": [p["node"] for p in status["peers"]], "peer_role": peer["role"], "alive": peer["alive"],
            "in_sync": peer["in_sync"], "full": peer["resyncs"]["full"], "divergences": peer["divergences"],
            "address": [link["address"] for link in peer["links"]], "external": lab.table_flows(node, "external"),
            "internal": lab.table_flows(node, "internal")}


def drops(lab, node):
    return lab.daemon[node].status()["drops"]


def wait_drops(lab, node, before, count, *causes):
    """Waits until so many datagrams more were dropped for these causes, and returns the growth of each."""
    def grown():
        now = drops(lab, node)
        growth = {cause: now[cause] - before[cause] for cause in now if now[cause] > before[cause] and cause != "own"}
        return growth if sum(growth.get(cause, 0) for cause in causes or growth) >= count else None
    return wait_for(grown, timeout=30, what=f"{count} datagrams are dropped: {before}")


def stranger(lab, node, cause, other):
    return next((s for s in lab.daemon[node].status()["strangers"] if s["cause"] == cause and s["node"] == other), None)


def page(lab, node):
    """The status page as one line, for it wraps its lines."""
    return " ".join(lab.daemon[node].twintrack("status").stdout.split())


def unseen(lab, flows):
    """Datagrams of node 1 that node 2 never got: recorded while the link was dark."""
    lab.dark()
    with wire.Recorder(lab, 1) as recorder:
        lab.flowgen(1, "create", "--first", FLOWS, "--count", flows - FLOWS)
        newest = lab.daemon[1].status()["internal"]["version"]
        sent = lab.daemon[1].status()["network"]["sent_datagrams"]
        wait_for(lambda: lab.daemon[1].status()["network"]["sent_datagrams"] > sent + 2 and
                 lab.daemon[1].status()["internal"]["flows"] == flows, what=f"data was sent, from version {newest}")
    lab.back()
    in_step(lab, flows)
    return wire.of_node(recorder.stop(), 1)


def test_a_node_with_another_key_changes_nothing_and_is_named(trio):
    other = Lab.genkey(os.path.join(trio.directory, "other"))
    before = {node: known(trio, node, 3 - node) for node in (1, 2)}
    trio.daemon[3].start(overrides=CALM, sync={"key-file": other})
    trio.daemon[3].twintrack("primary")
    trio.flowgen(3, "create", "--count", 10, "--first", 1000)
    for node in (1, 2):
        wait_for(lambda: (s := stranger(trio, node, "unknown-key", 3)) and s["count"] >= 3, what="node 3 is counted")
        assert known(trio, node, 3 - node) == before[node]
        assert drops(trio, node)["unknown-key"] >= 3 and drops(trio, node)["not-authentic"] == 0
        assert any("node 3" in text and "key" in text for text in trio.daemon[node].status()["problems"])
        assert "node 3: sends with a key that we do not have" in page(trio, node)
        assert " unknown-key" in page(trio, node)
    assert trio.daemon[3].status()["peers"] == [] and trio.table_flows(3, "external") == {}
    assert "node 1: sends with a key that we do not have" in page(trio, 3)
    assert trio.daemon[3].twintrack("wait-synced", "--timeout", "1s", check=False).returncode == 1


def test_a_bit_flipped_anywhere_is_refused_by_its_cause(trio):
    datagram = max(unseen(trio, FLOWS + 20), key=len)[:]
    before, counts = known(trio, 2, 1), drops(trio, 2)
    places = {"bad-magic": range(0, 32), "other-version": range(32, 40), "unknown-key": range(64, 96),
              "not-authentic": [*range(48, 56), *range(57, 64), *range(96, 256), *range(320, 8 * len(datagram))]}
    for cause, bits in places.items():
        for start in range(0, len(bits), 500):  # in portions that every socket buffer holds
            portion = [wire.flipped(datagram, bit) for bit in bits[start:start + 500]]
            since = drops(trio, 2)
            sent = wire.send(trio.fw[3], trio.sync_address(2), portion, source=trio.sync_address(1))
            wait_drops(trio, 2, since, sent, cause)
        assert drops(trio, 2)[cause] - counts[cause] == len(bits)
    # the cipher, node id 0, and the packet number: one that was seen, or one that does not open
    rest = [wire.flipped(datagram, bit) for bit in [*range(40, 48), 56, *range(256, 320)]]
    since = drops(trio, 2)
    wait_drops(trio, 2, since, wire.send(trio.fw[3], trio.sync_address(2), rest))
    assert known(trio, 2, 1) == before
    assert "node 1: sends datagrams that the key does not open" in page(trio, 2)
    assert stranger(trio, 2, "not-authentic", 1)["count"] >= 8 * (len(datagram) - wire.HEADER_SIZE)


def test_random_bytes_are_refused(trio):
    before, since = known(trio, 2, 1), drops(trio, 2)
    datagrams = [os.urandom(size % 1400 + 1) for size in range(0, 28000, 14)]
    for start in range(0, 2000, 500):
        portion = drops(trio, 2)
        wait_drops(trio, 2, portion, wire.send(trio.fw[3], trio.sync_address(2), datagrams[start:start + 500]))
    grown = {cause: count - since[cause] for cause, count in drops(trio, 2).items() if count > since[cause]}
    grown.pop("own", 0)
    assert set(grown) <= {"too-short", "bad-magic"} and sum(grown.values()) == 2000 and len(grown) == 2
    assert known(trio, 2, 1) == before
    assert " too-short" in page(trio, 2) and " bad-magic" in page(trio, 2)


def test_a_datagram_under_another_node_id_is_refused(trio):
    datagrams = unseen(trio, FLOWS + 5)
    before, since = known(trio, 2, 1), drops(trio, 2)
    for node in (9, 2):  # a third one's, and that of the receiver
        changed = [data[:wire.NODE_AT] + struct.pack("!H", node) + data[wire.NODE_AT + 2:] for data in datagrams]
        wait_drops(trio, 2, since, wire.send(trio.fw[3], trio.sync_address(2), changed), "not-authentic")
        assert stranger(trio, 2, "not-authentic", node)["count"] == len(datagrams)
        since = drops(trio, 2)
    assert known(trio, 2, 1) == before and not before["peers"] == [1, 9]
    assert "node 9: sends datagrams that the key does not open" in page(trio, 2)
    assert not trio.daemon[2].status()["duplicate_id"]


def test_a_recorded_session_is_never_fresh_again(trio):
    for node in (1, 2):
        trio.daemon[node].write_config(sync={"peer-timeout": "1s"})
        trio.daemon[node].twintrack("reload")
    trio.daemon[1].stop()
    with wire.Recorder(trio, 2) as recorder:  # the whole life of a session, its first datagram included
        trio.daemon[1].start()
        in_step(trio, FLOWS)
        trio.flowgen(1, "create", "--first", FLOWS, "--count", 30)
        in_step(trio, FLOWS + 30)
    recording = wire.of_node(recorder.stop(), 1)
    trio.daemon[1].kill()
    trio.flowgen(1, "destroy", "--first", 10, "--count", 30)
    trio.daemon[1].start()
    in_step(trio, FLOWS)

    def replay():
        since = drops(trio, 2)
        sent = 0
        for start in range(0, len(recording), 500):
            sent += wire.send(trio.fw[3], trio.sync_address(2), recording[start:start + 500],
                              source=trio.sync_address(1))
        return wait_drops(trio, 2, since, sent // 5)  # a candidate has the time of its challenge to be taken for live

    before = known(trio, 2, 1)
    for _ in range(3):
        assert set(replay()) <= {"not-fresh", "replayed", "too-old"}
        assert known(trio, 2, 1) == before
    assert drops(trio, 2)["not-fresh"] > 0
    assert "node 1: sends from a session that does not prove to be live: a recording" in page(trio, 2)

    trio.daemon[1].kill()
    wait_for(lambda: not trio.daemon[2].peer(1)["alive"], what="node 1 is silent")
    before = known(trio, 2, 1)
    for _ in range(3):
        assert set(replay()) <= {"not-fresh", "replayed", "too-old"}
        assert known(trio, 2, 1) == before
    assert not before["alive"] and not before["in_sync"]
    trio.daemon[1].start()
    in_step(trio, FLOWS)


def test_the_live_session_replayed_is_counted_and_named(trio):
    with wire.Recorder(trio, 2) as recorder:
        trio.flowgen(1, "create", "--first", FLOWS, "--count", 30)
        in_step(trio, FLOWS + 30)
    recording = wire.of_node(recorder.stop(), 1)
    before, since = known(trio, 2, 1), drops(trio, 2)
    wire.send(trio.fw[3], trio.sync_address(2), recording, source=trio.sync_address(1))
    wait_drops(trio, 2, since, len(recording), "replayed")
    assert known(trio, 2, 1) == before
    assert "node 1: sends datagrams that were seen before" in page(trio, 2)


def test_two_links_carry_each_datagram_twice_and_nobody_calls_it_a_replay(make_lab):
    lab = make_lab(sync_links=2)
    lab.start()
    for node in lab.nodes:
        lab.daemon[node].wait_synced(60)
    for node in lab.nodes:
        wait_for(lambda: all(link["received"] > 5 for link in lab.daemon[node].status()["peers"][0]["links"]))
        assert lab.daemon[node].status()["strangers"] == []


def test_a_second_node_of_one_id_is_ignored_and_named(trio):
    before = known(trio, 1, 2)
    trio.flowgen(3, "create", "--count", 10, "--first", 1000)
    trio.daemon[3].start(overrides=CALM, node={"id": 2})
    wait_for(lambda: trio.daemon[1].status()["drops"]["duplicate-id"] > 3, what="node 1 counts it")
    wait_for(lambda: trio.daemon[2].status()["duplicate_id"] and trio.daemon[3].status()["duplicate_id"],
             what="both of that id say so")
    assert known(trio, 1, 2) == before
    assert "two nodes have the id 2" in page(trio, 1)
    assert trio.daemon[1].peer(2)["problem"].startswith("two nodes have the id 2")
    for node in (2, 3):
        assert "another node has our id 2: set a different [node] id on one of them" in page(trio, node)
        assert [p["node"] for p in trio.daemon[node].status()["peers"]] in ([], [1])
    assert trio.daemon[3].twintrack("health", "--strict", check=False).returncode == 1
    trio.daemon[3].stop()
    in_step(trio, FLOWS)


def test_a_pair_of_one_id_applies_nothing(lab):
    for node in lab.nodes:
        lab.flowgen(node, "create", "--count", 10 * node)
    lab.start(overrides={"node": {"id": 7}})
    for node in lab.nodes:
        wait_for(lambda: lab.daemon[node].status()["duplicate_id"], what=f"node {node} says so")
        assert lab.table_flows(node, "external") == {} and lab.daemon[node].status()["peers"] == []
        assert "another node has our id 7" in page(lab, node)
        done = lab.daemon[node].twintrack("wait-synced", "--timeout", "1s", check=False)
        assert done.returncode == 1
