# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays the service manager for a daemon: NOTIFY_SOCKET, the watchdog, and the store of file descriptors."""

import array
import fcntl
import os
import signal
import socket
import threading
import time

from programs import program
from space import wait_for

ABOVE = 20  # the daemon's descriptors start with 3: copies to move there lie above


class Supervisor:
    """Starts a lab's daemon as systemd would (sd_notify(3), sd_listen_fds(3)), and notes what it tells.

    messages: every notification, as a list of "NAME=value" lines, with the time it came.
    store: {name: descriptor}, kept between two starts and handed to the next daemon.
    """

    def __init__(self, daemon, watchdog_us=0, keeps_descriptors=True, tells_store=False):
        self.daemon = daemon
        self.watchdog_us = watchdog_us
        self.keeps_descriptors, self.tells_store = keeps_descriptors, tells_store
        self.messages, self.store = [], {}
        self.path = os.path.join(daemon.directory, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        size = array.array("i").itemsize
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(4 * size))
            except OSError:
                return
            if data == b"end":
                return
            lines = data.decode().splitlines()
            descriptors = array.array("i")
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(payload[:len(payload) // size * size])
            name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "stored")
            for descriptor in descriptors:
                if "FDSTORE=1" in lines and self.keeps_descriptors:
                    self.forget(name)
                    self.store[name] = descriptor
                else:
                    os.close(descriptor)
            if "FDSTOREREMOVE=1" in lines:
                self.forget(name)
            self.messages.append((time.monotonic(), lines))

    def forget(self, name):
        if name in self.store:
            os.close(self.store.pop(name))

    def start(self, overrides=None, **changes):
        """Starts the daemon with what is stored; returns once it has told READY."""
        daemon, before = self.daemon, len(self.messages)
        if overrides or changes or not os.path.exists(daemon.config):
            daemon.write_config(overrides, **changes)
        environment = {**os.environ, "NOTIFY_SOCKET": self.path}
        if self.watchdog_us:
            environment["WATCHDOG_USEC"] = str(self.watchdog_us)
        if self.tells_store:  # systemd does since version 254
            environment["FDSTORE"] = "4" if self.keeps_descriptors else "0"
        names, descriptors = list(self.store), list(self.store.values())
        environment["LISTEN_FDNAMES"] = ":".join(names)
        environment["LISTEN_FDS"] = str(len(names))
        # LISTEN_PID is the daemon's own, which only a shell in its place can know before it runs
        copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, ABOVE) for descriptor in descriptors]
        moves = "".join(f"exec {3 + i}<&{copy}; " for i, copy in enumerate(copies))
        script = f"{moves}export LISTEN_PID=$$; exec \"$0\" \"$@\""
        with open(daemon.log_path, "a", encoding="utf-8") as log:
            daemon.process = daemon.space.popen("bash", "-c", script, program("twintrackd"), "-C", daemon.config, stdout=log,
                                                stderr=log, env=environment, pass_fds=copies)
        for copy in copies:
            os.close(copy)
        self.wait("READY=1", before)
        return self

    def lines(self, since=0):
        return [line for _, lines in self.messages[since:] for line in lines]

    def wait(self, line, since=0, timeout=60):
        """Waits until that line has come after message number `since`."""
        wait_for(lambda: self._has(line, since), timeout=timeout, what=f"{line} is told")

    def _has(self, line, since):
        if self.daemon.process.poll() is not None and not any(found.startswith(line) for found in self.lines(since)):
            raise AssertionError(f"twintrackd ended with {self.daemon.process.returncode}\n{self.daemon.log()}")
        return any(found.startswith(line) for found in self.lines(since))

    def stop(self, number=signal.SIGTERM, timeout=60):
        self.daemon.signal(number)
        return self.daemon.process.wait(timeout)

    def restart(self):
        """`systemctl restart`."""
        self.stop()
        return self.start()

    def watch(self, timeout=60):
        """Ends a daemon that does not tell WATCHDOG=1 for so long, as systemd does, and returns how it ended."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            last = max((at for at, lines in self.messages if "WATCHDOG=1" in lines or "READY=1" in lines), default=0)
            if time.monotonic() - last > self.watchdog_us / 1e6:
                self.daemon.signal(signal.SIGABRT)
                self.daemon.signal(signal.SIGCONT)
                return self.daemon.process.wait(60)
            time.sleep(0.01)
        raise AssertionError("the watchdog never ran out")

    def close(self):
        for name in list(self.store):
            self.forget(name)
        self._socket.sendto(b"end", self.path)
        self._thread.join(10)
        self._socket.close()
