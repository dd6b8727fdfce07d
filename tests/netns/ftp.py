# SPDX-License-Identifier: GPL-2.0-or-later
"""A file server and its client, as small as they can be: FTP in active mode (RFC 959), and TFTP (RFC 1350).

Both have what a firewall needs a helper for: the server opens a flow of its own to where the client said it listens.
"""

import socket
import struct
import threading

CONTENT = bytes(range(256)) * 40
BLOCK = 512


def bound(space, address, kind=socket.SOCK_STREAM, port=0, timeout=30):
    """A socket in a namespace."""
    with space.entered():
        made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.settimeout(timeout)
    made.bind((address, port))
    return made


class FtpServer:
    """Serves one client after the other; says CONTENT for every RETR, over a connection that it opens itself."""

    def __init__(self, space, address, port=21):
        self.space, self.address = space, address
        self.listener = bound(space, address, port=port, timeout=None)
        self.listener.listen()
        self.targets = []  # where PORT said that clients listen
        self.error = None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            while True:
                control = self.listener.accept()[0]
                with control:
                    self._session(control)
        except OSError as error:
            self.error = error

    def _session(self, control):
        control.sendall(b"220 ready\r\n")
        for line in control.makefile("rb"):
            verb, _, argument = line.decode().strip().partition(" ")
            if verb == "PORT":
                numbers = argument.split(",")
                self.targets.append((".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])))
                control.sendall(b"200 PORT command successful\r\n")
            elif verb == "RETR":
                control.sendall(b"150 opening\r\n")
                control.sendall(b"226 done\r\n" if self._send() else b"425 no connection\r\n")
            else:
                control.sendall(b"200 ok\r\n")

    def _send(self):
        data = bound(self.space, self.address)
        with data:
            try:
                data.connect(self.targets[-1])
                data.sendall(CONTENT)
            except OSError:
                return False
        return True

    def close(self):
        self.listener.close()


class FtpClient:
    """A session; `announce` and `fetch` apart, so that anything may happen in between."""

    def __init__(self, space, address, server, port=21):
        self.space, self.address = space, address
        self.control = bound(space, address)
        self.control.connect((server, port))
        self.lines = self.control.makefile("rb")
        self.listener = None
        self._expect("220")
        self.say("USER anonymous")  # the helper reads from the second line on (find_nl_seq())

    def _expect(self, code):
        line = self.lines.readline().decode()
        assert line.startswith(code), f"{code} wanted, the server says: {line!r}"

    def say(self, text, code="200"):
        self.control.sendall(text.encode() + b"\r\n")
        self._expect(code)

    def announce(self):
        """Listens, and says so; returns the port."""
        self.listener = bound(self.space, self.address)
        self.listener.listen()
        port = self.listener.getsockname()[1]
        self.say(f"PORT {self.address.replace('.', ',')},{port // 256},{port % 256}")
        return port

    def fetch(self):
        """Lets the server open the connection that was announced; returns what came over it."""
        self.control.sendall(b"RETR file\r\n")
        self._expect("150")
        with self.listener, self.listener.accept()[0] as data:
            data.settimeout(30)
            content = b"".join(iter(lambda: data.recv(65536), b""))
        self._expect("226")
        return content

    def close(self):
        self.lines.close()
        self.control.close()


class TftpServer:
    """Takes a request on port 69, and answers it from a port of its own when answer() is called."""

    def __init__(self, space, address):
        self.space, self.address = space, address
        self.requests = bound(space, address, socket.SOCK_DGRAM, 69)
        self.client = None

    def take(self):
        request, self.client = self.requests.recvfrom(600)
        assert request[:2] == b"\0\1", request

    def answer(self):
        transfer = bound(self.space, self.address, socket.SOCK_DGRAM, timeout=5)
        with transfer:
            for number in range(1, len(CONTENT) // BLOCK + 2):
                block = CONTENT[(number - 1) * BLOCK:number * BLOCK]
                transfer.sendto(struct.pack("!HH", 3, number) + block, self.client)
                assert transfer.recvfrom(100)[0] == struct.pack("!HH", 4, number)

    def close(self):
        self.requests.close()


class TftpClient:
    def __init__(self, space, address, server):
        self.socket = bound(space, address, socket.SOCK_DGRAM)
        self.server = server

    def request(self):
        self.socket.sendto(b"\0\1file\0octet\0", (self.server, 69))

    def receive(self):
        content = b""
        while True:
            block, sender = self.socket.recvfrom(BLOCK + 4)
            number = struct.unpack("!H", block[2:4])[0]
            content += block[4:]
            self.socket.sendto(struct.pack("!HH", 4, number), sender)
            if len(block) < BLOCK + 4:
                return content

    def close(self):
        self.socket.close()
