/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/filter.h"

#include <string.h>

static bool masked_equals(const uint8_t a[16], const uint8_t b[16], const uint8_t mask[16])
{
	uint8_t different = 0;

	for (unsigned i = 0; i < 16; i++)
		different |= (uint8_t)((a[i] ^ b[i]) & mask[i]);
	return !different;
}

static bool addresses_match(const struct request *request, const struct flow *flow)
{
	const struct flow *wanted = &request->flow;

	if (request_has(request, OPTION_ORIG_SRC) &&
	    !masked_equals(flow->orig.src, wanted->orig.src, request->src_mask))
		return false;
	if (request_has(request, OPTION_ORIG_DST) &&
	    !masked_equals(flow->orig.dst, wanted->orig.dst, request->dst_mask))
		return false;
	if (request_has(request, OPTION_REPLY_SRC) && memcmp(flow->reply.src, wanted->reply.src, 16))
		return false;
	return !request_has(request, OPTION_REPLY_DST) || !memcmp(flow->reply.dst, wanted->reply.dst, 16);
}

static bool state_matches(const struct flow *wanted, const struct flow *flow)
{
	if (wanted->present & FLOW_HAS_TCP)
		return flow->present & FLOW_HAS_TCP && flow->tcp.state == wanted->tcp.state;
	if (wanted->present & FLOW_HAS_SCTP)
		return flow->present & FLOW_HAS_SCTP && flow->sctp.state == wanted->sctp.state;
	return flow->present & FLOW_HAS_DCCP && flow->dccp.state == wanted->dccp.state;
}

/* A flat table. */
static bool field_matches(const struct request *request, enum request_field field, const struct flow *flow)
{
	const struct flow *wanted = &request->flow;

	switch (field) {
	case FIELD_ORIG_SPORT:
		return flow->orig.sport == wanted->orig.sport;
	case FIELD_ORIG_DPORT:
		return flow->orig.dport == wanted->orig.dport;
	case FIELD_REPLY_SPORT:
		return flow->reply.sport == wanted->reply.sport;
	case FIELD_REPLY_DPORT:
		return flow->reply.dport == wanted->reply.dport;
	case FIELD_ICMP_TYPE:
		return flow->orig.icmp_type == wanted->orig.icmp_type;
	case FIELD_ICMP_CODE:
		return flow->orig.icmp_code == wanted->orig.icmp_code;
	case FIELD_ICMP_ID:
		return flow->orig.icmp_id == wanted->orig.icmp_id;
	case FIELD_STATE: /* an update sets it */
		return request->command == REQUEST_UPDATE || state_matches(wanted, flow);
	default:
		return true;
	}
}

static bool fields_match(const struct request *request, const struct flow *flow)
{
	if (request->protocol && flow->protocol != request->flow.protocol)
		return false;
	for (unsigned field = 0; field < REQUEST_FIELDS; field++)
		if (request->fields >> field & 1 && !field_matches(request, (enum request_field)field, flow))
			return false;
	return true;
}

static bool zones_match(const struct request *request, const struct flow *flow)
{
	const struct flow *wanted = &request->flow;
	bool both = flow->zone_scope == FLOW_ZONE_BOTH;

	if (request_has(request, OPTION_ZONE) && (both ? flow->zone : 0) != wanted->zone)
		return false;
	if (request_has(request, OPTION_ORIG_ZONE) && (both ? 0 : flow->zone) != wanted->zone)
		return false;
	return !request_has(request, OPTION_REPLY_ZONE) || flow->reply_zone == wanted->reply_zone;
}

static bool src_nat_matches(const struct request_nat *nat, const struct flow *flow)
{
	if (!(flow->status & FLOW_STATUS_SRC_NAT))
		return false;
	if (nat->has_address && memcmp(nat->address, flow->reply.dst, 16))
		return false;
	return !nat->has_port || nat->port == flow->reply.dport;
}

static bool dst_nat_matches(const struct request_nat *nat, const struct flow *flow)
{
	if (!(flow->status & FLOW_STATUS_DST_NAT))
		return false;
	if (nat->has_address && memcmp(nat->address, flow->reply.src, 16))
		return false;
	return !nat->has_port || nat->port == flow->reply.sport;
}

static bool nat_matches(const struct request *request, const struct flow *flow)
{
	if (request_has(request, OPTION_SRC_NAT) && !src_nat_matches(&request->src_nat, flow))
		return false;
	if (request_has(request, OPTION_DST_NAT) && !dst_nat_matches(&request->dst_nat, flow))
		return false;
	return !request_has(request, OPTION_ANY_NAT) || src_nat_matches(&request->src_nat, flow) ||
	       dst_nat_matches(&request->src_nat, flow);
}

static bool labels_match(const struct request *request, const struct flow *flow)
{
	for (unsigned i = 0; i < FLOW_LABELS_SIZE; i++)
		if (request->labels[i] & ~flow->labels[i])
			return false;
	return true;
}

/* What an update sets, and doesn't look for. */
static bool values_match(const struct request *request, const struct flow *flow)
{
	const struct flow *wanted = &request->flow;

	if (request_has(request, OPTION_STATUS) &&
	    ((flow->status & wanted->status) != wanted->status ||
	     (request->status_unreplied && flow->status & FLOW_STATUS_SEEN_REPLY)))
		return false;
	return !request_has(request, OPTION_MARK) || (flow->mark & request->mark_mask) == wanted->mark;
}

/*
 * Two options look for nothing.  -t, which a saved -D line carries: the timeout of the flow has gone on
 * since. -c: the kernel has shown no such marks since it shows contexts (2.6.37).  conntrack(8) does the
 * same.
 */
bool filter_matches(const struct request *request, const struct flow *flow)
{
	if (request->flow.family && request->flow.family != flow->family)
		return false;
	if (!addresses_match(request, flow) || !fields_match(request, flow) || !zones_match(request, flow) ||
	    !nat_matches(request, flow) || !labels_match(request, flow))
		return false;
	if (request_has(request, OPTION_ID) && flow->id != request->flow.id)
		return false;
	return request->command == REQUEST_UPDATE || values_match(request, flow);
}
