# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/conntrackd: what calls conntrackd goes on working, and reads the pages that it knows."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from lab import CLIENT, WAN_VIP, Lab, wait_for
from programs import BUILD, ROOT

STAND_IN = os.path.join(ROOT, "scripts/conntrackd")
EXAMPLE = "/usr/share/doc/conntrackd/examples/sync/primary-backup.sh"
PAGES = ["", "network", "cache", "runtime", "link", "rsqueue", "queue", "ct", "expect"]
THEIR_CONFIG = """
Sync {{ Mode FTFW {{ }} UDP {{
    IPv4_address {address}
    IPv4_Destination_Address {peer}
    Port 3780
    Interface {interface} }} }}
General {{ Systemd off
    HashSize 1024
    HashLimit 4096
    LogFile no
    Syslog no
    LockFile {directory}/lock
    UNIX {{ Path {directory}/theirs }} }}
"""


def caller(lab):
    """call(node, words...): the stand-in on a firewall, with the file that an operator had for conntrackd."""
    theirs = os.path.join(lab.directory, "conntrackd.conf")
    with open(theirs, "w", encoding="ascii") as file:
        file.write("Sync { Mode FTFW { } }\nGeneral { }\n")

    def run(node, *words, config=theirs, check=True):
        daemon = lab.daemon[node]
        environment = [f"TWINTRACK_CONFIG={daemon.config}", f"TWINTRACK_COMMAND={BUILD}/twintrack",
                       f"TWINTRACK_DAEMON={BUILD}/twintrackd"]
        return lab.fw[node].run("env", *environment, STAND_IN, "-C", config, *words, check=check)

    return run


@pytest.fixture
def call(lab):
    return caller(lab)


def in_step(lab):
    """Node 1 is primary and has flows, node 2 holds them."""
    lab.flowgen(1, "create", "--count", 50, "--snat", WAN_VIP)
    lab.start({"fence": {"enable": "yes", "address": WAN_VIP}})
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    wait_for(lambda: lab.daemon[2].peer(1).get("in_sync") and lab.daemon[2].peer(1)["flows"] >= 50, what="in step", timeout=300)
    return lab


@pytest.fixture
def pair(lab):
    return in_step(lab)


@pytest.fixture(scope="module")
def shared():
    """For what only looks."""
    with Lab() as lab:
        lab.vip_to(1)
        yield in_step(lab)


def test_the_sequences_of_primary_backup_sh_switch_over_and_back(pair, call):
    def role(node):
        return pair.daemon[node].status()["role"]

    for words in (["-t"], ["-n"]):  # backup, on the former primary
        call(1, *words)
    for words in (["-c"], ["-f"], ["-R"], ["-B"]):  # primary
        call(2, *words)
    assert (role(1), role(2)) == ("backup", "primary")
    assert pair.flow_count(2) >= 50
    assert pair.daemon[2].status()["internal"]["flows"] >= 50, "-f has emptied nothing"
    call(2, "-t")  # fault
    assert role(2) == "backup"
    assert call(2, "-s").returncode == 0, "its test whether the daemon runs"


def test_the_example_of_the_package_runs_unchanged_but_for_its_paths(pair, tmp_path):
    if not os.path.exists(EXAMPLE):
        pytest.skip(f"{EXAMPLE} is not on this machine")
    theirs, script = tmp_path / "conntrackd.conf", tmp_path / "primary-backup.sh"
    theirs.write_text("Sync { }\n")
    text = open(EXAMPLE, encoding="utf-8").read()
    text = text.replace("/usr/sbin/conntrackd", STAND_IN).replace("/etc/conntrackd/conntrackd.conf", str(theirs))
    script.write_text(text.replace("logger", "echo LOGGED"))
    environment = [f"TWINTRACK_CONFIG={pair.daemon[2].config}", f"TWINTRACK_COMMAND={BUILD}/twintrack"]
    pair.power_cut(1)
    for word, role in (("backup", "backup"), ("primary", "primary"), ("fault", "backup")):
        done = pair.fw[2].run("env", *environment, "sh", script, word)
        assert "LOGGED" not in done.stdout + done.stderr, done
        assert pair.daemon[2].status()["role"] == role
    assert pair.flow_count(2) >= 50


def shape(page):
    """A page with every number, with the room that it takes, and every device made equal."""
    page = re.sub(r"(active )?device=\S+?(?=[ )])", "device=X", page)
    page = re.sub(r"^(UDP|multicast) traffic", "K traffic", page, flags=re.M)
    return re.sub(r" *\d+", lambda found: "#" * len(found[0]), page)


@pytest.fixture(scope="module")
def theirs(shared):
    """conntrackd itself, in the client's namespace: a function that calls it."""
    if not shutil.which("conntrackd"):
        pytest.skip("conntrackd is not installed: nothing to compare with")
    config = os.path.join(shared.directory, "theirs.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(THEIR_CONFIG.format(address=CLIENT, peer="192.168.10.99", interface="eth0", directory=shared.directory))

    def run(*words):
        return shared.client.run("conntrackd", "-C", config, *words, check=False)

    shared.client.run("conntrackd", "-C", config, "-d")
    wait_for(lambda: run("-s").returncode == 0, what="conntrackd answers")
    yield run
    run("-k")


def test_the_pages_have_the_layout_that_monitors_parse(shared, theirs):
    call = caller(shared)
    for page in PAGES:
        words = ["-s", page] if page else ["-s"]
        expected, found = theirs(*words), call(1, *words)
        assert found.returncode == expected.returncode == 0
        assert shape(found.stdout) == shape(expected.stdout), page
    internal = re.search(r"cache internal:\ncurrent active connections:\t +(\d+)\n", call(1, "-s").stdout)
    external = re.search(r"cache external:\ncurrent active connections:\t +(\d+)\n", call(2, "-s").stdout)
    assert int(internal.group(1)) >= 50 and int(external.group(1)) >= 50


@pytest.mark.parametrize("words", [
    ["-s", "nonsense"], ["-x"], ["-c", "nonsense"], ["-f", "nonsense"], ["-Z"], ["-h"], ["-v"],
    ["-i", "nonsense"], ["-s", "-x"]])
def test_odd_command_lines_end_as_with_conntrackd(shared, theirs, words):
    call = caller(shared)
    expected, found = theirs(*words), call(1, *words, check=False)
    assert found.returncode == expected.returncode
    assert found.stdout.count("Usage:") == expected.stdout.count("Usage:")
    assert bool(found.stderr) == bool(expected.stderr)


def test_tables_are_shown_as_text_and_xml(shared):
    call = caller(shared)
    lines = call(1, "-i").stdout.splitlines()
    assert len(lines) >= 50
    assert all(re.match(r"^\w+ +\d+ ([A-Z_]+ )?src=", line) for line in lines)
    assert sum("src=" in line for line in call(2, "-e", "ct").stdout.splitlines()) >= 50
    flows = call(2, "-e", "-x").stdout.splitlines()
    assert len(flows) >= 50
    for flow in flows:
        assert ElementTree.fromstring(flow).tag == "flow"
    assert call(1, "-i", "exp").stdout == call(1, "-e", "expect", "-q").stdout == ""


@pytest.fixture
def both(pair):
    """conntrackd(node, words...) itself beside ours on both firewalls, over the same sync link."""
    if not shutil.which("conntrackd"):
        pytest.skip("conntrackd is not installed: nothing to run beside")
    configs = {}
    for node in pair.nodes:
        directory = os.path.join(pair.directory, f"theirs{node}")
        os.mkdir(directory)
        configs[node] = os.path.join(directory, "conf")
        with open(configs[node], "w", encoding="ascii") as file:
            file.write(THEIR_CONFIG.format(address=pair.sync_address(node), peer=pair.sync_address(3 - node), interface="sync0",
                                           directory=directory))

    def run(node, *words):
        return pair.fw[node].run("conntrackd", "-C", configs[node], *words, check=False)

    for node in pair.nodes:
        run(node, "-d")
        wait_for(lambda node=node: run(node, "-s").returncode == 0, what="conntrackd answers")
    yield run
    for node in pair.nodes:
        run(node, "-k")


def test_both_run_side_by_side_during_the_move(pair, both):
    """As doc/moving.md has it: both replicate over one link, then the roles are ours and conntrackd goes."""
    def theirs(node, cache):
        page = both(node, "-s").stdout
        return int(re.search(rf"cache {cache}:\ncurrent active connections:\t +(\d+)\n", page).group(1))

    pair.flowgen(1, "create", "--first", 1000, "--count", 500, "--snat", WAN_VIP)
    wait_for(lambda: theirs(2, "external") >= 500, what="conntrackd has replicated them")
    wait_for(lambda: pair.daemon[2].peer(1)["flows"] >= 550 and pair.daemon[2].peer(1).get("in_sync"), what="and so have we")
    assert pair.daemon[1].twintrack("verify").returncode == 0
    for node in pair.nodes:
        assert not [told for told in pair.daemon[node].status()["problems"] if "nf_conntrack_events" not in told]
        assert both(node, "-k").returncode == 0
    pair.daemon[1].twintrack("backup")
    pair.daemon[2].twintrack("primary")
    assert pair.flow_count(2) >= 550


def test_flushes_and_requests_do_what_they_say(pair, call):
    call(2, "-f", "external")
    wait_for(lambda: pair.daemon[2].peer(1).get("in_sync") and pair.daemon[2].peer(1)["flows"] >= 50, what="it came again")
    full = pair.daemon[1].peer(2)["resyncs"]["full"]
    call(1, "-n")
    assert pair.daemon[1].status()["role"] == "primary", "asking for the peers' tables changes no role"
    wait_for(lambda: pair.daemon[1].peer(2)["resyncs"]["full"] > full, what="they are fetched anew")
    call(1, "-F")
    assert pair.flow_count(1) < 50


def test_without_a_daemon_everything_fails_with_one(lab, call, tmp_path):
    lab.daemon[1].write_config()
    for words in (["-s"], ["-c"], ["-t"], ["-n"], ["-f"], ["-F"], ["-R"], ["-B"], ["-i"], ["-e", "-x"], ["-k"], ["-s", "cache"]):
        done = call(1, *words, check=False)
        assert done.returncode == 1 and "can't connect: is conntrackd running?" in done.stderr, words
    done = call(1, "-s", config=tmp_path / "none", check=False)
    assert done.returncode == 1 and "none" in done.stderr


def test_d_starts_a_daemon_and_k_ends_it(lab, call, monkeypatch):
    """The service manager of who calls is not the daemon's: it would throw away what is left to the next daemon."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify-of-keepalived")
    lab.daemon[1].write_config()
    call(1, "-d")
    try:
        with open(f"/proc/{lab.daemon[1].status()['pid']}/environ", "rb") as file:
            assert b"NOTIFY_SOCKET=" not in file.read()
        assert lab.daemon[1].twintrack("health").returncode == 0
        done = call(1, "-d", check=False)
        assert done.returncode == 1 and "already running" in done.stderr
    finally:
        call(1, "-k")
    assert call(1, "-k", check=False).returncode == 1
    assert lab.daemon[1].twintrack("health", check=False).returncode == 3


def test_it_is_kept_off_the_path():
    listed = subprocess.run(["make", "-n", "install", "DESTDIR=/none"], cwd=ROOT, text=True, capture_output=True, check=True)
    lines = [line for line in listed.stdout.splitlines() if "scripts/conntrackd" in line]
    assert lines and all("libexec/twintrack/conntrackd" in line for line in lines)
