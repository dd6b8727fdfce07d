/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/trace.h"

#include <inttypes.h>
#include <stdio.h>

static const char *event_name(enum node_event_type type)
{
	static const char *const names[] = {
	    [NODE_TIME] = "time",
	    [NODE_DATAGRAM] = "datagram",
	    [NODE_FLOW_NEW] = "flow-new",
	    [NODE_FLOW_UPDATE] = "flow-update",
	    [NODE_FLOW_DESTROY] = "flow-destroy",
	    [NODE_FLOW_COMMITTED] = "flow-committed",
	    [NODE_AUDIT_BEGIN] = "audit-begin",
	    [NODE_AUDIT_ROW] = "audit-row",
	    [NODE_AUDIT_END] = "audit-end",
	    [NODE_GET_REPLY] = "get-reply",
	    [NODE_OVERRUN] = "overrun",
	    [NODE_OVERRUN_ENDED] = "overrun-ended",
	    [NODE_DEAF] = "deaf",
	    [NODE_HEARS] = "hears",
	    [NODE_ROLE] = "role",
	    [NODE_RESYNC] = "resync",
	    [NODE_FLUSH_INTERNAL] = "flush-internal",
	    [NODE_FLUSH_EXTERNAL] = "flush-external",
	    [NODE_CONFIGURE] = "configure",
	    [NODE_KERNEL_LIMITS] = "kernel-limits",
	    [NODE_LEAVE] = "leave",
	    [NODE_TAKEOVER] = "takeover",
	    [NODE_TAKEOVER_FAILED] = "takeover-failed",
	    [NODE_FLOW_REFUSED] = "flow-refused",
	    [NODE_FLOW_WITHDRAWN] = "flow-withdrawn",
	    [NODE_WITHDRAW_END] = "withdraw-end",
	    [NODE_FOREIGN_RUN] = "foreign-run",
	    [NODE_FOREIGN_DONE] = "foreign-done",
	    [NODE_FOREIGN_FLUSHED] = "foreign-flushed",
	    [NODE_FLOW_DISOWNED] = "flow-disowned",
	};

	return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

char *trace_datagram(const uint8_t *bytes, size_t length, char line[TRACE_LINE_SIZE])
{
	struct frame_header h;

	if (frame_header_read(bytes, length, &h) != FRAME_GOOD)
		snprintf(line, TRACE_LINE_SIZE, "no datagram of ours, length %zu", length);
	else
		snprintf(line, TRACE_LINE_SIZE,
			 "node %u session %02x%02x%02x%02x packet %" PRIu64 " length %zu", h.node_id,
			 h.session.bytes[0], h.session.bytes[1], h.session.bytes[2], h.session.bytes[3],
			 h.packet_number, length);
	return line;
}

static void trace_detail(const struct node_event *event, char *text, size_t size)
{
	char line[TRACE_LINE_SIZE], flow[FLOW_TEXT_SIZE];

	text[0] = '\0';
	switch (event->type) {
	case NODE_DATAGRAM:
		trace_datagram(event->datagram.bytes, event->datagram.length, line);
		snprintf(text, size, " link %u %.300s", event->datagram.link, line);
		break;
	case NODE_FLOW_NEW:
	case NODE_FLOW_UPDATE:
	case NODE_FLOW_DESTROY:
	case NODE_FLOW_COMMITTED:
	case NODE_AUDIT_ROW:
	case NODE_FLOW_WITHDRAWN:
	case NODE_FLOW_DISOWNED:
		snprintf(text, size, " %s", flow_key_print(event->flow, flow));
		break;
	case NODE_GET_REPLY:
		snprintf(text, size, " %s %s", event->found ? "found" : "none",
			 flow_key_print(event->flow, flow));
		break;
	case NODE_FOREIGN_DONE:
		snprintf(text, size, " act %d result %d %s", event->foreign.act, event->foreign.result,
			 flow_key_print(event->foreign.flow, flow));
		break;
	case NODE_AUDIT_END:
		snprintf(text, size, " %s", event->clean ? "clean" : "interrupted");
		break;
	case NODE_ROLE:
		snprintf(text, size, " %s", frame_role_name(event->role));
		break;
	case NODE_RESYNC:
	case NODE_FLUSH_EXTERNAL:
		snprintf(text, size, " peer %u", event->peer);
		break;
	default:
		break;
	}
}

char *trace_event(const struct node_event *event, char line[TRACE_LINE_SIZE])
{
	char detail[TRACE_LINE_SIZE - 64];

	trace_detail(event, detail, sizeof(detail));
	snprintf(line, TRACE_LINE_SIZE, "%" PRId64 ".%06" PRId64 " %s%s", event->now.us / 1000000,
		 event->now.us % 1000000, event_name(event->type), detail);
	return line;
}
