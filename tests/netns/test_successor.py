# SPDX-License-Identifier: GPL-2.0-or-later
"""A restart loses nothing: what is held for peers goes from one daemon to the next, whoever manages them."""

import os
import signal
import time

import pytest

import flows
from lab import WAN_VIP, wait_for
from supervisor import Supervisor

FLOWS = 5000


@pytest.fixture
def supervise(lab):
    """supervise(...): node 2's service manager."""
    made = []

    def make(**options):
        made.append(Supervisor(lab.daemon[2], **options))
        return made[-1]

    yield make
    for manager in made:
        manager.close()


def hold(lab, start=None, fence="no"):
    """Node 1 is primary with FLOWS flows, node 2 holds them; then node 1 loses power."""
    overrides = {"fence": {"enable": fence, "address": WAN_VIP}}
    lab.daemon[1].start(overrides=overrides)
    start(overrides) if start else lab.daemon[2].start(overrides=overrides)
    # flows that nobody listened to when they began would end without a word
    lab.flowgen(1, "create", "--count", FLOWS, "--snat", WAN_VIP)
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    wait_for(lambda: lab.daemon[2].peer(1).get("in_sync") and lab.daemon[2].peer(1)["flows"] >= FLOWS, what="it holds all")


def orphans(daemon, node=1):
    return sum(orphan["flows"] for orphan in daemon.peer(node).get("orphans", []))


def left_alone(lab, manager):
    """Node 2, which `manager` runs, holds what a dead node 1 had, and is stopped."""
    hold(lab, manager.start)
    lab.power_cut(1)
    wait_for(lambda: not lab.daemon[2].peer(1)["alive"], what="node 1 is gone")
    assert manager.stop() == 0


def is_all_here(lab):
    daemon = lab.daemon[2]
    assert orphans(daemon) >= FLOWS
    assert not os.path.exists(daemon.socket + ".tables"), "nothing is taken twice"
    daemon.twintrack("primary")
    assert lab.flow_count(2) >= FLOWS


@pytest.mark.parametrize("tells", [False, True])
def test_an_upgrade_of_a_backup_whose_active_node_has_died_loses_nothing(lab, supervise, tells):
    manager = supervise(tells_store=tells)
    left_alone(lab, manager)
    wait_for(lambda: "twintrack-tables" in manager.store, what="it is in the store")
    manager.start()
    wait_for(lambda: manager.store == {}, what="nothing is taken twice")
    is_all_here(lab)


@pytest.mark.parametrize("tells", [False, True])
def test_a_manager_without_a_store_costs_nothing(lab, supervise, tells):
    """FileDescriptorStoreMax=0, or a unit of the operator's own: that a descriptor was told of does not mean that it is kept."""
    manager = supervise(keeps_descriptors=False, tells_store=tells)
    left_alone(lab, manager)
    if tells:
        assert not any(line.startswith("FDSTORE=1") for line in manager.lines())
    manager.start()
    is_all_here(lab)


def test_a_stop_and_a_start_lose_nothing(lab, supervise):
    """A manager drops the store of a service that is stopped and not restarted."""
    manager = supervise()
    left_alone(lab, manager)
    wait_for(lambda: "twintrack-tables" in manager.store, what="it is in the store")
    manager.forget("twintrack-tables")
    manager.start()
    is_all_here(lab)


@pytest.mark.parametrize("spoil", ["gone", "cut"])
def test_the_store_has_what_the_file_has_not(lab, supervise, spoil):
    manager, path = supervise(), lab.daemon[2].socket + ".tables"
    left_alone(lab, manager)
    wait_for(lambda: "twintrack-tables" in manager.store, what="it is in the store")
    if spoil == "gone":
        os.unlink(path)
    else:
        os.truncate(path, 5000)
    manager.start()
    assert ("[not-taken]" in lab.daemon[2].log()) == (spoil == "cut")
    is_all_here(lab)


def test_without_a_service_manager_a_file_does_it(lab):
    hold(lab)
    lab.power_cut(1)
    daemon = lab.daemon[2]
    wait_for(lambda: not daemon.peer(1)["alive"], what="node 1 is gone")
    assert daemon.stop() == 0
    assert os.stat(daemon.socket + ".tables").st_mode & 0o777 == 0o600
    daemon.start()
    assert not os.path.exists(daemon.socket + ".tables")
    assert orphans(daemon) >= FLOWS and daemon.status()["role"] == "backup"
    daemon.stop()
    daemon.start()
    daemon.twintrack("primary")
    assert lab.flow_count(2) >= FLOWS, "through two restarts"
    daemon.stop()
    assert not os.path.exists(daemon.socket + ".tables"), "what is committed is the kernel's"


def test_connections_live_through_an_upgrade_in_the_worst_moment(lab):
    """The active node dies, the backup's daemon is restarted before it is asked to take over."""
    overrides = {"fence": {"enable": "yes", "address": [WAN_VIP, "192.168.10.1"]}}
    lab.start(overrides)
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    traffic = lab.traffic(200)
    wait_for(lambda: lab.daemon[2].peer(1).get("in_sync") and lab.daemon[2].peer(1)["flows"] >= 200, what="it holds all")
    traffic.mark()
    lab.power_cut(1)
    lab.daemon[2].stop()
    lab.daemon[2].start()
    lab.vip_to(2)
    lab.daemon[2].twintrack("primary")
    verdict = traffic.verdict()
    assert (verdict.alive, verdict.killed, verdict.hung) == (verdict.before, 0, 0), verdict
    assert verdict.before == 200


def test_an_owner_that_lives_replaces_what_was_left(lab):
    hold(lab)
    lab.daemon[2].stop()
    lab.flowgen(1, "destroy", "--count", 1000)
    lab.daemon[2].start()
    wait_for(lambda: lab.daemon[2].peer(1).get("in_sync") and orphans(lab.daemon[2]) == 0
             and lab.daemon[2].peer(1)["flows"] < FLOWS, what="it is in step again, and what ended meanwhile is not kept")
    lab.power_cut(1)
    lab.daemon[2].twintrack("primary")
    assert FLOWS - 1000 <= lab.flow_count(2) < FLOWS


@pytest.mark.parametrize("spoil", ["cut", "bytes", "other boot", "owner"])
def test_what_is_spoilt_is_passed_over_and_said(lab, spoil):
    hold(lab)
    lab.power_cut(1)
    daemon = lab.daemon[2]
    daemon.stop()
    path = daemon.socket + ".tables"
    with open(path, "rb") as file:
        data = bytearray(file.read())
    if spoil == "cut":
        data = data[:len(data) // 2]
    elif spoil == "bytes":
        data[-20] ^= 1
    elif spoil == "other boot":
        data[12] ^= 1
    with open(path, "wb") as file:
        file.write(data)
    if spoil == "owner":
        os.chown(path, 5, 5)
    daemon.start()
    assert daemon.status()["role"] == "backup" and orphans(daemon) == 0
    assert "[not-taken]" in daemon.log() and not os.path.exists(path)


def test_a_crash_costs_what_only_that_node_held(lab):
    """kill -9: nothing can be left.  What a live peer has comes again; what a dead one had is lost (operations.md)."""
    hold(lab)
    lab.daemon[2].kill()
    start = time.monotonic()
    lab.daemon[2].start()
    wait_for(lambda: lab.daemon[2].peer(1).get("in_sync") and lab.daemon[2].peer(1)["flows"] >= FLOWS, what="it came again")
    flows.timings.append(f"kill -9 of a backup: {FLOWS} flows are here again, proven, after {time.monotonic() - start:.2f} s")
    lab.power_cut(1)
    wait_for(lambda: not lab.daemon[2].peer(1)["alive"], what="node 1 is gone")
    lab.daemon[2].signal(signal.SIGKILL)
    lab.daemon[2].process.wait(60)
    lab.daemon[2].start()
    assert orphans(lab.daemon[2]) == 0 and lab.daemon[2].peer(1).get("flows", 0) == 0
