# SPDX-License-Identifier: GPL-2.0-or-later
"""Every protocol with every attribute, and with every two together: from one kernel, through both daemons, into another.

Both kernels are dumped attribute by attribute, by a reader that knows none of them, and compared.  What the kernel
forces to differ stands in doc/operations.md, and nothing else may.
"""

import json
import os
import re

from flows import all_proven, internal_count, start_pair
from lab import RULESET, wait_for
from programs import ROOT, program, tool

# so that flows have room for labels, and helpers are there
RULES = RULESET.replace("\n\tchain forward {", """
	chain labels {
		type filter hook output priority filter; ip daddr 255.255.255.254 ct label set 100;
	}
	chain forward {""", 1)
# the attributes' numbers: include/uapi/linux/netfilter/nfnetlink_conntrack.h
STATUS, TIMEOUT, USE, ID, TCP_FLAGS = "3", "7", "11", "12", ("4.1.4", "4.1.5")
COUNTERS, TIMESTAMP, SECCTX, SECMARK = ("9.", "10."), "20.", "19.", "17"
IPS_SRC_NAT, IPS_DST_NAT, NAT_DONE = 1 << 4, 1 << 5, 1 << 7 | 1 << 8
LIBERAL, OF_A_MOMENT = 0x08, 0x70
# what a flow may have: each must be seen at least once, or the comparison is worth nothing
COVERED = {"1.1.1", "1.1.3", "1.2.1", "1.2.2", "1.2.4", "1.2.7", "2.1.2", "3", "4.1.1", "4.1.2", "4.1.3", "4.1.4", "4.3.1",
           "4.3.2", "4.3.3", "5.1", "8", "14.1.1", "14.2.1", "15.1", "15.2", "15.3", "16.1", "18", "22", "24.1", "24.2",
           "24.3", "1.3", "2.3"}


def number(flow, path):
    return int(flow.get(path, "0"), 16)


def drop(flow, *prefixes):
    for path in [path for path in flow if any(path == prefix or (prefix.endswith(".") and path.startswith(prefix))
                                              for prefix in prefixes)]:
        del flow[path]


# ---- what may differ; each named as in doc/operations.md ----

def timeout(flow):
    drop(flow, TIMEOUT)


def identity(flow):
    drop(flow, ID, USE)


def accounting(flow):
    drop(flow, *COUNTERS, TIMESTAMP)


def security_context(flow):
    drop(flow, SECCTX, SECMARK)


def liberal_window(flow):
    for path in TCP_FLAGS:
        if path in flow:
            flags = bytes.fromhex(flow[path])
            flow[path] = f"{flags[0] & ~LIBERAL:02x}{flags[1] & ~LIBERAL:02x}"


def flags_of_a_moment(flow):
    for path in TCP_FLAGS:
        if path in flow:
            flags = bytes.fromhex(flow[path])
            flow[path] = f"{flags[0] & ~OF_A_MOMENT:02x}{flags[1]:02x}"


def untranslated(flow):
    """The bits that say that translation was decided on, of a flow that is not translated."""
    status = number(flow, STATUS)
    if not status & (IPS_SRC_NAT | IPS_DST_NAT):
        flow[STATUS] = f"{status & ~NAT_DONE:08x}"


def synproxy_of_nothing(flow):
    """An extension that holds nothing but zeros."""
    if not any(number(flow, f"24.{i}") for i in (1, 2, 3)):
        drop(flow, "24.")


ALLOWED = [timeout, identity, accounting, security_context, liberal_window, flags_of_a_moment, untranslated,
           synproxy_of_nothing]


def documented():
    """The names in the first column of the table in doc/operations.md."""
    with open(os.path.join(ROOT, "doc", "operations.md"), encoding="utf-8") as file:
        text = file.read()
    section = text.split("## What a takeover cannot carry over", 1)[1].split("**TCP windows.**", 1)[0]
    return re.findall(r"^\| `([a-z-]+)` \|", section, re.M)


def test_the_documentation_names_what_may_differ_and_nothing_else():
    assert documented() == [allowed.__name__.replace("_", "-") for allowed in ALLOWED]


def dumped(lab, node):
    lines = lab.fw[node].run(program("tools/shapes"), "dump", timeout=60).stdout.splitlines()
    return [json.loads(line) for line in lines]


def own(flow):
    """Of the firewalls themselves: the sync link, and what the kernel says to its neighbours."""
    return any(flow.get(f"1.1.{i}", "").startswith(("0aff", "fe80", "00000000")) or flow.get(f"1.1.{i}") == "0" * 32
               for i in (1, 3)) or flow.get("1.1.2", "").startswith(("e0", "ef"))


def by_key(flows):
    keyed = {}
    for flow in flows:
        if own(flow):
            continue
        key = tuple(sorted((path, value) for path, value in flow.items()
                           if path.startswith("1.") or path in ("family", "18")))
        assert key not in keyed
        keyed[key] = flow
    return keyed


def unequal(here, there):
    """The paths whose values differ."""
    return {path: (here.get(path), there.get(path)) for path in here.keys() | there.keys()
            if here.get(path) != there.get(path)}


def plain_packets(lab):
    """Flows that packets make, through no translation: IPv6 within the firewall's own networks."""
    lab.fw[1].nft("flush chain inet lab postrouting")
    lab.server.ip("route add fd00:10::/64 via fd00:20::1")
    lab.client.run("ping", "-c", "1", "fd00:20::2")
    traffic = lab.traffic(5, address="fd00:20::2")
    return traffic


def test_every_flow_comes_through_as_it_was(make_lab):
    lab = make_lab(ruleset=RULES)
    lab.vip_to(1)
    for node in lab.nodes:
        lab.fw[node].sysctl(net__netfilter__nf_conntrack_timestamp=node % 2, net__netfilter__nf_conntrack_acct=node % 2,
                            net__netfilter__nf_conntrack_icmpv6_timeout=600)
    start_pair(lab, {"filter": {"ignore-local": "yes"}})
    plain_packets(lab)
    made = tool(lab.fw[1], "shapes", "create")
    assert not made["refused"], made["refused"][:10]
    wait_for(lambda: internal_count(lab, 1) >= made["created"] and all_proven(lab), 60, "all flows are at the peer")
    before = by_key(dumped(lab, 1))
    assert len(before) >= made["created"]
    seen = {path for flow in before.values() for path in flow}
    assert COVERED <= seen, f"not to be seen: {sorted(COVERED - seen)}"
    lab.power_cut(1)
    said = lab.daemon[2].twintrack("primary").stdout
    after = by_key(dumped(lab, 2))
    missing = before.keys() - after.keys()
    assert not missing, (said, len(missing), [before[key] for key in missing][:3])
    used, failures = set(), []
    for key, here in before.items():
        there = after[key]
        for allowed in ALLOWED:
            if not unequal(here, there):
                break
            left = len(unequal(here, there))
            allowed(here)
            allowed(there)
            if len(unequal(here, there)) < left:
                used.add(allowed.__name__)
        if unequal(here, there):
            failures.append((unequal(here, there), here))
    assert not failures, f"{len(failures)} of {len(before)}: {failures[:5]}"
    print(f"{len(before)} flows compared; what differed, and may: {sorted(used)}")
    never = {allowed.__name__ for allowed in ALLOWED} - used
    never -= {"security_context"}  # only a kernel with a security module shows one
    assert not never, f"allowed, and never needed: {never}"
