# SPDX-License-Identifier: GPL-2.0-or-later
"""Real keepalived in a firewall of the lab, with the sample configuration that is shipped.

Only the paths of the two programs that it calls are changed: the lab has the sample's interfaces and addresses.
"""

import os
import re
import shutil
import subprocess
import tempfile

from programs import ROOT, program
from space import at_exit, cancel_at_exit

# keepalived runs no script whose path someone other than root could change, and none can be run from a noexec mount
SAFE_PLACES = ("/run", "/var/lib", "/root")


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
    """One keepalived, started from conf/keepalived/fwN.conf in the namespace of firewall N."""

    def __init__(self, lab, node):
        self.space = lab.fw[node]
        self.daemon = lab.daemon[node]
        self.directory = safe_directory()
        self._cleanup = at_exit(self.close)
        self.process = None
        self.log_path = os.path.join(self.directory, "log")
        self._write_scripts()
        self._write_config(node)

    def _write_scripts(self):
        self.command = os.path.join(self.directory, "twintrack")
        self.notify = os.path.join(self.directory, "twintrack-notify")
        write_script(self.command, f'exec "{program("twintrack")}" --socket "{self.daemon.socket}" "$@"\n')
        write_script(self.notify, f'export TWINTRACK="{self.command}" TWINTRACK_NOTIFY_DIR="{self.directory}"\n'
                                  f'echo "notify $*" >>"{self.directory}/calls"\n'
                                  f'exec "{ROOT}/scripts/twintrack-notify" "$@" 2>>"{self.directory}/calls"\n')

    def _write_config(self, node):
        with open(os.path.join(ROOT, "conf", "keepalived", f"fw{node}.conf"), encoding="utf-8") as sample:
            text = sample.read()
        text, notifies = re.subn(r"/\S+/twintrack-notify", self.notify, text)
        text, commands = re.subn(r"/\S+/bin/twintrack\b", self.command, text)
        assert (notifies, commands) == (1, 1), "the sample calls each of the two programs once"
        self.config = os.path.join(self.directory, "keepalived.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.space.popen("keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp",
                                            "--use-file", self.config, "--pid", f"{self.directory}/pid",
                                            "--vrrp_pid", f"{self.directory}/vrrp.pid", stdout=log, stderr=log)
        return self

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
