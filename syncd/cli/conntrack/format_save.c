/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/format_parts.h"

#include <endian.h>
#include <string.h>

static char *put_option(char *at, const char *name, uint64_t value)
{
	at = put_u64(put_text(at, name), value);
	*at++ = ' ';
	return at;
}

static char *put_address_option(char *at, const char *name, uint8_t family, const uint8_t *address)
{
	at = format_put_address(put_text(at, name), family, address);
	*at++ = ' ';
	return at;
}

static char *put_status(char *at, uint32_t status)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
	    {FLOW_STATUS_SEEN_REPLY, "SEEN_REPLY"},
	    {FLOW_STATUS_ASSURED, "ASSURED"},
	    {FLOW_STATUS_FIXED_TIMEOUT, "FIXED_TIMEOUT"},
	    {FLOW_STATUS_EXPECTED, "EXPECTED"},
	    {FLOW_STATUS_OFFLOAD, "OFFLOAD"},
	    {FLOW_STATUS_HW_OFFLOAD, "HW_OFFLOAD"},
	};
	const char *before = "-u ";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(status & names[i].bit))
			continue;
		at = put_text(put_text(at, before), names[i].name);
		before = ",";
	}
	return put_text(at, *before == ',' ? " " : "-u UNSET ");
}

static char *put_zones(char *at, const struct flow *flow)
{
	if (flow->zone)
		at = put_option(at, flow->zone_scope == FLOW_ZONE_BOTH ? "-w " : "--orig-zone ", flow->zone);
	if (flow->present & FLOW_HAS_REPLY_ZONE)
		at = put_option(at, "--reply-zone ", flow->reply_zone);
	return at;
}

/* Where NAT changed a side, its new address stands in the place of the reply's. */
static char *put_addresses(char *at, const struct flow *flow)
{
	bool src_nat = flow->present & FLOW_HAS_STATUS && flow->status & FLOW_STATUS_SRC_NAT &&
		       memcmp(flow->reply.dst, flow->orig.src, sizeof(flow->orig.src));
	bool dst_nat = flow->present & FLOW_HAS_STATUS && flow->status & FLOW_STATUS_DST_NAT &&
		       memcmp(flow->reply.src, flow->orig.dst, sizeof(flow->orig.dst));

	at = put_address_option(at, "-s ", flow->family, flow->orig.src);
	at = put_address_option(at, "-d ", flow->family, flow->orig.dst);
	if (!(flow->present & FLOW_HAS_REPLY))
		return at;
	at = put_address_option(at, dst_nat ? "-g " : "-r ", flow->family, flow->reply.src);
	return put_address_option(at, src_nat ? "-n " : "-q ", flow->family, flow->reply.dst);
}

static char *put_pairs(char *at, const struct flow *flow, const char *const names[4])
{
	at = put_option(at, names[0], flow->orig.sport);
	at = put_option(at, names[1], flow->orig.dport);
	if (!(flow->present & FLOW_HAS_REPLY))
		return at;
	at = put_option(at, names[2], flow->reply.sport);
	return put_option(at, names[3], flow->reply.dport);
}

static char *put_protocol(char *at, const struct flow *flow)
{
	static const char *const ports[] = {"--sport ", "--dport ", "--reply-port-src ", "--reply-port-dst "};
	static const char *const keys[] = {"--srckey ", "--dstkey ", "--reply-key-src ", "--reply-key-dst "};
	static const char *const icmp[] = {"--icmp-type ", "--icmp-code ", "--icmp-id "};
	static const char *const icmpv6[] = {"--icmpv6-type ", "--icmpv6-code ", "--icmpv6-id "};
	const char *const *names = flow->protocol == PROTOCOL_ICMP ? icmp : icmpv6;
	const char *name = format_protocol_name(flow->protocol), *state = format_state_name(flow);

	at = put_text(at, "-p ");
	if (strcmp(name, "unknown"))
		at = put_text(put_text(at, name), " ");
	else
		at = put_option(at, "", flow->protocol);
	/* a kernel without DCCP's tracker shows DCCP without ports, and takes none */
	if (flow_has_ports(flow->protocol) &&
	    (flow->protocol != PROTOCOL_DCCP || flow->present & FLOW_HAS_DCCP || flow->orig.sport))
		at = put_pairs(at, flow, ports);
	if (flow->protocol == PROTOCOL_GRE)
		at = put_pairs(at, flow, keys);
	if (flow_has_icmp(flow->protocol)) {
		at = put_option(at, names[0], flow->orig.icmp_type);
		at = put_option(at, names[1], flow->orig.icmp_code);
		at = put_option(at, names[2], flow->orig.icmp_id);
	}
	if (state)
		at = put_text(put_text(put_text(at, "--state "), state), " ");
	return at;
}

static char *put_details(char *at, const struct format_dump *dump, const struct flow *flow)
{
	/* an event of the end carries no tags */
	if (flow->present & FLOW_HAS_SCTP && !(dump->event && dump->event->kind == FORMAT_EVENT_DESTROY)) {
		/* conntrack(8) shows and takes the tag's bytes as a number of this machine */
		at = put_option(at, "--orig-vtag ", htobe32(flow->sctp.vtag[0]));
		at = put_option(at, "--reply-vtag ", htobe32(flow->sctp.vtag[1]));
	}
	if (flow->present & FLOW_HAS_DCCP)
		at = put_text(at, flow->dccp.role ? "--role server " : "--role client ");
	return at;
}

static void print_flow(struct format_dump *dump, const struct flow *flow)
{
	static const char *const commands[] = {"-A ", "-U ", "-D "};
	char *at = output_room(dump->output);

	at = put_text(at, commands[dump->event                    ? dump->event->kind
				   : dump->flags & FORMAT_DELETED ? FORMAT_EVENT_DESTROY
								  : FORMAT_EVENT_NEW]);
	if (flow->present & FLOW_HAS_TIMEOUT)
		at = put_option(at, "-t ", flow->timeout_s);
	if (flow->present & FLOW_HAS_STATUS)
		at = put_status(at, flow->status);
	at = put_zones(at, flow);
	at = put_addresses(at, flow);
	at = put_protocol(at, flow);
	at = put_details(at, dump, flow);
	at--; /* the last blank */
	if (dump->event)
		at = format_put_origin(at, dump->event);
	*at++ = '\n';
	output_commit(dump->output, at);
}

const struct format format_save = {.name = "save", .flow = print_flow};
