/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One object a line.  Names are stable: what a flow doesn't have is left out, never null.
 */
#include "syncd/cli/conntrack/format_parts.h"

#include <string.h>

char *format_json_put_name(char *at, const char *name)
{
	*at++ = '"';
	return put_text(put_text(at, name), "\":");
}

char *format_json_put_number(char *at, const char *name, uint64_t value)
{
	at = put_u64(format_json_put_name(at, name), value);
	*at++ = ',';
	return at;
}

char *format_json_put_string(char *at, const char *name, const char *text, size_t size)
{
	at = put_text(format_json_put_name(at, name), "\"");
	for (size_t i = 0; i < size && text[i]; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '"' || byte == '\\')
			*at++ = '\\';
		*at++ = byte < ' ' || byte >= 0x7f ? '?' : text[i];
	}
	return put_text(at, "\",");
}

char *format_json_put_word(char *at, const char *name, const char *word)
{
	return format_json_put_string(at, name, word, strlen(word));
}

char *format_json_put_close(char *at, const char *text)
{
	return put_text(at[-1] == ',' ? at - 1 : at, text);
}

char *format_json_put_tuple(char *at, const char *name, uint8_t family, uint8_t protocol,
			    const struct flow_tuple *tuple)
{
	at = put_text(format_json_put_name(at, name), "{");
	at = format_put_address(put_text(format_json_put_name(at, "src"), "\""), family, tuple->src);
	at = format_put_address(put_text(format_json_put_name(put_text(at, "\","), "dst"), "\""), family,
				tuple->dst);
	at = put_text(at, "\",");
	if (flow_has_ports(protocol)) {
		at = format_json_put_number(at, "sport", tuple->sport);
		at = format_json_put_number(at, "dport", tuple->dport);
	} else if (flow_has_icmp(protocol)) {
		at = format_json_put_number(at, "type", tuple->icmp_type);
		at = format_json_put_number(at, "code", tuple->icmp_code);
		at = format_json_put_number(at, "id", tuple->icmp_id);
	} else if (protocol == PROTOCOL_GRE) {
		at = format_json_put_number(at, "srckey", tuple->sport);
		at = format_json_put_number(at, "dstkey", tuple->dport);
	}
	return at;
}

static char *put_direction(char *at, const struct flow *flow, unsigned direction)
{
	at = format_json_put_tuple(at, direction ? "reply" : "orig", flow->family, flow->protocol,
				   direction ? &flow->reply : &flow->orig);
	if (!direction && flow->zone && flow->zone_scope == FLOW_ZONE_ORIGINAL)
		at = format_json_put_number(at, "zone", flow->zone);
	if (direction && flow->present & FLOW_HAS_REPLY_ZONE)
		at = format_json_put_number(at, "zone", flow->reply_zone);
	if (flow->present & FLOW_HAS_COUNTERS) {
		at = format_json_put_number(at, "packets", flow->counters[direction].packets);
		at = format_json_put_number(at, "bytes", flow->counters[direction].bytes);
	}
	return format_json_put_close(at, "},");
}

static char *put_status(char *at, uint32_t status)
{
	static const char *const names[] = {
	    "EXPECTED",   "SEEN_REPLY",   "ASSURED",      "CONFIRMED",  "SRC_NAT",       "DST_NAT",
	    "SEQ_ADJUST", "SRC_NAT_DONE", "DST_NAT_DONE", "DYING",      "FIXED_TIMEOUT", "TEMPLATE",
	    "NAT_CLASH",  "HELPER",       "OFFLOAD",      "HW_OFFLOAD",
	};

	at = put_text(format_json_put_name(at, "status"), "[");
	for (unsigned bit = 0; bit < sizeof(names) / sizeof(names[0]); bit++)
		if (status >> bit & 1)
			at = put_text(put_text(put_text(at, "\""), names[bit]), "\",");
	return format_json_put_close(at, "],");
}

/* By name where a name is known, else by number. */
static char *put_labels(char *at, const struct labels *labels, const struct flow *flow)
{
	at = put_text(format_json_put_name(at, "labels"), "[");
	for (unsigned bit = 0; bit < LABEL_BITS; bit++) {
		if (!(flow->labels[bit / 8] >> bit % 8 & 1))
			continue;
		if (labels && labels->name[bit][0])
			at = put_text(put_text(put_text(at, "\""), labels->name[bit]), "\",");
		else
			at = put_text(put_u64(at, bit), ",");
	}
	return format_json_put_close(at, "],");
}

/* A flat list. */
static char *put_attributes(char *at, const struct format_dump *dump, const struct flow *flow)
{
	const char *state = format_state_name(flow);

	if (flow->present & FLOW_HAS_TIMEOUT)
		at = format_json_put_number(at, "timeout", flow->timeout_s);
	if (state)
		at = format_json_put_word(at, "state", state);
	if (flow->present & FLOW_HAS_STATUS)
		at = put_status(at, flow->status);
	if (flow->present & FLOW_HAS_MARK)
		at = format_json_put_number(at, "mark", flow->mark);
	if (flow->zone && flow->zone_scope == FLOW_ZONE_BOTH)
		at = format_json_put_number(at, "zone", flow->zone);
	if (flow->present & FLOW_HAS_LABELS)
		at = put_labels(at, dump->labels, flow);
	if (flow->present & FLOW_HAS_SECCTX)
		at = format_json_put_string(at, "secctx", flow->secctx, sizeof(flow->secctx));
	if (flow->present & FLOW_HAS_HELPER)
		at = format_json_put_string(at, "helper", flow->helper, sizeof(flow->helper));
	if (flow->present & FLOW_HAS_MASTER) {
		at = format_json_put_tuple(at, "master", flow->family, flow->master_protocol, &flow->master);
		at = format_json_put_close(at, "},");
	}
	if (flow->present & FLOW_HAS_TIMESTAMP) {
		at = format_json_put_number(at, "start_ns", flow->timestamp_start_ns);
		if (flow->timestamp_stop_ns)
			at = format_json_put_number(at, "stop_ns", flow->timestamp_stop_ns);
	}
	if (flow->present & FLOW_HAS_USE)
		at = format_json_put_number(at, "use", flow->use);
	if (flow->present & FLOW_HAS_ID)
		at = format_json_put_number(at, "id", flow->id);
	return at;
}

char *format_json_put_event(char *at, const struct format_event *event)
{
	static const char *const kinds[] = {"new", "update", "destroy"};

	at = format_json_put_word(at, "event", kinds[event->kind]);
	at = format_json_put_number(at, "time_us", (uint64_t)event->time_s * 1000000 + event->time_us);
	if (event->port)
		at = format_json_put_number(at, "portid", event->port);
	if (event->process)
		at = format_json_put_word(at, "progname", event->process);
	return at;
}

static void print_flow(struct format_dump *dump, const struct flow *flow)
{
	char *at = output_room_for(dump->output, OUTPUT_ROOM_LABELS);

	*at++ = '{';
	if (dump->event)
		at = format_json_put_event(at, dump->event);
	if (dump->node)
		at = format_json_put_number(at, "node", dump->node);
	at = format_json_put_word(at, "family", flow->family == FLOW_IPV6 ? "ipv6" : "ipv4");
	at = format_json_put_word(at, "protocol", format_protocol_name(flow->protocol));
	at = format_json_put_number(at, "protonum", flow->protocol);
	at = put_direction(at, flow, 0);
	if (flow->present & FLOW_HAS_REPLY)
		at = put_direction(at, flow, 1);
	at = format_json_put_close(put_attributes(at, dump, flow), "}\n");
	output_commit(dump->output, at);
}

const struct format format_json = {.name = "json", .flow = print_flow};
