# SPDX-License-Identifier: GPL-2.0-or-later
"""A new user's way: install the package in a fresh root, make a key, edit three lines, start; upgrade, purge."""

import gzip
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import time

import pytest

from lab import WAN_VIP, Lab, wait_for

CONFIG, KEY = "/etc/twintrack/twintrackd.conf", "/etc/twintrack/key"
README = "/usr/share/doc/twintrack/README.md"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """A firewall of the lab with a file system of its own: the fresh root, and what is changed in it."""

    def __init__(self, base, space, directory):
        self.space, self.directory, self.process = space, directory, None
        self.root = os.path.join(directory, "root")
        upper, work = os.path.join(directory, "upper"), os.path.join(directory, "work")
        for path in (self.root, upper, work):
            os.makedirs(path)
        for words in (["-t", "overlay", "overlay", "-o", f"lowerdir={base},upperdir={upper},workdir={work}", self.root],
                      ["-t", "proc", "proc", f"{self.root}/proc"], ["-t", "tmpfs", "tmpfs", f"{self.root}/run"]):
            subprocess.run(["mount", *words], check=True)
        shutil.copy("/etc/resolv.conf", f"{self.root}/etc/resolv.conf")

    def host(self, *words, check=True):
        """In the root, with the machine's own network: to install."""
        done = subprocess.run(["chroot", self.root, *words], check=False, text=True, capture_output=True,
                              env={"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})
        assert not check or done.returncode == 0, done
        return done

    def run(self, *words, check=True):
        """In the root and in the firewall's network."""
        return self.space.run("chroot", self.root, *words, check=check)

    def install(self, package):
        name = f"/var/cache/{os.path.basename(package)}"
        shutil.copy(package, self.root + name)
        return self.host("apt-get", "install", "-q", "-y", "--no-install-recommends", name)

    def readme(self):
        """What the package says of itself."""
        packed = self.root + README + ".gz"
        opened = gzip.open(packed, "rt", encoding="utf-8") if os.path.exists(packed) else open(self.root + README, encoding="utf-8")
        with opened as file:
            return file.read()

    def configure(self, node, key):
        """The README's steps and its configuration; the lines that a new user edits: the id, and the two virtual addresses."""
        os.makedirs(f"{self.root}/etc/twintrack", exist_ok=True)
        if key != self.root + KEY:
            shutil.copy(key, self.root + KEY)
        for words in (["chgrp", "twintrack", KEY], ["chmod", "0640", KEY]):
            assert " ".join(words) in self.readme()
            self.host(*words)
        text = textwrap.dedent(re.search(r"^ +```ini\n(.*?)^ +```$", self.readme(), re.M | re.S).group(1))
        text = re.sub(r"^id = .*$", f"id = {node}", text, flags=re.M)
        addresses = iter(("192.168.10.1", WAN_VIP))
        text = re.sub(r"^address = \S+", lambda _: f"address = {next(addresses)}", text, flags=re.M)
        assert next(addresses, None) is None and f"key-file = {KEY}" in text
        with open(self.root + CONFIG, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        """As the unit does: tmpfiles.d's folder, the user, and its one capability."""
        self.host("install", "-d", "-m", "0755", "-o", "twintrack", "-g", "twintrack", "/run/twintrack")
        with open(os.path.join(self.directory, "log"), "a", encoding="utf-8") as log:
            self.process = self.space.popen("chroot", self.root, "setpriv", "--reuid", "twintrack", "--regid", "twintrack",
                                            "--clear-groups", "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin",
                                            "/usr/sbin/twintrackd", stdout=log, stderr=log)
        wait_for(self.answers, what="it answers")

    def answers(self):
        assert self.process.poll() is None, open(os.path.join(self.directory, "log"), encoding="utf-8").read()
        return self.run("twintrack", "health", check=False).returncode != 3

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for name in ("/run", "/proc", ""):
            if os.path.ismount(self.root + name):
                subprocess.run(["umount", "-l", self.root + name], check=False)


@pytest.fixture
def pair(base):
    """Two machines with nothing but a minimal Debian, in the lab's network."""
    directory, machines = tempfile.mkdtemp(prefix="twintrack-deb-", dir=os.path.dirname(base)), {}
    with Lab() as lab:
        lab.vip_to(1)
        try:
            for node in lab.nodes:
                machines[node] = Machine(base, lab.fw[node], os.path.join(directory, str(node)))
            yield lab, machines
        finally:
            for machine in machines.values():
                machine.close()
            shutil.rmtree(directory, ignore_errors=True)


def test_lintian_finds_no_error(packages):
    done = subprocess.run(["lintian", "--allow-root", packages[0]], text=True, capture_output=True, check=False)
    assert not re.search(r"^E: ", done.stdout, re.M), done.stdout


def test_it_is_installed_run_upgraded_under_traffic_and_purged(packages, pair):
    lab, machines = pair
    start = time.monotonic()
    for machine in machines.values():
        machine.host("apt-get", "update", "-q")
        machine.install(packages[0])
        for name in ("conntrack", "conntrackd"):
            assert machine.host("sh", "-c", f"command -v {name}", check=False).returncode != 0, "not on the PATH"
        assert machine.host("test", "-x", "/usr/libexec/twintrack/conntrackd").returncode == 0
        assert machine.run("twintrack", "health", check=False).returncode == 3, "nothing was started"
        assert machine.host("ls", "/etc/twintrack").stdout == ""
    machines[1].run("twintrack", "genkey", KEY)
    key = machines[1].root + KEY
    for node, machine in machines.items():
        machine.configure(node, key)
        machine.run("twintrack", "check-config", CONFIG)
        machine.start()
    machines[1].run("twintrack", "primary")
    machines[2].run("twintrack", "backup")
    machines[2].run("twintrack", "wait-synced", "--timeout", "120s")
    print(f"a working pair after {time.monotonic() - start:.0f} s, installation included")

    traffic = lab.traffic(100)
    wait_for(lambda: int(machines[2].run("twintrack", "-C", "external").stdout) >= 100, what="they are replicated")
    traffic.mark()
    for node in (2, 1):  # the backup first, then the primary, whose kernel goes on forwarding
        machines[node].install(packages[1])
        assert machines[node].host("dpkg-query", "-W", "-f", "${Version}", "twintrack").stdout == "0.1.0+upgrade"
        machines[node].stop()
        machines[node].start()
        machines[node].run("twintrack", "wait-synced", "--timeout", "120s")
    assert '"role":"primary"' in machines[1].run("twintrack", "status", "--json").stdout
    verdict = traffic.verdict()
    assert (verdict.alive, verdict.killed, verdict.hung) == (100, 0, 0), verdict
    lab.power_cut(1)
    machines[1].close()
    lab.vip_to(2)
    machines[2].run("twintrack", "primary")
    traffic.mark()
    verdict = traffic.verdict()
    assert (verdict.alive, verdict.killed) == (100, 0), verdict

    machines[2].stop()
    machines[2].host("apt-get", "purge", "-q", "-y", "twintrack")
    for path in ("/etc/twintrack", "/usr/sbin/twintrackd", "/lib/systemd/system/twintrackd.service", "/usr/libexec/twintrack"):
        assert not os.path.exists(machines[2].root + path), path
    assert machines[2].host("getent", "passwd", "twintrack", check=False).returncode != 0
