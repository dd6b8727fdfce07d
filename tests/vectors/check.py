#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Another implementation of doc/protocol.md, which shares no code with the daemon: reads the vectors beside it.

Keys are derived, records and messages taken apart, and what comes out must be what the vectors say.  (The AEAD and XXH3
are left to the unit test: Python's library has neither.)
"""

import hashlib
import hmac
import ipaddress
import pathlib
import struct
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
CLASSES = [6, 17, 1, 58, 136, 132, 33, 47]
ICMP_ANSWERS = {1: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17},
                58: {128: 129, 129: 128, 139: 140, 140: 139}}
STATUS_KEPT = 0xffff & ~(1 << 9 | 1 << 11 | 1 << 12)


class Malformed(Exception):
    pass


class Incompatible(Exception):
    pass


def need(condition):
    if not condition:
        raise Malformed


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data))
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7f) << shift
            need(value < 1 << 64)
            if not byte & 0x80:
                need(byte or not shift)  # shortest form
                return value
            shift += 7

    def left(self):
        return len(self.data) - self.at


# -- keys ------------------------------------------------------------------------------------------------------------

def hkdf(key, salt, info, length):
    """RFC 5869, for at most one block."""
    extracted = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


def check_key(block):
    assert hkdf(block.hex("key-file"), b"", b"twintrack key id", 4) == block.hex("key-id")


def check_session_key(block):
    info = b"twintrack" + struct.pack("!BBH", block.number("version"), block.number("cipher"), block.number("node"))
    assert hkdf(block.hex("key-file"), block.hex("session"), info, 32) == block.hex("session-key")


# -- records ---------------------------------------------------------------------------------------------------------

def read_key(r, names="orig", expectation=False):
    """The fields of a key, and (address size, protocol)."""
    shape = r.number(1)
    need(not shape & 0x80 and bool(shape & 0x40) == expectation)
    size = 16 if shape & 0x10 else 4
    if shape & 15 == 15:
        protocol = r.number(1)
        need(protocol not in CLASSES)
    else:
        need(shape & 15 < len(CLASSES))
        protocol = CLASSES[shape & 15]
    zone = r.number(2) if shape & 0x20 else 0
    need(zone or not shape & 0x20)
    fields = {f"{names}-src": r.take(size), f"{names}-dst": r.take(size)}
    if protocol in (1, 58):
        fields.update({f"{names}-id": r.number(2), f"{names}-type": r.number(1), f"{names}-code": r.number(1)})
    elif shape & 15 != 15:
        fields.update({f"{names}-sport": r.number(2), f"{names}-dport": r.number(2)})
    return fields, size, protocol, zone


def mirrored(key, protocol):
    reply = {"reply-src": key["orig-dst"], "reply-dst": key["orig-src"]}
    if protocol in (1, 58):
        kind = key["orig-type"]
        reply.update({"reply-id": key["orig-id"], "reply-code": key["orig-code"],
                      "reply-type": ICMP_ANSWERS[protocol].get(kind, kind)})
    elif "orig-sport" in key:
        reply.update({"reply-sport": key["orig-dport"], "reply-dport": key["orig-sport"]})
    return reply


def read_reply(r, key, size, protocol, parts):
    reply = mirrored(key, protocol)
    plain = dict(reply)
    places = [("reply-src", size), ("reply-dst", size), ("reply-id" if protocol in (1, 58) else "reply-sport", 2)]
    for bit, (name, length) in enumerate(places):
        if parts & 1 << bit:
            need(name in reply)
            reply[name] = r.take(length) if bit < 2 else r.number(length)
            need(reply[name] != plain[name])
    if parts & 8 and protocol in (1, 58):
        reply["reply-type"], reply["reply-code"] = r.number(1), r.number(1)
        need((reply["reply-type"], reply["reply-code"]) != (plain["reply-type"], plain["reply-code"]))
    elif parts & 8:
        need("reply-dport" in reply)
        reply["reply-dport"] = r.number(2)
        need(reply["reply-dport"] != plain["reply-dport"])
    return reply


def read_state(r, protocol):
    if protocol == 6:
        state, scales, *flags = r.take(4)
        need(state < 10 and not (flags[0] | flags[1]) & ~0x8f)
        return {"tcp": f"{state} {scales >> 4} {scales & 15} {flags[0]} {flags[1]}"}
    if protocol == 132:
        return {"sctp": " ".join(str(r.number(size)) for size in (1, 4, 4))}
    need(protocol == 33)
    return {"dccp": " ".join(str(r.number(size)) for size in (1, 1, 8))}


def read_master(v, size):
    fields, master_size, protocol, zone = read_key(v, "master")
    need(master_size == size)
    return {**fields, "master-protocol": protocol, "master-zone": zone}


def read_attribute(kind, v, size, expectation):
    """The fields of a known attribute; None: it is not known there."""
    if kind == 4:
        name = v.take(v.left())
        need(1 <= len(name) <= 15 and 0 not in name)
        return {"helper": name.decode()}
    if kind == 5:
        return read_master(v, size)
    if expectation:
        if kind == 7:
            return {"mask-src": v.take(size), "mask-sport": v.number(2)}
        if kind == 8:
            name = v.take(v.left())
            need(1 <= len(name) <= 31 and 0 not in name)
            return {"function": name.decode()}
        if kind == 9:
            return {"nat-direction": v.number(1), "nat-src": v.take(size), "nat-sport": v.number(2)}
        return None
    if kind in (1, 2, 3, 6):
        need(any(v.data))
    if kind == 1:
        parts = struct.unpack("!IiiIii", v.take(24))
        return {"seqadj-orig": "%d %d %d" % parts[:3], "seqadj-reply": "%d %d %d" % parts[3:]}
    if kind == 2:
        return {"synproxy": "%d %d %d" % struct.unpack("!III", v.take(12))}
    if kind == 3:
        return {"labels": v.take(16).hex()}
    if kind == 6:
        return {"reply-zone": v.number(2)}
    return None


def read_attributes(r, size, expectation):
    fields, last, unknown = {}, 0, b""
    while r.left():
        start = r.at
        kind, length = r.number(1), r.number(1)
        need(kind > last)
        last = kind
        v = Reader(r.take(length))
        known = read_attribute(kind, v, size, expectation)
        if known is not None:
            need(not v.left())
            fields.update(known)
        elif kind & 0x80:
            unknown += r.data[start:r.at]
        else:
            fields["critical"] = True
    if unknown:
        fields["unknown"] = unknown.hex()
    return fields


def read_record(data):
    """The fields of a record."""
    outer = Reader(data)
    r = Reader(outer.take(outer.varint()))
    need(not outer.left() and len(data) <= 512)
    fields = {"timeout": r.number(4)}
    expectation = bool(r.data[r.at] & 0x40)
    begin = r.at
    key, size, protocol, zone = read_key(r, "expected" if expectation else "orig", expectation)
    fields.update(key, protocol=protocol, zone=zone, key=r.data[begin:r.at].hex())
    if expectation:
        need(r.number(1) == 0)
        fields.update({"flags": r.number(1), "class": r.number(1)})
        fields.update(read_attributes(r, size, True))
        need("master-protocol" in fields)
    else:
        fields["incarnation"], fields["status"] = r.number(1), r.number(2)
        parts = r.number(1)
        need(not fields["status"] & ~STATUS_KEPT)
        need(zone or not parts & 0x40)
        fields["zone-original-only"] = int(bool(parts & 0x40))
        fields.update(read_reply(r, key, size, protocol, parts))
        fields["mark"] = r.number(4) if parts & 0x10 else 0
        need(fields["mark"] or not parts & 0x10)
        if parts & 0x20:
            fields.update(read_state(r, protocol))
        need(not parts & 0x80 or r.left())
        if parts & 0x80:
            fields.update(read_attributes(r, size, False))
        need(not r.left())
    if fields.pop("critical", False):
        raise Incompatible
    return fields


def printed(value):
    if isinstance(value, bytes):
        return str(ipaddress.ip_address(value))
    return str(value)


def check_record(block):
    found = {name: printed(value) for name, value in read_record(block.hex("bytes")).items()}
    assert found == {name: value for name, value in block.fields.items() if name not in ("bytes", "hash")}


def check_refused(block, why):
    try:
        read_record(block.hex("bytes"))
    except why:
        return
    raise AssertionError


# -- messages --------------------------------------------------------------------------------------------------------

def read_message(data, kind):
    r = Reader(data)
    need(r.number(1) == kind)
    body = r.take(r.number(2))
    need(not r.left())
    return Reader(body)


def read_entries(r):
    entries = []
    while r.left():
        first = r.data[r.at]
        start = r.at
        if first in (1, 2):
            r.take(1)
            read_key(r, "key", bool(r.data[r.at] & 0x40))
            entries.append((("destroy", "withdraw")[first - 1], r.data[start + 1:r.at]))
        else:
            r.take(r.varint())
            entries.append(("upsert", r.data[start:r.at]))
    return entries


def check_data(block, records):
    r = read_message(block.hex("bytes"), 2)
    flags, start = r.number(1), r.varint()
    need(not flags & ~3)
    to = start + r.varint()
    asof = to + r.varint()
    full_id = r.number(4) if flags & 2 else 0
    count = r.number(4) if flags & 1 else 0
    digest = r.number(8) if flags & 1 else 0
    expected = []
    for what, name in (entry.split() for entry in block.fields["entries"].split(", ")):
        record = records[name]
        expected.append((what, record.hex("bytes" if what == "upsert" else "key")))
    assert read_entries(r) == expected
    assert [flags, start, to, asof, full_id, count] == [block.number(name) for name in
                                                        ("flags", "from", "to", "asof", "full-id", "count")]
    hashes = [int(records[entry.split()[1]].fields["hash"], 16) for entry in block.fields["entries"].split(", ")
              if entry.startswith("upsert")]
    assert digest == sum(hashes) % (1 << 64)


def read_status_peer(r, fields):
    for name, size in (("node", 2), ("flags", 1), ("session", 16), ("challenge", 8), ("echo", 8), ("window", 4),
                       ("full-id", 4), ("stamp", 8), ("held-us", 4)):
        value = r.take(size)
        fields["peer-" + name] = value.hex() if name in ("session", "challenge", "echo") else int.from_bytes(value, "big")
    at = fields["peer-applied"] = r.varint()
    fields["peer-proven-plus-1"] = r.varint()
    holes = []
    for _ in range(r.number(1)):
        start = at + r.varint()
        at = start + r.varint()
        holes.append(f"{start}-{at}")
    fields["peer-holes"] = " ".join(holes)


def check_status(block):
    r = read_message(block.hex("bytes"), 1)
    fields = {}
    for name, size in (("role", 1), ("flags", 1), ("term", 4), ("boot-id", 16), ("netns-cookie", 8), ("newest", 8),
                       ("horizon", 8), ("count", 4), ("digest", 8), ("frozen-at", 8), ("stamp", 8),
                       ("heartbeat-us", 4), ("conntrack-max", 4), ("conntrack-buckets", 4), ("filters", 4)):
        value = r.take(size)
        fields[name] = value.hex() if name in ("boot-id", "digest") else int.from_bytes(value, "big")
    fields["software"] = r.take(r.number(1)).decode()
    fields["peers"] = r.number(1)
    for _ in range(fields["peers"]):
        read_status_peer(r, fields)
    fields["claims"] = r.number(1)
    for _ in range(fields["claims"]):
        fields.update({"claim-node": r.number(2), "claim-session": r.take(16).hex(), "claim-version": r.number(8)})
    need(not r.left())
    assert {name: str(value) for name, value in fields.items()} == \
        {name: value for name, value in block.fields.items() if name != "bytes"}


def check_datagram(block):
    data, clear, sealed = block.hex("bytes"), block.hex("clear"), block.hex("sealed")
    assert len(data) == 40 + len(sealed) + 16 and data[:40] == clear and block.hex("nonce") == clear[28:40]
    assert clear[:5] == b"TwTk\x01" and clear[8:12] == hkdf(block.hex("key-file"), b"", b"twintrack key id", 4)


# -- the files -------------------------------------------------------------------------------------------------------

class Block:
    def __init__(self, kind, name):
        self.kind, self.name, self.fields = kind, name, {}

    def hex(self, name):
        return bytes.fromhex(self.fields[name])

    def number(self, name):
        return int(self.fields[name])


def read_blocks(name):
    blocks = []
    for line in (FOLDER / name).read_text(encoding="ascii").splitlines():
        if line.startswith("["):
            blocks.append(Block(*line.strip("[]").split(" ", 1)))
        elif line and not line.startswith("#"):
            key, _, value = line.partition(" = ")
            blocks[-1].fields[key] = value
    return blocks


def main():
    blocks = [block for name in ("keys", "records", "messages", "datagrams") for block in read_blocks(name + ".txt")]
    records = {block.name: block for block in blocks if block.kind == "record"}
    checks = {"key": check_key, "session-key": check_session_key, "record": check_record, "expectation": check_record,
              "malformed": lambda block: check_refused(block, Malformed),
              "incompatible": lambda block: check_refused(block, Incompatible),
              "data": lambda block: check_data(block, records), "status": check_status, "datagram": check_datagram}
    failed = 0
    for block in blocks:
        try:
            checks[block.kind](block)
        except (AssertionError, Malformed, Incompatible, KeyError) as error:
            print(f"{block.kind} {block.name}: {type(error).__name__} {error}", file=sys.stderr)
            failed += 1
    print(f"{len(blocks)} vectors, {failed} failed")
    return 1 if failed or len(blocks) < 30 else 0


if __name__ == "__main__":
    sys.exit(main())
