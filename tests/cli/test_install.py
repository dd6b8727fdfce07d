# SPDX-License-Identifier: GPL-2.0-or-later
"""`make install`: what the installed files tell others to run is where they say."""

import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TWINTRACK_BUILD", "build")
PROGRAM = re.compile(r"(?<![\w/.])/usr/[\w/-]*/(?:twintrackd|twintrack-notify|twintrack)(?![\w./-])")


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local"])
def test_installed_samples_and_units_name_programs_that_are_there(tmp_path, prefix):
    subprocess.run(["make", "-s", "-o", "all", "install", f"BUILD={BUILD}", f"DESTDIR={tmp_path}", f"PREFIX={prefix}",
                    "SYSCONFDIR=/etc"], cwd=ROOT, check=True, capture_output=True)
    named = {}
    for folder, _, files in os.walk(tmp_path):
        for name in files:
            if name.endswith((".conf", ".service", ".openrc", "README.md")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    named.update({path: name for path in PROGRAM.findall(file.read())})
    assert {os.path.basename(path) for path in named} == {"twintrackd", "twintrack", "twintrack-notify"}
    for path, name in named.items():
        assert os.access(f"{tmp_path}{path}", os.X_OK), f"{name} names {path}"
