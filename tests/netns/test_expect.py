# SPDX-License-Identifier: GPL-2.0-or-later
"""Expectations: what a helper announced before the failover comes true after it."""

import contextlib
import threading

import pytest

from flows import all_proven, start_pair
from ftp import CONTENT, FtpClient, FtpServer, TftpClient, TftpServer
from lab import LAN, RULESET, SERVER, WAN_VIP, wait_for

# longer than the address that it is translated to: the helper changes the length of what the client says
CLIENT = f"{LAN}.200"
HELPERS = """
	ct helper ftp { type "ftp" protocol tcp; }
	ct helper tftp { type "tftp" protocol udp; }
	chain helpers {
		type filter hook prerouting priority filter
		tcp dport 21 ct helper set "ftp"
		udp dport 69 ct helper set "tftp"
	}
	chain forward {"""
RULES = RULESET.replace("\n\tchain forward {", HELPERS, 1)
ALL = {"expect": {"helpers": "all"}}


@pytest.fixture
def helped(make_lab):
    """Two firewalls with helpers; the virtual addresses are at node 1."""
    lab = make_lab(ruleset=RULES)
    lab.vip_to(1)
    lab.client.ip(f"addr add {CLIENT}/24 dev eth0")
    return lab


def expectations(lab, node, table):
    """How many the daemon's table has."""
    status = lab.daemon[node].status()
    return status["internal"]["expectations"] if table == "internal-expect" else status["peers"][0]["expectations"]


def in_kernel(lab, node):
    return [line for line in lab.fw[node].run("conntrack", "-L", "expect").stdout.splitlines() if "src=" in line]


def shown(lab, node, table, *options):
    """The daemon's own, as the command shows them; -C says the same number."""
    lines = lab.daemon[node].twintrack("-L", table, *options).stdout.splitlines()
    assert int(lab.daemon[node].twintrack("-C", table).stdout) == len(lines)
    return lines


def without_age(line):
    return line.split(" ", 1)[1].strip()


def fail_over(lab, to, power_cut):
    other = 3 - to
    if power_cut:
        lab.power_cut(other)
    else:
        lab.daemon[other].twintrack("backup")
        lab.vip_from(other)
    lab.vip_to(to)
    return lab.daemon[to].twintrack("primary").stdout


def both_have(lab, count, owner=1):
    return (all_proven(lab, owner) and expectations(lab, owner, "internal-expect") == count
            and expectations(lab, 3 - owner, "external-expect") == count)


@pytest.mark.parametrize("power_cut", [True, False], ids=["power-cut", "switch-over"])
def test_an_ftp_data_connection_opens_after_the_failover(helped, power_cut):
    lab = helped
    start_pair(lab, ALL)
    with contextlib.closing(FtpServer(lab.server, SERVER)) as server, \
            contextlib.closing(FtpClient(lab.client, CLIENT, SERVER)) as client:
        client.announce()
        assert client.fetch() == CONTENT  # and all is well before it
        client.announce()
        assert server.targets[-1][0] == WAN_VIP, "the helper translates"
        wait_for(lambda: both_have(lab, 1), 20, "one expectation, here and there")
        before = in_kernel(lab, 1)
        assert [without_age(line) for line in shown(lab, 1, "internal-expect")] == list(map(without_age, before))
        assert shown(lab, 2, "external-expect", "--peer", "1") == shown(lab, 2, "external-expect")
        assert list(map(without_age, shown(lab, 2, "external-expect"))) == list(map(without_age, before))
        said = fail_over(lab, 2, power_cut)
        assert "expectations: 1 created" in said
        assert [without_age(line) for line in in_kernel(lab, 2)] == [without_age(line) for line in before]
        assert client.fetch() == CONTENT
        assert not in_kernel(lab, 2)
        client.announce()  # and the session goes on, translated with another length than what was said
        assert client.fetch() == CONTENT
        wait_for(lambda: expectations(lab, 2, "internal-expect") == 0, 20, "what came true is gone")


def test_a_tftp_transfer_begins_after_the_failover(helped):
    lab = helped
    start_pair(lab, {"expect": {"helpers": "ftp tftp"}})
    with contextlib.closing(TftpServer(lab.server, SERVER)) as server, \
            contextlib.closing(TftpClient(lab.client, CLIENT, SERVER)) as client:
        client.request()
        server.take()
        wait_for(lambda: both_have(lab, 1), 20, "one expectation, here and there")
        fail_over(lab, 2, True)
        answer = threading.Thread(target=server.answer)
        answer.start()
        assert client.receive() == CONTENT
        answer.join()


def test_expectations_of_other_helpers_stay_at_home(helped):
    lab = helped
    start_pair(lab, {"expect": {"helpers": "sip tftp"}})
    with contextlib.closing(FtpServer(lab.server, SERVER)), \
            contextlib.closing(FtpClient(lab.client, CLIENT, SERVER)) as client:
        client.announce()
        assert len(in_kernel(lab, 1)) == 1
        wait_for(lambda: all_proven(lab), 20)
        assert expectations(lab, 1, "internal-expect") == 0 == expectations(lab, 2, "external-expect")


def test_an_expectation_goes_with_its_master(helped):
    lab = helped
    start_pair(lab, ALL)
    with contextlib.closing(FtpServer(lab.server, SERVER)), \
            contextlib.closing(FtpClient(lab.client, CLIENT, SERVER)) as client:
        client.announce()
        wait_for(lambda: both_have(lab, 1), 20, "one expectation, here and there")
        lab.fw[1].run("conntrack", "-D", "-p", "tcp", "--dport", "21")
        wait_for(lambda: both_have(lab, 0), 20, "it is gone with its master, here and there")


def test_an_expectation_that_came_before_the_daemon_is_found(helped):
    """And one whose end no event told: the look at all of them, after each audit, corrects both."""
    lab = helped
    with contextlib.closing(FtpServer(lab.server, SERVER)), \
            contextlib.closing(FtpClient(lab.client, CLIENT, SERVER)) as client:
        client.announce()
        start_pair(lab, {**ALL, "kernel": {"audit-interval": "1s"}})
        wait_for(lambda: both_have(lab, 1), 20, "one expectation, here and there")
        lab.daemon[1].pause()
        assert client.fetch() == CONTENT
        lab.daemon[1].resume()
        wait_for(lambda: both_have(lab, 0), 20, "it came true")


def test_a_session_whose_sequence_was_adjusted_goes_on_though_no_expectation_is_wanted(helped):
    """The kernel sends no event of an adjustment; without it the session would hang after the failover."""
    lab = helped
    start_pair(lab, {"kernel": {"audit-interval": "1h"}})
    with contextlib.closing(FtpServer(lab.server, SERVER)), \
            contextlib.closing(FtpClient(lab.client, CLIENT, SERVER)) as client:
        client.announce()
        assert client.fetch() == CONTENT
        wait_for(lambda: all_proven(lab) and "SEQ_ADJUST" in lab.daemon[2].twintrack(
            "-L", "external", "-o", "json").stdout, 20, "the adjustment is at the peer")
        fail_over(lab, 2, True)
        client.say("NOOP")
        client.announce()
        assert client.fetch() == CONTENT
