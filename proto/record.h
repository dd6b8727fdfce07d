/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
/*
 * The canonical record of a flow: one flow, one byte string, at most RECORD_MAX bytes.  The tables store it, the wire
 * carries it, the digest hashes it.
 *
 *   bytes
 *   1 or 2      length of what follows (varint)
 *   4           timeout, seconds: outside of the digest and of the test for change
 *   --- key
 *   1           shape: bits 0-3 protocol class (0 TCP 1 UDP 2 ICMP 3 ICMPv6 4 UDP-Lite 5 SCTP 6 DCCP 7 GRE 15 other),
 *               bit 4 IPv6, bit 5 zone follows, bit 6 an expectation (below), bit 7 zero
 *   0 or 1      protocol number, class "other" only (and then never one that has a class)
 *   0 or 2      zone, not 0
 *   8 or 32     original source and destination address
 *   0 or 4      ports; or ICMP id, type, code; or GRE keys; none for "other"
 *   --- value
 *   1           incarnation
 *   2           status (FLOW_STATUS_REPLICATED)
 *   1           parts: bit 0 reply source, 1 reply destination, 2 reply source port (ICMP: id), 3 reply destination
 *               port (ICMP: type and code) differ from the mirrored original and follow; 4 mark follows; 5 protocol
 *               state follows; 6 the zone is the original direction's alone; 7 attributes follow
 *   0..36       the reply's parts that differ, in that order
 *   0 or 4      mark, not 0
 *   0,4,9,10    TCP: state, window scales (original << 4 | reply), flags original, flags reply
 *               SCTP: state, verification tags; DCCP: state, role, handshake sequence
 *   ...         attributes: type, length, value; ascending types, up to the end
 *
 * A type with the highest bit set is *skippable*: who doesn't know it keeps it as it is, and hashes it.  An unknown
 * type without that bit is critical.  An attribute that is all zero says nothing and is left out (but a master may
 * be).  Every number has one encoding, so equal flows have equal records.
 *
 * An expectation (expect.h) is a record, too.  Its key is the tuple that is expected, its value:
 *   1           incarnation: 0
 *   1, 1        flags (EXPECT_*), class
 *   ...         attributes: RECORD_HELPER, RECORD_MASTER (always), RECORD_MASK, RECORD_FUNCTION, RECORD_NAT
 */
/* clang-format on */
#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

#include "proto/expect.h"

enum { RECORD_MAX = 512, RECORD_KEY_MAX = 64 };

enum record_attribute {
	RECORD_SEQADJ = 1,     /* 24: original, reply: correction position, offset before, offset after */
	RECORD_SYNPROXY = 2,   /* 12: isn, its, tsoff */
	RECORD_LABELS = 3,     /* 16 */
	RECORD_HELPER = 4,     /* 1..15, no terminator */
	RECORD_MASTER = 5,     /* the key (as above) of the master */
	RECORD_REPLY_ZONE = 6, /* 2 */
	RECORD_MASK = 7,       /* of an expectation: source address (4 or 16), source port (2) */
	RECORD_FUNCTION = 8,   /* of an expectation: 1..31, no terminator */
	RECORD_NAT = 9,        /* of an expectation: direction (1), address (4 or 16), port (2) */
	RECORD_SKIPPABLE = 0x80,
};

enum record_verdict {
	RECORD_GOOD,
	RECORD_MALFORMED,    /* not a record, or not the canonical one */
	RECORD_INCOMPATIBLE, /* well formed, but with a critical attribute that we don't know, or with more of
				the skippable ones than FLOW_EXTRA_MAX holds */
};

/* Bytes of a key, in the record (borrowed). */
struct record_key {
	const uint8_t *bytes;
	size_t length;
};

/*
 * Encodes a flow; parts that the flow doesn't have are left out.  Returns the record's length, at most
 * RECORD_MAX and never 0, or 0 if the flow can't be encoded (more than RECORD_MAX; family that we don't
 * know).
 */
size_t record_encode(const struct flow *flow, uint8_t record[RECORD_MAX]);

/* Encodes just the key, as it stands in the record.  Returns its length, 0 on failure. */
size_t record_encode_key(const struct flow *flow, uint8_t key[RECORD_KEY_MAX]);

/* Decodes a record that record_check() found good.  `flow` is set whole; present tells which parts it has. */
void record_decode(const uint8_t *record, struct flow *flow);

/* Decodes a flow's key alone (of a tombstone); returns 0, or -EINVAL when it isn't one, whole and canonical.
 */
int record_decode_key(const uint8_t *key, size_t length, struct flow *flow);

/*
 * Whether the bytes start with a record that is well formed and canonical; *length is then what it takes
 * (also with RECORD_INCOMPATIBLE).  Reads at most `available` bytes.  For bytes from a stranger: never trusts
 * them.
 */
enum record_verdict record_check(const uint8_t *bytes, size_t available, size_t *length);

/* The same for expectations. */
size_t record_encode_expect(const struct expect *expect, uint8_t record[RECORD_MAX]);
size_t record_encode_expect_key(const struct expect *expect, uint8_t key[RECORD_KEY_MAX]);
/* Decodes a record that is an expectation's. */
void record_decode_expect(const uint8_t *record, struct expect *expect);

/* Whether the bytes start with a well-formed key, and how long it is; 0 if not. */
size_t record_check_key(const uint8_t *bytes, size_t available);

/* The rest takes a record that is known to be good. */
size_t record_length(const uint8_t *record);
/* Of an expectation, for record_decode_expect(); else of a flow. */
bool record_is_expect(const uint8_t *record);
struct record_key record_key(const uint8_t *record);
uint32_t record_timeout_s(const uint8_t *record);
void record_set_timeout_s(uint8_t *record, uint32_t timeout_s);
uint8_t record_incarnation(const uint8_t *record);
void record_set_incarnation(uint8_t *record, uint8_t incarnation);

/* True when both are equal apart from the timeout. */
bool record_equals(const uint8_t *a, const uint8_t *b);

/* XXH3 of all but length and timeout: what the digest sums up. */
uint64_t record_hash(const uint8_t *record);

#endif
