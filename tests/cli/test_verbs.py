# SPDX-License-Identifier: GPL-2.0-or-later
"""Verbs, their exit codes, and what they say when something is wrong."""
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest
from fake_daemon import JSON, PROGRESS, TEXT, message, records, result, status
from twintrack_command import PROGRAM, ROOT

VERBS = ["status", "top", "primary", "backup", "fault", "commit", "resync", "flush", "health", "wait-synced", "verify",
         "metrics", "exporter", "reload", "genkey", "check-config", "import-config", "version"]
ASKING = [["status"], ["primary"], ["backup"], ["fault"], ["commit"], ["resync"], ["flush", "internal"], ["health"],
          ["wait-synced"], ["verify"], ["reload"], ["-L", "internal"], ["-C", "external"]]
ROLES = ["primary", "backup", "fault"]


def test_the_help_is_a_page_that_names_every_verb(command):
    done = command("--help")
    assert done.returncode == 0 and done.stderr == ""
    for verb in VERBS:
        assert f"  {verb} " in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[:-1])


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_help(command, verb):
    done = command(verb, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"twintrack [--socket PATH] {verb}")


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_a_usage_error(command, verb):
    done = command(verb, "--nonsense")
    assert done.returncode == 2 and done.stdout == ""
    assert "unknown option `--nonsense'" in done.stderr and f"twintrack {verb} --help" in done.stderr
    assert not command.state.exists()


@pytest.mark.parametrize("arguments, words", [
    ([], "a verb is missing"),
    (["nonsense"], "unknown verb `nonsense'"),
    (["--socket"], "needs a value"),
    (["--nonsense"], "unknown option `--nonsense'"),
    (["status", "extra"], "`extra' is one argument too many"),
    (["status", "--json=1"], "unknown option"),
    (["status", "-j"], "unknown option `-j'"),
    (["primary", "extra"], "one argument too many"),
    (["flush"], "internal|external|kernel is missing"),
    (["flush", "nonsense"], "unknown table `nonsense'"),
    (["flush", "internal", "external"], "one argument too many"),
    (["resync", "--peer"], "needs a value"),
    (["resync", "--peer", "0"], "a number from 1 to 65535"),
    (["resync", "--peer", "65536"], "a number from 1 to 65535"),
    (["resync", "--peer", "2x"], "a number from 1 to 65535"),
    (["resync", "--peer", "99999999999999999999"], "a number from 1 to 65535"),
    (["wait-synced", "--timeout", "soon"], "a time like"),
    (["wait-synced", "--timeout", "25000h"], "a time like"),
    (["wait-synced", "--timeout", "1000000"], "a time like"),
    (["wait-synced", "--peers", "0"], "a number from 1 to 15"),
    (["wait-synced", "--peers", "16"], "a number from 1 to 15"),
    (["genkey"], "FILE is missing"),
    (["check-config"], "FILE is missing"),
    (["version", "extra"], "one argument too many"),
    (["-L", "nonsense"], "unknown type `nonsense'"),
    (["-L", "-p", "tcp", "--nonsense"], "unknown option `--nonsense'"),
    (["-L", "-C"], "Invalid commands combination"),
    (["-L", "--peer", "2"], "--peer goes with the tables external and external-expect alone"),
    (["-L", "external", "--peer", "0"], "a number from 1 to 65535"),
    (["-L", "external", "--peer"], "requires an argument"),
    (["-L", "conntrack", "extra"], "one argument too many"),
    (["-D", "internal"], "--delete is not for the table internal: it takes -L, -G, -C, -E and -F"),
    (["-A", "expect"], "Can't do --add on expectations"),
])
def test_a_wrong_command_line_is_named(command, arguments, words):
    done = command(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert words in done.stderr


@pytest.mark.parametrize("arguments", ASKING, ids=" ".join)
@pytest.mark.parametrize("how", ["no socket", "nobody listens", "closed at once"])
def test_without_a_daemon_the_exit_code_is_3(command, daemon, arguments, how):
    if how == "nobody listens":
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(str(command.socket))
    if how == "closed at once":
        daemon(b"")
    done = command(*arguments)
    assert done.returncode == 3 and done.stdout == ""
    assert f"no daemon answers on {command.socket}" in done.stderr


def test_a_daemon_that_is_silent_is_no_daemon(command, daemon):
    daemon(lambda request, connection: time.sleep(6))
    start = time.monotonic()
    done = command("health")
    assert done.returncode == 3 and "silent" in done.stderr
    assert time.monotonic() - start < 30


def test_too_long_a_socket_path_is_named(command):
    done = command("--socket", "/tmp/" + "x" * 200, "status")
    assert done.returncode == 3 and "longer than 107 characters" in done.stderr


def test_the_socket_option_stands_before_or_behind_the_verb(command, daemon, tmp_path):
    daemon(status({"node": 1}))
    path, command.socket = command.socket, tmp_path / "elsewhere"
    for arguments in (["--socket", path, "status"], [f"--socket={path}", "status"], ["status", "--socket", path]):
        assert command(*arguments).returncode == 0
    assert command("status").returncode == 3


@pytest.mark.parametrize("role", ROLES)
def test_the_wanted_role_is_kept_when_no_daemon_answers(command, role):
    done = command(role)
    assert done.returncode == 3
    assert f"the wanted role `{role}' is kept in {command.state}" in done.stderr
    assert f"role {role}\n" in command.state.read_text()


@pytest.mark.parametrize("role", ROLES)
def test_the_wanted_role_is_written_before_the_daemon_is_told(command, daemon, role):
    seen = []

    def answer(request, connection):
        seen.append((request, command.state.read_text()))
        return result(0, f"this node is {role}")

    daemon(answer)
    done = command(role)
    assert done.returncode == 0 and done.stdout == f"this node is {role}\n" and done.stderr == ""
    assert seen[0][0] == (role, {}) and f"role {role}\n" in seen[0][1]


def test_a_role_that_cannot_be_kept_is_said(command):
    command.socket = command.socket.parent / "file" / "control.sock"
    command.socket.parent.write_text("in the way")
    done = command("primary")
    assert done.returncode == 3 and "could not be kept" in done.stderr


REPORT = {"verb": "primary", "was": "backup", "role": "primary", "changed": True, "term": 4, "fence": "open",
          "commit": {"flows": 5009, "created": 5000, "kept": 7, "clash": 2, "refused": 0, "duration_us": 12340,
                     "failures": {"clash": ["tcp 192.0.2.1:1 -> 192.0.2.2:2", "tcp 192.0.2.1:3 -> 192.0.2.2:2"]}}}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_may_not_write_the_state_file_relies_on_the_daemon(command, daemon):
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy(PROGRAM, directory)
        command.socket = pathlib.Path(directory) / "control.sock"
        daemon(result(0, "done"))
        os.chmod(command.socket, 0o777)
        done = command("--reuid=65534", "--clear-groups", program, "primary", program="setpriv")
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
        os.chmod(command.socket, 0o700)
        done = command("--reuid=65534", "--clear-groups", program, "primary", program="setpriv")
        assert done.returncode == 3 and "may not be opened by this user" in done.stderr
        assert "could not be kept" in done.stderr


@pytest.mark.parametrize("verb", [*ROLES, "commit"])
def test_a_step_shows_what_it_did(command, daemon, verb):
    daemon(message(PROGRESS, "half way") + message(JSON, json.dumps(REPORT)) + result(0))
    done = command(verb)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("this node is primary, was backup, term 4, fence open\n"
                           "committed 5,009 flows in 12.3 ms: 5,000 created, 7 kept, 2 clash\n"
                           "  2 left out: a flow that is in use here has one of their tuples, with another\n"
                           "  NAT:\n"
                           "    tcp 192.0.2.1:1 -> 192.0.2.2:2\n    tcp 192.0.2.1:3 -> 192.0.2.2:2\n")
    done = command(verb, "--json")
    assert done.returncode == 0 and json.loads(done.stdout) == REPORT


def test_a_step_without_a_change_says_so(command, daemon):
    daemon(message(JSON, json.dumps(dict(REPORT, changed=False, was="primary", commit=None))) + result(0, "already primary"))
    done = command("primary")
    assert done.stdout == "already primary\nthis node is primary, term 4, fence open\n"


@pytest.mark.parametrize("verb", ["resync", "reload"])
def test_a_step_whose_report_is_unknown_shows_its_counts(command, daemon, verb):
    daemon(message(JSON, '{"peers": 1200, "errors": 0, "what": "x"}') + result(0))
    assert command(verb).stdout == "1,200 peers\n"


@pytest.mark.parametrize("verb", [*ROLES, "commit", "reload", "resync", "verify"])
def test_a_step_that_fails_says_why(command, daemon, verb):
    daemon(result(1, "the kernel's table is full"))
    done = command(verb)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "twintrack: the kernel's table is full\n"


def test_json_is_printed_also_when_the_daemon_gives_none(command, daemon):
    daemon(result(1, "not you"))
    done = command("primary", "--json")
    assert done.returncode == 1 and json.loads(done.stdout) == {"exit": 1, "message": "not you"}


def test_arguments_reach_the_daemon(command, daemon):
    fake = daemon(result(0))
    for arguments in (["resync"], ["resync", "--peer", "7"], ["resync", "--peer=7"], ["flush", "internal"],
                      ["flush", "external"], ["flush", "kernel"], ["health"], ["health", "--strict"],
                      ["-L", "internal"], ["-L", "external"], ["-L", "external", "--peer", "9"], ["-C", "external"]):
        assert command(*arguments).returncode == 0
    assert fake.requests == [
        ("resync", {}), ("resync", {"peer": "7"}), ("resync", {"peer": "7"}), ("flush", {"table": "internal"}),
        ("flush", {"table": "external"}), ("flush", {"table": "kernel"}), ("health", {}), ("health", {"strict": "1"}),
        ("dump", {"table": "internal"}), ("dump", {"table": "external"}), ("dump", {"table": "external", "peer": "9"}),
        ("count", {"table": "external"})]


@pytest.mark.parametrize("code", [0, 1])
def test_health_is_one_line_whatever_the_code(command, daemon, code):
    daemon(message(TEXT, "the words\nmore words\n") + result(code))
    done = command("health")
    assert (done.returncode, done.stdout, done.stderr) == (code, "the words\n", "")
    daemon(result(code, "the words"))
    done = command("health")
    assert (done.returncode, done.stdout, done.stderr) == (code, "the words\n", "")


def test_verify_prints_what_differs(command, daemon):
    daemon(message(PROGRESS, "10 %") + message(TEXT, "tcp 10.0.0.1 ...: not in the kernel\n") + result(1, "1 differs"))
    done = command("verify")
    assert done.returncode == 1 and done.stdout == "tcp 10.0.0.1 ...: not in the kernel\n"
    assert "1 differs" in done.stderr


def test_progress_is_shown_on_a_terminal_alone(command, daemon):
    daemon(message(PROGRESS, "half way\033[2J") + result(0, "done"))
    assert command("commit").stderr == ""
    leader, follower = os.openpty()
    environment = dict(os.environ, TWINTRACK_SOCKET=str(command.socket))
    done = subprocess.run([PROGRAM, "commit"], stderr=follower, stdout=subprocess.PIPE, env=environment, timeout=60)
    os.close(follower)
    assert done.returncode == 0 and done.stdout == b"done\n"
    shown = os.read(leader, 4096)
    os.close(leader)
    assert b"half way[2J" in shown and shown.endswith(b"\r\033[K")


ANSWERS = {
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "unknown type": b"\0\0\0\0\x09",
    "too long": b"\xff\xff\xff\xff\x03",
    "cut in the header": b"\0\0",
    "cut in the payload": message(TEXT, "x" * 100)[:50],
    "no result": message(TEXT, "hello"),
    "empty result": message(6),
    "a request": message(1, b"status\0"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("arguments", ASKING, ids=" ".join)
def test_an_answer_that_makes_no_sense_is_a_failure_in_words(command, daemon, arguments, answer):
    daemon(answer)
    done = command(*arguments)
    assert done.returncode == 1
    assert any(words in done.stderr for words in ("broke off", "makes no sense", "does not speak as"))


def test_an_answer_in_small_pieces_is_one_answer(command, daemon):
    def drip(request, connection):
        for byte in message(PROGRESS, "x") + message(TEXT, "slow, but whole") + result(0):
            connection.sendall(bytes([byte]))
            time.sleep(0.002)

    daemon(drip)
    done = command("reload")
    assert (done.returncode, done.stdout) == (0, "slow, but whole\n")


def test_a_signal_ends_the_command_at_once(command, daemon):
    daemon(lambda request, connection: connection.sendall(message(PROGRESS, "x")) or time.sleep(5))
    process = subprocess.Popen([PROGRAM, "--socket", command.socket, "commit"])
    while process.poll() is None and not command.socket.exists():
        pass
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM


def test_a_reader_that_goes_away_ends_it_quietly(command, daemon):
    daemon(lambda request, connection: [connection.sendall(records(range(i, i + 1000))) for i in
                                        range(0, 50000, 1000)] and result(0))
    done = subprocess.run(f"{PROGRAM} --socket {command.socket} -L internal | head -1", shell=True, timeout=60,
                          capture_output=True, text=True, preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN))
    assert done.stdout.count("\n") == 1 and done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["status"], ["-L", "internal"]], ids=" ".join)
def test_a_full_disk_is_not_success(command, daemon, arguments):
    daemon(status({"node": 1}) if arguments == ["status"] else records(range(3)) + result(0))
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "--socket", command.socket, *arguments], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=60)
    assert done.returncode == 1 and "No space left" in done.stderr


def test_genkey_writes_32_bytes_for_the_owner_alone(command, tmp_path):
    old = os.umask(0)
    try:
        assert command("genkey", tmp_path / "a").returncode == 0
        assert command("genkey", tmp_path / "b").returncode == 0
    finally:
        os.umask(old)
    a, b = (tmp_path / "a"), (tmp_path / "b")
    assert a.stat().st_size == b.stat().st_size == 32 and a.read_bytes() != b.read_bytes()
    assert stat.S_IMODE(a.stat().st_mode) == 0o600


def test_genkey_never_overwrites(command, tmp_path):
    (tmp_path / "key").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("key", "link"):
        done = command("genkey", tmp_path / name)
        assert done.returncode == 1 and "exists already" in done.stderr
    assert (tmp_path / "key").read_text() == "old" and not (tmp_path / "elsewhere").exists()
    done = command("genkey", tmp_path / "nowhere" / "key")
    assert done.returncode == 1 and "No such file" in done.stderr


GOOD = "[node]\nid = 1\n[sync]\nkey-file = /etc/twintrack/key\n[link sync0]\ngroup = 239.192.55.1\n"


def test_check_config_finds_nothing_in_a_good_file(command, tmp_path):
    (tmp_path / "good").write_text(GOOD)
    done = command("check-config", tmp_path / "good")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "no mistakes" in done.stdout


def test_check_config_names_file_and_line(command, tmp_path):
    path = tmp_path / "bad"
    path.write_text(GOOD + "port = many\n")
    done = command("check-config", path)
    assert done.returncode == 2 and f"{path}:7: " in done.stderr
    done = command("check-config", tmp_path / "missing")
    assert done.returncode == 2 and "missing" in done.stderr


def test_version_is_that_of_the_build(command):
    version = next(line.split("=")[1].strip() for line in (ROOT / "Makefile").read_text().splitlines()
                   if line.startswith("VERSION"))
    for arguments in (["version"], ["--version"], ["-V"]):
        assert command(*arguments).stdout == f"twintrack v{version}\n"
