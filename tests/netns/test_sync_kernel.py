# SPDX-License-Identifier: GPL-2.0-or-later
"""Between the kernel and the internal table: lost events, silent flows, full tables.  Never in sync without cause."""

import subprocess
import time

import pytest

from flows import (Stopwatch, all_proven, answer, assert_tables_equal, background_flowgen,
                   finish_flowgen, internal_count, never, peer_of, start_pair)
from lab import wait_for
from limits import HostLimits

BURST_GOAL_S = 5
MAX = 3000
SURPRISE = 5000


@pytest.fixture
def many():
    with HostLimits(nf_conntrack_max=1000000):
        yield


@pytest.mark.parametrize("largest,count", [("256K", 400000), ("128M", 120000)])
def test_a_burst_that_overruns_the_event_buffer_is_counted_and_made_good(many, lab, largest, count):
    start_pair(lab, lambda node: {"kernel": {"event-buffer": "256K", "event-buffer-max": largest}})
    lab.daemon[1].pause()  # however fast it is, these are more than the buffer holds
    lab.flowgen(1, "create", "--count", SURPRISE)
    lab.daemon[1].resume()
    lab.flowgen(1, "create", "--first", SURPRISE, "--count", count - SURPRISE)
    watch = Stopwatch("the burst", BURST_GOAL_S)
    watch.wait(lambda: all_proven(lab) and internal_count(lab, 1) >= count,
               f"burst of {count:,} creates, event buffer 256K, at most {largest}: equal and proven")
    kernel = lab.daemon[1].status()["kernel"]
    assert kernel["overruns"] > 0 and not kernel["suspect"]
    assert (kernel["event_buffer"] >= 1 << 20) == (largest == "128M")
    assert_tables_equal(lab)
    assert peer_of(lab.daemon[2].status(), 1)["divergences"] == 0


def test_while_events_are_lost_nobody_says_in_sync(many, lab):
    """Changes faster than so small a buffer can tell: suspect, and every command says so, until a clean audit."""
    start_pair(lab, {"kernel": {"event-buffer": "64K", "event-buffer-max": "64K"}})
    lab.flowgen(1, "create", "--count", 20000)
    wait_for(lambda: all_proven(lab), 30)
    churn = background_flowgen(lab, 1, "churn", "--first", 100000, "--rate", 150000, "--seconds", 1, "--alive", 50000)
    wait_for(lambda: lab.daemon[1].status()["kernel"]["suspect"], 30, "overruns", interval=0.005)
    said = []

    def look():
        owner = lab.daemon[1].status()
        if owner["kernel"]["suspect"]:
            said.append((peer_of(owner, 2)["in_sync"], answer(lab, 2, "health"), answer(lab, 1, "health"),
                         answer(lab, 1, "health", "--strict"), answer(lab, 1, "wait-synced", "--timeout", "10ms"),
                         lab.daemon[1].status()["kernel"]["suspect"], owner["problems"]))
        return churn.poll() is not None and all_proven(lab)

    wait_for(look, 60, "clean again", interval=0)
    finish_flowgen(churn)
    steady = [one for one in said if one[5]]  # suspect before and after, so all the while
    assert steady
    for in_sync, backup, primary, strict, waited, _, problems in steady:
        assert not in_sync
        assert any("events were lost" in problem for problem in problems)
        assert primary[0] == 0  # with no better one to go to
        assert strict[0] == 1
        assert waited[0] == 1
    assert any(backup[0] == 1 and "lost kernel events" in backup[1] for _, backup, *_ in steady)
    kernel = lab.daemon[1].status()["kernel"]
    assert kernel["overruns"] > 0 and not kernel["suspect"]
    assert kernel["audit"]["begun"] < 200, "audits are not to make it worse"
    assert_tables_equal(lab)
    assert answer(lab, 2, "health")[0] == 0


def audited(lab, node=1):
    return lab.daemon[node].status()["kernel"]["audit"]["passes"]


def create_silent(lab, *words):
    """Flows as they are when nobody listened at their creation: without the extension that events need.

    The default, 2, asks whether anyone on the whole host listens; so what it does depends on what else runs.
    """
    before = lab.fw[1].sysctl_read("net.netfilter.nf_conntrack_events")
    lab.fw[1].sysctl(net__netfilter__nf_conntrack_events=0)
    lab.flowgen(1, "create", *words)
    lab.fw[1].sysctl(net__netfilter__nf_conntrack_events=before)


def test_flows_older_than_the_daemon_change_and_go_though_no_event_tells(lab):
    count, interval = 20000, 1
    create_silent(lab, "--count", count)
    start_pair(lab, {"kernel": {"audit-interval": f"{interval}s"}})
    assert internal_count(lab, 1) >= count
    events = lab.daemon[1].status()["kernel"]["events_by_kind"]
    assert assert_tables_equal(lab) >= count

    lab.flowgen(1, "update", "--count", 5000, "--mark", 77, "--tcp-state", "close_wait", "--timeout", 300)
    watch = Stopwatch("the change", interval)

    def has_changed():
        shown = lab.daemon[2].twintrack("-L", "external").stdout
        return shown.count("mark=77") == 5000

    watch.wait(has_changed, f"5,000 silent flows changed, audit interval {interval} s: at the peer")
    lab.flowgen(1, "destroy", "--count", count)
    watch = Stopwatch("the end", interval)
    watch.wait(lambda: internal_count(lab, 1) < 20 and all_proven(lab),
               f"{count:,} silent flows gone, audit interval {interval} s: gone from both tables")
    after = lab.daemon[1].status()["kernel"]["events_by_kind"]
    assert after["destroy"] - events["destroy"] < 20  # so it was the audit that saw it
    create_silent(lab, "--first", 100000, "--count", count)
    watch = Stopwatch("the creation", interval)
    watch.wait(lambda: internal_count(lab, 1) >= count and all_proven(lab),
               f"{count:,} silent flows more, audit interval {interval} s: in both tables")
    assert_tables_equal(lab)


def test_verify_names_what_the_audit_has_not_seen_yet(lab):
    create_silent(lab, "--count", 50)
    start_pair(lab, {"kernel": {"audit-interval": "1h"}})
    assert answer(lab, 1, "verify")[0] == 0
    lab.flowgen(1, "destroy", "--count", 4)
    lab.flowgen(1, "update", "--first", 10, "--count", 3, "--mark", 5)
    code, words = answer(lab, 1, "verify")
    assert code == 1 and "7 differ" in words
    assert words.count(": only in the internal table") == 4 and words.count(": differs") == 3
    assert answer(lab, 1, "flush", "internal")[0] == 0
    wait_for(lambda: internal_count(lab, 1) < 50 and all_proven(lab), 30, "the kernel's table is read anew")
    assert answer(lab, 1, "verify")[0] == 0
    assert_tables_equal(lab)


def effort(lab, node):
    """What a storm of resyncs would raise."""
    status = lab.daemon[node].status()
    return status["network"]["sent_bytes"], sum(peer["resyncs"]["full"] for peer in status["peers"])


def assert_no_storm(lab, seconds=2):
    before = {node: effort(lab, node) for node in lab.nodes}
    time.sleep(seconds)  # nothing is to happen: there is no condition to wait for
    for node in lab.nodes:
        sent, full = effort(lab, node)
        assert sent - before[node][0] < 40000 * seconds, "heartbeats need a few kB a second"
        assert full - before[node][1] <= 1


class Verify:
    """A verify that runs beside the test: it waits some seconds for the peers' proofs before it says no."""

    def __init__(self, lab, node):
        self.process = subprocess.Popen(list(map(str, lab.daemon[node].command("verify"))), text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def end(self):
        words = self.process.communicate(timeout=120)[0]
        return self.process.returncode, words


def claims_sync(lab):
    return [node for node in lab.nodes if lab.daemon[node].status()["peers"][0]["in_sync"]]


def test_an_internal_table_beyond_max_flows_is_named_and_never_in_sync(lab):
    start_pair(lab, lambda node: {"kernel": {"audit-interval": "1s"},
                                  "table": {"max-flows": MAX if node == 1 else "auto"}})
    lab.flowgen(1, "create", "--count", 2 * MAX)
    wait_for(lambda: lab.daemon[1].status()["internal"]["refused"], 20, "the table is full")
    with never(lambda: claims_sync(lab)):
        verify = Verify(lab, 1)
        internal = lab.daemon[1].status()["internal"]
        assert internal["flows"] == MAX and internal["flows_refused"] >= MAX - 20
        assert any("max-flows" in problem for problem in lab.daemon[1].status()["problems"])
        assert "max-flows" in peer_of(lab.daemon[2].status(), 1)["holds"]["reason"]
        assert_no_storm(lab)
        assert answer(lab, 1, "wait-synced", "--timeout", "300ms")[0] == 1
        assert answer(lab, 1, "health")[0] == 0
        code, words = answer(lab, 1, "health", "--strict")
        assert code == 1 and "max-flows" in words
        code, words = answer(lab, 2, "health")
        assert code == 1 and "max-flows" in words
        assert verify.end()[0] == 1
    lab.flowgen(1, "destroy", "--count", 2 * MAX - 500)
    Stopwatch("there was room", 2).wait(lambda: all_proven(lab), "internal table below max-flows again: proven")
    assert_tables_equal(lab)
    assert answer(lab, 2, "health")[0] == 0


def test_whoever_may_read_cannot_have_the_daemon_verify_without_bound(lab):
    start_pair(lab, lambda node: {"table": {"max-flows": MAX if node == 2 else "auto"}})
    lab.flowgen(1, "create", "--count", 2 * MAX)
    wait_for(lambda: peer_of(lab.daemon[2].status(), 1)["overflowed"], 20, "there is no proof to be had")
    ends = [verify.end() for verify in [Verify(lab, 1) for _ in range(8)]]
    refused = ["too many verify" in words for _, words in ends]
    assert all(code == 1 for code, _ in ends)
    assert any(refused) and refused.count(False) >= 4, ends
    assert "too many" not in answer(lab, 1, "verify")[1], "those that end make room"


def test_an_external_table_beyond_max_flows_is_named_and_never_in_sync(lab):
    start_pair(lab, lambda node: {"table": {"max-flows": MAX if node == 2 else "auto"}})
    lab.flowgen(1, "create", "--count", 2 * MAX)
    wait_for(lambda: peer_of(lab.daemon[2].status(), 1)["overflowed"], 20, "the table is full")
    with never(lambda: claims_sync(lab)):
        verify = Verify(lab, 1)
        peer = peer_of(lab.daemon[2].status(), 1)
        assert peer["flows"] <= MAX and peer["flows_refused"] > 0
        assert "max-flows" in peer["problem"]
        assert any("max-flows" in problem for problem in lab.daemon[2].status()["problems"])
        wait_for(lambda: "max-flows" in peer_of(lab.daemon[1].status(), 2)["held"]["reason"], 20, "the owner is told")
        assert_no_storm(lab)
        assert answer(lab, 1, "wait-synced", "--timeout", "300ms")[0] == 1
        assert answer(lab, 1, "health")[0] == 0
        assert answer(lab, 1, "health", "--strict")[0] == 1
        code, words = answer(lab, 2, "health")
        assert code == 1, words
        # what goes on meanwhile starts no storm either
        lab.flowgen(1, "churn", "--first", 100000, "--rate", 1000, "--seconds", 1, "--alive", 100)
        assert effort(lab, 2)[1] <= 3
        code, words = verify.end()
        assert code == 1 and "max-flows" in words
    lab.flowgen(1, "destroy", "--count", 2 * MAX - 500)
    Stopwatch("there was room", 5).wait(lambda: all_proven(lab), "external table below max-flows again: proven")
    assert_tables_equal(lab)
    assert answer(lab, 2, "health")[0] == 0


@pytest.mark.parametrize("node", [1, 2])
def test_a_reload_with_a_higher_max_flows_ends_the_lack(lab, node):
    """Beyond max-flows from the first dump on; no flow has to go for all to be in sync once the limit is raised."""
    lab.flowgen(1, "create", "--count", 2 * MAX)
    lab.start(lambda each: {"table": {"max-flows": MAX if each == node else "auto"}})
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")

    def lacks(status):
        return status["internal"]["refused"] if node == 1 else peer_of(status, 1).get("overflowed")

    wait_for(lambda: lacks(lab.daemon[node].status()), 20, "the table is full")
    assert not claims_sync(lab)
    lab.daemon[node].write_config(table={"max-flows": 4 * MAX})
    assert answer(lab, node, "reload")[0] == 0
    watch = Stopwatch("the reload", 5)
    watch.wait(lambda: all_proven(lab), f"{'internal' if node == 1 else 'external'} table's max-flows raised: proven")
    assert assert_tables_equal(lab) >= 2 * MAX
    assert not lacks(lab.daemon[node].status())
    assert answer(lab, 2, "health")[0] == 0


def test_audits_of_a_kernel_that_says_everything_find_nothing(lab):
    """What the kernel refuses to create was never a flow; what events told needs no correction."""
    start_pair(lab, {"kernel": {"audit-interval": "1s"}})
    for _ in range(2):  # the second time each is refused with EEXIST
        lab.flowgen(1, "create", "--count", 5000)
    wait_for(lambda: all_proven(lab), 30)
    before = lab.daemon[1].status()
    wait_for(lambda: audited(lab) > before["kernel"]["audit"]["passes"] + 1, 30, "two audits")
    after = lab.daemon[1].status()
    assert after["kernel"]["audit"]["corrections"] == 0
    assert after["internal"]["version"] == before["internal"]["version"]  # and a timeout that runs down is no change
    assert_tables_equal(lab)
