# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of expectations, compared with the distribution's conntrack(8)."""
import itertools
import json
import os
import re
import signal
import subprocess
import time

import pytest
from twins import Twin, compare, lasting, twins_of
from twintrack_command import PROGRAM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

HELPER = os.path.join(os.path.dirname(__file__), "expectations.py")
MASTERS = ["1.1.1.1 2.2.2.2 1000 21 ftp", "1.1.1.1 2.2.2.3 1000 21 ftp", "1.1.1.1 2.2.2.2 1000 5060 sip 17", "fd00::1 fd00::2 1000 21 ftp"]
EXPECTED = [
    "1.1.1.1 2.2.2.2 1000 21 2.2.2.2 1.1.1.1 5000 300 flags=1 helper=ftp",
    *(f"1.1.1.1 2.2.2.2 1000 5060 2.2.2.3 1.1.1.1 500{i} 300 protocol=17 src-mask=255.255.255.0 class={i} flags={i} nat=7.7.7.7:700" for i in range(4)),
    "fd00::1 fd00::2 1000 21 fd00::2 fd00::1 6000 300 sport-mask=0",
]
TCP = "-p tcp --sport 0 --dport 5000"
PAIR = "-s 2.2.2.2 -d 1.1.1.1"
REPLY = "--reply-port-src 1 --reply-port-dst 2"
MASTER = "-s 1.1.1.1 -d 2.2.2.3 -p tcp --sport 1000 --dport 21"
TUPLE = "--tuple-src 4.4.4.4 --tuple-dst 5.5.5.5"
MASKS = "--mask-src 255.255.255.0 --mask-dst 255.255.255.255"
PORTS = "--tuple-port-src 7 --tuple-port-dst 6 --mask-port-src 65535 --mask-port-dst 65535"
CREATE = f"-I expect {MASTER} {TUPLE} {MASKS} {PORTS} -t 50"
OPTIONS = ["-s 2.2.2.2", "-d 1.1.1.1", "-r 1.1.1.1", "-q 1.1.1.1", "-p tcp", "-t 5", "-u ASSURED", "-z", "-e NEW", "--tuple-src 1.1.1.1",
           "--tuple-dst 1.1.1.1", "--mask-src 255.0.0.0", "--mask-dst 255.0.0.0", "-m 1", "-i 1", "-f ipv4", "-f ipv6", "-n", "-g", "-j", "-o xml",
           "-o extended", "-o id,userspace,ktimestamp", "-o save", "-o bogus", "-c 1", "-b 5", "-w 1", "-l one", "--label-add one", "--label-del",
           "--orig-zone 1", "--reply-zone 1", "--nothing"]
PROTOCOLS = {"tcp": "", "udp": "", "udplite": "", "sctp": "--orig-vtag 1 --reply-vtag 2", "dccp": "--role client", "gre": "", "icmp": "", "99": ""}
KEYS = "--srckey 1 --dstkey 2 --reply-key-src 3 --reply-key-dst 4"
LINES = [
    *(f"{command} expect {option}" for command in ("-L", "-G", "-D", "-I", "-A", "-U", "-F", "-C", "-S", "-h") for option in ["", *OPTIONS] if
      (command, option) not in {("-S", ""), ("-C", ""), ("-h", ""), ("-h", "-p tcp")}),
    *(f"-E expect {option}" for option in OPTIONS if not option.startswith("-o") or option == "-o bogus"),
    *(f"{command} expect {PAIR} {TCP} {REPLY} {option}" for command in ("-G", "-D") for option in OPTIONS),
    *(f"{command} expect {PAIR} {TCP} {half}" for command in ("-G", "-D") for half in ("", "--reply-port-src 1", "--reply-port-dst 1", f"{REPLY} --state CLOSE",
                                                                                  f"{REPLY} --mask-port-src 1", f"{REPLY} --tuple-port-dst 1")),
    f"-G expect -s 9.9.9.9 -d 1.1.1.1 {TCP} {REPLY}", f"-D expect -s 9.9.9.9 -d 1.1.1.1 {TCP} {REPLY}", f"-G expect -s fd00::2 -d fd00::1 -p tcp --sport 0 --dport 6000 {REPLY}",
    f"-G expect -s 2.2.2.9 -d 1.1.1.1 -p udp --sport 9 --dport 5001 {REPLY}", *(f"{CREATE} {option}" for option in OPTIONS),
    f"-I expect {MASTER} --tuple-src 4.4.4.0/24 --tuple-dst 5.5.5.0/24 {PORTS} -t 50", f"-I expect {MASTER} --tuple-src 4.4.4.4/32 --tuple-dst 5.5.5.5/32 {PORTS} -t 50",
    f"-I expect -s 1.1.1.1 -d 2.2.2.9 -p tcp --sport 1 --dport 2 {TUPLE} {MASKS} {PORTS} -t 5", f"-I expect {MASTER} {TUPLE} {MASKS} -t 50",
    f"-I expect {MASTER} {TUPLE} {PORTS} -t 50", f"-I expect {MASTER} {MASKS} {PORTS} -t 50", f"-I expect {MASTER} {TUPLE} {MASKS} {PORTS}",
    *(f"{command} expect -s 9.9.9.9 -d 1.1.1.1 -p {protocol} {rest} {more} {more and f'{TUPLE} {MASKS} -t 5'}" for command in ("-I", "-G", "-D")
      for protocol, rest in PROTOCOLS.items() for more in ("", "--sport 1 --dport 2", f"--sport 1 --dport 2 {REPLY}", f"--sport 1 --dport 2 {PORTS}",
                                                           "--icmp-type 8 --icmp-code 0", KEYS, f"{KEYS} --mask-key-src 3 --mask-key-dst 3 --tuple-key-src 4 --tuple-key-dst 5")),
]
IMPROVED = {  # twintrack(8) names them
    **{line: "conntrack(8) 1.4.7 deletes, says that 0 were shown, and exits with 1" for line in (f"-D expect {PAIR} {TCP} {REPLY} {option}" for option in
                                                                                              ("-s 2.2.2.2", "-d 1.1.1.1", "-r 1.1.1.1", "-q 1.1.1.1", "-p tcp"))},
    **{line: "conntrack(8) 1.4.7 expects a protocol made of the port's bytes" for line in LINES if line.startswith("-I expect") and "--tuple-port-dst 6" in line},
}


class ExpectTwin(Twin):
    def make(self, kind, words):
        self.run("/usr/bin/python3", HELPER, kind, *words.split()).check_returncode()

    def set_up(self):
        self.run("conntrack", "-F").check_returncode()
        for words in MASTERS:
            self.make("flow", words)
        for words in EXPECTED:
            self.make("expect", words)

    def table(self):
        return "".join(self.run("conntrack", "-L", "expect", "-f", family).stdout for family in ("ipv4", "ipv6"))


def plain(text):
    """Seconds that are left, and the kernel's ids."""
    return re.sub(r"(?m)^(\[[^]]*\]\t)?( *\[\S+\] )?\d+ proto|<timeout>\d+", lambda m: (m[2] or "") + "T", text)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    with twins_of("ttexp", tmp_path_factory.mktemp("bin"), ExpectTwin) as both:
        for twin in both:
            twin.run("sysctl", "-qw", "net.netfilter.nf_conntrack_events=1")
        yield both


def outcome(twin, line):
    if not twin.is_set_up:
        twin.set_up()
    done = twin.run(twin.program, *line.split())
    twin.is_set_up = line.split()[0] in ("-L", "-G", "-E", "-C", "-S", "-h") or done.returncode == 2
    done.stdout = plain(done.stdout)
    return done, "" if twin.is_set_up else plain(twin.table())


def test_every_line_does_what_conntrack_does(twins):
    wrong = {}
    for line in dict.fromkeys(LINES):
        if line in IMPROVED:
            continue
        found = lasting(twins, lambda: compare(line, *(outcome(twin, line) for twin in twins)))
        if found:
            wrong[line] = found
    assert not wrong, "\n".join(f"conntrack {line}\n    " + "\n    ".join(found) for line, found in wrong.items())


def test_an_expectation_is_created_shown_and_deleted(twins):
    ours = twins[1]
    ours.set_up()
    ours.is_set_up = False
    assert ours.run(PROGRAM, *CREATE.split()).returncode == 0
    one = f"-s 4.4.4.9 -d 5.5.5.5 -p tcp --sport 7 --dport 6 {REPLY}".split()
    shown = ours.run(PROGRAM, "-G", "expect", *one)
    assert shown.returncode == 0 and "proto=6 src=4.4.4.4 dst=5.5.5.5 sport=7 dport=6 mask-src=255.255.255.0" in shown.stdout
    done = ours.run(PROGRAM, "-D", "expect", *one)
    assert done.returncode == 0 and "1 expectations have been deleted" in done.stderr
    assert ours.run(PROGRAM, "-G", "expect", *one).returncode == 1
    assert ours.run(PROGRAM, "-C", "expect").stdout == f"{len(EXPECTED)}\n"  # of both families
    assert ours.run(PROGRAM, "-F", "expect").returncode == 0 and ours.run(PROGRAM, "-C", "expect").stdout == "0\n"


def test_json_names_what_the_kernel_says(twins):
    ours = twins[1]
    ours.set_up()
    rows = [json.loads(line) for line in ours.run(PROGRAM, "-L", "expect", "-o", "json").stdout.splitlines()]
    assert len(rows) == 5
    (sip,) = (row for row in rows if row.get("class") == 3)
    assert 0 < sip.pop("timeout") <= 300 and sip.pop("id") > 0
    assert sip == {"family": "ipv4", "protocol": "udp", "protonum": 17, "class": 3, "helper": "sip", "flags": ["PERMANENT", "INACTIVE"], "nat_direction": 0,
                   "expected": {"src": "2.2.2.3", "dst": "1.1.1.1", "sport": 0, "dport": 5003, "protonum": 17},
                   "mask": {"src": "255.255.255.0", "dst": "255.255.255.255", "sport": 0, "dport": 65535, "protonum": 17},
                   "master": {"src": "1.1.1.1", "dst": "2.2.2.2", "sport": 1000, "dport": 5060, "protonum": 17},
                   "nat": {"src": "7.7.7.7", "dst": "0.0.0.0", "sport": 700, "dport": 0, "protonum": 17}}


@pytest.mark.parametrize("options", ["", "-o xml", "-o xml,timestamp", "-o timestamp", "-o id,extended", "-o save"])
def test_events_are_shown_as_conntrack_shows_them(twins, options):
    ours = twins[1]
    ours.run("conntrack", "-F")
    listeners = [subprocess.Popen(["ip", "netns", "exec", ours.name, str(program), "-E", "expect", *options.split()], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=dict(os.environ, TZ="UTC")) for program in ("conntrack", PROGRAM)]
    end = time.monotonic() + 30
    while ours.run("cat", "/proc/net/netlink").stdout.count("00000038") < 2 and time.monotonic() < end:  # groups 4 to 6
        time.sleep(0.02)
    ours.set_up()
    ours.run("conntrack", "-F", "expect")
    time.sleep(0.3)
    (theirs, their_words), (our, our_words) = ((one.send_signal(signal.SIGINT), one.communicate(timeout=30))[1] for one in listeners)

    def events(text):
        return re.sub(r"<(sec|min|hour)>\d+</\1>", "", plain(text)).splitlines()

    assert events(our) == events(theirs) and len(events(our)) >= 2 * len(EXPECTED)
    assert our_words.split(": ", 1)[1] == their_words.split(": ", 1)[1]


def test_the_command_line_is_complete_without_root_too(twins):
    """Refusals come before the kernel is asked."""
    for command, option in itertools.product(("-L", "-C", "-E"), ("-s 1.1.1.1", "-w 1")):
        done = subprocess.run([PROGRAM, command, "expect", *option.split()], text=True, capture_output=True, check=False)
        assert done.returncode == 2 and "Illegal option" in done.stderr
