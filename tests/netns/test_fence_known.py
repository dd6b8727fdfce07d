# SPDX-License-Identifier: GPL-2.0-or-later
"""While a takeover fills the kernel, a connection that is there already goes on; what is not there yet waits."""

import json
import threading
import time

import pytest

from flows import start_pair
from lab import CLIENT, LAN_VIP, LAN_VIP6, SERVER, WAN_VIP, WAN_VIP6, wait_for

LIVE, IDLE = 200, 200_000
# the daemon is stopped in the middle of its work for as long as the test takes
FENCE = {"enable": "yes", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6], "timeout": "1m", "max-wait": "10m"}


class Throttle:
    """Lets a daemon run for a little while, again and again, so that what it does takes long; a context manager."""

    RUN_S, STOP_S = 0.01, 0.15

    def __init__(self, daemon):
        self.daemon, self._over = daemon, threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        while not self._over.wait(self.RUN_S):
            self.daemon.pause()
            time.sleep(self.STOP_S)
            self.daemon.resume()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()
        self.daemon.resume()


class HalfWay:
    """A takeover after a power cut that stands still: all live connections are committed, most of the idle are not."""

    def __init__(self, lab):
        self.lab, self.daemon = lab, lab.daemon[2]
        lab.power_cut(1)
        lab.vip_to(2)
        self._command = threading.Thread(target=self.daemon.twintrack, args=("primary",), kwargs={"timeout": 300})
        self._command.start()
        wait_for(lambda: lab.flow_count(2) > 2 * LIVE, what="the commit has begun", interval=0.002)
        self.daemon.pause()
        assert lab.flow_count(2) < IDLE, "the commit was over before it could be stopped"

    def chain(self):
        return self.lab.fw[2].run("nft", "list", "chain", "inet", "twintrack-2", "behind").stdout

    def go_on(self):
        self.daemon.resume()
        self._command.join()
        assert self.daemon.status()["role"] == "primary"


@pytest.fixture(name="pair")
def _pair(lab):
    """Node 1 is primary, with live connections first and idle ones behind them; node 2 holds them all."""
    lab.vip_to(1)
    start_pair(lab, {"fence": FENCE})
    lab.live = lab.traffic(LIVE, address=SERVER, speak="half", verdict_s=120)
    lab.flowgen(1, "create", "--count", IDLE, "--snat", WAN_VIP)
    lab.daemon[1].wait_synced(timeout=120)
    return lab


def test_a_connection_goes_on_before_the_others_are_committed(pair):
    half_way = HalfWay(pair)
    pair.live.mark()
    verdict = pair.live.verdict(timeout=150)
    assert (verdict.before, verdict.alive) == (LIVE, LIVE), verdict
    assert "ct status" in half_way.chain()
    ping = pair.client.run("ping", "-n", "-c", "1", "-W", "1", LAN_VIP, check=False)
    assert ping.returncode != 0, "the fence is closed to strangers"
    half_way.go_on()
    wait_for(lambda: pair.client.run("ping", "-n", "-c", "1", "-W", "1", LAN_VIP, check=False).returncode == 0,
             what="open to all")


def test_who_waits_is_committed_before_his_turn(lab):
    lab.vip_to(1)
    start_pair(lab, {"fence": FENCE})
    lab.flowgen(1, "create", "--count", IDLE, "--snat", WAN_VIP)
    live = lab.traffic(LIVE, address=SERVER, speak="half", verdict_s=120)  # behind all others
    lab.daemon[1].wait_synced(timeout=120)
    daemon, answers = lab.daemon[2], []
    lab.power_cut(1)
    lab.vip_to(2)
    live.mark()
    command = threading.Thread(target=lambda: answers.append(daemon.twintrack("primary", "--json", timeout=300)))
    with Throttle(daemon):
        command.start()
        wait_for(lambda: len(lab.kernel_flows(2, "-p", "tcp", "-s", CLIENT, "--dst", SERVER)) == LIVE, timeout=60,
                 what="all live connections are committed")
        assert lab.flow_count(2) < IDLE, "before most of the others"
    command.join()
    commit = json.loads(answers[0].stdout.splitlines()[-1])["commit"]
    assert commit["flows"] == commit["created"] == IDLE + LIVE, "each once"
    verdict = live.verdict(timeout=150)
    assert (verdict.before, verdict.alive) == (LIVE, LIVE), verdict


def test_where_flows_of_an_earlier_time_may_be_in_the_way_all_wait_for_all(pair):
    # the same ports as one of the live connections may have, translated in another way
    pair.fw[2].run("conntrack", "-I", "-p", "tcp", "-s", "192.168.10.2", "-d", SERVER, "--sport", "9999", "--dport", "5001",
                   "-r", SERVER, "-q", WAN_VIP, "--reply-port-src", "5001", "--reply-port-dst", "4444", "--state",
                   "ESTABLISHED", "-t", "3600", "-u", "SEEN_REPLY,ASSURED")
    wait_for(lambda: pair.daemon[2].status()["internal"]["flows"] == 1, what="node 2 has a flow of its own")
    half_way = HalfWay(pair)
    assert "ct status" not in half_way.chain()
    half_way.go_on()
    pair.live.mark()
    verdict = pair.live.verdict(timeout=150)
    assert (verdict.before, verdict.alive) == (LIVE, LIVE), verdict
