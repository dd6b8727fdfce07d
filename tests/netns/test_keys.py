# SPDX-License-Identifier: GPL-2.0-or-later
"""Each key of the configuration does what it says; coverage.py knows which test shows which key."""

import os
import re
import socket
import time

import pytest

from lab import CLIENT, LAN_VIP, SERVER, WAN_VIP, Lab, wait_for
from limits import limit
from programs import program
import tables
import wire


def in_step(lab, flows=None):
    """Waits until both nodes are proven equal, and node 2 holds so many flows of node 1."""
    wait_for(lambda: all(lab.daemon[node].peer(3 - node).get("in_sync") for node in (1, 2)) and
             (flows is None or lab.daemon[2].peer(1)["flows"] == flows), what="both are in step")


def sent(lab, node=1):
    return lab.daemon[node].status()["network"]["sent_datagrams"]


def elapsed(condition, what):
    """How many seconds it takes until a condition holds."""
    start = time.monotonic()
    wait_for(condition, what=what)
    return time.monotonic() - start


def test_id_names_the_node_in_status_and_on_the_wire(lab):
    with wire.Recorder(lab, 2) as recorder:
        lab.start(overrides=lambda node: {"node": {"id": 65533 + node}})
        wait_for(lambda: lab.daemon[1].peer(65535).get("in_sync") and lab.daemon[2].peer(65534).get("in_sync"))
    assert lab.daemon[1].status()["node"] == 65534
    assert wire.of_node(recorder.stop(), 65534)


@pytest.mark.parametrize("mode", ["active-backup", "active-active"])
def test_mode_says_whether_two_primaries_are_a_split_brain(lab, mode):
    lab.start(overrides={"node": {"mode": mode}})
    in_step(lab)
    for node in lab.nodes:
        lab.daemon[node].twintrack("primary")
    wait_for(lambda: lab.daemon[1].peer(2)["role"] == "primary", what="node 1 knows")
    for node in lab.nodes:
        status = wait_for(lambda: (s := lab.daemon[node].status())["split_brain"] == (mode == "active-backup") and s)
        assert any("split brain" in problem for problem in status["problems"]) == (mode == "active-backup")
        assert status["mode"] == status["peers"][0]["mode"] == mode
        if mode == "active-active":
            assert "commit" in lab.daemon[node].twintrack("primary", "--json").stdout, "each `primary` commits again"
        else:
            assert "split brain" in " ".join(lab.daemon[node].twintrack("status").stdout.split())


def test_keys_roll_over_without_losing_sync(lab):
    new = Lab.genkey(os.path.join(lab.directory, "new"))
    lab.flowgen(1, "create", "--count", 20)
    lab.start()
    in_step(lab, 20)
    before = [(p := lab.daemon[node].peer(3 - node))["resyncs"]["full"] for node in lab.nodes]
    sessions = [lab.daemon[node].status()["session"] for node in lab.nodes]
    steps = [{"key-file": lab.key, "accept-key-file": new}, {"key-file": new, "accept-key-file": lab.key},
             {"key-file": new, "accept-key-file": None}]
    for step, keys in enumerate(steps):
        for node in lab.nodes:
            lab.daemon[node].write_config(sync=keys)
            assert "key" in lab.daemon[node].twintrack("reload").stdout
            count = 20 + 10 * (2 * step + node)
            lab.flowgen(1, "create", "--first", count - 10, "--count", 10)
            in_step(lab, count)
    for node in lab.nodes:
        status = lab.daemon[node].status()
        assert status["drops"]["unknown-key"] == 0 and status["strangers"] == []
        assert status["session"] == sessions[node - 1] and status["peers"][0]["resyncs"]["full"] == before[node - 1]
    with wire.Recorder(lab, 1) as recorder:
        total = sent(lab)
        wait_for(lambda: sent(lab) > total + 2)
    ids = {data[wire.KEY_AT:wire.KEY_AT + 4] for _, data in recorder.stop()}
    assert len(ids) == 1, "all is sealed with the new key"


@pytest.mark.parametrize("cipher, number", [("aes-256-gcm", 1), ("chacha20-poly1305", 2)])
def test_cipher_is_named_on_the_wire(lab, cipher, number):
    with wire.Recorder(lab, 2) as recorder:
        lab.start(overrides={"sync": {"cipher": cipher}})
        in_step(lab)
    assert {data[wire.CIPHER_AT] for _, data in recorder.stop()} == {number}


def test_heartbeat_is_the_rate_of_an_idle_node(lab):
    daemon = lab.daemon[1].start(overrides={"sync": {"heartbeat": "20ms", "peer-timeout": "5s"}})
    first = sent(lab)
    fast = elapsed(lambda: sent(lab) >= first + 25, "25 heartbeats")
    daemon.write_config(sync={"heartbeat": "500ms", "peer-timeout": "5s"})
    assert "[sync] heartbeat: applied" in daemon.twintrack("reload").stdout
    first = sent(lab)
    slow = elapsed(lambda: sent(lab) >= first + 4, "4 heartbeats")
    assert slow > 1.4 and fast / 25 < slow / 4 / 2


def test_peer_timeout_is_how_long_a_silent_peer_counts_as_alive(lab):
    waits = {}
    for timeout in (1, 4):
        lab.start(overrides={"sync": {"peer-timeout": f"{timeout}s"}})
        in_step(lab)
        lab.daemon[2].kill()
        waits[timeout] = elapsed(lambda: not lab.daemon[1].peer(2)["alive"], "node 2 counts as silent")
        assert lab.daemon[1].peer(2)["silent_ms"] >= 700 * timeout
        assert lab.daemon[1].peer(2)["holds"]["reason"] == "node 2 is silent"
        lab.daemon[1].stop()
    assert waits[4] > 2.5 and waits[4] > waits[1] + 1


def test_group_and_port_are_where_it_listens_and_sends(lab):
    with wire.Recorder(lab, 2, port=9790) as recorder:
        lab.start(overrides={"link sync0": {"group": "239.77.1.1", "port": 9790}})
        in_step(lab)
    assert wire.of_node(recorder.stop(), 1)
    assert "239.77.1.1" in lab.fw[1].run("ip", "maddr", "show", "dev", "sync0").stdout
    assert ":9790" in lab.fw[1].run("ss", "-Hlun").stdout and ":9788" not in lab.fw[1].run("ss", "-Hlun").stdout
    link = lab.daemon[1].status()["links"][0]
    assert (link["kind"], link["port"], link["interface"]) == ("multicast", 9790, "sync0")


def test_an_ipv6_group_works_as_well(lab):
    lab.start(overrides={"link sync0": {"group": "ff02::4:55"}})
    in_step(lab)
    assert "ff02::4:55" in lab.fw[1].run("ip", "maddr", "show", "dev", "sync0").stdout


def test_peer_sends_to_that_node_alone_and_address_is_sent_from(lab):
    for node in lab.nodes:
        lab.fw[node].ip(f"addr add 10.255.0.{100 + node}/24 dev sync0")
    with wire.Recorder(lab, 2) as recorder:
        lab.start(overrides=lambda node: {"link sync0": {"group": None, "peer": f"10.255.0.{103 - node}",
                                                         "address": f"10.255.0.{100 + node}"}})
        in_step(lab)
    assert {source for source, _ in recorder.stop()} == {"10.255.0.101", "10.255.0.102"}
    assert lab.daemon[1].status()["links"][0]["kind"] == "unicast"
    assert "10.255.0.102" in lab.daemon[1].peer(2)["links"][0]["address"]


@pytest.mark.parametrize("mtu, least, most", [(None, 1300, 1472), (1280, 1100, 1252)])
def test_mtu_bounds_a_datagram(lab, mtu, least, most):
    lab.flowgen(1, "create", "--count", 500)
    with wire.Recorder(lab, 1) as recorder:
        lab.start(overrides={"link sync0": {"mtu": mtu}})
        in_step(lab, 500)
    assert least <= max(len(data) for _, data in recorder.stop()) <= most
    assert lab.daemon[1].status()["links"][0]["mtu"] == (mtu or 1500)


def test_the_buffers_are_the_sockets_buffers(lab):
    """The kernel doubles what it is given (socket(7))."""
    daemon = lab.daemon[1].start(overrides={"link sync0": {"send-buffer": "128K", "receive-buffer": "3M"},
                                            "kernel": {"event-buffer": "5M", "event-buffer-max": "6M"}})
    link = re.sub(r"\s+", " ", lab.fw[1].run("ss", "-Hluanm", "sport", "=", ":9788").stdout)
    assert f"rb{2 * 3 << 20}" in link.replace(",", " ") and f"tb{2 * 128 << 10}" in link.replace(",", " ")
    netlink = lab.fw[1].run("ss", "-Hanm", "-f", "netlink").stdout
    assert f"rb{2 * 5 << 20}," in netlink
    status = daemon.status()
    assert status["kernel"]["event_buffer"] in (5 << 20, 10 << 20)
    assert (status["links"][0]["send_buffer"], status["links"][0]["receive_buffer"]) == (256 << 10, 6 << 20)


def test_event_buffer_max_is_how_far_the_buffer_grows(lab):
    daemon = lab.daemon[1].start(overrides={"kernel": {"event-buffer": "64K", "event-buffer-max": "256K"}})
    before = daemon.status()["kernel"]["event_buffer"]
    for first in range(0, 60000, 20000):
        daemon.pause()
        lab.flowgen(1, "create", "--first", first, "--count", 20000)
        daemon.resume()
        wait_for(lambda: daemon.status()["kernel"]["overruns"] > first // 20000, what="events were lost")
        wait_for(lambda: not daemon.status()["kernel"]["suspect"], what="an audit has repaired it")
        assert daemon.status()["internal"]["flows"] == first + 20000
    kernel = daemon.status()["kernel"]
    assert before < kernel["event_buffer"] <= 512 << 10
    assert kernel["audit"]["passes"] > 3
    assert f"rb{512 << 10}," in lab.fw[1].run("ss", "-Hanm", "-f", "netlink").stdout


def test_audit_interval_is_when_silent_changes_are_found(lab):
    lab.fw[1].sysctl(net__netfilter__nf_conntrack_events=0)
    lab.flowgen(1, "create", "--count", 200)  # these send no events, ever
    lab.fw[1].sysctl(net__netfilter__nf_conntrack_events=2)
    daemon = lab.daemon[1].start(overrides={"kernel": {"audit-interval": "24h"}})
    wait_for(lambda: daemon.status()["internal"]["flows"] == 200, what="the first dump")
    assert daemon.status()["kernel"]["conntrack_events"] == 2
    lab.flowgen(1, "destroy", "--count", 200)
    assert daemon.twintrack("verify", check=False).returncode == 1
    assert daemon.status()["internal"]["flows"] == 200
    daemon.write_config(kernel={"audit-interval": "1s"})
    assert "[kernel] audit-interval: applied" in daemon.twintrack("reload").stdout
    wait_for(lambda: daemon.status()["internal"]["flows"] == 0, what="the audit finds it")
    assert daemon.status()["kernel"]["audit"]["corrections"] >= 200
    passes = daemon.status()["kernel"]["audit"]["passes"]
    wait_for(lambda: daemon.status()["kernel"]["audit"]["passes"] >= passes + 2, timeout=30, what="a pass each second")
    daemon.twintrack("verify")


def test_max_flows_refuses_what_is_beyond(lab):
    lab.start(overrides={"table": {"max-flows": 50}})
    in_step(lab)
    lab.flowgen(1, "create", "--count", 80)
    status = wait_for(lambda: (s := lab.daemon[1].status())["internal"]["flows_refused"] >= 30 and s, what="30 are refused")
    assert status["internal"]["flows"] == status["internal"]["max_flows"] == 50 and status["internal"]["refused"]
    assert any("raise [table] max-flows" in problem for problem in status["problems"])
    wait_for(lambda: not lab.daemon[2].peer(1)["holds"]["in_sync"], what="it is not in sync")
    for node in lab.nodes:
        lab.daemon[node].write_config(table={"max-flows": "auto"})
        assert "[table] max-flows: applied" in lab.daemon[node].twintrack("reload").stdout
    wait_for(lambda: lab.daemon[1].status()["internal"]["flows"] == 80, timeout=20, what="an audit at once brings the rest")
    assert lab.daemon[1].status()["internal"]["max_flows"] == limit("nf_conntrack_max")
    in_step(lab, 80)


def test_ignore_local_leaves_out_the_host_s_own_flows(lab):
    daemon = lab.daemon[1].start(overrides={"kernel": {"audit-interval": "1s"}})
    lab.daemon[2].start()
    in_step(lab)

    def internal():
        return " ".join(lab.table_flows(1, "internal"))

    lab.client.run("ping", "-c", "1", LAN_VIP)  # to the firewall itself
    lab.client.run("ping", "-c", "1", SERVER)  # through it
    wait_for(lambda: f"src={CLIENT} dst={SERVER}" in internal(), what="what passes is replicated")
    assert f"dst={LAN_VIP}" not in internal() and "239.192" not in internal() and "10.255.0" not in internal()
    daemon.write_config(filter={"ignore-local": "no"}, kernel={"audit-interval": "1s"})
    assert "[filter] ignore-local: applied" in daemon.twintrack("reload").stdout
    lab.client.run("ping", "-c", "1", LAN_VIP)
    wait_for(lambda: f"dst={LAN_VIP}" in internal(), what="its own are replicated too")
    assert "239.192.55.1" in internal(), "and so is the sync traffic"
    wait_for(lambda: lab.daemon[2].peer(1)["filters_differ"], what="node 2 sees that the filters differ")


@pytest.mark.parametrize("timeout", ["auto", "77"])
def test_commit_timeout_is_that_of_committed_flows(lab, timeout):
    lab.start(overrides={"commit": {"timeout": timeout}})
    lab.daemon[1].twintrack("primary")
    lab.flowgen(1, "create", "--count", 10, "--timeout", 5000, "--snat", WAN_VIP)
    in_step(lab, 10)
    lab.daemon[1].kill()
    lab.daemon[2].twintrack("primary")
    flows = tables.parse_all(lab.fw[2].run("conntrack", "-L", "-p", "tcp").stdout)
    assert len(flows) == 10
    assert all(flow.timeout <= 77 if timeout == "77" else flow.timeout > 4000 for flow in flows)


@pytest.mark.parametrize("wanted, policy", [("other", os.SCHED_OTHER), ("rr:7", os.SCHED_RR), ("fifo:3", os.SCHED_FIFO)])
def test_scheduler_is_the_process_s(lab, wanted, policy):
    daemon = lab.daemon[1].start(overrides={"process": {"scheduler": wanted}})
    assert os.sched_getscheduler(daemon.process.pid) & 0xff == policy
    assert os.sched_getparam(daemon.process.pid).sched_priority == int(wanted.partition(":")[2] or 0)


def test_level_is_the_least_that_is_logged(lab):
    daemon = lab.daemon[1].start(overrides={"log": {"level": "error"}})
    assert daemon.log() == ""
    daemon.write_config(log={"level": "notice"})
    daemon.twintrack("reload")
    wait_for(lambda: "reload" in daemon.log(), timeout=20)
    assert " info: " not in daemon.log()


def test_target_is_where_it_logs(lab):
    daemon, path = lab.daemon[1], os.path.join(lab.directory, "syslog")
    daemon.write_config(log={"target": "syslog:local3"})
    devices = "; ".join(f"mknod -m 666 /dev/{name} c 1 {minor}" for name, minor in (("null", 3), ("urandom", 9)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(path)
        syslog.settimeout(30)
        with open(daemon.log_path, "w", encoding="ascii") as log:
            daemon.process = lab.fw[1].popen(
                "unshare", "-m", "sh", "-c", f"mount -t tmpfs dev /dev; {devices}; ln -s {path} /dev/log; "
                f"exec {program('twintrackd')} -C {daemon.config}", stdout=log, stderr=log)
        heard = syslog.recv(4096).decode()
        assert heard.startswith("<157>") and "twintrackd" in heard and "node 1" in heard  # local3 (19) * 8 + notice (5)
        wait_for(lambda: daemon.twintrack("status", check=False).returncode == 0)
        daemon.write_config(log={"target": "stderr"})
        assert "[log] target: applied" in daemon.twintrack("reload").stdout
        wait_for(lambda: "reloaded" in daemon.log(), timeout=20, what="stderr has it")
