# SPDX-License-Identifier: GPL-2.0-or-later
"""The package, built, and a fresh Debian to install it in.  Neither is made twice: both stay in build/deb."""

import glob
import os
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/netns"))
OUTPUT = os.path.join(ROOT, "build/deb")
BASE = os.environ.get("TWINTRACK_DEBIAN_ROOT", os.path.join(OUTPUT, "root"))


def build(version=None):
    """The path of a package of that version."""
    subprocess.run([os.path.join(ROOT, "scripts/make-deb"), *([version] if version else [])], check=True,
                   stdout=subprocess.DEVNULL)
    return max(glob.glob(os.path.join(OUTPUT, f"twintrack_{version or ''}*.deb")), key=os.path.getmtime)


@pytest.fixture(scope="session")
def packages():
    """(the package, the one that upgrades it)"""
    if os.geteuid():
        pytest.exit("the package's test needs root", returncode=2)
    return build(), build("0.1.0+upgrade")


@pytest.fixture(scope="session")
def base():
    """A minimal Debian, as debootstrap makes it, with what the package depends on."""
    if not shutil.which("debootstrap"):
        pytest.skip("debootstrap is not installed")
    if not os.path.exists(os.path.join(BASE, "usr/bin/dpkg")):
        release = subprocess.run(["sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"], check=True, text=True,
                                 capture_output=True).stdout.strip()
        subprocess.run(["debootstrap", "--variant=minbase", "--include=adduser", release, BASE], check=True)
    return BASE
