# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence's own life, one thing at a time: what must pass while it is closed, and which addresses come and go."""

import json
import socket
import time

import pytest

import announce
from lab import CLIENT, LAN_VIP, LAN_VIP6, SERVER, WAN_VIP, WAN_VIP6, Lab, wait_for
from packets import VRRP, advertise, arrives, is_held_back, join, listen, open_socket, sender, tcp_connects, udp_frame
from space import Namespace

CONFIGURED = {"enable": "yes", "max-wait": "5m", "address": [LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6]}
LEARNT = {"enable": "yes", "max-wait": "5m"}
OWN, OWN6 = "192.168.10.12", "fd00:10::12"  # of firewall 2, which stands by
UDP, RAW = socket.SOCK_DGRAM, socket.SOCK_RAW


def answers(space, address):
    return space.run("ping", "-n", "-c", "1", "-W", "0.4", address, check=False).returncode == 0


def stand_by(lab, fence, **changes):
    """Firewall 2 is a backup with this fence."""
    daemon = lab.daemon[2].start(fence=fence, **changes)
    daemon.twintrack("backup")
    assert daemon.status()["fence"]["armed"]
    return daemon


def fence_of(lab):
    return lab.daemon[2].status()["fence"]


def wait_learnt(lab, count):
    wait_for(lambda: fence_of(lab)["learnt"] == count, 30, f"{count} addresses are learnt")


def stays_armed(lab, seconds):
    """It has not given up after so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = fence_of(lab)
        assert state["armed"] and state["gave_up"] == 0, state
        time.sleep(0.1)


def follows(lab):
    """The daemon has read all address changes so far: one more, that is a virtual one for sure, has been taken in."""
    before = fence_of(lab)["learnt"]
    lab.fw[2].ip("addr add 192.0.2.99/32 dev lan0")
    wait_learnt(lab, before + 1)
    lab.fw[2].ip("addr del 192.0.2.99/32 dev lan0")
    wait_learnt(lab, before)
    return before


# -- what passes while the virtual addresses are here and held back ----------------------------------------------------

@pytest.fixture(scope="module", params=[CONFIGURED, LEARNT], ids=["configured", "learnt"])
def closed(request):
    """Firewall 2 stands by, closed, and the virtual addresses have arrived."""
    with Lab() as lab:
        lab.vip_to(1)
        daemon = stand_by(lab, request.param)
        lab.vip_from(1)
        lab.vip_to(2)
        wait_for(lambda: daemon.status()["fence"]["address_here"], 30, "the addresses are seen")
        if request.param is LEARNT:
            wait_learnt(lab, 4)
        yield lab
        assert fence_of(lab)["armed"] and fence_of(lab)["lapses"] == 0


@pytest.mark.parametrize("own,virtual", [(OWN, LAN_VIP), (OWN6, LAN_VIP6)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("kind,protocol,port", [(RAW, VRRP, 0), (UDP, 0, 3784), (UDP, 0, 68)],
                         ids=["vrrp", "bfd", "dhcp"])
def test_unicast_to_own_addresses_passes(closed, own, virtual, kind, protocol, port):
    """VRRP between two addresses, BFD (RFC 5881), and a DHCP server's answers: to the host's own addresses only."""
    with open_socket(closed.fw[2], kind, protocol, address="::" if ":" in own else "", port=port) as receiver:
        assert arrives(receiver, sender(closed.fw[1], kind, protocol, own, port))
        assert is_held_back(receiver, sender(closed.fw[1], kind, protocol, virtual, port))


@pytest.mark.parametrize("group", ["224.0.0.18", "ff02::12"], ids=["ipv4", "ipv6"])
def test_vrrp_multicast_passes(closed, group):
    with open_socket(closed.fw[2], RAW, VRRP, address="::" if ":" in group else "") as receiver:
        join(closed.fw[2], receiver, group, "lan0")
        assert arrives(receiver, sender(closed.fw[1], RAW, VRRP, group, device="lan0"))


@pytest.mark.parametrize("own,virtual", [(OWN, LAN_VIP), (OWN6, LAN_VIP6)], ids=["ipv4", "ipv6"])
def test_bgp_to_own_addresses_passes_and_to_virtual_ones_waits(closed, own, virtual):
    with listen(closed.fw[2], 179):
        assert tcp_connects(closed.fw[1], own, 179, timeout=20)
        assert not tcp_connects(closed.fw[1], virtual, 179)


def test_a_dhcp_discover_by_broadcast_passes(closed):
    with open_socket(closed.fw[2], UDP, port=67) as receiver:
        assert arrives(receiver, sender(closed.client, UDP, 0, "255.255.255.255", 67, device="eth0"))


def test_a_dhcp_offer_by_unicast_reaches_the_client_before_it_has_the_address(closed):
    """To an address that is not here yet.  DHCP clients read such frames from a packet socket."""
    marker = b"an offer to an address that is not here yet"
    with closed.fw[2].entered(), closed.fw[1].entered():
        outgoing = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        outgoing.bind(("lan0", 0))
        source = announce.hardware_address("lan0")
    with closed.fw[2].entered():
        incoming = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        incoming.bind(("lan0", 0x0800))
        target = announce.hardware_address("lan0")
    with incoming, outgoing:
        assert arrives(incoming, lambda data: outgoing.send(udp_frame("192.168.10.77", source, target, 67, 68, data)),
                       marker)


@pytest.mark.parametrize("address", [OWN6, LAN_VIP6])
def test_neighbour_discovery_passes(closed, address):
    """Also for the virtual addresses: the neighbours must know where to send when it opens."""
    closed.client.ip("neigh flush all")
    assert answers(closed.client, address) == (address == OWN6)
    shown = closed.client.run("ip", "-6", "neigh", "show", address).stdout
    with closed.fw[2].entered():
        mac = announce.hardware_address("lan0").hex(":")
    assert mac in shown, shown


def test_an_icmp_error_for_the_hosts_own_packet_passes(closed):
    for address in ("192.168.10.11", "fd00:10::11"):
        with open_socket(closed.fw[2], UDP, address=OWN6 if ":" in address else OWN) as sock:
            sock.connect((address, 9))
            sock.settimeout(20)
            sock.send(b"nobody listens there")
            with pytest.raises(ConnectionRefusedError):
                sock.recv(1)


def test_the_hosts_own_connections_pass(closed):
    with listen(closed.server, 8443):
        for address in (SERVER, "fd00:20::2"):
            # from one of its own addresses: a virtual one, as source, would have the answer held back
            own = "fd00:20::12" if ":" in address else "198.51.100.12"
            with open_socket(closed.fw[2], socket.SOCK_STREAM, address=own) as sock:
                sock.settimeout(20)
                sock.connect((address, 8443))


def test_the_table_has_an_owner_and_a_timed_element_that_is_renewed(closed):
    state = fence_of(closed)
    listed = json.loads(closed.fw[2].run("nft", "-j", "list", "table", "inet", state["table"]).stdout)["nftables"]
    alive = next(entry["set"] for entry in listed if entry.get("set", {}).get("name") == "alive")
    elements = [element["elem"] for element in alive["elem"]]
    assert len(elements) == 2 and all(0 < element["expires"] <= element["timeout"] == 3 for element in elements)
    assert "flags owner" in closed.fw[2].run("nft", "list", "table", "inet", state["table"]).stdout
    wait_for(lambda: fence_of(closed)["refreshes"] >= state["refreshes"] + 2, 30, "it is renewed")
    assert fence_of(closed)["lapses"] == 0 and not answers(closed.client, LAN_VIP)


def test_flush_ruleset_does_not_touch_it(closed):
    closed.fw[2].nft("flush ruleset\n")
    assert not answers(closed.client, LAN_VIP) and not answers(closed.client, SERVER)
    assert answers(closed.client, OWN) and fence_of(closed)["repairs"] == 0


# -- addresses that come and go while it stands by -------------------------------------------------------------------

@pytest.fixture
def learning(lab):
    """Firewall 2 stands by and learns; the virtual addresses are at firewall 1."""
    stand_by(lab, LEARNT)
    return lab


def test_an_address_from_dhcp_is_the_hosts_own(learning):
    learning.fw[2].ip("addr add 192.168.10.70/24 dev lan0 valid_lft 600 preferred_lft 600")
    assert follows(learning) == 0
    assert answers(learning.client, "192.168.10.70")
    learning.fw[2].ip("addr change 192.168.10.70/24 dev lan0 valid_lft 900 preferred_lft 900")  # renewed
    assert follows(learning) == 0 and answers(learning.client, "192.168.10.70")
    learning.fw[2].ip("addr del 192.168.10.70/24 dev lan0",
                      "addr add 192.168.10.71/24 dev lan0 valid_lft 600 preferred_lft 600")
    assert follows(learning) == 0 and answers(learning.client, "192.168.10.71")


@pytest.mark.parametrize("valid_s", [3600, 0xffffffff], ids=["finite", "for-ever"])
def test_addresses_that_the_kernel_makes_from_an_advertisement_are_the_hosts_own(learning, valid_s):
    """Stable and temporary (privacy) addresses of a prefix that a router advertises."""
    space = learning.fw[2]
    space.sysctl(net__ipv6__conf__lan0__accept_ra=2, net__ipv6__conf__lan0__use_tempaddr=2)
    learning.client.ip("addr add 2001:db8:5::2/64 dev eth0 nodad")
    advertise(learning.client, "eth0", "2001:db8:5::", valid_s, valid_s)

    def made():
        shown = json.loads(space.run("ip", "-j", "-6", "addr", "show", "dev", "lan0").stdout)[0]["addr_info"]
        return [entry for entry in shown if entry["local"].startswith("2001:db8:5:")]

    wait_for(lambda: len(made()) >= 2, 30, "the kernel has made both addresses")
    assert any(entry.get("temporary") for entry in made())
    assert follows(learning) == 0
    for entry in made():
        assert answers(learning.client, entry["local"]), entry


def test_the_link_local_address_of_a_new_interface_is_the_hosts_own(learning):
    learning.fw[2].ip("link add one type veth peer name two", "link set one up", "link set two up")
    wait_for(lambda: "fe80" in learning.fw[2].run("ip", "-6", "addr", "show", "dev", "one").stdout, 30, "it is there")
    assert follows(learning) == 0


def test_a_virtual_address_removed_before_backup_is_learnt_when_it_comes_back(lab):
    daemon = lab.daemon[2].start(fence=LEARNT)
    lab.vip_from(1)
    lab.vip_to(2)
    daemon.twintrack("primary")
    wait_for(lambda: answers(lab.client, LAN_VIP), 30, "the primary answers")
    lab.vip_from(2)
    daemon.twintrack("backup")
    lab.vip_to(2)
    wait_learnt(lab, 4)
    assert not answers(lab.client, LAN_VIP) and answers(lab.client, OWN)


def test_a_virtual_address_removed_after_backup_is_learnt_when_it_comes_back(lab):
    daemon = lab.daemon[2].start(fence=LEARNT)
    lab.vip_from(1)
    lab.vip_to(2)
    daemon.twintrack("primary")
    daemon.twintrack("backup")
    lab.vip_from(2)
    assert follows(lab) == 0
    lab.vip_to(2)
    wait_learnt(lab, 4)
    assert not answers(lab.client, LAN_VIP) and answers(lab.client, OWN)


def test_an_own_address_of_before_stays_own_when_it_is_on_two_interfaces(learning):
    learning.fw[2].ip(f"addr add {OWN}/32 dev wan0")
    learning.fw[2].ip(f"addr del {OWN}/32 dev wan0")
    assert follows(learning) == 0
    assert answers(learning.client, OWN)


def test_the_wait_begins_anew_when_the_address_leaves_and_comes(lab):
    stand_by(lab, {**LEARNT, "max-wait": "2s"})
    for _ in range(3):  # each stay is shorter than max-wait, all together are longer
        lab.fw[2].ip(f"addr add {LAN_VIP}/24 dev lan0")
        stays_armed(lab, 0.8)
        lab.fw[2].ip(f"addr del {LAN_VIP}/24 dev lan0")
        wait_learnt(lab, 0)


def test_a_primary_that_comes_after_it_gave_up_still_works(lab):
    daemon = stand_by(lab, {**LEARNT, "max-wait": "1s"})
    lab.vip_from(1)
    lab.vip_to(2)
    wait_for(lambda: fence_of(lab)["state"] == "gave-up", 20, "it gives up")
    assert any(f"if {vip} is none" in daemon.log() for vip in (LAN_VIP, WAN_VIP, LAN_VIP6, WAN_VIP6))
    daemon.twintrack("primary")
    assert fence_of(lab)["state"] == "open" and answers(lab.client, LAN_VIP)
    lab.vip_from(2)
    daemon.twintrack("backup")
    assert fence_of(lab)["armed"]


# -- other interfaces ------------------------------------------------------------------------------------------------

@pytest.fixture
def guest(lab):
    """A container of firewall 2's, and another, on a bridge br0 of its own; no address on the bridge yet."""
    spaces = []
    lab.fw[2].ip("link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set br0 up")
    for number in (1, 2):
        space = Namespace(f"{lab.prefix}-guest{number}")
        spaces.append(space)
        lab.fw[2].ip(f"link add port{number} type veth peer name eth0 netns {space.name}",
                     f"link set port{number} master br0 up")
        space.ip("link set eth0 up", f"addr add 172.30.0.{number + 1}/24 dev eth0", "route add default via 172.30.0.1")
    lab.fw[2].nft('table ip guests { chain out { type nat hook postrouting priority srcnat + 1; '
                  'ip saddr 172.30.0.0/24 masquerade; }; }\n'
                  'insert rule inet lab forward iifname "br0" accept\n')
    yield spaces[0]
    for space in spaces:
        space.close()


def test_containers_speak_with_each_other_and_with_the_host_but_not_through_it(lab, guest):
    lab.fw[2].ip("addr add 172.30.0.1/24 dev br0")
    lab.fw[2].sysctl(**{"net__bridge__bridge-nf-call-iptables": 0})
    daemon = stand_by(lab, CONFIGURED)
    assert answers(guest, "172.30.0.3"), "a frame that is bridged is no packet to be forwarded"
    assert answers(guest, "172.30.0.1") and answers(lab.fw[2], "172.30.0.2")
    before = daemon.status()["fence"]["forward_packets"]
    assert not answers(guest, SERVER)
    assert daemon.status()["fence"]["forward_packets"] > before
    lab.vip_from(1)
    daemon.twintrack("primary")
    assert answers(guest, SERVER)


def test_with_accept_interface_containers_reach_the_world(lab, guest):
    """Their packets enter by the bridge; the answers come to the host's own address, that they were masqueraded to."""
    lab.fw[2].ip("addr add 172.30.0.1/24 dev br0")
    stand_by(lab, {**CONFIGURED, "accept-interface": "br0"})
    assert answers(guest, SERVER)


def test_bridged_frames_that_the_ip_rules_see_count_as_forwarded(lab, guest):
    """With br_netfilter's bridge-nf-call-iptables = 1; accept-interface is the way out."""
    lab.fw[2].ip("addr add 172.30.0.1/24 dev br0")
    lab.fw[2].sysctl(**{"net__bridge__bridge-nf-call-iptables": 1})
    daemon = stand_by(lab, CONFIGURED)
    assert not answers(guest, "172.30.0.3") and answers(guest, "172.30.0.1")
    daemon.write_config(fence={**CONFIGURED, "accept-interface": "br0"})
    daemon.twintrack("reload")
    assert answers(guest, "172.30.0.3")


def test_a_bridge_that_comes_while_standing_by_is_own_when_it_is_an_accept_interface(lab, guest):
    stand_by(lab, {**LEARNT, "max-wait": "1s", "accept-interface": "br0"})
    lab.fw[2].ip("addr add 172.30.0.1/24 dev br0")
    wait_for(lambda: answers(guest, "172.30.0.1"), 20, "the host answers")
    stays_armed(lab, 1.4)
    assert fence_of(lab)["learnt"] == 0


def test_an_address_on_another_interface_counts_as_virtual_and_the_log_says_how_to_name_it(lab, guest):
    daemon = stand_by(lab, {**LEARNT, "max-wait": "1s"})
    lab.fw[2].ip("addr add 172.30.0.1/24 dev br0")
    wait_learnt(lab, 1)
    assert not answers(guest, "172.30.0.1")
    wait_for(lambda: fence_of(lab)["state"] == "gave-up", 20, "it opens in the end")
    assert "172.30.0.1" in daemon.log() and "[fence] address" in daemon.log()


def test_the_address_of_a_sync_link_that_comes_up_late_is_the_hosts_own(make_lab):
    lab = make_lab(sync_links=2)
    lab.vip_to(1)
    lab.daemon[1].start()
    daemon = lab.daemon[2].start(fence={**LEARNT, "max-wait": "1s"})
    lab.fw[2].ip("addr flush dev sync1", "link set sync1 down")
    daemon.twintrack("backup")
    lab.fw[2].ip("link set sync1 up", f"addr add {lab.sync_address(2, 1)}/24 dev sync1",
                 f"addr add {lab.sync_address6(2, 1)}/64 dev sync1 nodad")
    stays_armed(lab, 1.4)
    assert fence_of(lab)["learnt"] == 0
    # what comes for it by another interface is for the host itself as well
    lab.client.ip(f"route add {lab.sync_address(2, 1)}/32 via {OWN}")
    assert answers(lab.client, lab.sync_address(2, 1))
    lab.dark(0)
    wait_for(lambda: daemon.peer(1).get("alive"), 30, "the late link carries")
    lab.fw[2].ip("addr add 10.255.1.77/24 dev sync1")  # the second one there is a virtual one
    wait_learnt(lab, 1)


def test_the_client_is_there(lab):
    """What the tests above take for granted: without a fence everything here answers."""
    lab.vip_from(1)
    lab.vip_to(2)
    assert answers(lab.client, LAN_VIP) and answers(lab.server, WAN_VIP) and answers(lab.fw[2], CLIENT)
