/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shapes that nearly every message has, recognised as a whole instead of attribute by attribute: they
 * take half of the time of reading an event otherwise.  What does not match to the byte is left to the
 * general reader in convert.c, which comes to the same.
 */
#ifndef KERNEL_CONVERT_USUAL_H
#define KERNEL_CONVERT_USUAL_H

#include "proto/flow.h"
#include "syncd/kernel/attribute.h"

#include <linux/netfilter/nfnetlink_conntrack.h>

/* An IPv4 tuple with ports, as ctnetlink_dump_tuples() writes it. */
struct usual_tuple {
	struct nlattr ip, src_header;
	uint8_t src[4];
	struct nlattr dst_header;
	uint8_t dst[4];
	struct nlattr proto, number_header;
	uint8_t number, number_pad[3];
	struct nlattr sport_header;
	uint16_t sport, sport_pad;
	struct nlattr dport_header;
	uint16_t dport, dport_pad;
};
_Static_assert(sizeof(struct usual_tuple) == 48, "as it lies in the message");

/* The state of a TCP flow that is not being destroyed, as tcp_to_nlattr() writes it. */
struct usual_tcp {
	struct nlattr tcp, state_header;
	uint8_t state, state_pad[3];
	struct {
		struct nlattr header;
		uint8_t scale, pad[3];
	} wscale[2];
	struct {
		struct nlattr header;
		uint8_t flags, mask, pad[2];
	} flags[2];
};
_Static_assert(sizeof(struct usual_tcp) == 44, "as it lies in the message");

/* 0 if the header is that of an attribute of this type and length.  As one word: there are many. */
static inline uint32_t usual_differs(struct nlattr header, uint16_t type, uint16_t payload)
{
	const struct nlattr usual = {.nla_len = (uint16_t)(sizeof(header) + payload), .nla_type = type};
	uint32_t is, should_be;

	memcpy(&is, &header, sizeof(is));
	memcpy(&should_be, &usual, sizeof(should_be));
	return is ^ should_be;
}

/* False: another shape, nothing was written. */
static inline bool usual_tuple_read(const struct attribute *nest, struct flow_tuple *tuple, uint8_t *protocol)
{
	struct usual_tuple t;
	uint32_t differs;

	if (nest->length != sizeof(t))
		return false;
	memcpy(&t, nest->bytes, sizeof(t));
	differs = usual_differs(t.ip, CTA_TUPLE_IP | NLA_F_NESTED, 16) |
		  usual_differs(t.src_header, CTA_IP_V4_SRC, 4) |
		  usual_differs(t.dst_header, CTA_IP_V4_DST, 4) |
		  usual_differs(t.proto, CTA_TUPLE_PROTO | NLA_F_NESTED, 24) |
		  usual_differs(t.number_header, CTA_PROTO_NUM, 1) |
		  usual_differs(t.sport_header, CTA_PROTO_SRC_PORT, 2) |
		  usual_differs(t.dport_header, CTA_PROTO_DST_PORT, 2);
	if (differs || (t.number != PROTOCOL_TCP && t.number != PROTOCOL_UDP))
		return false;
	memset(tuple, 0, sizeof(*tuple));
	memcpy(tuple->src, t.src, 4);
	memcpy(tuple->dst, t.dst, 4);
	tuple->sport = be16toh(t.sport);
	tuple->dport = be16toh(t.dport);
	*protocol = t.number;
	return true;
}

/* False: another shape, nothing was written. */
static inline bool usual_tcp_read(const struct attribute *protoinfo, struct flow *flow)
{
	struct usual_tcp t;
	uint32_t differs;

	if (protoinfo->length != sizeof(t))
		return false;
	memcpy(&t, protoinfo->bytes, sizeof(t));
	differs = usual_differs(t.tcp, CTA_PROTOINFO_TCP | NLA_F_NESTED, 40) |
		  usual_differs(t.state_header, CTA_PROTOINFO_TCP_STATE, 1) |
		  usual_differs(t.wscale[0].header, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, 1) |
		  usual_differs(t.wscale[1].header, CTA_PROTOINFO_TCP_WSCALE_REPLY, 1) |
		  usual_differs(t.flags[0].header, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, 2) |
		  usual_differs(t.flags[1].header, CTA_PROTOINFO_TCP_FLAGS_REPLY, 2);
	if (differs || t.state >= FLOW_TCP_STATES)
		return false;
	flow->present |= FLOW_HAS_TCP;
	flow->tcp.state = t.state;
	for (unsigned i = 0; i < 2; i++) {
		flow->tcp.wscale[i] = t.wscale[i].scale;
		flow->tcp.flags[i] = t.flags[i].flags;
	}
	return true;
}

#endif
