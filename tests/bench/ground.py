# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured, on what: two namespaces with a cable between them, and on them nothing, Twintrack or conntrackd.

The three systems look alike to a figure: start(), flowgen(), wait_equal(), process(node), commit(), stop().  A cable
is a veth pair without a bridge, so that what a system pays for sending is the kernel's least.
"""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "netns"))

from lab import Lab  # noqa: E402
from programs import Daemon, JsonLines, program, tool  # noqa: E402
from space import DIRECTORY, RUN_DIRECTORY, LabError, Namespace, at_exit, cancel_at_exit, run, sweep, wait_for  # noqa: E402

ACTIVE, BACKUP = 1, 2
VIP = "198.51.100.1"
FLOW = ("--snat", VIP)  # every flow of the bench: IPv4 TCP, established, behind SNAT
BUFFER = 32 << 20
MAX_FLOWS = 6_000_000

# NAT, as on the firewalls that this is for: without a chain the kernel's NAT hooks are not even there.  What the
# systems say to each other is not tracked: each would count its own flows besides.
RULESET = f"""
table inet cable {{
	chain in {{
		type filter hook prerouting priority raw
		iifname "sync0" notrack
	}}
	chain out {{
		type filter hook output priority raw
		oifname "sync0" notrack
	}}
}}
table ip bench {{
	chain postrouting {{
		type nat hook postrouting priority srcnat
		oifname "wan0" snat to {VIP}
	}}
}}
"""

_serial = itertools.count(1)


def flush(space):
    """Empties a namespace's kernel table while the host's limits are still raised.

    A namespace that goes with its flows is emptied by a kernel thread, some time later; with the chains that a
    million flows make in few buckets that takes it minutes, and every namespace of the host waits for it.
    """
    space.run("conntrack", "-F", check=False, timeout=600)


class Ground:
    """Two namespaces and a cable (sync0); `systems` differ in what runs there.  A context manager."""

    name = "floor"

    def __init__(self):
        sweep()
        prefix = f"tt-{os.getpid()}-b{next(_serial)}"
        self.directory = tempfile.mkdtemp(prefix=f"{DIRECTORY}-{os.getpid()}-", dir=RUN_DIRECTORY)
        self._cleanup = at_exit(self.close)
        self.space = {node: Namespace(f"{prefix}-{node}") for node in (ACTIVE, BACKUP)}
        self.space[ACTIVE].ip(f"link add sync0 type veth peer name sync0 netns {self.space[BACKUP].name}")
        for node, space in self.space.items():
            space.ip(f"addr add 10.255.0.{node}/24 dev sync0", "link set sync0 up")
            # flows from before a listener would send no events: none of the three is to be better off
            space.sysctl(net__netfilter__nf_conntrack_events=1)
            space.nft(RULESET)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.stop()
        for space in self.space.values():
            flush(space)
            space.close()
        self.space = {}
        shutil.rmtree(self.directory, ignore_errors=True)
        cancel_at_exit(self._cleanup)

    def start(self):
        """Nothing runs on the floor."""

    def stop(self):
        """The opposite."""

    def flowgen(self, *words, node=ACTIVE, timeout=600):
        """Run flowgen to its end; all it asked for must have been done."""
        report = tool(self.space[node], "flowgen", *words, timeout=timeout)
        if report["errors"]:
            raise LabError(f"flowgen {' '.join(map(str, words))}: {report}")
        return report

    def flow_count(self, node):
        """How many flows the kernel of a node has."""
        return int(self.space[node].sysctl_read("net.netfilter.nf_conntrack_count"))

    def wire_bytes(self):
        """What went over the cable so far, both ways, with all headers down to Ethernet's."""
        link = json.loads(run(["ip", "-n", self.space[ACTIVE].name, "-s", "-j", "link", "show", "sync0"]).stdout)[0]
        return link["stats64"]["tx"]["bytes"] + link["stats64"]["rx"]["bytes"]


class Floor(Ground):
    """Nothing but the bare loops."""

    def receiver(self, mask="new,update,destroy"):
        """A bare event receiver, subscribed; end it with receiver_report()."""
        lines = JsonLines(self.space[ACTIVE], program("tools/bare"), "receive", "--buffer", BUFFER, "--mask", mask)
        wait_for(lambda: any("ready" in event for event in lines.events()), what="the bare receiver is subscribed")
        return lines

    @staticmethod
    def receiver_report(lines):
        lines.signal(signal.SIGTERM)
        return lines.finish()

    def heartbeats(self, seconds):
        """Heartbeats of the daemons' size and rate between the nodes, nothing besides: the CPU share of each."""
        lines = [JsonLines(space, program("tools/heartbeat"), "--interface", "sync0", "--seconds", seconds)
                 for space in self.space.values()]
        reports = [each.finish(seconds + 60) for each in lines]
        if min(report["received"] for report in reports) < 4 * seconds:
            raise LabError(f"the bare heartbeats did not arrive: {reports}")
        return [report["cpu_ns"] / 1e9 / report["seconds"] for report in reports]

    def dump(self, node=ACTIVE):
        return tool(self.space[node], "bare", "dump")


class Twintrack(Ground):
    """Two daemons with the defaults, but for a table that takes what the bench gives."""

    name = "twintrack"
    audit_interval = "3600s"
    changes = {}

    def __init__(self):
        super().__init__()
        key = self.key = Lab.genkey(os.path.join(self.directory, "key"))
        self.daemon = {}
        for node, space in self.space.items():
            directory = os.path.join(self.directory, f"node{node}")
            self.daemon[node] = Daemon(space, node, directory, {
                "node": {"id": node},
                "sync": {"key-file": key},
                "link sync0": {"group": "239.192.55.1"},
                "kernel": {"event-buffer": "32M", "event-buffer-max": "128M", "audit-interval": self.audit_interval},
                "table": {"max-flows": MAX_FLOWS},
                "commit": {"mode": "on-failover"},
                "control": {"socket": os.path.join(directory, "control.sock")},
            })

    def start(self):
        for daemon in self.daemon.values():
            daemon.start(overrides=self.changes)
        self.daemon[ACTIVE].twintrack("primary")
        self.daemon[BACKUP].twintrack("backup")
        self.daemon[ACTIVE].wait_synced()

    def stop(self):
        for daemon in getattr(self, "daemon", {}).values():
            daemon.close()

    def process(self, node):
        return self.daemon[node].process.pid

    def is_equal(self, flows):
        """Both tables have that many, and the copy is proven; asked of the holder first, who may be new."""
        peer = next((peer for peer in self.daemon[BACKUP].status()["peers"] if peer["node"] == ACTIVE), {})
        if peer.get("flows") != flows or not peer["holds"]["in_sync"]:
            return False
        ours = self.daemon[ACTIVE].status()["internal"]
        return ours["flows"] == flows and ours["version"] == peer["holds"]["version"]

    def wait_equal(self, flows, timeout=60):
        wait_for(lambda: self.is_equal(flows), timeout, f"{flows} flows at both nodes", interval=0.01)

    def end(self, node):
        """Its process is told to end, as a service manager does it."""
        self.daemon[node].stop()

    def begin_anew(self, node):
        """A new process, with empty tables."""
        self.daemon[node].start()

    def kill(self, node):
        """The node dies; its kernel's table stays."""
        self.daemon[node].kill()

    @staticmethod
    def children_cpu_ns(_node):
        """It never forks."""
        return 0

    def set_audit_interval(self, interval):
        """Reload the active daemon with another interval."""
        daemon = self.daemon[ACTIVE]
        daemon.write_config({"kernel": {"audit-interval": interval}}, **self.changes)
        daemon.twintrack("reload")

    def commit(self):
        """The backup takes over; what the command reports."""
        return json.loads(self.daemon[BACKUP].twintrack("primary", "--json", timeout=600).stdout.splitlines()[-1])


CONNTRACKD = """
Sync {{
	Mode FTFW {{
		ResendQueueSize 131072
		PurgeTimeout 3600
		ACKWindowSize 300
		DisableExternalCache off
	}}
	Multicast {{
		IPv4_address 225.0.0.50
		Group 3780
		IPv4_interface 10.255.0.{node}
		Interface sync0
		SndSocketBuffer {buffer}
		RcvSocketBuffer {buffer}
		Checksum on
	}}
}}
General {{
	HashSize 1048576
	HashLimit {flows}
	LogFile {directory}/log
	Syslog off
	LockFile {directory}/lock
	UNIX {{
		Path {directory}/ctl
	}}
	NetlinkBufferSize {buffer}
	NetlinkBufferSizeMaxGrowth {buffer}
	NetlinkOverrunResync On
}}
"""


class Conntrackd(Ground):
    """Two of Debian's conntrackd, configured generously: 32 MB buffers, a large hash, a long resend queue."""

    name = "conntrackd"

    def __init__(self):
        super().__init__()
        self._process = {}

    @staticmethod
    def is_installed():
        return shutil.which("conntrackd") is not None

    def _config(self, node):
        return os.path.join(self.directory, f"conntrackd{node}.conf")

    def start(self):
        for node in self.space:
            directory = os.path.join(self.directory, f"conntrackd{node}")
            os.makedirs(directory, exist_ok=True)
            with open(self._config(node), "w", encoding="ascii") as file:
                file.write(CONNTRACKD.format(node=node, directory=directory, buffer=BUFFER, flows=MAX_FLOWS))
            self.start_node(node)

    def start_node(self, node):
        with open(os.path.join(self.directory, f"conntrackd{node}", "out"), "ab") as out:
            self._process[node] = self.space[node].popen("conntrackd", "-C", self._config(node), stdout=out,
                                                         stderr=out)
        wait_for(lambda: self._ask(node, "-s", check=False).returncode == 0, what=f"conntrackd of node {node} answers")

    def _ask(self, node, *words, check=True, timeout=600):
        return self.space[node].run("conntrackd", "-C", self._config(node), *words, check=check, timeout=timeout)

    def stop(self):
        for process in getattr(self, "_process", {}).values():
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    def process(self, node):
        return self._process[node].pid

    def _flows(self, node, cache):
        text = self._ask(node, "-s").stdout
        found = re.search(rf"cache {cache}:.*?current active connections:\s*(\d+)", text, re.S)
        return int(found.group(1)) if found else -1

    def counts(self):
        """Flows in the active's internal cache, and in the backup's external one."""
        return self._flows(ACTIVE, "internal"), self._flows(BACKUP, "external")

    def wait_equal(self, flows, timeout=60):
        """Both caches have that many: it offers no better proof."""
        wait_for(lambda: self.counts() == (flows, flows), timeout, f"{flows} flows in both caches", interval=0.02)

    def kill(self, node):
        self._process[node].send_signal(signal.SIGKILL)
        self._process[node].wait()

    def children_cpu_ns(self, node):
        """Of the children that it has waited for: it forks to commit."""
        with open(f"/proc/{self.process(node)}/stat", encoding="ascii") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return (int(words[13]) + int(words[14])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def end(self, node):
        self._process[node].send_signal(signal.SIGTERM)
        self._process[node].wait(60)

    def begin_anew(self, node):
        for name in ("lock", "ctl"):
            path = os.path.join(self.directory, f"conntrackd{node}", name)
            if os.path.exists(path):
                os.remove(path)
        self.start_node(node)
        self._ask(node, "-n")  # asks the other node for all it has

    def commit(self):
        """The backup commits its external cache; the command waits for it."""
        return self._ask(BACKUP, "-c")


def installed_systems():
    """The systems that are compared with the floor, in the order in which they take turns."""
    return [Twintrack] + ([Conntrackd] if Conntrackd.is_installed() else [])


__all__ = ["ACTIVE", "BACKUP", "FLOW", "VIP", "Conntrackd", "Floor", "Ground", "LabError", "Twintrack", "flush",
           "installed_systems", "program", "run", "subprocess", "tool", "wait_for"]
