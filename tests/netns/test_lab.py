# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself holds what it promises; nothing of Twintrack runs here but the tools."""

import os
import signal
import subprocess
import sys

from lab import LAN_VIP, SERVER, SERVER6, WAN_VIP, WAN_VIP6, Lab, wait_for
from limits import LOCK, PATHS, HostLimits, limit
from programs import BUILD, JsonLines, program, render, tool
import tables

HERE = os.path.dirname(os.path.abspath(__file__))


def test_traffic_passes_the_firewall_translated(lab):
    traffic = lab.traffic(200)
    traffic.mark()
    verdict = traffic.verdict()
    assert (verdict.before, verdict.alive, verdict.killed) == (200, 200, 0)
    flows = [flow for flow in tables.parse_all(lab.fw[1].run("conntrack", "-L", "-p", "tcp").stdout)
             if flow.original["dst"] == SERVER]
    assert len(flows) == 200
    assert all(flow.reply["dst"] == WAN_VIP and flow.state == "ESTABLISHED" for flow in flows)


def test_traffic_passes_over_ipv6(lab):
    traffic = lab.traffic(50, address=SERVER6)
    traffic.mark()
    assert traffic.verdict().alive == 50
    flows = tables.parse_all(lab.fw[1].run("conntrack", "-L", "-f", "ipv6", "-p", "tcp").stdout)
    assert {flow.reply["dst"] for flow in flows} == {WAN_VIP6}


def test_without_any_sync_a_failover_kills_what_the_server_speaks_on(lab):
    traffic = lab.traffic(400)
    lab.power_cut(1)
    traffic.mark()
    lab.vip_to(2)
    verdict = traffic.verdict()
    assert verdict.before == 400
    assert verdict.killed == 200
    assert verdict.reasons == {"reset": 200}
    assert verdict.longest_wait_ms < 10000


def test_a_connection_that_gets_no_answer_counts_as_killed(lab):
    traffic = lab.traffic(20, verdict_s=2)
    lab.power_cut(1)
    traffic.mark()
    verdict = traffic.verdict()
    assert (verdict.killed, verdict.hung) == (20, 20)


def test_the_vip_moves_and_the_neighbours_know(lab):
    lab.client.run("ping", "-c", "1", "-W", "5", LAN_VIP)
    lab.vip_from(1)
    lab.vip_to(2)
    assert lab.client.run("ping", "-c", "1", "-W", "5", LAN_VIP).returncode == 0
    neighbours = lab.client.run("ip", "neigh", "show", LAN_VIP).stdout
    mac = lab.fw[2].run("cat", "/sys/class/net/lan0/address").stdout.strip()
    assert mac in neighbours


def test_loss_loses_its_share_both_ways(lab):
    def received(sender, receiver):
        reader = JsonLines(lab.fw[receiver], program("tools/inject"), "record", "--interface", "sync0", "--port",
                           9788, "--file", os.path.join(lab.directory, "record"), "--seconds", 60)
        reader.wait_event("ready")
        tool(lab.fw[sender], "inject", "random", "--to", "239.192.55.1", "--port", 9788, "--interface", "sync0",
             "--seed", 1, "--count", 2000, "--size", 100)
        reader.signal(signal.SIGTERM)
        return reader.finish()["datagrams"]

    assert received(1, 2) == 2000
    lab.loss(20)
    assert 1450 < received(1, 2) < 1750
    assert 1450 < received(2, 1) < 1750
    lab.dark()
    assert received(1, 2) == 0
    lab.back()
    assert received(2, 1) == 2000


def test_a_recorded_datagram_comes_back_with_one_bit_flipped(lab):
    record = os.path.join(lab.directory, "first")
    again = os.path.join(lab.directory, "second")
    reader = JsonLines(lab.fw[2], program("tools/inject"), "record", "--interface", "sync0", "--port", 9788,
                       "--file", record, "--count", 1)
    reader.wait_event("ready")
    tool(lab.fw[1], "inject", "send", "--to", lab.sync_address(2), "--port", 9788, "--hex", "00ff00")
    reader.finish()
    reader = JsonLines(lab.fw[2], program("tools/inject"), "record", "--interface", "sync0", "--port", 9788,
                       "--file", again, "--count", 1)
    reader.wait_event("ready")
    tool(lab.fw[1], "inject", "replay", "--to", lab.sync_address(2), "--port", 9788, "--file", record,
         "--flip-bit", 9, "--from", "10.255.0.77", "--from-port", 777)
    reader.finish()
    with open(record, "rb") as first, open(again, "rb") as second:
        before, after = first.read(), second.read()
    assert before[22:] == bytes.fromhex("00ff00") and after[22:] == bytes.fromhex("00fd00")
    assert after[4:6] == (777).to_bytes(2, "big") and after[18:22] == bytes([10, 255, 0, 77])


def test_flowgen_makes_changes_and_ends_the_flows_it_names(lab):
    assert lab.flowgen(1, "create", "--count", 1000, "--mark", 3)["errors"] == {}
    assert lab.flowgen(1, "create", "--count", 1000)["errors"] == {"EEXIST": 1000}
    assert lab.flowgen(1, "update", "--first", 500, "--count", 500, "--mark", 9, "--tcp-state",
                       "close_wait")["done"] == 500
    flows = tables.parse_all(lab.fw[1].run("conntrack", "-L", "-p", "tcp").stdout)
    assert sum(flow.others["mark"] == "9" and flow.state == "CLOSE_WAIT" for flow in flows) == 500
    assert lab.flowgen(1, "destroy", "--count", 1000)["errors"] == {}
    assert lab.flowgen(1, "churn", "--rate", 2000, "--seconds", 1, "--alive", 100)["errors"] == {}
    assert sum(lab.kernel_flows(1, "-p", "tcp").values()) == 0


def test_flowgen_translates_as_the_ruleset_would(lab):
    lab.flowgen(1, "create", "--count", 70000, "--snat", WAN_VIP)
    flows = tables.parse_all(lab.fw[1].run("conntrack", "-L", "-p", "tcp").stdout)
    assert len(flows) == 70000
    assert all(flow.reply["dst"] == WAN_VIP and flow.reply["dport"] == flow.original["sport"] for flow in flows)


def test_a_rebooted_firewall_has_an_empty_kernel_and_its_cables(lab):
    lab.flowgen(1, "create", "--count", 10)
    lab.power_cut(1)
    lab.reboot(1)
    assert lab.flow_count(1) == 0
    assert lab.fw[1].run("ping", "-c", "1", "-W", "5", lab.sync_address(2)).returncode == 0


def test_three_nodes_reach_each_other_over_two_links(make_lab):
    lab = make_lab(nodes=3, sync_links=2)
    for link in lab.sync_links:
        for node in (2, 3):
            assert lab.fw[1].run("ping", "-c", "1", "-W", "5", lab.sync_address(node, link)).returncode == 0


def test_a_pulled_cable_is_seen_as_lost_carrier(lab):
    def carrier():
        return lab.fw[1].run("cat", "/sys/class/net/sync0/carrier").stdout.strip()

    lab.link_set(1, "sync0", "down")
    wait_for(lambda: carrier() == "0", what="the carrier goes")
    lab.link_set(1, "sync0", "up")
    wait_for(lambda: carrier() == "1", what="the carrier comes")


def test_equal_flows_compare_equal_whatever_their_age():
    young = "tcp      6 431999 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2 src=2.2.2.2 dst=1.1.1.1 " \
            "sport=2 dport=1 [ASSURED] mark=0 use=1"
    old = young.replace("431999", "17").replace("use=1", "use=2")
    assert tables.normalise(young) == tables.normalise(old)
    assert tables.normalise(young) != tables.normalise(young.replace("mark=0", "mark=1"))
    ping = "icmp     1 29 src=1.1.1.1 dst=2.2.2.2 type=8 code=0 id=7 src=2.2.2.2 dst=1.1.1.1 type=0 code=0 id=7 use=1"
    assert tables.normalise(ping) != tables.normalise(ping.replace("id=7", "id=8"))
    flow = tables.parse(ping)
    assert (flow.timeout, flow.original["id"], flow.reply["type"]) == (29, "7", "0")


def test_a_list_repeats_its_key_and_none_leaves_it_out():
    text = render({"link sync0": {"peer": ["192.0.2.2", "192.0.2.3"], "group": None}})
    assert text == "[link sync0]\npeer = 192.0.2.2\npeer = 192.0.2.3\n"


def test_host_limits_come_back_even_after_a_kill():
    before = limit("nf_conntrack_max")
    with HostLimits(nf_conntrack_max=before + 1000):
        assert limit("nf_conntrack_max") == before + 1000
    assert limit("nf_conntrack_max") == before
    script = (f"import sys, time; sys.path.insert(0, {HERE!r}); from limits import HostLimits\n"
              f"with HostLimits(nf_conntrack_max={before + 2000}): print('raised', flush=True); time.sleep(60)\n")
    for number in (signal.SIGTERM, signal.SIGKILL):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline().strip() == "raised"
        child.send_signal(number)
        child.wait(30)
        child.stdout.close()
        with HostLimits():
            pass
        assert limit("nf_conntrack_max") == before, number
    assert os.path.exists(LOCK) and os.path.exists(PATHS["nf_conntrack_buckets"])


def test_nothing_stays_behind_after_a_signal_or_a_kill():
    script = (f"import sys, time; sys.path.insert(0, {HERE!r}); from lab import Lab\n"
              "lab = Lab(); lab.client.popen('sleep', '300'); print(lab.prefix, flush=True); time.sleep(60)\n")
    for number in (signal.SIGTERM, signal.SIGKILL):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "TWINTRACK_BUILD": BUILD})
        prefix = child.stdout.readline().strip()
        assert any(name.startswith(prefix) for name in os.listdir("/run/netns"))
        child.send_signal(number)
        child.wait(60)
        child.stdout.close()
        Lab(nodes=2).close()  # sweeps what the killed one left
        assert not any(name.startswith(prefix) for name in os.listdir("/run/netns")), number


def test_a_copied_table_behind_a_fence_saves_every_connection(lab):
    """What Twintrack is to do, done by hand: so the lab can show both that connections die and that they live."""
    traffic = lab.traffic(400)
    copy = os.path.join(lab.directory, "flows")
    with open(copy, "w", encoding="ascii") as file:
        file.write(lab.fw[1].run("conntrack", "-L", "-o", "save").stdout)
    lab.fw[2].nft('table inet fence {\n\tchain hold {\n\t\ttype filter hook prerouting priority -400\n'
                  '\t\tiifname { lan0, wan0 } meta pkttype unicast drop\n\t}\n}\n')
    lab.power_cut(1)
    traffic.mark()
    lab.vip_to(2)
    lab.fw[2].run("conntrack", "-R", copy)
    lab.fw[2].nft("delete table inet fence\n")
    verdict = traffic.verdict()
    assert (verdict.before, verdict.killed) == (400, 0)
