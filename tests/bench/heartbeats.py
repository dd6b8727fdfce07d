# SPDX-License-Identifier: GPL-2.0-or-later
"""When a node's datagrams went out: from the kernel's time stamps on the cable, so that no reader's delay counts."""

import socket
import struct
import threading

SO_TIMESTAMPNS = 35
ETH_P_IP = 0x0800
PACKET_OUTGOING = 4
SIZE_OF_TIMESPEC = 16


class Watch:
    """Collects when a node's datagrams (UDP) leave through sync0 while the block runs; .times_s afterwards."""

    def __init__(self, space, interface="sync0"):
        with space.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
            self._socket.bind((interface, 0x0003))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.settimeout(0.1)
        self._over = threading.Event()
        self.times_s = []

    def __enter__(self):
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join(10)
        self._socket.close()

    def _collect(self):
        while not self._over.is_set():
            try:
                _, control, _, address = self._socket.recvmsg(64, 256)
            except socket.timeout:
                continue
            if address[1] != ETH_P_IP or address[2] != PACKET_OUTGOING:
                continue
            for level, kind, data in control:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= SIZE_OF_TIMESPEC:
                    seconds, nanoseconds = struct.unpack("qq", data[:SIZE_OF_TIMESPEC])
                    self.times_s.append(seconds + nanoseconds / 1e9)

    def longest_gap_s(self):
        """The longest time without a datagram."""
        return max((later - earlier for earlier, later in zip(self.times_s, self.times_s[1:])), default=0.0)
