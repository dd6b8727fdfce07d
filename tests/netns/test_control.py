# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket: many clients, bad clients and clients without rights hurt nobody."""

import os
import socket
import struct

import pytest

from lab import wait_for
from programs import program

FLOWS = 100000
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def connect(daemon):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(30)
    sock.connect(daemon.socket)
    return sock


def request(*words):
    """A REQUEST of syncd/control/message.h."""
    payload = b"".join(word.encode() + b"\0" for word in words)
    return struct.pack("!IB", len(payload), 1) + payload


def answer(sock):
    """All that comes until the daemon closes: [(type, payload)]."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    messages = []
    while data:
        length, kind = struct.unpack_from("!IB", data)
        messages.append((kind, data[5:5 + length]))
        data = data[5 + length:]
    return messages


def as_nobody(daemon, *words, groups=("--clear-groups",), check=False):
    """Runs the command as a user without any right."""
    who = [*NOBODY[:-1], *groups]
    return daemon.space.run(*who, program("twintrack"), "--socket", daemon.socket, *words, check=check)


@pytest.fixture
def open_lab(lab):
    """A lab whose sockets everybody can reach, as those under /run/twintrack."""
    for path in (lab.directory, *(lab.daemon[node].directory for node in lab.nodes)):
        os.chmod(path, 0o755)
    return lab


def test_clients_that_never_read_a_dump_hurt_nobody(lab):
    lab.flowgen(1, "create", "--count", FLOWS)
    lab.start()
    wait_for(lambda: lab.daemon[2].peer(1).get("in_sync") and lab.daemon[2].peer(1)["flows"] == FLOWS, what="in step")
    daemon = lab.daemon[1]
    stuck = [connect(daemon) for _ in range(20)]
    for sock in stuck:
        sock.sendall(request("dump", "table=internal"))
    wait_for(lambda: daemon.status()["clients"] > 20, what="they are served")
    memory = resident(daemon)
    sent, silent = daemon.status()["network"]["sent_datagrams"], 0
    while daemon.status()["network"]["sent_datagrams"] < sent + 10:
        silent = max(silent, lab.daemon[2].peer(1)["silent_ms"])
        assert lab.daemon[2].peer(1)["alive"]
    assert silent < 1000
    assert sum(lab.table_flows(1, "internal").values()) == FLOWS, "another client gets its whole dump"
    assert daemon.twintrack("health").returncode == 0
    assert lab.daemon[2].peer(1)["in_sync"]
    assert daemon.status()["longest_turn_us"] < 500000, "nothing takes long at a time"
    assert resident(daemon) - memory < 20 << 20, "what waits for them is bounded"
    for sock in stuck:
        sock.close()
    wait_for(lambda: daemon.status()["clients"] == 1, what="they are forgotten")


def resident(daemon):
    """Bytes of resident memory."""
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_slow_reader_gets_all_of_a_table_that_changes_meanwhile(lab):
    lab.flowgen(1, "create", "--count", 20000)
    daemon = lab.daemon[1].start()
    wait_for(lambda: daemon.status()["internal"]["flows"] == 20000)
    with connect(daemon) as sock:
        sock.sendall(request("dump", "table=internal"))
        lab.flowgen(1, "update", "--count", 100, "--mark", 5)
        lab.flowgen(1, "create", "--first", 20000, "--count", 100)
        wait_for(lambda: daemon.status()["internal"]["flows"] == 20100)
        messages = answer(sock)
    assert messages[-1] == (6, b"\0")
    assert sum(len(payload) for kind, payload in messages if kind == 2) > 20000 * 20


def test_who_is_nobody_may_look_and_not_touch(open_lab):
    lab = open_lab
    lab.start()
    daemon = lab.daemon[1]
    daemon.wait_synced(60)
    for words in (["status"], ["status", "--json"], ["health"], ["-C", "internal"], ["-L", "external"],
                  ["wait-synced", "--timeout", "30s"]):
        assert as_nobody(daemon, *words).returncode == 0, words
    before = daemon.status()["role"]
    for words in (["primary"], ["backup"], ["fault"], ["commit"], ["resync"], ["flush", "internal"], ["flush", "external"],
                  ["flush", "kernel"], ["reload"]):
        done = as_nobody(daemon, *words)
        assert done.returncode == 1 and "is for root and the members of group twintrack" in done.stderr, done
    assert daemon.status()["role"] == before == "init"
    assert "primary refused to uid 65534" in daemon.log()


def test_members_of_the_group_may_change(open_lab):
    daemon = open_lab.daemon[1].start(overrides={"control": {"group": "daemon"}})
    done = as_nobody(daemon, "backup", groups=["--groups", "1"])
    assert done.returncode == 0, done
    assert daemon.status()["role"] == "backup" and "backup asked by uid 65534" in daemon.log()
    daemon.kill()
    assert daemon.start().status()["role"] == "backup", "the daemon wrote it down"


def test_readers_are_whom_the_configuration_names(open_lab):
    daemon = open_lab.daemon[1].start(overrides={"control": {"group": "daemon", "reader-group": "adm"}})
    for words in (["status"], ["health"], ["metrics"], ["-L", "internal"], ["-C", "external"], ["verify"]):
        done = as_nobody(daemon, *words)
        assert done.returncode == 1 and "reading is for root and the members of the groups daemon and adm" in done.stdout + done.stderr
    assert as_nobody(daemon, "status", groups=["--groups", "4"]).returncode == 0
    assert as_nobody(daemon, "backup", groups=["--groups", "4"]).returncode == 1, "a reader changes nothing"
    assert as_nobody(daemon, "backup", groups=["--groups", "1"]).returncode == 0
    assert daemon.twintrack("status").returncode == 0


@pytest.mark.parametrize("garbage", [
    b"\0" * 5, b"\xff" * 5, b"GET / HTTP/1.0\r\n\r\n", struct.pack("!IB", 4096, 6) + b"x" * 4096,
    struct.pack("!IB", 1 << 31, 1), request("status")[:-1] + b"x", request("nonsense"), request("dump", "table=cheese"),
    request("dump", "table=external", "peer=-1"), request("resync", "peer=99999999999999999999"), request("flush"),
    request("status", *["a=b"] * 17), os.urandom(3000)])
def test_garbage_is_answered_with_a_refusal_or_an_end(lab, garbage):
    daemon = lab.daemon[1].start()
    with connect(daemon) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        try:
            messages = answer(sock)
        except ConnectionResetError:
            messages = []
    assert not messages or (messages[-1][0] == 6 and messages[-1][1][0] == 2)
    assert daemon.status()["role"] == "init" and daemon.is_running()


def test_one_user_takes_no_place_of_root_or_of_other_readers(open_lab):
    daemon = open_lab.daemon[1].start()
    script = ("import socket, sys, time\nsocks = [socket.socket(socket.AF_UNIX) for _ in range(300)]\n"
              f"for s in socks: s.connect({daemon.socket!r})\nprint('ready', flush=True)\ntime.sleep(60)\n")
    crowd = daemon.space.popen("setpriv", "--reuid", "1001", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", script,
                               stdout=-1, text=True)
    try:
        assert crowd.stdout.readline() == "ready\n"
        wait_for(lambda: daemon.status()["clients"] >= 16, what="they hold their places")
        assert daemon.twintrack("backup").returncode == 0
        assert as_nobody(daemon, "status").returncode == 0, "another user is served"
        assert "too many clients" in daemon.log() and "of uid 1001" in daemon.log()
    finally:
        crowd.kill()
        crowd.wait()
        crowd.stdout.close()
    wait_for(lambda: daemon.status()["clients"] < 16, what="the places are free again")
