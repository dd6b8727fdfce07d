# SPDX-License-Identifier: GPL-2.0-or-later
"""When a process took datagrams in, and when it was done with them: its system calls, as the kernel traces them.

A daemon that waits again has applied all it received before.  So "applied" is the first wait that it enters after
the first receive that ended at or after the datagram's arrival; that holds for any daemon, and needs nothing of it.
"""

import bisect
import os
import re

from space import run

TRACING = "/sys/kernel/tracing"
RECEIVES = ("recvmmsg", "recvmsg", "recvfrom")
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "select", "pselect6", "poll", "ppoll")
BUFFER_KB = 32768
LINE = re.compile(r"\s(\d+\.\d+): sys_(?:(exit_)?(\w+)\((?:[^)]*)\)|(\w+) -> 0x([0-9a-f]+))")


def is_there():
    """Whether this kernel traces system calls; mounts tracefs if it has to."""
    if not os.path.isdir(os.path.join(TRACING, "events")) and os.path.isdir(TRACING):
        run(["mount", "-t", "tracefs", "none", TRACING], check=False)
    return os.path.isdir(os.path.join(TRACING, "events", "syscalls"))


class Trace:
    """Traces the receives and waits of a process while the block runs."""

    def __init__(self, pid):
        self.pid = pid
        self.directory = os.path.join(TRACING, "instances", f"twintrack-{os.getpid()}")
        self.received_us, self.waiting_us = [], []

    def _write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="ascii") as file:
            file.write(text)

    def _enable(self, name):
        path = os.path.join("events", "syscalls", name, "enable")
        if os.path.exists(os.path.join(self.directory, path)):
            self._write(path, "1")

    def __enter__(self):
        os.mkdir(self.directory)
        self._write("trace_clock", "mono")
        self._write("buffer_size_kb", str(BUFFER_KB))
        self._write("set_event_pid", str(self.pid))
        for name in RECEIVES:
            self._enable(f"sys_exit_{name}")
        for name in WAITS:
            self._enable(f"sys_enter_{name}")
        return self

    def __exit__(self, *exc):
        self._write("events/enable", "0")
        with open(os.path.join(self.directory, "trace"), encoding="utf-8", errors="replace") as file:
            for line in file:
                self._take(line)
        os.rmdir(self.directory)

    def _take(self, line):
        found = LINE.search(line)
        if not found:
            return
        at_us = float(found.group(1)) * 1e6
        if found.group(4) in RECEIVES and 0 < int(found.group(5), 16) < 1 << 31:
            self.received_us.append(at_us)
        elif found.group(3) in WAITS:
            self.waiting_us.append(at_us)

    def applied_us(self, arrived_us):
        """When what arrived then was applied; None if the trace does not show it."""
        i = bisect.bisect_left(self.received_us, arrived_us)
        if i == len(self.received_us):
            return None
        j = bisect.bisect_left(self.waiting_us, self.received_us[i])
        return self.waiting_us[j] if j < len(self.waiting_us) else None
