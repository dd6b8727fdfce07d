# SPDX-License-Identifier: GPL-2.0-or-later
"""Single packets of every kind between namespaces: sent until they arrive, or shown not to."""

import select
import socket
import struct
import time

VRRP = 112
PATIENCE_S = 20
SILENCE_S = 0.4  # so long, and five packets, for what must not arrive
ETH_P_IP = 0x0800


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def open_socket(space, kind, protocol=0, address="", port=0, family=None, device=None):
    """A socket of a namespace, bound to an address or a device; it stays there when the caller leaves."""
    family = family or family_of(address)
    with space.entered():
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind != socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if device:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sock.bind((address, port))
    return sock


def join(space, sock, group, device):
    """The receiver hears a multicast group on an interface."""
    with space.entered():
        index = socket.if_nametoindex(device)
    packed = socket.inet_pton(family_of(group), group)
    if family_of(group) == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("@I", index))
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", packed, bytes(4), index))


def _heard(receiver, marker, seconds):
    """Something with the marker in it came within these seconds."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([receiver], [], [], left)[0] and marker in receiver.recv(65536):
            return True
    return False


def arrives(receiver, send, marker=b"twintrack-test"):
    """send(marker) is repeated until the receiver hears it; False if it never does."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        send(marker)
        if _heard(receiver, marker, 0.1):
            return True
    return False


def is_held_back(receiver, send, marker=b"twintrack-held"):
    """Of five packets none is heard."""
    for _ in range(5):
        send(marker)
        if _heard(receiver, marker, SILENCE_S / 5):
            return False
    return True


def sender(space, kind, protocol, address, port=0, device=None):
    """A function that sends one packet with these contents to an address."""
    sock = open_socket(space, kind, protocol, family=family_of(address), device=device)
    if address.startswith("ff"):
        with space.entered():
            index = socket.if_nametoindex(device)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        return lambda data: sock.sendto(data, (address, port, 0, index))
    return lambda data: sock.sendto(data, (address, port))


def tcp_connects(space, address, port, timeout=0.5):
    """A TCP connection opens within the time."""
    sock = open_socket(space, socket.SOCK_STREAM, family=family_of(address))
    sock.settimeout(timeout)
    with sock:
        try:
            sock.connect((address, port))
        except socket.timeout:
            return False
    return True


def listen(space, port, family=socket.AF_INET6):
    """A TCP listener for both families."""
    sock = open_socket(space, socket.SOCK_STREAM, address="::" if family == socket.AF_INET6 else "", port=port,
                       family=family)
    sock.listen(16)
    return sock


def checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp_frame(target, source_mac, target_mac, source_port, target_port, data):
    """An Ethernet frame with a UDP packet from 0.0.0.0, as before any address is known (a DHCP server's answer)."""
    udp = struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0) + data
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0,
                         socket.inet_aton("192.168.10.11"), socket.inet_aton(target))
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return target_mac + source_mac + struct.pack("!H", ETH_P_IP) + header + udp


def router_advertisement(prefix, valid_s, preferred_s):
    """RFC 4861, 4.2, 4.6.2: a prefix for autonomous addresses, no default route; the kernel fills the checksum in."""
    option = struct.pack("!BBBBIII16s", 3, 4, 64, 0xc0, valid_s, preferred_s, 0,
                         socket.inet_pton(socket.AF_INET6, prefix))
    return struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + option


def advertise(space, device, prefix, valid_s, preferred_s):
    """Send one router advertisement to all nodes."""
    with space.entered():
        index = socket.if_nametoindex(device)
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    with sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.sendto(router_advertisement(prefix, valid_s, preferred_s), ("ff02::1", 0, 0, index))
