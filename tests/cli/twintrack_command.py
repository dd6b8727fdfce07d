# SPDX-License-Identifier: GPL-2.0-or-later
"""The command under test.  The environment variable BUILD names the directory that `make` built into."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / os.environ.get("BUILD", "build") / "twintrack"


class Command:
    """Runs the command against one control socket."""

    def __init__(self, directory):
        self.socket = directory / "control.sock"
        self.state = directory / "control.sock.state"

    def __call__(self, *arguments, timeout=60, program=PROGRAM, **options):
        environment = dict(os.environ, TWINTRACK_SOCKET=str(self.socket), LC_ALL="C")
        return subprocess.run([str(program), *map(str, arguments)], env=environment, timeout=timeout,
                              capture_output=True, text=True, **options)
