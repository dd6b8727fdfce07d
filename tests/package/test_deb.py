# SPDX-License-Identifier: GPL-2.0-or-later
"""A new user's way: install the package in a fresh root, make a key, edit three lines, start; upgrade, purge."""

import os
import shutil
import subprocess
import tempfile
import time

import pytest

from lab import Lab, wait_for

CONFIG = "/etc/twintrack/twintrackd.conf"
EXAMPLE = "/usr/share/doc/twintrack/examples/multicast-pair.conf"


class Machine:
    """A firewall of the lab with a file system of its own: the fresh root, and what is changed in it."""

    def __init__(self, base, space, directory):
        self.space = space
        self.root = os.path.join(directory, "root")
        upper, work = os.path.join(directory, "upper"), os.path.join(directory, "work")
        for path in (self.root, upper, work):
            os.makedirs(path)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={base},upperdir={upper},workdir={work}",
                        self.root], check=True)
        for kind, name in (("proc", "proc"), ("sysfs", "sys")):
            subprocess.run(["ip", "netns", "exec", space.name, "mount", "-t", kind, kind, os.path.join(self.root, name)],
                           check=False, capture_output=True)
        # a mount made by ip-netns(8) is gone with its process: /proc is what the programs need
        subprocess.run(["mount", "-t", "proc", "proc", os.path.join(self.root, "proc")], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", os.path.join(self.root, "run")], check=True)
        shutil.copy("/etc/resolv.conf", os.path.join(self.root, "etc/resolv.conf"))
        self.process = None

    def host(self, *words, check=True):
        """In the root, with the machine's own network: to install."""
        return subprocess.run(["chroot", self.root, *words], check=check, text=True, capture_output=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})

    def run(self, *words, check=True):
        """In the root and in the firewall's network."""
        return self.space.run("chroot", self.root, *words, check=check)

    def install(self, package):
        shutil.copy(package, os.path.join(self.root, "tmp", os.path.basename(package)))
        self.host("apt-get", "update", "-q")
        return self.host("apt-get", "install", "-q", "-y", "--no-install-recommends", f"/tmp/{os.path.basename(package)}")

    def start(self):
        # what the unit does: the user, its one capability, and tmpfiles.d's folder
        user = self.host("id", "-u", "twintrack").stdout.strip()
        group = self.host("id", "-g", "twintrack").stdout.strip()
        self.host("install", "-d", "-m", "0755", "-o", "twintrack", "-g", "twintrack", "/run/twintrack")
        self.process = self.space.popen("setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--inh-caps",
                                        "+net_admin", "--ambient-caps", "+net_admin", "chroot" if False else "unshare",
                                        "--root", self.root, "/usr/sbin/twintrackd")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for name in ("run", "proc", "sys", ""):
            subprocess.run(["umount", "-l", os.path.join(self.root, name)], check=False, capture_output=True)
