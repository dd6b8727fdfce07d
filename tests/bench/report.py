# SPDX-License-Identifier: GPL-2.0-or-later
"""Results as a table for people, and as JSON."""

import json
import os
import platform
import subprocess
import time

from measure import FLOOR, OURS, THEIRS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLUMNS = ("figure", "unit", "floor", "Twintrack", "conntrackd", "x floor", "x conntrackd", "least..most", "target",
           "holds")


def number(value):
    """Three significant digits, thousands apart."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def rows(figure):
    """The lines of a figure, given as its JSON: one, and one more for each further target."""
    median, ratio, samples = figure["median"], figure["ratio"], figure["samples"].get(OURS, [])
    spread = f"{number(min(samples))}..{number(max(samples))}" if samples else "-"
    verdicts = [(target["text"], {True: "yes", False: "NO", None: "not measured"}[target["holds"]])
                for target in figure["targets"]] or [("", "")]
    yield (figure["title"], figure["unit"], number(median.get(FLOOR)), number(median.get(OURS)),
           number(median.get(THEIRS)), number(ratio[FLOOR]), number(ratio[THEIRS]), spread, *verdicts[0])
    for verdict in verdicts[1:]:
        yield ("",) * 8 + verdict


def table(figures):
    """Aligned text of all figures."""
    lines = [COLUMNS] + [row for figure in figures for row in rows(figure)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def _output(*command):
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def circumstances(runs):
    """On what, and of what, the figures are."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "cpu": f"{os.cpu_count()} x {_cpu_model()}",
        "commit": _output("git", "describe", "--always", "--dirty") or "unknown",
        "conntrackd": _output("dpkg-query", "-W", "-f", "${Version}", "conntrackd") or "not installed",
        "runs": runs,
        "load_before": os.getloadavg()[0],
    }


def save(path, about, figures):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"about": about, "figures": figures}, file, indent=1)
        file.write("\n")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)
