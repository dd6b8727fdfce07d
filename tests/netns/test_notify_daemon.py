# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/twintrack-notify with the real daemon: late, twice, concurrently, in the wrong order, or with nobody there."""

import os
import subprocess

import pytest

from lab import LAN_VIP, LAN_VIP6, WAN_VIP, WAN_VIP6, wait_for
from programs import ROOT

SCRIPT = os.path.join(ROOT, "scripts", "twintrack-notify")
FENCE = {"enable": "yes", "max-wait": "5m", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6]}


class Notify:
    """Calls the script in firewall 2 as keepalived does."""

    def __init__(self, lab):
        self.space, self.daemon = lab.fw[2], lab.daemon[2]
        self.directory = os.path.join(self.daemon.directory, "notify")
        os.makedirs(self.directory)
        self.command = os.path.join(self.directory, "twintrack")
        with open(self.command, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexec " + " ".join(f'"{word}"' for word in self.daemon.command()) + ' "$@"\n')
        os.chmod(self.command, 0o755)

    def start(self, state, before=":"):
        """Start it; `before` is what the system lets happen before the script gets to run."""
        environment = {**os.environ, "TWINTRACK": self.command, "TWINTRACK_NOTIFY_DIR": self.directory}
        return subprocess.Popen(["sh", "-c", f'{before}\nexec "$0" "$@"', SCRIPT, "GROUP", "firewall", state, "100"],
                                env=environment, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def end(process):
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said
        return said

    def __call__(self, state):
        return self.end(self.start(state))


@pytest.fixture
def notify(lab):
    lab.daemon[1].start(fence=FENCE)
    lab.daemon[2].start(fence=FENCE)
    lab.daemon[1].twintrack("backup")
    built = Notify(lab)
    built("BACKUP")
    lab.daemon[2].wait_synced()
    return built


def role_and_fence(daemon):
    status = daemon.status()
    return status["role"], status["fence"]["state"]


def test_twice_is_as_good_as_once(notify):
    notify("MASTER")
    term = notify.daemon.status()["term"]
    notify("MASTER")
    assert role_and_fence(notify.daemon) == ("primary", "open") and notify.daemon.status()["term"] == term
    notify("BACKUP")
    notify("BACKUP")
    assert role_and_fence(notify.daemon) == ("backup", "armed")


@pytest.mark.parametrize("last", ["MASTER", "BACKUP"])
def test_many_at_once_end_in_the_state_that_came_last(notify, last):
    states = ["MASTER", "FAULT", "BACKUP"] * 5 + [last]
    running = [notify.start(state) for state in states]
    for process in running:
        notify.end(process)
    wanted = ("primary", "open") if last == "MASTER" else ("backup", "armed")
    assert role_and_fence(notify.daemon) == wanted


def test_in_the_wrong_order_the_newer_state_stays(notify):
    gate = os.path.join(notify.directory, "gate")
    older = notify.start("BACKUP", before=f"while [ ! -e '{gate}' ]; do sleep 0.02; done")
    notify("MASTER")
    with open(gate, "w", encoding="ascii"):
        pass
    assert "passed over" in notify.end(older)
    assert role_and_fence(notify.daemon) == ("primary", "open")


def test_too_late_for_max_wait_it_still_makes_a_primary(lab, notify):
    notify.daemon.write_config(fence={**FENCE, "max-wait": "1s"})
    notify.daemon.twintrack("reload")
    lab.vip_from(1)
    lab.vip_to(2)
    wait_for(lambda: role_and_fence(notify.daemon) == ("backup", "gave-up"), 30, "the fence opens")
    notify("MASTER")
    assert role_and_fence(notify.daemon) == ("primary", "open")
    lab.vip_from(2)
    notify("BACKUP")
    assert role_and_fence(notify.daemon) == ("backup", "armed")


@pytest.mark.parametrize("states,role", [(["MASTER"], "primary"), (["MASTER", "BACKUP"], "backup"),
                                         (["FAULT", "BACKUP", "MASTER"], "primary")])
def test_without_a_daemon_the_last_state_is_what_it_starts_as(notify, states, role):
    notify.daemon.kill()
    for state in states:
        assert "twintrackd does not run" in notify(state)
    notify.daemon.start()
    wait_for(lambda: role_and_fence(notify.daemon) == (role, "open" if role == "primary" else "armed"), 30,
             "it starts as what was asked for last")


def test_a_daemon_that_hangs_meanwhile_carries_out_the_last_one(notify):
    notify.daemon.pause()
    running = [notify.start(state) for state in ("MASTER", "BACKUP", "MASTER")]
    with pytest.raises(subprocess.TimeoutExpired):
        running[0].wait(0.5)
    notify.daemon.resume()
    for process in running:
        notify.end(process)
    assert role_and_fence(notify.daemon) == ("primary", "open")


def test_a_daemon_that_is_killed_in_the_middle_starts_as_the_last_one(notify):
    notify.daemon.pause()
    running = [notify.start(state) for state in ("BACKUP", "MASTER")]
    with pytest.raises(subprocess.TimeoutExpired):
        running[0].wait(0.5)
    notify.daemon.kill()
    for process in running:
        notify.end(process)
    notify.daemon.start()
    wait_for(lambda: role_and_fence(notify.daemon) == ("primary", "open"), 30, "it starts as a primary")
