# SPDX-License-Identifier: GPL-2.0-or-later
"""The rpm package: it is built from the spec, has all that `make install` has, and leaves nothing behind when erased.

On a distribution of another kind it can't find what it depends on, and its scripts would find no rpm system: it is
unpacked there without both, and its programs run with the host's libraries.
"""

import glob
import os
import shutil
import subprocess

import pytest

from conftest import ROOT

OUTPUT = os.path.join(ROOT, "build/rpm")


def run(*words, check=True):
    return subprocess.run(words, text=True, capture_output=True, check=check)


@pytest.fixture(scope="module")
def package():
    if not shutil.which("rpmbuild"):
        pytest.skip("rpmbuild is not installed")
    run(os.path.join(ROOT, "scripts/make-rpm"))
    found = glob.glob(os.path.join(OUTPUT, "RPMS/*/twintrack-0*.rpm"))
    assert len(found) == 1 and glob.glob(os.path.join(OUTPUT, "SRPMS/*.src.rpm"))
    return found[0]


def test_it_has_what_is_installed_and_puts_no_conntrack_on_the_path(package, tmp_path):
    run("make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr", "SYSCONFDIR=/etc", "RUNSTATEDIR=/run",
        f"BUILD={tmp_path}/build")
    installed = {os.path.join(folder, name)[len(str(tmp_path)):] for folder, _, names in os.walk(tmp_path) for name in names
                 if not folder.startswith(f"{tmp_path}/build")}
    packed = {line.removesuffix(".gz") for line in run("rpm", "-qpl", package).stdout.splitlines()}
    assert len(installed) > 30 and installed - packed == set()
    assert not any(line.startswith(("/usr/bin/conntrack", "/usr/sbin/conntrack")) for line in packed)


def test_its_scripts_make_the_user_and_start_nothing(package):
    scripts = run("rpm", "-qp", "--scripts", package).stdout
    assert "useradd -r -g twintrack" in scripts and "%{" not in scripts and "%systemd" not in scripts
    assert "systemctl start" not in scripts and "enable" not in scripts


def test_it_is_installed_runs_and_is_erased(package, tmp_path):
    root = str(tmp_path)
    rpm = ["rpm", "--root", root, "--force-debian"] if os.path.exists("/etc/debian_version") else ["rpm", "--root", root]
    run(*rpm, "--nodeps", "--noscripts", "-i", package)
    assert "twintrack" in run(*rpm, "-qa").stdout
    run(*rpm, "-V", "--nodeps", "--nouser", "--nogroup", "twintrack")
    example = f"{root}/usr/share/doc/twintrack/examples/multicast-pair.conf"
    run(f"{root}/usr/sbin/twintrackd", "--check", "-C", example)
    assert run(f"{root}/usr/bin/twintrack", "version").stdout.startswith("twintrack")
    assert os.listdir(f"{root}/etc/twintrack") == [], "nothing to start with"
    run(*rpm, "--nodeps", "--noscripts", "-e", "twintrack")
    left = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names
            if "/lib/rpm" not in folder and "/lib/.rpm" not in folder]
    assert [path for path in left if "twintrack" in path] == []
