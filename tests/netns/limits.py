# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's own limits: they hold for all namespaces, so who raises one must put it back, whatever happens.

One lock file lets a single process raise them at a time.  The original values stand in it: when their owner was
killed before it could restore them, the next one does.
"""

import fcntl
import json
import os
import time
from contextlib import suppress

from space import at_exit, cancel_at_exit

FLOWS_A_BUCKET, DEAD_S = 4, 60  # so few, before the buckets are as few as before; and so long at most
LOCK = "/run/twintrack-limits.lock"
PATHS = {
    "nf_conntrack_max": "/proc/sys/net/netfilter/nf_conntrack_max",
    "nf_conntrack_buckets": "/proc/sys/net/netfilter/nf_conntrack_buckets",
    "rmem_max": "/proc/sys/net/core/rmem_max",
    "wmem_max": "/proc/sys/net/core/wmem_max",
}


def limit(name):
    """The present value of a limit."""
    with open(PATHS[name], encoding="ascii") as file:
        return int(file.read())


def host_flows():
    """Connections in all namespaces, those included that are being taken down; None when the kernel does not tell."""
    with suppress(OSError, StopIteration):
        with open("/proc/slabinfo", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("nf_conntrack "))
    return None


def _set(name, value):
    with open(PATHS[name], "w", encoding="ascii") as file:
        file.write(str(value))


class HostLimits:
    """Context manager: with HostLimits(nf_conntrack_max=2000000, nf_conntrack_buckets=1048576): ..."""

    def __init__(self, **wanted):
        self.wanted = wanted
        self._lock = None
        self._restore = None

    def __enter__(self):
        self._lock = open(LOCK, "a+", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._put_back()  # what a killed process left
        self._restore = at_exit(self.close)
        originals = {name: limit(name) for name in self.wanted}
        self._remember(originals)
        for name, value in self.wanted.items():
            if value > originals[name]:
                _set(name, value)
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        if not self._lock:
            return
        self._wait_for_the_dead()
        self._put_back()
        self._lock.close()
        self._lock = None
        cancel_at_exit(self._restore)

    def _wait_for_the_dead(self):
        """The flows of a namespace that was removed go in the background, slowly where buckets are few; meanwhile the
        kernel refuses everybody's new ones (ENOSPC: chains too long)."""
        self._lock.seek(0)
        buckets = json.loads(self._lock.read() or "{}").get("nf_conntrack_buckets")
        end = time.monotonic() + DEAD_S
        while buckets and (host_flows() or 0) > FLOWS_A_BUCKET * buckets and time.monotonic() < end:
            time.sleep(0.2)

    def _remember(self, originals):
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(json.dumps(originals))
        self._lock.flush()
        os.fsync(self._lock.fileno())

    def _put_back(self):
        self._lock.seek(0)
        text = self._lock.read()
        for name, value in (json.loads(text) if text else {}).items():
            if limit(name) != value:
                _set(name, value)
        self._remember({})
