# SPDX-License-Identifier: GPL-2.0-or-later
"""What an event costs: CPU at the sender and at the receiver, and bytes on the wire."""

from ground import ACTIVE, BACKUP, FLOW, Floor, installed_systems
from measure import FLOOR, THEIRS, Figure, Spent, Target

RATE, COUNT = 100_000, 200_000
WIRE_RATE, WIRE_COUNT = 50_000, 100_000


def _floor_cpu():
    """ns an event of the bare receive loop."""
    with Floor() as ground:
        receiver = ground.receiver()
        _load(ground, RATE, COUNT)
        report = ground.receiver_report(receiver)
        return report["cpu_ns"] / report["events"]


def _load(ground, rate, count):
    for action in ("create", "destroy"):
        ground.flowgen(action, "--count", count, "--rate", rate, *(FLOW if action == "create" else ()))


def _system_cpu(system):
    """(sender, receiver) ns an event."""
    with system() as ground:
        with Spent(ground.process(ACTIVE), ground.process(BACKUP)) as spent:
            _load(ground, RATE, COUNT)
            ground.wait_equal(0)
        return [ns / (2 * COUNT) for ns in spent.each_ns]


def events(runs, _names):
    """sender and receiver CPU an event at 100,000 creates, then destroys, a second"""
    sender = Figure("sender", "sender CPU an event", "ns", [Target(1.35, FLOOR), Target(0.6, THEIRS)])
    receiver = Figure("receiver", "receiver CPU an event", "ns", [Target(0.6, THEIRS)])
    for _ in range(runs):
        sender.add(FLOOR, _floor_cpu())
        for system in installed_systems():
            at_sender, at_receiver = _system_cpu(system)
            sender.add(system.name, at_sender)
            receiver.add(system.name, at_receiver)
    return [sender, receiver]


def wire(runs, _names):
    """bytes on the wire an event, both ways, with all headers, at 50,000 events a second"""
    creates = Figure("wire", "bytes on the wire a create", "bytes", [Target(45)],
                     notes=["IPv4 TCP with SNAT; conntrackd sends in clear, Twintrack seals"])
    destroys = Figure("wire-destroy", "bytes on the wire a destroy", "bytes")
    for _ in range(runs):
        for system in installed_systems():
            with system() as ground:
                marks = [ground.wire_bytes()]
                for action, left in ("create", WIRE_COUNT), ("destroy", 0):
                    ground.flowgen(action, "--count", WIRE_COUNT, "--rate", WIRE_RATE,
                                   *(FLOW if action == "create" else ()))
                    ground.wait_equal(left)
                    marks.append(ground.wire_bytes())
                creates.add(system.name, (marks[1] - marks[0]) / WIRE_COUNT)
                destroys.add(system.name, (marks[2] - marks[1]) / WIRE_COUNT)
    return [creates, destroys]


BENCHES = {"events": events, "wire": wire}
