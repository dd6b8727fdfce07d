# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab of network namespaces: a client, a server, two or more firewalls with SNAT between them, and their sync links.

        client --- LAN bridge --- lan0 [fw1] wan0 --- WAN bridge --- server
                       |                                  |
                       +--------- lan0 [fw2] wan0 --------+          sync0 (sync1 ...) of all: a bridge each

The bridges live in a namespace of their own ("sw"): what happens to a cable (loss, a cut) is done there, so that
a firewall's own ruleset and links stay what an operator would have.  Node numbers start with 1.
"""

import itertools
import os
import shutil
import tempfile
import weakref

import announce
from programs import Daemon, Traffic, tool
from space import DIRECTORY, RUN_DIRECTORY, LabError, Namespace, at_exit, cancel_at_exit, kill_all, sweep, wait_for
import tables

__all__ = ["Lab", "LabError", "Traffic", "tool", "wait_for"]

LAN, WAN = "192.168.10", "198.51.100"
LAN6, WAN6 = "fd00:10::", "fd00:20::"
CLIENT, SERVER = f"{LAN}.2", f"{WAN}.2"
CLIENT6, SERVER6 = f"{LAN6}2", f"{WAN6}2"
LAN_VIP, WAN_VIP = f"{LAN}.1", f"{WAN}.1"
LAN_VIP6, WAN_VIP6 = f"{LAN6}1", f"{WAN6}1"
VIPS = (("lan0", LAN_VIP, 24), ("wan0", WAN_VIP, 24), ("lan0", LAN_VIP6, 64), ("wan0", WAN_VIP6, 64))

# Forward drops by default, and nothing guards the firewall's own addresses: the case in which a kernel that does not
# know a flow answers it with RST.
RULESET = f"""
table inet lab {{
	chain forward {{
		type filter hook forward priority filter; policy drop
		ct state established,related accept
		iifname "lan0" ct state new accept
		ct status dnat accept
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat
		oifname "wan0" ip saddr {LAN}.0/24 snat ip to {WAN_VIP}
		oifname "wan0" ip6 saddr {LAN6}/64 snat ip6 to {WAN_VIP6}
	}}
}}
"""

_serial = itertools.count(1)


class Lab:
    """The whole lab; a context manager.

    Attributes: client, server, switch (Namespaces), fw (node -> Namespace), daemon (node -> Daemon).
    """

    living = weakref.WeakSet()  # for the report of a failed test

    def __init__(self, nodes=2, sync_links=1, ruleset=RULESET, own_machines=False):
        """own_machines: each daemon has a wall clock and a disk under its state file of its own (Daemon.set_clock(),
        Daemon.fill_disk())."""
        sweep()
        self.prefix = f"tt-{os.getpid()}-{next(_serial)}"
        self.nodes = range(1, nodes + 1)
        self.sync_links = range(sync_links)
        self.ruleset = ruleset
        self.own_machines = own_machines
        self.directory = tempfile.mkdtemp(prefix=f"{DIRECTORY}-{os.getpid()}-", dir=RUN_DIRECTORY)
        self.key = os.path.join(self.directory, "key")
        self.fw, self.daemon, self._traffics, self._spaces = {}, {}, [], []
        self._ports = itertools.count(1)
        self._port_of = {}
        self._cleanup = at_exit(self.close)
        Lab.living.add(self)
        self._build()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # -- building it ---------------------------------------------------------------------------------------------

    def _space(self, role):
        space = Namespace(f"{self.prefix}-{role}")
        self._spaces.append(space)
        return space

    def _build(self):
        self.genkey(self.key)
        self.switch = self._space("sw")
        self.bridges = ["lan", "wan"] + [f"sync{k}" for k in self.sync_links]
        # snooping would hold multicast back until a querier shows up; filtering of bridged packets is not ours
        self.switch.ip(*[f"link add {bridge} type bridge mcast_snooping 0 forward_delay 0" for bridge in self.bridges],
                       *[f"link set {bridge} up" for bridge in self.bridges])
        self.switch.sysctl(**{f"net__bridge__bridge-nf-call-{kind}tables": 0 for kind in ("ip", "ip6", "arp")})
        self.client = self._host("client", "lan", CLIENT, CLIENT6)
        self.server = self._host("server", "wan", SERVER, SERVER6)
        self.client.ip(f"route add default via {LAN_VIP}", f"route add default via {LAN_VIP6}")
        for node in self.nodes:
            self._firewall(node)

    def _host(self, role, bridge, address, address6):
        space = self._space(role)
        self._no_autoconf(space)
        self._plug(space, "eth0", bridge)
        space.ip(f"addr add {address}/24 dev eth0", f"addr add {address6}/64 dev eth0 nodad")
        # thousands of connections at once must not meet a limit that is not the firewall's
        space.sysctl(net__ipv4__ip_local_port_range="10000 65000", net__core__somaxconn=8192,
                     net__ipv4__tcp_max_syn_backlog=8192, net__ipv4__tcp_syncookies=0)
        return space

    def _no_autoconf(self, space):
        space.sysctl(net__ipv6__conf__all__accept_dad=0, net__ipv6__conf__default__accept_dad=0,
                     net__ipv6__conf__all__accept_ra=0, net__ipv6__conf__default__accept_ra=0)

    def _plug(self, space, interface, bridge):
        """A cable from an interface of a namespace to a port of a bridge."""
        port = f"p{next(self._ports)}"
        self._port_of[space.name, interface] = port
        self.switch.ip(f"link add {port} type veth peer name {interface} netns {space.name}",
                       f"link set {port} master {bridge} up")
        space.ip(f"link set {interface} up")

    def _firewall(self, node):
        space = self.fw[node] = self._space(f"fw{node}")
        self._no_autoconf(space)
        # arp_ignore and arp_announce: an address answers on its own link only, as VRRP needs it
        space.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1, net__ipv4__conf__all__rp_filter=0,
                     net__ipv4__conf__default__rp_filter=0, net__ipv4__conf__all__arp_ignore=1,
                     net__ipv4__conf__all__arp_announce=2, net__ipv4__icmp_ratelimit=0)
        for bridge in self.bridges:
            self._plug(space, "sync" + bridge[4:] if bridge.startswith("sync") else bridge + "0", bridge)
        space.ip(f"addr add {LAN}.{10 + node}/24 dev lan0", f"addr add {LAN6}{10 + node}/64 dev lan0 nodad",
                 f"addr add {WAN}.{10 + node}/24 dev wan0", f"addr add {WAN6}{10 + node}/64 dev wan0 nodad",
                 *[f"addr add {self.sync_address(node, k)}/24 dev sync{k}" for k in self.sync_links],
                 *[f"addr add {self.sync_address6(node, k)}/64 dev sync{k} nodad" for k in self.sync_links])
        space.nft(self.ruleset)
        self.daemon[node] = Daemon(space, node, os.path.join(self.directory, f"node{node}"), self._defaults(node))
        if self.own_machines:
            self.daemon[node].own_clock()
            self.daemon[node].own_run_directory()

    @staticmethod
    def sync_address(node, link=0):
        """A node's IPv4 address on a sync link."""
        return f"10.255.{link}.{node}"

    @staticmethod
    def sync_address6(node, link=0):
        return f"fd00:255:{link}::{node}"

    def _defaults(self, node):
        sections = {"node": {"id": node}, "sync": {"key-file": self.key}}
        for k in self.sync_links:
            sections[f"link sync{k}"] = {"group": f"239.192.55.{k + 1}"}
        sections["control"] = {"socket": os.path.join(self.directory, f"node{node}", "control.sock")}
        return sections

    @staticmethod
    def genkey(path):
        """A key file as `twintrack genkey` makes it: 32 random bytes that only their owner reads."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(os.urandom(32))
        return path

    def close(self):
        """End everything and remove it; may be called twice."""
        for traffic in self._traffics:
            traffic.close()
        for daemon in self.daemon.values():
            daemon.close()
        for space in reversed(self._spaces):
            space.close()
        self._traffics, self._spaces, self.daemon = [], [], {}
        shutil.rmtree(self.directory, ignore_errors=True)
        Lab.living.discard(self)
        cancel_at_exit(self._cleanup)

    # -- addresses -----------------------------------------------------------------------------------------------

    def vip_to(self, node):
        """The virtual addresses arrive at a node, and the neighbours are told: what VRRP does."""
        self.fw[node].ip(*[f"addr replace {address}/{length} dev {interface}" + (" nodad" if ":" in address else "")
                           for interface, address, length in VIPS])
        self.vip_announce(node)

    def vip_announce(self, node):
        for interface, address, _ in VIPS:
            announce.announce(self.fw[node], address, interface)

    def vip_from(self, node):
        """The virtual addresses leave a node; no error where one is not there."""
        self.fw[node].ip(*[f"addr del {address}/{length} dev {interface}" for interface, address, length in VIPS],
                         force=True)

    # -- accidents -----------------------------------------------------------------------------------------------

    def interfaces(self, node):
        return ["lan0", "wan0"] + [f"sync{k}" for k in self.sync_links]

    def cables_out(self, node):
        """All cables of a firewall at once: nothing of it is heard any more."""
        self.switch.ip(*[f"link set {self._port_of[self.fw[node].name, interface]} down"
                         for interface in self.interfaces(node)])

    def power_cut(self, node):
        """All links at once, then everything that runs there: nothing of it is heard or sent any more."""
        self.cables_out(node)
        self.daemon[node].kill()
        kill_all(self.fw[node].name)

    def reboot(self, node):
        """After a power cut: the machine comes back with an empty kernel (another namespace), on the same cables."""
        old = self.fw[node]
        ports = [self._port_of.pop((old.name, interface)) for interface in self.interfaces(node)]
        self.switch.ip(*[f"link del {port}" for port in ports])
        self._spaces.remove(old)
        old.close()
        self.daemon[node].forget()
        self._firewall(node)

    def link_set(self, node, interface, state):
        """Pull ("down") or plug ("up") one cable of a firewall; it sees the carrier go and come."""
        self.switch.ip(f"link set {self._port_of[self.fw[node].name, interface]} {state}")

    def loss(self, percent, link=0):
        """Lose this share of all packets on a sync link, each way by itself; 100: the link is dark; 0: it is well."""
        ports = ", ".join(self._port_of[self.fw[node].name, f"sync{link}"] for node in self.nodes)
        share = f"numgen random mod 10000 < {round(percent * 100)}" if percent < 100 else ""
        script = f"table bridge loss{link}\ndelete table bridge loss{link}\n"
        if percent:
            script += (f"table bridge loss{link} {{\n\tchain cable {{\n\t\ttype filter hook forward priority 0\n"
                       f"\t\toifname {{ {ports} }} {share} counter drop\n\t}}\n}}\n")
        self.switch.nft(script)

    def slow(self, mbit_s, link=0):
        """A sync link carries only so much each way (None: as much as it can), with a queue that loses nothing."""
        shaping = f"tbf rate {mbit_s}mbit burst 20k limit 64m" if mbit_s else ""
        for node in self.nodes:
            port = self._port_of[self.fw[node].name, f"sync{link}"]
            self.switch.run("tc", "qdisc", "del", "dev", port, "root", check=False)
            if shaping:
                self.switch.run("tc", "qdisc", "add", "dev", port, "root", *shaping.split())

    def dark(self, link=0):
        """The sync link goes dark without anyone seeing a carrier go."""
        self.loss(100, link)

    def back(self, link=0):
        self.loss(0, link)

    # -- what runs in it -----------------------------------------------------------------------------------------

    def traffic(self, count, address=SERVER, **options):
        """Start TCP connections from the client to the server; ready when all of them stand."""
        traffic = Traffic(self.client, self.server, address, count, **options)
        self._traffics.append(traffic)
        traffic.wait_ready()
        return traffic

    def flowgen(self, node, *words, timeout=300):
        """Run flowgen in a firewall."""
        return tool(self.fw[node], "flowgen", *words, timeout=timeout)

    def flow_count(self, node):
        """The number of flows in a firewall's kernel."""
        return int(self.fw[node].sysctl_read("net.netfilter.nf_conntrack_count"))

    def kernel_flows(self, node, *options):
        """A firewall's kernel table as conntrack(8) shows it: a Counter of lines without age."""
        return tables.normalised(self.fw[node].run("conntrack", "-L", *options, timeout=600).stdout)

    def table_flows(self, node, table, *options):
        """The daemon's table (internal, external) through `twintrack -L`, in the same form."""
        return tables.normalised(self.daemon[node].twintrack("-L", table, *options, timeout=600).stdout)

    def start(self, overrides=None, **changes):
        """Start every node's daemon, each with the same changes; overrides may be a function of the node."""
        for node in self.nodes:
            self.daemon[node].start(overrides=overrides(node) if callable(overrides) else overrides, **changes)

    def logs(self):
        """All logs, for the report of a test that failed."""
        return "".join(f"--- node {node} ---\n{daemon.log()}" for node, daemon in self.daemon.items())
