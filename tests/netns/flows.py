# SPDX-License-Identifier: GPL-2.0-or-later
"""What the synchronisation tests share: making flows, comparing all tables, proof, and how long a condition took."""

import json
import re
import threading
import time
from contextlib import contextmanager

from programs import program
from space import LabError, wait_for
import tables

PATIENCE = 10  # a test waits so many times the figure: it fails because something does not happen, not when slow
timings = []   # lines for the end of the run: "equal 1.2 s after the link's return (goal 5 s)"


class Stopwatch:
    """Measures from an event ("the link's return") to conditions, against the seconds that are the goal."""

    def __init__(self, event, goal_s):
        self.event = event
        self.goal_s = goal_s
        self.start = time.monotonic()

    def wait(self, condition, what):
        """Wait for a condition, note what it took, and return its value."""
        value = wait_for(condition, self.goal_s * PATIENCE, f"{what} after {self.event}")
        self.note(what)
        return value

    def note(self, what):
        timings.append(f"{what} {time.monotonic() - self.start:.1f} s after {self.event} (goal {self.goal_s:g} s)")


def start_pair(lab, overrides=None, **changes):
    """All daemons; node 1 is primary, the others are backups, and each is proven to hold the others' flows."""
    lab.start(overrides, **changes)
    lab.daemon[1].twintrack("primary")
    for node in lab.nodes[1:]:
        lab.daemon[node].twintrack("backup")
    for daemon in lab.daemon.values():
        daemon.wait_synced(peers=len(lab.nodes) - 1)


def background_flowgen(lab, node, *words):
    """Start flowgen; the caller waits for it."""
    return lab.fw[node].popen(program("tools/flowgen"), *map(str, words), stdout=-1, text=True)


def finish_flowgen(process, timeout=300):
    """Its report, once it has ended; every request must have been carried out."""
    out = process.communicate(timeout=timeout)[0]
    report = json.loads(out.splitlines()[-1])
    if process.returncode or report["errors"]:
        raise LabError(f"flowgen: {report}")
    return report


# -- comparing -------------------------------------------------------------------------------------------------------

OWN_ADDRESS = re.compile(r"inet6? ([0-9a-fA-F.:]+)/")
# what stays on its link, and the groups that the sync links of these tests use
LOCAL_GROUPS = r"224\.0\.0\.\d+|255\.255\.255\.255|ff0[12]::[^ ]*|239\.192\.55\.\d+|ff12::5:\d+"


def kernel_flows_to_replicate(lab, node):
    """The kernel's table as conntrack(8) shows it, without the firewall's own flows (ignore-local)."""
    own = OWN_ADDRESS.findall(lab.fw[node].run("ip", "-o", "addr", "show").stdout)
    is_local = re.compile(f"src=(?:{'|'.join(map(re.escape, own))}|{LOCAL_GROUPS}) ").search
    text = lab.fw[node].run("conntrack", "-L", timeout=600).stdout
    return tables.normalised("\n".join(line for line in text.splitlines() if not is_local(line)))


def external_flows(lab, node, peer):
    return lab.table_flows(node, "external", "--peer", peer)


def assert_tables_equal(lab, owner=1, holders=None):
    """The owner's kernel and internal table, and every holder's copy, are equal field by field; returns the number."""
    kernel = kernel_flows_to_replicate(lab, owner)
    internal = lab.table_flows(owner, "internal")
    assert internal == kernel, f"node {owner}: kernel and internal table: {tables.difference(kernel, internal)}"
    for holder in holders or [node for node in lab.nodes if node != owner]:
        external = external_flows(lab, holder, owner)
        assert external == internal, (f"internal table of node {owner} and its copy at node {holder}: "
                                      f"{tables.difference(internal, external)}")
    return sum(kernel.values())


# -- proof -----------------------------------------------------------------------------------------------------------

def peer_of(status, node):
    return next((peer for peer in status["peers"] if peer["node"] == node), {})


def is_proven(lab, owner, holder, flows=None):
    """The holder has proven its copy of the owner's newest version, and the owner knows it; optionally of so many."""
    ours = lab.daemon[owner].status()
    theirs = peer_of(lab.daemon[holder].status(), owner)
    here = peer_of(ours, holder)
    if not theirs or not here:
        return False
    return (here["in_sync"] and theirs["in_sync"] and theirs["flows"] == ours["internal"]["flows"]
            and theirs["holds"]["version"] == here["held"]["version"] == ours["internal"]["version"]
            and flows in (None, ours["internal"]["flows"]))


def all_proven(lab, owner=1, flows=None):
    return all(is_proven(lab, owner, node, flows) for node in lab.nodes if node != owner)


def internal_count(lab, node):
    """How many flows the daemon's internal table has."""
    return lab.daemon[node].status()["internal"]["flows"]


# -- what the command answers ------------------------------------------------------------------------------------------

def answer(lab, node, *words):
    """(exit code, all it said) of a verb."""
    done = lab.daemon[node].twintrack(*words, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def exit_codes(lab, node, wait_s=1):
    """What wait-synced, health, health --strict and verify answer: a dictionary of exit codes."""
    return {
        "wait-synced": answer(lab, node, "wait-synced", "--timeout", f"{wait_s}s")[0],
        "health": answer(lab, node, "health")[0],
        "strict": answer(lab, node, "health", "--strict")[0],
        "verify": answer(lab, node, "verify")[0],
    }


# All fine; without an armed fence strict health is never good.
GOOD = {"wait-synced": 0, "health": 0, "strict": 0, "verify": 0}


@contextmanager
def never(condition, interval_s=0.05):
    """Nothing of this may come true, at any look, while the block runs; the look is taken in a thread."""
    over, seen = threading.Event(), []

    def look():
        while not over.wait(interval_s):
            value = condition()
            if value:
                seen.append(value)
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(30)
    assert not seen, seen
