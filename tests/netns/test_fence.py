# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence in the daemon's hands: closed while backup, open for a primary, and open by itself whenever something fails."""

import re

import pytest

from lab import LAN_VIP, SERVER, WAN_VIP, wait_for

CONFIGURED = {"fence": {"enable": "yes", "address": [LAN_VIP, WAN_VIP, "fd00:10::1", "fd00:20::1"]}}
LEARNT = {"fence": {"enable": "yes"}}
BOTH = pytest.mark.parametrize("fence", [CONFIGURED, LEARNT], ids=["configured", "learnt"])


def table(lab, node=2):
    """The fence's nf_tables table in a node's kernel; "" when there is none."""
    listed = lab.fw[node].run("nft", "list", "tables").stdout
    return next((line for line in listed.splitlines() if "twintrack" in line), "")


def passes(lab, address=LAN_VIP):
    """True if the client gets an answer from an address."""
    return lab.client.run("ping", "-n", "-c", "1", "-W", "1", address, check=False).returncode == 0


def backup(lab, fence, **keys):
    """Node 2 is a backup with this fence, and has the virtual addresses' neighbours on its side."""
    lab.daemon[2].start(overrides={"fence": {**fence["fence"], **keys}})
    lab.daemon[2].twintrack("backup")
    assert lab.daemon[2].status()["fence"]["armed"] and table(lab)
    return lab.daemon[2]


def move_addresses(lab):
    lab.vip_from(1)
    lab.vip_to(2)


@BOTH
def test_closed_while_backup_and_open_for_a_primary(lab, fence):
    daemon = backup(lab, fence, **{"max-wait": "5m"})
    assert passes(lab, "192.168.10.12"), "an address of the host itself is never held back"
    move_addresses(lab)
    wait_for(lambda: daemon.status()["fence"]["address_here"], what="the address is seen")
    before = daemon.status()["fence"]
    assert not passes(lab) and not passes(lab, SERVER)
    after = daemon.status()["fence"]
    assert after["virtual_packets"] > before["virtual_packets"] and after["forward_packets"] > before["forward_packets"]
    assert after["virtual_bytes"] > before["virtual_bytes"] and after["forward_bytes"] > before["forward_bytes"]
    wait_for(lambda: daemon.status()["fence"]["refreshes"] > after["refreshes"], what="it is refreshed")
    assert daemon.status()["fence"]["learnt"] == (4 if fence is LEARNT else 0)
    assert "armed" in daemon.twintrack("status").stdout
    daemon.twintrack("primary")
    wait_for(lambda: passes(lab), what="the primary answers")
    state = daemon.status()["fence"]
    assert (state["enabled"], state["armed"], state["state"], state["closed"]) == (True, False, "open", 1)
    daemon.twintrack("fault")
    assert daemon.status()["fence"]["armed"]


@BOTH
def test_a_killed_daemon_opens_it_at_once(lab, fence):
    daemon = backup(lab, fence, timeout="60s", **{"max-wait": "5m"})
    move_addresses(lab)
    assert not passes(lab)
    daemon.kill()
    wait_for(lambda: not table(lab), timeout=10, what="the table went with its owner")
    assert passes(lab)


@BOTH
def test_a_hung_daemon_opens_it_within_its_timeout(lab, fence):
    daemon = backup(lab, fence, timeout="1s", **{"max-wait": "5m"})
    move_addresses(lab)
    assert not passes(lab)
    daemon.pause()
    wait_for(lambda: passes(lab), timeout=10, what="it opens though the daemon hangs")
    assert table(lab), "by its timeout, not by the end of its owner"
    daemon.resume()
    wait_for(lambda: not passes(lab) and daemon.status()["fence"]["armed"], what="the daemon goes on, and closes it")
    assert daemon.status()["fence"]["lapses"] >= 1


@BOTH
def test_it_gives_up_when_nobody_calls_primary(lab, fence):
    daemon = backup(lab, fence, **{"max-wait": "2s"})
    move_addresses(lab)
    assert not passes(lab)
    wait_for(lambda: passes(lab), timeout=20, what="it opens after max-wait")
    state = daemon.status()["fence"]
    assert (state["armed"], state["state"], state["gave_up"]) == (False, "gave-up", 1)
    assert re.search(r"error: a virtual address has been here for 2 s and no `primary` followed: the fence opens",
                     daemon.log())
    assert any("no `primary` followed" in problem for problem in daemon.status()["problems"])
    assert daemon.twintrack("health", "--strict", check=False).returncode == 1
    lab.vip_from(2)
    wait_for(lambda: daemon.status()["fence"]["armed"], what="it closes again when the address has left")


def test_an_address_that_was_here_before_the_role_is_waited_for_as_well(lab):
    move_addresses(lab)
    daemon = backup(lab, CONFIGURED, **{"max-wait": "2s"})
    wait_for(lambda: passes(lab), timeout=20, what="it opens after max-wait")
    assert daemon.status()["fence"]["gave_up"] == 1


def test_flush_ruleset_leaves_it(lab):
    daemon = backup(lab, CONFIGURED, **{"max-wait": "5m"})
    move_addresses(lab)
    lab.fw[2].nft("flush ruleset\n")
    assert table(lab) and not passes(lab)
    assert daemon.status()["fence"]["armed"]


def test_accept_interface_is_never_held_back(lab):
    daemon = backup(lab, CONFIGURED, **{"max-wait": "5m", "accept-interface": "lan0"})
    move_addresses(lab)
    assert passes(lab)
    assert lab.server.run("ping", "-n", "-c", "1", "-W", "1", WAN_VIP, check=False).returncode != 0
    daemon.write_config(overrides={"fence": {**CONFIGURED["fence"], "max-wait": "5m", "accept-interface": ["lan0", "wan0"]}})
    assert "[fence] accept-interface: applied" in daemon.twintrack("reload").stdout
    assert lab.server.run("ping", "-n", "-c", "1", "-W", "1", WAN_VIP).returncode == 0


def test_an_address_on_reload_is_fenced(lab):
    daemon = backup(lab, {"fence": {"enable": "yes", "address": WAN_VIP}}, **{"max-wait": "5m"})
    move_addresses(lab)
    assert passes(lab)
    daemon.write_config(overrides={"fence": {"enable": "yes", "address": [WAN_VIP, "192.168.10.0/28"], "max-wait": "5m"}})
    daemon.twintrack("reload")
    assert not passes(lab)


def test_learnt_addresses_are_known_again_after_a_crash(lab):
    daemon = backup(lab, LEARNT, **{"max-wait": "5m"})
    move_addresses(lab)
    wait_for(lambda: daemon.status()["fence"]["learnt"] == 4, what="all are learnt")
    daemon.kill()
    assert passes(lab)
    daemon.start()
    state = daemon.status()
    assert state["role"] == "backup" and state["fence"]["armed"] and state["fence"]["learnt"] == 4
    assert not passes(lab)


def test_without_a_fence_status_and_health_say_what_a_takeover_may_do(lab):
    daemon = lab.daemon[2].start()
    daemon.twintrack("backup")
    state = daemon.status()
    assert state["fence"]["enabled"] is False and state["fence"]["armed"] is False and not table(lab)
    assert any("the fence is off: a takeover may reset connections" in problem for problem in state["problems"])
    assert "a takeover may reset connections" in " ".join(daemon.twintrack("status").stdout.split())
    assert daemon.twintrack("health").returncode == 0
    strict = daemon.twintrack("health", "--strict", check=False)
    assert strict.returncode == 1 and "fence" in strict.stdout


def test_nobody_else_can_delete_its_table(lab):
    daemon = backup(lab, CONFIGURED, **{"max-wait": "5m", "timeout": "1s"})
    family, name = table(lab).split()[1:3]
    assert daemon.status()["fence"]["table"] == name and daemon.status()["fence"]["repairs"] == 0
    done = lab.fw[2].run("nft", "delete", "table", family, name, check=False)
    assert done.returncode != 0 and table(lab), "the owner flag keeps others off"
    assert daemon.status()["fence"]["armed"]


def test_it_is_refused_in_active_active_mode(lab):
    daemon = lab.daemon[2]
    daemon.write_config(overrides=CONFIGURED, node={"mode": "active-active"})
    daemon.start(wait=False)
    assert daemon.process.wait(20) == 2
    assert re.search(r"twintrackd\.conf:\d+: .*enable.*active-active", daemon.log())
