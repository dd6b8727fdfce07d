# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting, ending and reloading: a clear error and nothing left behind, or a daemon that goes on where it was."""

import os
import re
import signal
import socket

import pytest

from lab import Lab, wait_for
from programs import program
import test_fence


def fails(lab, code=1, words="", leaves=(), by=()):
    """Runs node 1's daemon, which must end with this code and these words, and leave nothing behind but `leaves`."""
    daemon = lab.daemon[1]
    if not os.path.exists(daemon.config):
        daemon.write_config()
    before = set(os.listdir(daemon.directory))
    done = lab.fw[1].run(*by, program("twintrackd"), "-C", daemon.config, check=False, timeout=30)
    assert done.returncode == code, done
    assert re.search(words, done.stderr), done.stderr
    assert set(os.listdir(daemon.directory)) == before | set(leaves)
    assert "twintrack" not in lab.fw[1].run("nft", "list", "tables").stdout
    assert "9788" not in lab.fw[1].run("ss", "-Hlun").stdout
    return done.stderr


# ---- the configuration ----

@pytest.mark.parametrize("change, words", [
    ({"node": {"id": 0}}, r"twintrackd\.conf:2: .*id.*1 to 65535"),
    ({"node": {"colour": "red"}}, r"twintrackd\.conf:3: .*colour.*"),
    ({"sync": {"heartbeat": "5"}}, r"twintrackd\.conf:\d+: .*heartbeat.*20ms.*10s"),
    ({"sync": {"cipher": "rot13"}}, r"twintrackd\.conf:\d+: .*cipher.*aes-256-gcm.*chacha20-poly1305"),
    ({"link sync0": {"group": "10.0.0.1"}}, r"twintrackd\.conf:\d+: .*group.*multicast"),
    ({"link sync0": {"mtu": "100"}}, r"twintrackd\.conf:\d+: .*mtu.*1280.*9000"),
    ({"commit": {"mode": "hot"}}, r"twintrackd\.conf:\d+: .*mode.*hot.*on-failover, warm"),
    ({"commit": {"tcp-window": "loose"}}, r"twintrackd\.conf:\d+: .*tcp-window.*loose.*liberal, strict"),
    ({"expect": {"helpers": "none ftp"}}, r"twintrackd\.conf:\d+: .*helpers.*none, all"),
    ({"filter": {"protocols": "quic"}}, r"twintrackd\.conf:\d+: .*protocols.*tcp udp"),
    ({"filter": {"ignore-address": "10.0.0.1/8"}}, r"twintrackd\.conf:\d+: .*ignore-address.*LENGTH"),
    ({"filter": {"accept-mark": "7/0"}}, r"twintrackd\.conf:\d+: .*accept-mark.*MASK"),
    ({"filter": {"tcp-states": "open"}}, r"twintrackd\.conf:\d+: .*tcp-states.*established"),
    ({"nodes": {"id": 1}}, r"twintrackd\.conf:\d+: .*nodes"),
    ({"sync": {"key-file": None}}, r"twintrackd\.conf.*key-file"),
])
def test_a_wrong_configuration_is_named_by_line_key_and_what_is_allowed(lab, change, words):
    daemon = lab.daemon[1]
    daemon.write_config(overrides=change)
    checks = [lab.fw[1].run(program("twintrackd"), "-C", daemon.config, "--check", check=False),
              lab.fw[1].run(program("twintrack"), "check-config", daemon.config, check=False)]
    for done in checks:
        assert re.search(words, done.stdout + done.stderr), done
    assert [done.returncode for done in checks] == [2, 2]
    fails(lab, 2, words)


def test_a_good_configuration_checks_without_a_word(lab):
    lab.daemon[1].write_config()
    done = lab.fw[1].run(program("twintrackd"), "--check", "-C", lab.daemon[1].config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unreadable_configuration_is_named(lab):
    missing = os.path.join(lab.directory, "none.conf")
    for path, words in ((missing, "No such file"), (lab.directory, "directory")):
        done = lab.fw[1].run(program("twintrackd"), "-C", path, check=False)
        assert done.returncode == 2 and path in done.stderr and words in done.stderr, done


@pytest.mark.parametrize("words", [["--nonsense"], ["extra"]])
def test_a_wrong_command_line_shows_the_usage(lab, words):
    done = lab.fw[1].run(program("twintrackd"), *words, check=False)
    assert done.returncode == 2 and "usage: twintrackd" in done.stderr


# ---- what must be there ----

def test_a_key_that_others_can_read_is_refused(lab):
    os.chmod(lab.key, 0o644)
    fails(lab, 1, "key file .*its mode is 0644; it must be 0600")
    os.chmod(lab.key, 0o640)
    lab.daemon[1].start()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_size_is_refused(lab, size):
    os.truncate(lab.key, size)
    fails(lab, 1, "key file .*exactly 32 bytes")


def test_a_missing_key_is_refused_with_what_to_do(lab):
    os.remove(lab.key)
    fails(lab, 1, "key file .*No such file.*twintrack genkey")


# ---- sync links that come late ----

def problems(lab, node=1):
    return " / ".join(lab.daemon[node].status()["problems"])


def hide(lab):
    lab.fw[1].ip("link set sync0 down", "link set sync0 name hidden0")


def show(lab):
    address = f"addr replace {lab.sync_address(1)}/24 dev sync0"
    lab.fw[1].ip("link set hidden0 name sync0", "link set sync0 up", address)


@pytest.mark.parametrize("away, words, here", [
    (hide, "link sync0: there is no interface of that name; the link comes with it", show),
    (lambda lab: lab.fw[1].ip("link set sync0 down"), "link sync0: the interface is down",
     lambda lab: lab.fw[1].ip("link set sync0 up")),
    (lambda lab: lab.fw[1].ip(f"addr del {lab.sync_address(1)}/24 dev sync0"),
     "link sync0: the interface has no IPv4 address",
     lambda lab: lab.fw[1].ip(f"addr add {lab.sync_address(1)}/24 dev sync0")),
], ids=["missing", "down", "without-address"])
def test_a_sync_link_that_comes_late_is_named_and_taken_up(lab, away, words, here):
    away(lab)
    lab.start(overrides=test_fence.CONFIGURED)
    daemon = lab.daemon[1]
    daemon.twintrack("primary")
    lab.daemon[2].twintrack("backup")
    assert words in problems(lab) and daemon.status()["links"][0]["problem"] in problems(lab)
    wait_for(lambda: words in daemon.log(), 20, "the log names it")
    assert daemon.twintrack("health", "--strict", check=False).returncode == 1
    lab.flowgen(1, "create", "--count", 100)
    assert daemon.status()["role"] == "primary"
    here(lab)
    daemon.wait_synced(60)
    assert "link sync0" not in problems(lab) and lab.daemon[2].peer(1)["flows"] == 100


def test_one_of_two_links_may_come_late_and_stops_nothing(make_lab):
    lab = make_lab(sync_links=2)
    hide(lab)
    lab.start()
    lab.daemon[1].wait_synced(60)
    assert "link sync0" in problems(lab) and "link sync1" not in problems(lab)
    show(lab)
    wait_for(lambda: not problems(lab) or "link sync0" not in problems(lab), 30, "the link is there")
    lab.dark(1)
    wait_for(lambda: lab.daemon[1].status()["links"][0]["received"] > 20, 30, "and carries")
    lab.daemon[1].wait_synced(60)


def test_an_address_that_the_link_is_to_send_from_and_is_not_there_is_named(lab):
    lab.daemon[1].start(**{"link sync0": {"address": "10.255.0.77"}})
    assert "does not have the IPv4 address that [link sync0] address names" in problems(lab)
    lab.fw[1].ip("addr add 10.255.0.77/24 dev sync0")
    wait_for(lambda: "link sync0" not in problems(lab), 30, "it is there")


def test_an_occupied_port_is_named(lab):
    with lab.fw[1].entered():
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with other:
        other.bind(("0.0.0.0", 9790))
        lab.daemon[1].write_config(overrides={"link sync0": {"port": 9790}})
        fails(lab, 1, "link sync0: UDP port 9790 is taken")


def test_an_interface_that_goes_and_comes_is_taken_up_again(lab):
    lab.start()
    lab.daemon[1].wait_synced(60)
    lab.link_set(1, "sync0", "down")
    wait_for(lambda: not lab.daemon[1].status()["links"][0]["up"], what="the carrier is missed")
    assert "sync0 DOWN" in lab.daemon[1].twintrack("status").stdout
    wait_for(lambda: not lab.daemon[1].peer(2)["alive"], what="node 2 is silent")
    lab.link_set(1, "sync0", "up")
    lab.daemon[1].wait_synced(60)


def test_without_the_capability_it_says_so(lab):
    fails(lab, 1, "CAP_NET_ADMIN is missing", by=["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"])


def test_an_occupied_socket_is_named_and_left_alone(lab):
    daemon = lab.daemon[1].start()
    inode = os.stat(daemon.socket).st_ino
    done = lab.fw[1].run(program("twintrackd"), "-C", daemon.config, check=False, timeout=30)
    assert done.returncode == 1 and "a daemon is running there already" in done.stderr
    assert os.stat(daemon.socket).st_ino == inode and daemon.status()["node"] == 1


def test_a_file_in_the_socket_s_place_is_not_removed(lab):
    daemon = lab.daemon[1]
    with open(daemon.socket, "w", encoding="ascii") as file:
        file.write("precious")
    fails(lab, 1, "a file that is no socket")
    with open(daemon.socket, encoding="ascii") as file:
        assert file.read() == "precious"


def test_a_group_that_does_not_exist_is_named(lab):
    lab.daemon[1].write_config(overrides={"control": {"group": "nosuchgroup"}})
    fails(lab, 1, "no group `nosuchgroup`")


def test_a_late_failure_leaves_no_fence_and_no_socket(lab):
    """Everything is open when the socket's directory turns out to be none."""
    lab.daemon[1].write_config(overrides=test_fence.CONFIGURED, control={"socket": f"{lab.key}/control.sock"})
    fails(lab, 1, "control socket")


# ---- crashes ----

def test_a_killed_daemon_starts_again_in_its_role(lab):
    lab.start(overrides=test_fence.CONFIGURED)
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    lab.flowgen(1, "create", "--count", 100)
    for node, role in ((1, "primary"), (2, "backup")):
        lab.daemon[node].wait_synced(60)
        before = lab.daemon[node].status()
        lab.daemon[node].kill()
        assert os.path.exists(lab.daemon[node].socket), "as a crash leaves it"
        lab.daemon[node].start()
        after = lab.daemon[node].status()
        assert after["role"] == role and after["term"] >= before["term"]
        assert after["session"] != before["session"]
        assert f"going on in role {role}" in lab.daemon[node].log()
        assert after["fence"]["armed"] == (role == "backup")
    wait_for(lambda: lab.daemon[2].peer(1).get("flows") == 100 and lab.daemon[2].peer(1)["in_sync"], what="in step again")


@pytest.mark.parametrize("damage", [b"", b"\0\xff garbage", b"role primary\nterm", os.urandom(5000)])
def test_a_damaged_state_file_does_not_prevent_a_start(lab, damage):
    daemon = lab.daemon[1]
    with open(daemon.socket + ".state", "wb") as file:
        file.write(damage)
    daemon.start()
    assert daemon.status()["role"] == "init"
    assert "state can't be read" in daemon.log() or not damage
    daemon.twintrack("backup")
    daemon.kill()
    assert daemon.start().status()["role"] == "backup"


def test_a_role_asked_for_without_a_daemon_is_taken_at_its_start(lab):
    daemon = lab.daemon[1]
    for role in ("primary", "backup", "fault"):
        done = daemon.twintrack(role, check=False)
        assert done.returncode == 3 and "is kept" in done.stderr
        daemon.start()
        # primary: not before it is known that no peer is there, whose flows would have to be committed first
        wait_for(lambda r=role: daemon.status()["role"] == r, 30, f"the role is {role}")
        daemon.stop()
    assert os.listdir(daemon.directory) and not os.path.exists(daemon.socket)


def test_another_boot_s_role_is_forgotten_and_its_term_kept(lab):
    daemon = lab.daemon[1].start()
    daemon.twintrack("primary")
    term = daemon.status()["term"]
    daemon.stop()
    path = daemon.socket + ".state"
    with open(path, encoding="ascii") as file:
        text = file.read()
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    assert boot in text
    with open(path, "w", encoding="ascii") as file:
        file.write(text.replace(boot, "00000000-1111-4222-8333-444444444444"))
    daemon.start()
    assert daemon.status()["role"] == "init"
    daemon.twintrack("primary")
    assert daemon.status()["term"] == term + 1


# ---- the end, and reload ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_end_is_told_to_the_peers(lab, number):
    lab.start(overrides=test_fence.CONFIGURED, sync={"peer-timeout": "60s"})
    lab.daemon[2].twintrack("backup")
    lab.daemon[1].wait_synced(60)
    lab.daemon[2].signal(number)
    assert lab.daemon[2].process.wait(30) == 0
    wait_for(lambda: not lab.daemon[1].peer(2)["alive"], timeout=20, what="node 1 sees it long before the timeout")
    assert lab.daemon[1].peer(2)["holds"]["reason"] == "node 2 was stopped"
    assert not os.path.exists(lab.daemon[2].socket) and not test_fence.table(lab)
    assert "stopping" in lab.daemon[2].log()


def test_a_reload_says_what_was_applied_and_what_needs_a_restart(lab):
    lab.start()
    daemon = lab.daemon[1]
    daemon.wait_synced(60)
    session = daemon.status()["session"]
    assert daemon.twintrack("reload").stdout == "nothing has changed\n"
    daemon.write_config(sync={"heartbeat": "100ms", "cipher": "chacha20-poly1305"}, **{"link sync0": {"mtu": "1400"}})
    said = daemon.twintrack("reload").stdout
    assert "[sync] heartbeat: applied\n" in said and "[sync] cipher: needs a restart\n" in said
    assert "[link sync0] mtu: needs a restart\n" in said
    daemon.write_config(log={"level": "debug"})
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: "SIGHUP: reading" in daemon.log() and "[log] level: applied" in daemon.log(), timeout=20,
             what="SIGHUP reloads")
    assert daemon.status()["session"] == session and daemon.peer(2)["in_sync"]


def test_a_bad_reload_leaves_the_running_configuration(lab):
    daemon = lab.daemon[1].start()
    daemon.write_config(sync={"heartbeat": "1h"}, log={"level": "debug"})
    done = daemon.twintrack("reload", check=False)
    assert done.returncode == 1 and re.search(r"twintrackd\.conf:\d+: .*heartbeat", done.stdout + done.stderr)
    daemon.write_config(sync={"key-file": Lab.genkey(os.path.join(lab.directory, "short"))})
    os.truncate(os.path.join(lab.directory, "short"), 5)
    done = daemon.twintrack("reload", check=False)
    assert done.returncode == 1 and "exactly 32 bytes" in done.stdout + done.stderr
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: daemon.log().count("the configuration is not reloaded, the running one stays") >= 2, what="it logs that")
    lab.daemon[2].start()
    daemon.wait_synced(60)


def test_a_supervisor_is_told(lab):
    """sd_notify(3): ready when the socket answers, the status now and then, and that it stops."""
    daemon = lab.daemon[1]
    path = os.path.join(lab.directory, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        supervisor.settimeout(30)
        daemon.write_config()
        process = lab.fw[1].popen(program("twintrackd"), "-C", daemon.config, env={**os.environ, "NOTIFY_SOCKET": path})
        daemon.process = process
        assert "READY=1" in supervisor.recv(4096).decode()
        assert daemon.status()["node"] == 1
        process.terminate()
        heard = ""
        while "STOPPING=1" not in heard:
            heard = supervisor.recv(4096).decode()
        assert process.wait(30) == 0
