#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of what happens to a pair of firewalls, under traffic, each ending in one primary and one backup.

  chaos.py [--sequences N] [--seed S] [--events E] [--kinds KIND,KIND...] [--jobs J] [--verbose]

Sequence k has seed S + k - 1; `--seed S --sequences 1` runs the same schedule again.  All decisions come from the seed and
from the model (who has the addresses, who was told what, which daemons run, what the sync link does), none from time.

What must hold at the end of each: the kernel of the primary = its internal table = the copy at the backup, nothing in
the backup's kernel but its own flows, and every TCP connection alive.  A connection may be lost only where nothing could
have saved it: its addresses went to a node that did not hold it then, and the model knows why (a sync link that was
dark, say).  Without such a reason a node that does not hold all connections in time is a failure by itself.
"""

import argparse
import random
import re
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from flows import assert_tables_equal, background_flowgen
from lab import CLIENT, VIPS, Lab, LabError, wait_for
from limits import FLOWS_A_BUCKET, host_flows, limit
from roles import FENCE, unsettled
from space import at_exit

CONNECTIONS = 60
FLOWS = 3000
HOLD_S = 200      # so long a node may take until it holds what it must
SETTLE_S = 300
CALL_S = 300
DAY_S = 86400
CROWD_S = 600  # so long the flows of the host's other users may take to go
FENCE_HOLDS_S = 1.0  # so long a daemon hangs whose node gets the addresses: its fence lives far longer than that
CONFIG = {"fence": {**FENCE["fence"], "timeout": "60s"}}
DONE, FAILED, NO_DAEMON = 0, 1, 3
NOT_JUDGED = "connections not judged: "


class Violation(Exception):
    """Something that must hold does not."""


class Sequence:
    """One lab, its model, and the events that happen to it."""

    config = CONFIG

    def __init__(self, lab, seed, say=lambda line: None):
        self.lab, self.seed, self.say = lab, seed, say
        self.random = random.Random(seed)
        self.begun = time.monotonic()
        self.story = []           # "  3.1 s  what happened"
        self.gives_up = seed % 4 == 0  # in the dark the addresses go even to a node that holds nothing
        self.excuse = ""          # why connections may be lost
        self.vip = 1              # who has the addresses
        self.loss = 0             # of the sync link, in percent
        self.churn = None         # (node, process)
        self.next_first = 1000000
        self.full = set()         # nodes whose disk is full
        self.clock = {1: 0, 2: 0}  # how wrong their wall clocks are, in seconds
        self.pending = []         # calls that were not waited for: (thread, node, verb)
        self.bad_answers = []
        self.traffic = None

    # -- telling -------------------------------------------------------------------------------------------------

    def tell(self, text):
        line = f"{time.monotonic() - self.begun:6.1f} s  {text}"
        self.story.append(line)
        self.say(line)

    # -- what a model's step is made of --------------------------------------------------------------------------

    @staticmethod
    def other(node):
        return 3 - node

    def _call(self, node, verb, expected):
        try:
            done = self.lab.daemon[node].twintrack(verb, check=False, timeout=CALL_S)
        except subprocess.TimeoutExpired:
            self.bad_answers.append(f"`{verb}` at node {node} gets no answer")
            return
        if done.returncode not in expected:
            self.bad_answers.append(f"`{verb}` at node {node}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def call(self, node, verb, expected=(DONE,), wait=True):
        """keepalived's notify script, waited for or not."""
        if verb in ("backup", "fault"):
            self.end_churn(node)  # traffic does not go on where the addresses are not
        caller = threading.Thread(target=self._call, args=(node, verb, expected), daemon=True)
        caller.start()
        if wait:
            caller.join()
        else:
            self.pending.append((caller, node, verb))

    def join(self):
        for caller, node, verb in self.pending:
            caller.join(CALL_S)
            if caller.is_alive():
                raise Violation(f"`{verb}` at node {node} gets no answer")
        self.pending = []
        if self.bad_answers:
            raise Violation("; ".join(self.bad_answers))

    def begin_churn(self, seconds):
        self.end_churn()
        first, self.next_first = self.next_first, self.next_first + 1000000
        self.churn = (self.vip, background_flowgen(self.lab, self.vip, "churn", "--first", first, "--rate", 1500,
                                                   "--seconds", seconds, "--alive", 300))

    def end_churn(self, node=None):
        if self.churn and node in (None, self.churn[0]):
            self.churn[1].kill()
            self.churn[1].communicate()
            self.churn = None

    def set_loss(self, percent):
        self.loss = percent
        self.lab.loss(percent)

    def connections_at(self, node):
        """How many of the connections a node holds, in any of its tables."""
        def keys(text):
            return {tuple(line.split(" sport=")[1].split()[:2]) for line in text.splitlines()
                    if f"src={CLIENT} " in line and " dport=500" in line and "ESTABLISHED" in line}

        daemon = self.lab.daemon[node]
        held = keys(self.lab.fw[node].run("conntrack", "-L", "-p", "tcp").stdout)
        try:
            held |= keys(daemon.twintrack("-L", "external").stdout)
            if len(held) >= CONNECTIONS:
                return len(held)
            orphans = [orphan["flows"] for peer in daemon.status()["peers"] for orphan in peer["orphans"]]
        except LabError:  # it has no time for an answer: others hold the kernel's one lock of ctnetlink
            return len(held)
        return max([len(held), *(min(flows, CONNECTIONS) for flows in orphans)])

    def expect_held(self, node):
        """Before the addresses go to a node: it holds all connections, or the model knows why it can't."""
        if self.excuse:
            return
        if self.connections_at(node) >= CONNECTIONS:
            return
        if self.loss == 100 and self.gives_up:
            self.excuse = f"the sync link is dark, and node {node} lost its tables meanwhile"
            self.tell(f"excused: {self.excuse}")
            return
        if self.loss == 100:
            self.tell(f"node {node} lost its tables in the dark: the sync link is back")
            self.set_loss(0)
        try:
            wait_for(lambda: self.connections_at(node) >= CONNECTIONS, HOLD_S, "held", interval=0.2)
        except LabError as error:
            raise Violation(f"node {node} holds {self.connections_at(node)} of {CONNECTIONS} connections, with a "
                            f"working sync link (loss {self.loss} %)") from error

    def move(self, to, new_first=False):
        """The addresses move: the old one's removal first, or the new one's arrival.

        The neighbours are told at the end.  Here that takes tens of milliseconds from the first address to the last, in
        which each kernel would see one direction of a connection alone; one that is primary, and knows the flow since it
        began, finds such packets out of window, and answers them while the address is still its own.  No
        replication prevents that (nf_conntrack_tcp_be_liberal does), and VRRP announces all at once.
        """
        if new_first:
            self.lab.fw[to].ip(*[f"addr replace {address}/{length} dev {interface}" + (" nodad" if ":" in address else "")
                                 for interface, address, length in VIPS])
        self.end_churn(self.other(to))
        self.lab.vip_from(self.other(to))
        self.lab.vip_to(to)
        self.vip = to

    def pause(self, low, high):
        time.sleep(self.random.uniform(low, high))

    # -- the events ----------------------------------------------------------------------------------------------

    def switch_over(self):
        """Planned: in every order, at once or apart."""
        to = self.other(self.vip)
        order = self.random.choice(["backup move primary", "backup primary move", "primary backup move",
                                    "move primary backup", "primary move backup", "move backup primary"]).split()
        apart, new_first = self.random.choice([0, 0, 0.3, 1.5]), self.random.random() < 0.5
        at_once = self.random.random() < 0.3
        self.tell(f"switch-over to node {to}: {' '.join(order)}, {'at once' if at_once else f'{apart} s apart'}"
                  f"{', its addresses first' if new_first else ''}")
        self.expect_held(to)
        for step in order:
            if step == "move":
                self.move(to, new_first)
            else:
                self.call(to if step == "primary" else self.other(to), step, wait=not at_once)
            time.sleep(0 if at_once else apart)
        self.join()

    def switch_over_from_hung(self):
        """The active daemon hangs; its node gives up the addresses; its own script waits for it."""
        giver, to, seconds = self.vip, self.other(self.vip), self.random.uniform(0.2, 3)
        self.tell(f"node {giver}'s daemon hangs for {seconds:.1f} s, and the addresses go to node {to}")
        self.expect_held(to)
        self.lab.daemon[giver].pause()
        self.move(to)
        self.call(giver, "backup", wait=False)
        self.call(to, "primary", wait=False)
        time.sleep(seconds)
        self.lab.daemon[giver].resume()
        self.join()

    def switch_over_to_hung(self):
        """The taking daemon hangs for less than its fence lives."""
        giver, to = self.vip, self.other(self.vip)
        self.tell(f"the addresses go to node {to}, whose daemon hangs for {FENCE_HOLDS_S} s")
        self.expect_held(to)
        self.lab.daemon[to].pause()
        self.call(to, "primary", wait=False)
        self.call(giver, "backup", wait=False)
        self.move(to)
        time.sleep(FENCE_HOLDS_S)
        self.lab.daemon[to].resume()
        self.join()

    # What may befall a node in the middle of a transition.  All leave the daemon running, but for the full disk, which
    # stays full until the transition is over.

    def blow_kill(self, node):
        self.lab.daemon[node].kill()
        self.pause(0, 1)
        self.lab.daemon[node].start()

    def blow_hang(self, node):
        self.lab.daemon[node].pause()
        time.sleep(self.random.choice([0.3, 2, 10]))
        self.lab.daemon[node].resume()

    def blow_full_disk(self, node):
        self.fill_disk(node)

    def blow_clock(self, node):
        self.set_clock(node)

    BLOWS = {"kill -9": blow_kill, "a hang": blow_hang, "a full disk": blow_full_disk,
             "a clock set back by a day": blow_clock}

    def fill_disk(self, node):
        self.lab.daemon[node].fill_disk()
        self.full.add(node)

    def free_disk(self, node):
        self.lab.daemon[node].free_disk()
        self.full.discard(node)

    def set_clock(self, node):
        self.clock[node] -= DAY_S
        self.lab.daemon[node].set_clock(self.clock[node])

    def strike(self, node, blow, full_before):
        self.BLOWS[blow](self, node)
        self.join()
        if node in self.full and node not in full_before:
            self.free_disk(node)

    def switch_over_broken(self):
        """A blow in the middle, to either.  The addresses move when the taker is primary."""
        giver, to = self.vip, self.other(self.vip)
        victim, after = self.random.choice([giver, to]), self.random.choice([0, 0.003, 0.01, 0.03])
        blow, first = self.random.choice(list(self.BLOWS)), self.random.choice(["primary", "backup"])
        self.tell(f"switch-over to node {to}, {first} first, with {blow} at node {victim} after {after} s")
        self.expect_held(to)
        steps, full = [(to, "primary"), (giver, "backup")], set(self.full)
        for node, verb in steps if first == "primary" else steps[::-1]:
            self.call(node, verb, (DONE, FAILED, NO_DAEMON), wait=False)
        time.sleep(after)
        self.strike(victim, blow, full)
        self.call(to, "primary")
        if victim == giver:
            self.call(giver, "backup")
        self.expect_held(to)
        self.move(to)

    def role_left_broken(self):
        """`backup` or `fault` at either node, a blow in the middle of it, and back to what it was."""
        node, verb = self.random.choice([1, 2]), self.random.choice(["backup", "fault"])
        blow, after = self.random.choice(list(self.BLOWS)), self.random.choice([0, 0.003, 0.01])
        self.tell(f"`{verb}` at node {node} ({self.part(node)}), with {blow} after {after} s, and back")
        full = set(self.full)
        self.call(node, verb, (DONE, FAILED, NO_DAEMON), wait=False)
        time.sleep(after)
        self.strike(node, blow, full)
        self.call(node, verb)
        self.call(node, "primary" if node == self.vip else "backup")

    def asked_while_down(self):
        """The scripts are called while the taker's daemon is down: it takes over when it starts."""
        giver, to = self.vip, self.other(self.vip)
        self.tell(f"node {to}'s daemon is killed, `primary` is asked for, and it starts")
        self.expect_held(to)
        self.lab.daemon[to].kill()
        self.call(to, "primary", (NO_DAEMON,))
        self.lab.daemon[to].start()
        self.call(to, "primary")
        self.expect_held(to)
        self.call(giver, "backup")
        self.move(to)

    def power_cut(self):
        """Of the active node; it reboots before or after the other one is promoted."""
        victim, to = self.vip, self.other(self.vip)
        late, away = self.random.random() < 0.3, self.random.choice([0, 0.5, 2])
        self.tell(f"power cut of node {victim}, which is back after {away} s, "
                  f"{'before' if late else 'after'} node {to} is promoted")
        self.expect_held(to)
        self.end_churn(victim)
        self.lab.power_cut(victim)
        if not late:
            self.lab.vip_to(to)
            self.call(to, "primary")
        time.sleep(away)
        self.boot(victim)
        if late:
            self.lab.vip_to(to)
            self.call(to, "primary")
        self.vip = to

    def preempt(self):
        """The active node loses power, the other takes over; it is back, has the higher priority, and preempts at once."""
        if self.loss == 100:
            self.dark()  # who is back from a power cut over a dark link has nothing to preempt with
        victim, to = self.vip, self.other(self.vip)
        order = self.random.choice(["move primary backup", "primary backup move", "backup move primary"]).split()
        self.tell(f"power cut of node {victim}, which preempts node {to} as soon as it is back: {' '.join(order)}")
        self.expect_held(to)
        self.end_churn(victim)
        self.lab.power_cut(victim)
        self.lab.vip_to(to)
        self.call(to, "primary")
        self.vip = to
        self.boot(victim)
        self.switch(victim, order)

    def catching_up(self):
        """The taker was restarted a moment ago, over a slow link: it is primary while it still catches up."""
        if self.loss == 100:
            self.dark()
        giver, to = self.vip, self.other(self.vip)
        order = self.random.choice(["primary backup move", "backup primary move", "primary move backup"]).split()
        self.tell(f"switch-over to node {to}, whose daemon is restarted and catches up: {' '.join(order)}")
        self.lab.slow(2)
        self.lab.daemon[to].kill()
        self.lab.daemon[to].start()
        self.switch(to, order)
        self.lab.slow(None)

    def switch(self, to, order):
        for step in order:
            if step == "move":
                self.move(to)
            else:
                self.call(to if step == "primary" else self.other(to), step)

    def full_disk(self):
        node = self.random.choice([1, 2])
        if node in self.full:
            self.tell(f"node {node}'s disk has room again")
            self.free_disk(node)
        else:
            self.tell(f"node {node}'s disk is full")
            self.fill_disk(node)

    def clock_set(self):
        node = self.random.choice([1, 2])
        self.tell(f"node {node}'s clock is set back by a day")
        self.set_clock(node)

    def power_cut_of_backup(self):
        victim, away = self.other(self.vip), self.random.choice([0, 0.5, 2])
        self.tell(f"power cut of node {victim}, the backup, for {away} s")
        self.lab.power_cut(victim)
        time.sleep(away)
        self.boot(victim)

    def boot(self, node):
        """The machine comes up; VRRP starts it as backup."""
        self.lab.reboot(node)
        self.full.discard(node)
        self.lab.loss(self.loss)
        self.lab.daemon[node].start(overrides=self.config)
        self.call(node, "backup")

    def kill(self):
        node, away = self.random.choice([1, 2]), self.random.choice([0, 0.3, 1.5])
        self.tell(f"kill -9 of node {node}'s daemon ({self.part(node)}) for {away} s")
        self.lab.daemon[node].kill()
        time.sleep(away)
        self.lab.daemon[node].start()

    def kill_both(self):
        self.tell("kill -9 of both daemons")
        if self.loss < 100:
            self.expect_held(self.other(self.vip))
        for node in (1, 2):
            self.lab.daemon[node].kill()
        for node in self.random.sample([1, 2], 2):
            self.lab.daemon[node].start()

    def hang(self):
        node, seconds = self.random.choice([1, 2]), self.random.choice([self.random.uniform(0.3, 4), 10])
        self.tell(f"node {node}'s daemon ({self.part(node)}) hangs for {seconds:.1f} s")
        self.lab.daemon[node].pause()
        time.sleep(seconds)
        self.lab.daemon[node].resume()

    def dark(self):
        if self.loss == 100:
            self.tell("the sync link is back")
            self.set_loss(0)
        else:
            self.tell("the sync link goes dark")
            self.set_loss(100)
        self.pause(0, 2)

    def lossy(self):
        percent = self.random.choice([0, 5, 10, 20])
        self.tell(f"the sync link loses {percent} %")
        self.set_loss(percent)

    def again(self):
        """Both are told what they are, twice."""
        self.tell("`primary` and `backup` twice")
        for _ in range(2):
            self.call(self.vip, "primary")
            self.call(self.other(self.vip), "backup")

    def fault(self):
        node = self.random.choice([1, 2])
        self.tell(f"fault at node {node} ({self.part(node)}) and back")
        self.call(node, "fault")
        self.pause(0, 1)
        self.call(node, "primary" if node == self.vip else "backup")

    def flap(self):
        """Ten transitions in five seconds."""
        self.tell("ten transitions in five seconds")
        self.expect_held(self.other(self.vip))
        end = time.monotonic()
        for _ in range(10):
            to = self.other(self.vip)
            if self.loss == 100:
                self.expect_held(to)
            self.call(self.other(to), "backup")
            self.move(to)
            self.call(to, "primary")
            end += 0.5
            time.sleep(max(0.0, end - time.monotonic()))

    def both_primary(self):
        """Split brain for a moment; the one without the addresses, or the older one, gives way."""
        node = self.other(self.vip)
        stays = self.random.random() < 0.5
        self.tell(f"`primary` at node {node}, too; then {'it' if stays else 'the older one'} gives way")
        self.expect_held(node)
        self.call(node, "primary")
        self.pause(0, 1.5)
        if stays:
            self.call(node, "backup")
            return
        self.move(node, new_first=True)
        self.call(self.other(node), "backup")

    def both_backup(self):
        self.tell("backup at both for a moment")
        self.call(self.vip, "backup")
        self.pause(0, 1)
        self.call(self.vip, "primary")

    def asked_during_another(self):
        """keepalived's scripts, called faster than they end; the last word is what the node is."""
        node = self.other(self.vip)
        self.tell(f"primary, backup, primary, backup at node {node}, 20 ms apart")
        for verb in ("primary", "backup", "primary", "backup"):
            self.call(node, verb, (DONE, FAILED), wait=False)
            time.sleep(0.02)
        self.join()
        self.call(node, "backup")

    def nobody(self):
        """Nobody has the addresses for a second."""
        told = self.random.random() < 0.5
        self.tell(f"nobody has the addresses for a second{', and node ' + str(self.vip) + ' is told so' if told else ''}")
        self.lab.vip_from(self.vip)
        if told:
            self.call(self.vip, "backup")
        time.sleep(1)
        self.lab.vip_to(self.vip)
        if told:
            self.call(self.vip, "primary")

    def churn_some(self):
        seconds = self.random.randint(2, 5)
        self.tell(f"flows come and go at node {self.vip} for {seconds} s")
        self.begin_churn(seconds)
        self.pause(0, 1)

    def step(self):
        node = self.random.choice([1, 2])
        words = self.random.choice([["reload"], ["flush", "external"], ["flush", "internal"], ["resync"]])
        self.tell(f"`{' '.join(words)}` at node {node} ({self.part(node)})")
        if self.loss == 100 and words[-1] == "external":
            return  # it would drop the only copy, as asked
        done = self.lab.daemon[node].twintrack(*words, check=False)
        if done.returncode:
            raise Violation(f"{words} at node {node}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def part(self, node):
        return "active" if node == self.vip else "backup"

    WEIGHTS = {"switch_over": 5, "switch_over_from_hung": 1, "switch_over_to_hung": 1, "switch_over_broken": 3,
               "role_left_broken": 2, "asked_while_down": 1, "power_cut": 2, "power_cut_of_backup": 1, "preempt": 1,
               "catching_up": 1, "full_disk": 1, "clock_set": 1, "kill": 3, "kill_both": 1, "hang": 2,
               "dark": 3, "lossy": 2, "again": 1, "fault": 1, "flap": 1, "both_primary": 1, "both_backup": 1,
               "asked_during_another": 1, "nobody": 1, "churn_some": 4, "step": 2}

    # -- a whole sequence ----------------------------------------------------------------------------------------

    def open(self):
        lab = self.lab
        for end in (lab.client, lab.server):
            # a connection that lives shows it soon: no long back-off (Linux 6.15), and no end before the last attempt
            end.run("sysctl", "-qew", "net.ipv4.tcp_rto_max_ms=2000", "net.ipv4.tcp_retries2=255")
        lab.vip_to(1)
        lab.start(self.config)
        lab.daemon[1].twintrack("primary")
        lab.daemon[2].twintrack("backup")
        self.traffic = lab.traffic(CONNECTIONS, duration_s=1200)
        lab.flowgen(1, "create", "--count", FLOWS)
        wait_for(lambda: not unsettled(lab, 1), SETTLE_S, "settled at the start")
        self.begun = time.monotonic()

    def look(self):
        """After each event: are all connections there?"""
        self.traffic.mark()
        sides = [side.wait_event("marked", after=after) for side, after in
                 zip((self.traffic.server, self.traffic.client), self.traffic._marks)]
        alive = sum(side["speaking"] for side in sides)
        if alive < CONNECTIONS and not self.excuse:
            raise Violation(f"{CONNECTIONS - alive} connections killed: {self.traffic.summary()}")

    def settle(self):
        """One primary, which has the addresses, and one backup; no call that VRRP would not make."""
        self.set_loss(0)
        self.end_churn()
        for node in sorted(self.full):
            self.free_disk(node)
        to, first = self.random.choice([1, 2]), self.random.choice(["primary", "backup"])
        self.tell(f"settling: node {to} is to be primary")
        if to != self.vip:
            self.expect_held(to)
            steps = [(to, "primary"), (self.other(to), "backup")]
            for node, verb in steps if first == "primary" else steps[::-1]:
                self.call(node, verb)
            self.move(to)
        self.join()

    def check(self):
        reason = ["never looked"]

        def settled():
            try:
                reason[0] = unsettled(self.lab, self.vip)
                if not reason[0]:
                    assert_tables_equal(self.lab, self.vip)
            except (AssertionError, LabError) as error:
                reason[0] = str(error)
            return not reason[0]

        try:
            wait_for(settled, SETTLE_S, "settled", interval=0.2)
        except LabError as error:
            raise Violation(f"not one primary and one backup after {SETTLE_S} s: {reason[0]}") from error
        self.tell("settled")
        if self.excuse:
            return
        self.traffic.mark()
        verdict = self.traffic.verdict(90)
        if verdict.before != CONNECTIONS or verdict.alive != CONNECTIONS:
            raise Violation(f"connections lost: {verdict}")

    def run(self, events, kinds):
        """All of it; a Violation says what does not hold."""
        self.open()
        names, weights = list(kinds), [self.WEIGHTS[kind] for kind in kinds]
        for _ in range(events):
            getattr(self, self.random.choices(names, weights)[0])()
            self.look()
        self.settle()
        self.check()

    def report(self):
        """What is needed to understand a failure."""
        lines = [f"seed {self.seed}", *self.story]
        for node in self.lab.nodes:
            with suppress(Exception):
                self.lab.daemon[node].resume()
                lines += [f"--- status of node {node} ---", self.lab.daemon[node].twintrack("status", "--json").stdout]
        return "\n".join(lines + [self.lab.logs()])


def host_is_crowded():
    """All namespaces share one hash of connections: where others fill it, the kernel refuses flows, and no daemon can
    help it (ENOSPC, nf_conntrack_hash_check_insert())."""
    return (host_flows() or 0) > FLOWS_A_BUCKET * limit("nf_conntrack_buckets")


def run_on_a_quiet_host(seed, events, kinds, say):
    """As run_seed(), and once more if it failed where the host's hash of connections was too full."""
    for _ in range(3):
        with suppress(LabError):
            wait_for(lambda: not host_is_crowded(), CROWD_S, "room in the host's hash of connections", interval=1)
        wrong, excuse, report = run_seed(seed, events, kinds, say)
        if not wrong or not (host_is_crowded() or re.search(r'"refused":[1-9]', report)):
            break
        print(f"seed {seed}: again, for the kernel refused flows: the host's hash of connections is too full", flush=True)
    return wrong, excuse, report


def run_seed(seed, events=20, kinds=tuple(Sequence.WEIGHTS), say=lambda line: None):
    """One sequence in a lab of its own: (what is wrong or "", the sequence's excuse, its report)."""
    with Lab(own_machines=True) as lab:
        sequence = Sequence(lab, seed, say)
        try:
            sequence.run(events, kinds)
            return "", sequence.excuse, ""
        except (Violation, LabError) as error:
            return str(error), sequence.excuse, sequence.report()
        except Exception:
            return traceback.format_exc(), sequence.excuse, sequence.report()


def run_one(seed, words):
    """A sequence, told as it goes: (is it wrong, was it excused)."""
    begun = time.monotonic()
    wrong, excuse, report = run_on_a_quiet_host(seed, words.events, words.kinds.split(","),
                                                print if words.verbose else lambda line: None)
    print(f"seed {seed}: {'FAILED: ' + wrong if wrong else 'good'} ({time.monotonic() - begun:.0f} s)"
          f"{'; ' + NOT_JUDGED + excuse if excuse else ''}", flush=True)
    if report:
        print(report, flush=True)
    return bool(wrong), bool(excuse)


def run_apart(seed, words, children):
    """The same in a process of its own, for several at once; its words come when it has ended."""
    child = subprocess.Popen([sys.executable, __file__, "--seed", str(seed), "--sequences", "1", "--events",
                              str(words.events), "--kinds", words.kinds, *(["--verbose"] if words.verbose else [])],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    children.append(child)
    said = child.communicate()[0]
    lines = said.splitlines()
    print("\n".join(lines[:-1]) if lines and lines[-1].startswith("1 sequence") else said, flush=True)
    return child.returncode != 0, NOT_JUDGED in said


def run_side_by_side(seeds, words):
    """All of them, so many at once as there are jobs; a signal ends those that run and begins no other."""
    children = []
    pool = ThreadPoolExecutor(words.jobs)
    at_exit(children.clear)  # which has SIGTERM and SIGHUP end this with SystemExit
    try:
        return list(pool.map(lambda number: run_apart(number, words, children), seeds))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.terminate()
        pool.shutdown()


def main():
    parser = argparse.ArgumentParser(description="Random sequences of failures and switch-overs, under traffic.")
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--kinds", default=",".join(Sequence.WEIGHTS), help="only events of these kinds")
    parser.add_argument("--verbose", action="store_true", help="tell each event as it happens")
    parser.add_argument("--jobs", type=int, default=1, help="so many sequences side by side")
    words = parser.parse_args()
    begun = time.monotonic()
    seed = words.seed if words.seed is not None else random.SystemRandom().randrange(1, 1 << 31)
    seeds = range(seed, seed + words.sequences)
    if words.jobs > 1:
        results = run_side_by_side(seeds, words)
    else:
        results = [run_one(number, words) for number in seeds]
    failed = [number for number, (wrong, _) in zip(seeds, results) if wrong]
    print(f"{words.sequences} sequence{'s' * (words.sequences > 1)} of {words.events} events, first seed {seed}: "
          f"{len(failed)} failed{' (' + ' '.join(map(str, failed)) + ')' if failed else ''}, "
          f"{sum(excused for _, excused in results)} without a verdict on connections, "
          f"{time.monotonic() - begun:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
