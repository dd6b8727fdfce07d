# SPDX-License-Identifier: GPL-2.0-or-later
"""The operations manual keeps up with the program: each log message, reason, problem and listener has its place in it."""
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
        for call in re.findall(r"\b(?:log_write|log_write_about|node_log)\(((?:[^;\"]|\"(?:[^\"\\]|\\.)*\")*)\);", text):
            for identifier in re.findall(r'"([a-z]+(?:-[a-z]+)*)"\s*,\s*(?:&subject,\s*)?"', call):
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


# Where status and health have their words from; of some files one function alone.
SPEAKERS = {
    "syncd/daemon/problems.c": None,
    "syncd/daemon/status_peer.c": None,
    "syncd/daemon/status.c": None,
    "syncd/daemon/health.c": None,
    "syncd/daemon/link.c": "link_problem_text",
    "syncd/cli/verdict.c": None,
    "syncd/cli/words.c": None,
    "proto/peer.c": None,
    "proto/view.c": None,
    "proto/receive.c": "receive_obstacle",
}
CONVERSION = r"%(?:%|[-0-9.*]*(?:ll|z)?[a-z]?)"
LITERAL = r'"(?:[^"\\\n]|\\.)*"'
NUMBER_MACRO = r"(?:PRI[a-z]\d+|JSON_INTEGER_FORMAT)"


def said():
    """Every string with words and a blank in it that the speakers hold: names of keys have none.  Conversions are as they are."""
    found = {}
    for name, function in SPEAKERS.items():
        text = re.sub(r"/\*.*?\*/|^#include.*?$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.S | re.M)
        if function:
            start = re.search(rf"^\S.*\b{function}\([^;]*?\)\n\{{", text, re.M).start()
            text = text[start:text.index("\n}\n", start)]
        for chain in re.findall(rf"{LITERAL}(?:\s+(?:{NUMBER_MACRO}\s+)?{LITERAL})*", text):
            whole = "".join(part[1:-1] for part in re.findall(LITERAL, chain))
            if " " in whole and re.search(r"[A-Za-z]{2,}", re.sub(CONVERSION, "", whole)):
                found[whole] = name
    return found


def pattern(words):
    """The literal parts in their order; quotes are Markdown's in the manual."""
    parts = [part.strip() for part in re.split(CONVERSION, re.sub("[`']", "", words))]
    return re.compile(".*?".join(re.escape(part) for part in parts if part))


def rows():
    section = MANUAL[MANUAL.index("## What status and health say"):MANUAL.index("## Failure by failure")]
    cells = re.findall(r"^\| (.*?) \|", section, re.M)
    return [re.sub("[`']", "", cell) for cell in cells if cell != "what it says"]


def test_every_reason_and_problem_has_a_row():
    found = said()
    assert len(found) > 90 and set(found.values()) >= {name for name in SPEAKERS if "view" in name or "problems" in name}
    assert {words: name for words, name in found.items() if not any(pattern(words).search(row) for row in rows())} == {}


def test_every_row_is_said_by_somebody():
    patterns = [pattern(words) for words in said()]
    assert [row for row in rows() if not any(one.search(row) for one in patterns)] == []
