# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that answers as it is told to: the other end of syncd/control/message.h, for tests of the command."""
import json
import socket
import struct
import threading

REQUEST, RECORDS, JSON, TEXT, PROGRESS, RESULT, EVENTS = range(1, 8)
NEW, UPDATE, DESTROY, EMPTIED, LOST = range(1, 6)


def message(kind, payload=b""):
    payload = payload.encode() if isinstance(payload, str) else payload
    return struct.pack("!IB", len(payload), kind) + payload


def result(code, text=""):
    return message(RESULT, bytes([code]) + text.encode())


def status(obj):
    return message(JSON, json.dumps(obj)) + result(0)


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def tcp_record(number, timeout=300, mark=0, state=3, ct_status=0x0E):
    """proto/record.h: an IPv4 TCP flow without NAT; what is wanted of it follows from its number."""
    body = struct.pack("!I", timeout) + b"\x00"
    body += struct.pack("!I", 0x0A000000 + number // 60000) + socket.inet_aton("192.0.2.1")
    body += struct.pack("!HH", 1024 + number % 60000, 443)
    body += struct.pack("!BHB", 0, ct_status, 0x20 | (0x10 if mark else 0))
    if mark:
        body += struct.pack("!I", mark)
    body += struct.pack("!BBBB", state, 0x77, 0, 0)
    return varint(len(body)) + body


def records(numbers, node=0, **flow):
    return message(RECORDS, b"".join(struct.pack("!HI", node, 0) + tcp_record(n, **flow) for n in numbers))


def event(kind, number=None, node=1, count=0, **flow):
    return struct.pack("!BHI", kind, node, count) + (b"" if number is None else tcp_record(number, **flow))


def tcp_line(number, timeout=300, mark=0):
    src = socket.inet_ntoa(struct.pack("!I", 0x0A000000 + number // 60000))
    port = 1024 + number % 60000
    return (f"tcp      6 {timeout} ESTABLISHED src={src} dst=192.0.2.1 sport={port} dport=443 "
            f"src=192.0.2.1 dst={src} sport=443 dport={port} [ASSURED] mark={mark}")


class FakeDaemon:
    """Serves one connection after the other.  `answer(request, connection)`: sends what it likes, or returns bytes."""

    def __init__(self, path, answer):
        self.path, self.answer, self.requests = str(path), answer, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    pass  # the command has had enough

    def _answer(self, connection):
        data = b""
        while len(data) < 5 or len(data) < 5 + struct.unpack("!I", data[:4])[0]:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        assert data[4] == REQUEST and data.endswith(b"\0")
        verb, *arguments = data[5:-1].decode().split("\0")
        request = (verb, dict(a.split("=", 1) for a in arguments))
        self.requests.append(request)
        sent = self.answer(request, connection) if callable(self.answer) else self.answer
        if sent:
            connection.sendall(sent)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
