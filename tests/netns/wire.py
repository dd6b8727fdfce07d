# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams on a sync link: recorded, taken apart, and sent again as a stranger would."""

import os
import signal
import socket
import struct

from programs import JsonLines, program

PORT = 9788
HEADER_SIZE = 40  # proto/frame.h: the clear part
VERSION_AT, CIPHER_AT, NODE_AT, KEY_AT, SESSION_AT, SALT_AT, NUMBER_AT = 4, 5, 6, 8, 12, 28, 32


class Recorder:
    """Everything that passes a node's sync link from now on, until stop(); a context manager."""

    def __init__(self, lab, node, interface="sync0", port=PORT, name="record"):
        self.path = os.path.join(lab.directory, f"{name}-{node}")
        self._reader = JsonLines(lab.fw[node], program("tools/inject"), "record", "--interface", interface,
                                 "--port", port, "--file", self.path, "--seconds", 300)
        self._reader.wait_event("ready")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        """Ends the recording and returns its datagrams: [(source address, bytes)]."""
        if self._reader:
            self._reader.signal(signal.SIGTERM)
            self._reader.finish()
            self._reader = None
        return read(self.path)


def read(path):
    """The datagrams of a file that inject(1) recorded."""
    found = []
    with open(path, "rb") as file:
        while head := file.read(22):
            length = struct.unpack_from("!I", head)[0]
            found.append((socket.inet_ntop(socket.AF_INET, head[18:22]), file.read(length)))
    return found


def of_node(datagrams, node):
    """Those that name this node as their sender."""
    return [data for _, data in datagrams if struct.unpack_from("!H", data, NODE_AT)[0] == node]


def flipped(data, bit):
    """The datagram with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def send(space, address, datagrams, source=None, port=PORT):
    """Sends datagrams from a namespace, under a source address that need not be its own."""
    with space.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        if source:
            sock.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((source, 0))
        for data in datagrams:
            sock.sendto(data, (address, port))
    return len(datagrams)
