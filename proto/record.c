/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reading half of record.h, and what needs no decoding; record_encode.c writes. */
#include "proto/record.h"

#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/buf.h"
#include "proto/record_format.h"

/* --- reading: what isn't canonical fails the reader --- */

void record_require(struct reader *r, bool is_good)
{
	if (!is_good)
		r->failed = true;
}

/* With the common length as a constant, which the compiler turns into one load and one store. */
static void read_address(struct reader *r, uint8_t address[16], size_t size)
{
	const uint8_t *bytes = reader_skip(r, size);

	if (bytes && size == 4)
		memcpy(address, bytes, 4);
	else if (bytes)
		memcpy(address, bytes, 16);
}

void record_read_key(struct reader *r, struct key_fields *key, struct flow_tuple *tuple)
{
	uint8_t shape = reader_u8(r), class = shape & SHAPE_CLASS;
	size_t size;

	memset(key, 0, sizeof(*key));
	memset(tuple, 0, sizeof(*tuple));
	record_require(r, !(shape & SHAPE_UNUSED) && (class < RECORD_CLASSES || class == CLASS_OTHER));
	if (r->failed)
		return;
	key->family = shape & SHAPE_IPV6 ? FLOW_IPV6 : FLOW_IPV4;
	key->is_expect = shape & SHAPE_EXPECT;
	size = flow_address_size(key->family);
	if (class == CLASS_OTHER) {
		key->protocol = reader_u8(r);
		record_require(r, record_class_of(key->protocol) == CLASS_OTHER);
	} else {
		key->protocol = record_class_protocols[class];
	}
	if (shape & SHAPE_ZONE) {
		key->zone = reader_u16(r);
		record_require(r, key->zone != 0);
	}
	read_address(r, tuple->src, size);
	read_address(r, tuple->dst, size);
	if (flow_has_icmp(key->protocol)) {
		tuple->icmp_id = reader_u16(r);
		tuple->icmp_type = reader_u8(r);
		tuple->icmp_code = reader_u8(r);
	} else if (class != CLASS_OTHER) {
		tuple->sport = reader_u16(r);
		tuple->dport = reader_u16(r);
	}
}

/* flow_tuple_mirror(), but with IPv4 addresses copied as the 4 bytes that were just written: reading 16 there
 * would wait for the store buffer. */
static void set_mirror(struct flow *flow)
{
	size_t size = flow_address_size(flow->family);

	if (size > 4 || flow_has_icmp(flow->protocol)) {
		flow->reply = flow_tuple_mirror(&flow->orig, flow->protocol);
		return;
	}
	memset(&flow->reply, 0, sizeof(flow->reply));
	memcpy(flow->reply.src, flow->orig.dst, 4);
	memcpy(flow->reply.dst, flow->orig.src, 4);
	flow->reply.sport = flow->orig.dport;
	flow->reply.dport = flow->orig.sport;
}

static void read_reply(struct reader *r, struct flow *flow, uint8_t parts)
{
	const uint8_t all = PART_REPLY_SRC | PART_REPLY_DST | PART_REPLY_SPORT | PART_REPLY_DPORT;
	size_t size = flow_address_size(flow->family);

	set_mirror(flow);
	if (!(parts & all))
		return;
	if (parts & PART_REPLY_SRC)
		reader_bytes(r, flow->reply.src, size);
	if (parts & PART_REPLY_DST)
		reader_bytes(r, flow->reply.dst, size);
	if (parts & PART_REPLY_SPORT)
		flow->reply.sport = reader_u16(r);
	if (parts & PART_REPLY_DPORT && flow_has_icmp(flow->protocol)) {
		flow->reply.icmp_type = reader_u8(r);
		flow->reply.icmp_code = reader_u8(r);
	} else if (parts & PART_REPLY_DPORT) {
		flow->reply.dport = reader_u16(r);
	}
	/* a part that doesn't differ, or that the protocol doesn't have, must not be named */
	record_require(r, record_reply_parts(flow) == (parts & all));
}

static void read_state(struct reader *r, struct flow *flow)
{
	uint8_t wscales;

	switch (flow->protocol) {
	case PROTOCOL_TCP:
		flow->present |= FLOW_HAS_TCP;
		flow->tcp.state = reader_u8(r);
		wscales = reader_u8(r);
		flow->tcp.wscale[0] = wscales >> 4;
		flow->tcp.wscale[1] = wscales & 0xf;
		reader_bytes(r, flow->tcp.flags, 2);
		record_require(r,
			       flow->tcp.state < FLOW_TCP_STATES &&
				   !((flow->tcp.flags[0] | flow->tcp.flags[1]) & ~FLOW_TCP_FLAGS_REPLICATED));
		break;
	case PROTOCOL_SCTP:
		flow->present |= FLOW_HAS_SCTP;
		flow->sctp.state = reader_u8(r);
		flow->sctp.vtag[0] = reader_u32(r);
		flow->sctp.vtag[1] = reader_u32(r);
		break;
	case PROTOCOL_DCCP:
		flow->present |= FLOW_HAS_DCCP;
		flow->dccp.state = reader_u8(r);
		flow->dccp.role = reader_u8(r);
		flow->dccp.handshake_seq = reader_u64(r);
		break;
	default:
		record_require(r, false);
	}
}

static void read_seqadj(struct reader *r, struct flow *flow)
{
	for (int i = 0; i < 2; i++) {
		flow->seqadj[i].correction_pos = reader_u32(r);
		flow->seqadj[i].offset_before = (int32_t)reader_u32(r);
		flow->seqadj[i].offset_after = (int32_t)reader_u32(r);
	}
	flow->present |= FLOW_HAS_SEQADJ;
}

void record_read_name(struct reader *r, char *name, size_t size)
{
	size_t length = reader_left(r);

	memset(name, 0, size);
	record_require(r, length >= 1 && length < size);
	reader_bytes(r, name, r->failed ? 0 : length);
	record_require(r, !memchr(name, 0, length < size ? length : 0));
}

static void read_master(struct reader *r, struct flow *flow)
{
	struct key_fields key;

	record_read_key(r, &key, &flow->master);
	record_require(r, key.family == flow->family && !key.is_expect);
	flow->master_protocol = key.protocol;
	flow->master_zone = key.zone;
	flow->present |= FLOW_HAS_MASTER;
}

/* Reads the value of a known attribute; false if the type isn't known. */
static bool read_known(struct reader *r, uint8_t type, struct flow *flow)
{
	bool says_nothing = reader_left(r) && record_is_zero(r->at, reader_left(r));

	switch (type) {
	case RECORD_SEQADJ:
		read_seqadj(r, flow);
		break;
	case RECORD_SYNPROXY:
		flow->synproxy.isn = reader_u32(r);
		flow->synproxy.its = reader_u32(r);
		flow->synproxy.tsoff = reader_u32(r);
		flow->present |= FLOW_HAS_SYNPROXY;
		break;
	case RECORD_LABELS:
		reader_bytes(r, flow->labels, FLOW_LABELS_SIZE);
		flow->present |= FLOW_HAS_LABELS;
		break;
	case RECORD_HELPER:
		record_read_name(r, flow->helper, sizeof(flow->helper));
		flow->present |= FLOW_HAS_HELPER;
		break;
	case RECORD_MASTER:
		read_master(r, flow);
		return true; /* whose key may well be all zero: TCP from 0.0.0.0 to itself */
	case RECORD_REPLY_ZONE:
		flow->reply_zone = reader_u16(r);
		flow->present |= FLOW_HAS_REPLY_ZONE;
		break;
	default:
		return false;
	}
	record_require(r, !says_nothing);
	return true;
}

/* True when all could be understood, or kept. */
static bool read_attributes(struct reader *r, struct flow *flow)
{
	bool is_compatible = true;
	unsigned last = 0; /* and so no type is 0 */

	record_require(r, reader_left(r) > 0);
	while (reader_left(r)) {
		const uint8_t *start = r->at;
		uint8_t type = reader_u8(r), length = reader_u8(r);
		struct reader value = reader_sub(r, length);
		size_t taken = (size_t)length + 2;

		record_require(r, type > last);
		last = type;
		if (r->failed)
			break;
		if (read_known(&value, type, flow)) {
			record_require(r, reader_is_done(&value));
		} else if (!(type & RECORD_SKIPPABLE) || flow->extra_length + taken > FLOW_EXTRA_MAX) {
			is_compatible = false;
		} else {
			memcpy(flow->extra + flow->extra_length, start, taken);
			flow->extra_length = (uint16_t)(flow->extra_length + taken);
		}
	}
	return is_compatible;
}

/* Reads what follows the length.  Sets only what the record has, so `flow` needs no clearing to be checked.
 */
static enum record_verdict read_body(struct reader *r, struct flow *flow)
{
	bool is_compatible = true;
	struct key_fields key;
	uint8_t parts;

	flow->present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK;
	flow->timeout_s = reader_u32(r);
	record_read_key(r, &key, &flow->orig);
	record_require(r, !key.is_expect);
	flow->family = key.family;
	flow->protocol = key.protocol;
	flow->zone = key.zone;
	flow->incarnation = reader_u8(r);
	flow->status = reader_u16(r);
	parts = reader_u8(r);
	record_require(r, !(flow->status & ~(uint32_t)FLOW_STATUS_REPLICATED));
	flow->zone_scope = parts & PART_ZONE_ORIGINAL ? FLOW_ZONE_ORIGINAL : FLOW_ZONE_BOTH;
	record_require(r, flow->zone || !(parts & PART_ZONE_ORIGINAL));
	if (r->failed)
		return RECORD_MALFORMED;
	read_reply(r, flow, parts);
	flow->mark = parts & PART_MARK ? reader_u32(r) : 0;
	record_require(r, flow->mark || !(parts & PART_MARK));
	if (parts & PART_STATE)
		read_state(r, flow);
	flow->extra_length = 0;
	if (parts & PART_ATTRIBUTES)
		is_compatible = read_attributes(r, flow);
	if (!reader_is_done(r))
		return RECORD_MALFORMED;
	return is_compatible ? RECORD_GOOD : RECORD_INCOMPATIBLE;
}

enum record_verdict record_check(const uint8_t *bytes, size_t available, size_t *length)
{
	struct reader r = reader_over(bytes, available < RECORD_MAX ? available : RECORD_MAX);
	uint64_t follows = reader_varint(&r);
	struct reader body = reader_sub(&r, follows < RECORD_MAX ? (size_t)follows : RECORD_MAX);
	struct expect expect;
	struct flow flow;

	if (r.failed)
		return RECORD_MALFORMED;
	*length = (size_t)(r.at - bytes);
	if (reader_left(&body) > TIMEOUT_SIZE && body.at[TIMEOUT_SIZE] & SHAPE_EXPECT)
		return record_read_expect(&body, &expect);
	return read_body(&body, &flow);
}

size_t record_check_key(const uint8_t *bytes, size_t available)
{
	struct reader r = reader_over(bytes, available);
	struct flow_tuple tuple;
	struct key_fields key;

	record_read_key(&r, &key, &tuple);
	return r.failed ? 0 : (size_t)(r.at - bytes);
}

/* --- good records --- */

static size_t prefix_length(const uint8_t *record)
{
	return record[0] & LONG_LENGTH ? 2 : 1;
}

size_t record_length(const uint8_t *record)
{
	if (record[0] & LONG_LENGTH)
		return (size_t)(record[0] & 0x7f) + ((size_t)record[1] << 7) + 2;
	return (size_t)record[0] + 1;
}

void record_decode(const uint8_t *record, struct flow *flow)
{
	size_t prefix = prefix_length(record);
	struct reader r = reader_over(record + prefix, record_length(record) - prefix);

	memset(flow, 0, sizeof(*flow));
	read_body(&r, flow);
}

int record_decode_key(const uint8_t *key, size_t length, struct flow *flow)
{
	struct reader r = reader_over(key, length);
	struct key_fields fields;

	memset(flow, 0, sizeof(*flow));
	record_read_key(&r, &fields, &flow->orig);
	if (!reader_is_done(&r) || fields.is_expect)
		return -EINVAL;
	flow->family = fields.family;
	flow->protocol = fields.protocol;
	flow->zone = fields.zone;
	return 0;
}

struct record_key record_key(const uint8_t *record)
{
	const uint8_t *key = record + prefix_length(record) + TIMEOUT_SIZE;
	bool is_other = (key[0] & SHAPE_CLASS) == CLASS_OTHER;
	size_t length = 1;

	length += key[0] & SHAPE_IPV6 ? 32 : 8;
	length += key[0] & SHAPE_ZONE ? 2 : 0;
	length += is_other ? 1 : 4;
	return (struct record_key){.bytes = key, .length = length};
}

uint32_t record_timeout_s(const uint8_t *record)
{
	struct reader r = reader_over(record + prefix_length(record), TIMEOUT_SIZE);

	return reader_u32(&r);
}

void record_set_timeout_s(uint8_t *record, uint32_t timeout_s)
{
	struct writer w = writer_over(record + prefix_length(record), TIMEOUT_SIZE);

	writer_u32(&w, timeout_s);
}

uint8_t record_incarnation(const uint8_t *record)
{
	struct record_key key = record_key(record);

	return key.bytes[key.length];
}

void record_set_incarnation(uint8_t *record, uint8_t incarnation)
{
	record[(size_t)(record_key(record).bytes - record) + record_key(record).length] = incarnation;
}

bool record_is_expect(const uint8_t *record)
{
	return record[prefix_length(record) + TIMEOUT_SIZE] & SHAPE_EXPECT;
}

void record_decode_expect(const uint8_t *record, struct expect *expect)
{
	size_t prefix = prefix_length(record);
	struct reader r = reader_over(record + prefix, record_length(record) - prefix);

	record_read_expect(&r, expect);
}

bool record_equals(const uint8_t *a, const uint8_t *b)
{
	size_t length = record_length(a), skip = prefix_length(a) + TIMEOUT_SIZE;

	return length == record_length(b) && !memcmp(a + skip, b + skip, length - skip);
}

uint64_t record_hash(const uint8_t *record)
{
	size_t skip = prefix_length(record) + TIMEOUT_SIZE;

	return XXH3_64bits(record + skip, record_length(record) - skip);
}
