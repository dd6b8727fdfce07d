# SPDX-License-Identifier: GPL-2.0-or-later
"""The alert rules as Prometheus itself reads them: valid, and each fires for its fault and for nothing else."""

import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(ROOT, "conf/prometheus/twintrack.rules.yml")
SCENARIOS = os.path.join(ROOT, "tests/monitoring/alerts.yml")


def promtool(*words):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (make test-monitoring installs it)")
    return subprocess.run(["promtool", *words], text=True, capture_output=True, check=False)


def test_the_rules_are_valid():
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_for_its_fault_and_for_nothing_else():
    done = promtool("test", "rules", SCENARIOS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_without_a_scenario():
    alerts = re.findall(r"- alert: (\w+)", open(RULES, encoding="utf-8").read())
    scenarios = open(SCENARIOS, encoding="utf-8").read()
    assert len(alerts) > 10
    assert [alert for alert in alerts if not re.search(rf"\b{alert}\b", scenarios)] == []
