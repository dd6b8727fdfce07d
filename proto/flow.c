/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/flow.h"

#include <arpa/inet.h> /* inet_ntop() */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t flow_address_size(uint8_t family)
{
	return family == FLOW_IPV6 ? 16 : 4;
}

bool flow_has_ports(uint8_t protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_UDPLITE ||
	       protocol == PROTOCOL_SCTP || protocol == PROTOCOL_DCCP;
}

bool flow_has_icmp(uint8_t protocol)
{
	return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6;
}

/* invmap[] of net/netfilter/nf_conntrack_proto_icmp.c: echo, timestamp, information and address mask */
static uint8_t icmp_answer(uint8_t type)
{
	switch (type) {
	case 0:
		return 8;
	case 8:
		return 0;
	case 13:
	case 15:
	case 17:
		return (uint8_t)(type + 1);
	case 14:
	case 16:
	case 18:
		return (uint8_t)(type - 1);
	default:
		return type;
	}
}

/* invmap[] of net/netfilter/nf_conntrack_proto_icmpv6.c: echo and node information */
static uint8_t icmpv6_answer(uint8_t type)
{
	switch (type) {
	case 128:
	case 139:
		return (uint8_t)(type + 1);
	case 129:
	case 140:
		return (uint8_t)(type - 1);
	default:
		return type;
	}
}

struct flow_tuple flow_tuple_mirror(const struct flow_tuple *orig, uint8_t protocol)
{
	struct flow_tuple reply;

	memcpy(reply.src, orig->dst, sizeof(reply.src));
	memcpy(reply.dst, orig->src, sizeof(reply.dst));
	if (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6) {
		reply.icmp_id = orig->icmp_id;
		reply.icmp_type =
		    protocol == PROTOCOL_ICMP ? icmp_answer(orig->icmp_type) : icmpv6_answer(orig->icmp_type);
		reply.icmp_code = orig->icmp_code;
	} else {
		reply.sport = orig->dport;
		reply.dport = orig->sport;
	}
	return reply;
}

_Static_assert(sizeof(struct flow_tuple) == 36, "tuples are compared as bytes: no padding");

static bool tuple_equals(const struct flow_tuple *a, const struct flow_tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool flow_key_equals(const struct flow *a, const struct flow *b)
{
	return a->family == b->family && a->protocol == b->protocol && a->zone == b->zone &&
	       tuple_equals(&a->orig, &b->orig);
}

static struct flow_tuple reply_of(const struct flow *flow)
{
	return flow->present & FLOW_HAS_REPLY ? flow->reply : flow_tuple_mirror(&flow->orig, flow->protocol);
}

bool flow_nat_equals(const struct flow *a, const struct flow *b)
{
	struct flow_tuple reply_a = reply_of(a), reply_b = reply_of(b);

	return tuple_equals(&a->orig, &b->orig) && tuple_equals(&reply_a, &reply_b);
}

/* what a record keeps */
static void merge_replicated(struct flow *known, const struct flow *news)
{
	uint32_t parts = news->present;

	if (parts & FLOW_HAS_REPLY)
		known->reply = news->reply;
	if (parts & FLOW_HAS_STATUS)
		known->status = news->status;
	if (parts & FLOW_HAS_TIMEOUT)
		known->timeout_s = news->timeout_s;
	if (parts & FLOW_HAS_MARK)
		known->mark = news->mark;
	if (parts & FLOW_HAS_TCP)
		known->tcp = news->tcp;
	if (parts & FLOW_HAS_SCTP)
		known->sctp = news->sctp;
	if (parts & FLOW_HAS_DCCP)
		known->dccp = news->dccp;
	if (parts & FLOW_HAS_SEQADJ)
		memcpy(known->seqadj, news->seqadj, sizeof(known->seqadj));
	if (parts & FLOW_HAS_SYNPROXY)
		known->synproxy = news->synproxy;
	if (parts & FLOW_HAS_LABELS)
		memcpy(known->labels, news->labels, sizeof(known->labels));
	if (parts & FLOW_HAS_HELPER)
		memcpy(known->helper, news->helper, sizeof(known->helper));
	if (parts & FLOW_HAS_REPLY_ZONE)
		known->reply_zone = news->reply_zone;
	if (parts & FLOW_HAS_MASTER) {
		known->master = news->master;
		known->master_protocol = news->master_protocol;
		known->master_zone = news->master_zone;
	}
}

void flow_merge(struct flow *known, const struct flow *news)
{
	uint32_t parts = news->present;

	merge_replicated(known, news);
	if (parts & FLOW_HAS_ID)
		known->id = news->id;
	if (parts & FLOW_HAS_USE)
		known->use = news->use;
	if (parts & FLOW_HAS_COUNTERS)
		memcpy(known->counters, news->counters, sizeof(known->counters));
	if (parts & FLOW_HAS_TIMESTAMP) {
		known->timestamp_start_ns = news->timestamp_start_ns;
		known->timestamp_stop_ns = news->timestamp_stop_ns;
	}
	if (parts & FLOW_HAS_SECCTX)
		memcpy(known->secctx, news->secctx, sizeof(known->secctx));
	known->present |= parts;
}

/* How far the protocol's state machine has come, as a number that only grows while a flow lives. */
static unsigned state_rank(const struct flow *flow)
{
	/* enum sctp_conntrack: HEARTBEAT_SENT and what follows it were appended, but come before ESTABLISHED
	 */
	enum { SCTP_COOKIE_WAIT = 2, SCTP_HEARTBEAT_SENT = 8 };

	if (flow->protocol == PROTOCOL_TCP && flow->present & FLOW_HAS_TCP)
		return flow->tcp.state == FLOW_TCP_SYN_SENT2 ? FLOW_TCP_SYN_SENT : flow->tcp.state;
	if (flow->protocol == PROTOCOL_SCTP && flow->present & FLOW_HAS_SCTP)
		return flow->sctp.state >= SCTP_HEARTBEAT_SENT ? SCTP_COOKIE_WAIT : flow->sctp.state;
	if (flow->protocol == PROTOCOL_DCCP && flow->present & FLOW_HAS_DCCP)
		return flow->dccp.state;
	return 0;
}

static unsigned status_rank(const struct flow *flow)
{
	return flow->present & FLOW_HAS_STATUS ? flow->status & (FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED)
					       : 0;
}

bool flow_is_closing(const struct flow *flow)
{
	return flow->present & FLOW_HAS_TCP && flow->tcp.state >= FLOW_TCP_FIN_WAIT &&
	       flow->tcp.state <= FLOW_TCP_CLOSE;
}

int flow_progress_compare(const struct flow *a, const struct flow *b)
{
	unsigned rank_a = state_rank(a), rank_b = state_rank(b);

	if (rank_a == rank_b) {
		rank_a = status_rank(a);
		rank_b = status_rank(b);
	}
	return (rank_a > rank_b) - (rank_a < rank_b);
}

const char *flow_protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_ICMP:
		return "icmp";
	case PROTOCOL_TCP:
		return "tcp";
	case PROTOCOL_UDP:
		return "udp";
	case PROTOCOL_DCCP:
		return "dccp";
	case PROTOCOL_GRE:
		return "gre";
	case PROTOCOL_ICMPV6:
		return "icmpv6";
	case PROTOCOL_SCTP:
		return "sctp";
	case PROTOCOL_UDPLITE:
		return "udplite";
	default:
		return NULL;
	}
}

static const char *protocol_name(uint8_t protocol, char number[16])
{
	const char *name = flow_protocol_name(protocol);

	if (name)
		return name;
	snprintf(number, 16, "protocol-%u", protocol);
	return number;
}

/* Appends to a text of FLOW_TEXT_SIZE, which is large enough for the longest key. */
__attribute__((format(printf, 2, 3))) static void append(char *text, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, FLOW_TEXT_SIZE - length, format, arguments);
	va_end(arguments);
}

static void append_endpoint(char *text, const struct flow *flow, const uint8_t *address, unsigned port)
{
	bool is_ipv6 = flow->family == FLOW_IPV6, has_port = flow_has_ports(flow->protocol);
	char plain[INET6_ADDRSTRLEN] = "?";

	inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, address, plain, sizeof(plain));
	append(text, is_ipv6 && has_port ? "[%s]" : "%s", plain);
	if (has_port)
		append(text, ":%u", port);
}

char *flow_key_print(const struct flow *flow, char text[FLOW_TEXT_SIZE])
{
	const struct flow_tuple *orig = &flow->orig;
	char number[16];

	snprintf(text, FLOW_TEXT_SIZE, "%s ", protocol_name(flow->protocol, number));
	append_endpoint(text, flow, orig->src, orig->sport);
	append(text, " -> ");
	append_endpoint(text, flow, orig->dst, orig->dport);
	if (flow_has_icmp(flow->protocol))
		append(text, " type %u code %u id %u", orig->icmp_type, orig->icmp_code, orig->icmp_id);
	else if (flow->protocol == PROTOCOL_GRE)
		append(text, " keys %u %u", orig->sport, orig->dport);
	if (flow->zone)
		append(text, " zone %u", flow->zone);
	return text;
}
