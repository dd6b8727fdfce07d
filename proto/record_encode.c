/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The writing half of record.h. */
#include <string.h>

#include "proto/buf.h"
#include "proto/record.h"
#include "proto/record_format.h"

const uint8_t record_class_protocols[RECORD_CLASSES] = {PROTOCOL_TCP,    PROTOCOL_UDP,     PROTOCOL_ICMP,
							PROTOCOL_ICMPV6, PROTOCOL_UDPLITE, PROTOCOL_SCTP,
							PROTOCOL_DCCP,   PROTOCOL_GRE};

uint8_t record_class_of(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
		return 0;
	case PROTOCOL_UDP:
		return 1;
	case PROTOCOL_ICMP:
		return 2;
	case PROTOCOL_ICMPV6:
		return 3;
	case PROTOCOL_UDPLITE:
		return 4;
	case PROTOCOL_SCTP:
		return 5;
	case PROTOCOL_DCCP:
		return 6;
	case PROTOCOL_GRE:
		return 7;
	default:
		return CLASS_OTHER;
	}
}

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

/* The key that nearly every flow has, at one go: it is written twice for each event. */
static void write_plain_key(struct writer *w, uint8_t class, const struct flow_tuple *tuple)
{
	uint8_t *p = writer_take(w, 1 + 4 + 4 + 2 + 2);

	if (!p)
		return;
	p[0] = class;
	memcpy(p + 1, tuple->src, 4);
	memcpy(p + 5, tuple->dst, 4);
	p[9] = (uint8_t)(tuple->sport >> 8);
	p[10] = (uint8_t)tuple->sport;
	p[11] = (uint8_t)(tuple->dport >> 8);
	p[12] = (uint8_t)tuple->dport;
}

static bool key_is_plain(const struct key_fields *key)
{
	return key->family == FLOW_IPV4 && (key->protocol == PROTOCOL_TCP || key->protocol == PROTOCOL_UDP) &&
	       !key->zone && !key->is_expect;
}

void record_write_key(struct writer *w, const struct key_fields *key, const struct flow_tuple *tuple)
{
	uint8_t class = record_class_of(key->protocol);
	size_t size = flow_address_size(key->family);

	if (key_is_plain(key)) {
		write_plain_key(w, class, tuple);
		return;
	}
	if (key->family != FLOW_IPV4 && key->family != FLOW_IPV6) {
		w->failed = true;
		return;
	}
	writer_u8(w, (uint8_t)(class | (key->family == FLOW_IPV6 ? SHAPE_IPV6 : 0) |
			       (key->zone ? SHAPE_ZONE : 0) | (key->is_expect ? SHAPE_EXPECT : 0)));
	if (class == CLASS_OTHER)
		writer_u8(w, key->protocol);
	if (key->zone)
		writer_u16(w, key->zone);
	writer_bytes(w, tuple->src, size);
	writer_bytes(w, tuple->dst, size);
	if (class != CLASS_OTHER)
		write_ports(w, key->protocol, tuple);
}

uint8_t record_reply_parts(const struct flow *flow)
{
	const struct flow_tuple *orig = &flow->orig, *reply = &flow->reply;
	uint16_t sport = orig->dport, dport = orig->sport;
	size_t size = flow_address_size(flow->family);
	uint8_t parts = 0;

	/* flow_tuple_mirror(), without making one: this is done for every event */
	if (memcmp(reply->src, orig->dst, size))
		parts |= PART_REPLY_SRC;
	if (memcmp(reply->dst, orig->src, size))
		parts |= PART_REPLY_DST;
	if (record_class_of(flow->protocol) == CLASS_OTHER)
		return parts;
	if (flow_has_icmp(flow->protocol)) {
		struct flow_tuple mirror = flow_tuple_mirror(orig, flow->protocol);

		sport = mirror.sport; /* the id, in one union with it; dport: type and code */
		dport = mirror.dport;
	}
	if (reply->sport != sport)
		parts |= PART_REPLY_SPORT;
	if (reply->dport != dport)
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

bool record_is_zero(const void *bytes, size_t length)
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
	if (record_is_zero(flow->seqadj, sizeof(flow->seqadj)))
		parts &= ~(uint32_t)FLOW_HAS_SEQADJ;
	if (record_is_zero(&flow->synproxy, sizeof(flow->synproxy)))
		parts &= ~(uint32_t)FLOW_HAS_SYNPROXY;
	if (record_is_zero(flow->labels, sizeof(flow->labels)))
		parts &= ~(uint32_t)FLOW_HAS_LABELS;
	if (!flow->helper[0])
		parts &= ~(uint32_t)FLOW_HAS_HELPER;
	if (!flow->reply_zone)
		parts &= ~(uint32_t)FLOW_HAS_REPLY_ZONE;
	return parts;
}

void record_write_attribute(struct writer *w, uint8_t type, const void *bytes, size_t length)
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
		record_write_attribute(w, RECORD_LABELS, flow->labels, FLOW_LABELS_SIZE);
	if (parts & FLOW_HAS_HELPER)
		record_write_attribute(w, RECORD_HELPER, flow->helper,
				       strnlen(flow->helper, FLOW_HELPER_SIZE - 1));
	if (parts & FLOW_HAS_MASTER) {
		uint8_t key[RECORD_KEY_MAX];
		struct writer k = writer_over(key, sizeof(key));

		record_write_key(
		    &k, &(struct key_fields){flow->family, flow->master_protocol, flow->master_zone, false},
		    &flow->master);
		w->failed |= k.failed;
		record_write_attribute(w, RECORD_MASTER, key, writer_length(&k));
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
		parts = record_reply_parts(flow);
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

static void write_own_key(struct writer *w, const struct flow *flow)
{
	record_write_key(w, &(struct key_fields){flow->family, flow->protocol, flow->zone, false},
			 &flow->orig);
}

size_t record_encode(const struct flow *flow, uint8_t record[RECORD_MAX])
{
	/* as if the length took one byte, which is so for nearly all */
	struct writer w = writer_over(record + 1, RECORD_MAX - 1);

	if (flow->extra_length > FLOW_EXTRA_MAX)
		return 0;
	writer_u32(&w, flow->present & FLOW_HAS_TIMEOUT ? flow->timeout_s : 0);
	write_own_key(&w, flow);
	write_value(&w, flow);
	return record_finish(&w, record);
}

size_t record_finish(const struct writer *w, uint8_t record[RECORD_MAX])
{
	size_t length = writer_length(w);

	if (w->failed)
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

	write_own_key(&w, flow);
	return w.failed ? 0 : writer_length(&w);
}
