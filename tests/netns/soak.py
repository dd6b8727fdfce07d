#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A pair of firewalls under load and trouble for a long time.

  soak.py [--seconds T] [--seed S] [--changes N] [--verbose]

N flow changes a second (20,000; half of them are creations) at the active node all the time, live TCP connections, and one
event after the other: random loss, outages of the sync link, killed daemons, changes of roles, reloads.  The events are
those of chaos.py.

What must hold at the end: one primary and one backup with equal tables, `verify` is content on both nodes, the daemons'
memory does not grow beside what their tables hold, and every warning in the logs is one that the events explain.  How
many of the connections live is told; that none dies is what chaos.py is for, which knows when one may.
"""

import argparse
import re
import statistics
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import nullcontext

from chaos import CONFIG, CONNECTIONS, Sequence, Violation
from flows import background_flowgen
from lab import Lab, LabError
from limits import HostLimits

ALIVE = 20000       # flows at a time
TIMEOUT_S = 30      # what a churn that is cut short leaves behind runs out by itself
VERIFY_S = 60
SAMPLE_S = 2
RANGE, RANGES = 2_000_000, 180_000_000  # flow numbers of one churn, and of all: by the time they repeat, all have run out
SMALL = 5000        # changes a second that need no room but what every host has
LONG_S = 300        # shorter runs say nothing of memory
GROWTH, SLACK_KB = 1.15, 8192  # of the memory beside the tables (median) in the last sixth of the time over the one before
BESIDE_KB = 65536   # of memory beside the tables, at any time: what is bounded in it has its bounds together
ENTRY_BYTES = 150   # of memory for a flow or a tombstone, at most

# id of a warning or error in the log: why the events of this program cause it
EXPLAINED = {
    "peer-gone": "killed daemons, dark links, and hung ones",
    "split-brain": "two are primary for a moment when the roles change hands",
    "session-restart": "a daemon that was killed comes back",
    "overrun": "a daemon that is down or hangs does not read events",
    "full-again": "an outage that is longer than the tombstones reach",
    "transition": "a transition that was broken off by a newer one",
    "link-receive": "the sync link was dark",
    "follow-failed": "the flow ended meanwhile, or another one has its tuple",
    "fence-gave-up": "the addresses were there for longer than max-wait without `primary'",
}


class Soak(Sequence):
    WEIGHTS = {"switch_over": 3, "kill": 3, "kill_both": 1, "dark_for_a_while": 3, "lossy": 3, "again": 1, "fault": 1,
               "both_backup": 1, "reload": 3, "hang_for_a_moment": 1}

    def __init__(self, lab, seed, changes, say):
        super().__init__(lab, seed, say)
        self.excuse = "the connections are told, and not judged"
        self.changes = changes
        self.memory = {1: [], 2: []}  # (seconds, and what _sample() says)
        self.done = threading.Event()
        self.alive = CONNECTIONS

    # -- events that chaos.py does not have, or has otherwise --------------------------------------------------------

    def begin_churn(self, seconds):
        self.end_churn()
        first, self.next_first = self.next_first, self.next_first % RANGES + RANGE
        self.churn = (self.vip, background_flowgen(
            self.lab, self.vip, "churn", "--first", first, "--rate", self.changes // 2, "--seconds", seconds,
            "--alive", ALIVE, "--proto", "udp", "--timeout", TIMEOUT_S))

    def dark_for_a_while(self):
        seconds = self.random.uniform(0.5, 8)
        self.tell(f"the sync link is dark for {seconds:.1f} s")
        before = self.loss
        self.set_loss(100)
        time.sleep(seconds)
        self.set_loss(before if before < 100 else 0)

    def hang_for_a_moment(self):
        node, seconds = self.random.choice([1, 2]), self.random.uniform(0.3, 3)
        self.tell(f"node {node}'s daemon ({self.part(node)}) hangs for {seconds:.1f} s")
        self.lab.daemon[node].pause()
        time.sleep(seconds)
        self.lab.daemon[node].resume()

    def reload(self):
        """Another interval, another level of the log, and back: nothing may be lost by it."""
        node = self.random.choice([1, 2])
        changes = {"kernel": {"audit-interval": self.random.choice(["20s", "60s"])},
                   "log": {"level": self.random.choice(["info", "notice"])}}
        self.tell(f"reload at node {node} ({self.part(node)}): {changes}")
        self.lab.daemon[node].write_config(self.config, **changes)
        done = self.lab.daemon[node].twintrack("reload", check=False)
        if done.returncode:
            raise Violation(f"reload at node {node}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def look(self):
        """After each event: how many connections are there?"""
        self.traffic.mark()
        alive = sum(side.wait_event("marked", after=after)["speaking"] for side, after in
                    zip((self.traffic.server, self.traffic.client), self.traffic._marks))
        if alive != self.alive:
            self.tell(f"{alive} of {CONNECTIONS} connections live")
        self.alive = alive

    # -- memory --------------------------------------------------------------------------------------------------

    def _sample(self, node):
        """(resident memory of a daemon, what its tables take of it, what they hold), in KB and entries; None: not now."""
        daemon = self.lab.daemon[node]
        try:
            status = daemon.status()
            with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
                resident = int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))
        except (OSError, AttributeError, LabError, subprocess.TimeoutExpired, ValueError):
            return None  # killed, hung, or about to start
        own = status["internal"]
        tables = own["memory_bytes"] + sum(peer["memory_bytes"] for peer in status["peers"])
        entries = own["flows"] + own["tombstones"] + sum(
            peer["flows"] + sum(orphan["flows"] for orphan in peer["orphans"]) for peer in status["peers"])
        return resident, tables // 1024, entries

    def _watch(self):
        while not self.done.wait(SAMPLE_S):
            for node in self.memory:
                sample = self._sample(node)
                if sample:
                    self.memory[node].append((time.monotonic() - self.begun, *sample))

    def check_memory(self, seconds):
        """How many flows there are is the events' affair; so is what the tables take.  All else does not grow, and the
        tables take no more than what they hold explains."""
        for node, samples in self.memory.items():
            parts = 6 if seconds >= LONG_S else 1  # shorter runs say nothing of growth
            sixths = [[sample for sample in samples if part * seconds / parts <= sample[0] < (part + 1) * seconds / parts]
                      for part in range(parts)]
            if not all(sixths):
                raise Violation(f"node {node}: too few samples of its memory: {len(samples)}")
            resident = [max(kb for _, kb, _, _ in sixth) for sixth in sixths]
            # what an audit pass notes under load comes and goes: megabytes that are no growth
            beside = [round(statistics.median(kb - tables for _, kb, tables, _ in sixth)) for sixth in sixths]
            most = max(kb - tables for _, kb, tables, _ in samples)
            entries = [max(held for *_, held in sixth) for sixth in sixths]
            self.tell(f"memory of node {node}: at most {', '.join(map(str, resident))} KB in each sixth, beside the tables "
                      f"{', '.join(map(str, beside))} KB (median; at most {most} KB); these held at most "
                      f"{', '.join(map(str, entries))} entries")
            wasted = [sample for sample in samples if sample[2] > ENTRY_BYTES * sample[3] / 1024 + SLACK_KB]
            if wasted:
                raise Violation(f"node {node}: its tables take {wasted[0][2]} KB for {wasted[0][3]} entries")
            if most > BESIDE_KB:
                raise Violation(f"node {node}: it takes {most} KB beside its tables")
            if parts > 1 and beside[-1] > GROWTH * beside[-2] + SLACK_KB:
                raise Violation(f"the memory of node {node} grows: {beside} KB beside its tables")

    # -- what the logs say -------------------------------------------------------------------------------------------

    def check_logs(self):
        unexplained = Counter()
        for node, daemon in self.lab.daemon.items():
            counts = Counter()
            for line in daemon.log().splitlines():
                found = re.search(r" (warning|error): (.*) \[([a-z-]+)\]$", line)
                if not found:
                    continue
                counts[found.group(3)] += 1
                if found.group(3) not in EXPLAINED:
                    unexplained[f"node {node}: {found.group(1)}: {found.group(2)} [{found.group(3)}]"] += 1
            self.tell(f"warnings of node {node}: {dict(counts)}")
        if unexplained:
            raise Violation(f"warnings that nothing explains: {dict(unexplained)}")

    def check_verify(self):
        for node, daemon in self.lab.daemon.items():
            end = time.monotonic() + VERIFY_S
            while True:
                done = daemon.twintrack("verify", check=False, timeout=120)
                if done.returncode == 0:
                    self.tell(f"node {node}: {done.stdout.strip().replace(chr(10), '; ')}")
                    break
                if time.monotonic() > end:
                    raise Violation(f"verify at node {node}: {done.stdout}{done.stderr}")

    # -- the whole ---------------------------------------------------------------------------------------------------

    def run_for(self, seconds):
        self.open()
        for space in self.lab.fw.values():
            space.sysctl(net__netfilter__nf_conntrack_udp_timeout=TIMEOUT_S,
                         net__netfilter__nf_conntrack_udp_timeout_stream=TIMEOUT_S)
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        events = 0
        while time.monotonic() - self.begun < seconds:
            if not self.churn or self.churn[1].poll() is not None or self.churn[0] != self.vip:
                self.begin_churn(seconds)
            self.pause(1, 4)
            # what a daemon holds shows only in one that is not started anew: in the last third none is killed
            late = time.monotonic() - self.begun > seconds * 2 / 3
            names = [name for name in self.WEIGHTS if not (late and name.startswith("kill"))]
            weights = [self.WEIGHTS[name] for name in names]
            getattr(self, self.random.choices(names, weights)[0])()
            self.look()
            events += 1
        self.done.set()
        watcher.join()
        self.tell(f"{events} events in {time.monotonic() - self.begun:.0f} s")
        self.settle()
        self.check()
        self.check_verify()
        self.check_memory(seconds)
        self.check_logs()


def soak(seconds, seed, changes, say):
    """(what is wrong or "", the story, a report)"""
    limits = {"nf_conntrack_max": 1_000_000, "nf_conntrack_buckets": 262_144} if changes > SMALL else {}
    with HostLimits(**limits) if limits else nullcontext(), Lab(own_machines=True) as lab:
        run = Soak(lab, seed, changes, say)
        try:
            run.run_for(seconds)
            return "", run.story, ""
        except (Violation, LabError) as error:
            return str(error), run.story, run.report()
        except Exception:
            return traceback.format_exc(), run.story, run.report()
        finally:
            run.done.set()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=900)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--changes", type=int, default=20000)
    parser.add_argument("--verbose", action="store_true")
    words = parser.parse_args()
    begun = time.monotonic()
    wrong, story, report = soak(words.seconds, words.seed, words.changes, print if words.verbose else lambda line: None)
    if not words.verbose:
        print("\n".join(story[-8:]))
    print(f"soak of {words.seconds} s, seed {words.seed}, {words.changes:,} flow changes a second: "
          f"{'FAILED: ' + wrong if wrong else 'good'} ({time.monotonic() - begun:.0f} s)")
    if report:
        print(report)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
