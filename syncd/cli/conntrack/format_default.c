/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/format_parts.h"

#include <string.h>
#include <time.h>

const char *format_protocol_name(uint8_t protocol)
{
	const char *name = flow_protocol_name(protocol);

	return name ? name : "unknown";
}

/* enum tcp_conntrack, sctp_conntrack and ct_dccp_states of the kernel's uapi headers, in their order */
enum { STATES = 10 };
static const char *const tcp_states[STATES] = {
    "NONE",       "SYN_SENT", "SYN_RECV",  "ESTABLISHED", "FIN_WAIT",
    "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",       "SYN_SENT2",
};
static const char *const sctp_states[STATES] = {
    "NONE",          "CLOSED",        "COOKIE_WAIT",       "COOKIE_ECHOED",  "ESTABLISHED",
    "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED",
};
static const char *const dccp_states[STATES] = {
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID",
};

const char *format_state_name(const struct flow *flow)
{
	if (flow->present & FLOW_HAS_TCP)
		return tcp_states[flow->tcp.state < STATES ? flow->tcp.state : 0];
	if (flow->present & FLOW_HAS_SCTP)
		return sctp_states[flow->sctp.state < STATES ? flow->sctp.state : 0];
	if (flow->present & FLOW_HAS_DCCP)
		return dccp_states[flow->dccp.state < STATES ? flow->dccp.state : 0];
	return NULL;
}

char *format_put_address(char *at, uint8_t family, const uint8_t *address)
{
	return family == FLOW_IPV6 ? put_ipv6(at, address) : put_ipv4(at, address);
}

char *format_put_ports(char *at, uint8_t protocol, const struct flow_tuple *tuple)
{
	if (flow_has_ports(protocol)) {
		at = put_u64(put_text(at, " sport="), tuple->sport);
		at = put_u64(put_text(at, " dport="), tuple->dport);
	} else if (flow_has_icmp(protocol)) {
		at = put_u64(put_text(at, " type="), tuple->icmp_type);
		at = put_u64(put_text(at, " code="), tuple->icmp_code);
		at = put_u64(put_text(at, " id="), tuple->icmp_id);
	} else if (protocol == PROTOCOL_GRE) {
		at = put_hex(put_text(at, " srckey=0x"), tuple->sport);
		at = put_hex(put_text(at, " dstkey=0x"), tuple->dport);
	}
	*at++ = ' ';
	return at;
}

char *format_put_tuple(char *at, uint8_t family, uint8_t protocol, const struct flow_tuple *tuple)
{
	at = format_put_address(put_text(at, "src="), family, tuple->src);
	at = format_put_address(put_text(at, " dst="), family, tuple->dst);
	return format_put_ports(at, protocol, tuple);
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
	at = format_put_tuple(at, flow->family, flow->protocol, &flow->orig);
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
		at = format_put_tuple(at, flow->family, flow->protocol, &flow->reply);
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

char *format_put_foreign(char *at, const char *text, size_t size)
{
	for (size_t i = 0; i < size && text[i]; i++)
		*at++ = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	*at++ = ' ';
	return at;
}

uint64_t format_lifetime_s(const struct flow *flow, int64_t now_s)
{
	enum { NS = 1000000000 };
	uint64_t end_s = flow->timestamp_stop_ns ? flow->timestamp_stop_ns / NS : (uint64_t)now_s;

	return end_s - flow->timestamp_start_ns / NS;
}

/* As ctime() writes it, in brackets. */
static char *put_moment(char *at, const char *name, uint64_t time_ns)
{
	enum { NS = 1000000000 };
	time_t time = (time_t)(time_ns / NS);
	char text[32];

	if (!ctime_r(&time, text))
		return at;
	text[strcspn(text, "\n")] = 0;
	at = put_text(put_text(at, name), text);
	*at++ = ']';
	*at++ = ' ';
	return at;
}

static char *put_times(char *at, const struct format_dump *dump, const struct flow *flow)
{
	at = put_field(at, "delta-time=", format_lifetime_s(flow, dump->now_s));
	if (!(dump->flags & FORMAT_KTIMESTAMP))
		return at;
	at = put_moment(at, "[start=", flow->timestamp_start_ns);
	return flow->timestamp_stop_ns ? put_moment(at, "[stop=", flow->timestamp_stop_ns) : at;
}

static char *put_labels(char *at, const struct labels *labels, const struct flow *flow)
{
	const char *before = "labels=";

	for (unsigned bit = 0; bit < LABEL_BITS; bit++) {
		if (!(flow->labels[bit / 8] >> bit % 8 & 1) || !labels->name[bit][0])
			continue;
		at = put_text(put_text(at, before), labels->name[bit]);
		before = ",";
	}
	if (*before == ',')
		*at++ = ' ';
	return at;
}

static char *put_attributes(char *at, const struct format_dump *dump, const struct flow *flow)
{
	if (flow->present & FLOW_HAS_MARK)
		at = put_field(at, "mark=", flow->mark);
	if (flow->present & FLOW_HAS_SECCTX)
		at = format_put_foreign(put_text(at, "secctx="), flow->secctx, sizeof(flow->secctx));
	if (flow->zone && flow->zone_scope == FLOW_ZONE_BOTH)
		at = put_field(at, "zone=", flow->zone);
	if (flow->present & FLOW_HAS_TIMESTAMP)
		at = put_times(at, dump, flow);
	if (flow->present & FLOW_HAS_HELPER)
		at = format_put_foreign(put_text(at, "helper="), flow->helper, sizeof(flow->helper));
	if (flow->present & FLOW_HAS_USE)
		at = put_field(at, "use=", flow->use);
	if (dump->flags & FORMAT_ID && flow->present & FLOW_HAS_ID)
		at = put_field(at, "id=", flow->id);
	if (dump->flags & FORMAT_LABELS && flow->present & FLOW_HAS_LABELS)
		at = put_labels(at, dump->labels, flow);
	return at;
}

char *format_put_origin(char *at, const struct format_event *event)
{
	if (!event->port)
		return at;
	at = put_u64(put_text(at, " [USERSPACE] portid="), event->port);
	return event->process ? put_text(put_text(at, " progname="), event->process) : at;
}

static char *put_padded(char *at, uint64_t value, int width)
{
	char *end = put_u64(at, value);

	while (end - at < width)
		*end++ = ' ';
	return end;
}

char *format_put_time(char *at, int64_t time_s, uint32_t time_us)
{
	*at++ = '[';
	at = put_padded(at, (uint64_t)time_s, 8);
	*at++ = '.';
	for (uint32_t unit = 100000; unit; unit /= 10)
		*at++ = (char)('0' + time_us / unit % 10);
	*at++ = ']';
	*at++ = '\t';
	return at;
}

char *format_put_kind(char *at, enum format_event_kind kind)
{
	static const char *const kinds[] = {"    [NEW] ", " [UPDATE] ", "[DESTROY] "};

	return put_text(at, kinds[kind]);
}

static char *put_event(char *at, const struct format_dump *dump)
{
	if (dump->flags & FORMAT_TIMESTAMP)
		at = format_put_time(at, dump->event->time_s, dump->event->time_us);
	return format_put_kind(at, dump->event->kind);
}

/* The longest line: below 300 bytes of fixed words, 22 numbers of at most 20 digits, 4 addresses of 45, 80 of
 * strings, and the names of all labels, which flush and go on (see print_flow()). */
_Static_assert(OUTPUT_ROOM_MAX >= 1200, "a line must fit the room that output_room() gives");
_Static_assert(OUTPUT_ROOM_LABELS >= OUTPUT_ROOM_MAX + LABEL_BITS * LABEL_NAME_MAX, "so must its labels");

static void print_flow(struct format_dump *dump, const struct flow *flow)
{
	char *at = dump->flags & FORMAT_LABELS ? output_room_for(dump->output, OUTPUT_ROOM_LABELS)
					       : output_room(dump->output);
	const char *state = format_state_name(flow), *name = format_protocol_name(flow->protocol);
	char *start;

	if (dump->event)
		at = put_event(at, dump);
	if (dump->flags & FORMAT_EXTENDED)
		at = put_text(at, flow->family == FLOW_IPV6 ? "ipv6     10 " : "ipv4     2 ");
	start = at;
	at = put_text(at, name);
	while (at - start < 9)
		*at++ = ' ';
	at = put_field(at, "", flow->protocol);
	if (flow->present & FLOW_HAS_TIMEOUT)
		at = put_field(at, "", flow->timeout_s);
	if (state)
		at = put_text(put_text(at, state), " ");
	at = put_original(at, flow);
	at = put_reply(at, flow);
	at = put_attributes(at, dump, flow);
	at--; /* the last blank */
	if (dump->event)
		at = format_put_origin(at, dump->event);
	*at++ = '\n';
	output_commit(dump->output, at);
}

const struct format format_default = {.name = "default", .flow = print_flow};
