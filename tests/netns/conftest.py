# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the namespace tests: labs that are gone after each test, and the daemons' logs when one fails."""

import os
import subprocess

import pytest

import flows
from lab import Lab
from programs import BUILD, ROOT


def pytest_sessionstart(session):
    if os.geteuid():
        pytest.exit("the namespace tests need root", returncode=2)
    if not os.path.exists(os.path.join(BUILD, "tools", "traffic")):
        subprocess.run(["make", "-s", f"BUILD={BUILD}", "tools"], cwd=ROOT, check=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Print the logs of every lab that a failed test used."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for living in list(Lab.living):
            report.sections.append(("twintrackd", living.logs()))


def pytest_terminal_summary(terminalreporter):
    """How long the conditions took that have a goal: to be judged by hand, no test fails by these figures."""
    for line in flows.timings:
        terminalreporter.write_line(line)


@pytest.fixture
def lab():
    """Two firewalls and one sync link; no daemon runs yet, the virtual addresses are at node 1."""
    with Lab() as built:
        built.vip_to(1)
        yield built


@pytest.fixture
def make_lab():
    """A factory for labs of another shape: make_lab(nodes=3, sync_links=2)."""
    labs = []

    def make(**options):
        labs.append(Lab(**options))
        return labs[-1]

    yield make
    for built in labs:
        built.close()
