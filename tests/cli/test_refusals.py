# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command on every table with every option, most of which are refused: each with the distribution's conntrack(8) and with ours."""
import itertools
import os
import subprocess

import pytest
from test_differential import FLOWS, labels  # noqa: F401  a fixture
from twins import normal, substance, twins_of
from twintrack_command import PROGRAM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

COMMANDS = ["-L", "-G", "-D", "-I", "-A", "-U", "-F", "-C", "-S", "-E"]
TABLES = ["conntrack", "expect", "dying", "unconfirmed"]  # without a word for it, the first: test_differential.py
OPTIONS = ["", "-s 9.9.9.1", "-d 9.9.9.1", "-r 9.9.9.1", "-q 9.9.9.1", "-p 254", "-t 50", "-u ASSURED", "-z", "-e NEW", "--tuple-src 9.9.9.1", "--tuple-dst 9.9.9.1",
           "--mask-src 255.0.0.0", "--mask-dst 255.0.0.0", "-m 99", "-i 1", "-f ipv4", "-f ipv6", "-n 9.9.9.1", "-g 9.9.9.1", "-o id", "-c 1", "-b 9000", "-j 9.9.9.1",
           "-w 99", "-l one", "--label-add one", "--label-del=one", "--orig-zone 99", "--reply-zone 99", "-p tcp --state CLOSE", "-p udp --sport 7", "--nothing"]
# what -E takes there would wait for events; test_flows.py and test_expect.py have it
WAITS = {table: {"", "-s 9.9.9.1", "-d 9.9.9.1", "-r 9.9.9.1", "-q 9.9.9.1", "-p 254", "-e NEW", "-m 99", "-f ipv4", "-f ipv6", "-n 9.9.9.1", "-g 9.9.9.1", "-o id", "-c 1",
                 "-b 9000", "-j 9.9.9.1", "-w 99", "-l one", "--orig-zone 99", "--reply-zone 99", "-p tcp --state CLOSE", "-p udp --sport 7"} for table in ("conntrack",)}
WAITS["expect"] = {"", "-o id"}
WHOLE = "-p 254 -s 9.9.9.1 -d 9.9.9.2 -t 50"  # so that -I, -A and -G lack nothing
LINES = [f"{command} {table} {option}" for command, table, option in itertools.product(COMMANDS, TABLES, OPTIONS)
         if not (command == "-E" and option in WAITS.get(table, ())) and not (command == "-S" and option == "")]
LINES += [f"{command} {WHOLE if command != '-G' else WHOLE[:-6]} {option}" for command in ("-I", "-A", "-G") for option in OPTIONS if not option.startswith("-p")]
LINES += [f"-L {a} {b}" for a, b in itertools.combinations(OPTIONS[1::3], 2) if a.split()[0] != b.split()[0]] + ["-L --label-add one --label-del=one"]
IMPROVED = {  # twintrack(8) names them
    "-F conntrack -f ipv4", "-F conntrack -f ipv6", *(f"{command} {WHOLE} -q 9.9.9.1" for command in ("-I", "-A")),
    *(f"{command} {WHOLE} -r 9.9.9.1" for command in ("-I", "-A")),
    "-L -u ASSURED -m 99",
}
SEPARATOR = "\x01"
# one shell a namespace: a line costs no more than the program itself
LOOP = f"""while IFS= read -r line; do
	words=$("$1" $line 2>&1 >"$2" </dev/null); code=$?
	printf '%s{SEPARATOR}%s{SEPARATOR}%s{SEPARATOR}' "$code" "$(cat "$2")" "$words"
done"""


def outcomes(twin, lines, directory):
    done = twin.run("bash", "-c", LOOP, "loop", twin.program, directory / "out", stdin="\n".join(lines) + "\n", timeout=600)
    fields = done.stdout.split(SEPARATOR)
    assert len(fields) == 3 * len(lines) + 1, done.stderr
    return [(int(code), sorted(normal(out).splitlines()), substance(words)) for code, out, words in zip(*[iter(fields)] * 3)]


@pytest.fixture(scope="module")
def twins(labels, tmp_path_factory):  # noqa: F811
    with twins_of("ttrefuse", tmp_path_factory.mktemp("bin")) as both:
        yield both


def differing(lines, theirs, ours):
    """Of those that the command line refuses, the words may be others; of all else, they must be the same."""
    for line, (code, out, words), (our_code, our_out, our_words) in zip(lines, theirs, ours):
        if line in IMPROVED:
            continue
        same_words = words == our_words or (code == 2 and bool(words) == bool(our_words))
        if code != our_code or out != our_out or not same_words:
            yield line, (code, out, words), (our_code, our_out, our_words)


def test_what_one_refuses_the_other_refuses(twins, tmp_path):
    setup = tmp_path / "flows"
    setup.write_text("".join(f"-A {flow}\n" for flow in FLOWS))
    lines = LINES
    for _ in range(3):  # what differs is looked at again: the limits of this host are shared
        for twin in twins:
            twin.run("conntrack", "-F")
            assert twin.run("conntrack", "-R", setup).returncode == 0
        wrong = list(differing(lines, *(outcomes(twin, lines, tmp_path) for twin in twins)))
        lines = [line for line, _, _ in wrong]
        if not lines:
            break
    assert not wrong, "\n".join(f"conntrack {line}\n    {theirs}\n    {ours}" for line, theirs, ours in wrong)


def test_the_corpus_has_accepted_and_refused_lines():
    assert len(LINES) > 1300


def test_nothing_of_the_host_is_touched(twins):
    """The lines ran in the namespaces: there is nothing of theirs here."""
    done = subprocess.run([PROGRAM, "-L", "-s", "9.9.9.1"], text=True, capture_output=True, check=True)
    assert done.stdout == ""
