# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters: what is replicated, by which key, and that a reload makes the peers' tables follow."""

import re

from flows import internal_count, start_pair
from lab import wait_for
from roles import PATIENCE_S

TCP = ("-p", "tcp", "-s", "192.168.10.2", "-d", "198.51.100.2", "--dport", "80", "-t", "600")
UDP = ("-p", "udp", "-s", "192.168.10.3", "-d", "198.51.100.3", "--dport", "53", "-t", "600")
UDP6 = ("-p", "udp", "-s", "fd00:10::3", "-d", "fd00:20::3", "--dport", "53", "-t", "600")
ESTABLISHED = ("--state", "ESTABLISHED", "-u", "SEEN_REPLY,ASSURED")


def insert(lab, *words):
    lab.fw[1].run("conntrack", "-I", *words)


def make_flows(lab):
    """One of each kind, known by its source port."""
    insert(lab, *TCP, "--sport", 1, *ESTABLISHED)
    insert(lab, *TCP, "--sport", 2, "--state", "SYN_SENT")
    insert(lab, *TCP, "--sport", 3, *ESTABLISHED, "--mark", "7")
    insert(lab, *TCP, "--sport", 4, *ESTABLISHED, "--zone", "5")
    insert(lab, *UDP, "--sport", 5)
    insert(lab, *UDP6, "--sport", 6)


def held(lab, node=2):
    """The source ports of the flows that the other node holds for node 1."""
    text = lab.daemon[node].twintrack("-L", "external").stdout
    return {int(found) for found in re.findall(r" sport=(\d+) dport=\d+ .*?src=", text)}


def filters(lab, **keys):
    """Node 1 has these from now on."""
    lab.daemon[1].write_config(filter={key.replace("_", "-"): value for key, value in keys.items()})
    lab.daemon[1].twintrack("reload")


def wait_held(lab, ports):
    def is_so():
        return held(lab) == ports

    try:
        wait_for(is_so, PATIENCE_S, "the peer holds just these", interval=0.1)
    except Exception:
        print(f"held {held(lab)}, wanted {ports}")
        raise


def assert_equal(lab):
    lab.daemon[1].wait_synced()
    assert lab.daemon[1].twintrack("verify", check=False).returncode == 0


ALL = {1, 2, 3, 4, 5, 6}
CASES = [
    ({"protocols": "tcp"}, {1, 2, 3, 4}),
    ({"ignore_protocols": "tcp"}, {5, 6}),
    ({"accept_address": ["192.168.10.3", "fd00:20::/64"]}, {5, 6}),
    ({"ignore_address": ["192.168.10.2/32", "fd00:10::3"]}, {5}),
    ({"tcp_states": "established"}, {1, 3, 4, 5, 6}),
    ({"ignore_tcp_states": "established"}, {2, 5, 6}),
    ({"accept_zone": "5"}, {4}),
    ({"ignore_zone": "5"}, ALL - {4}),
    ({"accept_mark": "3/3"}, {3}),
    ({"ignore_mark": "7"}, ALL - {3}),
    ({"protocols": "tcp", "tcp_states": "established", "accept_mark": "0", "ignore_zone": "5"}, {1}),
]


def test_each_filter_holds_for_what_was_there_and_for_what_comes(lab):
    """By a reload: what no longer passes leaves the peer's table, what now passes arrives; events go by the same."""
    start_pair(lab)
    make_flows(lab)
    wait_held(lab, ALL)
    for keys, ports in CASES:
        filters(lab, **keys)
        wait_held(lab, ports)
    assert_equal(lab)
    # and now the events: none of it is there when the filter begins to hold
    for keys, ports in CASES[:1] + CASES[4:5] + CASES[8:9]:
        lab.fw[1].run("conntrack", "-F")
        filters(lab, **keys)
        wait_held(lab, set())
        make_flows(lab)
        wait_held(lab, ports)
    assert_equal(lab)
    filters(lab)
    wait_held(lab, ALL)


def test_a_flow_enters_when_it_begins_to_match_and_leaves_when_it_ends_to(lab):
    start_pair(lab, {"filter": {"tcp-states": "established", "ignore-mark": "9"}})
    insert(lab, *TCP, "--sport", 1, "--state", "SYN_SENT")
    insert(lab, *UDP, "--sport", 5)
    wait_held(lab, {5})
    key = ("-p", "tcp", "-s", "192.168.10.2", "-d", "198.51.100.2", "--sport", "1", "--dport", "80")
    lab.flowgen(1, "create", "--first", 0, "--count", 1, "--tcp-state", "syn_sent")
    assert internal_count(lab, 1) == 1
    lab.flowgen(1, "update", "--first", 0, "--count", 1, "--tcp-state", "established")
    wait_for(lambda: internal_count(lab, 1) == 2, PATIENCE_S, "established, it enters")
    lab.flowgen(1, "update", "--first", 0, "--count", 1, "--mark", "9")
    wait_for(lambda: internal_count(lab, 1) == 1, PATIENCE_S, "with that mark it leaves")
    lab.flowgen(1, "update", "--first", 0, "--count", 1, "--mark", "8")
    wait_for(lambda: internal_count(lab, 1) == 2, PATIENCE_S, "with another one it is back")
    lab.flowgen(1, "update", "--first", 0, "--count", 1, "--tcp-state", "fin_wait")
    wait_for(lambda: internal_count(lab, 1) == 1, PATIENCE_S, "it is over, and leaves")
    wait_held(lab, {5})
    lab.fw[1].run("conntrack", "-D", *key)
    wait_held(lab, {5})


def test_ignore_local_follows_the_hosts_addresses(lab):
    start_pair(lab)
    make_flows(lab)
    wait_held(lab, ALL)
    lab.fw[1].ip("addr add 192.168.10.3/32 dev lan0", "addr add fd00:10::3/128 dev lan0 nodad")
    wait_held(lab, ALL - {5, 6})
    lab.fw[1].ip("addr del 192.168.10.3/32 dev lan0")
    wait_held(lab, ALL - {6})


def test_status_says_when_a_peer_filters_otherwise(lab):
    start_pair(lab)
    assert not lab.daemon[1].peer(2)["filters_differ"]
    lab.daemon[2].write_config(filter={"protocols": "tcp"})
    lab.daemon[2].twintrack("reload")
    wait_for(lambda: lab.daemon[1].peer(2)["filters_differ"], PATIENCE_S, "it is seen")
    assert "filters otherwise" in lab.daemon[1].twintrack("status").stdout
    lab.daemon[2].write_config()
    lab.daemon[2].twintrack("reload")
    wait_for(lambda: not lab.daemon[1].peer(2)["filters_differ"], PATIENCE_S, "and that it is over")
