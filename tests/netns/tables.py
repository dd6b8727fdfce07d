# SPDX-License-Identifier: GPL-2.0-or-later
"""Conntrack tables as values that can be compared, read from conntrack(8)'s default format.

The same reader serves the distribution's conntrack and `twintrack -L`, so that "equal" means equal field by field.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

PROTOCOLS_WITH_STATE = {"tcp", "sctp", "dccp"}
# what differs between two nodes that hold the same flow: its age, and how many hold a reference to it
TRANSIENT = re.compile(r"^(?:ipv[46] +\d+ +)?(\S+ +\d+) +\d+ |(?: use=\d+)|(?: id=\d+$)|(?: \[(?:OFFLOAD|HW_OFFLOAD)\])|"
                       r"(?: (?:packets|bytes|delta-time)=\d+)")


def _normalise_plain(line):
    """The same for the shape that nearly all lines have, three times as fast; None for any other shape."""
    head, _, rest = line.partition(" src=")
    rest, _, references = rest.rpartition(" use=")
    words = head.split(None, 3)
    if not references.isdigit() or not 3 <= len(words) <= 4 or not words[2].isdigit() or "packets=" in rest \
            or "OFFLOAD" in rest or "delta-time=" in rest:
        return None
    state = f" {words[3]}" if len(words) == 4 else ""
    return f"{words[0]:<8} {words[1]}{state} src={rest}"


def normalise(line):
    """A line without what may differ between equal flows (timeout, references, id, counters)."""
    return _normalise_plain(line) or TRANSIENT.sub(lambda match: f"{match.group(1)} " if match.group(1) else "",
                                                   line).strip()


def normalised(text):
    """All flows of a dump, as a Counter of normalised lines: compare two with ==, subtract for the difference."""
    return Counter(normalise(line) for line in text.splitlines() if "src=" in line)


@dataclass
class Flow:
    """One line of a dump, taken apart."""

    protocol: str
    number: int
    timeout: int = -1
    state: str = ""
    original: dict = field(default_factory=dict)
    reply: dict = field(default_factory=dict)
    flags: set = field(default_factory=set)
    others: dict = field(default_factory=dict)

    @property
    def key(self):
        """What identifies the flow: zone and original tuple."""
        return (self.others.get("zone", "0"), self.protocol, *sorted(self.original.items()))


TUPLE_KEYS = {"src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey"}


def parse(line):
    """A Flow from a line of conntrack(8)'s default or extended format."""
    words = line.split()
    if words[0] in ("ipv4", "ipv6"):
        words = words[2:]
    flow = Flow(words[0], int(words[1]))
    words = words[2:]
    if words and words[0].lstrip("-").isdigit():
        flow.timeout = int(words.pop(0))
    sources = 0
    for word in words:
        name, equals, value = word.partition("=")
        sources += name == "src"
        if word.startswith("["):
            flow.flags.add(word.strip("[]"))
        elif not equals:
            flow.state = word
        elif name in TUPLE_KEYS and name not in (flow.original if sources < 2 else flow.reply):
            (flow.original if sources < 2 else flow.reply)[name] = value
        else:
            flow.others[name] = value
    return flow


def parse_all(text):
    return [parse(line) for line in text.splitlines() if "src=" in line]


def difference(expected, found, most=5):
    """Words for an assertion: how two Counters of normalised lines differ, with a few examples."""
    missing, extra = expected - found, found - expected
    lines = [f"{sum(missing.values())} missing, {sum(extra.values())} too many"]
    lines += [f"  missing: {line}" for line in list(missing)[:most]]
    lines += [f"  too many: {line}" for line in list(extra)[:most]]
    return "\n".join(lines)
