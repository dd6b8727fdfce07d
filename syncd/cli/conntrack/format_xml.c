/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/format_parts.h"

#include <string.h>
#include <time.h>

char *format_xml_put_number(char *at, const char *name, uint64_t value)
{
	*at++ = '<';
	at = put_u64(put_text(put_text(at, name), ">"), value);
	return put_text(put_text(put_text(at, "</"), name), ">");
}

char *format_xml_put_string(char *at, const char *name, const char *text, size_t size)
{
	*at++ = '<';
	at = put_text(put_text(at, name), ">");
	for (size_t i = 0; i < size && text[i]; i++)
		*at++ = (unsigned char)text[i] < ' ' || strchr("<>&\x7f", text[i]) ? '?' : text[i];
	return put_text(put_text(put_text(at, "</"), name), ">");
}

static char *put_layer4(char *at, const struct flow *flow, const struct flow_tuple *tuple)
{
	at = put_u64(put_text(at, "<layer4 protonum=\""), flow->protocol);
	at = put_text(put_text(put_text(at, "\" protoname=\""), format_protocol_name(flow->protocol)), "\">");
	if (flow_has_ports(flow->protocol)) {
		at = format_xml_put_number(at, "sport", tuple->sport);
		at = format_xml_put_number(at, "dport", tuple->dport);
	} else if (flow->protocol == PROTOCOL_GRE) {
		at = put_text(put_hex(put_text(at, "<srckey>0x"), tuple->sport), "</srckey>");
		at = put_text(put_hex(put_text(at, "<dstkey>0x"), tuple->dport), "</dstkey>");
	}
	return put_text(at, "</layer4>");
}

static char *put_direction(char *at, const struct flow *flow, unsigned direction)
{
	const struct flow_tuple *tuple = direction ? &flow->reply : &flow->orig;

	at = put_text(at, direction ? "<meta direction=\"reply\">" : "<meta direction=\"original\">");
	at = put_text(at, flow->family == FLOW_IPV6 ? "<layer3 protonum=\"10\" protoname=\"ipv6\">"
						    : "<layer3 protonum=\"2\" protoname=\"ipv4\">");
	at = put_text(format_put_address(put_text(at, "<src>"), flow->family, tuple->src), "</src>");
	at = put_text(format_put_address(put_text(at, "<dst>"), flow->family, tuple->dst), "</dst>");
	at = put_layer4(put_text(at, "</layer3>"), flow, tuple);
	if (!direction && flow->zone && flow->zone_scope == FLOW_ZONE_ORIGINAL)
		at = format_xml_put_number(at, "zone", flow->zone);
	if (direction && flow->present & FLOW_HAS_REPLY_ZONE)
		at = format_xml_put_number(at, "zone", flow->reply_zone);
	if (flow->present & FLOW_HAS_COUNTERS) {
		at = format_xml_put_number(put_text(at, "<counters>"), "packets",
					   flow->counters[direction].packets);
		at = put_text(format_xml_put_number(at, "bytes", flow->counters[direction].bytes),
			      "</counters>");
	}
	return put_text(at, "</meta>");
}

/* conntrack(8) writes SCTP's states with TCP's names; who reads its XML knows them by these. */
static char *put_state(char *at, const struct flow *flow)
{
	struct flow as_tcp = {.present = FLOW_HAS_TCP};

	if (flow->present & FLOW_HAS_TCP)
		as_tcp.tcp.state = flow->tcp.state;
	else if (flow->present & FLOW_HAS_SCTP)
		as_tcp.tcp.state = flow->sctp.state;
	else if (flow->present & FLOW_HAS_DCCP)
		as_tcp.tcp.state = flow->dccp.state;
	else
		return at;
	return put_text(put_text(put_text(at, "<state>"), format_state_name(&as_tcp)), "</state>");
}

static char *put_labels(char *at, const struct labels *labels, const struct flow *flow)
{
	bool any = false;

	for (unsigned bit = 0; bit < LABEL_BITS; bit++) {
		if (!(flow->labels[bit / 8] >> bit % 8 & 1) || !labels->name[bit][0])
			continue;
		if (!any)
			at = put_text(at, "<labels>");
		any = true;
		at = put_text(put_text(put_text(at, "<label>"), labels->name[bit]), "</label>");
	}
	return any ? put_text(at, "</labels>") : at;
}

static char *put_times(char *at, const struct format_dump *dump, const struct flow *flow)
{
	if (dump->flags & FORMAT_KTIMESTAMP) {
		at = format_xml_put_number(put_text(at, "<timestamp>"), "start", flow->timestamp_start_ns);
		if (flow->timestamp_stop_ns)
			at = format_xml_put_number(at, "stop", flow->timestamp_stop_ns);
		at = put_text(at, "</timestamp>");
	}
	return format_xml_put_number(at, "deltatime", format_lifetime_s(flow, dump->now_s));
}

static char *put_independent(char *at, const struct format_dump *dump, const struct flow *flow)
{
	at = put_state(put_text(at, "<meta direction=\"independent\">"), flow);
	if (flow->present & FLOW_HAS_TIMEOUT)
		at = format_xml_put_number(at, "timeout", flow->timeout_s);
	if (flow->present & FLOW_HAS_MARK)
		at = format_xml_put_number(at, "mark", flow->mark);
	if (flow->present & FLOW_HAS_LABELS && dump->flags & FORMAT_LABELS)
		at = put_labels(at, dump->labels, flow);
	if (flow->present & FLOW_HAS_SECCTX)
		at = format_xml_put_string(at, "secctx", flow->secctx, sizeof(flow->secctx));
	if (flow->zone && flow->zone_scope == FLOW_ZONE_BOTH)
		at = format_xml_put_number(at, "zone", flow->zone);
	if (flow->present & FLOW_HAS_USE)
		at = format_xml_put_number(at, "use", flow->use);
	if (flow->present & FLOW_HAS_ID)
		at = format_xml_put_number(at, "id", flow->id);
	if (flow->present & FLOW_HAS_STATUS) {
		if (flow->status & FLOW_STATUS_ASSURED)
			at = put_text(at, "<assured/>");
		if (!(flow->status & FLOW_STATUS_SEEN_REPLY))
			at = put_text(at, "<unreplied/>");
	}
	if (flow->present & FLOW_HAS_TIMESTAMP)
		at = put_times(at, dump, flow);
	if (flow->present & FLOW_HAS_HELPER)
		at = format_xml_put_string(at, "helper", flow->helper, sizeof(flow->helper));
	return put_text(at, "</meta>");
}

char *format_xml_put_when(char *at, int64_t time_s)
{
	time_t seconds = (time_t)time_s;
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		return at;
	at = format_xml_put_number(put_text(at, "<when>"), "hour", (uint64_t)tm.tm_hour);
	at = format_xml_put_number(at, "min", (uint64_t)tm.tm_min);
	at = format_xml_put_number(at, "sec", (uint64_t)tm.tm_sec);
	at = format_xml_put_number(at, "wday", (uint64_t)tm.tm_wday + 1);
	at = format_xml_put_number(at, "day", (uint64_t)tm.tm_mday);
	at = format_xml_put_number(at, "month", (uint64_t)tm.tm_mon + 1);
	at = format_xml_put_number(at, "year", (uint64_t)tm.tm_year + 1900);
	return put_text(at, "</when>");
}

static void print_flow(struct format_dump *dump, const struct flow *flow)
{
	static const char *const starts[] = {"<flow type=\"new\">", "<flow type=\"update\">",
					     "<flow type=\"destroy\">"};
	char *at = output_room_for(dump->output, OUTPUT_ROOM_LABELS);

	if (!dump->has_begun && !(dump->flags & FORMAT_BARE))
		at = put_text(at, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n");
	dump->has_begun = true;
	at = put_text(at, dump->event ? starts[dump->event->kind] : "<flow>");
	at = put_direction(at, flow, 0);
	if (flow->present & FLOW_HAS_REPLY)
		at = put_direction(at, flow, 1);
	at = put_independent(at, dump, flow);
	if (dump->event && dump->flags & FORMAT_TIMESTAMP)
		at = format_xml_put_when(at, dump->event->time_s);
	at = put_text(at, "</flow>");
	if (dump->event)
		at = format_put_origin(at, dump->event);
	*at++ = '\n';
	output_commit(dump->output, at);
}

static void print_end(struct format_dump *dump)
{
	if (dump->has_begun && !(dump->flags & (FORMAT_BARE | FORMAT_NO_END)))
		output_commit(dump->output, put_text(output_room(dump->output), "</conntrack>\n"));
}

const struct format format_xml = {.name = "xml", .flow = print_flow, .end = print_end};
