# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that run in the lab: the daemon and its command, the traffic, and the tools."""

import json
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from space import LabError, run, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("TWINTRACK_BUILD", "build"))


def program(name):
    """The path of something that was built: "twintrackd", "tools/traffic"."""
    path = os.path.join(BUILD, name)
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is not there: run `make all tools` (or set TWINTRACK_BUILD)")
    return path


def tool(space, name, *words, timeout=300):
    """Run a tool (flowgen, inject) to its end in a namespace, and return its JSON answer."""
    done = space.run(program(f"tools/{name}"), *words, timeout=timeout)
    return json.loads(done.stdout.splitlines()[-1])


class JsonLines:
    """A running program that says one JSON object a line; a thread collects them."""

    def __init__(self, space, *words):
        self.process = space.popen(*words, stdout=subprocess.PIPE, text=True)
        self.words = words
        self._events = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self._events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._events.append({"event": "end"})
            self._changed.notify_all()

    def wait_event(self, name, timeout=60.0, after=0):
        """The first event of that name that is number `after` or later."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self._events[after:]:
                    if event.get("event") == name:
                        return event
                    if event.get("event") == "end":
                        raise LabError(f"{self.words[0]} ended (status {self.process.wait()}) before '{name}'")
                if not self._changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise LabError(f"{self.words[0]}: no '{name}' within {timeout:g} s")

    def position(self):
        with self._changed:
            return len(self._events)

    def signal(self, number):
        self.process.send_signal(number)

    def events(self):
        """All it has said so far, with {"event": "end"} once it has ended."""
        with self._changed:
            return list(self._events)

    def finish(self, timeout=60):
        """Wait until it ends by itself; returns the last thing it said."""
        self.process.wait(timeout)
        self.close()
        return self.events()[-2]

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(10)
        self.process.stdout.close()


@dataclass
class Verdict:
    """What became of the connections since the mark; each is counted once, by the end that speaks on it."""

    before: int
    alive: int
    killed: int
    hung: int
    median_wait_ms: float
    longest_wait_ms: float
    reasons: dict = field(default_factory=dict)

    @classmethod
    def of(cls, *sides):
        """The sum of both processes' reports."""
        reasons = {}
        for side in sides:
            for reason, count in side["reasons"].items():
                reasons[reason] = reasons.get(reason, 0) + count
        return cls(sum(side["speaking"] for side in sides), sum(side["alive"] for side in sides),
                   sum(side["killed"] for side in sides), sum(side["hung"] for side in sides),
                   max(side["median_wait_ms"] for side in sides), max(side["longest_wait_ms"] for side in sides),
                   reasons)


class Traffic:
    """TCP connections from one namespace to an address in another, which keep talking until close()."""

    def __init__(self, client, server, address, count, speak="half", port=5001, ports=4, interval_ms=200,
                 rate=4000, duration_s=600, verdict_s=30, listen=None):
        """listen: the server's own address, where a translation makes it another than what is called."""
        self.count = count
        common = ["--port", port, "--ports", ports, "--interval", interval_ms, "--duration", duration_s, "--verdict",
                  verdict_s]
        self.server = JsonLines(server, program("tools/traffic"), "serve", "--address", listen or address, *common)
        self.server.wait_event("ready")
        self.client = JsonLines(client, program("tools/traffic"), "connect", "--address", address, *common, "--count",
                                count, "--speak", speak, "--rate", rate)
        self._marks = (0, 0)

    def wait_ready(self, timeout=120):
        """Wait until every connection stands and has carried bytes; LabError if one did not come up."""
        ready = self.client.wait_event("ready", timeout)
        if ready["opened"] != self.count:
            raise LabError(f"{self.count - ready['opened']} of {self.count} connections did not open: {ready}")
        return ready

    def mark(self, wait=True):
        """Now is the cut: what is sent from now on proves that a connection lives.  Without `wait`, wait_marked() is due."""
        self._marks = (self.server.position(), self.client.position())
        for side in (self.server, self.client):
            side.signal(signal.SIGUSR1)
        if wait:
            self.wait_marked()

    def wait_marked(self):
        for side, after in zip((self.server, self.client), self._marks):
            side.wait_event("marked", after=after)

    def verdict(self, timeout=60):
        """Wait until the fate of every connection since the mark is known."""
        sides = [side.wait_event("decided", timeout, after)
                 for side, after in zip((self.server, self.client), self._marks)]
        return Verdict.of(*sides)

    def summary(self):
        """The state of things now, waits since the mark included."""
        sides = []
        for side in (self.server, self.client):
            after = side.position()
            side.signal(signal.SIGUSR2)
            sides.append(side.wait_event("summary", after=after))
        return Verdict.of(*sides)

    def close(self):
        self.client.close()
        self.server.close()


def render(sections):
    """A configuration file from {"node": {"id": 1}, "link sync0": {...}}; a list repeats its key, None leaves it out."""
    lines = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        for key, values in keys.items():
            for value in values if isinstance(values, (list, tuple)) else [values]:
                if value is not None:
                    lines.append(f"{key} = {value}")
        lines.append("")
    return "\n".join(lines)


class Daemon:
    """twintrackd in one firewall's namespace: its files, its process, and the command that speaks with it."""

    def __init__(self, space, node, directory, defaults):
        self.space = space
        self.node = node
        self.directory = directory
        self.defaults = defaults
        self.config = os.path.join(directory, "twintrackd.conf")
        self.socket = os.path.join(directory, "control.sock")
        self.log_path = os.path.join(directory, "log")
        self.process = None
        self.environment = {"NOTIFY_SOCKET": ""}  # of the daemon and the command, besides this process's own
        self.run_directory = None
        os.makedirs(directory, exist_ok=True)

    def write_config(self, overrides=None, **changes):
        """Write the configuration: the lab's defaults, changed by {"section": {"key": value}}.

        A section that is None is left out; so is a key.
        """
        sections = {name: dict(keys) for name, keys in self.defaults.items()}
        for source in (overrides or {}), changes:
            for name, keys in source.items():
                if keys is None:
                    sections.pop(name, None)
                else:
                    sections.setdefault(name, {}).update(keys)
        with open(self.config, "w", encoding="ascii") as file:
            file.write(render(sections))

    def start(self, wait=True, overrides=None, **changes):
        """Start it; wait until its socket answers.  Without changes an existing configuration stays as it is."""
        if overrides or changes or not os.path.exists(self.config):
            self.write_config(overrides, **changes)
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.space.popen(program("twintrackd"), "-C", self.config, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment})
        if wait:
            wait_for(self._is_up, what=f"node {self.node} answers")
        return self

    def _is_up(self):
        if self.process.poll() is not None:
            raise LabError(f"node {self.node}: twintrackd ended with {self.process.returncode}\n{self.log()}")
        return self.twintrack("status", "--json", check=False).returncode == 0

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=60):
        """A clean end; returns its exit status."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        return self.process.wait(timeout) if self.process else 0

    def kill(self):
        """SIGKILL: nothing of it gets to run any more."""
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def pause(self):
        """SIGSTOP: it hangs, with everything it holds open."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def command(self, *words):
        """The words that run `twintrack` against this daemon."""
        return self.space.command(program("twintrack"), "--socket", self.socket, *words)

    def twintrack(self, *words, check=True, timeout=120):
        """Run a verb to its end."""
        return self.space.run(program("twintrack"), "--socket", self.socket, *words, check=check, timeout=timeout,
                              env={**os.environ, **self.environment})

    def status(self):
        return json.loads(self.twintrack("status", "--json").stdout)

    def peer(self, node):
        """What status says of one peer; {} when it is not known."""
        return next((peer for peer in self.status()["peers"] if peer["node"] == node), {})

    def wait_synced(self, timeout=300, peers=1):
        """Wait for proven equality both ways."""
        return self.twintrack("wait-synced", "--timeout", f"{timeout}s", "--peers", peers, timeout=timeout + 10)

    # -- accidents -----------------------------------------------------------------------------------------------

    def own_clock(self):
        """From its next start on its wall clock is set by set_clock(), not by the host."""
        path = os.path.join(os.path.dirname(self.directory), f"clock{self.node}")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(struct.pack("=q", 0))
        self.environment |= {"LD_PRELOAD": program("tools/wallclock.so"), "TWINTRACK_WALLCLOCK": path,
                             "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set_clock(self, seconds):
        """Its wall clock is wrong by so many seconds from now on, also while it runs."""
        with open(self.environment["TWINTRACK_WALLCLOCK"], "r+b") as file:
            file.write(struct.pack("=q", seconds))

    def own_run_directory(self):
        """From its next start on its socket and its state file lie in a file system of their own."""
        self.run_directory = os.path.join(self.directory, "run")
        os.makedirs(self.run_directory)
        run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", self.run_directory])
        self.socket = os.path.join(self.run_directory, "control.sock")
        self.defaults["control"] = {**self.defaults["control"], "socket": self.socket}

    def fill_disk(self):
        """No byte more goes into that file system."""
        with open(os.path.join(self.run_directory, "filler"), "wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)) == 4096:
                pass

    def free_disk(self):
        with suppress(FileNotFoundError):
            os.remove(os.path.join(self.run_directory, "filler"))

    def forget(self):
        """What a reboot does to its runtime directory: only the configuration and the log stay."""
        self.kill()
        self._unmount()
        for name in os.listdir(self.directory):
            path = os.path.join(self.directory, name)
            if path not in (self.config, self.log_path):
                os.rmdir(path) if os.path.isdir(path) else os.remove(path)

    def _unmount(self):
        if self.run_directory:
            run(["umount", "-l", self.run_directory], check=False)
        self.run_directory = None

    def log(self):
        """All it has logged so far, over all its starts."""
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        self.kill()
        self._unmount()
        shutil.rmtree(self.directory, ignore_errors=True)
