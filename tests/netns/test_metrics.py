# SPDX-License-Identifier: GPL-2.0-or-later
"""`twintrack metrics`: valid OpenMetrics, true figures, and every name that alerts and dashboard use."""

import json
import os
import re
import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_older

from lab import Lab, wait_for
from programs import ROOT

FLOWS = 500
RULES = os.path.join(ROOT, "conf/prometheus/twintrack.rules.yml")
DASHBOARD = os.path.join(ROOT, "conf/grafana/twintrack.json")


@pytest.fixture(scope="module")
def pair():
    """A primary with flows and its backup, in step, both with a fence; one for all tests, which only look."""
    with Lab() as lab:
        lab.vip_to(1)
        lab.flowgen(1, "create", "--count", FLOWS)
        lab.start({"fence": {"enable": "yes", "address": "192.168.10.1"}})
        lab.daemon[1].twintrack("primary")
        lab.daemon[2].twintrack("backup")
        lab.daemon[2].wait_synced()
        wait_for(lambda: lab.daemon[2].peer(1)["flows"] == FLOWS, what="the backup holds them")
        yield lab


def families(daemon):
    """Parsed by the reference implementation's parser, which refuses what the specification does."""
    return {family.name: family for family in text_string_to_metric_families(daemon.twintrack("metrics").stdout)}


def value(found, name, **labels):
    """One sample, by its full name."""
    samples = [sample.value for family in found.values() for sample in family.samples
               if sample.name == name and labels.items() <= sample.labels.items()]
    assert len(samples) == 1, f"{name} {labels}: {samples}"
    return samples[0]


def test_each_family_is_described_and_has_its_unit(pair):
    found = families(pair.daemon[2])
    assert len(found) > 60
    for family in found.values():
        assert family.name.startswith("twintrack_")
        assert family.type in ("gauge", "counter", "info", "stateset")
        assert family.documentation.endswith(".") and family.samples
        assert bool(family.unit) == family.name.endswith(("_seconds", "_bytes"))


def test_the_figures_are_those_of_the_status_page(pair):
    daemon = pair.daemon[2]
    found, status = families(daemon), daemon.status()
    assert value(found, "twintrack_role", twintrack_role="backup") == 1
    assert value(found, "twintrack_role", twintrack_role="primary") == 0
    assert value(found, "twintrack_peer_role", peer="1", twintrack_peer_role="primary") == 1
    assert value(found, "twintrack_peer_flows", peer="1") == FLOWS
    assert value(found, "twintrack_peer_holds_in_sync", peer="1") == 1
    assert value(found, "twintrack_term") == status["term"]
    assert value(found, "twintrack_fence_armed") == 1
    assert value(found, "twintrack_healthy") == 1
    assert value(found, "twintrack_build_info", version=status["software"]) == 1
    assert 0 < value(found, "twintrack_peer_link_received_datagrams_total", peer="1", link="sync0") \
        <= status["peers"][0]["links"][0]["received"]
    assert value(families(pair.daemon[1]), "twintrack_kernel_complete") == 1


def test_the_number_of_series_does_not_grow_with_the_flows(pair):
    def series():
        return sum(len(family.samples) for family in families(pair.daemon[1]).values())

    before = series()
    pair.flowgen(1, "create", "--count", 2000, "--first", FLOWS)
    wait_for(lambda: value(families(pair.daemon[1]), "twintrack_internal_flows") > FLOWS, what="more flows")
    assert series() == before


def test_every_name_in_alerts_and_dashboard_exists(pair):
    exported = {sample.name for family in families(pair.daemon[2]).values() for sample in family.samples}
    labels = {name for family in families(pair.daemon[2]).values() for sample in family.samples
              for name in sample.labels}
    panels = json.load(open(DASHBOARD, encoding="utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(expressions) > 15
    used = set(re.findall(r"\btwintrack_\w+", " ".join(expressions)))
    rules = "\n".join(line for line in open(RULES, encoding="utf-8") if not line.lstrip().startswith("#"))
    used |= set(re.findall(r"\btwintrack_\w+", rules))
    assert len(used) > 25
    assert used - exported - labels == set()


def samples(text, parse):
    return {(sample.name, *sorted(sample.labels.items())) for family in parse(text) for sample in family.samples}


def test_the_older_format_has_the_same_samples(pair):
    daemon = pair.daemon[2]
    older = daemon.twintrack("metrics", "--textfile").stdout
    assert "# EOF" not in older and "# UNIT" not in older
    assert set(re.findall(r"^# TYPE \S+ (\S+)$", older, re.M)) == {"gauge", "counter"}
    now = samples(daemon.twintrack("metrics").stdout, text_string_to_metric_families)
    assert len(now) > 100 and samples(older, parse_older) == now


def test_promtool_finds_no_fault_in_the_older_format(pair):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (make test-monitoring installs it)")
    text = pair.daemon[2].twintrack("metrics", "--textfile").stdout
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_broken_shows_in_the_end(pair):
    pair.daemon[1].kill()
    wait_for(lambda: value(families(pair.daemon[2]), "twintrack_peer_alive", peer="1") == 0, what="silent")
    found = families(pair.daemon[2])
    assert value(found, "twintrack_healthy_strict") == 0
    assert value(found, "twintrack_degradations") >= 1
    assert value(found, "twintrack_peer_holds_in_sync", peer="1") == 0


def test_each_alert_has_its_paragraph_in_the_operations_manual():
    alerts = re.findall(r"- alert: (\w+)", open(RULES, encoding="utf-8").read())
    manual = open(os.path.join(ROOT, "doc/operations.md"), encoding="utf-8").read()
    assert len(alerts) > 10
    assert [alert for alert in alerts if f"`{alert}`" not in manual] == []
