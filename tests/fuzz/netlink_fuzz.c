/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message of ctnetlink to a flow or an expectation, to a record, and back to a message.  Input: message
 * type and flags (1), family (1), attributes.
 */
#include "proto/record.h"
#include "syncd/kernel/convert.h"
#include "syncd/kernel/expect.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg) };

/* In an allocation of just its size; less than its own headers when the input is. */
static struct nlmsghdr *make_message(const uint8_t *bytes, size_t length)
{
	struct nlmsghdr header = {.nlmsg_len = (uint32_t)(HEADERS + length - 2),
				  .nlmsg_flags = bytes[0] & 0x80 ? NLM_F_CREATE : 0};
	struct nfgenmsg family = {.nfgen_family = bytes[1]};
	uint8_t *message = malloc(HEADERS + length - 2);

	FUZZ_REQUIRE(message);
	header.nlmsg_type =
	    (uint16_t)((bytes[0] & 0x40 ? NFNL_SUBSYS_CTNETLINK_EXP : NFNL_SUBSYS_CTNETLINK) << 8 |
		       (bytes[0] & 0x3f));
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), &family, sizeof(family));
	memcpy(message + HEADERS, bytes + 2, length - 2);
	return (struct nlmsghdr *)(void *)message;
}

static void check_strings(const struct flow *flow)
{
	FUZZ_REQUIRE(memchr(flow->helper, 0, sizeof(flow->helper)));
	FUZZ_REQUIRE(memchr(flow->secctx, 0, sizeof(flow->secctx)));
}

/* A flow without a reply tuple (an event may lack it) is not encoded by anybody. */
static void check_record(const struct flow *flow)
{
	uint8_t record[RECORD_MAX], again[RECORD_MAX];
	size_t length = record_encode(flow, record), taken = 0;
	struct flow decoded;

	if (!length)
		return;
	FUZZ_REQUIRE(record_check(record, length, &taken) == RECORD_GOOD && taken == length);
	record_decode(record, &decoded);
	FUZZ_REQUIRE(flow_key_equals(flow, &decoded));
	FUZZ_REQUIRE(record_encode(&decoded, again) == length && !memcmp(record, again, length));
}

static void check_way_back(const struct flow *flow)
{
	const struct convert_options options = {.timeout_s = 60};
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	enum convert_kind kind;
	struct flow created = *flow, mirrored = *flow, back;
	int length = convert_to_message(flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW, NLM_F_CREATE,
					1, room, sizeof(room));

	FUZZ_REQUIRE(length > 0 || length == -EINVAL);
	convert_as_created(&created, &options);
	if (length < 0)
		return;
	FUZZ_REQUIRE((size_t)length <= sizeof(room) && length % 4 == 0);
	FUZZ_REQUIRE(convert_from_message((struct nlmsghdr *)(void *)room, &back, &kind) == 0);
	FUZZ_REQUIRE(kind == CONVERT_NEW && flow_key_equals(flow, &back));
	/* where there is NAT, the message says so beside a reply tuple as if there were none */
	mirrored.reply = flow_tuple_mirror(&flow->orig, flow->protocol);
	if (flow->protocol == PROTOCOL_GRE) { /* but for the keys, which are no ports to NAT */
		mirrored.reply.sport = back.reply.sport;
		mirrored.reply.dport = back.reply.dport;
	}
	FUZZ_REQUIRE(flow_nat_equals(&mirrored, &back) || flow_nat_equals(flow, &back));
}

static void check_expect(const struct nlmsghdr *message)
{
	_Alignas(8) uint8_t room[EXPECT_MESSAGE_MAX];
	uint8_t record[RECORD_MAX], again[RECORD_MAX];
	struct expect expect, back;
	char text[FLOW_TEXT_SIZE];
	size_t length, taken = 0;
	bool gone;
	int error = expect_from_message(message, &expect, &gone);

	FUZZ_REQUIRE(error == 0 || error == -EINVAL || error == -EPROTONOSUPPORT);
	FUZZ_REQUIRE(memchr(expect.helper, 0, sizeof(expect.helper)));
	FUZZ_REQUIRE(memchr(expect.function, 0, sizeof(expect.function)));
	if (error)
		return;
	FUZZ_REQUIRE(strlen(expect_print(&expect, text)) < FLOW_TEXT_SIZE);
	length = record_encode_expect(&expect, record);
	if (!length)
		return;
	FUZZ_REQUIRE(record_check(record, length, &taken) == RECORD_GOOD && taken == length);
	record_decode_expect(record, &back);
	FUZZ_REQUIRE(record_encode_expect(&back, again) == length && !memcmp(record, again, length));
	FUZZ_REQUIRE(expect_to_message(&back, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE, 1, room, sizeof(room)) > 0);
	FUZZ_REQUIRE(expect_from_message((struct nlmsghdr *)(void *)room, &back, &gone) == 0 && !gone);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct nlmsghdr *message;
	enum convert_kind kind;
	struct flow flow;
	int error;

	if (length < 2 || length > 1 << 16)
		return 0;
	message = make_message(bytes, length);
	check_expect(message);
	error = convert_from_message(message, &flow, &kind);
	free(message);
	FUZZ_REQUIRE(error == 0 || error == -EINVAL || error == -EPROTONOSUPPORT);
	check_strings(&flow);
	if (!error) {
		char text[FLOW_TEXT_SIZE];

		FUZZ_REQUIRE(flow.family == FLOW_IPV4 || flow.family == FLOW_IPV6);
		FUZZ_REQUIRE(strlen(flow_key_print(&flow, text)) < FLOW_TEXT_SIZE);
		check_record(&flow);
		check_way_back(&flow);
	}
	return 0;
}
