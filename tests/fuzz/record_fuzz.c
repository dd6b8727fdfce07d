/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records and keys: what is accepted is canonical, and goes to the kernel without overrunning its message. */
#include "proto/buf.h"
#include "proto/record.h"
#include "syncd/kernel/convert.h"
#include "syncd/kernel/expect.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

static void check_key(const uint8_t *bytes, size_t length)
{
	size_t taken = record_check_key(bytes, length);
	uint8_t again[RECORD_KEY_MAX];
	struct flow flow;

	if (!taken)
		return;
	FUZZ_REQUIRE(taken <= length && taken <= RECORD_KEY_MAX);
	if (bytes[0] & 0x40) { /* an expectation's (record.h) */
		FUZZ_REQUIRE(record_decode_key(bytes, taken, &flow) == -EINVAL);
		return;
	}
	FUZZ_REQUIRE(record_decode_key(bytes, taken, &flow) == 0);
	FUZZ_REQUIRE(record_encode_key(&flow, again) == taken);
	FUZZ_REQUIRE(!memcmp(again, bytes, taken));
	if (taken < length)
		FUZZ_REQUIRE(record_decode_key(bytes, taken + 1, &flow) == -EINVAL);
}

/* A hostile holder of the key may send any good record: a commit must be able to write it. */
static void check_message(const struct flow *flow, enum convert_purpose purpose)
{
	const struct convert_options options = {.tcp_liberal = true, .timeout_s = 60};
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	enum convert_kind kind;
	struct flow back;
	void *tight;
	int length = convert_to_message(flow, purpose, &options, IPCTNL_MSG_CT_NEW, NLM_F_CREATE, 1, room,
					sizeof(room));

	FUZZ_REQUIRE(length > 0 || length == -EINVAL);
	if (length < 0)
		return;
	tight = malloc((size_t)length);
	FUZZ_REQUIRE(tight && convert_to_message(flow, purpose, &options, IPCTNL_MSG_CT_NEW, NLM_F_CREATE, 1,
						 tight, (size_t)length) == length);
	FUZZ_REQUIRE(convert_to_message(flow, purpose, &options, IPCTNL_MSG_CT_NEW, NLM_F_CREATE, 1, tight,
					(size_t)length - 1) == -ENOSPC);
	free(tight);
	FUZZ_REQUIRE(convert_from_message((struct nlmsghdr *)(void *)room, &back, &kind) == 0);
	FUZZ_REQUIRE(flow_key_equals(flow, &back));
}

static void check_good(uint8_t *record, size_t length)
{
	uint64_t hash = record_hash(record);
	uint8_t again[RECORD_MAX];
	struct flow flow, merged;

	record_decode(record, &flow);
	FUZZ_REQUIRE(record_encode(&flow, again) == length);
	FUZZ_REQUIRE(!memcmp(again, record, length));
	FUZZ_REQUIRE(record_timeout_s(record) == flow.timeout_s);
	FUZZ_REQUIRE(record_incarnation(record) == flow.incarnation);
	merged = flow;
	flow_merge(&merged, &flow);
	FUZZ_REQUIRE(record_encode(&merged, again) == length && !memcmp(again, record, length));
	FUZZ_REQUIRE(flow_progress_compare(&flow, &merged) == 0);
	check_message(&flow, CONVERT_FOR_CREATE);
	check_message(&flow, CONVERT_FOR_UPDATE);
	check_message(&flow, CONVERT_FOR_KEY);
	record_set_timeout_s(record, ~flow.timeout_s);
	FUZZ_REQUIRE(record_equals(record, again) && record_hash(record) == hash);
	FUZZ_REQUIRE(record_timeout_s(record) == (uint32_t)~flow.timeout_s);
}

static void check_good_expect(const uint8_t *record, size_t length)
{
	_Alignas(8) uint8_t room[EXPECT_MESSAGE_MAX];
	uint8_t again[RECORD_MAX], key[RECORD_KEY_MAX];
	struct expect expect, back;
	bool gone;

	record_decode_expect(record, &expect);
	FUZZ_REQUIRE(record_encode_expect(&expect, again) == length && !memcmp(again, record, length));
	FUZZ_REQUIRE(record_encode_expect_key(&expect, key) == record_key(record).length);
	FUZZ_REQUIRE(!memcmp(key, record_key(record).bytes, record_key(record).length));
	FUZZ_REQUIRE(expect_to_message(&expect, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE, 1, room, sizeof(room)) > 0);
	FUZZ_REQUIRE(expect_from_message((struct nlmsghdr *)(void *)room, &back, &gone) == 0 && !gone);
	if (!flow_has_ports(expect.protocol) || !flow_has_ports(expect.master_protocol))
		return; /* a message has no room for their ports */
	back.extra_length = expect.extra_length;
	memcpy(back.extra, expect.extra, sizeof(back.extra));
	FUZZ_REQUIRE(record_encode_expect(&back, again) == length && !memcmp(again, record, length));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = fuzz_copy(bytes, length);
	size_t taken = 0, shorter = 0;
	enum record_verdict verdict = record_check(copy, length, &taken);

	check_key(copy, length);
	if (verdict != RECORD_MALFORMED) {
		struct record_key key = record_key(copy);

		FUZZ_REQUIRE(taken > 0 && taken <= length && taken <= RECORD_MAX);
		FUZZ_REQUIRE(record_length(copy) == taken);
		FUZZ_REQUIRE(key.bytes > copy && key.bytes + key.length < copy + taken);
		FUZZ_REQUIRE(record_check_key(key.bytes, (size_t)(copy + taken - key.bytes)) == key.length);
		FUZZ_REQUIRE(record_check(copy, taken - 1, &shorter) == RECORD_MALFORMED);
		check_key(key.bytes, key.length);
	}
	if (verdict == RECORD_GOOD && record_is_expect(copy))
		check_good_expect(copy, taken);
	else if (verdict == RECORD_GOOD)
		check_good(copy, taken);
	free(copy);
	return 0;
}

/* Plain mutation stops at the length in front: this keeps it right, three times of four. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t max, unsigned seed)
{
	size_t prefix = length && bytes[0] & 0x80 ? 2 : 1, body;
	struct writer w;

	if (seed % 4 == 0 || length <= prefix || max < RECORD_MAX)
		return LLVMFuzzerMutate(bytes, length, max);
	body = length - prefix < RECORD_MAX - 2 ? length - prefix : RECORD_MAX - 2;
	memmove(bytes + 2, bytes + prefix, body);
	body = LLVMFuzzerMutate(bytes + 2, body, RECORD_MAX - 2);
	w = writer_over(bytes, 2);
	writer_varint(&w, body);
	memmove(w.at, bytes + 2, body);
	return writer_length(&w) + body;
}
