/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading: from ctnetlink messages.  Writing is in convert_write.c. */
#include "syncd/kernel/convert.h"
#include "syncd/kernel/attribute.h"
#include "syncd/kernel/convert_usual.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <string.h>

/* A tuple being read; `seen` has a bit for each part. */
struct tuple_reading {
	struct flow_tuple *tuple;
	uint8_t protocol;
	uint16_t zone;
	unsigned seen;
};

enum {
	SEEN_V4_SRC = 1 << 0,
	SEEN_V4_DST = 1 << 1,
	SEEN_V6_SRC = 1 << 2,
	SEEN_V6_DST = 1 << 3,
	SEEN_PROTOCOL = 1 << 4,
	SEEN_ZONE = 1 << 5,
	SEEN_V4 = SEEN_V4_SRC | SEEN_V4_DST,
	SEEN_V6 = SEEN_V6_SRC | SEEN_V6_DST,
};

static int read_tuple_ip(void *context, const struct attribute *attribute)
{
	struct tuple_reading *reading = context;

	switch (attribute->type) {
	case CTA_IP_V4_SRC:
		reading->seen |= SEEN_V4_SRC;
		return attribute_get_bytes(attribute, reading->tuple->src, 4);
	case CTA_IP_V4_DST:
		reading->seen |= SEEN_V4_DST;
		return attribute_get_bytes(attribute, reading->tuple->dst, 4);
	case CTA_IP_V6_SRC:
		reading->seen |= SEEN_V6_SRC;
		return attribute_get_bytes(attribute, reading->tuple->src, 16);
	case CTA_IP_V6_DST:
		reading->seen |= SEEN_V6_DST;
		return attribute_get_bytes(attribute, reading->tuple->dst, 16);
	}
	return 0;
}

static int read_tuple_proto(void *context, const struct attribute *attribute)
{
	struct tuple_reading *reading = context;

	switch (attribute->type) {
	case CTA_PROTO_NUM:
		reading->seen |= SEEN_PROTOCOL;
		return attribute_get_u8(attribute, &reading->protocol);
	case CTA_PROTO_SRC_PORT:
		return attribute_get_u16(attribute, &reading->tuple->sport);
	case CTA_PROTO_DST_PORT:
		return attribute_get_u16(attribute, &reading->tuple->dport);
	case CTA_PROTO_ICMP_ID:
	case CTA_PROTO_ICMPV6_ID:
		return attribute_get_u16(attribute, &reading->tuple->icmp_id);
	case CTA_PROTO_ICMP_TYPE:
	case CTA_PROTO_ICMPV6_TYPE:
		return attribute_get_u8(attribute, &reading->tuple->icmp_type);
	case CTA_PROTO_ICMP_CODE:
	case CTA_PROTO_ICMPV6_CODE:
		return attribute_get_u8(attribute, &reading->tuple->icmp_code);
	}
	return 0;
}

static int read_tuple_part(void *context, const struct attribute *attribute)
{
	struct tuple_reading *reading = context;

	switch (attribute->type) {
	case CTA_TUPLE_IP:
		return attribute_walk_nested(attribute, read_tuple_ip, reading);
	case CTA_TUPLE_PROTO:
		return attribute_walk_nested(attribute, read_tuple_proto, reading);
	case CTA_TUPLE_ZONE:
		reading->seen |= SEEN_ZONE;
		return attribute_get_u16(attribute, &reading->zone);
	}
	return 0;
}

/* A whole tuple: both addresses of the family, and a protocol.  Protocols unknown to the kernel come without
 * ports. */
static int read_tuple(const struct attribute *nest, uint8_t family, struct flow_tuple *tuple,
		      struct tuple_reading *reading)
{
	unsigned addresses = family == FLOW_IPV4 ? SEEN_V4 : SEEN_V6;
	int error;

	*reading = (struct tuple_reading){.tuple = tuple};
	if (family == FLOW_IPV4 && usual_tuple_read(nest, tuple, &reading->protocol))
		return 0;
	memset(tuple, 0, sizeof(*tuple));
	error = attribute_walk_nested(nest, read_tuple_part, reading);
	if (error)
		return error;
	if ((reading->seen & (SEEN_V4 | SEEN_V6)) != addresses || !(reading->seen & SEEN_PROTOCOL))
		return -EINVAL;
	if (!flow_has_ports(reading->protocol) && !flow_has_icmp(reading->protocol) &&
	    reading->protocol != PROTOCOL_GRE)
		tuple->sport = tuple->dport = 0;
	return 0;
}

int convert_read_tuple(const struct attribute *nest, uint8_t family, uint8_t *protocol,
		       struct flow_tuple *tuple)
{
	struct tuple_reading reading;
	int error = read_tuple(nest, family, tuple, &reading);

	*protocol = reading.protocol;
	return error;
}

static int read_tcp(void *context, const struct attribute *attribute)
{
	struct flow *flow = context;

	switch (attribute->type) {
	case CTA_PROTOINFO_TCP_STATE:
		flow->present |= FLOW_HAS_TCP;
		if (attribute_get_u8(attribute, &flow->tcp.state) || flow->tcp.state >= FLOW_TCP_STATES)
			return -EINVAL;
		return 0;
	case CTA_PROTOINFO_TCP_WSCALE_ORIGINAL:
		return attribute_get_u8(attribute, &flow->tcp.wscale[0]);
	case CTA_PROTOINFO_TCP_WSCALE_REPLY:
		return attribute_get_u8(attribute, &flow->tcp.wscale[1]);
	case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL: /* struct nf_ct_tcp_flags: flags, mask */
	case CTA_PROTOINFO_TCP_FLAGS_REPLY:
		if (attribute->length != 2)
			return -EINVAL;
		flow->tcp.flags[attribute->type == CTA_PROTOINFO_TCP_FLAGS_REPLY] = attribute->bytes[0];
		return 0;
	}
	return 0;
}

static int read_sctp(void *context, const struct attribute *attribute)
{
	struct flow *flow = context;

	switch (attribute->type) {
	case CTA_PROTOINFO_SCTP_STATE:
		flow->present |= FLOW_HAS_SCTP;
		return attribute_get_u8(attribute, &flow->sctp.state);
	case CTA_PROTOINFO_SCTP_VTAG_ORIGINAL:
		return attribute_get_u32(attribute, &flow->sctp.vtag[0]);
	case CTA_PROTOINFO_SCTP_VTAG_REPLY:
		return attribute_get_u32(attribute, &flow->sctp.vtag[1]);
	}
	return 0;
}

static int read_dccp(void *context, const struct attribute *attribute)
{
	struct flow *flow = context;

	switch (attribute->type) {
	case CTA_PROTOINFO_DCCP_STATE:
		flow->present |= FLOW_HAS_DCCP;
		return attribute_get_u8(attribute, &flow->dccp.state);
	case CTA_PROTOINFO_DCCP_ROLE:
		return attribute_get_u8(attribute, &flow->dccp.role);
	case CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ:
		return attribute_get_u64(attribute, &flow->dccp.handshake_seq);
	}
	return 0;
}

static int read_protoinfo(void *context, const struct attribute *attribute)
{
	switch (attribute->type) {
	case CTA_PROTOINFO_TCP:
		return attribute_walk_nested(attribute, read_tcp, context);
	case CTA_PROTOINFO_SCTP:
		return attribute_walk_nested(attribute, read_sctp, context);
	case CTA_PROTOINFO_DCCP:
		return attribute_walk_nested(attribute, read_dccp, context);
	}
	return 0;
}

static int read_counters(void *context, const struct attribute *attribute)
{
	uint64_t *packets_bytes = context;

	switch (attribute->type) {
	case CTA_COUNTERS_PACKETS:
		return attribute_get_u64(attribute, &packets_bytes[0]);
	case CTA_COUNTERS_BYTES:
		return attribute_get_u64(attribute, &packets_bytes[1]);
	}
	return 0;
}

static int read_direction(struct flow *flow, unsigned direction, const struct attribute *attribute)
{
	uint64_t packets_bytes[2] = {0, 0};
	int error = attribute_walk_nested(attribute, read_counters, packets_bytes);

	flow->present |= FLOW_HAS_COUNTERS;
	flow->counters[direction].packets = packets_bytes[0];
	flow->counters[direction].bytes = packets_bytes[1];
	return error;
}

static int read_timestamp(void *context, const struct attribute *attribute)
{
	struct flow *flow = context;

	switch (attribute->type) {
	case CTA_TIMESTAMP_START:
		return attribute_get_u64(attribute, &flow->timestamp_start_ns);
	case CTA_TIMESTAMP_STOP:
		return attribute_get_u64(attribute, &flow->timestamp_stop_ns);
	}
	return 0;
}

static int read_seqadj(void *context, const struct attribute *attribute)
{
	struct flow_seqadj *seqadj = context;
	uint32_t offset;
	int error;

	switch (attribute->type) {
	case CTA_SEQADJ_CORRECTION_POS:
		return attribute_get_u32(attribute, &seqadj->correction_pos);
	case CTA_SEQADJ_OFFSET_BEFORE:
		error = attribute_get_u32(attribute, &offset);
		if (!error)
			seqadj->offset_before = (int32_t)offset;
		return error;
	case CTA_SEQADJ_OFFSET_AFTER:
		error = attribute_get_u32(attribute, &offset);
		if (!error)
			seqadj->offset_after = (int32_t)offset;
		return error;
	}
	return 0;
}

/* The kernel shows zeros for every flow that ctnetlink created (nfct_synproxy_ext_add()): those mean none. */
static int read_synproxy(void *context, const struct attribute *attribute)
{
	struct flow *flow = context;
	uint32_t *to;
	int error;

	switch (attribute->type) {
	case CTA_SYNPROXY_ISN:
		to = &flow->synproxy.isn;
		break;
	case CTA_SYNPROXY_ITS:
		to = &flow->synproxy.its;
		break;
	case CTA_SYNPROXY_TSOFF:
		to = &flow->synproxy.tsoff;
		break;
	default:
		return 0;
	}
	error = attribute_get_u32(attribute, to);
	if (!error && *to)
		flow->present |= FLOW_HAS_SYNPROXY;
	return error;
}

static int read_help(void *context, const struct attribute *attribute)
{
	struct flow *flow = context;

	if (attribute->type != CTA_HELP_NAME)
		return 0;
	flow->present |= FLOW_HAS_HELPER;
	return attribute_get_string(attribute, flow->helper, sizeof(flow->helper), false);
}

static int read_secctx(void *context, const struct attribute *attribute)
{
	struct flow *flow = context;

	if (attribute->type != CTA_SECCTX_NAME)
		return 0;
	flow->present |= FLOW_HAS_SECCTX;
	return attribute_get_string(attribute, flow->secctx, sizeof(flow->secctx), true);
}

static int read_labels(struct flow *flow, const struct attribute *attribute)
{
	if (attribute->length > sizeof(flow->labels))
		return -EINVAL;
	memset(flow->labels, 0, sizeof(flow->labels));
	memcpy(flow->labels, attribute->bytes, attribute->length);
	flow->present |= FLOW_HAS_LABELS;
	return 0;
}

/* A message being read. */
struct message_reading {
	struct flow *flow;
	bool has_orig;
	uint8_t reply_protocol;
};

static int read_orig(struct message_reading *message, const struct attribute *attribute)
{
	struct flow *flow = message->flow;
	struct tuple_reading reading;
	int error = read_tuple(attribute, flow->family, &flow->orig, &reading);

	if (error)
		return error;
	message->has_orig = true;
	flow->protocol = reading.protocol;
	if (reading.seen & SEEN_ZONE) {
		flow->zone = reading.zone;
		flow->zone_scope = FLOW_ZONE_ORIGINAL;
	}
	return 0;
}

static int read_reply(struct message_reading *message, const struct attribute *attribute)
{
	struct flow *flow = message->flow;
	struct tuple_reading reading;
	int error = read_tuple(attribute, flow->family, &flow->reply, &reading);

	if (error)
		return error;
	message->reply_protocol = reading.protocol;
	flow->present |= FLOW_HAS_REPLY;
	if (reading.seen & SEEN_ZONE) {
		flow->reply_zone = reading.zone;
		flow->present |= FLOW_HAS_REPLY_ZONE;
	}
	return 0;
}

static int read_master(struct flow *flow, const struct attribute *attribute)
{
	struct tuple_reading reading;
	int error = read_tuple(attribute, flow->family, &flow->master, &reading);

	if (error)
		return error;
	flow->master_protocol = reading.protocol;
	flow->present |= FLOW_HAS_MASTER;
	return 0;
}

/* A flat table, so longer than a function should be. */
static int read_attribute(void *context, const struct attribute *attribute)
{
	struct message_reading *message = context;
	struct flow *flow = message->flow;

	switch (attribute->type) {
	case CTA_TUPLE_ORIG:
		return read_orig(message, attribute);
	case CTA_TUPLE_REPLY:
		return read_reply(message, attribute);
	case CTA_TUPLE_MASTER:
		return read_master(flow, attribute);
	case CTA_STATUS:
		flow->present |= FLOW_HAS_STATUS;
		return attribute_get_u32(attribute, &flow->status);
	case CTA_TIMEOUT:
		flow->present |= FLOW_HAS_TIMEOUT;
		return attribute_get_u32(attribute, &flow->timeout_s);
	case CTA_MARK:
		flow->present |= FLOW_HAS_MARK;
		return attribute_get_u32(attribute, &flow->mark);
	case CTA_ID:
		flow->present |= FLOW_HAS_ID;
		return attribute_get_u32(attribute, &flow->id);
	case CTA_USE:
		flow->present |= FLOW_HAS_USE;
		return attribute_get_u32(attribute, &flow->use);
	case CTA_ZONE:
		return attribute_get_u16(attribute, &flow->zone);
	case CTA_PROTOINFO:
		return usual_tcp_read(attribute, flow)
			   ? 0
			   : attribute_walk_nested(attribute, read_protoinfo, flow);
	case CTA_COUNTERS_ORIG:
		return read_direction(flow, 0, attribute);
	case CTA_COUNTERS_REPLY:
		return read_direction(flow, 1, attribute);
	case CTA_TIMESTAMP:
		flow->present |= FLOW_HAS_TIMESTAMP;
		return attribute_walk_nested(attribute, read_timestamp, flow);
	case CTA_SEQ_ADJ_ORIG:
		flow->present |= FLOW_HAS_SEQADJ;
		return attribute_walk_nested(attribute, read_seqadj, &flow->seqadj[0]);
	case CTA_SEQ_ADJ_REPLY:
		flow->present |= FLOW_HAS_SEQADJ;
		return attribute_walk_nested(attribute, read_seqadj, &flow->seqadj[1]);
	case CTA_SYNPROXY:
		return attribute_walk_nested(attribute, read_synproxy, flow);
	case CTA_HELP:
		return attribute_walk_nested(attribute, read_help, flow);
	case CTA_SECCTX:
		return attribute_walk_nested(attribute, read_secctx, flow);
	case CTA_LABELS:
		return read_labels(flow, attribute);
	}
	return 0;
}

static int read_kind(const struct nlmsghdr *message, enum convert_kind *kind)
{
	if (message->nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK)
		return -EINVAL;
	switch (message->nlmsg_type & 0xff) {
	case IPCTNL_MSG_CT_NEW:
		*kind = message->nlmsg_flags & NLM_F_CREATE ? CONVERT_NEW : CONVERT_UPDATE;
		return 0;
	case IPCTNL_MSG_CT_DELETE:
		*kind = CONVERT_DESTROY;
		return 0;
	}
	return -EINVAL;
}

int convert_from_message(const struct nlmsghdr *message, struct flow *flow, enum convert_kind *kind)
{
	const uint8_t *bytes = (const uint8_t *)message;
	const size_t headers = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	struct message_reading reading = {.flow = flow};
	int error;

	memset(flow, 0, sizeof(*flow));
	if (message->nlmsg_len < headers)
		return -EINVAL;
	error = read_kind(message, kind);
	if (error)
		return error;
	flow->family = bytes[NLMSG_HDRLEN + offsetof(struct nfgenmsg, nfgen_family)];
	if (flow->family != FLOW_IPV4 && flow->family != FLOW_IPV6)
		return -EPROTONOSUPPORT;
	error = attribute_walk(bytes + headers, message->nlmsg_len - headers, read_attribute, &reading);
	if (error)
		return error;
	if (!reading.has_orig)
		return -EINVAL;
	if (flow->present & FLOW_HAS_REPLY && reading.reply_protocol != flow->protocol)
		return -EINVAL;
	if (flow->present & FLOW_HAS_MASTER) /* the kernel looks it up in the flow's own zone */
		flow->master_zone = flow->zone;
	return 0;
}
