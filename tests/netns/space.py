# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces that never outlive the process that made them, and waiting for conditions.

Every namespace is named tt-PID-SERIAL-ROLE.  It goes, with all that runs in it, when its owner closes it, when the
process ends, and on SIGTERM and SIGHUP; what a process left that was killed with SIGKILL, the next one sweeps.
"""

import atexit
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

PREFIX = "tt-"
CLONE_NEWNET = 0x40000000
RUN = "/run/netns"
RUN_DIRECTORY = "/run"
DIRECTORY = "twintrack-lab"

_libc = ctypes.CDLL(None, use_errno=True)
_cleanups = []


class LabError(Exception):
    """Something outside the tested program does not work: a command failed, a condition never came true."""


def at_exit(function):
    """Register function to run when this process ends, however (but SIGKILL); returns it for cancel_at_exit."""
    if not _cleanups:
        atexit.register(_run_cleanups)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda signum, frame: sys.exit(128 + signum))
    _cleanups.append((os.getpid(), function))
    return function


def cancel_at_exit(function):
    """The opposite of at_exit, once the thing was cleaned up by its owner."""
    _cleanups[:] = [entry for entry in _cleanups if entry[1] != function]


def _run_cleanups():
    while _cleanups:
        owner, function = _cleanups.pop()
        if owner != os.getpid():
            continue
        try:
            function()
        except Exception as error:  # the other cleanups must still run
            print(f"lab: clean-up: {error}", file=sys.stderr)


def run(command, check=True, text_in=None, timeout=120, env=None):
    """Run a command (a list) and return the CompletedProcess with text; LabError when check and it failed."""
    done = subprocess.run([str(word) for word in command], input=text_in, capture_output=True, text=True,
                          timeout=timeout, env=env)
    if check and done.returncode:
        raise LabError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_for(condition, timeout=60.0, what="", interval=0.02):
    """Wait until condition() is true and return its value; LabError after timeout seconds.

    The limit is generous by intention: a test fails because something does not happen, not because it is slow.
    """
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"not within {timeout:g} s: {what or getattr(condition, '__doc__', '') or condition}")
        time.sleep(interval)


def pids_in(name):
    """The processes in a namespace."""
    done = run(["ip", "netns", "pids", name], check=False)
    return [int(word) for word in done.stdout.split()]


def kill_all(name):
    """SIGKILL to all that runs in a namespace."""
    for pid in pids_in(name):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def destroy(name):
    """Kill what runs in a namespace, and remove it."""
    kill_all(name)
    run(["ip", "netns", "del", name], check=False)


def _is_orphan(name, prefix):
    """A name PREFIX-PID-... whose process no longer exists."""
    pid = name[len(prefix):].split("-")[0] if name.startswith(prefix) else ""
    return pid.isdigit() and not os.path.exists(f"/proc/{pid}")


def _unmount_below(directory):
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        points = [line.split()[1] for line in mounts]
    for point in points:
        if point.startswith(directory + "/"):
            run(["umount", "-l", point], check=False)


def sweep():
    """Remove the namespaces and directories of processes that no longer exist."""
    for name in os.listdir(RUN) if os.path.isdir(RUN) else []:
        if _is_orphan(name, PREFIX):
            destroy(name)
    for name in os.listdir(RUN_DIRECTORY):
        if _is_orphan(name, f"{DIRECTORY}-"):
            _unmount_below(os.path.join(RUN_DIRECTORY, name))
            shutil.rmtree(os.path.join(RUN_DIRECTORY, name), ignore_errors=True)


class Namespace:
    """One network namespace, and the commands that act in it."""

    def __init__(self, name):
        self.name = name
        self._cleanup = at_exit(lambda: destroy(name))
        # ip-netns(8) makes /run/netns a shared mount at its first call; two processes at once fight over that
        with open("/run/twintrack-netns.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            run(["ip", "netns", "add", name])
        self.ip("link set lo up")

    def close(self):
        destroy(self.name)
        cancel_at_exit(self._cleanup)

    def command(self, *words):
        """The words of a command, led by what makes it run in this namespace."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def run(self, *words, **options):
        return run(self.command(*words), **options)

    def popen(self, *words, **options):
        """Start a program here; its pid is the program's own (ip-netns(8) replaces itself)."""
        return subprocess.Popen(self.command(*words), **options)

    def ip(self, *lines, force=False):
        """Apply lines of ip(8) commands in one process, so that they happen as good as at once.

        With force a line that fails stops nothing, and is no error.
        """
        run(["ip", "-n", self.name, *(["-force"] if force else []), "-batch", "-"], check=not force,
            text_in="\n".join(lines) + "\n")

    def nft(self, script):
        """Apply an nft(8) script as one transaction."""
        return self.run("nft", "-f", "-", text_in=script)

    def sysctl(self, **settings):
        """Write sysctls; a name's dots are written __ (ip_forward is net__ipv4__ip_forward)."""
        self.run("sysctl", "-qw", *[f"{key.replace('__', '.')}={value}" for key, value in settings.items()])

    def sysctl_read(self, name):
        return self.run("cat", "/proc/sys/" + name.replace(".", "/")).stdout.strip()

    @contextmanager
    def entered(self):
        """This thread's new sockets belong to the namespace while the context lasts."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"{RUN}/{self.name}", "rb") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        error = ctypes.get_errno()
        raise LabError(f"setns: {os.strerror(error)}")
