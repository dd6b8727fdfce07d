# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of roles share: switching over, and the state that every sequence has to end in."""

from collections import Counter

from flows import assert_tables_equal, is_proven, kernel_flows_to_replicate
from lab import LAN_VIP, LAN_VIP6, WAN_VIP, WAN_VIP6
from space import LabError, wait_for

FENCE = {"fence": {"enable": "yes", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6], "max-wait": "5m"}}
PATIENCE_S = 30


def role_of(lab, node):
    return lab.daemon[node].status()["role"]


def others(lab, node):
    return [other for other in lab.nodes if other != node]


def move_addresses(lab, to):
    """What VRRP does: the old one gives them up, the new one takes them and tells the neighbours."""
    for node in others(lab, to):
        lab.vip_from(node)
    lab.vip_to(to)


def switch_over(lab, to, order=("backup", "move", "primary")):
    """A planned switch-over, step by step in this order."""
    steps = {
        "backup": lambda: [lab.daemon[node].twintrack("backup") for node in others(lab, to)],
        "primary": lambda: lab.daemon[to].twintrack("primary"),
        "move": lambda: move_addresses(lab, to),
    }
    for step in order:
        steps[step]()


def unsettled(lab, primary):
    """Why this is not the one primary, with backups that hold its flows and nothing else; "" when it is."""
    for node in lab.nodes:
        status = lab.daemon[node].status()
        wanted = "primary" if node == primary else "backup"
        if status["role"] != wanted:
            return f"node {node} is {status['role']}, not {wanted}"
        if status["split_brain"]:
            return f"node {node} sees a split brain"
        if status["handover"]["state"] != "none" or (node != primary and status["handover"]["leftovers"]):
            return f"node {node}: hand-over {status['handover']}"
        if node != primary and not is_proven(lab, primary, node):
            return f"the copy at node {node} is not proven"
    for node in others(lab, primary):
        left = kernel_flows_to_replicate(lab, node)
        if left:
            return f"{sum(left.values())} leftovers in the kernel of node {node}: {list(left)[:3]}"
    return ""


def wait_settled(lab, primary, timeout=PATIENCE_S):
    """Waits for that state, and compares all tables; returns the number of flows."""
    reason = ["never looked"]

    def settled():
        reason[0] = unsettled(lab, primary)
        return not reason[0]

    try:
        wait_for(settled, timeout, "settled", interval=0.1)
    except LabError as error:
        raise LabError(f"node {primary} as the one primary: {reason[0]}") from error
    return assert_tables_equal(lab, primary)


def external_counts(lab, node):
    """How many flows a node holds of whom, orphans included: {peer: flows}."""
    counts = Counter()
    for peer in lab.daemon[node].status()["peers"]:
        counts[peer["node"]] = peer.get("flows", 0) + sum(orphan["flows"] for orphan in peer["orphans"])
    return counts


def assert_all_live(verdict, count):
    assert verdict.before == count and verdict.alive == count, verdict
