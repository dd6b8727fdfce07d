# SPDX-License-Identifier: GPL-2.0-or-later
"""Who holds the virtual addresses, looked at all the time: rtnetlink dumps in every firewall's namespace."""

import ipaddress
import socket
import struct
import threading
import time

RTM_NEWADDR, RTM_GETADDR = 20, 22
NLMSG_DONE = 3
NLM_F_REQUEST_DUMP = 0x301
IFA_ADDRESS, IFA_LOCAL = 1, 2


class Addresses:
    """The addresses of one namespace; the socket stays in it."""

    def __init__(self, space):
        with space.entered():
            self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._sock.settimeout(10)

    def read(self):
        """The set of them, as packed bytes."""
        self._sock.send(struct.pack("=IHHIIBBBBI", 24, RTM_GETADDR, NLM_F_REQUEST_DUMP, 1, 0, 0, 0, 0, 0, 0))
        found = set()
        while self._take(self._sock.recv(65536), found):
            pass
        return found

    @staticmethod
    def _take(data, found):
        """Adds what one datagram of the answer names; False when it was the last."""
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == NLMSG_DONE:
                return False
            attribute = at + 24
            while kind == RTM_NEWADDR and attribute + 4 <= at + length:
                size, name = struct.unpack_from("=HH", data, attribute)
                if name in (IFA_ADDRESS, IFA_LOCAL):
                    found.add(data[attribute + 4:attribute + size])
                attribute += (size + 3) & ~3
            at += (length + 3) & ~3
        return True

    def close(self):
        self._sock.close()


class Holders:
    """Watches a few addresses on some nodes; a context manager.

    worst(): for each address the longest time, in seconds, that nobody, and that more than one node, held it.
    """

    def __init__(self, spaces, addresses, interval_s=0.02):
        self._of = {node: Addresses(space) for node, space in spaces.items()}
        self._addresses = {text: ipaddress.ip_address(text).packed for text in addresses}
        self._interval_s = interval_s
        self._since = {}  # (address, "none" or "many") -> when that began
        self._worst = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._error = None
        self.looks = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join(30)
        for addresses in self._of.values():
            addresses.close()

    def forget(self, node):
        """This node is dead: what its kernel still bears nobody can reach."""
        with self._lock:
            self._of.pop(node).close()

    def _watch(self):
        try:
            while not self._over.wait(self._interval_s):
                with self._lock:
                    self._look()
        except OSError as error:
            self._error = error

    def _look(self):
        held = [addresses.read() for addresses in self._of.values()]
        now = time.monotonic()
        self.looks += 1
        for text, packed in self._addresses.items():
            count = sum(packed in addresses for addresses in held)
            for wrong, is_so in (("none", count == 0), ("many", count > 1)):
                self._note((text, wrong), is_so, now)

    def _note(self, key, is_so, now):
        if not is_so:
            self._since.pop(key, None)
            return
        spell = now - self._since.setdefault(key, now)
        self._worst[key] = max(self._worst.get(key, 0.0), spell)

    def worst(self):
        """{(address, "none" or "many"): seconds}, since the start or the last call."""
        with self._lock:
            if not self.looks and self._error is None:
                self._look()  # asked before the first turn of the thread
            assert self._error is None, self._error
            worst, self._worst = self._worst, {}
            return worst
