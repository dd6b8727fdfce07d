# SPDX-License-Identifier: GPL-2.0-or-later
"""These tests stand on the lab of tests/netns."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))


def pytest_sessionstart(session):
    if os.geteuid():
        pytest.exit("the cluster tests need root", returncode=2)
