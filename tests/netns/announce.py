# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells the neighbours where an address is now: gratuitous ARP and unsolicited neighbour advertisement.

What keepalived sends when it takes an address; written here because arping(8) is not installed everywhere.
"""

import fcntl
import ipaddress
import socket
import struct

SIOCGIFHWADDR = 0x8927
ETHERTYPE_ARP = 0x0806
BROADCAST = b"\xff" * 6


def hardware_address(interface):
    """The MAC address of an interface of the current namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock.fileno(), SIOCGIFHWADDR, struct.pack("256s", interface.encode()))
    return answer[18:24]


def _announce_ipv4(address, interface):
    mac = hardware_address(interface)
    frame = BROADCAST + mac + struct.pack("!H", ETHERTYPE_ARP)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, ETHERTYPE_ARP))
        for operation in (1, 2):  # neighbours differ in which of the two they heed (RFC 5227, section 3)
            arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mac, address.packed, BROADCAST,
                              address.packed)
            sock.send(frame + arp)


def _announce_ipv6(address, interface):
    index = socket.if_nametoindex(interface)
    override = 0x20000000
    router = 0x80000000  # RFC 4861, section 4.4
    option = struct.pack("!BB6s", 2, 1, hardware_address(interface))
    message = struct.pack("!BBHI16s", 136, 0, 0, override | router, address.packed) + option
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)  # the kernel drops it otherwise
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.bind((str(address), 0, 0, index))
        sock.sendto(message, ("ff02::1", 0, 0, index))


def announce(space, address, interface):
    """Announce an address of a namespace on one of its interfaces."""
    address = ipaddress.ip_address(address)
    with space.entered():
        if address.version == 4:
            _announce_ipv4(address, interface)
        else:
            _announce_ipv6(address, interface)
