/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/record.h"

#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/buf.h"

enum {
	SHAPE_CLASS = 0x0f,
	SHAPE_IPV6 = 1 << 4,
	SHAPE_ZONE = 1 << 5,
	SHAPE_UNUSED = 0xc0,
	CLASS_OTHER = 15,

	PART_REPLY_SRC = 1 << 0,
	PART_REPLY_DST = 1 << 1,
	PART_REPLY_SPORT = 1 << 2,
	PART_REPLY_DPORT = 1 << 3,
	PART_MARK = 1 << 4,
	PART_STATE = 1 << 5,
	PART_ZONE_ORIGINAL = 1 << 6,
	PART_ATTRIBUTES = 1 << 7,

	TIMEOUT_SIZE = 4,
	LONG_LENGTH = 0x80, /* bit of the first length byte: there is a second one */
};

static const uint8_t class_protocols[] = {PROTOCOL_TCP,     PROTOCOL_UDP,  PROTOCOL_ICMP, PROTOCOL_ICMPV6,
					  PROTOCOL_UDPLITE, PROTOCOL_SCTP, PROTOCOL_DCCP, PROTOCOL_GRE};
enum { CLASSES = sizeof(class_protocols) };

static uint8_t class_of(uint8_t protocol)
{
	for (uint8_t i = 0; i < CLASSES; i++)
		if (class_protocols[i] == protocol)
			return i;
	return CLASS_OTHER;
}

/* The key of a flow, or of its master. */
struct key_fields {
	uint8_t family, protocol;
	uint16_t zone;
	struct flow_tuple tuple;
};

/* --- writing --- */

static void write_ports(struct writer *w, uint8_t protocol, const struct flow_tuple *tuple)
{
	if (flow_has_icmp(protocol)) {
		writer_u16(w, tuple->icmp_id);
		writer_u8(w, tuple->icmp_type);
		writer_u8(w, tuple->icmp_code);
	} else {
		writer_u16(w, tuple->sport);
		writer_u16(w, tuple->dport);
	}
}

static void write_key(struct writer *w, uint8_t family, uint8_t protocol, uint16_t zone,
		      const struct flow_tuple *tuple)
{
	uint8_t class = class_of(protocol);
	size_t size = flow_address_size(family);

	if (family != FLOW_IPV4 && family != FLOW_IPV6) {
		w->failed = true;
		return;
	}
	writer_u8(w, (uint8_t)(class | (family == FLOW_IPV6 ? SHAPE_IPV6 : 0) | (zone ? SHAPE_ZONE : 0)));
	if (class == CLASS_OTHER)
		writer_u8(w, protocol);
	if (zone)
		writer_u16(w, zone);
	writer_bytes(w, tuple->src, size);
	writer_bytes(w, tuple->dst, size);
	if (class != CLASS_OTHER)
		write_ports(w, protocol, tuple);
}

/* Which parts of the reply tuple differ from the mirrored original. */
static uint8_t reply_parts(const struct flow *flow, const struct flow_tuple *reply)
{
	struct flow_tuple mirror = flow_tuple_mirror(&flow->orig, flow->protocol);
	size_t size = flow_address_size(flow->family);
	uint8_t parts = 0;

	if (memcmp(reply->src, mirror.src, size))
		parts |= PART_REPLY_SRC;
	if (memcmp(reply->dst, mirror.dst, size))
		parts |= PART_REPLY_DST;
	if (class_of(flow->protocol) == CLASS_OTHER)
		return parts;
	/* sport is the ICMP id, dport its type and code: one union */
	if (reply->sport != mirror.sport)
		parts |= PART_REPLY_SPORT;
	if (reply->dport != mirror.dport)
		parts |= PART_REPLY_DPORT;
	return parts;
}

static void write_reply(struct writer *w, const struct flow *flow, uint8_t parts)
{
	size_t size = flow_address_size(flow->family);

	if (parts & PART_REPLY_SRC)
		writer_bytes(w, flow->reply.src, size);
	if (parts & PART_REPLY_DST)
		writer_bytes(w, flow->reply.dst, size);
	if (parts & PART_REPLY_SPORT)
		writer_u16(w, flow->reply.sport);
	if (!(parts & PART_REPLY_DPORT))
		return;
	if (flow_has_icmp(flow->protocol)) {
		writer_u8(w, flow->reply.icmp_type);
		writer_u8(w, flow->reply.icmp_code);
	} else {
		writer_u16(w, flow->reply.dport);
	}
}

static bool has_state(const struct flow *flow)
{
	return (flow->protocol == PROTOCOL_TCP && flow->present & FLOW_HAS_TCP) ||
	       (flow->protocol == PROTOCOL_SCTP && flow->present & FLOW_HAS_SCTP) ||
	       (flow->protocol == PROTOCOL_DCCP && flow->present & FLOW_HAS_DCCP);
}

static void write_state(struct writer *w, const struct flow *flow)
{
	switch (flow->protocol) {
	case PROTOCOL_TCP:
		w->failed |= flow->tcp.state >= FLOW_TCP_STATES;
		writer_u8(w, flow->tcp.state);
		writer_u8(w, (uint8_t)(flow->tcp.wscale[0] << 4 | (flow->tcp.wscale[1] & 0xf)));
		writer_u8(w, flow->tcp.flags[0] & FLOW_TCP_FLAGS_REPLICATED);
		writer_u8(w, flow->tcp.flags[1] & FLOW_TCP_FLAGS_REPLICATED);
		break;
	case PROTOCOL_SCTP:
		writer_u8(w, flow->sctp.state);
		writer_u32(w, flow->sctp.vtag[0]);
		writer_u32(w, flow->sctp.vtag[1]);
		break;
	case PROTOCOL_DCCP:
		writer_u8(w, flow->dccp.state);
		writer_u8(w, flow->dccp.role);
		writer_u64(w, flow->dccp.handshake_seq);
		break;
	}
}

static bool is_zero(const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	uint8_t any = 0;

	while (length--)
		any |= *p++;
	return !any;
}

/*
 * The attributes that the record carries.  One that is all zero says nothing and is left out: a dump shows
 * the empty labels of a flow where its event showed none (ctnetlink_dump_labels()), and both must give one
 * record.
 */
static uint32_t attributes_of(const struct flow *flow)
{
	uint32_t parts = flow->present & (FLOW_HAS_SEQADJ | FLOW_HAS_SYNPROXY | FLOW_HAS_LABELS |
					  FLOW_HAS_HELPER | FLOW_HAS_MASTER | FLOW_HAS_REPLY_ZONE);

	if (!parts)
		return 0;
	if (is_zero(flow->seqadj, sizeof(flow->seqadj)))
		parts &= ~(uint32_t)FLOW_HAS_SEQADJ;
	if (is_zero(&flow->synproxy, sizeof(flow->synproxy)))
		parts &= ~(uint32_t)FLOW_HAS_SYNPROXY;
	if (is_zero(flow->labels, sizeof(flow->labels)))
		parts &= ~(uint32_t)FLOW_HAS_LABELS;
	if (!flow->helper[0])
		parts &= ~(uint32_t)FLOW_HAS_HELPER;
	if (!flow->reply_zone)
		parts &= ~(uint32_t)FLOW_HAS_REPLY_ZONE;
	return parts;
}

static void write_attribute(struct writer *w, uint8_t type, const void *bytes, size_t length)
{
	writer_u8(w, type);
	writer_u8(w, (uint8_t)length);
	writer_bytes(w, bytes, length);
}

static void write_seqadj(struct writer *w, const struct flow *flow)
{
	writer_u8(w, RECORD_SEQADJ);
	writer_u8(w, 24);
	for (int i = 0; i < 2; i++) {
		writer_u32(w, flow->seqadj[i].correction_pos);
		writer_u32(w, (uint32_t)flow->seqadj[i].offset_before);
		writer_u32(w, (uint32_t)flow->seqadj[i].offset_after);
	}
}

static void write_attributes(struct writer *w, const struct flow *flow, uint32_t parts)
{
	if (parts & FLOW_HAS_SEQADJ)
		write_seqadj(w, flow);
	if (parts & FLOW_HAS_SYNPROXY) {
		writer_u8(w, RECORD_SYNPROXY);
		writer_u8(w, 12);
		writer_u32(w, flow->synproxy.isn);
		writer_u32(w, flow->synproxy.its);
		writer_u32(w, flow->synproxy.tsoff);
	}
	if (parts & FLOW_HAS_LABELS)
		write_attribute(w, RECORD_LABELS, flow->labels, FLOW_LABELS_SIZE);
	if (parts & FLOW_HAS_HELPER)
		write_attribute(w, RECORD_HELPER, flow->helper, strnlen(flow->helper, FLOW_HELPER_SIZE - 1));
	if (parts & FLOW_HAS_MASTER) {
		uint8_t key[RECORD_KEY_MAX];
		struct writer k = writer_over(key, sizeof(key));

		write_key(&k, flow->family, flow->master_protocol, flow->master_zone, &flow->master);
		w->failed |= k.failed;
		write_attribute(w, RECORD_MASTER, key, writer_length(&k));
	}
	if (parts & FLOW_HAS_REPLY_ZONE) {
		writer_u8(w, RECORD_REPLY_ZONE);
		writer_u8(w, 2);
		writer_u16(w, flow->reply_zone);
	}
	writer_bytes(w, flow->extra, flow->extra_length);
}

static void write_value(struct writer *w, const struct flow *flow)
{
	uint32_t attributes = attributes_of(flow), mark = flow->present & FLOW_HAS_MARK ? flow->mark : 0;
	uint8_t parts = 0;

	if (flow->present & FLOW_HAS_REPLY)
		parts = reply_parts(flow, &flow->reply);
	if (mark)
		parts |= PART_MARK;
	if (has_state(flow))
		parts |= PART_STATE;
	if (flow->zone && flow->zone_scope == FLOW_ZONE_ORIGINAL)
		parts |= PART_ZONE_ORIGINAL;
	if (attributes || flow->extra_length)
		parts |= PART_ATTRIBUTES;

	writer_u8(w, flow->incarnation);
	writer_u16(w, flow->present & FLOW_HAS_STATUS ? flow->status & FLOW_STATUS_REPLICATED : 0);
	writer_u8(w, parts);
	write_reply(w, flow, parts);
	if (mark)
		writer_u32(w, mark);
	if (parts & PART_STATE)
		write_state(w, flow);
	if (parts & PART_ATTRIBUTES)
		write_attributes(w, flow, attributes);
}

size_t record_encode(const struct flow *flow, uint8_t record[RECORD_MAX])
{
	/* as if the length took one byte, which is so for nearly all */
	struct writer w = writer_over(record + 1, RECORD_MAX - 1);
	size_t length;

	if (flow->extra_length > FLOW_EXTRA_MAX)
		return 0;
	writer_u32(&w, flow->present & FLOW_HAS_TIMEOUT ? flow->timeout_s : 0);
	write_key(&w, flow->family, flow->protocol, flow->zone, &flow->orig);
	write_value(&w, flow);
	length = writer_length(&w);
	if (w.failed)
		return 0;
	if (length < LONG_LENGTH) {
		record[0] = (uint8_t)length;
		return length + 1;
	}
	if (length + 2 > RECORD_MAX)
		return 0;
	memmove(record + 2, record + 1, length);
	record[0] = (uint8_t)(length | LONG_LENGTH);
	record[1] = (uint8_t)(length >> 7);
	return length + 2;
}

size_t record_encode_key(const struct flow *flow, uint8_t key[RECORD_KEY_MAX])
{
	struct writer w = writer_over(key, RECORD_KEY_MAX);

	write_key(&w, flow->family, flow->protocol, flow->zone, &flow->orig);
	return w.failed ? 0 : writer_length(&w);
}

/* --- reading: what isn't canonical fails the reader --- */

static void require(struct reader *r, bool is_good)
{
	if (!is_good)
		r->failed = true;
}

static void read_key(struct reader *r, struct key_fields *key)
{
	uint8_t shape = reader_u8(r), class = shape & SHAPE_CLASS;
	size_t size;

	memset(key, 0, sizeof(*key));
	require(r, !(shape & SHAPE_UNUSED) && (class < CLASSES || class == CLASS_OTHER));
	if (r->failed)
		return;
	key->family = shape & SHAPE_IPV6 ? FLOW_IPV6 : FLOW_IPV4;
	size = flow_address_size(key->family);
	if (class == CLASS_OTHER) {
		key->protocol = reader_u8(r);
		require(r, class_of(key->protocol) == CLASS_OTHER);
	} else {
		key->protocol = class_protocols[class];
	}
	if (shape & SHAPE_ZONE) {
		key->zone = reader_u16(r);
		require(r, key->zone != 0);
	}
	reader_bytes(r, key->tuple.src, size);
	reader_bytes(r, key->tuple.dst, size);
	if (flow_has_icmp(key->protocol)) {
		key->tuple.icmp_id = reader_u16(r);
		key->tuple.icmp_type = reader_u8(r);
		key->tuple.icmp_code = reader_u8(r);
	} else if (class != CLASS_OTHER) {
		key->tuple.sport = reader_u16(r);
		key->tuple.dport = reader_u16(r);
	}
}

static void read_reply(struct reader *r, struct flow *flow, uint8_t parts)
{
	const uint8_t all = PART_REPLY_SRC | PART_REPLY_DST | PART_REPLY_SPORT | PART_REPLY_DPORT;
	size_t size = flow_address_size(flow->family);

	flow->reply = flow_tuple_mirror(&flow->orig, flow->protocol);
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
	require(r, reply_parts(flow, &flow->reply) == (parts & all));
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
		require(r, flow->tcp.state < FLOW_TCP_STATES &&
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
		require(r, false);
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

static void read_helper(struct reader *r, struct flow *flow)
{
	size_t length = reader_left(r);

	memset(flow->helper, 0, sizeof(flow->helper));
	require(r, length >= 1 && length < FLOW_HELPER_SIZE);
	reader_bytes(r, flow->helper, r->failed ? 0 : length);
	require(r, !memchr(flow->helper, 0, length < FLOW_HELPER_SIZE ? length : 0));
	flow->present |= FLOW_HAS_HELPER;
}

static void read_master(struct reader *r, struct flow *flow)
{
	struct key_fields key;

	read_key(r, &key);
	require(r, key.family == flow->family);
	flow->master = key.tuple;
	flow->master_protocol = key.protocol;
	flow->master_zone = key.zone;
	flow->present |= FLOW_HAS_MASTER;
}

/* Reads the value of a known attribute; false if the type isn't known. */
static bool read_known(struct reader *r, uint8_t type, struct flow *flow)
{
	bool says_nothing = reader_left(r) && is_zero(r->at, reader_left(r));

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
		read_helper(r, flow);
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
	require(r, !says_nothing);
	return true;
}

/* True when all could be understood, or kept. */
static bool read_attributes(struct reader *r, struct flow *flow)
{
	bool is_compatible = true;
	unsigned last = 0; /* and so no type is 0 */

	require(r, reader_left(r) > 0);
	while (reader_left(r)) {
		const uint8_t *start = r->at;
		uint8_t type = reader_u8(r), length = reader_u8(r);
		struct reader value = reader_sub(r, length);
		size_t taken = (size_t)length + 2;

		require(r, type > last);
		last = type;
		if (r->failed)
			break;
		if (read_known(&value, type, flow)) {
			require(r, reader_is_done(&value));
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
	read_key(r, &key);
	flow->family = key.family;
	flow->protocol = key.protocol;
	flow->zone = key.zone;
	flow->orig = key.tuple;
	flow->incarnation = reader_u8(r);
	flow->status = reader_u16(r);
	parts = reader_u8(r);
	require(r, !(flow->status & ~(uint32_t)FLOW_STATUS_REPLICATED));
	flow->zone_scope = parts & PART_ZONE_ORIGINAL ? FLOW_ZONE_ORIGINAL : FLOW_ZONE_BOTH;
	require(r, flow->zone || !(parts & PART_ZONE_ORIGINAL));
	if (r->failed)
		return RECORD_MALFORMED;
	read_reply(r, flow, parts);
	flow->mark = parts & PART_MARK ? reader_u32(r) : 0;
	require(r, flow->mark || !(parts & PART_MARK));
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
	struct flow flow;

	if (r.failed)
		return RECORD_MALFORMED;
	*length = (size_t)(r.at - bytes);
	return read_body(&body, &flow);
}

size_t record_check_key(const uint8_t *bytes, size_t available)
{
	struct reader r = reader_over(bytes, available);
	struct key_fields key;

	read_key(&r, &key);
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
	read_key(&r, &fields);
	if (!reader_is_done(&r))
		return -EINVAL;
	flow->family = fields.family;
	flow->protocol = fields.protocol;
	flow->zone = fields.zone;
	flow->orig = fields.tuple;
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
