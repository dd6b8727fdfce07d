# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic of many kinds through the firewalls, and failovers under it: nothing may end that could go on.

TCP both ways (tools/traffic), and here: UDP streams and single questions, both families, translated both ways; ICMP
and ICMPv6 echo; SCTP, made by hand because it needs no SCTP in the kernel; an FTP session.
"""

import contextlib
import os
import select
import socket
import struct
import threading
import time

from ftp import CONTENT, FtpClient, FtpServer
from lab import CLIENT, CLIENT6, RULESET, SERVER, SERVER6, WAN_VIP, WAN_VIP6, wait_for
from programs import Traffic
from roles import switch_over

PATIENCE_S = 120
INTERVAL_S = 0.1
RULES = RULESET.replace("\n\tchain forward {", """
	ct helper ftp { type "ftp" protocol tcp; }
	chain helpers {
		type filter hook prerouting priority filter
		tcp dport 21 ct helper set "ftp"
	}
	chain forward {""", 1).replace("priority dstnat\n", f"""priority dstnat
		iifname "wan0" ip daddr {WAN_VIP} tcp dport 8080-8083 dnat ip to {CLIENT}
		iifname "wan0" ip daddr {WAN_VIP} udp dport 8053 dnat ip to {CLIENT}:53
		iifname "wan0" ip6 daddr {WAN_VIP6} udp dport 8053 dnat ip6 to [{CLIENT6}]:53
""", 1)


def bound(space, address, kind, protocol=0, port=0):
    with space.entered():
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind, protocol)
    made.setblocking(False)
    made.bind((address, port))
    return made


def received(sock):
    """What waits on a socket."""
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while True:
            yield sock.recvfrom(2048)


class Kind:
    """One kind of traffic: asks with a number, and notes which numbers were answered."""

    def __init__(self, name):
        self.name = name
        self.asked = self.answered = 0  # the highest number
        self.sources = set()            # as which the other end sees it

    def ask(self, number):
        self.asked = number
        with contextlib.suppress(OSError):  # no route, no neighbour, refused: as good as lost
            self.send(number)

    def note(self, number):
        self.answered = max(self.answered, number)


class Udp(Kind):
    """A long-lived stream; or `single`: a socket for each question."""

    def __init__(self, name, asker, here, responder, there, target, port=53, single=False):
        super().__init__(name)
        self.asker, self.here, self.target, self.single = asker, here, target, single
        self.there = bound(responder, there, socket.SOCK_DGRAM, port=port)
        self.socket = bound(asker, here, socket.SOCK_DGRAM)

    def send(self, number):
        if self.single:
            self.socket.close()
            self.socket = bound(self.asker, self.here, socket.SOCK_DGRAM)
        self.socket.sendto(struct.pack("!Q", number), self.target)

    def respond(self):
        for question, sender in received(self.there):
            self.sources.add(sender)
            with contextlib.suppress(OSError):
                self.there.sendto(question, sender)

    def collect(self):
        for answer, _ in received(self.socket):
            self.note(struct.unpack("!Q", answer)[0])


class Echo(Kind):
    """Ping with one id; the other end's kernel answers."""

    def __init__(self, name, asker, here, target):
        super().__init__(name)
        self.is_ipv6 = ":" in here
        self.target = target
        self.socket = bound(asker, here, socket.SOCK_RAW,
                            socket.IPPROTO_ICMPV6 if self.is_ipv6 else socket.IPPROTO_ICMP)
        self.id = 0x1234

    def send(self, number):
        packet = struct.pack("!BBHHH", 128 if self.is_ipv6 else 8, 0, 0, self.id, number & 0xffff)
        if not self.is_ipv6:
            total = sum(struct.unpack("!4H", packet))
            packet = packet[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + packet[4:]
        self.socket.sendto(packet, (self.target, 0))

    def respond(self):
        pass

    def collect(self):
        for packet, _ in received(self.socket):
            kind, _, _, echo_id, number = struct.unpack("!BBHHH", packet[0 if self.is_ipv6 else 20:][:8])
            if kind == (129 if self.is_ipv6 else 0) and echo_id == self.id:
                self.note(self.asked & ~0xffff | number)


def crc32c(data):
    """RFC 9260 appendix A."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return ~crc & 0xffffffff


class Sctp(Kind):
    """An association: its handshake, then DATA both ways, with the tags that the handshake agreed on (RFC 9260 3)."""

    PORT, TAG_HERE, TAG_THERE = 9899, 0x11111111, 0x22222222
    DATA, INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 10, 11

    def __init__(self, name, asker, here, responder, there):
        super().__init__(name)
        self.target = there
        self.here = bound(asker, here, socket.SOCK_RAW, 132)
        self.there = bound(responder, there, socket.SOCK_RAW, 132)
        self.port = 40000 + os.getpid() % 20000
        self.state = self.INIT

    def _packet(self, source, destination, tag, kind, value):
        chunk = struct.pack("!BBH", kind, 3 if kind == self.DATA else 0, 4 + len(value)) + value
        header = struct.pack("!HHI", source, destination, tag)
        return header + struct.pack("<I", crc32c(header + bytes(4) + chunk)) + chunk

    def _init(self, tag):
        return struct.pack("!IIHHI", tag, 65536, 1, 1, 1)

    def _data(self, number):
        return struct.pack("!IHHIQ", number & 0xffffffff, 0, number & 0xffff, 0, number)

    def send(self, number):
        values = {self.INIT: self._init(self.TAG_HERE), self.COOKIE_ECHO: b"cook", self.DATA: self._data(number)}
        tag = 0 if self.state == self.INIT else self.TAG_THERE
        self.here.sendto(self._packet(self.port, self.PORT, tag, self.state, values[self.state]), (self.target, 0))

    def respond(self):
        for packet, sender in received(self.there):
            source, destination, _, _, kind = struct.unpack("!HHIIB", packet[20:33])
            if destination != self.PORT:
                continue
            self.sources.add((sender[0], source))
            answer = {self.INIT: (self.INIT_ACK, self._init(self.TAG_THERE) + struct.pack("!HH", 7, 8) + b"cook"),
                      self.COOKIE_ECHO: (self.COOKIE_ACK, b""), self.DATA: (self.DATA, packet[36:])}[kind]
            with contextlib.suppress(OSError):
                self.there.sendto(self._packet(self.PORT, source, self.TAG_HERE, *answer), (sender[0], 0))

    def collect(self):
        for packet, _ in received(self.here):
            _, destination, _, _, kind = struct.unpack("!HHIIB", packet[20:33])
            if destination != self.port:
                continue
            if kind == self.INIT_ACK and self.state == self.INIT:
                self.state = self.COOKIE_ECHO
            elif kind == self.COOKIE_ACK:
                self.state = self.DATA
            elif kind == self.DATA:
                self.note(struct.unpack("!Q", packet[48:56])[0])


def all_kinds(lab):
    inner, outer = lab.client, lab.server
    return [
        Udp("UDP stream, SNAT", inner, CLIENT, outer, SERVER, (SERVER, 53)),
        Udp("UDP stream, IPv6, SNAT", inner, CLIENT6, outer, SERVER6, (SERVER6, 53)),
        Udp("UDP stream, DNAT", outer, SERVER, inner, CLIENT, (WAN_VIP, 8053)),
        Udp("UDP stream, IPv6, DNAT", outer, SERVER6, inner, CLIENT6, (WAN_VIP6, 8053)),
        Udp("UDP questions", inner, CLIENT, outer, SERVER, (SERVER, 54), port=54, single=True),
        Udp("UDP questions, IPv6", inner, CLIENT6, outer, SERVER6, (SERVER6, 54), port=54, single=True),
        Echo("ICMP echo", inner, CLIENT, SERVER),
        Echo("ICMPv6 echo", inner, CLIENT6, SERVER6),
        Sctp("SCTP", inner, CLIENT, outer, SERVER),
    ]


class Mixed:
    """All kinds at once, in threads, until close()."""

    def __init__(self, lab, connections=100):
        self.lab = lab
        self.kinds = all_kinds(lab)
        self.stack = contextlib.ExitStack()
        self.over = threading.Event()
        for run in (self._ask, self._respond):
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            self.stack.callback(thread.join, 30)
        self.stack.callback(self.over.set)
        options = {"duration_s": 7200, "verdict_s": PATIENCE_S}
        self.tcp = [lab.traffic(connections, **options),
                    lab.traffic(connections, address=SERVER6, port=6001, **options),
                    self._inwards(connections, options)]
        self.ftp_server = self.stack.enter_context(contextlib.closing(FtpServer(lab.server, SERVER)))
        self.ftp = self.stack.enter_context(contextlib.closing(FtpClient(lab.client, CLIENT, SERVER)))

    def _inwards(self, connections, options):
        traffic = Traffic(self.lab.server, self.lab.client, WAN_VIP, connections, port=8080, listen=CLIENT, **options)
        self.stack.callback(traffic.close)
        traffic.wait_ready()
        return traffic

    def _ask(self):
        number = 0
        while not self.over.wait(INTERVAL_S):
            number += 1
            for kind in self.kinds:
                kind.collect()
                kind.ask(number)

    def _respond(self):
        sockets = [kind.there for kind in self.kinds if hasattr(kind, "there")]
        while not self.over.is_set():
            select.select(sockets, [], [], INTERVAL_S)
            for kind in self.kinds:
                kind.respond()

    def wait_answers(self):
        """Each kind is answered what it asks from now on."""
        asked = {kind: kind.asked for kind in self.kinds}

        def silent():
            return [kind.name for kind in self.kinds if kind.answered <= asked[kind]]

        wait_for(lambda: not silent(), PATIENCE_S, f"answers to {', '.join(kind.name for kind in self.kinds)}")

    def before(self):
        self.wait_answers()
        self.ftp.announce()
        self.seen = {kind.name: set(kind.sources) for kind in self.kinds}
        for traffic in self.tcp:
            traffic.mark()

    def after(self):
        """Nothing was killed, and all the rest goes on, as what it was before."""
        self.wait_answers()
        assert self.ftp.fetch() == CONTENT
        for traffic in self.tcp:
            verdict = traffic.verdict(timeout=PATIENCE_S + 60)
            assert (verdict.before, verdict.alive) == (traffic.count, traffic.count), verdict
        for kind in self.kinds:
            if not getattr(kind, "single", False):
                assert len(kind.sources) <= 1, f"{kind.name} is another flow now: {kind.sources}"

    def close(self):
        self.stack.close()


def power_cut(lab, to):
    """The active firewall loses power; it comes back as a backup with an empty kernel once the other has taken over."""
    old = 3 - to
    lab.power_cut(old)
    lab.vip_to(to)
    lab.daemon[to].twintrack("primary")
    return old


def failovers(lab, mixed, count, first=2):
    """There and back, planned switch-overs and power cuts in turns."""
    to = first
    for number in range(count):
        began = time.monotonic()
        mixed.before()
        lab.daemon[3 - to].wait_synced()
        lost = None
        if number % 4 < 2:
            switch_over(lab, to)
        else:
            lost = power_cut(lab, to)
        mixed.after()
        if lost:
            lab.reboot(lost)
            lab.daemon[lost].start(wait=True)
            lab.daemon[lost].twintrack("backup")
            lab.daemon[to].wait_synced()
        print(f"failover {number + 1}, to node {to}, {'power cut' if lost else 'planned'}: "
              f"{time.monotonic() - began:.1f} s", flush=True)
        to = 3 - to
