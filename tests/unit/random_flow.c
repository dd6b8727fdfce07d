/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/random_flow.h"

#include <string.h>

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t random_u64(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t random_below(struct random *random, uint32_t bound)
{
	return (uint32_t)(random_u64(random) % bound);
}

void random_fill(struct random *random, void *bytes, size_t length)
{
	uint8_t *p = bytes;

	while (length--)
		*p++ = (uint8_t)random_u64(random);
}

static bool one_in(struct random *random, uint32_t n)
{
	return random_below(random, n) == 0;
}

static struct flow_tuple random_tuple(struct random *random, uint8_t family, uint8_t protocol)
{
	struct flow_tuple tuple = {0};

	random_fill(random, tuple.src, flow_address_size(family));
	random_fill(random, tuple.dst, flow_address_size(family));
	if (flow_has_icmp(protocol)) {
		tuple.icmp_id = (uint16_t)random_u64(random);
		tuple.icmp_type = (uint8_t)random_u64(random);
		tuple.icmp_code = (uint8_t)random_u64(random);
	} else if (flow_has_ports(protocol) || protocol == PROTOCOL_GRE) {
		tuple.sport = (uint16_t)random_u64(random);
		tuple.dport = (uint16_t)random_u64(random);
	}
	return tuple;
}

static uint8_t random_protocol(struct random *random)
{
	static const uint8_t known[] = {PROTOCOL_TCP,
					PROTOCOL_TCP,
					PROTOCOL_TCP,
					PROTOCOL_UDP,
					PROTOCOL_ICMP,
					PROTOCOL_GRE,
					PROTOCOL_DCCP,
					PROTOCOL_ICMPV6,
					PROTOCOL_UDPLITE,
					PROTOCOL_SCTP,
					47,
					50};

	return one_in(random, 8) ? (uint8_t)random_u64(random) : known[random_below(random, sizeof(known))];
}

static void add_reply(struct random *random, struct flow *flow)
{
	struct flow_tuple other = random_tuple(random, flow->family, flow->protocol);

	flow->present |= FLOW_HAS_REPLY;
	flow->reply = flow_tuple_mirror(&flow->orig, flow->protocol);
	if (one_in(random, 3))
		memcpy(flow->reply.src, other.src, sizeof(other.src));
	if (one_in(random, 3))
		memcpy(flow->reply.dst, other.dst, sizeof(other.dst));
	if (one_in(random, 3))
		flow->reply.sport = other.sport;
	if (one_in(random, 3))
		flow->reply.dport = other.dport;
}

static void add_state(struct random *random, struct flow *flow)
{
	switch (flow->protocol) {
	case PROTOCOL_TCP:
		flow->present |= FLOW_HAS_TCP;
		flow->tcp.state = (uint8_t)random_below(random, FLOW_TCP_STATES);
		for (int i = 0; i < 2; i++) {
			flow->tcp.wscale[i] = (uint8_t)random_below(random, 15);
			flow->tcp.flags[i] = (uint8_t)random_u64(random) & FLOW_TCP_FLAGS_REPLICATED;
		}
		break;
	case PROTOCOL_SCTP:
		flow->present |= FLOW_HAS_SCTP;
		flow->sctp.state = (uint8_t)random_below(random, 10);
		random_fill(random, flow->sctp.vtag, sizeof(flow->sctp.vtag));
		break;
	case PROTOCOL_DCCP:
		flow->present |= FLOW_HAS_DCCP;
		flow->dccp.state = (uint8_t)random_below(random, 8);
		flow->dccp.role = (uint8_t)random_below(random, 2);
		flow->dccp.handshake_seq = random_u64(random);
		break;
	}
}

static void add_attributes(struct random *random, struct flow *flow)
{
	if (one_in(random, 3)) {
		flow->present |= FLOW_HAS_SEQADJ;
		random_fill(random, flow->seqadj, sizeof(flow->seqadj));
	}
	if (one_in(random, 3)) {
		flow->present |= FLOW_HAS_SYNPROXY;
		random_fill(random, &flow->synproxy, sizeof(flow->synproxy));
	}
	if (one_in(random, 3)) {
		flow->present |= FLOW_HAS_LABELS;
		random_fill(random, flow->labels, sizeof(flow->labels));
	}
	if (one_in(random, 3)) {
		flow->present |= FLOW_HAS_HELPER;
		memset(flow->helper, 'a' + (int)random_below(random, 26),
		       1 + random_below(random, FLOW_HELPER_SIZE - 1));
	}
	if (one_in(random, 3)) {
		flow->present |= FLOW_HAS_MASTER;
		flow->master_protocol = random_protocol(random);
		flow->master_zone = one_in(random, 2) ? (uint16_t)random_u64(random) : 0;
		flow->master = random_tuple(random, flow->family, flow->master_protocol);
	}
	if (one_in(random, 3)) {
		flow->present |= FLOW_HAS_REPLY_ZONE;
		flow->reply_zone = (uint16_t)(1 + random_below(random, 65535));
	}
}

static void add_extra(struct random *random, struct flow *flow)
{
	uint8_t type = 0x80;

	while (one_in(random, 2)) {
		uint8_t length = (uint8_t)random_below(random, 30), *at = flow->extra + flow->extra_length;

		if (flow->extra_length + length + 2 > FLOW_EXTRA_MAX)
			return;
		type = (uint8_t)(type + 1 + random_below(random, 10));
		at[0] = type;
		at[1] = length;
		random_fill(random, at + 2, length);
		flow->extra_length = (uint16_t)(flow->extra_length + length + 2);
	}
}

struct flow random_flow(struct random *random)
{
	struct flow flow = {.family = one_in(random, 3) ? FLOW_IPV6 : FLOW_IPV4};

	flow.protocol = random_protocol(random);
	if (one_in(random, 3)) {
		flow.zone = (uint16_t)(1 + random_below(random, 65535));
		flow.zone_scope = one_in(random, 2) ? FLOW_ZONE_ORIGINAL : FLOW_ZONE_BOTH;
	}
	flow.orig = random_tuple(random, flow.family, flow.protocol);
	add_reply(random, &flow);
	flow.present |= FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK;
	flow.status = (uint32_t)random_u64(random) & FLOW_STATUS_REPLICATED;
	flow.timeout_s = (uint32_t)random_u64(random);
	flow.mark = one_in(random, 2) ? (uint32_t)random_u64(random) : 0;
	flow.incarnation = (uint8_t)random_u64(random);
	if (!one_in(random, 4))
		add_state(random, &flow);
	if (one_in(random, 2))
		add_attributes(random, &flow);
	if (one_in(random, 4))
		add_extra(random, &flow);
	return flow;
}

struct flow plain_flow(uint32_t i)
{
	struct flow flow = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};

	memcpy(flow.orig.src, (uint8_t[]){10, (uint8_t)(i >> 24), (uint8_t)(i >> 16), 1}, 4);
	memcpy(flow.orig.dst, (uint8_t[]){198, 51, 100, 2}, 4);
	flow.orig.sport = (uint16_t)i;
	flow.orig.dport = 443;
	flow.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK | FLOW_HAS_TCP;
	flow.reply = flow_tuple_mirror(&flow.orig, flow.protocol);
	flow.status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_CONFIRMED;
	flow.timeout_s = 432000;
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	flow.tcp.wscale[0] = flow.tcp.wscale[1] = 7;
	flow.tcp.flags[0] = flow.tcp.flags[1] = FLOW_TCP_FLAG_WINDOW_SCALE;
	return flow;
}

struct flow snat_flow(uint32_t i)
{
	struct flow flow = plain_flow(i);

	memcpy(flow.reply.dst, (uint8_t[]){192, 0, 2, 1}, 4);
	flow.reply.dport = (uint16_t)(i * 7 + 1);
	flow.status |= FLOW_STATUS_SRC_NAT | FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;
	flow.mark = 0x10;
	return flow;
}
