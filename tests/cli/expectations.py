# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes flows with a helper, and expectations, through ctnetlink: conntrack(8) has no option for the first.

  expectations.py flow SRC DST SPORT DPORT HELPER [PROTOCOL]
  expectations.py expect SRC DST SPORT DPORT  TUPLE-SRC TUPLE-DST TUPLE-DPORT  TIMEOUT [NAME=VALUE ...]
    (the first four: of the master; NAME: class, flags, fn, helper, zone, protocol, sport-mask, src-mask)
"""
import errno
import os
import socket
import struct
import sys

NETLINK_NETFILTER, CTNETLINK, CTNETLINK_EXP = 12, 1, 2
REQUEST, ACK, EXCL, CREATE = 1, 4, 0x200, 0x400
TUPLE_ORIG, TUPLE_REPLY, STATUS, PROTOINFO, HELP, TIMEOUT, ZONE = 1, 2, 3, 4, 5, 7, 18


def attribute(kind, *parts):
    nested = bool(parts) and not isinstance(parts[0], bytes)
    payload = b"".join(attribute(*part) for part in parts) if nested else b"".join(parts)
    out = struct.pack("=HH", 4 + len(payload), kind | (0x8000 if nested else 0)) + payload
    return out + b"\0" * (-len(out) % 4)


def pack(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def tuple_attribute(kind, src, dst, sport, dport, protocol):
    first = 3 if ":" in src else 1
    ports = [(2, struct.pack("!H", sport)), (3, struct.pack("!H", dport))]
    return (kind, (1, (first, pack(src)), (first + 1, pack(dst))), (2, (1, bytes([protocol])), *ports))


def request(subsystem, family, *attributes):
    body = struct.pack("!BBH", family, 0, 0) + b"".join(attribute(*one) for one in attributes)
    head = struct.pack("=IHHII", 16 + len(body), subsystem << 8, REQUEST | ACK | CREATE | EXCL, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.send(head + body)
        error = -struct.unpack_from("=i", netlink.recv(65536), 16)[0]
    if error:
        raise OSError(error, f"{os.strerror(error)} ({errno.errorcode.get(error)})")


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def make_flow(src, dst, sport, dport, helper, protocol=6, timeout=9000, zone=0):
    sport, dport, protocol = int(sport), int(dport), int(protocol)
    state = [(PROTOINFO, (1, (1, bytes([3]))))] if protocol == 6 else []
    request(CTNETLINK, family_of(src), tuple_attribute(TUPLE_ORIG, src, dst, sport, dport, protocol),
            tuple_attribute(TUPLE_REPLY, dst, src, dport, sport, protocol), (TIMEOUT, struct.pack("!I", timeout)),
            (STATUS, struct.pack("!I", 2 | 8)), (HELP, (1, helper.encode() + b"\0")), *state,
            *([(ZONE, struct.pack("!H", zone))] if zone else []))


def make_expectation(src, dst, sport, dport, tuple_src, tuple_dst, tuple_dport, timeout, **more):
    protocol = int(more.get("protocol", 6))
    src_mask = more.get("src_mask", "ffff:" * 7 + "ffff" if ":" in tuple_src else "255.255.255.255")
    dst_mask = src_mask if "src_mask" not in more else ("ffff:" * 7 + "ffff" if ":" in tuple_src else "255.255.255.255")
    attributes = [tuple_attribute(1, src, dst, int(sport), int(dport), protocol),
                  tuple_attribute(2, tuple_src, tuple_dst, int(more.get("sport", 0)), int(tuple_dport), protocol),
                  tuple_attribute(3, src_mask, dst_mask, int(more.get("sport_mask", 0)), 65535, protocol),
                  (4, struct.pack("!I", int(timeout)))]
    for name, kind, form in (("zone", 7, "!H"), ("flags", 8, "!I"), ("class", 9, "!I")):
        if name in more:
            attributes.append((kind, struct.pack(form, int(more[name]))))
    for name, kind in (("helper", 6), ("fn", 11)):
        if name in more:
            attributes.append((kind, more[name].encode() + b"\0"))
    if "nat" in more:
        address, port = more["nat"].rsplit(":", 1)
        attributes.append((10, (1, struct.pack("!I", int(more.get("nat_dir", 0)))),
                           tuple_attribute(2, address, "0.0.0.0", int(port), 0, protocol)))
    request(CTNETLINK_EXP, family_of(src), *attributes)


if __name__ == "__main__":
    if sys.argv[1] == "flow":
        make_flow(*sys.argv[2:])
    else:
        make_expectation(*sys.argv[2:10], **dict(one.replace("-", "_", 1).split("=", 1) for one in sys.argv[10:]))
