# SPDX-License-Identifier: GPL-2.0-or-later
"""A corpus of command lines, run with the distribution's conntrack(8) and with ours in equal namespaces: standard output byte for
byte, what standard error says, exit code, and the kernel's table afterwards."""
import itertools
import os
import pathlib

import pytest
from twins import compare, lasting, twins_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

LABELS = pathlib.Path("/etc/xtables/connlabel.conf")
TUPLE = "-s 1.2.3.4 -d 5.6.7.8"
PORTS = "--sport 10 --dport 20"
# what every line meets
FLOWS = [
    f"-p tcp {TUPLE} {PORTS} -t 432000 --state ESTABLISHED -u SEEN_REPLY,ASSURED -m 7",
    f"-p tcp -s 1.2.3.5 -d 5.6.7.8 {PORTS} -t 432000 --state SYN_SENT -m 0x80000001",
    f"-p tcp -s 1.2.9.5 -d 5.6.7.9 {PORTS} -t 432000 --state CLOSE -w 3",
    f"-p udp {TUPLE} {PORTS} -t 90000 -n 9.9.9.9:5",
    f"-p udp {TUPLE} --sport 11 --dport 20 -t 90000 -g 9.9.9.8 -u SEEN_REPLY",
    f"-p udplite {TUPLE} {PORTS} -t 90000 -n 9.9.9.9 -g 9.9.9.8",
    f"-p sctp {TUPLE} {PORTS} -t 90000 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
    f"-p gre {TUPLE} --srckey 0x1f --dstkey 7 -t 90000",
    f"-p icmp {TUPLE} --icmp-type 8 --icmp-code 0 --icmp-id 7 -t 90000 -m 0xffffffff",
    f"-p 253 {TUPLE} -t 90000 --orig-zone 4",
    f"-p 50 {TUPLE} -t 90000 --reply-zone 5",
    f"-p tcp -s 2001:db8::1 -d 2001:db8:1::2 {PORTS} -t 432000 --state TIME_WAIT -m 5",
    f"-p udp -s 2001:db8::1 -d 2001:db8:1::2 {PORTS} -t 90000 -u SEEN_REPLY",
    "-p icmpv6 -s 2001:db8::1 -d 2001:db8:1::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9 -t 90000",
]

OPTIONS = ["-s 1.2.3.4", "-s 1.2.3.0/24", "-d 5.6.7.8", "-s 1.2.3.4 --mask-src 255.255.0.0", "-d 5.6.7.0/30", "-r 5.6.7.8",
           "-q 1.2.3.4", "-q 9.9.9.9", "-s 2001:db8::1", "-d 2001:db8::/32", "-p tcp", "-p udp", "-p 253", "-p esp", "-p TCP",
           "-p tcp --sport 10", "-p tcp --dport 21", "-p tcp --state ESTABLISHED", "-p tcp --state SYN_SENT",
           "-p sctp --state ESTABLISHED", "-p icmp --icmp-type 8", "-p icmp --icmp-id 8", "-p gre --srckey 31",
           "-p udp --reply-port-dst 5", "-p tcp --reply-port-src 20 --reply-port-dst 10", "-f ipv4", "-f ipv6", "-m 7", "-m 1/1",
           "-m 0x80000000/0x80000000", "-m 5/0", "-u ASSURED", "-u SEEN_REPLY", "-u SEEN_REPLY,ASSURED", "-u assured", "-n", "-g",
           "-j", "-n 9.9.9.9", "-n 9.9.9.9:5", "-g 9.9.9.8", "-j 9.9.9.9", "-n -g", "-w 3", "-w 0", "--orig-zone 4", "--reply-zone 5",
           "-o id", "-o extended", "-o xml", "-o save", "-o labels", "-o extended,id,timestamp,ktimestamp,userspace", "-o xml,id,ktimestamp",
           "-t 90000", "-i 1", "-z", "-e NEW", "-b 1000", "-c 1", "-l one", "--label-add one", "--label-del=one", "--tuple-src 1.1.1.1",
           "--tuple-dst 1.1.1.1", "--mask-src 255.0.0.0", "--mask-dst 255.0.0.0"]
WRONG = ["-s 1.2.3.4/33", "-s bogus", "-s 1.2.3.4 -d 2001:db8::1", "-s 1.2.3.4 -f ipv6", "-r 1.2.3.0/24", "-p bogus", "-p 300", "-f ipv5",
         "-f IPV4", "-u BOGUS", "-u ASSURED,", "-o bogus", "-o xml,", "-o save,id", "-o xml,save", "-n [1::2", "-n 1.2.3.4:x", "-n 1.2.3.4:",
         "-n -j", "-s", "--src", "-o", "-p tcp --sport", "--sport 10", "--sport 10 -p tcp", "--state CLOSE", "-p udp --state CLOSE",
         "-p tcp --state BOGUS", "-X", "--bogus", "-l two", "-L", "-D", "-z -s 1.2.3.4", "-z -w 1", "-p sctp --orig-vtag 5"]
CREATE = "-p 99 -s 1.1.1.1 -d 2.2.2.2 -t 90000"
CREATES = [
    "", "-p tcp", CREATE, "-p 99 -s 1.1.1.1 -t 90000", "-p 99 -r 1.1.1.1 -q 2.2.2.2 -t 90000", "-p 99 -q 1.1.1.1 -t 9", "-s 1.1.1.1 -d 2.2.2.2 -t 9",
    "-p 99 -s 1.1.1.1 -d 2.2.2.2", *(f"{CREATE} {option}" for option in (
        "-m 5", "-m 5/3", "-w 3", "-w 65535", "--orig-zone 3", "--reply-zone 3", "-n 7.7.7.7", "-g 7.7.7.7", "-n 7.7.7.7 -g 6.6.6.6",
        "-u UNSET", "-u ASSURED", "-u SEEN_REPLY,ASSURED", "-u FIXED_TIMEOUT", "-u EXPECTED", "-u OFFLOAD", "-r 2.2.2.2 -q 1.1.1.1", "-r 2.2.2.2",
        "-f ipv4", "-z", "-o xml", "-i 5", "-j", "-b 5", "-e ALL", "-c 1", "-l one", "--label-add one", "--label-add two", "--label-del=one",
        "--mask-src 255.0.0.0", "--tuple-src 1.1.1.1", "-t 5000", "-t 0", "-s 2001:db8::1")),
    "-p 253 -s 2001:db8::1 -d 2001:db8::2 -t 90000",
    *(f"-p {protocol} -s 1.1.1.1 -d 2.2.2.2 -t 90000 {rest}" for protocol, rests in {
        "tcp": ["", PORTS, "--state CLOSE", f"{PORTS} --state CLOSE", "--sport 1 --state CLOSE", f"{PORTS} --state LISTEN",
                f"{PORTS} --state CLOSE -n 7.7.7.7:77", f"{PORTS} --state CLOSE -r 2.2.2.2 -q 1.1.1.1",
                f"{PORTS} --state CLOSE -r 2.2.2.2 -q 1.1.1.1 --reply-port-src 20 --reply-port-dst 10",
                f"{PORTS} --state CLOSE -r 2.2.2.2 -n 7.7.7.7 --reply-port-src 20 --reply-port-dst 11"],
        "udp": ["", PORTS, "--dport 1", f"{PORTS} --state CLOSE", f"{PORTS} -g 7.7.7.7:77"],
        "udplite": [PORTS, ""],
        "sctp": ["", f"{PORTS} --state CLOSED", f"{PORTS} --state CLOSED --orig-vtag 1", f"{PORTS} --state CLOSED --orig-vtag 1 --reply-vtag 2"],
        "dccp": ["", f"{PORTS} --state OPEN", f"{PORTS} --state OPEN --role client", f"{PORTS} --state OPEN --role nobody"],
        "gre": ["", "--srckey 1", "--srckey 0x1 --dstkey 2"],
        "icmp": ["", "--icmp-type 8", "--icmp-type 8 --icmp-code 0", "--icmp-type 8 --icmp-code 0 --icmp-id 9", "--icmp-type 13 --icmp-code 0"],
        }.items() for rest in rests),
    f"-p udp -r 1.1.1.1 -q 2.2.2.2 -t 90000 --reply-port-src 4 --reply-port-dst 5", f"-p udp {TUPLE} {PORTS} -t 90000",
]
GETS = [f"-p tcp {TUPLE} {PORTS}", f"-p tcp {TUPLE} {PORTS} -o xml", f"-p tcp {TUPLE} {PORTS} -o save", f"-p tcp {TUPLE} {PORTS} -o id,extended",
        f"-p tcp {TUPLE} --sport 10", f"-p tcp {PORTS}", f"{TUPLE}", f"-p udp {TUPLE} {PORTS}", f"-p gre {TUPLE} --srckey 31 --dstkey 7",
        f"-p icmp {TUPLE} --icmp-type 8 --icmp-code 0 --icmp-id 7", f"-p icmp {TUPLE}", f"-p 254 {TUPLE}", f"-p tcp {TUPLE} {PORTS} -m 7",
        f"-p tcp {TUPLE} {PORTS} -w 3", f"-p tcp {TUPLE} {PORTS} -f ipv4", f"-p udp -s 2001:db8::1 -d 2001:db8:1::2 {PORTS}", ""]
UPDATES = [f"{which} {what}" for which in ("-s 1.2.3.4 -p tcp", "-f ipv6 -p udp", "-p udp -s 1.2.3.4 --sport 11", "-s 1.2.3.5", "-f ipv6 -s 2001:db8::/32 -p icmpv6")
           for what in ("-m 9", "-m 0xf0/0xf0", "-t 5000", "-u ASSURED", "-u FIXED_TIMEOUT -m 1", "-o xml -m 8", "-o save -m 8", "-o id,extended -m 8", "")]
UPDATES += ["-p tcp -s 1.2.3.5 --state CLOSE", "-f ipv4 -n 9.9.9.9:5 -m 3", "-w 3 -m 3", "-j -m 3", "-z", "-s 1.2.3.4 -p tcp --label-add one",
            "-s 1.2.3.4 --label-del", "-s 1.2.3.4 --label-add two", "-s 1.2.3.4 --label-add one --label-del=one", "-s 1.2.3.4 -l one -m 3", "-i 1 -m 3",
            "-s 1.2.3.4 -u UNSET", "-t 5000 --mask-src 1.1.1.1", "-c 1", "-b 1", "-e NEW"]
OTHER = ["", "-h extra -L", "-V -L", "-L -L", "-L -F", "-I -U", "-s 1.1.1.1", "-L foo", "-C foo", "-L c", "-L conntrack", "-Lfoo", "--dump", "--dum conntrack", "-L conntrack extra",
         "-C", "--count", "-C conntrack", "-C expect", "-F", "-F conntrack", "-F expect", "-F -f ipv6", "-F -f ipv4", "-F -s 1.2.3.4", "-C -s 1.2.3.4", "-C -o xml",
         "-L dying", "-L unconfirmed", "-L dying -o xml", "-D dying", "-F unconfirmed", "-C dying", "-E dying", "-I dying", "-G unconfirmed", "-U dying",
         "-U expect", "-L --output=id", "-L --out id", "-L --orig-src 1.2.3.4", "-L --proto tcp", "-L --protonum tcp", "-L -a x", "-o xml -L", "-S -s 1.1.1.1",
         "-D -p tcp extra", "-R", "-E -t 5", "-E -z", "-E -u ASSURED", "-E -e BOGUS", "-E -i 4", "-E --tuple-src 1.1.1.1", "-L -e NEW"]
# The forms in which a value may come, and some in which it may not.
VALUES = [
    "-s 1.2.3.4/32", "-s 1.2.3.4/0", "-s 1.2.3.4/x", "-d 0.0.0.0/0", "-s 2001:db8::1/128", "-d 2001:db8::/0", "-s 2001:db8::1/129",
    "-q 1.2.3.4/32", "-r 5.6.7.8/24", "-s 1.2.3.4 --mask-src 255.0.255.0", "-d 5.6.7.8 --mask-dst 255.255.255.0",
    "--mask-src 255.0.0.0 -s 1.2.3.4/8", "-s 2001:db8::1 --mask-src ffff::", "-m 0x7", "-m 7/0xff", "-m 007", "-m 010",
    "-m 4294967295", "-m 1 -m 7", "-u UNSET", "-u CONFIRMED", "-u EXPECTED", "-u OFFLOAD", "-u HW_OFFLOAD", "-u FIXED_TIMEOUT",
    "-u DYING", "-u SEEN_REPLY,SEEN_REPLY", "-u ,", "-u seen_reply,assured", "-w 4", "-w 65535", "-w 0x3", "--orig-zone 0",
    "--reply-zone 0", "--orig-zone 4 --reply-zone 5", "-w 3 --orig-zone 3", "--zone 3", "--zone=3", "-p 6", "-p 17", "-p 0", "-p 255",
    "-p 256", "-p -1", "-p all", "-p ipv6-icmp", "-p icmpv6", "-p udplite", "-p dccp", "-p ospf", "-p ah", "-p tcp -p udp", "-p 06",
    "-p tcp --sport 10 --sport 11", "-p tcp --orig-port-src 10", "-p tcp --orig-port-dst=20",
    "-p tcp --sport 10 --dport 20 --state CLOSE", "-p tcp --state close", "-p tcp --state NONE", "-p tcp --state SYN_SENT2",
    "-p tcp --reply-port-src 20", "-p tcp --state", "-p udp --sport 10 --dport 20 -f ipv6", "-p udp --state ESTABLISHED",
    "-p udplite --sport 10", "-p udplite --reply-port-src 20", "-p icmp --icmp-type 8 --icmp-code 0", "-p icmp --icmp-code 0",
    "-p icmp --icmp-id 7 --icmp-type 8", "-p icmp --icmpv6-type 8", "-p icmpv6 --icmpv6-type 128", "-p icmpv6 --icmpv6-id 9",
    "-p icmpv6 --icmpv6-code 1", "-p icmpv6 --icmp-type 128", "-p icmpv6 -f ipv4", "-p icmp -f ipv6", "-p sctp --sport 10",
    "-p sctp --state CLOSED", "-p sctp --orig-vtag 1", "-p sctp --reply-vtag 2", "-p dccp --state OPEN", "-p dccp --role client",
    "-p dccp --sport 1", "-p gre --dstkey 7", "-p gre --srckey 0x1f --dstkey 7", "-p gre --reply-key-src 7", "-p gre --sport 1",
    "-n 9.9.9.9/32", "-n 9.9.9.0/24", "-n :5", "-n 9.9.9.9:0", "-n 9.9.9.9:65536", "-n 9.9.9.9:5-7", "-n 2001:db8::5",
    "-n [2001:db8::5]:80", "-n [2001:db8::5]", "--src-nat", "--src-nat=9.9.9.9", "--src-nat 9.9.9.9", "-g 9.9.9.8:1",
    "--dst-nat 9.9.9.8", "-j 9.9.9.8", "-j 9.9.9.9:5", "--any-nat", "--any-nat 9.9.9.8", "-n 9.9.9.9 -g", "-n 9.9.9.9 -g 9.9.9.8",
    "-n -g -p udplite", "-n 1.1.1.1", "-j -f ipv6", "-n -p udp", "-g -u SEEN_REPLY", "-o", "-o extended,xml", "-o xml,extended,id",
    "-o xml,labels", "-o xml,timestamp", "-o xml,userspace", "-o id,labels", "-o labels,extended", "-o ktimestamp", "-o timestamp",
    "-o userspace", "-o save,extended", "-o save,labels", "-o save,timestamp", "-o id -o extended", "-o extended -o xml",
    "-o xml -o save", "-o EXTENDED", "-o json2", "-o ,id", "-l one -o labels", "-l one,two", "-l last", "-l zero", "-l bogus", "-l",
    "--label one", "--label=one", "-f", "-f inet", "-f ipv4 -s 2001:db8::1", "-f ipv6 -s 1.2.3.4", "-f ipv4 -p tcp",
    "-f ipv6 -p tcp -o xml", "-f ipv4 -f ipv6", "--orig-src 1.2.3.4", "--orig-dst 5.6.7.8", "--reply-src 5.6.7.8",
    "--reply-dst 1.2.3.4", "--src 1.2.3.4 --dst 5.6.7.8", "--family ipv4", "--protonum 6", "--proto udp", "--mark 7",
    "--status ASSURED", "--timeout 5", "--output xml", "--zero", "--event-mask NEW", "--buffer-size 10", "-r 5.6.7.8 -q 1.2.3.4",
    "-r 5.6.7.8 -p tcp --reply-port-src 20", "-s 1.2.3.4 -r 5.6.7.8", "-s 1.2.3.4 -d 5.6.7.8 -r 5.6.7.8 -q 9.9.9.9",
    "-d 5.6.7.8 -p udp -n", "-s 1.2.3.4 -m 7 -p tcp", "-b abc",
    "-b -1", "--bogus=1", "--s 1.2.3.4", "--state=CLOSE -p tcp", "-s1.2.3.4", "-ptcp", "-fipv6", "-m7", "-oxml", "-uASSURED", "-w3",
]
MORE_CREATES = [f"{flow} -t 90000 {option}" for flow in (
    "-p udp -s 2001:db8::5 -d 2001:db8::6 --sport 5 --dport 6", "-p tcp -s 2001:db8::5 -d 2001:db8::6 --sport 5 --dport 6 --state ESTABLISHED",
    "-p icmpv6 -s 2001:db8::5 -d 2001:db8::6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 3", "-p gre -s 1.1.1.1 -d 2.2.2.2 --srckey 1 --dstkey 2",
    "-p sctp -s 1.1.1.1 -d 2.2.2.2 --sport 5 --dport 6 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2") for option in (
    "-m 9", "-t 50000", "-u SEEN_REPLY", "-o xml", "-o save", "-o extended,id", "-w 5", "--orig-zone 6", "--reply-zone 7",
    "-n 8.8.8.8", "-g 8.8.8.7", "-u SEEN_REPLY,ASSURED -m 3", "-n 8.8.8.8:5", "-n [2001:db8::8]:5", "-n 2001:db8::8", "-g 2001:db8::9",
    "-z", "-l one", "--label-add one", "--label-add one,last", "--label-add bogus", "-u UNSET,ASSURED", "-i 3", "-u SRC_NAT", "-u ASSURED,DST_NAT")]
MORE_GETS = [f"{key} {option}" for key in (
    f"-p udp {TUPLE} --sport 11 --dport 20", f"-p udplite {TUPLE} {PORTS}", f"-p tcp -s 2001:db8::1 -d 2001:db8:1::2 {PORTS}",
    "-p icmpv6 -s 2001:db8::1 -d 2001:db8:1::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9", f"-p sctp {TUPLE} {PORTS}",
    f"-p 253 {TUPLE} --orig-zone 4", f"-p 50 {TUPLE} --reply-zone 5", "-p tcp -s 1.2.9.5 -d 5.6.7.9 --sport 10 --dport 20 -w 3") for option in (
    "", "-o xml", "-o xml,id", "-o extended", "-o save", "-o id", "-o labels", "-f ipv4", "-f ipv6", "-m 7", "-m 6", "-t 5",
    "-u ASSURED", "-n", "-w 3", "-z", "-l one", "-i 1", "-c 1",)]
LINES = ([f"-L {option}" for option in OPTIONS + WRONG] + [f"-D {option}" for option in ["", *OPTIONS, *WRONG]] +
         [f"{command} {line}" for line in CREATES for command in ("-I", "-A")] + [f"-G {line}" for line in GETS] +
         [f"-U {line}" for line in UPDATES] + [f"-L {a} {b}" for a, b in itertools.combinations(OPTIONS[:52:3], 2) if a.split()[0] != b.split()[0]] + OTHER +
         [f"-L {value}" for value in VALUES] + [f"-D {value}" for value in VALUES[::4]] + [f"-A {line}" for line in MORE_CREATES] +
         [f"-G {line}" for line in MORE_GETS])
# What conntrack(8) 1.4.7 takes for something else: for 0, for /0, for what is left of it in as many bits, or for no filter at all.
REFUSED = [
    "-s 1.2.3.4/", "--orig-zone 65536", "--reply-zone x", "-w -1", "-w 65536", "-w abc", "-m -1", "-m /7", "-m 7/", "-m 7/abc",
    "-m 7x", "-m abc", "-m 4294967296", "-p 0x6", "-p gre --srckey 65536", "-p icmp --icmp-type 256", "-p icmp --icmp-type x",
    "-p sctp --state BOGUS", "-p tcp --dport abc", "-p tcp --sport -1", "-p tcp --sport 0x0a", "-p tcp --sport 65536", "-u SRC_NAT",
    "-u DST_NAT",
]

# Differences that are meant, each with its reason.
IMPROVED = {
    "": "our help is another page",
    "-F -f ipv4": "conntrack(8) 1.4.7 flushes both families",
    "-F -f ipv6": "the same",
    "-U -f ipv4 -n 9.9.9.9:5 -m 3": "conntrack(8) 1.4.7 sends the NAT that it looks for as a change, which the kernel refuses",
    **{f"{command} {CREATE} -r 2.2.2.2": "conntrack(8) 1.4.7 makes a flow that answers to 0.0.0.0" for command in ("-I", "-A")},
    "-L -m 7 -u SEEN_REPLY,ASSURED": "conntrack(8) 1.4.7 shows none with both filters",
}


@pytest.fixture(scope="module")
def labels():
    """conntrack(8) knows labels from this file alone."""
    if LABELS.exists():
        yield
        return
    made = not LABELS.parent.exists()
    LABELS.parent.mkdir(exist_ok=True)
    LABELS.write_text("0 zero\n1 one\n127 last\n")
    try:
        yield
    finally:
        LABELS.unlink()
        if made:
            LABELS.parent.rmdir()


@pytest.fixture(scope="module")
def twins(labels, tmp_path_factory):
    with twins_of("ttdiff", tmp_path_factory.mktemp("bin")) as both:
        yield both


def outcome(twin, setup, line):
    """What the program did, and the table afterwards if its command may change it."""
    changes = line.split()[:1] not in (["-L"], ["-G"], ["-C"], ["-E"])
    if not twin.is_set_up:
        assert twin.run("conntrack", "-F").returncode == 0
        twin.run("conntrack", "-R", setup)
    done = twin.run(twin.program, *line.split())
    twin.is_set_up = not changes
    return done, twin.run("conntrack", "-L", "-o", "extended").stdout if changes else ""


def differences(twins, setup, line):
    return lasting(twins, lambda: compare(line, *(outcome(twin, setup, line) for twin in twins)))


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    path = tmp_path_factory.mktemp("flows") / "flows"
    path.write_text("".join(f"-A {flow}\n" for flow in FLOWS))
    return path


@pytest.mark.parametrize("part", range(8))
def test_every_line_does_what_conntrack_does(twins, setup, part):
    wrong = {}
    for line in LINES[part::8]:
        if line in IMPROVED:
            continue
        found = differences(twins, setup, line)
        if found:
            wrong[line] = found
    assert not wrong, "\n".join(f"conntrack {line}\n    " + "\n    ".join(found) for line, found in wrong.items())


@pytest.mark.parametrize("command", ["-L", "-D"])
def test_what_is_no_value_is_refused_and_nothing_is_deleted(twins, setup, command):
    ours = twins[1]
    ours.is_set_up = False
    outcome(ours, setup, "-C")
    for line in REFUSED:
        done = ours.run(ours.program, command, *line.split())
        assert done.returncode == 2 and not done.stdout, (line, done)
    assert len(ours.run("conntrack", "-L").stdout.splitlines()) == len(FLOWS)
    ours.is_set_up = False
