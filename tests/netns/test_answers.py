# SPDX-License-Identifier: GPL-2.0-or-later
"""Each verb with each of its exit codes, and each field of `status --json`, on a real pair."""

import json
import os

import pytest

from lab import WAN_VIP, Lab, wait_for
from limits import HostLimits, limit
from programs import program
from test_control import NOBODY

FLOWS = 30
CHANGES = ["primary", "backup", "fault", "commit", "resync", "reload", "flush internal"]
ASKS = ["status", "health", "wait-synced", "verify", "metrics"]
LOCAL = ["genkey FILE", "check-config FILE", "import-config FILE", "version"]


@pytest.fixture(scope="module")
def pair():
    """Node 1 primary, node 2 backup, in step; shared by tests that leave it so."""
    with Lab() as lab:
        for path in (lab.directory, *(lab.daemon[node].directory for node in lab.nodes)):
            os.chmod(path, 0o755)
        lab.start(overrides={"fence": {"enable": "yes", "address": WAN_VIP}})
        lab.daemon[1].twintrack("primary")
        lab.daemon[2].twintrack("backup")
        lab.flowgen(1, "create", "--count", FLOWS)
        in_step(lab, FLOWS)
        yield lab


def in_step(lab, flows):
    wait_for(lambda: all(lab.daemon[node].peer(3 - node).get("in_sync") for node in (1, 2)) and
             lab.daemon[2].peer(1)["flows"] == flows, what=f"both are in step with {flows} flows")


# ---- exit codes ----

@pytest.mark.parametrize("words, says", [
    ("status", "SAFE"), ("status --json", '"node":'), ("health", "primary: "), ("wait-synced", "1 peer in sync"),
    ("verify", ""), ("metrics", "# EOF"), ("primary", "this node is primary"), ("primary --json", '"changed":false'), ("reload", "nothing has changed"),
    ("resync", "full catch-up"), ("resync --peer 2", "peer 2"), ("commit", ""), ("flush external", "external"),
    ("flush internal", "internal"), ("version", "twintrack "), ("-L", "tcp "), ("-L internal", "tcp "), ("-L external", ""),
    ("-L conntrack", "tcp "), ("-C", ""), ("-C internal", str(FLOWS)), ("-C external --peer 2", "0")])
def test_done_is_0(pair, words, says):
    done = pair.daemon[1].twintrack(*words.split(), check=False)
    assert done.returncode == 0 and says in done.stdout, done
    in_step(pair, FLOWS)


@pytest.mark.parametrize("words, says", [
    ("health --strict", ""), ("wait-synced --peers 2 --timeout 10ms", "not in sync with 2 peers"),
    ("resync --peer 9", "there is no peer 9"), ("-L external --peer 9", "there is no peer 9"),
    ("-C external --peer 9", "there is no peer 9")])
def test_failed_or_no_is_1(pair, words, says):
    if words.startswith("health"):
        pair.daemon[2].stop()
        wait_for(lambda: not pair.daemon[1].peer(2)["alive"], what="node 2 is gone")
        assert pair.daemon[1].twintrack("health").returncode == 0, "a primary without a peer may hold the address"
    done = pair.daemon[1].twintrack(*words.split(), check=False)
    assert done.returncode == 1 and says in done.stdout + done.stderr, done
    if words.startswith("health"):
        pair.daemon[2].start()
        in_step(pair, FLOWS)


@pytest.mark.parametrize("words", CHANGES)
def test_what_one_may_not_do_is_1(pair, words):
    daemon = pair.daemon[1]
    done = pair.fw[1].run(*NOBODY, program("twintrack"), "--socket", daemon.socket, *words.split(), check=False)
    assert done.returncode == 1 and "is for root" in done.stderr


@pytest.mark.parametrize("words", CHANGES + ASKS + LOCAL + ["-L", "-C"])
def test_a_wrong_command_line_is_2(pair, words):
    done = pair.daemon[1].twintrack(*words.split(), "--nonsense", check=False)
    assert done.returncode == 2 and "--nonsense" in done.stderr, done
    assert not os.path.exists("FILE")


@pytest.mark.parametrize("words", CHANGES + ASKS)
def test_no_daemon_is_3(pair, words, tmp_path):
    done = pair.fw[1].run(program("twintrack"), "--socket", tmp_path / "none", *words.split(), check=False)
    assert done.returncode == 3 and "none" in done.stderr, done


def test_the_verbs_without_a_daemon_have_theirs(pair, tmp_path):
    def run(*words):
        return pair.fw[1].run(program("twintrack"), *words, check=False).returncode

    key = tmp_path / "key"
    assert [run("genkey", key), run("genkey", key), run("genkey", tmp_path / "no" / "key")] == [0, 1, 1]
    assert key.stat().st_size == 32 and key.stat().st_mode & 0o777 == 0o600
    assert [run("import-config", os.devnull), run("import-config", tmp_path / "none")] == [0, 2]
    assert [run("check-config", pair.daemon[1].config), run("check-config", key)] == [0, 2]
    assert run("version") == run("--version") == run("--help") == 0 and run() == run("nonsense") == 2


def test_a_backup_is_unhealthy_only_while_a_live_primary_is_unproven(lab):
    lab.start(overrides=lambda node: {"table": {"max-flows": 10 if node == 2 else "auto"}})
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    wait_for(lambda: lab.daemon[2].twintrack("health", check=False).returncode == 0, what="it is proven")
    lab.flowgen(1, "create", "--count", 20)
    wait_for(lambda: lab.daemon[2].twintrack("health", check=False).returncode == 1, what="its copy is not whole")
    peer = lab.daemon[2].peer(1)
    assert peer["overflowed"] and peer["flows"] <= 10 and peer["flows_refused"] > 0 and peer["holds"]["reason"]
    assert "max-flows" in peer["problem"]
    lab.daemon[1].stop()
    wait_for(lambda: lab.daemon[2].twintrack("health", check=False).returncode == 0, what="there is no primary any more")


def test_a_full_kernel_table_is_1_and_the_role_is_taken(lab):
    lab.start()
    lab.daemon[1].twintrack("primary")
    lab.flowgen(1, "create", "--count", 500)
    in_step(lab, 500)
    lab.daemon[2].stop()
    with HostLimits():  # nobody raises them while it is filled to the brim
        room = limit("nf_conntrack_max") - lab.flow_count(2)
        lab.flowgen(2, "create", "--count", room - 100, "--tuple-base", "10.9.0.0")
        lab.daemon[2].start()
        in_step(lab, 500)
        wait_for(lambda: not lab.daemon[2].peer(1)["orphans"], what="what was left by the daemon before is dropped")
        lab.daemon[1].kill()
        done = lab.daemon[2].twintrack("primary", "--json", check=False)
    assert done.returncode == 1 and "the kernel's table was full" in done.stderr
    committed = json.loads(done.stdout)["commit"]
    assert committed["table-full"] > 0 and committed["created"] > 0 and committed["flows"] == 500
    assert lab.daemon[2].status()["role"] == "primary"


# ---- fields ----

def test_the_fields_of_a_pair_in_step(pair):
    newest = pair.daemon[1].status()["internal"]["version"]
    wait_for(lambda: pair.daemon[1].peer(2)["held"]["version"] == newest, what="node 2 has proven the newest")
    one, two = pair.daemon[1].status(), pair.daemon[2].status()
    assert (one["node"], one["role"], one["internal"]["flows"], one["fence"]["armed"]) == (1, "primary", FLOWS, False)
    assert (two["node"], two["role"], two["internal"]["flows"], two["fence"]["armed"]) == (2, "backup", 0, True)
    assert one["term"] >= 1 and two["peers"][0]["term"] == one["term"]
    peer = two["peers"][0]
    assert (peer["node"], peer["role"], peer["alive"], peer["in_sync"], peer["flows"]) == (1, "primary", True, True, FLOWS)
    assert peer["complete"] and not peer["suspect"] and not peer["incompatible"] and not peer["filters_differ"]
    assert peer["newest"] == peer["applied"] == peer["holds"]["version"] == one["internal"]["version"]
    assert one["peers"][0]["held"]["version"] == one["internal"]["version"]
    for proof in (peer["holds"], peer["held"], one["peers"][0]["holds"], one["peers"][0]["held"]):
        assert proof["in_sync"] and proof["reason"] == "" and 0 <= proof["age_ms"] < 2000
    assert 0 <= peer["lag_us"] < 1000000 and 0 <= peer["rtt_us"] < 1000000 and peer["divergences"] == 0
    assert peer["resyncs"]["full"] >= 1 and not peer["resyncs"]["full_running"]
    assert one["pid"] == pair.daemon[1].process.pid
    assert peer["software"] == one["software"] and one["uptime_ms"] > 0 and one["clients"] == 1
    assert peer["links"][0]["received"] > 0 and peer["links"][0]["lost"] == 0
    link = one["links"][0]
    assert link["up"] and link["problem"] == link["send_error"] == "" and link["sent"] > 0 and link["received"] > 0
    assert link["sent_bytes"] > link["sent"] * 40 and link["received_bytes"] > link["received"] * 40
    assert link["send_full"] == link["send_failed"] == link["receive_dropped"] == 0
    assert one["network"]["received_datagrams"] > 0 and one["network"]["sent_bytes"] > one["network"]["sent_datagrams"] * 40
    assert one["network"]["received_bytes"] > 0
    kernel = one["kernel"]
    assert kernel["events"] == sum(kernel["events_by_kind"].values()) >= FLOWS <= kernel["events_by_kind"]["new"]
    assert kernel["complete"] and not kernel["suspect"] and kernel["overruns"] == kernel["malformed"] == 0
    assert kernel["conntrack_max"] == limit("nf_conntrack_max") and kernel["conntrack_buckets"] == limit("nf_conntrack_buckets")
    audit = kernel["audit"]
    assert audit["begun"] >= audit["passes"] >= 1 and audit["last_pass_us"] > 0 and audit["age_ms"] >= 0
    assert audit["get_failures"] == 0 and audit["gets"] >= 0 and audit["filtered"] >= 0 and audit["repeated"] >= 0
    assert audit["running"] in (True, False) and not one["transition_running"] and one["log"]["suppressed"] >= 0
    assert one["internal"]["memory_bytes"] > 0 and one["internal"]["horizon"] <= one["internal"]["version"]


def test_the_fields_follow_what_happens(lab):
    lab.start()
    in_step(lab, 0)
    lab.flowgen(1, "create", "--count", 100)
    in_step(lab, 100)
    before = lab.daemon[2].peer(1)
    lab.dark()
    wait_for(lambda: not lab.daemon[2].peer(1)["alive"], what="node 1 is silent")
    peer = lab.daemon[2].peer(1)
    assert not peer["in_sync"] and not peer["holds"]["in_sync"] and not peer["held"]["in_sync"] and peer["silent_ms"] > 0
    assert peer["holds"]["reason"] == peer["held"]["reason"] == "node 1 is silent"
    lab.flowgen(1, "destroy", "--count", 50)
    wait_for(lambda: lab.daemon[1].status()["internal"]["tombstones"] >= 50, what="what was sent leaves tombstones")
    lab.back()
    in_step(lab, 50)
    peer = lab.daemon[2].peer(1)
    assert peer["resyncs"]["full"] == before["resyncs"]["full"], "what is missing is repaired, not all"
    assert peer["links"][0]["lost"] > 0 and peer["holds"]["version"] > before["holds"]["version"]
    lab.loss(30)
    lab.flowgen(1, "churn", "--first", 1000, "--rate", 5000, "--seconds", 1, "--alive", 100)
    wait_for(lambda: lab.daemon[2].peer(1)["resyncs"]["partial"] > before["resyncs"]["partial"], what="gaps are repaired")
    lab.back()
    lab.flowgen(1, "destroy", "--first", 1000, "--count", 5000)
    in_step(lab, 50)
    assert lab.daemon[2].peer(1)["resyncs"]["full"] == before["resyncs"]["full"]
    lab.daemon[2].twintrack("resync")
    wait_for(lambda: lab.daemon[2].peer(1)["resyncs"]["full"] > peer["resyncs"]["full"], what="a full catch-up")
    destroyed = lab.daemon[1].status()["kernel"]["events_by_kind"]["destroy"]
    lab.flowgen(1, "update", "--first", 50, "--count", 50, "--mark", 3)
    lab.flowgen(1, "destroy", "--first", 50, "--count", 50)
    in_step(lab, 0)
    kinds = lab.daemon[1].status()["kernel"]["events_by_kind"]
    assert kinds["destroy"] == destroyed + 50 and kinds["update"] >= 50


def test_lost_events_are_suspect_until_an_audit_is_clean(lab):
    lab.start(overrides={"kernel": {"event-buffer": "64K", "event-buffer-max": "64K"}})
    in_step(lab, 0)
    daemon = lab.daemon[1]
    daemon.pause()
    lab.flowgen(1, "create", "--count", 150000)
    daemon.resume()
    status = wait_for(lambda: (s := daemon.status())["kernel"]["suspect"] and s, what="it says so")
    assert status["kernel"]["overruns"] >= 1 and not status["peers"][0]["held"]["in_sync"]
    assert any("kernel events were lost" in problem for problem in status["problems"])
    assert daemon.twintrack("health", "--strict", check=False).returncode == 1
    in_step(lab, 150000)
    assert not daemon.status()["kernel"]["suspect"]
