# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/twintrack-notify with a `twintrack` that only writes down what it was asked."""

import os
import re
import subprocess

import pytest

from programs import ROOT
from space import wait_for

SCRIPT = os.path.join(ROOT, "scripts", "twintrack-notify")


@pytest.fixture
def notify(tmp_path):
    """A function that runs the script; .asked() is what `twintrack` was called with, in order."""
    command = tmp_path / "twintrack"
    # each role may be held up by a file of its name, to have an older call still at work when a newer one comes
    command.write_text(f'#!/bin/sh\nwhile [ -e "{tmp_path}/hold-$1" ]; do sleep 0.02; done\n'
                       f'echo "$1" >>"{tmp_path}/asked"\necho "did $1"\nexit "${{ANSWER:-0}}"\n')
    command.chmod(0o755)

    def start(*words, answer=0, before="", **options):
        directory = options.pop("directory", str(tmp_path / "run"))
        environment = {**os.environ, "TWINTRACK": str(command), "TWINTRACK_NOTIFY_DIR": directory,
                       "ANSWER": str(answer)}
        command_line = [SCRIPT, *words] if not before else ["sh", "-c", f'{before}\nexec "$0" "$@"', SCRIPT, *words]
        return subprocess.Popen(command_line, env=environment, stderr=subprocess.PIPE, text=True)

    def run(*words, **options):
        process = start(*words, **options)
        said = process.communicate(timeout=60)[1]
        return process.returncode, said

    run.start = start
    run.directory = tmp_path
    run.asked = lambda: (tmp_path / "asked").read_text().split() if (tmp_path / "asked").exists() else []
    return run


@pytest.mark.parametrize("state,role", [("MASTER", "primary"), ("BACKUP", "backup"), ("FAULT", "fault"),
                                        ("STOP", "backup")])
def test_each_state_of_keepalived_asks_for_its_role(notify, state, role):
    code, said = notify("GROUP", "firewall", state, "100")
    assert (code, notify.asked()) == (0, [role])
    assert f"did {role}" in said


@pytest.mark.parametrize("role", ["primary", "backup", "fault"])
def test_a_role_by_hand(notify, role):
    assert notify(role)[0] == 0
    assert notify.asked() == [role]


def test_notices_that_change_no_role_are_passed_over(notify):
    assert notify("INSTANCE", "lan", "MASTER_RX_LOWER_PRI", "100")[0] == 0
    assert notify.asked() == []


def test_nonsense_is_refused(notify):
    assert notify("nonsense")[0] == 2
    assert notify()[0] == 2


def test_a_daemon_that_is_down_is_no_failure_because_the_role_is_kept(notify):
    code, said = notify("GROUP", "firewall", "BACKUP", "0", answer=3)
    assert code == 0
    assert "will start as backup" in said


def test_a_step_that_failed_is_passed_on(notify):
    code, said = notify("GROUP", "firewall", "MASTER", "0", answer=1)
    assert code == 1
    assert "failed with 1: did primary" in said


def test_the_newest_state_is_carried_out_last(notify):
    hold = notify.directory / "hold-primary"
    hold.touch()
    older = notify.start("GROUP", "firewall", "MASTER", "0")
    wanted = notify.directory / "run" / "notify.wanted"
    wait_for(lambda: wanted.exists() and wanted.read_text() == "primary\n")
    middle = notify.start("GROUP", "firewall", "FAULT", "0")
    wait_for(lambda: wanted.read_text() == "fault\n")
    newest = notify.start("GROUP", "firewall", "BACKUP", "0")
    wait_for(lambda: wanted.read_text() == "backup\n")
    hold.unlink()
    for process in (older, middle, newest):
        process.communicate(timeout=60)
    assert notify.asked()[-1] == "backup"
    assert "fault" not in notify.asked()


def test_a_directory_that_cannot_be_written_hinders_nothing(notify):
    (notify.directory / "run").write_text("a file in its place")
    assert notify("GROUP", "firewall", "MASTER", "0")[0] == 0
    assert notify.asked() == ["primary"]


@pytest.mark.parametrize("directory", ["/proc/sys/kernel", "/proc/nothing/below"])
def test_nor_does_one_in_which_nothing_can_be_created(notify, directory):
    assert notify("GROUP", "firewall", "MASTER", "0", directory=directory)[0] == 0
    assert notify.asked() == ["primary"]


def test_root_writes_nothing_where_the_daemons_user_may(notify):
    """Who can exchange the files for links chooses what root overwrites."""
    with open(SCRIPT, encoding="utf-8") as script:
        directory = re.search(r"^directory=\$\{TWINTRACK_NOTIFY_DIR:-(.*)\}$", script.read(), re.M).group(1)
    with open(os.path.join(ROOT, "conf", "systemd", "tmpfiles.conf"), encoding="utf-8") as file:
        given = re.findall(r"^d (\S+) \d+ (?!root)", file.read(), re.M)
    assert given and not any(f"{directory}/".startswith(f"{path}/") for path in given)
    assert notify("GROUP", "firewall", "MASTER", "0")[0] == 0
    assert os.stat(notify.directory / "run").st_mode & 0o7022 == 0


def test_an_older_call_that_gets_to_run_late_does_not_overrule_a_newer_one(notify):
    """keepalived starts them in order, but the system may run them in another."""
    gate = notify.directory / "gate"
    older = notify.start("GROUP", "firewall", "MASTER", "0", before=f"while [ ! -e '{gate}' ]; do sleep 0.02; done")
    assert notify("GROUP", "firewall", "BACKUP", "0")[0] == 0
    gate.touch()
    said = older.communicate(timeout=60)[1]
    assert older.returncode == 0 and "passed over, a newer call has asked for backup" in said
    assert notify.asked() == ["backup", "backup"]
    assert notify("GROUP", "firewall", "MASTER", "0")[0] == 0
    assert notify.asked()[-1] == "primary"


def test_what_was_written_down_before_a_reboot_is_older_than_anything(notify):
    assert notify("GROUP", "firewall", "MASTER", "0")[0] == 0
    order = notify.directory / "run" / "notify.order"
    order.write_text("another-boot 999999999999 99999\n")
    assert notify("GROUP", "firewall", "BACKUP", "0")[0] == 0
    assert notify.asked() == ["primary", "backup"]
