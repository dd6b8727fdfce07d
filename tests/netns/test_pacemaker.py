# SPDX-License-Identifier: GPL-2.0-or-later
"""The resource agent for pacemaker with real daemons, and with a `crm_master` that only writes down the score."""

import os
import re
import signal
import subprocess
from xml.etree import ElementTree

import pytest

from lab import Lab
from programs import ROOT, program
from space import wait_for

AGENT = os.path.join(ROOT, "conf", "pacemaker", "twintrack")
SUCCESS, FAILED, UNIMPLEMENTED, NOT_INSTALLED = 0, 1, 3, 5
NOT_CONFIGURED, NOT_RUNNING, PROMOTED, FAILED_PROMOTED = 6, 7, 8, 9
PRIMARY, IN_STEP, RECENTLY, FORMERLY, UNPROVEN, NONE = "1000", "900", "800", "700", "10", ""


class Agent:
    """What pacemaker's executor is to the agent at one node: environment in, exit status out."""

    def __init__(self, lab, node):
        self.daemon = lab.daemon[node]
        self.key = lab.key
        self.directory = os.path.join(lab.directory, f"cluster node {node}")  # a name with blanks, to be quoted well
        os.makedirs(self.directory)
        self.score_path = os.path.join(self.directory, "score")
        stub = os.path.join(self.directory, "crm_master")
        with open(stub, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nscore=\nwhile [ $# -gt 0 ]; do [ "$1" = -v ] && score=$2; shift; done\n'
                       f'echo "$score" >"{self.score_path}"\n')
        os.chmod(stub, 0o755)
        self.daemon.write_config()
        self.said = ""
        self.parameters = {"manage": "yes", "daemon": program("twintrackd"), "command": program("twintrack"),
                           "config": self.daemon.config, "socket": self.daemon.socket,
                           "logfile": self.daemon.log_path, "settle": "3", "patience": "10"}

    def run(self, action, interval_ms=0, parameters=None, **meta):
        environment = {**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}", "HA_RSCTMP": self.directory,
                       "OCF_RESOURCE_INSTANCE": "fire wall", "OCF_RESKEY_CRM_meta_interval": str(interval_ms),
                       "OCF_RESKEY_CRM_meta_timeout": "7000"}
        environment |= {f"OCF_RESKEY_CRM_meta_{name}": value for name, value in meta.items()}
        environment |= {f"OCF_RESKEY_{name}": value for name, value in {**self.parameters, **(parameters or {})}.items()}
        done = subprocess.run(self.daemon.space.command(AGENT, action), env=environment, cwd=self.directory,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.said = done.stderr
        return done.returncode

    def monitor(self):
        return self.run("monitor", interval_ms=5000)

    def score(self):
        if not os.path.exists(self.score_path):
            return NONE
        with open(self.score_path, encoding="ascii") as file:
            return file.read().strip()

    def monitored_score(self):
        self.monitor()
        return self.score()

    def age_proof(self, seconds):
        """The agent remembers that this node was in step, from so many seconds earlier."""
        path = os.path.join(self.directory, "twintrack-fire wall.step")
        with open(path, encoding="ascii") as file:
            pid, proven, uptime = file.read().split()
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{pid} {proven} {int(uptime) - seconds}\n")

    def pid(self):
        return self.daemon.status()["pid"]


@pytest.fixture
def agents():
    with Lab() as lab:
        yield {node: Agent(lab, node) for node in lab.nodes}


def test_a_life_of_two_nodes_with_every_exit_status_and_score(agents):
    one, two = agents[1], agents[2]
    assert one.run("monitor") == NOT_RUNNING
    assert one.run("stop") == SUCCESS, "what is stopped can be stopped"
    for agent in (one, two):
        assert agent.run("start") == SUCCESS, agent.said
        assert agent.run("start") == SUCCESS, "what is started can be started"
        assert agent.monitor() == SUCCESS
        assert agent.score() == UNPROVEN, "no primary has been seen"

    assert one.run("promote") == SUCCESS, one.said
    assert one.run("promote") == SUCCESS
    assert (one.monitor(), one.score()) == (PROMOTED, PRIMARY)
    wait_for(lambda: two.monitored_score() == IN_STEP, what="the backup is in step")

    assert one.run("demote") == SUCCESS, one.said
    assert one.run("demote") == SUCCESS
    assert (one.monitor(), one.score()) == (SUCCESS, RECENTLY), "nobody has more than who was the primary"
    assert two.run("promote") == SUCCESS, two.said
    notice = {"notify_type": "post", "notify_operation": "promote"}
    wait_for(lambda: one.run("notify", **notice) == SUCCESS and one.score() == IN_STEP, what="a notice sets the score")

    assert two.run("stop") == SUCCESS, two.said
    assert (two.run("monitor"), two.score()) == (NOT_RUNNING, NONE)
    assert not os.path.exists(two.daemon.socket) or two.daemon.twintrack("health", check=False).returncode == 3


def test_who_was_in_step_when_the_primary_died_is_remembered(agents):
    one, two = agents[1], agents[2]
    assert (one.run("start"), two.run("start"), one.run("promote")) == (SUCCESS, SUCCESS, SUCCESS)
    wait_for(lambda: two.monitored_score() == IN_STEP, what="the backup is in step")
    os.kill(one.pid(), signal.SIGKILL)
    assert (one.monitor(), one.score()) == (NOT_RUNNING, NONE)
    assert one.run("demote") == SUCCESS, "it will start as backup, " + one.said
    assert two.monitored_score() in (IN_STEP, RECENTLY), "while the silent primary still counts as alive"
    wait_for(lambda: not two.daemon.peer(1)["alive"], what="the primary counts as dead")
    assert two.monitored_score() == RECENTLY
    two.age_proof(100)
    assert two.monitored_score() == FORMERLY, "who was proven later comes before it"

    os.kill(two.pid(), signal.SIGKILL)  # its copy goes with it
    assert two.run("start") == SUCCESS, two.said
    assert two.monitored_score() == UNPROVEN
    assert one.run("start") == SUCCESS, one.said
    assert one.monitor() == SUCCESS, "the role of before is not resumed without being promoted"


def test_a_node_out_of_step_has_a_score_below_one_in_step_and_at_fault_none(agents):
    one, two = agents[1], agents[2]
    two.parameters["settle"] = "0"
    assert (one.run("start"), two.run("start"), one.run("promote")) == (SUCCESS, SUCCESS, SUCCESS)
    wait_for(lambda: two.monitored_score() == IN_STEP, what="the backup is in step")
    two.daemon.write_config(sync={"heartbeat": "10s", "peer-timeout": "5m"})
    assert two.daemon.twintrack("fault").returncode == 0
    assert (two.monitor(), two.score()) == (SUCCESS, NONE)
    assert two.daemon.twintrack("backup").returncode == 0
    wait_for(lambda: two.monitored_score() == IN_STEP, what="the backup is in step again")
    # the primary stays alive for the backup, by its timeout, and proves nothing any more
    assert two.daemon.twintrack("reload").returncode == 0
    pid = one.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: two.monitored_score() == UNPROVEN, what="the backup is out of step")
        assert two.daemon.peer(1)["alive"]
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_daemon_that_hangs_has_failed_and_a_stop_ends_it(agents):
    one = agents[1]
    assert (one.run("start"), one.run("promote")) == (SUCCESS, SUCCESS)
    os.kill(one.pid(), signal.SIGSTOP)
    one.parameters["patience"] = "1"
    assert one.monitor() == FAILED_PROMOTED
    assert one.run("stop") == SUCCESS, one.said
    assert one.run("monitor") == NOT_RUNNING
    assert one.run("start") == SUCCESS, one.said
    assert one.monitor() == SUCCESS


def test_a_daemon_of_a_service_manager_is_given_its_role_and_left_alone(agents):
    one = agents[1]
    one.parameters["manage"] = "no"
    assert one.run("start") == FAILED
    assert "no twintrackd answers" in one.said
    one.daemon.start()
    assert one.run("monitor") == NOT_RUNNING, "it is nobody's yet"
    assert (one.run("start"), one.monitor()) == (SUCCESS, SUCCESS)
    assert (one.run("promote"), one.monitor()) == (SUCCESS, PROMOTED)
    assert one.run("stop") == SUCCESS
    assert one.run("monitor") == NOT_RUNNING
    assert one.daemon.is_running() and one.daemon.status()["role"] == "backup"


WRONG = [({"manage": "perhaps"}, NOT_CONFIGURED), ({"socket": "relative"}, NOT_CONFIGURED),
         ({"settle": "3s"}, NOT_CONFIGURED), ({"patience": "-1"}, NOT_CONFIGURED),
         ({"command": "/nonexistent/twintrack"}, NOT_INSTALLED), ({"daemon": "/nonexistent/twintrackd"}, NOT_INSTALLED),
         ({"config": "/nonexistent/twintrackd.conf"}, NOT_INSTALLED)]


def test_what_is_wrong_is_told_apart(agents):
    one = agents[1]
    assert one.run("validate-all") == SUCCESS, one.said
    os.rename(one.key, one.key + ".away")
    assert one.run("start") == FAILED
    assert "twintrackd has ended" in one.said
    os.rename(one.key + ".away", one.key)
    for parameters, answer in WRONG:
        assert one.run("validate-all", parameters=parameters) == answer, parameters
        assert one.run("start", parameters=parameters) == answer, parameters
        assert one.said, "it says why"
        assert one.run("stop", parameters=parameters) == SUCCESS, "it can be stopped nevertheless"
        probed = NOT_RUNNING if answer == NOT_INSTALLED else answer
        assert one.run("monitor", parameters=parameters) == probed, "what is not installed is not running"


def test_the_description_names_what_the_agent_does_and_takes():
    done = subprocess.run([AGENT, "meta-data"], capture_output=True, text=True, check=True, timeout=60)
    described = ElementTree.fromstring(done.stdout)
    with open(AGENT, encoding="utf-8") as file:
        agent = file.read()
    parameters = {element.get("name"): element.find("content").get("default") for element in described.iter("parameter")}
    assert parameters == dict(re.findall(r'^: "\$\{OCF_RESKEY_(\w+):=(\S+)\}"', agent, re.M))
    actions = {element.get("name") for element in described.iter("action")}
    assert actions == {"start", "stop", "monitor", "promote", "demote", "notify", "validate-all", "meta-data"}
    assert subprocess.run([AGENT, "migrate_to"], capture_output=True, check=False, timeout=60).returncode == UNIMPLEMENTED
