# SPDX-License-Identifier: GPL-2.0-or-later
"""Live failover under traffic of all kinds: no TCP connection is killed, and every other kind goes on."""

import contextlib
import os
import time

from flows import start_pair
from lab import CLIENT, SERVER, wait_for
from mixed import RULES, Mixed, Udp, failovers, power_cut
from roles import FENCE

FAILOVERS = int(os.environ.get("TWINTRACK_FAILOVERS", "4"))  # `make failovers`: 20
STREAM_TIMEOUT_S, STREAM_LASTS_S = (5, 30) if "TWINTRACK_FAILOVERS" in os.environ else (2, 8)


def test_failovers_there_and_back_end_nothing(make_lab):
    lab = make_lab(ruleset=RULES)
    lab.vip_to(1)
    start_pair(lab, {**FENCE, "expect": {"helpers": "all"}})
    with contextlib.closing(Mixed(lab)) as mixed:
        failovers(lab, mixed, FAILOVERS)


def test_a_stream_that_lasts_longer_than_its_timeout_is_kept(make_lab):
    """A UDP stream sends no event after it is assured: what was recorded ran down long ago, and it lives."""
    lab = make_lab(ruleset=RULES)
    lab.vip_to(1)
    for node in lab.nodes:
        lab.fw[node].sysctl(net__netfilter__nf_conntrack_udp_timeout_stream=STREAM_TIMEOUT_S)
    start_pair(lab, {**FENCE, "kernel": {"audit-interval": "1h"}})
    stream = Udp("stream", lab.client, CLIENT, lab.server, SERVER, (SERVER, 53))
    number = 0

    def talk():
        nonlocal number
        number += 1
        stream.ask(number)
        time.sleep(0.1)
        stream.respond()
        time.sleep(0.05)
        stream.collect()
        return stream.answered == number

    end = time.monotonic() + STREAM_LASTS_S
    while time.monotonic() < end:  # its length is what is tested
        talk()
    assert "dport=53" in lab.daemon[2].twintrack("-L", "external", "-p", "udp").stdout
    power_cut(lab, 2)
    assert "dport=53" in lab.fw[2].run("conntrack", "-L", "-p", "udp").stdout
    wait_for(talk, 30, "the stream goes on")
    assert len(stream.sources) == 1
