# SPDX-License-Identifier: GPL-2.0-or-later
"""A firewall of the lab that is a machine of its own for a cluster stack: its processes, its host name, its /run,
/dev/shm and state directories are private, the agent is installed in its /usr/lib/ocf, and corosync and pacemaker are
started by hand, without a service manager.
"""

import os
import re
import shutil
import subprocess

from programs import ROOT, program
from space import at_exit, cancel_at_exit, wait_for

PRIVATE = "/mnt"  # in the machine: the daemon's directory of the lab
AGENT = "/usr/lib/ocf/resource.d/twintrack/twintrack"
SAMPLE = os.path.join(ROOT, "conf", "pacemaker", "cluster.xml")

COROSYNC = """
totem {{
    version: 2
    cluster_name: twintrack
    transport: knet
    crypto_cipher: none
    crypto_hash: none
}}
logging {{
    to_logfile: yes
    logfile: {private}/corosync.log
    to_syslog: no
}}
quorum {{
    provider: corosync_votequorum
    two_node: 1
    wait_for_all: 0
}}
nodelist {{
{nodes}
}}
"""

# {private} is the daemon's directory; all else of the host is seen as it is
BOOT = """
set -e
mount --make-rprivate /
mount --bind "{directory}" {private}
for place in /run /dev/shm /var/lib/corosync /var/lib/pacemaker /var/log/corosync /var/log/pacemaker; do
    mount -t tmpfs tmpfs $place
done
mkdir -p /run/crm /var/lib/pacemaker/cib /var/lib/pacemaker/pengine /var/lib/pacemaker/cores /var/lib/pacemaker/blackbox
chown -R hacluster:haclient /run/crm /var/lib/pacemaker /var/log/pacemaker
mount --bind {private}/ocf /usr/lib/ocf
mount --bind {private}/corosync /etc/corosync
hostname fw{node}
echo ready
exec sleep infinity
"""


PROGRAMS = ("corosync", "corosync-cfgtool", "pacemakerd", "cibadmin", "crm_attribute", "ocf-tester", "xmllint")


def why_not():
    """Why no such machine can be here, in words; "" when it can."""
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    if lacking:
        return f"not installed: {' '.join(lacking)} (scripts/install-deps --pacemaker)"
    tried = subprocess.run(["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "mount", "-t",
                            "tmpfs", "tmpfs", PRIVATE], capture_output=True, text=True, check=False)
    return f"no namespaces of mounts and processes here: {tried.stderr.strip()}" if tried.returncode else ""


class Machine:
    """Attributes: daemon (the lab's, whose socket and log are the machine's), parameters (of the agent)."""

    def __init__(self, lab, node, **changes):
        self.lab, self.node = lab, node
        self.space, self.daemon = lab.fw[node], lab.daemon[node]
        self.changes = changes
        self._prepare()
        self.parameters = {"daemon": program("twintrackd"), "command": program("twintrack"),
                           "config": f"{PRIVATE}/twintrackd.conf", "socket": f"{PRIVATE}/control.sock",
                           "logfile": f"{PRIVATE}/log"}
        boot = BOOT.format(directory=self.daemon.directory, private=PRIVATE, node=node)
        self.process = self.space.popen("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
                                        "--mount-proc", "sh", "-c", boot, stdout=subprocess.PIPE, text=True)
        self._cleanup = at_exit(self.close)
        assert self.process.stdout.readline() == "ready\n", "the machine boots"
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as children:
            self.init = int(children.read().split()[0])

    def write_config(self, **sync):
        """The daemon's configuration, with these keys of [sync]."""
        self.daemon.write_config(self.changes, sync={"key-file": f"{PRIVATE}/key", **sync},
                                 control={"socket": f"{PRIVATE}/control.sock"})

    def _prepare(self):
        place = self.daemon.directory
        shutil.copy(self.lab.key, os.path.join(place, "key"))
        self.write_config()
        shutil.copytree("/usr/lib/ocf", os.path.join(place, "ocf"), symlinks=True)
        provider = os.path.join(place, "ocf", "resource.d", "twintrack")
        os.makedirs(provider, exist_ok=True)
        shutil.copy(os.path.join(ROOT, "conf", "pacemaker", "twintrack"), provider)
        os.chmod(place, 0o755)  # ocf-tester looks at the agent as nobody
        nodes = "\n".join(f"    node {{\n        name: fw{node}\n        nodeid: {node}\n"
                          f"        ring0_addr: {self.lab.sync_address(node)}\n    }}" for node in self.lab.nodes)
        os.makedirs(os.path.join(place, "corosync"))
        with open(os.path.join(place, "corosync", "corosync.conf"), "w", encoding="ascii") as file:
            file.write(COROSYNC.format(private=PRIVATE, nodes=nodes))

    def command(self, *words):
        return ["nsenter", "-t", self.init, "-m", "-u", "-i", "-p", "-n", "--", *words]

    def run(self, *words, check=True, timeout=120):
        done = subprocess.run([str(word) for word in self.command(*words)], capture_output=True, text=True,
                              timeout=timeout, check=False, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start_cluster(self):
        """corosync, then pacemaker; returns when pacemaker has found its node."""
        self._spawn("corosync", "-f")
        wait_for(lambda: self.run("corosync-cfgtool", "-s", check=False).returncode == 0, 60, "corosync answers")
        self._spawn("pacemakerd")
        wait_for(lambda: f"fw{self.node}" in self.run("crm_node", "-l", check=False).stdout, 120, "pacemaker answers")

    def _spawn(self, name, *options):
        with open(os.path.join(self.daemon.directory, f"{name}.out"), "a", encoding="utf-8") as out:
            subprocess.Popen([str(word) for word in self.command("setsid", "--fork", name, *options)],
                             stdin=subprocess.DEVNULL, stdout=out, stderr=out).wait(60)

    def holds_addresses(self):
        shown = self.space.run("ip", "-o", "addr", "show").stdout
        return " 192.168.10.1/" in shown and " 198.51.100.1/" in shown

    def is_primary(self):
        """The daemon is primary, and the cluster has put the addresses there."""
        done = self.daemon.twintrack("status", "--json", check=False)
        return done.returncode == 0 and '"role":"primary"' in re.sub(r"\s", "", done.stdout) and self.holds_addresses()

    def score(self):
        """The promotion score that pacemaker knows of this node; "" for none."""
        done = self.run("crm_attribute", "--promotion=twintrack", "-N", f"fw{self.node}", "-G", "-Q", check=False)
        return done.stdout.strip()

    def logs(self):
        said = []
        for name in ("corosync.out", "pacemakerd.out", "corosync.log", "log"):
            path = os.path.join(self.daemon.directory, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    said.append(f"--- fw{self.node} {name} ---\n{file.read()[-6000:]}")
        said.append(self.run("sh", "-c", "tail -n 80 /var/log/pacemaker/pacemaker.log", check=False).stdout)
        return "\n".join(said)

    def power_cut(self):
        """Everything that runs there ends at once, with its cables dead."""
        self.lab.power_cut(self.node)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()  # its namespace of processes goes with it
        self.process.wait()
        self.process.stdout.close()
        cancel_at_exit(self._cleanup)


def sample_with(parameters):
    """The shipped configuration, with parameters of the agent for this place and without fencing of nodes."""
    with open(SAMPLE, encoding="utf-8") as file:
        text = file.read()
    pairs = "".join(f'<nvpair id="twintrack-{name}" name="{name}" value="{value}"/>'
                    for name, value in parameters.items())
    text, places = re.subn(r'(<nvpair id="twintrack-manage" [^>]*/>)', r"\1" + pairs, text)
    assert places == 1, "the sample says whether the daemon is pacemaker's"
    return text
