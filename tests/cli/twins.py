# SPDX-License-Identifier: GPL-2.0-or-later
"""Two equal namespaces, one for the distribution's conntrack(8) and one for ours, and what is compared of a command line's outcome."""
import contextlib
import os
import re
import subprocess

from twintrack_command import PROGRAM


class Twin:
    """A namespace, and the program that works in it."""

    def __init__(self, name, program):
        self.name, self.program, self.is_set_up = name, str(program), False
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.run("sysctl", "-qw", "net.netfilter.nf_conntrack_timestamp=0")
        self.run("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c ct label 1 counter")

    def run(self, *arguments, stdin=None, timeout=60):
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.name}", *map(str, arguments)], text=True, capture_output=True, timeout=timeout,
                              input=stdin, env=dict(os.environ, TZ="UTC", LC_ALL="C"))

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=True)


@contextlib.contextmanager
def twins_of(name, directory, kind=Twin):
    """The distribution's and ours, which is called by the same name through a link in `directory`."""
    link = directory / "conntrack"
    link.symlink_to(PROGRAM)
    with contextlib.ExitStack() as stack:
        both = []
        for number, program in enumerate(("conntrack", link)):
            both.append(kind(f"{name}{os.getpid()}{number}", program))
            stack.callback(both[-1].close)
        yield both


def normal(text):
    """The kernel's ids, and the tick of a second between the two programs."""
    text = re.sub(r"\bid=\d{6,}|<id>\d+</id>", "ID", text)
    return re.sub(r"(?m)^((?:ipv[46] +\d+ )?\S+ +\d+ )(\d{4,})|(-t )(\d{4,})|(<timeout>)(\d{4,})",
                  lambda m: (m[1] or m[3] or m[5]) + str(-(-int(m[2] or m[4] or m[6]) // 1000)), text)


def rows(text):
    """The order of a dump follows from the kernel's hash."""
    return sorted(normal(text).splitlines())


def substance(text):
    text = re.sub(r"^\S+ v\S+ \([a-z-]+\): ", "", text, flags=re.M)
    text = text.replace("Invalid argument", "invalid parameters")
    return [line for line in text.splitlines() if not line.startswith(("Try `", "NOTICE", "nfct_labelmap_new"))]


def compare(line, theirs, ours):
    """What differs between two outcomes: (completed process, the table afterwards)."""
    (their, their_table), (our, our_table) = theirs, ours
    found = []
    if their.returncode != our.returncode:
        found.append(f"exit {their.returncode} / {our.returncode}")
    if rows(their.stdout) != rows(our.stdout):
        found.append(f"stdout {rows(their.stdout)} / {rows(our.stdout)}")
    if bool(substance(their.stderr)) != bool(substance(our.stderr)) or (
            their.returncode != 2 and our.returncode != 2 and substance(their.stderr) != substance(our.stderr)):
        found.append(f"stderr {substance(their.stderr)} / {substance(our.stderr)}")
    if rows(their_table) != rows(our_table):
        found.append(f"table {rows(their_table)} / {rows(our_table)}")
    return found


def lasting(twins, look):
    """What `look` finds three times running, each time from the start: another test on this host may change the size of the kernel's table,
    or how many flows it takes, which hold for all namespaces."""
    for _ in range(3):
        found = look()
        if not found:
            break
        for twin in twins:
            twin.is_set_up = False
    return found
