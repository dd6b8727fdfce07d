# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon tells its service manager, and the files that describe it to one."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from lab import wait_for
from programs import ROOT, program
from supervisor import Supervisor

UNIT = os.path.join(ROOT, "conf/systemd/twintrackd.service")


@pytest.fixture
def supervise(lab):
    """supervise(node, ...): a Supervisor for a node of the lab."""
    made = []

    def make(node=1, **options):
        made.append(Supervisor(lab.daemon[node], **options))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.close()


def test_ready_is_told_when_the_socket_answers_and_a_status_follows(lab, supervise):
    manager = supervise().start()
    assert lab.daemon[1].twintrack("health").returncode == 0, "at once, not after a while"
    manager.wait("STATUS=init, term 0, ")
    lab.daemon[1].twintrack("primary")
    manager.wait("STATUS=primary, term 1, ")


def test_a_reload_is_told_with_its_time_and_its_end(lab, supervise):
    manager = supervise().start()
    before, start = len(manager.messages), time.clock_gettime(time.CLOCK_MONOTONIC)
    lab.daemon[1].signal(signal.SIGHUP)
    manager.wait("READY=1", before)
    lines = manager.lines(before)
    assert "RELOADING=1" in lines and lines.index("RELOADING=1") < lines.index("READY=1")
    at = int(next(line for line in lines if line.startswith("MONOTONIC_USEC=")).partition("=")[2]) / 1e6
    assert start <= at <= time.clock_gettime(time.CLOCK_MONOTONIC)


def test_a_reload_that_fails_ends_as_ready_too(lab, supervise):
    manager = supervise().start()
    with open(lab.daemon[1].config, "a", encoding="ascii") as file:
        file.write("nonsense = 1\n")
    before = len(manager.messages)
    lab.daemon[1].signal(signal.SIGHUP)
    manager.wait("READY=1", before)
    assert "the running one stays" in lab.daemon[1].log()


def test_an_end_is_told_as_stopping(lab, supervise):
    manager = supervise().start()
    assert manager.stop() == 0
    wait_for(lambda: "STOPPING=1" in manager.lines(), what="STOPPING=1 is told")


def test_a_daemon_that_works_feeds_the_watchdog_and_one_that_hangs_is_ended(lab, supervise):
    manager = supervise(watchdog_us=2000000).start()
    wait_for(lambda: manager.lines().count("WATCHDOG=1") >= 5, what="it is fed")
    times = [at for at, lines in manager.messages if "WATCHDOG=1" in lines]
    assert len(times) / (times[-1] - times[0]) > 1, "more often than every second, for a limit of two"
    lab.daemon[1].pause()
    assert manager.watch() == -signal.SIGABRT
    manager.start()
    assert lab.daemon[1].twintrack("status").returncode == 0, "and it starts again"


# ---- the journal ----

class Journal:
    """Listens where journald does, for a daemon that sees it there in a mount namespace of its own."""

    def __init__(self, daemon):
        self.directory = os.path.join(daemon.directory, "journal")
        os.mkdir(self.directory)
        self.entries = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(self.directory, "socket"))
        for path in (os.path.dirname(daemon.directory), daemon.directory, self.directory):
            os.chmod(path, 0o755)
        os.chmod(os.path.join(self.directory, "socket"), 0o666)
        self.socket.setblocking(False)
        script = "mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/journal && " \
                 f"mount --bind {self.directory} /run/systemd/journal && exec \"$0\" \"$@\""
        self.launcher = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                         f"mkdir -p /run/systemd && {script}"]

    def find(self, **fields):
        """The first entry that has all of these."""
        while True:
            try:
                lines = self.socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                break
            self.entries.append(dict(line.split("=", 1) for line in lines))
        return next((entry for entry in self.entries if fields.items() <= entry.items()), None)


def test_messages_in_the_journal_have_fields(lab):
    daemon = lab.daemon[1]
    journal = Journal(daemon)
    daemon.write_config(log={"target": "journal"})
    with open(daemon.log_path, "a", encoding="utf-8") as log:
        daemon.process = daemon.space.popen(*journal.launcher, program("twintrackd"), "-C", daemon.config, stdout=log, stderr=log)
    wait_for(lambda: daemon.process.poll() is not None or daemon.twintrack("health", check=False).returncode != 3,
             what="it answers, or has ended")
    daemon.twintrack("primary")
    asked = wait_for(lambda: journal.find(TWINTRACK_MESSAGE="asked-primary"), what="who asked")
    assert asked["TWINTRACK_CLIENT_UID"] == "0" and asked["TWINTRACK_NODE"] == "1" and asked["PRIORITY"] == "5"
    assert re.fullmatch("[0-9a-f]{32}", asked["MESSAGE_ID"]) and asked["MESSAGE"].startswith("primary asked by")
    lab.daemon[2].start()
    wait_for(lambda: journal.find(TWINTRACK_MESSAGE="peer-alive", TWINTRACK_PEER="2"), what="a peer by its number")
    daemon.space.run("ip", "link", "set", "sync0", "down")
    down = wait_for(lambda: journal.find(TWINTRACK_LINK="sync0", PRIORITY="4"), what="a link by its name")
    assert down["TWINTRACK_MESSAGE"] == "link-sync0"
    assert daemon.log() == "", "and nothing on stderr"
    assert daemon.stop() == 0


def test_without_a_service_manager_nothing_is_missing(lab):
    assert lab.daemon[1].start().twintrack("reload").returncode == 0
    assert lab.daemon[1].stop() == 0


# ---- the files ----

def analyze(tmp_path, *words):
    """systemd-analyze on the unit, with programs where it names them."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    text = open(UNIT, encoding="utf-8").read()
    for name in ("/usr/sbin/twintrackd", "/usr/bin/twintrack", "/bin/kill", "/sbin/modprobe"):
        text = re.sub(rf"(=\+?-?){name}\b", r"\1/bin/true", text)
    unit = tmp_path / "twintrackd.service"
    unit.write_text(re.sub(r"^Documentation=.*$", "", text, flags=re.M))
    return subprocess.run(["systemd-analyze", *words, str(unit)], text=True, capture_output=True, check=False)


def test_the_unit_is_valid(tmp_path):
    done = analyze(tmp_path, "verify")
    if "recursive" in done.stderr.lower():
        pytest.skip(done.stderr)
    complaints = [line for line in done.stderr.splitlines() if "twintrackd" in line]
    assert done.returncode == 0 and complaints == [], done


def test_the_unit_is_hardened(tmp_path):
    done = analyze(tmp_path, "security", "--offline=yes", "--no-pager")
    if "Unknown option" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze can't judge a file")
    score = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout).group(1))
    assert score <= 2.0, done.stdout


LAUNCHER = """
import ctypes, os, sys
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
rules = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(0x80000000)))
for name in sys.argv[1].split(","):
    call = library.seccomp_syscall_resolve_name(name.encode())
    if call != -1:
        library.seccomp_rule_add(rules, ctypes.c_uint32(0x7fff0000), call, 0)
assert library.seccomp_load(rules) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def calls_in(group):
    """The calls of a group of systemd's, and of the groups in it."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", group], text=True, capture_output=True,
                          check=True)
    calls = set()
    for word in (line.strip() for line in done.stdout.splitlines()[1:]):
        if word and not word.startswith("#"):
            calls |= calls_in(word) if word.startswith("@") else {word}
    return calls


def calls_that_the_unit_allows():
    """SystemCallFilter=, line by line: the first one allows, ~ takes away, another one adds."""
    calls = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", open(UNIT, encoding="utf-8").read(), re.M):
        for word in line.lstrip("~").split():
            named = calls_in(word) if word.startswith("@") else {word}
            calls = calls - named if line.startswith("~") else calls | named
    return calls


def test_the_units_filter_of_system_calls_lets_the_daemon_live(lab):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    daemon = lab.daemon[1]
    daemon.write_config()
    with open(daemon.log_path, "a", encoding="utf-8") as log:
        daemon.process = daemon.space.popen(sys.executable, "-c", LAUNCHER, ",".join(calls_that_the_unit_allows()),
                                            program("twintrackd"), "-C", daemon.config, stdout=log, stderr=log)
    wait_for(lambda: daemon.process.poll() is not None or daemon.twintrack("health", check=False).returncode != 3,
             what="it answers, or has ended")
    assert daemon.process.poll() is None, daemon.process.returncode
    assert daemon.twintrack("primary").returncode == 0 and daemon.twintrack("reload").returncode == 0
    assert daemon.stop() == 0


def test_each_sysctl_of_the_example_exists_and_has_its_reason(lab):
    path = os.path.join(ROOT, "conf/sysctl/twintrack.conf")
    keys = re.findall(r"^#?([a-z][\w.]+) = \d", open(path, encoding="utf-8").read(), re.M)
    assert "net.netfilter.nf_conntrack_events" in keys and "net.netfilter.nf_conntrack_tcp_loose" in keys
    for key in keys:
        assert lab.fw[1].run("cat", "/proc/sys/" + key.replace(".", "/")).stdout.strip().isdigit(), key


def test_the_openrc_script_is_a_script():
    path = os.path.join(ROOT, "conf/openrc/twintrackd")
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    text = open(path, encoding="utf-8").read()
    assert text.startswith("#!/sbin/openrc-run\n") and os.access(path, os.X_OK)
    assert re.search(r"^depend\(\)", text, re.M) and re.search(r"^start_pre\(\)", text, re.M)
