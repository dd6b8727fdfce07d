/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing: to ctnetlink messages.  Reading is in convert.c. */
#include "syncd/kernel/convert.h"
#include "syncd/kernel/message.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <string.h>

static inline void put_address(struct message *message, uint8_t family, bool src, const uint8_t *address)
{
	if (family == FLOW_IPV4)
		put(message, src ? CTA_IP_V4_SRC : CTA_IP_V4_DST, address, 4);
	else
		put(message, src ? CTA_IP_V6_SRC : CTA_IP_V6_DST, address, 16);
}

static void put_protocol(struct message *message, uint8_t protocol, const struct flow_tuple *tuple)
{
	uint8_t *nest = nest_begin(message, CTA_TUPLE_PROTO);

	put_u8(message, CTA_PROTO_NUM, protocol);
	if (protocol == PROTOCOL_ICMP) {
		put_u16(message, CTA_PROTO_ICMP_ID, tuple->icmp_id);
		put_u8(message, CTA_PROTO_ICMP_TYPE, tuple->icmp_type);
		put_u8(message, CTA_PROTO_ICMP_CODE, tuple->icmp_code);
	} else if (protocol == PROTOCOL_ICMPV6) {
		put_u16(message, CTA_PROTO_ICMPV6_ID, tuple->icmp_id);
		put_u8(message, CTA_PROTO_ICMPV6_TYPE, tuple->icmp_type);
		put_u8(message, CTA_PROTO_ICMPV6_CODE, tuple->icmp_code);
	} else if (flow_has_ports(protocol) || protocol == PROTOCOL_GRE) {
		put_u16(message, CTA_PROTO_SRC_PORT, tuple->sport);
		put_u16(message, CTA_PROTO_DST_PORT, tuple->dport);
	}
	nest_end(message, nest);
}

/* `zone` 0: none of its own for this direction. */
void message_put_tuple(struct message *message, uint16_t type, uint8_t family, uint8_t protocol,
		       const struct flow_tuple *tuple, uint16_t zone)
{
	uint8_t *nest = nest_begin(message, type);
	uint8_t *addresses = nest_begin(message, CTA_TUPLE_IP);

	put_address(message, family, true, tuple->src);
	put_address(message, family, false, tuple->dst);
	nest_end(message, addresses);
	put_protocol(message, protocol, tuple);
	if (zone)
		put_u16(message, CTA_TUPLE_ZONE, zone);
	nest_end(message, nest);
}

static void put_nat(struct message *message, uint16_t type, const struct flow *flow, const uint8_t *address,
		    uint16_t port)
{
	uint8_t *nest = nest_begin(message, type);

	if (flow->family == FLOW_IPV4)
		put(message, CTA_NAT_V4_MINIP, address, 4);
	else
		put(message, CTA_NAT_V6_MINIP, address, 16);
	if (flow_has_ports(flow->protocol) || flow_has_icmp(flow->protocol)) {
		uint8_t *protocol = nest_begin(message, CTA_NAT_PROTO);

		put_u16(message, CTA_PROTONAT_PORT_MIN, port);
		put_u16(message, CTA_PROTONAT_PORT_MAX, port);
		nest_end(message, protocol);
	}
	nest_end(message, nest);
}

/*
 * The kernel makes the reply tuple itself: from the one that it is given, and the translation asked for
 * (nf_nat_setup_info()).  It sets the SRC_NAT and DST_NAT bits, without which it translates no packet, only
 * where both differ: so it is given the mirrored original.  Both sides are named always, down to the port: of
 * what is left open, it would pick another port in silence when the tuple is taken (get_unique_tuple()); like
 * this it answers EEXIST.
 */
static void put_reply_and_nat(struct message *message, const struct flow *flow)
{
	const struct flow_tuple *reply = &flow->reply;
	uint16_t reply_zone = flow->present & FLOW_HAS_REPLY_ZONE ? flow->reply_zone : 0;
	struct flow_tuple mirror = flow_tuple_mirror(&flow->orig, flow->protocol);
	bool plain = !(flow->present & FLOW_HAS_REPLY) || !memcmp(&mirror, reply, sizeof(mirror));

	if (!plain &&
	    flow->protocol == PROTOCOL_GRE) { /* keys are no ports to NAT: they are taken as given */
		mirror.sport = reply->sport;
		mirror.dport = reply->dport;
	}
	message_put_tuple(message, CTA_TUPLE_REPLY, flow->family, flow->protocol, &mirror, reply_zone);
	if (plain)
		return;
	if (flow_has_icmp(flow->protocol)) { /* the id belongs to the source */
		put_nat(message, CTA_NAT_SRC, flow, reply->dst, reply->icmp_id);
		put_nat(message, CTA_NAT_DST, flow, reply->src, flow->orig.icmp_id);
	} else {
		put_nat(message, CTA_NAT_SRC, flow, reply->dst, reply->dport);
		put_nat(message, CTA_NAT_DST, flow, reply->src, reply->sport);
	}
}

/* nlattr_to_tcp(): scales count only where both directions have the WINDOW_SCALE flag; the mask says which
 * flags count. */
static void put_tcp(struct message *message, const struct flow *flow, bool liberal)
{
	uint8_t *nest = nest_begin(message, CTA_PROTOINFO);
	uint8_t *tcp = nest_begin(message, CTA_PROTOINFO_TCP);

	put_u8(message, CTA_PROTOINFO_TCP_STATE, flow->tcp.state);
	put_u8(message, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, flow->tcp.wscale[0]);
	put_u8(message, CTA_PROTOINFO_TCP_WSCALE_REPLY, flow->tcp.wscale[1]);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t flags = flow->tcp.flags[i] & FLOW_TCP_FLAGS_REPLICATED;
		struct nf_ct_tcp_flags set;

		if (liberal)
			flags |= FLOW_TCP_FLAG_BE_LIBERAL;
		set = (struct nf_ct_tcp_flags){.flags = flags, .mask = flags};
		put(message, i ? CTA_PROTOINFO_TCP_FLAGS_REPLY : CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, &set,
		    sizeof(set));
	}
	nest_end(message, tcp);
	nest_end(message, nest);
}

static void put_sctp(struct message *message, const struct flow *flow)
{
	uint8_t *nest = nest_begin(message, CTA_PROTOINFO);
	uint8_t *sctp = nest_begin(message, CTA_PROTOINFO_SCTP);

	put_u8(message, CTA_PROTOINFO_SCTP_STATE, flow->sctp.state);
	put_u32(message, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, flow->sctp.vtag[0]);
	put_u32(message, CTA_PROTOINFO_SCTP_VTAG_REPLY, flow->sctp.vtag[1]);
	nest_end(message, sctp);
	nest_end(message, nest);
}

static void put_dccp(struct message *message, const struct flow *flow)
{
	uint8_t *nest = nest_begin(message, CTA_PROTOINFO);
	uint8_t *dccp = nest_begin(message, CTA_PROTOINFO_DCCP);

	put_u8(message, CTA_PROTOINFO_DCCP_STATE, flow->dccp.state);
	put_u8(message, CTA_PROTOINFO_DCCP_ROLE, flow->dccp.role);
	put_u64(message, CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, flow->dccp.handshake_seq);
	nest_end(message, dccp);
	nest_end(message, nest);
}

static void put_state(struct message *message, const struct flow *flow, bool liberal)
{
	if (flow->present & FLOW_HAS_TCP)
		put_tcp(message, flow, liberal);
	else if (flow->present & FLOW_HAS_SCTP)
		put_sctp(message, flow);
	else if (flow->present & FLOW_HAS_DCCP)
		put_dccp(message, flow);
}

static void put_seqadj(struct message *message, uint16_t type, const struct flow_seqadj *seqadj)
{
	uint8_t *nest = nest_begin(message, type);

	put_u32(message, CTA_SEQADJ_CORRECTION_POS, seqadj->correction_pos);
	put_u32(message, CTA_SEQADJ_OFFSET_BEFORE, (uint32_t)seqadj->offset_before);
	put_u32(message, CTA_SEQADJ_OFFSET_AFTER, (uint32_t)seqadj->offset_after);
	nest_end(message, nest);
}

static void put_synproxy(struct message *message, const struct flow *flow)
{
	uint8_t *nest = nest_begin(message, CTA_SYNPROXY);

	put_u32(message, CTA_SYNPROXY_ISN, flow->synproxy.isn);
	put_u32(message, CTA_SYNPROXY_ITS, flow->synproxy.its);
	put_u32(message, CTA_SYNPROXY_TSOFF, flow->synproxy.tsoff);
	nest_end(message, nest);
}

static void put_helper(struct message *message, const struct flow *flow)
{
	uint8_t *nest = nest_begin(message, CTA_HELP);

	put(message, CTA_HELP_NAME, flow->helper, strnlen(flow->helper, sizeof(flow->helper) - 1) + 1);
	nest_end(message, nest);
}

/* What may be set at creation and be changed later. */
static void put_changeable(struct message *message, const struct flow *flow, bool liberal)
{
	put_state(message, flow, liberal);
	if (flow->present & FLOW_HAS_MARK)
		put_u32(message, CTA_MARK, flow->mark);
	if (flow->present & FLOW_HAS_SEQADJ) {
		put_seqadj(message, CTA_SEQ_ADJ_ORIG, &flow->seqadj[0]);
		put_seqadj(message, CTA_SEQ_ADJ_REPLY, &flow->seqadj[1]);
	}
	if (flow->present & FLOW_HAS_SYNPROXY)
		put_synproxy(message, flow);
	if (flow->present & FLOW_HAS_LABELS)
		put(message, CTA_LABELS, flow->labels, sizeof(flow->labels));
}

/* Status bits that ctnetlink_change_status() takes; the others must not differ, or are the kernel's business.
 */
enum {
	STATUS_SETTABLE =
	    FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_FIXED_TIMEOUT | FLOW_STATUS_HELPER,
};

/* What a TCP flow has without state, as an offloaded one is shown (ctnetlink_fill_info()): it is established,
 * and the kernel that had it offloaded saw no windows either. */
static void assume_established(struct flow *flow)
{
	memset(&flow->tcp, 0, sizeof(flow->tcp));
	flow->present |= FLOW_HAS_TCP;
	flow->tcp.state = FLOW_TCP_ESTABLISHED;
	flow->tcp.flags[0] = flow->tcp.flags[1] = FLOW_TCP_FLAG_BE_LIBERAL;
}

static void put_create(struct message *message, const struct flow *flow,
		       const struct convert_options *options)
{
	put_reply_and_nat(message, flow);
	if (flow->zone && flow->zone_scope == FLOW_ZONE_BOTH)
		put_u16(message, CTA_ZONE, flow->zone);
	/* EXPECTED is set by the kernel, from the master, only after it looked at the status */
	put_u32(message, CTA_STATUS, (flow->status & STATUS_SETTABLE) | FLOW_STATUS_CONFIRMED);
	put_u32(message, CTA_TIMEOUT, options->timeout_s);
	if (flow->protocol == PROTOCOL_TCP && !(flow->present & FLOW_HAS_TCP)) {
		struct flow established = *flow;

		assume_established(&established);
		put_changeable(message, &established, options->tcp_liberal);
	} else {
		put_changeable(message, flow, options->tcp_liberal);
	}
	if (flow->present & FLOW_HAS_HELPER && flow->helper[0])
		put_helper(message, flow);
	if (flow->present & FLOW_HAS_MASTER)
		message_put_tuple(message, CTA_TUPLE_MASTER, flow->family, flow->master_protocol,
				  &flow->master, 0);
}

static void put_update(struct message *message, const struct flow *flow,
		       const struct convert_options *options)
{
	if (flow->zone)
		put_u16(message, CTA_ZONE, flow->zone);
	if (options->timeout_s)
		put_u32(message, CTA_TIMEOUT, options->timeout_s);
	if (flow->present & FLOW_HAS_STATUS)
		put_u32(message, CTA_STATUS,
			(flow->status & (STATUS_SETTABLE | FLOW_STATUS_EXPECTED)) | FLOW_STATUS_CONFIRMED);
	put_changeable(message, flow, options->tcp_liberal);
}

/* The kernel keeps one zone id for a flow, and to which directions it applies (struct nf_conntrack_zone). */
static bool is_possible(const struct flow *flow)
{
	if (flow->family != FLOW_IPV4 && flow->family != FLOW_IPV6)
		return false;
	return !(flow->present & FLOW_HAS_REPLY_ZONE && flow->reply_zone && flow->zone);
}

int convert_to_message(const struct flow *flow, enum convert_purpose purpose,
		       const struct convert_options *options, uint16_t type, uint16_t flags,
		       uint32_t sequence, void *room, size_t size)
{
	const size_t headers = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	struct message message = {.start = room, .at = room, .end = (uint8_t *)room + size};
	struct nfgenmsg nfgen = {.nfgen_family = flow->family, .version = NFNETLINK_V0};
	struct nlmsghdr header = {.nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type),
				  .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST),
				  .nlmsg_seq = sequence};
	bool own_zone = purpose == CONVERT_FOR_CREATE && flow->zone_scope == FLOW_ZONE_ORIGINAL;

	if (!is_possible(flow))
		return -EINVAL;
	if (!reserve(&message, headers))
		return -ENOSPC;
	message_put_tuple(&message, CTA_TUPLE_ORIG, flow->family, flow->protocol, &flow->orig,
			  own_zone ? flow->zone : 0);
	switch (purpose) {
	case CONVERT_FOR_CREATE:
		put_create(&message, flow, options);
		break;
	case CONVERT_FOR_UPDATE:
		put_update(&message, flow, options);
		break;
	case CONVERT_FOR_KEY: /* found by CTA_ZONE too if it has the zone in the original direction alone */
		if (flow->zone)
			put_u16(&message, CTA_ZONE, flow->zone);
		if (type == IPCTNL_MSG_CT_DELETE && flow->present & FLOW_HAS_ID)
			put_u32(&message, CTA_ID, flow->id);
		break;
	}
	if (message.full)
		return -ENOSPC;
	header.nlmsg_len = (uint32_t)(message.at - message.start);
	memcpy(message.start, &header, sizeof(header));
	memcpy(message.start + NLMSG_HDRLEN, &nfgen, sizeof(nfgen));
	return (int)header.nlmsg_len;
}

static uint32_t nat_status(const struct flow *flow)
{
	struct flow_tuple mirror = flow_tuple_mirror(&flow->orig, flow->protocol);
	const struct flow_tuple *reply = &flow->reply;
	bool ports = flow_has_ports(flow->protocol);
	uint32_t status = FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;

	if (!(flow->present & FLOW_HAS_REPLY) || !memcmp(&mirror, reply, sizeof(mirror)))
		return 0;
	if (memcmp(reply->dst, mirror.dst, sizeof(mirror.dst)) || (ports && reply->dport != mirror.dport) ||
	    (flow_has_icmp(flow->protocol) && reply->icmp_id != mirror.icmp_id))
		status |= FLOW_STATUS_SRC_NAT;
	if (memcmp(reply->src, mirror.src, sizeof(mirror.src)) || (ports && reply->sport != mirror.sport))
		status |= FLOW_STATUS_DST_NAT;
	return status;
}

void convert_as_created(struct flow *flow, const struct convert_options *options)
{
	uint32_t kernels = nat_status(flow) | FLOW_STATUS_CONFIRMED;

	if (flow->present & FLOW_HAS_MASTER)
		kernels |= FLOW_STATUS_EXPECTED;
	if (flow->present & FLOW_HAS_SEQADJ)
		kernels |= FLOW_STATUS_SEQ_ADJUST;
	if (flow->present & FLOW_HAS_HELPER && flow->helper[0])
		kernels |= FLOW_STATUS_HELPER;
	flow->status = (flow->status & STATUS_SETTABLE) | kernels;
	flow->timeout_s = options->timeout_s;
	flow->present |= FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT;
	if (!(flow->present & FLOW_HAS_REPLY)) {
		flow->reply = flow_tuple_mirror(&flow->orig, flow->protocol);
		flow->present |= FLOW_HAS_REPLY;
	}
	if (flow->protocol == PROTOCOL_TCP && !(flow->present & FLOW_HAS_TCP))
		assume_established(flow);
	if (!(flow->present & FLOW_HAS_TCP))
		return;
	for (unsigned i = 0; i < 2; i++) {
		flow->tcp.flags[i] &= FLOW_TCP_FLAGS_REPLICATED;
		if (options->tcp_liberal)
			flow->tcp.flags[i] |= FLOW_TCP_FLAG_BE_LIBERAL;
	}
	if (!(flow->tcp.flags[0] & flow->tcp.flags[1] & FLOW_TCP_FLAG_WINDOW_SCALE))
		flow->tcp.wscale[0] = flow->tcp.wscale[1] = 0;
}
