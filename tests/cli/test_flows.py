# SPDX-License-Identifier: GPL-2.0-or-later
"""Events, files of command lines, formats, and the same filters on the kernel's table and the daemon's."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from fake_daemon import records, result
from twintrack_command import PROGRAM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class Namespace:
    def __init__(self):
        self.name = f"ttflows{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)

    def command(self, *arguments):
        return ["nsenter", f"--net=/run/netns/{self.name}", *map(str, arguments)]

    def __call__(self, *arguments, **options):
        return subprocess.run(self.command(PROGRAM, *arguments), text=True, capture_output=True, timeout=60, **options)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=True)


@pytest.fixture
def namespace():
    one = Namespace()
    try:
        yield one
    finally:
        one.close()


def listeners(namespace):
    """Sockets that are bound to groups of conntrack events in this namespace."""
    lines = subprocess.run(namespace.command("cat", "/proc/net/netlink"), text=True, capture_output=True, check=True).stdout
    return sum(1 for line in lines.splitlines()[1:] if line.split()[1] == "12" and line.split()[3] != "00000000")


class Listener:
    """`program -E ...`, from when it listens until a signal ends it."""

    def __init__(self, namespace, program, *arguments):
        before = listeners(namespace)
        self.process = subprocess.Popen(namespace.command(program, "-E", *arguments), text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        end = time.monotonic() + 10
        while listeners(namespace) == before and time.monotonic() < end:
            time.sleep(0.01)

    def end(self, number=signal.SIGINT):
        time.sleep(0.2)  # what the kernel has queued is read within this; a test that counts waits for its count
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return out, err, self.process.returncode


CHANGES = ["-I -p tcp -s 1.2.3.4 -d 5.6.7.8 --sport 1 --dport 2 -t 9000 --state ESTABLISHED -u SEEN_REPLY,ASSURED -m 3 -w 7",
           "-I -p udp -s 1.2.3.4 -d 5.6.7.8 --sport 1 --dport 2 -t 9000 -n 9.9.9.9",
           "-I -p icmpv6 -s 2001:db8::1 -d 2001:db8::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9 -t 9000",
           "-U -p udp -s 1.2.3.4 -m 5", "-U -p udp -s 1.2.3.4 -u ASSURED", "-D -p udp", "-F"]


@pytest.mark.parametrize("options", ["", "-o extended,id", "-o xml,timestamp", "-o save", "-e NEW", "-e NEW,DESTROY -o id", "-p tcp",
                                     "-s 1.2.3.0/24 -o xml", "-f ipv6", "-n", "-m 3", "-w 7", "-o userspace"])
def test_events_are_shown_as_conntrack_shows_them(namespace, options):
    both = [Listener(namespace, program, *options.split()) for program in ("conntrack", PROGRAM)]
    for change in CHANGES:
        assert namespace(*change.split()).returncode == 0, change
    (theirs, their_words, their_code), (ours, our_words, our_code) = (one.end() for one in both)

    def lines(text):  # whose name a process has is found out after it is gone; a second may begin between both
        return [re.sub(r" progname=\S+|<sec>\d+</sec>|<min>\d+</min>", "", line) for line in text.splitlines()]

    assert lines(ours) == lines(theirs) and ours
    assert our_words.split(": ", 1)[1] == their_words.split(": ", 1)[1]
    assert our_code == their_code


def test_events_as_json_carry_their_kind_and_time(namespace):
    listener = Listener(namespace, PROGRAM, "-o", "json")
    for change in CHANGES:
        assert namespace(*change.split()).returncode == 0
    out, words, code = listener.end(signal.SIGTERM)
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["new"] * 3 + ["update"] * 2 + ["destroy"] * 3
    assert all(abs(event["time_us"] / 1e6 - time.time()) < 60 for event in events)
    assert events[0]["zone"] == 7 and events[0]["mark"] == 3 and events[0]["state"] == "ESTABLISHED"
    assert events[1]["reply"]["dst"] == "9.9.9.9" and "SRC_NAT" in events[1]["status"]
    assert code == 0 and "8 flow events have been shown" in words


def test_lost_events_are_counted_and_told_once_a_second(namespace, tmp_path):
    (tmp_path / "flows").write_text("".join(f"-A -p 99 -s 10.0.{n >> 8}.{n & 255} -d 1.1.1.1 -t 900\n" for n in range(20000)))
    listener = Listener(namespace, PROGRAM, "-b", "2304")
    listener.process.send_signal(signal.SIGSTOP)
    assert namespace("-R", tmp_path / "flows").returncode == 0
    listener.process.send_signal(signal.SIGCONT)
    _, words, code = listener.end()
    told = [line for line in words.splitlines() if "events were lost" in line]
    assert 1 <= len(told) <= 3 and code == 0


def table(namespace, *options):
    lines = namespace("-L", *options).stdout.splitlines()
    return sorted(re.sub(r" use=\d+|^(\S+ +\d+ )\d+ ", r"\1", line) for line in lines)


def test_what_save_prints_makes_the_same_table(namespace):
    for change in CHANGES[:3]:
        assert namespace(*re.sub("-m 3 ", "", change).split()).returncode == 0
    before = table(namespace)
    saved = namespace("-L", "-o", "save").stdout
    assert namespace("-F").returncode == 0 and table(namespace) == []
    assert namespace("-R", "-", input=saved).returncode == 0
    assert table(namespace) == before and len(before) == 3


def test_a_wrong_line_of_a_file_is_named_and_nothing_is_carried_out(namespace, tmp_path):
    good = "-A -t 900 -s 1.1.1.1 -d 2.2.2.2 -p 99\n"
    for bad in ("-A -t 900 -s 1.1.1.1", "hello", "-L", "-A -t x -s 1.1.1.1 -d 2.2.2.2 -p 99", '-A "', "-A " + "x" * 9000, "-A" + " x" * 200, "-E", "-R f"):
        (tmp_path / "flows").write_text(f"# a comment\n\n{good}{bad}\n")
        done = namespace("-R", tmp_path / "flows")
        assert done.returncode == 2 and f"{tmp_path}/flows:4" in done.stderr, bad
        assert table(namespace) == []
    assert namespace("-R", tmp_path / "missing").returncode == 2


def test_a_line_that_fails_is_named(namespace):
    flow = "-t 900 -s 1.1.1.1 -d 2.2.2.2 -p 99\n"
    done = namespace("-R", "-", input=f"-A {flow}-A {flow}-I {flow}")
    assert done.returncode == 1 and "-:3" in done.stderr and "try -U" in done.stderr
    assert len(table(namespace)) == 1


@pytest.mark.parametrize("piped", [False, True])
def test_of_a_large_file_all_is_carried_out_up_to_the_line_that_fails(namespace, tmp_path, piped):
    lines = [f"-I -t 900 -u SEEN_REPLY -s 10.0.{n >> 8}.{n & 255} -d 192.0.2.1 -p udp --sport 1024 --dport 53\n" for n in range(20000)]
    lines[13000] = lines[12345]
    (tmp_path / "flows").write_text("".join(lines))

    def load():
        if not piped:
            return namespace("-R", tmp_path / "flows")
        return namespace("-R", "-", input=(tmp_path / "flows").read_text())

    done = load()
    assert done.returncode == 1 and f"{'-' if piped else tmp_path / 'flows'}:13001: " in done.stderr and "try -U" in done.stderr
    assert len(table(namespace)) == 13000
    assert namespace("-F").returncode == 0
    (tmp_path / "flows").write_text("".join(lines[:13000] + lines[13001:]) + "-D -s 10.0.0.0/24\n")
    assert load().returncode == 0 and len(table(namespace)) == 19999 - 256
    (tmp_path / "flows").write_text("".join(lines[:19000]) + "-A -t 900\n" + lines[19000])
    assert namespace("-F").returncode == 0
    done = load()
    assert done.returncode == 2 and ":19001: " in done.stderr and table(namespace) == []


def test_who_may_not_load_is_told_so(namespace, tmp_path):
    (tmp_path / "flows").write_text("".join(f"-A -t 900 -s 1.1.1.{n} -d 2.2.2.2 -p 99\n" for n in range(9)))
    done = subprocess.run(namespace.command("setpriv", "--bounding-set=-net_admin", PROGRAM, "-R", tmp_path / "flows"), text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and f"{tmp_path}/flows:1" in done.stderr and "not permitted" in done.stderr
    assert table(namespace) == []


FILTERS = ["", "-s 10.0.0.0", "-s 10.0.0.0/31", "-d 192.0.2.1", "-r 192.0.2.1", "-q 10.0.0.1", "-p tcp", "-p udp", "-p tcp --sport 1025", "-p tcp --dport 443",
           "-p tcp --state ESTABLISHED", "-p tcp --state CLOSE", "-m 7", "-m 1/1", "-m 8/8", "-u ASSURED", "-u SEEN_REPLY", "-u FIXED_TIMEOUT", "-f ipv4",
           "-f ipv6", "-w 0", "-w 3", "-n", "-g", "-j", "-o save", "-o extended", "-s 10.0.0.0 -m 7"]


def test_a_filter_means_the_same_on_the_kernels_table_and_the_daemons(namespace, command, daemon):
    marked = {n: n % 16 for n in (0, 1, 2, 70000)}
    daemon(b"".join(records([n], mark=mark, timeout=431999) for n, mark in marked.items()) + result(0))
    saved = command("-L", "internal", "-o", "save").stdout
    assert namespace("-R", "-", input=saved).returncode == 0
    for n, mark in marked.items():
        if mark:
            namespace("-U", "-p", "tcp", "--sport", 1024 + n % 60000, "-f", "ipv4", "-m", mark)
    assert len(table(namespace)) == len(marked)
    for options in FILTERS:
        internal, external = (command("-L", name, *options.split()) for name in ("internal", "external"))
        assert internal.returncode == external.returncode == 0 and internal.stdout == external.stdout

        def plain(text):
            return sorted(re.sub(r" use=\d+|(-t )\d+|^((?:ipv4 +2 )?\S+ +\d+ )\d+ ", r"\1\2", line) for line in text.splitlines())

        assert plain(namespace("-L", *options.split()).stdout) == plain(internal.stdout), options


def test_get_on_a_table_of_the_daemon_shows_one_flow_or_says_there_is_none(command, daemon):
    daemon(records([0, 1, 2]) + result(0))
    one = "-p tcp -d 192.0.2.1 --dport 443".split()
    done = command("-G", "internal", *one, "-s", "10.0.0.0", "--sport", "1025")
    assert done.returncode == 0 and done.stdout.count("\n") == 1 and "sport=1025 dport=443" in done.stdout
    done = command("-G", "internal", *one, "-s", "10.0.0.0", "--sport", "9")
    assert done.returncode == 1 and done.stdout == "" and "doesn't exist" in done.stderr


def test_json_is_one_object_a_line_with_numbers_as_numbers(namespace):
    assert namespace(*CHANGES[0].split()).returncode == 0
    done = namespace("-L", "-o", "json")
    flow = json.loads(done.stdout)
    assert flow.pop("id") > 0 and 8900 < flow.pop("timeout") <= 9000
    assert flow == {"family": "ipv4", "protocol": "tcp", "protonum": 6, "state": "ESTABLISHED", "mark": 3, "zone": 7, "use": 1,
                    "status": ["SEEN_REPLY", "ASSURED", "CONFIRMED"], "orig": {"src": "1.2.3.4", "dst": "5.6.7.8", "sport": 1, "dport": 2},
                    "reply": {"src": "5.6.7.8", "dst": "1.2.3.4", "sport": 2, "dport": 1}}
    assert namespace("-L", "-o", "json,id").returncode == 1


@pytest.mark.parametrize("option", ["-m x", "-m 4294967296", "-m 1/", "-w 65536", "-w -1", "-i x", "-s 1.2.3.4/+8", "-p tcp --sport 65536", "-p tcp --sport x",
                                    "-p icmp --icmp-type 256", "-n 1.2.3.4:65536", "-n " + "1" * 400, "-s " + "1" * 400, "-l " + "x" * 400, "-u " + "x" * 400,
                                    "-o " + "x" * 400, "-m " + "9" * 400, "-c -1"])
def test_a_number_out_of_range_is_refused(namespace, option):
    done = namespace("-L", *option.split())
    assert done.returncode == 2 and done.stdout == "" and done.stderr
