/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/format.h"

#include <string.h>

/* the two numbers of a line's start: name, padded to eight, blank */
static const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_ICMP:
		return "icmp     ";
	case PROTOCOL_TCP:
		return "tcp      ";
	case PROTOCOL_UDP:
		return "udp      ";
	case PROTOCOL_DCCP:
		return "dccp     ";
	case PROTOCOL_GRE:
		return "gre      ";
	case PROTOCOL_ICMPV6:
		return "icmpv6   ";
	case PROTOCOL_SCTP:
		return "sctp     ";
	case PROTOCOL_UDPLITE:
		return "udplite  ";
	default:
		return "unknown  ";
	}
}

/* enum tcp_conntrack, sctp_conntrack and ct_dccp_states of the kernel's uapi headers, in their order */
static const char *const tcp_states[] = {
    "NONE ",       "SYN_SENT ", "SYN_RECV ",  "ESTABLISHED ", "FIN_WAIT ",
    "CLOSE_WAIT ", "LAST_ACK ", "TIME_WAIT ", "CLOSE ",       "SYN_SENT2 ",
};
static const char *const sctp_states[] = {
    "NONE ",          "CLOSED ",        "COOKIE_WAIT ",       "COOKIE_ECHOED ",  "ESTABLISHED ",
    "SHUTDOWN_SENT ", "SHUTDOWN_RECD ", "SHUTDOWN_ACK_SENT ", "HEARTBEAT_SENT ", "HEARTBEAT_ACKED ",
};
static const char *const dccp_states[] = {
    "NONE ",     "REQUEST ", "RESPOND ",  "PARTOPEN ", "OPEN ",
    "CLOSEREQ ", "CLOSING ", "TIMEWAIT ", "IGNORE ",   "INVALID ",
};
enum { STATES = 10 };

static char *put_state(char *at, const char *const names[STATES], uint8_t state)
{
	return put_text(at, names[state < STATES ? state : 0]);
}

static char *put_protocol_state(char *at, const struct flow *flow)
{
	if (flow->present & FLOW_HAS_TCP)
		at = put_state(at, tcp_states, flow->tcp.state);
	if (flow->present & FLOW_HAS_SCTP)
		at = put_state(at, sctp_states, flow->sctp.state);
	if (flow->present & FLOW_HAS_DCCP)
		at = put_state(at, dccp_states, flow->dccp.state);
	return at;
}

static char *put_address(char *at, uint8_t family, const uint8_t *address)
{
	return family == FLOW_IPV6 ? put_ipv6(at, address) : put_ipv4(at, address);
}

static char *put_tuple(char *at, const struct flow *flow, const struct flow_tuple *tuple)
{
	at = put_address(put_text(at, "src="), flow->family, tuple->src);
	at = put_address(put_text(at, " dst="), flow->family, tuple->dst);
	if (flow_has_ports(flow->protocol)) {
		at = put_u64(put_text(at, " sport="), tuple->sport);
		at = put_u64(put_text(at, " dport="), tuple->dport);
	} else if (flow_has_icmp(flow->protocol)) {
		at = put_u64(put_text(at, " type="), tuple->icmp_type);
		at = put_u64(put_text(at, " code="), tuple->icmp_code);
		at = put_u64(put_text(at, " id="), tuple->icmp_id);
	} else if (flow->protocol == PROTOCOL_GRE) {
		at = put_hex(put_text(at, " srckey=0x"), tuple->sport);
		at = put_hex(put_text(at, " dstkey=0x"), tuple->dport);
	}
	*at++ = ' ';
	return at;
}

static char *put_field(char *at, const char *name, uint64_t value)
{
	at = put_u64(put_text(at, name), value);
	*at++ = ' ';
	return at;
}

static char *put_counters(char *at, const struct flow *flow, int direction)
{
	if (!(flow->present & FLOW_HAS_COUNTERS))
		return at;
	at = put_field(at, "packets=", flow->counters[direction].packets);
	return put_field(at, "bytes=", flow->counters[direction].bytes);
}

static char *put_original(char *at, const struct flow *flow)
{
	at = put_tuple(at, flow, &flow->orig);
	if (flow->zone && flow->zone_scope == FLOW_ZONE_ORIGINAL)
		at = put_field(at, "zone-orig=", flow->zone);
	at = put_counters(at, flow, 0);
	if (flow->present & FLOW_HAS_STATUS && !(flow->status & FLOW_STATUS_SEEN_REPLY))
		at = put_text(at, "[UNREPLIED] ");
	return at;
}

static char *put_reply(char *at, const struct flow *flow)
{
	if (flow->present & FLOW_HAS_REPLY)
		at = put_tuple(at, flow, &flow->reply);
	if (flow->present & FLOW_HAS_REPLY_ZONE)
		at = put_field(at, "zone-reply=", flow->reply_zone);
	at = put_counters(at, flow, 1);
	if (!(flow->present & FLOW_HAS_STATUS))
		return at;
	if (flow->status & FLOW_STATUS_HW_OFFLOAD)
		return put_text(at, "[HW_OFFLOAD] ");
	if (flow->status & FLOW_STATUS_OFFLOAD)
		return put_text(at, "[OFFLOAD] ");
	if (flow->status & FLOW_STATUS_ASSURED)
		return put_text(at, "[ASSURED] ");
	return at;
}

/* At most `size` bytes of a string that came over a wire; control characters would reach the operator's
 * terminal. */
static char *put_foreign(char *at, const char *text, size_t size)
{
	for (size_t i = 0; i < size && text[i]; i++)
		*at++ = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	*at++ = ' ';
	return at;
}

static uint64_t lifetime_s(const struct flow *flow, int64_t now_s)
{
	enum { NS = 1000000000 };
	uint64_t end_s = flow->timestamp_stop_ns ? flow->timestamp_stop_ns / NS : (uint64_t)now_s;

	return end_s - flow->timestamp_start_ns / NS;
}

static char *put_attributes(char *at, const struct flow *flow, int64_t now_s)
{
	if (flow->present & FLOW_HAS_MARK)
		at = put_field(at, "mark=", flow->mark);
	if (flow->present & FLOW_HAS_SECCTX)
		at = put_foreign(put_text(at, "secctx="), flow->secctx, sizeof(flow->secctx));
	if (flow->zone && flow->zone_scope == FLOW_ZONE_BOTH)
		at = put_field(at, "zone=", flow->zone);
	if (flow->present & FLOW_HAS_TIMESTAMP)
		at = put_field(at, "delta-time=", lifetime_s(flow, now_s));
	if (flow->present & FLOW_HAS_HELPER)
		at = put_foreign(put_text(at, "helper="), flow->helper, sizeof(flow->helper));
	if (flow->present & FLOW_HAS_USE)
		at = put_field(at, "use=", flow->use);
	return at;
}

static void nothing(struct format_dump *dump)
{
	(void)dump;
}

/* The longest line: below 200 bytes of fixed words, 20 numbers of at most 20 digits, 4 addresses of 45, 80 of
 * strings. */
_Static_assert(OUTPUT_ROOM_MAX >= 1024, "a line must fit the room that output_room() gives");

static void print_flow(struct format_dump *dump, const struct flow *flow)
{
	char *at = output_room(dump->output);

	at = put_text(at, protocol_name(flow->protocol));
	at = put_u64(at, flow->protocol);
	*at++ = ' ';
	if (flow->present & FLOW_HAS_TIMEOUT)
		at = put_field(at, "", flow->timeout_s);
	at = put_protocol_state(at, flow);
	at = put_original(at, flow);
	at = put_reply(at, flow);
	at = put_attributes(at, flow, dump->now_s);
	at[-1] = '\n'; /* the last blank */
	output_commit(dump->output, at);
}

const struct format format_default = {
    .name = "default", .begin = nothing, .flow = print_flow, .end = nothing};
