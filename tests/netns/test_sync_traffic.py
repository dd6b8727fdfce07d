# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows as real packets make them: every protocol, both families, translated both ways; the copy is equal in each state."""

import contextlib
import ipaddress
import random
import socket

from flows import Stopwatch, all_proven, assert_tables_equal, background_flowgen, external_flows, finish_flowgen, \
    peer_of, start_pair
from lab import CLIENT, CLIENT6, RULESET, SERVER, SERVER6, WAN_VIP, WAN_VIP6, wait_for
import tables

END_GOAL_S = 2
EXPERIMENTAL = 253  # RFC 3692: a protocol that the kernel tracks by its number only
DNAT = f"""
		iifname "wan0" ip daddr {WAN_VIP} tcp dport 8080 dnat ip to {CLIENT}:80
		iifname "wan0" ip6 daddr {WAN_VIP6} udp dport 8053 dnat ip6 to [{CLIENT6}]:53
		iifname "lan0" udp dport 4444 meta mark set 5 ct mark set 5"""
RULES = RULESET.replace("priority dstnat\n", "priority dstnat" + DNAT + "\n")


def family_of(address):
    return socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET


def bound(space, address, kind, protocol=0, port=0):
    """A socket in a namespace; it stays there."""
    with space.entered():
        made = socket.socket(family_of(address), kind, protocol)
    made.settimeout(10)
    made.bind((address, port))
    return made


def echo_datagram(lab, sender, receiver, to=None, rounds=2):
    """A datagram there, and its echo back, so often."""
    to = to or receiver.getsockname()[:2]
    for _ in range(rounds):
        sender.sendto(b"question", to)
        receiver.sendto(b"answer", receiver.recvfrom(100)[1])
        sender.recv(100)


def speak_udp(lab, stack):
    for client, server, port in ((CLIENT, SERVER, 53), (CLIENT6, SERVER6, 53), (CLIENT, SERVER, 4444)):
        here = stack.enter_context(bound(lab.client, client, socket.SOCK_DGRAM))
        there = stack.enter_context(bound(lab.server, server, socket.SOCK_DGRAM, port=port))
        echo_datagram(lab, here, there, rounds=1 if port == 53 else 3)
        here.sendto(b"nobody answers", (server, 9999))
    inside = stack.enter_context(bound(lab.client, CLIENT6, socket.SOCK_DGRAM, port=53))
    outside = stack.enter_context(bound(lab.server, SERVER6, socket.SOCK_DGRAM))
    echo_datagram(lab, outside, inside, to=(WAN_VIP6, 8053))


def speak_others(lab, stack):
    """Ping, and a protocol without ports, both families."""
    lab.client.run("ping", "-c", "2", "-i", "0.1", SERVER)
    lab.client.run("ping", "-c", "2", "-i", "0.1", SERVER6)
    for client, server in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
        here = stack.enter_context(bound(lab.client, client, socket.SOCK_RAW, EXPERIMENTAL))
        there = stack.enter_context(bound(lab.server, server, socket.SOCK_RAW, EXPERIMENTAL))
        here.sendto(b"question", (server, 0))
        there.recv(100)
        there.sendto(b"answer", (WAN_VIP if client == CLIENT else WAN_VIP6, 0))
        here.recv(100)


def open_tcp_inwards(lab, stack):
    """A connection from outside to a port that is translated to the client."""
    listener = stack.enter_context(bound(lab.client, CLIENT, socket.SOCK_STREAM, port=80))
    listener.listen()
    caller = stack.enter_context(bound(lab.server, SERVER, socket.SOCK_STREAM))
    caller.connect((WAN_VIP, 8080))
    called = stack.enter_context(contextlib.closing(listener.accept()[0]))
    called.sendall(b"welcome")
    assert caller.recv(100) == b"welcome"
    return caller


def assert_copied(lab, what):
    watch = Stopwatch("it", END_GOAL_S)
    watch.wait(lambda: all_proven(lab), f"{what}: proven")
    assert_tables_equal(lab)
    return tables.parse_all("\n".join(external_flows(lab, 2, 1)))


def count(flows, **wanted):
    return sum(all(getattr(flow, name) == value for name, value in wanted.items()) for flow in flows)


def test_every_protocol_and_state_that_packets_make_is_copied(make_lab):
    lab = make_lab(ruleset=RULES)
    lab.vip_to(1)
    start_pair(lab)
    with contextlib.ExitStack() as stack:
        traffic = [lab.traffic(200), lab.traffic(100, address=SERVER6, port=6001)]
        speak_udp(lab, stack)
        speak_others(lab, stack)
        caller = open_tcp_inwards(lab, stack)
        flows = assert_copied(lab, "traffic of every protocol")
        assert count(flows, protocol="tcp", state="ESTABLISHED") == 301
        assert {flow.number for flow in flows} >= {1, 6, 17, 58, EXPERIMENTAL}
        assert count(flows, number=EXPERIMENTAL) == 2
        assert any(flow.reply["src"] == CLIENT and flow.original["dst"] == WAN_VIP for flow in flows)
        assert any(flow.others.get("mark") == "5" for flow in flows)
        assert any("UNREPLIED" in flow.flags for flow in flows)
        assert sum(flow.reply["dst"] == WAN_VIP for flow in flows) > 200

        caller.shutdown(socket.SHUT_WR)  # half closed
        wait_for(lambda: "CLOSE_WAIT" in "".join(external_flows(lab, 2, 1)), 20, "the half-closed connection")
        assert_copied(lab, "a half-closed connection")
        for each in traffic:
            each.close()
    flows = assert_copied(lab, "all connections closed")
    assert count(flows, state="ESTABLISHED") == 0
    assert peer_of(lab.daemon[2].status(), 1)["divergences"] == 0


def test_the_timeouts_that_are_shown_are_the_kernels(lab):
    """Outside the proof, and still right within the seconds between two dumps."""
    start_pair(lab)
    lab.flowgen(1, "create", "--count", 50, "--timeout", 100)
    lab.flowgen(1, "create", "--first", 1000, "--count", 50, "--timeout", 7000)
    wait_for(lambda: all_proven(lab), 20)

    def timeouts(text):
        return {flow.key: flow.timeout for flow in tables.parse_all(text) if flow.protocol == "tcp"}

    kernel = timeouts(lab.fw[1].run("conntrack", "-L", "-p", "tcp").stdout)
    copy = timeouts(lab.daemon[2].twintrack("-L", "external").stdout)
    assert len(kernel) == 100 and copy.keys() == kernel.keys()
    assert all(abs(kernel[key] - copy[key]) < 20 for key in kernel)


def test_daemons_that_are_killed_again_and_again_under_traffic_agree_in_the_end(lab):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    start_pair(lab)
    lab.flowgen(1, "create", "--count", 10000)
    traffic = lab.traffic(200)
    churn = background_flowgen(lab, 1, "churn", "--first", 100000, "--rate", 4000, "--seconds", 6, "--alive", 3000)
    while churn.poll() is None:
        victim = lab.daemon[dice.choice((1, 1, 2))]
        lab.loss(dice.choice((0, 0, 5, 20, 100)))
        getattr(victim, dice.choice(("kill", "kill", "stop")))()
        victim.start()
        lab.loss(dice.choice((0, 0, 5, 20)))
        wait_for(lambda: peer_of(lab.daemon[2].status(), 1).get("alive"), 60, "they hear each other")
    finish_flowgen(churn)
    lab.loss(0)
    watch = Stopwatch("the end", 5)
    watch.wait(lambda: all_proven(lab), "daemons killed again and again under traffic: equal and proven")
    assert assert_tables_equal(lab) >= 10200
    traffic.mark()
    assert traffic.verdict().killed == 0
