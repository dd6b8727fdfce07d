# SPDX-License-Identifier: GPL-2.0-or-later
"""The command against two real daemons in two namespaces: every verb, and what -L shows of the three tables."""
import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
from test_differential import FLOWS, OPTIONS
from twintrack_command import PROGRAM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

SYNC_PORT = 9788

CONFIG = """\
[node]
id = {id}
[sync]
key-file = {key}
[link sync0]
group = 239.192.55.1
[control]
socket = {socket}
[fence]
enable = yes
address = 198.51.100.1
"""


class Node:
    def __init__(self, number, directory, key):
        self.name, self.number = f"ttpair{os.getpid()}-{number}", number
        self.socket, self.config = directory / f"{number}.sock", directory / f"{number}.conf"
        self.log = directory / f"{number}.log"
        self.config.write_text(CONFIG.format(id=number, key=key, socket=self.socket))
        self.daemon = None

    def run(self, *arguments):
        return subprocess.run(["ip", "netns", "exec", self.name, *map(str, arguments)], text=True, timeout=120,
                              capture_output=True)

    def __call__(self, *arguments, code=0):
        done = self.run(PROGRAM, "--socket", self.socket, *arguments)
        assert done.returncode == code, (arguments, done, self.log.read_text())
        return done.stdout

    def start(self):
        with self.log.open("a") as log:
            self.daemon = subprocess.Popen(["ip", "netns", "exec", self.name, f"{PROGRAM}d", "-C", str(self.config)],
                                           stderr=log, stdout=log)
        end = time.monotonic() + 30
        while self.run(PROGRAM, "--socket", self.socket, "status").returncode and time.monotonic() < end:
            assert self.daemon.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(30)

    def status(self):
        return json.loads(self("status", "--json"))


@pytest.fixture
def pair(tmp_path):
    key = tmp_path / "key"
    subprocess.run([PROGRAM, "genkey", key], check=True, stdout=subprocess.DEVNULL)
    nodes = [Node(number, tmp_path, key) for number in (1, 2)]
    with contextlib.ExitStack() as stack:
        for node in nodes:
            subprocess.run(["ip", "netns", "add", node.name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", node.name])
        subprocess.run(["ip", "link", "add", "sync0", "netns", nodes[0].name, "type", "veth", "peer", "name", "sync0",
                        "netns", nodes[1].name], check=True)
        for node in nodes:
            subprocess.run(f"ip -n {node.name} addr add 192.0.2.{node.number}/24 dev sync0; ip -n {node.name} link set "
                           f"sync0 up; ip -n {node.name} link set lo up", shell=True, check=True)
            node.start()
            stack.callback(node.stop)
        yield nodes


def insert(node, count):
    for i in range(1, count + 1):
        done = node.run("conntrack", "-I", "-p", "tcp", "-s", f"10.0.0.{i}", "-d", "192.0.2.77", "--sport", 10, "--dport", 20,
                        "--state", "ESTABLISHED", "-u", "ASSURED,SEEN_REPLY", "-t", 90000, "-m", i % 2)
        assert done.returncode == 0, done.stderr


def lines(text):
    """Without what one kernel alone knows: the seconds left, how often it refers to the flow, and the sync traffic of
    its own node (the fence makes the kernel track connections while a takeover fills its table)."""
    return sorted(" ".join(field for i, field in enumerate(line.split()) if i != 2 and not field.startswith("use="))
                  for line in text.splitlines() if f"dport={SYNC_PORT}" not in line)


def test_every_verb_on_a_pair_that_fails_over(pair):
    active, standby = pair
    assert "this node has no role yet" in active("status")
    assert active("primary").startswith("this node is primary, was init")
    assert standby("backup").startswith("this node is backup, was init")
    insert(active, 5)
    assert standby("wait-synced", "--timeout", "30s") == "1 peer in sync\n"
    end = time.monotonic() + 30
    while standby("-C", "external") != "5\n" and time.monotonic() < end:
        time.sleep(0.05)
    standby("wait-synced", "--timeout", "30s")

    kernel = lines(active.run("conntrack", "-L").stdout)
    assert len(kernel) == 5 and lines(active("-L")) == kernel
    for table in (active("-L", "internal"), standby("-L", "external"), standby("-L", "external", "--peer", "1")):
        assert lines(table) == kernel
    assert (standby("-L", "internal"), standby("-C", "internal"), active("-C", "internal")) == ("", "0\n", "5\n")
    standby("-L", "external", "--peer", "7", code=1)

    assert active("status").startswith("SAFE: node 2 can take over from this node\n")
    assert standby("status").startswith("SAFE: this node can take over from node 1\n")
    assert standby.status()["peers"][0]["flows"] == 5
    assert active("health").startswith("primary") and standby("health").startswith("backup")
    active("verify")
    standby("resync", "--peer", "1")
    standby("resync", "--peer", "7", code=1)
    for table in ("internal", "external"):
        standby("flush", table)
    standby("wait-synced", "--timeout", "30s")
    active("reload")

    active("fault")
    assert standby("primary").splitlines()[0].startswith("this node is primary, was backup")
    assert lines(standby("-L")) == kernel
    assert "ct status" not in standby.run("nft", "list", "ruleset").stdout, "an open fence asks conntrack nothing"
    assert json.loads(standby("primary", "--json"))["changed"] is False
    standby("flush", "kernel")
    assert standby("-C") == "0\n"


class Listener:
    """-E on a table of the daemon's, as it goes."""

    def __init__(self, node, *arguments):
        self.lines, self.node = [], node
        self.process = subprocess.Popen(["ip", "netns", "exec", node.name, PROGRAM, "--socket", node.socket, "-E", *arguments], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, condition):
        end = time.monotonic() + 30
        while not condition(self.lines) and time.monotonic() < end:
            time.sleep(0.02)
        assert condition(self.lines), self.lines

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0
        return self.process.stderr.read()


def wait_until_all_hear(active, listeners):
    """Flows come and go until everybody has heard of one, and of all ends that follow."""
    end = time.monotonic() + 30
    while not all(listener.lines for listener in listeners) and time.monotonic() < end:
        insert(active, 1)
        assert active.run("conntrack", "-D", "-p", "tcp").returncode == 0
        time.sleep(0.1)
    for listener in listeners:
        listener.wait_for(lambda lines: lines and ("DESTROY" in lines[-1] or '"destroy"' in lines[-1]))
        listener.lines.clear()


def test_events_of_the_daemons_tables_are_shown_as_they_come(pair):
    active, standby = pair
    active("primary"), standby("backup")
    listeners = [Listener(active, "internal"), Listener(standby, "external"), Listener(standby, "external", "-m", "1", "-e", "NEW,DESTROY"),
                 Listener(standby, "external", "--peer", "1", "-o", "json")]
    wait_until_all_hear(active, listeners)
    insert(active, 4)
    for listener, count in zip(listeners, (4, 4, 2, 4)):
        listener.wait_for(lambda lines, count=count: len(lines) >= count)
    assert active.run("conntrack", "-U", "-p", "tcp", "-s", "10.0.0.1", "-m", "8").returncode == 0
    for listener in (*listeners[:2], listeners[3]):
        listener.wait_for(lambda lines: any("UPDATE" in line or '"update"' in line for line in lines))
    assert active.run("conntrack", "-D", "-p", "tcp").returncode == 0
    for listener, count in zip(listeners, (9, 9, 3, 9)):
        listener.wait_for(lambda lines, count=count: len(lines) == count)
    for listener in listeners[:2]:
        kinds = [line.split()[0] for line in listener.lines]
        assert kinds == ["[NEW]"] * 4 + ["[UPDATE]"] + ["[DESTROY]"] * 4
        assert all("src=10.0.0." in line and "ESTABLISHED" in line for line in listener.lines)
    assert {json.loads(line)["node"] for line in listeners[3].lines} == {1}
    insert(active, 1)
    listeners[1].wait_for(lambda lines: len(lines) == 10)
    done = standby.run(PROGRAM, "--socket", standby.socket, "-F", "external")
    assert done.returncode == 0 and "emptied" in done.stderr
    words = [listener.end() for listener in listeners]
    assert all("flow events have been shown" in text for text in words)
    assert "the table for node 1 was emptied" in words[1]


FILTERS = ["", *(option for option in OPTIONS if option.split()[0] not in ("-o", "-t", "-i", "-z", "-e", "-b", "-c", "--label-add", "--label-del=one",
                                                                          "--tuple-src", "--tuple-dst", "--mask-src", "--mask-dst", "-l")),
           "-s 1.2.3.4 --mask-src 255.255.0.0 -d 5.6.7.9 --mask-dst 255.255.255.0", "-u UNREPLIED", "-u FIXED_TIMEOUT", "-p tcp -m 7 -u ASSURED",
           "-s 2001:db8::1 -p udp", "-p icmpv6 --icmpv6-type 128", "-g 9.9.9.8 -p udp", "-j 9.9.9.9:5", "-w 3 -p tcp", "-p tcp --sport 10 -f ipv6"]


def comparable(text):
    """Without what one kernel alone knows, and without the tick of a second."""
    return sorted(re.sub(r" use=\d+|(?<=\S )\d{2,}(?= (?:src|[A-Z]))", "", line) for line in text.splitlines())


def test_all_filters_mean_the_same_on_the_three_tables(pair):
    active, standby = pair
    active("primary"), standby("backup")
    for flow in FLOWS:
        done = active.run("conntrack", "-I", *flow.split())
        assert done.returncode == 0, (flow, done)
    end = time.monotonic() + 30
    while standby("-C", "external") != f"{len(FLOWS)}\n" and time.monotonic() < end:
        time.sleep(0.05)
    standby("wait-synced", "--timeout", "30s")
    answers = {}
    for options in FILTERS:
        kernel, internal = (comparable(active("-L", table, *options.split())) for table in ("conntrack", "internal"))
        external = comparable(standby("-L", "external", *options.split()))
        assert kernel == internal == external, options
        answers[options] = kernel
    assert len(answers[""]) == len(FLOWS) and sum(bool(rows) for rows in answers.values()) > len(FILTERS) * 2 / 3
    assert len({tuple(rows) for rows in answers.values()}) > 20  # they do tell flows apart
    for table, node in (("internal", active), ("external", standby)):  # what save prints makes the same table
        saved = node("-L", table, "-o", "save")
        assert active.run("conntrack", "-F").returncode == 0
        done = active.run("bash", "-c", f"{PROGRAM} -R - <<'END'\n{saved}END")
        assert done.returncode == 0, (table, done)
        again, before = (sorted(re.sub(r" mark=\d+", "", row) for row in rows) for rows in (comparable(active("-L")), answers[""]))
        assert again == before, table  # conntrack(8) 1.4.7 saves no marks
        if table == "internal":
            standby("wait-synced", "--timeout", "30s")
