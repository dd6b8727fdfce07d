# SPDX-License-Identifier: GPL-2.0-or-later
"""Real keepalived in a firewall of the lab, with a sample configuration that is shipped.

Only the paths of the two programs that it calls are changed, and, where a test says so, how often it is heard: the lab
has the samples' interfaces and addresses.
"""

import os
import re
import shutil
import subprocess
import tempfile

from lab import LAN_VIP, LAN_VIP6, WAN_VIP, WAN_VIP6
from programs import ROOT, program
from space import at_exit, cancel_at_exit, wait_for

# keepalived runs no script whose path someone other than root could change, and none can be run from a noexec mount
SAFE_PLACES = ("/run", "/var/lib", "/root")

FENCE = {"enable": "yes", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6]}


def safe_directory():
    for place in SAFE_PLACES:
        if not os.statvfs(place).f_flag & os.ST_NOEXEC:
            return tempfile.mkdtemp(prefix="twintrack-vrrp-", dir=place)
    raise OSError("no directory to put scripts into")


def write_script(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


class Keepalived:
    """One keepalived in the namespace of firewall N, started from a sample of conf/keepalived."""

    def __init__(self, lab, node, sample="fw{}.conf", advert_s=1):
        self.space = lab.fw[node]
        self.sample = sample.format(node)
        self.advert_s = advert_s
        self.daemon = lab.daemon[node]
        self.directory = safe_directory()
        self._cleanup = at_exit(self.close)
        self.process = None
        self.log_path = os.path.join(self.directory, "log")
        self._write_scripts()
        self._write_config()

    def _write_scripts(self):
        self.command = os.path.join(self.directory, "twintrack")
        self.notify = os.path.join(self.directory, "twintrack-notify")
        # a file "fail" in its directory makes every health check end with the status that it holds
        write_script(self.command, f'[ "$1" = health ] && [ -e "{self.directory}/fail" ] && '
                                   f'exit "$(cat "{self.directory}/fail")"\n'
                                   f'exec "{program("twintrack")}" --socket "{self.daemon.socket}" "$@"\n')
        write_script(self.notify, f'export TWINTRACK="{self.command}" TWINTRACK_NOTIFY_DIR="{self.directory}"\n'
                                  f'echo "notify $*" >>"{self.directory}/calls"\n'
                                  f'exec "{ROOT}/scripts/twintrack-notify" "$@" 2>>"{self.directory}/calls"\n')

    def _write_config(self):
        with open(os.path.join(ROOT, "conf", "keepalived", self.sample), encoding="utf-8") as sample:
            text = sample.read()
        text, notifies = re.subn(r"/\S+/twintrack-notify", self.notify, text)
        text, commands = re.subn(r"/\S+/bin/twintrack\b", self.command, text)
        assert (notifies, commands) == (1, 1), "the sample calls each of the two programs once"
        text, adverts = re.subn(r"advert_int 1\b", f"advert_int {self.advert_s}", text)
        assert adverts, "the sample says how often it is heard"
        if self.advert_s < 1:  # the check's interval cannot be less than 1 s
            text, counts = re.subn(r"(fall|rise) 2\b", r"\1 1", text)
            assert counts == 2, "the sample says how many answers of the check count"
        self.config = os.path.join(self.directory, "keepalived.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.space.popen("keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp",
                                            "--use-file", self.config, "--pid", f"{self.directory}/pid",
                                            "--vrrp_pid", f"{self.directory}/vrrp.pid", stdout=log, stderr=log)
        return self

    def fail_check(self, status):
        """The health check ends with this status from now on (127: there is no such program); None: as it is."""
        path = os.path.join(self.directory, "fail")
        if status is None:
            os.unlink(path)
            return
        with open(path, "w", encoding="ascii") as file:
            file.write(str(status))

    def check_state(self):
        """What keepalived said last of the health check: "failed", "succeeded", or "" for nothing yet."""
        said = re.findall(r"VRRP_Script\(twintrack_health\) (failed|timed_out|succeeded)", self.log())
        return said[-1].replace("timed_out", "failed") if said else ""

    def calls(self):
        """What keepalived called the notify script with, and what that said."""
        path = os.path.join(self.directory, "calls")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """A clean end: keepalived gives its addresses away and calls notify_stop."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        cancel_at_exit(self._cleanup)


def holds_address(lab, node):
    """The virtual addresses of both sides are at this node."""
    shown = lab.fw[node].run("ip", "-o", "addr", "show").stdout
    return all(f" {address}/" in shown for address in (LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6))


def is_primary(lab, node):
    return holds_address(lab, node) and lab.daemon[node].status()["role"] == "primary"


class Pair:
    """Two firewalls, each with twintrackd and keepalived, firewall 1 preferred."""

    def __init__(self, lab, **options):
        self.lab = lab
        self.options = options
        self.keepalived = {}
        for node in lab.nodes:
            lab.daemon[node].write_config(fence=FENCE)
        for node in lab.nodes:
            self.start(node)

    def start(self, node):
        self.lab.daemon[node].start(fence=FENCE)
        self.keepalived[node] = Keepalived(self.lab, node, **self.options).start()

    def wait_primary(self, node):
        wait_for(lambda: is_primary(self.lab, node), 120, f"firewall {node} is primary and holds the addresses")

    def wait_settled(self, node):
        """Both may be masters for a moment when both start at once: wait until the other has given way."""
        def settled():
            return is_primary(self.lab, node) and all(
                self.lab.daemon[other].status()["role"] == "backup" and not holds_address(self.lab, other)
                for other in self.lab.nodes if other != node)
        wait_for(settled, 120, f"firewall {node}, and it alone, is primary and holds the addresses")

    def wait_synced(self, node):
        self.lab.daemon[node].wait_synced(timeout=120)

    def close(self):
        for keepalived in self.keepalived.values():
            keepalived.close()

    def logs(self):
        return "".join(f"--- keepalived {node} ---\n{keepalived.log()}{keepalived.calls()}"
                       for node, keepalived in self.keepalived.items())
