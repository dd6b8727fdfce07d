# SPDX-License-Identifier: GPL-2.0-or-later
"""The resource agent under ocf-tester, and the sample configuration in a cluster of two nodes."""

import pytest

from lab import Lab, wait_for
from machine import AGENT, Machine, sample_with, why_not
from vrrp import FENCE

CONNECTIONS = 500
SETTLED_S = 180
WISH = ('<rsc_location id="wish" rsc="twintrack-clone"><rule id="wish-rule" score="500" role="Promoted">'
        '<expression id="wish-node" attribute="#uname" operation="eq" value="fw{}"/></rule></rsc_location>')

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"a cluster cannot run here: {why_not()}")


def test_ocf_tester_finds_no_fault():
    with Lab() as lab:
        machine = Machine(lab, 1)
        try:
            options = [word for name, value in machine.parameters.items() for word in ("-o", f"{name}={value}")]
            done = machine.run("ocf-tester", "-n", "twintrack", *options, AGENT, check=False, timeout=300)
            print(done.stdout + done.stderr)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "passed all tests" in done.stdout
        finally:
            machine.close()


@pytest.fixture
def cluster():
    """Node -> Machine, with the sample's resources; one is primary, and the other is in step."""
    with Lab() as lab:
        machines = {node: Machine(lab, node, fence={**FENCE, "address": FENCE["address"][:2]}) for node in lab.nodes}
        try:
            for machine in machines.values():
                machine.start_cluster()
            configure(machines[1])
            wait_for(lambda: any(machine.is_primary() for machine in machines.values()), SETTLED_S, "one is primary")
            wait_in_step(machines, other(machines, primary_of(machines)))
            yield machines
        except BaseException:
            print("\n".join(machine.logs() for machine in machines.values()))
            raise
        finally:
            for machine in machines.values():
                machine.close()


def configure(machine):
    for option in ("stonith-enabled", "-v", "false"), ("no-quorum-policy", "-v", "ignore"):
        set_option = ["crm_attribute", "-t", "crm_config", "-n", *option]
        wait_for(lambda: machine.run(*set_option, check=False).returncode == 0, 120, f"{option[0]} can be set", 0.5)
    machine.run("cibadmin", "-c", "-o", "configuration", "-M", "-X", sample_with(machine.parameters))
    machine.run("crm_verify", "-L", "-V")


def primary_of(machines):
    return next(node for node, machine in machines.items() if machine.is_primary())


def other(machines, node):
    return next(number for number in machines if number != node)


def wait_in_step(machines, node):
    wait_for(lambda: machines[node].score() == "900", SETTLED_S, f"pacemaker knows that node {node} is in step", 0.2)


def wait_primary(machines, node):
    wait_for(machines[node].is_primary, SETTLED_S, f"node {node} is primary, with the addresses", 0.1)


def assert_all_live(traffic):
    verdict = traffic.verdict(timeout=90)
    assert (verdict.before, verdict.killed) == (CONNECTIONS, 0), verdict


def test_a_switch_over_a_killed_daemon_and_a_power_cut_kill_no_connection(cluster):
    first = primary_of(cluster)
    second = other(cluster, first)
    lab = cluster[first].lab
    assert cluster[first].score() == "1000"
    traffic = lab.traffic(CONNECTIONS)

    lab.daemon[first].wait_synced()
    cluster[first].run("crm_resource", "--ban", "-r", "twintrack-clone", "--promoted", "-N", f"fw{first}")
    traffic.mark()
    wait_primary(cluster, second)
    assert_all_live(traffic)
    cluster[first].run("crm_resource", "--clear", "-r", "twintrack-clone")
    wait_in_step(cluster, first)
    assert cluster[second].is_primary(), "the one that works stays"

    lab.daemon[second].wait_synced()
    cluster[second].run("sh", "-c", 'kill -KILL "$(cat /run/resource-agents/twintrack-twintrack.pid)"')
    traffic.mark()
    wait_primary(cluster, first)
    assert_all_live(traffic)
    wait_in_step(cluster, second)

    lab.daemon[first].wait_synced()
    cluster[first].power_cut()
    traffic.mark()
    wait_primary(cluster, second)
    assert_all_live(traffic)


def test_a_node_out_of_step_is_not_promoted_while_one_in_step_works(cluster):
    first = primary_of(cluster)
    second = other(cluster, first)
    # it hears the primary's datagrams no more, and the cluster's it does: alive, by its timeout, and not proven
    cluster[second].write_config(**{"peer-timeout": "5m"})
    cluster[second].daemon.twintrack("reload")
    cluster[second].space.nft("table inet deaf {\n\tchain in {\n\t\ttype filter hook input priority 0\n"
                              "\t\tudp dport 9788 drop\n\t}\n}\n")
    wait_for(lambda: cluster[second].score() == "10", SETTLED_S, "pacemaker knows that it is out of step", 0.2)
    # a wish for the other node that is smaller than being in step is worth
    cluster[first].run("cibadmin", "-C", "-o", "constraints", "-X", WISH.format(second))
    cluster[first].run("crm_resource", "--wait", check=False, timeout=SETTLED_S)
    assert cluster[first].is_primary() and not cluster[second].is_primary()
    cluster[second].space.nft("delete table inet deaf")
    wait_primary(cluster, second)  # in step again: 900 + 500 is more than 1000
