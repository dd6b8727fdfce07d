# SPDX-License-Identifier: GPL-2.0-or-later
"""The event tax: what a listener costs whoever makes the flows, and which event masks (nftables' `ct event set`) cut it.

The flows are made by real packets (UDP through the loopback interface), because masks are set by rules.
"""

from ground import ACTIVE, Floor, tool
from measure import OURS, Figure

PACKETS = 100_000
MASKS = {
    "no listener": None,
    "all events": "",
    # nft(8) 1.0.6 takes the names that are words of its language only in quotation marks
    "all but reply": 'new,related,destroy,assured,protoinfo,"helper","mark",seqadj,label',
    "new, destroy, assured, protoinfo": "new,related,destroy,assured,protoinfo",
    "new, destroy": "new,related,destroy",
}


def _ruleset(mask):
    rule = f"ct state new ct event set {mask}" if mask else ""
    return f"table inet tax {{\n\tchain out {{\n\t\ttype filter hook output priority 0\n\t\t{rule}\n\t}}\n}}\n"


def _packet_ns(mask):
    """(CPU ns of the sending process for a new flow and its answer, events a flow)"""
    with Floor() as ground:
        space = ground.space[ACTIVE]
        space.nft(_ruleset(mask))
        receiver = ground.receiver() if mask is not None else None
        report = tool(space, "newflows", "--count", PACKETS)
        events = ground.receiver_report(receiver)["events"] if receiver else 0
        return report["cpu_ns"] / PACKETS, events / PACKETS


def tax(runs, _names):
    """what events cost the packet path, for a new UDP flow with one answer, by event mask"""
    figures = []
    for name in MASKS:
        figures.append(Figure(f"tax-{len(figures)}", f"packet path, a new flow: {name}", "ns"))
    for _ in range(max(1, runs // 2)):
        for figure, mask in zip(figures, MASKS.values()):
            cpu_ns, events = _packet_ns(mask)
            figure.add(OURS, cpu_ns)
            figure.notes = [f"{events:.2f} events a flow"]
    return figures


BENCHES = {"tax": tax}
