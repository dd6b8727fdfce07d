# SPDX-License-Identifier: GPL-2.0-or-later
"""The status page, and wait-synced, which reads the same JSON."""
import copy
import json
import os
import subprocess
import time

import pytest
from fake_daemon import JSON, message, result, status
from twintrack_command import PROGRAM

PROVEN = {"in_sync": True, "version": 7, "age_ms": 20, "reason": ""}
PEER = {"node": 2, "role": "primary", "alive": True, "in_sync": True, "flows": 5000, "holds": PROVEN, "held": PROVEN,
        "lag_us": 310, "divergences": 0, "resyncs": {"partial": 0, "full": 1}}
# as DESIGN promises it
LEAST = {"node": 1, "role": "backup", "term": 3, "internal": {"flows": 0}, "peers": [PEER],
         "kernel": {"events": 12345, "overruns": 0, "suspect": False}, "fence": {"armed": True}}


def changed(path, value, of=LEAST):
    """A copy with the member at the path, like "peers.0.alive", set."""
    copied = copy.deepcopy(of)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at = copied
    for step in way:
        at = at[step]
    at[last] = value
    return copied


UNPROVEN = {"in_sync": False, "version": 5, "age_ms": 90000, "reason": "12 versions behind"}


def test_json_is_what_the_daemon_said(command, daemon):
    daemon(status(LEAST))
    done = command("status", "--json")
    assert done.returncode == 0 and done.stdout == json.dumps(LEAST) + "\n"


def test_a_page_says_all(command, daemon):
    daemon(status(LEAST))
    done = command("status")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == """\
SAFE: this node can take over from node 2
node     1, backup, term 3
         0 flows of its own
peer 2   alive, primary, 5,000 flows held for it
         its flows here: in sync, proven 20.0 ms ago (version 7)
         our flows there: in sync, proven 20.0 ms ago (version 7)
         lag 310 us; resyncs 0 partial, 1 full; divergences 0
kernel   12,345 events, 0 overruns
fence    armed: no packet gets in before its flow is known
"""


def test_a_proof_tells_its_age(command, daemon):
    for proof, words in ((dict(PROVEN, age_ms=0), "here: in sync, proven just now (version 7)"),
                         (dict(UNPROVEN, age_ms=None), "here: NOT in sync: 12 versions behind (never proven)"),
                         (UNPROVEN, "here: NOT in sync: 12 versions behind (last proven 90.0 s ago)")):
        daemon(status(changed("peers.0.holds", proof)))
        assert words in " ".join(command("status").stdout.split())


PRIMARY = changed("peers.0.role", "backup", changed("role", "primary"))
VERDICTS = [
    (LEAST, "SAFE: this node can take over from node 2"),
    (changed("fence.armed", False), "SAFE, BUT: this node can take over from node 2; the fence is off"),
    (changed("peers.0.holds", UNPROVEN), "NOT SAFE: our copy of the flows of node 2, the primary, is not in sync: 12"),
    (changed("peers.0.held", UNPROVEN), "SAFE: this node can take over from node 2"),
    (changed("peers.0.alive", False), "NOT SAFE: no live primary is heard"),
    (changed("peers.0.role", "backup"), "NOT SAFE: no live primary is heard"),
    (changed("peers", []), "NOT SAFE: no live primary is heard"),
    (changed("role", "fault"), "NOT SAFE: this node's role is fault"),
    (changed("role", "init"), "NOT SAFE: this node has no role yet"),
    (PRIMARY, "SAFE: node 2 can take over from this node"),
    (changed("fence.armed", False, PRIMARY), "SAFE: node 2 can take over from this node"),
    (changed("peers.0.held", UNPROVEN, PRIMARY), "NOT SAFE: the copy of our flows at node 2 is not in sync: 12 ver"),
    (changed("peers.0.alive", False, PRIMARY), "NOT SAFE: no live peer is there to take over"),
    (changed("peers.0.role", "fault", PRIMARY), "NOT SAFE: node 2 asks not to be promoted"),
    (changed("split_brain", True, PRIMARY), "NOT SAFE: split brain"),
    (changed("duplicate_id", True), "NOT SAFE: another node uses our id 1"),
    ({}, "NOT SAFE: this node has no role yet"),
]


@pytest.mark.parametrize("state, words", VERDICTS, ids=[str(i) for i in range(len(VERDICTS))])
def test_the_first_line_says_whether_a_failover_is_safe(command, daemon, state, words):
    daemon(status(state))
    done = command("status")
    assert done.returncode == 0 and done.stdout.startswith(words)


RICH = dict(changed("peers.0", dict(
    PEER, alive=False, silent_ms=3200, software="0.1.0", rtt_us=250, complete=False, suspect=True,
    links=[{"interface": "sync0", "received": 990, "lost": 10}], divergences=1)), mode="active-backup", software="0.1.0",
    links=[{"interface": "sync0", "up": True, "send_failed": 3, "receive_dropped": 1500},
           {"interface": "sync1", "up": False, "problem": "it is down"}],
    problems=["2 flows refused: max-flows is 100", "node 9: its key is another one"],
    strangers=[{"node": 9, "count": 1234, "age_ms": 1500, "cause": "not-authentic", "problem": "its key is another one"}],
    drops={"too-short": 0, "not-authentic": 1234, "replayed": 1},
    kernel={"events": 1234, "overruns": 2, "suspect": True, "complete": False, "audit": {"passes": 7, "corrections": 3}},
    fence={"armed": False, "state": "disabled"})


@pytest.mark.parametrize("words", [
    "twintrackd 0.1.0", "active-backup", "the first dump is not complete", "its first dump is not complete",
    "it has lost events", "NOT alive, silent for 3.2 s", "over sync0: 990 datagrams, 10 lost (1.00 %)",
    "sync0 up; sends that failed: 3; dropped, the receive buffer was full: 1,500", "sync1 DOWN: it is down",
    "problem 2 flows refused: max-flows is 100",
    "problem node 9: its key is another one (1,234 datagrams refused, last 1.5 s ago)",
    "refused 1,234 not-authentic, 1 replayed", "1,234 events, 2 overruns; audits: 7, corrections: 3; SUSPECT",
    "round trip 250 us", "divergences 1"])
def test_what_is_wrong_is_said_in_words(command, daemon, words):
    daemon(status(RICH))
    page = " ".join(command("status").stdout.split())
    assert words in page and page.count("its key is another one") == 1


@pytest.mark.parametrize("fence, words", [
    ({"armed": True, "state": "armed"}, "armed: no packet"), ({"armed": True}, "armed: no packet"),
    ({"armed": False, "state": "disabled"}, "off ([fence] enable = no): a takeover may reset connections"),
    ({"armed": False, "state": "open"}, "open, as the role wants it"),
    ({"armed": False, "state": "gave-up"}, "opened, for no `primary' followed"),
    ({"armed": False, "state": "failed"}, "the kernel refuses to close it"),
    ({"armed": False, "state": "armed"}, "not armed: a takeover may reset connections"),
    ({"armed": False, "state": "new"}, "not armed: a takeover may reset connections")])
def test_the_fence_has_its_words(command, daemon, fence, words):
    daemon(status(dict(LEAST, fence=fence)))
    assert "fence " + words in " ".join(command("status").stdout.split())


def test_no_line_is_longer_than_80_columns(command, daemon):
    daemon(status(dict(RICH, problems=["word " * 60], peers=[dict(PEER, holds=dict(UNPROVEN, reason="long " * 30))])))
    assert max(map(len, command("status").stdout.splitlines())) <= 80


@pytest.mark.parametrize("state", [
    {"node": "one", "role": 7, "peers": {"a": 1}, "kernel": [], "fence": 3, "internal": None, "links": "x"},
    {"role": "backup", "peers": [None, 1, "x", [], {}]}, {"role": "primary", "peers": [{"alive": True, "held": 5}]},
    dict(LEAST, strangers=[{}], problems=[1, None], links=[None, {}])], ids=["types", "peers", "held", "lists"])
def test_missing_and_strange_fields_do_no_harm(command, daemon, state):
    daemon(status(state))
    done = command("status")
    assert done.returncode == 0 and done.stdout.startswith(("NOT SAFE", "SAFE"))


def test_words_from_the_net_move_no_cursor(command, daemon):
    daemon(status(changed("peers.0.software", "\033[2J\r\n")))
    assert "\033" not in command("status").stdout


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "\0", "{\"node\": 1} x"])
def test_what_is_no_json_object_is_a_failure(command, daemon, text):
    daemon(message(JSON, text) + result(0))
    done = command("status")
    assert (done.returncode, done.stdout) == (1, "") and "cannot be read as JSON" in done.stderr


def test_colour_is_for_terminals_alone(command, daemon):
    daemon(status(LEAST))
    for settings, has_colour in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                                 ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
        leader, follower = os.openpty()
        environment = dict({k: v for k, v in os.environ.items() if k != "NO_COLOR"}, **settings)
        subprocess.run([PROGRAM, "--socket", command.socket, "status"], stdout=follower, env=environment, check=True,
                       timeout=60)
        os.close(follower)
        assert (b"\033[1;32mSAFE" in os.read(leader, 65536)) == has_colour
        os.close(leader)
    assert "\033" not in command("status").stdout


# ---- wait-synced ----

def test_it_returns_at_once_when_in_sync(command, daemon):
    daemon(status(LEAST))
    done = command("wait-synced", "--timeout", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 peer in sync\n", "")


def test_it_waits_until_the_peers_are_in_sync(command, daemon):
    def answer(request, connection):
        behind = len(fake.requests) < 5
        return status(changed("peers.0.in_sync", not behind))

    fake = daemon(answer)
    done = command("wait-synced", "--timeout", "30s")
    assert done.returncode == 0 and len(fake.requests) == 5


@pytest.mark.parametrize("state, words", [
    (changed("peers", []), "no peer has been heard"),
    (changed("peers.0.alive", False), "node 2 is not in sync: it is not alive"),
    (changed("peers.0.complete", False), "node 2 is not in sync"),
    (changed("peers.0.in_sync", False, changed("peers.0.holds", UNPROVEN)), "node 2 is not in sync: 12 versions behind"),
    (changed("peers.0.in_sync", False, changed("peers.0.held", UNPROVEN)), "node 2 is not in sync: 12 versions behind"),
    ({}, "no peer has been heard"),
])
def test_at_the_timeout_it_says_why(command, daemon, state, words):
    fake = daemon(status(state))
    start = time.monotonic()
    done = command("wait-synced", "--timeout", "350ms")
    assert (done.returncode, done.stdout) == (1, "") and words in done.stderr and "0.350 s" in done.stderr
    assert time.monotonic() - start >= 0.35 and len(fake.requests) >= 2


def test_it_counts_the_peers(command, daemon):
    daemon(status(dict(LEAST, peers=[PEER, dict(PEER, node=3), dict(PEER, node=4, alive=False)])))
    assert command("wait-synced", "--timeout", "0", "--peers", "2").stdout == "2 peers in sync\n"
    done = command("wait-synced", "--timeout", "0", "--peers", "3")
    assert done.returncode == 1 and "node 4 is not in sync: it is not alive" in done.stderr


def test_a_daemon_that_restarts_meanwhile_is_waited_for(command, daemon):
    daemon(status(changed("peers.0.in_sync", False)))
    process = subprocess.Popen([PROGRAM, "--socket", command.socket, "wait-synced", "--timeout", "60"])
    time.sleep(0.3)
    fake = daemon(status(LEAST))  # the socket is gone, then there again
    assert process.wait(60) == 0 and fake.requests


def test_a_daemon_that_hangs_does_not_stretch_the_timeout(command, daemon):
    answers = [status(changed("peers.0.in_sync", False))]
    daemon(lambda request, connection: answers.pop() if answers else time.sleep(4))
    start = time.monotonic()
    done = command("wait-synced", "--timeout", "500ms")
    assert done.returncode == 1 and "silent for 1 s" in done.stderr and time.monotonic() - start < 10
