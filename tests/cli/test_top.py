# SPDX-License-Identifier: GPL-2.0-or-later
"""The live view, in a terminal."""
import copy
import itertools
import os
import select
import signal
import threading

import pytest
from fake_daemon import status
from terminal import Terminal
from test_status import LEAST, PEER, UNPROVEN
from twintrack_command import PROGRAM


class Pair:
    """Answers of a daemon whose counters go on with each."""

    def __init__(self, peers=1, **changes):
        self.changes, self.count, self.peers = changes, itertools.count(1), peers

    def __call__(self, _request, _connection):
        step = next(self.count)
        said = copy.deepcopy(LEAST)
        said["peers"] = [dict(PEER, node=2 + i, role="backup" if i else "primary", **self.changes) for i in range(self.peers)]
        said["internal"] = {"flows": 100000 + step, "version": 50 * step}
        said["kernel"]["events"] = 1000 * step
        said["session"] = "a"
        said["links"] = [{"interface": "sync0", "port": 1, "up": True, "problem": "", "sent": 40 * step, "received": 39 * step}]
        return status(said)


@pytest.fixture
def terminal(tmp_path, command):
    """terminal(*words) shows `twintrack top`; it ends with the test."""
    running = []

    def start(*words, **options):
        running.append(Terminal(tmp_path, PROGRAM, "--socket", command.socket, "top", *words, **options))
        return running[0]

    yield start
    for one in running:
        one.close()


def test_a_pair_has_room_at_80x24_and_q_quits(terminal, daemon):
    daemon(Pair())
    shown = terminal("--interval", "100ms")
    shown.wait_for(lambda screen: "█" in screen, "plots")
    lines = shown.lines()
    assert len(lines) == 24 and all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("Twintrack  node 1, backup, term 3") and lines[0].endswith("every 0.1 s")
    assert lines[1] == "SAFE: this node can take over from node 2"
    text = "\n".join(lines)
    for fact in ("    2 alive  primary        5,000  equal 20.0 ms ago equal 20.0 ms ago    310 us", "sync0           up ",
                 "fence    armed", "own flows       100,", "events/s", "lag", "loss", "received/s"):
        assert fact in text, fact
    assert lines[-1].startswith("q quit   p pause   + - interval")
    shown.press("q")
    shown.ended(0)


def test_what_is_wrong_is_seen(terminal, daemon):
    daemon(Pair(holds=UNPROVEN))
    shown = terminal()
    shown.shows("\nNOT SAFE: our copy of the flows of node 2, the primary, is not in sync: 12\nversions behind\n", "5,000  NOT in sync",
                "its flows here: 12 versions behind (last proven 90.0 s ago)")


def test_keys_change_the_interval_and_pause(terminal, daemon):
    fake = daemon(Pair())
    shown = terminal("--interval", "30m")
    shown.shows("every 1800.0 s", "SAFE")
    shown.press("+", "+", "+")
    shown.shows("every 3600.0 s")
    shown.press("-")
    shown.shows("every 1800.0 s")
    assert len(fake.requests) == 1
    shown.press("Space")
    shown.wait_for(lambda _: len(fake.requests) == 2, "a look at once")
    shown.press(*["-"] * 20)
    shown.shows("every 0.1 s")
    shown.wait_for(lambda _: len(fake.requests) > 4, "looks at the interval")
    shown.press("p")
    shown.shows("PAUSED", "p go on")
    count = len(fake.requests)
    shown.press("x", "Left")  # no keys of ours: nothing happens
    shown.press("p")
    shown.shows("every 0.1 s", "p pause")
    shown.wait_for(lambda _: len(fake.requests) > count, "looks again")


def test_arrows_go_through_peers_that_have_no_room(terminal, daemon):
    daemon(Pair(peers=40))
    shown = terminal("--interval", "30m")
    shown.shows("\n    2 alive", "up down peers")
    shown.press("Down")
    shown.wait_for(lambda screen: "\n    2 alive" not in screen and "\n    3 alive" in screen, "the next peers")
    shown.press("Up", "Up")
    shown.shows("\n    2 alive")
    shown.press(*["Down"] * 60)
    shown.shows("\n   41 alive")
    shown.press("Up")
    shown.wait_for(lambda screen: "\n   41 alive" not in screen, "back by one")


def test_a_new_size_is_used(terminal, daemon):
    daemon(Pair())
    shown = terminal("--interval", "30m")
    shown.shows("SAFE")
    shown.resize(140, 50)
    shown.shows("DIVERGENCES", "RECEIVED B/s")
    assert shown.lines()[49].startswith("q quit")
    shown.resize(30, 6)
    shown.wait_for(lambda screen: screen.split("\n")[5].startswith("q quit") and "SAFE" in screen, "the small page")
    shown.press("q")
    shown.wait_for(lambda screen: "ended with 0" in screen, "the end")


def test_without_a_daemon_it_goes_on_trying(terminal, daemon):
    shown = terminal("--interval", "100ms")
    shown.shows("no daemon answers on", "is asked again every 0.1 s")
    daemon(Pair())
    shown.shows("SAFE: this node can take over from node 2")
    daemon(lambda _request, _connection: b"")  # closes without a word
    shown.wait_for(lambda screen: "closed the connection without a word" in " ".join(screen.split()), "what is wrong")
    daemon(Pair())
    shown.shows("SAFE: this node can take over from node 2")
    shown.press("q")
    shown.ended(0)


def test_a_daemon_that_is_silent_does_not_hold_up_keys(terminal, daemon):
    asked, answer = threading.Event(), threading.Event()

    def silent(_request, _connection):
        asked.set()
        answer.wait(120)

    daemon(silent)
    shown = terminal()
    try:
        assert asked.wait(60)
        shown.press("q")
        shown.ended(0)
        assert not answer.is_set()
    finally:
        answer.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_it_and_the_terminal_is_restored(terminal, daemon, number):
    daemon(Pair())
    shown = terminal()
    shown.shows("SAFE")
    assert shown.format("cursor_flag") == "0"
    os.kill(shown.pid(), number)
    shown.ended(0)


def test_control_c_ends_it(terminal, daemon):
    daemon(Pair())
    shown = terminal()
    shown.shows("SAFE")
    shown.press("C-c")
    shown.ended(0)


def test_it_goes_when_its_terminal_does(terminal, daemon):
    daemon(Pair())
    shown = terminal("--interval", "30m")
    shown.shows("SAFE")
    process = os.pidfd_open(shown.pid())
    try:
        shown.close()
        assert select.select([process], [], [], 60)[0], "it lives on without a terminal"
    finally:
        os.close(process)


def test_a_plain_character_set_has_plots_of_ascii(terminal, daemon):
    daemon(Pair())
    shown = terminal("--interval", "100ms", locale="C")
    screen = shown.wait_for(lambda screen: "##" in screen, "plots")
    assert screen.isascii()


def test_a_terminal_without_a_cursor_to_place_is_refused(terminal, daemon):
    daemon(Pair())
    for_dumb = terminal(term="dumb")
    assert "a terminal of type `dumb' cannot show it" in for_dumb.ended(2)


def test_an_unknown_terminal_is_refused(terminal, daemon):
    daemon(Pair())
    unknown = terminal(term="no-such-terminal")
    assert "a terminal of type `no-such-terminal' cannot show it" in unknown.ended(2)


def test_without_a_terminal_it_says_that_it_needs_one(command, daemon):
    fake = daemon(Pair())
    done = command("top")
    assert done.returncode == 2 and done.stdout == "" and "a live view needs a terminal; `twintrack top --once'" in done.stderr
    assert fake.requests == []


def test_once_prints_the_page_as_text(command, daemon):
    fake = daemon(Pair())
    done = command("top", "--once", "--interval", "100ms")
    assert done.returncode == 0 and done.stderr == "" and len(fake.requests) == 2
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and all(len(line) <= 80 for line in lines) and done.stdout.isascii()
    assert lines[1] == "SAFE: this node can take over from node 2" and "q quit" not in done.stdout
    assert any(line.startswith("own flows       100,002     100,002") for line in lines)


@pytest.mark.parametrize("interval", ["99ms", "0", "61m", "2x", ""])
def test_a_wrong_interval_is_a_usage_error(command, interval):
    done = command("top", "--once", "--interval", interval)
    assert done.returncode == 2 and "--interval" in done.stderr and done.stdout == ""


def test_once_without_a_daemon_is_3(command):
    done = command("top", "--once", "--interval", "100ms")
    assert done.returncode == 3 and done.stdout == "" and "no daemon answers on" in done.stderr
