# SPDX-License-Identifier: GPL-2.0-or-later
"""-L and -C on the kernel's table, byte for byte against the distribution's conntrack(8), in a namespace of its own."""
import os
import subprocess
import time

import pytest
from twintrack_command import PROGRAM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

TCP = "-p tcp --sport 10 --dport 20 -t 432000"
PORTS = "--sport 10 --dport 20 -t 30000"
FLOWS = [
    *[f"{TCP} -s 10.0.0.{i} -d 192.0.2.1 --state {state}" for i, state in enumerate(
        "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE LISTEN".split(), 1)],
    f"{TCP} -s 10.0.1.1 -d 192.0.2.1 --state ESTABLISHED -u SEEN_REPLY",
    f"{TCP} -s 10.0.1.2 -d 192.0.2.1 --state ESTABLISHED -u SEEN_REPLY,ASSURED -m 4294967295",
    f"{TCP} -s 10.0.1.3 -d 192.0.2.1 --state ESTABLISHED -u ASSURED",
    f"{TCP} -s 10.0.1.4 -d 192.0.2.1 --state ESTABLISHED -u ASSURED,SEEN_REPLY,FIXED_TIMEOUT",
    f"{TCP} -s 255.255.255.254 -d 1.10.100.255 --state ESTABLISHED",
    f"{TCP} -s 10.0.2.1 -d 192.0.2.1 --state ESTABLISHED -u SEEN_REPLY,ASSURED -n 198.51.100.1:1025",
    f"{TCP} -s 10.0.2.2 -d 192.0.2.1 --state ESTABLISHED -u SEEN_REPLY,ASSURED -g 198.51.100.2:8080",
    f"{TCP} -s 10.0.2.3 -d 192.0.2.1 --state ESTABLISHED -n 198.51.100.1 -g 198.51.100.2",
    f"{TCP} -s 10.0.3.1 -d 192.0.2.1 --state ESTABLISHED -w 7",
    f"{TCP} -s 10.0.3.1 -d 192.0.2.1 --state ESTABLISHED --orig-zone 8",
    f"{TCP} -s 10.0.3.1 -d 192.0.2.2 --state ESTABLISHED --reply-zone 9",
    *[f"-p {protocol} {PORTS} -s 10.0.4.1 -d 192.0.2.1" for protocol in ("udp", "udplite", "dccp --role client --state REQUEST")],
    f"-p sctp {PORTS} -s 10.0.4.1 -d 192.0.2.1 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
    f"-p udp {PORTS} -s 10.0.4.2 -d 192.0.2.1 -u SEEN_REPLY,ASSURED -m 1",
    "-p gre --srckey 0x1f --dstkey 65535 -s 10.0.4.1 -d 192.0.2.1 -t 30000",
    *[f"-p {number} -s 10.0.5.1 -d 192.0.2.1 -t 30000" for number in (0, 2, 4, 50, 51, 89, 112, 253, 255)],
    *[f"-p icmp -s 10.0.6.1 -d 192.0.2.1 --icmp-type {kind} --icmp-code 0 --icmp-id {kind * 999} -t 30000"
      for kind in (8, 13, 15, 17)],
    "-p icmpv6 -s 2001:db8::1 -d 2001:db8::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 65535 -t 30000",
    *[f"{TCP} -s {address} -d 2001:db8:1:2:3:4:5:6 --state ESTABLISHED -u SEEN_REPLY" for address in (
        "::1", "1::", "2001:db8::1:0:0:1", "2001:0:0:1::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "::192.0.2.1",
        "::1:2", "1:0:3:4:5:6:7:8", "fe80::1", "0:1::", "abcd:ef01:2345:6789:abcd:ef01:2345:6789")],
    f"-p udp {PORTS} -s 2001:db8::1 -d 2001:db8::2 -w 3 -m 17",
    f"-p udp {PORTS} -s 2001:db8::3 -d 2001:db8::2 -n 2001:db8::77 -u SEEN_REPLY",
    "-p 253 -s 2001:db8::1 -d 2001:db8::2 -t 30000",
]


class Namespace:
    def __init__(self):
        self.name = f"ttcli{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *arguments, check=True, **options):
        return subprocess.run(["ip", "netns", "exec", self.name, *map(str, arguments)], check=check, text=True,
                              capture_output=True, timeout=120, **options)

    def sysctl(self, name, value):
        self.run("sysctl", "-q", "-w", f"net.netfilter.{name}={value}")

    def insert(self, flow):
        return self.run("conntrack", "-I", *flow.split(), check=False)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=True)


@pytest.fixture
def namespace():
    one = Namespace()
    try:
        yield one
    finally:
        one.close()


def both(namespace, *arguments, program=PROGRAM):
    """Both programs' answers, taken within one second of the kernel's timeouts."""
    for _ in range(20):
        theirs = namespace.run("conntrack", *arguments, check=False)
        ours = namespace.run(program, *arguments, check=False)
        if (theirs.stdout, theirs.returncode) == (ours.stdout, ours.returncode):
            break
        time.sleep(0.1)
    return ours, theirs


def expect_equal(namespace, flows, *arguments):
    ours, theirs = both(namespace, *arguments)
    assert ours.stdout == theirs.stdout
    assert (ours.returncode, theirs.returncode) == (0, 0)
    assert ours.stderr.split(": ", 1)[1] == theirs.stderr.split(": ", 1)[1]
    assert theirs.stdout.count("\n") == flows
    return ours.stdout


def test_every_kind_of_flow_is_shown_as_conntrack_shows_it(namespace):
    refused = [(flow, done.stderr) for flow in FLOWS for done in [namespace.insert(flow)] if done.returncode]
    assert len(refused) <= 3, refused  # of protocols that this kernel may not have: SCTP, DCCP, GRE
    shown = expect_equal(namespace, len(FLOWS) - len(refused), "-L")
    for part in ("[UNREPLIED]", "[ASSURED]", "zone=7", "zone-orig=8", "zone-reply=9", "unknown  253", "icmpv6   58",
                 "mark=4294967295", "src=::ffff:192.0.2.1", "dport=1025", "SYN_SENT2", "type=8 code=0"):
        assert part in shown, part
    for arguments in (["-L", "conntrack"], ["--dump"], ["-L", "con"]):
        expect_equal(namespace, len(FLOWS) - len(refused), *arguments)
    ours, theirs = both(namespace, "-C")
    assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr) == (f"{len(FLOWS) - len(refused)}\n", "")


def test_counters_and_timestamps_are_shown_when_the_kernel_keeps_them(namespace):
    namespace.sysctl("nf_conntrack_acct", 1)
    namespace.sysctl("nf_conntrack_timestamp", 1)
    namespace.run("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; "
                         "add rule inet t c ct state established counter")
    for address in ("127.0.0.1", "::1"):
        namespace.run("ping", "-q", "-c", "3", "-i", "0.1", address)
    assert namespace.insert(f"{TCP} -s 10.0.0.1 -d 192.0.2.1 --state ESTABLISHED").returncode == 0
    shown = expect_equal(namespace, 3, "-L")
    assert "packets=3 bytes=252" in shown and "delta-time=" in shown and "packets=0 bytes=0" in shown


def test_a_helper_is_shown(namespace):
    done = namespace.insert(f"{TCP} -s 10.0.0.1 -d 192.0.2.1 --state ESTABLISHED --helper ftp")
    if done.returncode:
        pytest.skip(f"no helper here: {done.stderr.strip()}")
    assert "helper=ftp" in expect_equal(namespace, 1, "-L")


def test_an_empty_table_is_shown_as_such(namespace):
    expect_equal(namespace, 0, "-L")
    ours, theirs = both(namespace, "-C")
    assert ours.stdout == theirs.stdout == "0\n"


def test_many_flows_are_shown_whole(namespace, tmp_path):
    (tmp_path / "flows").write_text("".join(
        f"-A -p tcp -s 10.1.{n // 250}.{n % 250} -d 192.0.2.1 --sport {n % 60000 + 1} --dport 80 -t 90000 "
        f"--state ESTABLISHED -u SEEN_REPLY,ASSURED\n" for n in range(20000)))
    namespace.run("conntrack", "-R", tmp_path / "flows")
    expect_equal(namespace, 20000, "-L")


def test_called_as_conntrack_it_behaves_as_conntrack(namespace, tmp_path):
    link = tmp_path / "conntrack"
    link.symlink_to(PROGRAM)
    namespace.insert(f"{TCP} -s 10.0.0.1 -d 192.0.2.1 --state ESTABLISHED")
    for arguments in (["-L"], ["-C"], ["--count"], ["-L", "conntrack", "extra"]):
        ours, theirs = both(namespace, *arguments, program=link)
        assert (ours.stdout, ours.returncode) == (theirs.stdout, theirs.returncode)
        assert ours.stderr.startswith("conntrack v") or not theirs.stderr
    for arguments in (["-L", "-C"], ["-L", "nonsense"], ["-L", "-!"], ["-C", "--nonsense"]):
        ours, theirs = both(namespace, *arguments, program=link)
        assert ours.returncode == theirs.returncode == 2 and ours.stdout == theirs.stdout == ""
        assert "Try `conntrack -h' or 'conntrack --help' for more information." in ours.stderr
    for arguments in (["-D", "expect"], ["-L", "expect", "-s", "1.1.1.1"], ["-L", "nonsense"]):
        refused = namespace.run(link, *arguments, check=False)
        assert refused.returncode == 2 and refused.stdout == ""


def test_without_the_capability_it_says_what_is_needed(namespace):
    ours = namespace.run("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", PROGRAM, "-L", check=False)
    assert ours.returncode == 1 and "Operation not permitted" in ours.stderr
    ours = namespace.run("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", PROGRAM, "-C", check=False)
    assert (ours.stdout, ours.returncode) == ("0\n", 0)
