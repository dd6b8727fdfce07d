/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/convert.h"
#include "tests/unit/kernel_netns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

static int write_flow(const struct flow *flow, enum convert_purpose purpose,
		      const struct convert_options *options, uint16_t type, uint16_t flags)
{
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	int length = convert_to_message(flow, purpose, options, type, (uint16_t)(flags | NLM_F_ACK), 7, room,
					sizeof(room));

	return length < 0 ? length : kernel_netns_request(room, (size_t)length);
}

static int create(const struct flow *flow, const struct convert_options *options)
{
	return write_flow(flow, CONVERT_FOR_CREATE, options, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
}

static void destroy(const struct flow *flow)
{
	assert_int_equal(write_flow(flow, CONVERT_FOR_KEY, NULL, IPCTNL_MSG_CT_DELETE, 0), 0);
}

static void assert_tuples_equal(const struct flow_tuple *a, const struct flow_tuple *b)
{
	assert_memory_equal(a->src, b->src, 16);
	assert_memory_equal(a->dst, b->dst, 16);
	assert_int_equal(a->sport, b->sport);
	assert_int_equal(a->dport, b->dport);
}

/* Field by field, so that a failure says which; the timeout may have ticked. */
static void assert_flows_equal(const struct flow *shown, const struct flow *expected)
{
	const uint32_t kernels =
	    FLOW_HAS_ID | FLOW_HAS_USE | FLOW_HAS_COUNTERS | FLOW_HAS_TIMESTAMP | FLOW_HAS_SECCTX;

	assert_int_equal(shown->family, expected->family);
	assert_int_equal(shown->protocol, expected->protocol);
	assert_int_equal(shown->zone, expected->zone);
	assert_int_equal(shown->zone_scope, expected->zone_scope);
	assert_int_equal(shown->reply_zone, expected->reply_zone);
	assert_tuples_equal(&shown->orig, &expected->orig);
	assert_tuples_equal(&shown->reply, &expected->reply);
	assert_int_equal(shown->status, expected->status);
	assert_in_range(shown->timeout_s, expected->timeout_s - 2, expected->timeout_s);
	assert_int_equal(shown->mark, expected->mark);
	assert_int_equal(shown->tcp.state, expected->tcp.state);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(shown->tcp.wscale[i], expected->tcp.wscale[i]);
		assert_int_equal(shown->tcp.flags[i], expected->tcp.flags[i]);
		assert_int_equal(shown->sctp.vtag[i], expected->sctp.vtag[i]);
		assert_int_equal(shown->seqadj[i].correction_pos, expected->seqadj[i].correction_pos);
		assert_int_equal(shown->seqadj[i].offset_before, expected->seqadj[i].offset_before);
		assert_int_equal(shown->seqadj[i].offset_after, expected->seqadj[i].offset_after);
	}
	assert_int_equal(shown->sctp.state, expected->sctp.state);
	assert_int_equal(shown->dccp.state, expected->dccp.state);
	assert_memory_equal(&shown->synproxy, &expected->synproxy, sizeof(shown->synproxy));
	assert_memory_equal(shown->labels, expected->labels, sizeof(shown->labels));
	assert_string_equal(shown->helper, expected->helper);
	assert_tuples_equal(&shown->master, &expected->master);
	assert_int_equal(shown->master_protocol, expected->master_protocol);
	assert_int_equal(shown->master_zone, expected->master_zone);
	/* a dump row shows a mark of 0, too */
	assert_int_equal((shown->present | FLOW_HAS_MARK) & ~kernels,
			 (expected->present | FLOW_HAS_MARK) & ~kernels);
}

/* Creates the flow, reads it back, and removes it. */
static void round_trip_with(struct kernel_netns *k, const struct flow *flow, struct convert_options options)
{
	struct flow expected = *flow, shown;
	int error = create(flow, &options);

	if (error)
		print_error("create: %s\n", strerror(-error));
	assert_int_equal(error, 0);
	shown = kernel_netns_read(k, flow);
	convert_as_created(&expected, &options);
	assert_flows_equal(&shown, &expected);
	destroy(flow);
	kernel_netns_assert_absent(k, flow);
}

static void round_trip(struct kernel_netns *k, const struct flow *flow)
{
	round_trip_with(k, flow, (struct convert_options){.timeout_s = 300});
}

static struct flow plain_flow(uint8_t family, uint8_t protocol)
{
	struct flow flow = {
	    .present = FLOW_HAS_REPLY | FLOW_HAS_STATUS,
	    .family = family,
	    .protocol = protocol,
	    .status = FLOW_STATUS_CONFIRMED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED,
	};
	const uint8_t src4[] = {192, 0, 2, 1}, dst4[] = {198, 51, 100, 2};
	const uint8_t src6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, dst6[16] = {0x20, 1, 0xd, 0xb8, 1, [15] = 2};

	memcpy(flow.orig.src, family == FLOW_IPV4 ? src4 : src6, flow_address_size(family));
	memcpy(flow.orig.dst, family == FLOW_IPV4 ? dst4 : dst6, flow_address_size(family));
	if (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6) {
		flow.orig.icmp_id = 0x1234;
		flow.orig.icmp_type = protocol == PROTOCOL_ICMP ? 8 : 128;
	} else if (flow_has_ports(protocol) || protocol == PROTOCOL_GRE) {
		flow.orig.sport = 40000;
		flow.orig.dport = 443;
	}
	if (protocol == PROTOCOL_TCP) {
		flow.present |= FLOW_HAS_TCP;
		flow.tcp.state = FLOW_TCP_ESTABLISHED;
	}
	if (protocol == PROTOCOL_SCTP) {
		flow.present |= FLOW_HAS_SCTP;
		flow.sctp.state = 4;
	}
	flow.reply = flow_tuple_mirror(&flow.orig, protocol);
	return flow;
}

static void every_protocol_comes_back_as_created(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	const struct {
		uint8_t family, protocol;
	} cases[] = {
	    {FLOW_IPV4, PROTOCOL_TCP},
	    {FLOW_IPV6, PROTOCOL_TCP},
	    {FLOW_IPV4, PROTOCOL_UDP},
	    {FLOW_IPV6, PROTOCOL_UDP},
	    {FLOW_IPV4, PROTOCOL_ICMP},
	    {FLOW_IPV6, PROTOCOL_ICMPV6},
	    {FLOW_IPV4, PROTOCOL_UDPLITE},
	    {FLOW_IPV4, PROTOCOL_GRE},
	    {FLOW_IPV6, PROTOCOL_GRE},
	    {FLOW_IPV4, 253},
	    {FLOW_IPV6, 253},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow flow = plain_flow(cases[i].family, cases[i].protocol);

		round_trip(k, &flow);
		flow.status &= ~(uint32_t)FLOW_STATUS_ASSURED;
		round_trip(k, &flow);
		flow.status = FLOW_STATUS_CONFIRMED;
		round_trip(k, &flow);
	}
}

static void every_tcp_state_and_flag_comes_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow;

	for (uint8_t tcp_state = FLOW_TCP_NONE; tcp_state < FLOW_TCP_STATES; tcp_state++) {
		flow = plain_flow(FLOW_IPV4, PROTOCOL_TCP);
		flow.tcp.state = tcp_state;
		round_trip(k, &flow);
		flow.tcp.flags[0] = 0x83;
		flow.tcp.flags[1] = 0x07;
		flow.tcp.wscale[0] = 7;
		flow.tcp.wscale[1] = 14;
		round_trip(k, &flow);
		round_trip_with(k, &flow, (struct convert_options){.tcp_liberal = true, .timeout_s = 100000});
		flow.tcp.flags[1] = 0; /* scales count only if both sides have them */
		round_trip(k, &flow);
	}
	flow = plain_flow(FLOW_IPV4, PROTOCOL_TCP); /* flags of a moment are not given on */
	flow.tcp.flags[0] = 0xff;
	flow.tcp.flags[1] = 0xff;
	round_trip(k, &flow);
}

static void sctp_state_comes_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = plain_flow(FLOW_IPV4, PROTOCOL_SCTP);

	flow.sctp.vtag[0] = 0x01020304;
	flow.sctp.vtag[1] = 0xfffefdfc;
	for (uint8_t sctp_state = 1; sctp_state <= 8; sctp_state++) {
		flow.sctp.state = sctp_state;
		round_trip(k, &flow);
	}
}

/* The translations of a flow with ports: of both addresses, of both ports, in all mixtures. */
static void translate_and_round_trip(struct kernel_netns *k, uint8_t family, uint8_t protocol)
{
	for (unsigned which = 1; which < 16; which++) {
		struct flow flow = plain_flow(family, protocol);
		bool has_ports = flow_has_ports(protocol);

		if (which & 1)
			flow.reply.dst[3] ^= 0x55;
		if (which & 2)
			flow.reply.src[3] ^= 0x66;
		if (which & 4 && has_ports)
			flow.reply.dport = 50000;
		if (which & 4 && flow_has_icmp(protocol))
			flow.reply.icmp_id = 4711;
		if (which & 8 && has_ports)
			flow.reply.sport = 8443;
		round_trip(k, &flow);
	}
}

static void every_translation_comes_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);

	translate_and_round_trip(k, FLOW_IPV4, PROTOCOL_TCP);
	translate_and_round_trip(k, FLOW_IPV6, PROTOCOL_TCP);
	translate_and_round_trip(k, FLOW_IPV4, PROTOCOL_UDP);
	translate_and_round_trip(k, FLOW_IPV6, PROTOCOL_UDP);
	translate_and_round_trip(k, FLOW_IPV4, PROTOCOL_SCTP);
	translate_and_round_trip(k, FLOW_IPV4, PROTOCOL_ICMP);
	translate_and_round_trip(k, FLOW_IPV6, PROTOCOL_ICMPV6);
	translate_and_round_trip(k, FLOW_IPV4, PROTOCOL_GRE);
	translate_and_round_trip(k, FLOW_IPV4, 253);
}

static void gre_keys_that_differ_by_direction_come_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = plain_flow(FLOW_IPV4, PROTOCOL_GRE);

	flow.reply.sport = 11; /* PPTP: each end names its own call */
	flow.reply.dport = 12;
	flow.reply.dst[3] = 77;
	round_trip(k, &flow);
}

/* The kernel must never pick another port for a translation: what is taken is told. */
static void a_taken_translation_is_refused_and_not_altered(void **state)
{
	struct convert_options options = {.timeout_s = 300};
	struct flow first = plain_flow(FLOW_IPV4, PROTOCOL_TCP), second;

	(void)kernel_netns_need(state);
	first.reply.dst[3] = 99;
	second = first;
	second.orig.src[3] = 2; /* another client, the same port behind the same address */
	assert_int_equal(create(&first, &options), 0);
	assert_int_equal(create(&second, &options), -EEXIST);
	first.reply.dport = 50000;
	destroy(&first);
	assert_int_equal(create(&first, &options), 0);
	second.reply = first.reply;
	assert_int_equal(create(&second, &options), -EEXIST);
	destroy(&first);
}

static void zones_come_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = plain_flow(FLOW_IPV4, PROTOCOL_UDP);

	flow.zone = 17;
	round_trip(k, &flow);
	flow.zone_scope = FLOW_ZONE_ORIGINAL;
	round_trip(k, &flow);
	flow.zone = 0;
	flow.zone_scope = FLOW_ZONE_BOTH;
	flow.reply_zone = 18;
	flow.present |= FLOW_HAS_REPLY_ZONE;
	round_trip(k, &flow);
	flow.zone = 17; /* the kernel has one id for a flow */
	assert_int_equal(create(&flow, &(struct convert_options){.timeout_s = 1}), -EINVAL);
}

static void marks_labels_and_adjustments_come_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = plain_flow(FLOW_IPV4, PROTOCOL_TCP);

	flow.present |= FLOW_HAS_MARK | FLOW_HAS_LABELS | FLOW_HAS_SEQADJ | FLOW_HAS_SYNPROXY;
	flow.mark = 0xdeadbeef;
	for (unsigned i = 0; i < FLOW_LABELS_SIZE; i++)
		flow.labels[i] = (uint8_t)(i * 17 + 1);
	flow.seqadj[0] =
	    (struct flow_seqadj){.correction_pos = 1000, .offset_before = -5, .offset_after = 70000};
	flow.seqadj[1] =
	    (struct flow_seqadj){.correction_pos = 0xfffffff0, .offset_before = 3, .offset_after = -9};
	flow.synproxy.isn = 1;
	flow.synproxy.its = 0x80000000;
	flow.synproxy.tsoff = 3;
	round_trip(k, &flow);
	flow.status |= FLOW_STATUS_FIXED_TIMEOUT;
	round_trip(k, &flow);
	flow.status |=
	    FLOW_STATUS_OFFLOAD | FLOW_STATUS_DYING | FLOW_STATUS_SRC_NAT_DONE; /* not to be set: left out */
	round_trip(k, &flow);
}

static void a_related_flow_comes_back_with_its_master(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct convert_options options = {.timeout_s = 300};
	struct flow master = plain_flow(FLOW_IPV4, PROTOCOL_TCP),
		    related = plain_flow(FLOW_IPV4, PROTOCOL_UDP);

	related.present |= FLOW_HAS_MASTER;
	related.status |= FLOW_STATUS_EXPECTED;
	related.master = master.orig;
	related.master_protocol = PROTOCOL_TCP;
	assert_int_equal(create(&related, &options), -ENOENT);
	assert_int_equal(create(&master, &options), 0);
	round_trip(k, &related);
	destroy(&master);
	master.zone = related.zone = related.master_zone = 5;
	assert_int_equal(create(&master, &options), 0);
	round_trip(k, &related);
	destroy(&master);
}

static void a_helper_comes_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = plain_flow(FLOW_IPV4, PROTOCOL_TCP);
	int error;

	flow.present |= FLOW_HAS_HELPER;
	strcpy(flow.helper, "no-such-helper");
	assert_int_equal(create(&flow, &(struct convert_options){.timeout_s = 9}), -EOPNOTSUPP);
	strcpy(flow.helper, "ftp");
	error = create(&flow, &(struct convert_options){.timeout_s = 9});
	if (error == -EOPNOTSUPP) {
		print_message("this kernel has no ftp helper\n");
		return;
	}
	destroy(&flow);
	round_trip(k, &flow);
}

static void an_offloaded_flow_is_created_established_and_liberal(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct convert_options options = {.timeout_s = 300};
	struct flow flow = plain_flow(FLOW_IPV4, PROTOCOL_TCP), shown;

	flow.present &= ~(uint32_t)(FLOW_HAS_TCP | FLOW_HAS_TIMEOUT);
	flow.status |= FLOW_STATUS_OFFLOAD;
	assert_int_equal(create(&flow, &options), 0);
	shown = kernel_netns_read(k, &flow);
	assert_int_equal(shown.tcp.state, FLOW_TCP_ESTABLISHED);
	assert_int_equal(shown.tcp.flags[0], FLOW_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(shown.tcp.flags[1], FLOW_TCP_FLAG_BE_LIBERAL);
	destroy(&flow);
}

static void an_update_changes_what_may_be_changed(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct convert_options options = {.timeout_s = 300}, update = {.timeout_s = 0};
	struct flow flow = plain_flow(FLOW_IPV4, PROTOCOL_TCP), shown;

	flow.status = FLOW_STATUS_CONFIRMED;
	flow.tcp.state = FLOW_TCP_SYN_SENT;
	assert_int_equal(create(&flow, &options), 0);
	flow.status |= FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_SRC_NAT;
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	flow.present |= FLOW_HAS_MARK | FLOW_HAS_LABELS | FLOW_HAS_HELPER | FLOW_HAS_MASTER;
	flow.mark = 3;
	flow.labels[0] = 1;
	assert_int_equal(write_flow(&flow, CONVERT_FOR_UPDATE, &update, IPCTNL_MSG_CT_NEW, 0), 0);
	shown = kernel_netns_read(k, &flow);
	assert_int_equal(shown.tcp.state, FLOW_TCP_ESTABLISHED);
	assert_int_equal(shown.mark, 3);
	assert_int_equal(shown.labels[0], 1);
	assert_in_range(shown.timeout_s, 298, 300);
	assert_int_equal(shown.status, FLOW_STATUS_CONFIRMED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED);
	update.timeout_s = 9000;
	assert_int_equal(write_flow(&flow, CONVERT_FOR_UPDATE, &update, IPCTNL_MSG_CT_NEW, 0), 0);
	shown = kernel_netns_read(k, &flow);
	assert_in_range(shown.timeout_s, 8998, 9000);
	destroy(&flow);
}

/* A flow with all that one can have, for the tests without a kernel. */
static int full_message(uint8_t *room, size_t size)
{
	struct flow flow = plain_flow(FLOW_IPV6, PROTOCOL_TCP);

	flow.present |= FLOW_HAS_MARK | FLOW_HAS_LABELS | FLOW_HAS_SEQADJ | FLOW_HAS_SYNPROXY |
			FLOW_HAS_MASTER | FLOW_HAS_HELPER;
	flow.reply.dst[5] = 9;
	flow.zone = 3;
	strcpy(flow.helper, "fifteen-letters");
	flow.master = flow.orig;
	flow.master_protocol = PROTOCOL_TCP;
	return convert_to_message(&flow, CONVERT_FOR_CREATE, &(struct convert_options){.timeout_s = 5},
				  IPCTNL_MSG_CT_NEW, NLM_F_CREATE, 1, room, size);
}

static void a_message_fits_or_is_refused(void **state)
{
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	int length = full_message(room, sizeof(room));

	(void)state;
	assert_in_range(length, 400, CONVERT_MESSAGE_MAX);
	for (size_t size = 0; size < (size_t)length; size++)
		assert_int_equal(full_message(room, size), -ENOSPC);
	assert_int_equal(full_message(room, (size_t)length), length);
}

static void damaged_messages_are_never_read_beyond_their_end(void **state)
{
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	size_t length = (size_t)full_message(room, sizeof(room));
	uint32_t random = 12345;
	unsigned refused = 0;

	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		size_t cut = round % 4 ? length : random % (length + 1);
		struct nlmsghdr *message;
		struct flow flow;
		enum convert_kind kind;

		if (cut < NLMSG_HDRLEN)
			cut = NLMSG_HDRLEN;
		message = malloc(cut); /* exactly: so that a sanitizer sees a byte too many */
		memcpy(message, room, cut);
		message->nlmsg_len = (uint32_t)cut;
		for (unsigned i = 0; i < round % 5; i++) {
			random = random * 1664525 + 1013904223;
			if (cut > NLMSG_HDRLEN)
				((uint8_t *)message)[NLMSG_HDRLEN + (random >> 8) % (cut - NLMSG_HDRLEN)] =
				    (uint8_t)(random >> 24);
		}
		random = random * 1664525 + 1013904223;
		refused += convert_from_message(message, &flow, &kind) != 0;
		free(message);
	}
	assert_true(refused > 1000);
}

/* As a kernel before 5.2 wrote it, which no shape that is recognised as a whole has. */
static void clear_nested_flags(uint8_t *bytes, size_t length)
{
	struct nlattr header;

	for (size_t at = 0; at + sizeof(header) <= length; at += (header.nla_len + 3u) & ~3u) {
		memcpy(&header, bytes + at, sizeof(header));
		if (!(header.nla_type & NLA_F_NESTED))
			continue;
		header.nla_type &= (uint16_t)~NLA_F_NESTED;
		memcpy(bytes + at, &header, sizeof(header));
		clear_nested_flags(bytes + at + sizeof(header), header.nla_len - sizeof(header));
	}
}

static void usual_shapes_are_read_like_any_other(void **state)
{
	static const uint8_t protocols[] = {PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_GRE, PROTOCOL_ICMP};
	const struct convert_options options = {.timeout_s = 77};
	const size_t headers = NLMSG_HDRLEN + sizeof(struct nfgenmsg);

	(void)state;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
		struct flow flow = kernel_netns_flow(9), usual, general;
		enum convert_kind kind;
		int length;

		flow.protocol = protocols[i];
		flow.tcp.flags[0] = FLOW_TCP_FLAG_WINDOW_SCALE;
		flow.tcp.wscale[0] = 7;
		if (flow.protocol != PROTOCOL_TCP)
			flow.present &= ~(uint32_t)FLOW_HAS_TCP;
		length = convert_to_message(&flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW,
					    NLM_F_CREATE, 7, room, sizeof(room));
		assert_true(length > 0);
		assert_int_equal(convert_from_message((struct nlmsghdr *)room, &usual, &kind), 0);
		clear_nested_flags(room + headers, (size_t)length - headers);
		assert_int_equal(convert_from_message((struct nlmsghdr *)room, &general, &kind), 0);
		assert_memory_equal(&usual, &general, sizeof(usual));
		assert_true(flow_key_equals(&usual, &flow));
	}
}

static void kinds_and_families_are_told_apart(void **state)
{
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	struct nlmsghdr *message = (struct nlmsghdr *)room;
	enum convert_kind kind;
	struct flow flow;

	(void)state;
	full_message(room, sizeof(room));
	assert_int_equal(convert_from_message(message, &flow, &kind), 0);
	assert_int_equal(kind, CONVERT_NEW);
	message->nlmsg_flags = 0;
	assert_int_equal(convert_from_message(message, &flow, &kind), 0);
	assert_int_equal(kind, CONVERT_UPDATE);
	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	assert_int_equal(convert_from_message(message, &flow, &kind), 0);
	assert_int_equal(kind, CONVERT_DESTROY);
	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK_EXP << 8;
	assert_int_equal(convert_from_message(message, &flow, &kind), -EINVAL);
	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8;
	room[NLMSG_HDRLEN] = 7; /* AF_BRIDGE */
	assert_int_equal(convert_from_message(message, &flow, &kind), -EPROTONOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(every_protocol_comes_back_as_created),
	    NETNS_TEST(every_tcp_state_and_flag_comes_back),
	    NETNS_TEST(sctp_state_comes_back),
	    NETNS_TEST(every_translation_comes_back),
	    NETNS_TEST(gre_keys_that_differ_by_direction_come_back),
	    NETNS_TEST(a_taken_translation_is_refused_and_not_altered),
	    NETNS_TEST(zones_come_back),
	    NETNS_TEST(marks_labels_and_adjustments_come_back),
	    NETNS_TEST(a_related_flow_comes_back_with_its_master),
	    NETNS_TEST(a_helper_comes_back),
	    NETNS_TEST(an_offloaded_flow_is_created_established_and_liberal),
	    NETNS_TEST(an_update_changes_what_may_be_changed),
	    NETNS_TEST(a_message_fits_or_is_refused),
	    NETNS_TEST(damaged_messages_are_never_read_beyond_their_end),
	    NETNS_TEST(usual_shapes_are_read_like_any_other),
	    NETNS_TEST(kinds_and_families_are_told_apart),
	};

	return cmocka_run_group_tests_name("convert", tests, kernel_netns_set_up, kernel_netns_tear_down);
}
