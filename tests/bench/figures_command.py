# SPDX-License-Identifier: GPL-2.0-or-later
"""The command beside conntrack(8) and a bare dump: listing, changing, loading and listening."""

import os
import re
import shutil
import signal
import subprocess
import time

from ground import ACTIVE, FLOW, Floor, flush, program, wait_for
from measure import FLOOR, OURS, THEIRS, Figure, Target

FLOWS = int(os.environ.get("FLOWS", 1_000_000))
BURST = int(os.environ.get("BURST", 400_000))
BUFFER = 32 << 20
LISTS = {  # name -> arguments, the target by a bare dump; conntrack(8) 1.4.7 has no json
    "list": (("-L",), 1.4, True),
    "list-extended": (("-L", "-o", "extended"), 1.4, True),
    "list-xml": (("-L", "-o", "xml"), 2, True),
    "list-json": (("-L", "-o", "json"), 2, False),
}
NOTE = "CPU of the whole command, its share of the kernel's dump included"


def _commands():
    """System name -> the command that is called as conntrack(8)."""
    commands = {OURS: program("twintrack")}
    if shutil.which("conntrack"):
        commands[THEIRS] = shutil.which("conntrack")
    return commands


def _run(ground, command, words, out):
    """CPU ns and seconds of a command that runs to its end; None if it failed."""
    start = time.monotonic()
    with open(out, "wb") as file:
        process = ground.space[ACTIVE].popen(command, *words, stdout=file, stderr=subprocess.PIPE)
        errors = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        print(f"{command} {' '.join(words)}: exit {process.returncode} {errors.strip()[-120:]}")
        return None, None
    return (usage.ru_utime + usage.ru_stime) * 1e9, time.monotonic() - start


def _list(ground, figures, commands, out):
    dump = ground.dump()
    for name, (words, _, has_theirs) in LISTS.items():
        figures[name].add(FLOOR, dump["cpu_ns"] / FLOWS)
        for system, command in commands.items():
            if system == OURS or has_theirs:
                figures[name].add(system, _run(ground, command, words, out)[0] / FLOWS)


def _change(ground, figures, commands, out):
    """-U of all, -D of all; the floor is a dump and the same changes, batched."""
    dump = ground.dump()["cpu_ns"]
    marked = ground.flowgen("update", "--count", FLOWS, "--mark", 1)["kernel_cpu_ns"]
    removed = ground.flowgen("destroy", "--count", FLOWS)["kernel_cpu_ns"]
    ground.flowgen("create", "--count", FLOWS, *FLOW)
    figures["update"].add(FLOOR, (dump + marked) / FLOWS)
    figures["delete"].add(FLOOR, (dump + removed) / FLOWS)
    for number, (system, command) in enumerate(commands.items(), 2):
        for name, words in ("update", ("-U", "-p", "tcp", "--mark", str(number))), ("delete", ("-D", "-p", "tcp")):
            cpu_ns, _ = _run(ground, command, words, out)
            if cpu_ns is None:
                figures[name].notes = [f"{system} fails: conntrack(8) 1.4.7 sends NAT back, which no update may carry"]
            else:
                figures[name].add(system, cpu_ns / FLOWS)
        ground.flowgen("create", "--count", FLOWS, *FLOW)


def _load(ground, figures, commands, out, name="load", kind=()):
    """-R of all; the floor is the same creations, batched by a loop that reads nothing."""
    saved = out + ".save"
    flush(ground.space[ACTIVE])
    made = ground.flowgen("create", "--count", FLOWS, *kind)
    figures[name].add(FLOOR, FLOWS / made["kernel_seconds"])
    figures[f"{name}-cpu"].add(FLOOR, made["kernel_cpu_ns"] / FLOWS)
    _run(ground, commands[OURS], ("-L", "-o", "save"), saved)
    for system, command in commands.items():
        ground.flowgen("destroy", "--count", FLOWS)
        cpu_ns, seconds = _run(ground, command, ("-R", saved), out)
        if cpu_ns is None:
            continue
        figures[name].add(system, FLOWS / seconds)
        figures[f"{name}-cpu"].add(system, cpu_ns / FLOWS)
        if ground.flow_count(ACTIVE) < FLOWS:
            figures[name].notes.append(f"{system} loaded {ground.flow_count(ACTIVE):,} of {FLOWS:,}")
    os.remove(saved)


def _listen(ground, figures, commands, out):
    """Events that -E prints of a burst of creates and destroys at full speed; what is missing is lost."""
    for system, command in commands.items():
        with open(out, "wb") as file:
            listener = ground.space[ACTIVE].popen(command, "-E", "-b", str(BUFFER), stdout=file,
                                                  stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            for action in ("create", "destroy"):
                ground.flowgen(action, "--first", FLOWS, "--count", BURST, *(FLOW if action == "create" else ()))
            _wait_still(out)
            listener.send_signal(signal.SIGINT)
            listener.wait(60)
        with open(out, "rb") as file:
            printed = sum(1 for line in file if re.search(rb"\[(?:NEW|DESTROY)\]", line))
        figures["listen"].add(system, 2 * BURST - printed)


def _wait_still(path):
    """Until the file grows no more."""
    sizes = [-1]

    def is_still():
        sizes.append(os.path.getsize(path))
        return sizes[-1] == sizes[-2]

    wait_for(is_still, 120, "the listener has printed all", interval=0.5)


def command(runs, _names):
    """-L, -o extended, xml, json, -U, -D, -R and -E beside conntrack(8) and a bare dump"""
    figures = {name: Figure(name, f"command: {' '.join(words)}, CPU a flow", "ns", [Target(limit, FLOOR)],
                            notes=[NOTE] if name == "list" else [])
               for name, (words, limit, _) in LISTS.items()}
    figures["update"] = Figure("update", "command: -U of all, CPU a flow", "ns", [Target(1.5, FLOOR)])
    figures["delete"] = Figure("delete", "command: -D of all, CPU a flow", "ns", [Target(1.5, FLOOR)])
    figures["load"] = Figure("load", "command: -R, lines a second", "1/s", [Target(600_000, least=True)])
    figures["load-cpu"] = Figure("load-cpu", "command: -R, CPU a line", "ns")
    figures["load-nat"] = Figure("load-nat", "command: -R of flows behind SNAT, lines a second", "1/s")
    figures["load-nat-cpu"] = Figure("load-nat-cpu", "command: -R of flows behind SNAT, CPU a line", "ns")
    figures["listen"] = Figure("listen", "command: -E, events lost of a burst", f"of {2 * BURST:,}", [Target(0)])
    commands = _commands()
    for _ in range(max(1, runs // 2)):
        with Floor() as ground:
            out = os.path.join(ground.directory, "out")
            ground.flowgen("create", "--count", FLOWS, *FLOW)
            _list(ground, figures, commands, out)
            _change(ground, figures, commands, out)
            _load(ground, figures, commands, out)
            _load(ground, figures, commands, out, "load-nat", FLOW)
            _listen(ground, figures, commands, out)
    return list(figures.values())


BENCHES = {"command": command}
