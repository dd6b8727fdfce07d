# SPDX-License-Identifier: GPL-2.0-or-later
"""-L and -C on the daemon's tables."""
import struct
import time

import pytest
from fake_daemon import (DESTROY, EMPTIED, EVENTS, JSON, LOST, NEW, PROGRESS, RECORDS, TEXT, UPDATE, event, message, records, result, tcp_line,
                         tcp_record)


def shown(count):
    return f"(twintrack): {count} flow entries have been shown.\n"


@pytest.mark.parametrize("table", ["internal", "external"])
def test_flows_are_shown_as_conntrack_shows_them(command, daemon, table):
    daemon(records([0, 1, 70000]) + records([5], node=2, mark=7, timeout=431999) + result(0))
    done = command("-L", table)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [tcp_line(0), tcp_line(1), tcp_line(70000), tcp_line(5, 431999, 7)]
    assert done.stderr.endswith(shown(4))


def test_an_empty_table_is_shown_as_such(command, daemon):
    daemon(result(0))
    done = command("-L", "external", "--peer", "3")
    assert (done.returncode, done.stdout) == (0, "") and done.stderr.endswith(shown(0))


def test_a_hundred_thousand_flows_come_whole_and_in_order(command, daemon):
    whole = b"".join(records(range(i, i + 1000)) for i in range(0, 100000, 1000)) + result(0)
    daemon(whole)
    done = command("-L", "internal")
    assert done.returncode == 0 and done.stderr.endswith(shown(100000))
    assert done.stdout.splitlines() == [tcp_line(n) for n in range(100000)]


def test_a_message_of_the_largest_size_is_taken(command, daemon):
    flow = struct.pack("!HI", 0, 0) + tcp_record(1)
    count = (1 << 20) // len(flow)
    daemon(message(RECORDS, flow * count) * 3 + result(0))
    done = command("-L", "internal")
    assert done.returncode == 0 and done.stdout.count("\n") == 3 * count


def test_messages_may_come_in_any_pieces(command, daemon):
    whole = message(PROGRESS, "x") + b"".join(records(range(i, i + 7)) for i in range(0, 700, 7)) + result(0)

    def pieces(request, connection):
        for at in range(0, len(whole), 311):
            connection.sendall(whole[at:at + 311])
            time.sleep(0.001)

    daemon(pieces)
    done = command("-L", "internal")
    assert done.returncode == 0 and done.stdout.splitlines() == [tcp_line(n) for n in range(700)]


def test_a_dump_that_breaks_off_shows_what_came_and_fails(command, daemon):
    daemon(records(range(100)) + records(range(100))[:-1])
    done = command("-L", "internal")
    assert done.returncode == 1 and done.stdout.count("\n") == 100
    assert "broke off" in done.stderr and "have been shown" not in done.stderr


BROKEN = {
    "cut in the record": message(RECORDS, struct.pack("!HI", 0, 0) + tcp_record(1)[:-1]),
    "cut in the ids": message(RECORDS, b"\0\0\0"),
    "nothing behind the ids": message(RECORDS, struct.pack("!HI", 0, 0)),
    "garbage": message(RECORDS, b"\xff" * 200),
    "another kind of message": message(JSON, "{}"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_record_is_a_failure(command, daemon, broken):
    daemon(records(range(3)) + broken + result(0))
    done = command("-L", "internal")
    assert done.returncode == 1 and done.stdout.splitlines() == [tcp_line(n) for n in range(3)]
    assert "makes no sense" in done.stderr


def test_random_bytes_never_end_it_otherwise_than_with_1(command, daemon):
    import random

    for seed in range(60):
        source = random.Random(seed)
        payload = bytearray(b"".join(struct.pack("!HI", 0, 0) + tcp_record(n) for n in range(5)))
        for _ in range(source.randrange(1, 4)):
            payload[source.randrange(len(payload))] = source.randrange(256)
        daemon(message(RECORDS, bytes(payload[:source.randrange(len(payload) + 1)])) + result(0))
        assert command("-L", "internal").returncode in (0, 1), f"seed {seed}"


def test_a_refusal_is_said(command, daemon):
    daemon(result(1, "no such peer: 9"))
    for arguments in (["-L", "external", "--peer", "9"], ["-C", "external", "--peer", "9"]):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (1, "") and "no such peer: 9" in done.stderr


@pytest.mark.parametrize("answer", [message(TEXT, "1234\n") + result(0), result(0, "1234")])
def test_count_prints_the_number_alone(command, daemon, answer):
    daemon(answer)
    done = command("-C", "internal")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1234\n", "")


def test_events_are_shown_with_their_kinds_and_losses_are_counted(command, daemon):
    daemon(message(EVENTS, event(NEW, 1) + event(UPDATE, 2, mark=7) + event(LOST, count=5)) + message(EVENTS, event(DESTROY, 1) + event(EMPTIED)) +
           message(EVENTS, event(LOST, count=2)) + result(0))
    done = command("-E", "external")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["    [NEW] " + tcp_line(1), " [UPDATE] " + tcp_line(2, mark=7), "[DESTROY] " + tcp_line(1)]
    assert "7 events were lost" in done.stderr and "the table for node 1 was emptied" in done.stderr


@pytest.mark.parametrize("broken", [event(9, 1), event(NEW, 1)[:-1], b"\1", event(NEW)])
def test_an_event_that_makes_no_sense_is_a_failure(command, daemon, broken):
    daemon(message(EVENTS, event(NEW, 1) + broken) + result(0))
    done = command("-E", "internal")
    assert done.returncode == 1 and done.stdout.count("\n") == 1 and "makes no sense" in done.stderr


def test_a_table_of_the_daemon_is_emptied_through_the_daemon(command, daemon):
    fake = daemon(message(TEXT, "the external tables are emptied") + result(0))
    done = command("-F", "external", "--peer", "2")
    assert (done.returncode, done.stdout) == (0, "") and "the external tables are emptied" in done.stderr
    assert fake.requests == [("flush", {"table": "external", "peer": "2"})]
    daemon(result(1, "flush is for root"))
    assert command("-F", "internal").returncode == 1


def test_a_file_cannot_name_a_table_of_the_daemon(command):
    for line in ("-F internal", "-F external", "-F expect", "-D internal"):
        done = command("-R", "-", input=line + "\n")
        assert done.returncode == 2 and "-:1" in done.stderr
