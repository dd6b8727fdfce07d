# SPDX-License-Identifier: GPL-2.0-or-later
"""The operations manual keeps up with the program: each log message, each drop and each listener has its place in it."""
import pathlib
import re

from twintrack_command import ROOT

MANUAL = (ROOT / "doc/operations.md").read_text(encoding="utf-8")


def sources():
    for folder in ("proto", "syncd/daemon"):
        for path in sorted((ROOT / folder).glob("*.c")):
            yield path.name, path.read_text(encoding="utf-8")


def identifiers():
    """Of every message: the string before its format, or one of two of them."""
    found = {}
    for name, text in sources():
        for call in re.findall(r"\b(?:log_write|node_log)\(((?:[^;\"]|\"(?:[^\"\\]|\\.)*\")*)\);", text):
            for identifier in re.findall(r'"([a-z]+(?:-[a-z]+)*)"\s*,\s*"', call):
                found.setdefault(identifier, name)
            for pair in re.findall(r'\? "([a-z-]+)"\s*: "([a-z-]+)",\s*"', call):
                for identifier in pair:
                    found.setdefault(identifier, name)
    return found


def test_every_log_message_is_explained():
    found = identifiers()
    assert len(found) > 60
    assert {name: source for name, source in found.items() if f"`{name}`" not in MANUAL} == {}


def test_nothing_that_is_explained_is_gone():
    table = MANUAL[MANUAL.index("## What the log says"):]
    explained = {name for row in re.findall(r"^\| (`[^|]+) \|", table, re.M) for name in re.findall(r"`([a-z-]+)`", row)}
    assert len(explained) > 60
    assert explained - set(identifiers()) == set()


def test_messages_bear_their_identifier_at_most_forty_characters():
    assert all(len(name) < 40 for name in identifiers())


def test_what_listens_is_in_the_table():
    table = MANUAL[MANUAL.index("## Who listens"):MANUAL.index("## Sizing")]
    listening = {name for name, text in sources() if re.search(r"\blisten\(", text)}
    assert listening == {"control.c"} and "control socket" in table
    assert re.search(r"\bMHD_start_daemon\(", pathlib.Path(ROOT / "syncd/cli/exporter.c").read_text(encoding="utf-8"))
    assert "`twintrack exporter`" in table and "UDP" in table and "netlink" in table
