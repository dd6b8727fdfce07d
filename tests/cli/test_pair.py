# SPDX-License-Identifier: GPL-2.0-or-later
"""The command against two real daemons in two namespaces: every verb, and what -L shows of the three tables."""
import contextlib
import json
import os
import subprocess
import time

import pytest
from twintrack_command import PROGRAM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

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
    """Without what one kernel alone knows: the seconds left, and how often it refers to the flow."""
    return sorted(" ".join(field for i, field in enumerate(line.split()) if i != 2 and not field.startswith("use="))
                  for line in text.splitlines())


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
    assert json.loads(standby("primary", "--json"))["changed"] is False
    standby("flush", "kernel")
    assert standby("-C") == "0\n"
