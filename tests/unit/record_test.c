/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/record.h"
#include "tests/unit/random_flow.h"

enum { ROUNDS = 20000 };

static size_t encode_good(const struct flow *flow, uint8_t record[RECORD_MAX])
{
	size_t length = record_encode(flow, record), checked = 0;

	assert_int_not_equal(length, 0);
	assert_in_range(length, 1, RECORD_MAX);
	assert_int_equal(record_check(record, length, &checked), RECORD_GOOD);
	assert_int_equal(checked, length);
	assert_int_equal(record_length(record), length);
	return length;
}

/* The check, with the bytes at the very end of an allocation, so that a sanitizer sees a read beyond. */
static enum record_verdict check_tightly(const uint8_t *bytes, size_t available, size_t *length)
{
	uint8_t *copy = malloc(available ? available : 1);
	enum record_verdict verdict;

	assert_non_null(copy);
	memcpy(copy, bytes, available);
	verdict = record_check(copy, available, length);
	free(copy);
	return verdict;
}

static void a_plain_ipv4_tcp_flow_takes_at_most_32_bytes(void **state)
{
	struct flow flow = plain_flow(7);
	uint8_t record[RECORD_MAX];

	(void)state;
	assert_in_range(encode_good(&flow, record), 1, 32);
}

static void one_with_snat_and_a_mark_takes_at_most_48(void **state)
{
	struct flow flow = snat_flow(7);
	uint8_t record[RECORD_MAX];

	(void)state;
	assert_in_range(encode_good(&flow, record), 1, 48);
}

static void every_flow_comes_back_as_it_was(void **state)
{
	struct random random = {2};
	uint8_t record[RECORD_MAX], again[RECORD_MAX];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct flow flow = random_flow(&random), decoded;
		size_t length = encode_good(&flow, record);

		record_decode(record, &decoded);
		assert_memory_equal(&decoded, &flow, sizeof(flow));
		assert_int_equal(record_encode(&decoded, again), length);
		assert_memory_equal(record, again, length);
	}
}

static void the_largest_record_fits(void **state)
{
	struct flow flow = {.family = FLOW_IPV6, .protocol = PROTOCOL_DCCP, .zone = 1};
	uint8_t record[RECORD_MAX];

	(void)state;
	flow.present = UINT32_MAX;
	memset(&flow.orig, 1, sizeof(flow.orig));
	memset(&flow.reply, 2, sizeof(flow.reply));
	memset(flow.seqadj, 3, sizeof(flow.seqadj));
	memset(&flow.synproxy, 4, sizeof(flow.synproxy));
	memset(flow.labels, 5, sizeof(flow.labels));
	memset(flow.helper, 'h', sizeof(flow.helper) - 1);
	memset(&flow.master, 6, sizeof(flow.master));
	flow.mark = flow.reply_zone = flow.master_zone = 7;
	flow.master_protocol = PROTOCOL_TCP;
	flow.extra[0] = 0xff;
	flow.extra[1] = FLOW_EXTRA_MAX - 2;
	flow.extra_length = FLOW_EXTRA_MAX;
	encode_good(&flow, record);
	flow.extra_length++;
	assert_int_equal(record_encode(&flow, record), 0);
}

static void a_truncated_record_is_malformed_at_every_length(void **state)
{
	struct random random = {3};
	uint8_t record[RECORD_MAX];

	(void)state;
	for (int i = 0; i < ROUNDS / 20; i++) {
		struct flow flow = random_flow(&random);
		size_t length = encode_good(&flow, record), checked;

		for (size_t available = 0; available < length; available++)
			assert_int_equal(check_tightly(record, available, &checked), RECORD_MALFORMED);
	}
}

/* Whatever is accepted is the one encoding of what it decodes to. */
static void assert_canonical(const uint8_t *bytes, size_t available)
{
	uint8_t again[RECORD_MAX];
	struct flow flow;
	size_t length;

	if (check_tightly(bytes, available, &length) != RECORD_GOOD)
		return;
	assert_in_range(length, 1, available);
	record_decode(bytes, &flow);
	assert_int_equal(record_encode(&flow, again), length);
	assert_memory_equal(bytes, again, length);
	assert_int_equal(record_key(bytes).length, record_check_key(record_key(bytes).bytes, length));
}

static void a_record_with_any_bit_flipped_is_refused_or_canonical(void **state)
{
	struct random random = {4};
	uint8_t record[RECORD_MAX];

	(void)state;
	for (int i = 0; i < ROUNDS / 40; i++) {
		struct flow flow = random_flow(&random);
		size_t length = encode_good(&flow, record);

		for (size_t bit = 0; bit < length * 8; bit++) {
			record[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_canonical(record, length);
			record[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void random_bytes_are_refused_or_canonical(void **state)
{
	struct random random = {5};

	(void)state;
	for (int i = 0; i < ROUNDS * 5; i++) {
		uint8_t bytes[RECORD_MAX + 8];
		size_t available = random_below(&random, 80);

		random_fill(&random, bytes, available);
		bytes[0] = (uint8_t)random_below(&random, (uint32_t)available + 1);
		bytes[5] &= 0x3f;
		assert_canonical(bytes, available);
	}
}

static void an_unknown_skippable_attribute_is_kept_and_hashed(void **state)
{
	struct flow plain = plain_flow(1), flow = plain, decoded;
	uint8_t record[RECORD_MAX], other[RECORD_MAX];

	(void)state;
	memcpy(flow.extra, "\x90\x02hi\xfe\x00", 6);
	flow.extra_length = 6;
	encode_good(&plain, other);
	encode_good(&flow, record);
	record_decode(record, &decoded);
	assert_int_equal(decoded.extra_length, 6);
	assert_memory_equal(decoded.extra, "\x90\x02hi\xfe\x00", 6);
	assert_true(record_hash(record) != record_hash(other));
	assert_false(record_equals(record, other));
}

/* A plain record with these attributes behind it, by hand. */
static size_t with_attributes(uint8_t record[RECORD_MAX], const char *attributes, size_t length)
{
	struct flow flow = plain_flow(1);
	size_t plain = record_encode(&flow, record);

	record[5 + record_key(record).length + 3] |= 0x80;
	memcpy(record + plain, attributes, length);
	record[0] = (uint8_t)(record[0] + length);
	assert_in_range(record[0], 1, 127);
	return plain + length;
}

static void an_unknown_critical_attribute_is_incompatible(void **state)
{
	uint8_t record[RECORD_MAX];
	size_t length, checked = 0;

	(void)state;
	length = with_attributes(record, "\x07\x01x", 3);
	assert_int_equal(record_check(record, sizeof(record), &checked), RECORD_INCOMPATIBLE);
	assert_int_equal(checked, length);
}

static void skippable_attributes_beyond_what_can_be_kept_are_incompatible(void **state)
{
	struct flow flow = plain_flow(1);
	uint8_t record[RECORD_MAX];
	size_t length, checked = 0;

	(void)state;
	flow.extra[0] = 0x80;
	flow.extra[1] = FLOW_EXTRA_MAX - 2;
	flow.extra_length = FLOW_EXTRA_MAX;
	length = encode_good(&flow, record);
	memcpy(record + length, "\x81\x00", 2);
	record[0] = (uint8_t)(record[0] + 2);
	assert_int_equal(record[0] & 0x80, 0x80);
	assert_int_equal(record_check(record, sizeof(record), &checked), RECORD_INCOMPATIBLE);
	assert_int_equal(checked, length + 2);
}

static void attributes_that_are_not_canonical_are_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} bad[] = {
	    {"", 0},                                          /* announced, but none */
	    {"\x00\x00", 2},                                  /* type 0 */
	    {"\x90\x00\x90\x00", 4},                          /* twice */
	    {"\x91\x00\x90\x00", 4},                          /* descending */
	    {"\x90\x05xx", 4},                                /* cut short */
	    {"\x90", 1},                                      /* no length */
	    {"\x02\x0b\1\1\1\1\1\1\1\1\1\1\1", 13},           /* synproxy, too short */
	    {"\x02\x0d\1\1\1\1\1\1\1\1\1\1\1\1\1", 15},       /* too long */
	    {"\x02\x0c\0\0\0\0\0\0\0\0\0\0\0\0", 14},         /* all zero */
	    {"\x03\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18}, /* labels, all zero */
	    {"\x04\x00", 2},                                  /* helper without a name */
	    {"\x04\x10xxxxxxxxxxxxxxxx", 18},                 /* name too long */
	    {"\x04\x03x\0y", 5},                              /* with a terminator */
	    {"\x05\x0d\x10\1\1\1\1\1\1\1\1\1\1\1\1", 15},     /* master of the other family, cut */
	    {"\x05\x0e\x00\1\1\1\1\1\1\1\1\1\1\1\1\1", 16},   /* longer than its key */
	    {"\x06\x02\0\0", 4},                              /* reply zone 0 */
	};
	uint8_t record[RECORD_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t length = with_attributes(record, bad[i].bytes, bad[i].length), checked;

		assert_int_equal(check_tightly(record, length, &checked), RECORD_MALFORMED);
	}
}

static void the_timeout_is_outside_of_hash_and_equality(void **state)
{
	struct flow flow = snat_flow(1);
	uint8_t a[RECORD_MAX], b[RECORD_MAX];

	(void)state;
	encode_good(&flow, a);
	flow.timeout_s = 5;
	encode_good(&flow, b);
	assert_int_equal(record_timeout_s(b), 5);
	assert_true(record_equals(a, b));
	assert_true(record_hash(a) == record_hash(b));
	record_set_timeout_s(a, 5);
	assert_memory_equal(a, b, record_length(a));
	flow.status ^= FLOW_STATUS_ASSURED;
	encode_good(&flow, b);
	assert_false(record_equals(a, b));
	assert_true(record_hash(a) != record_hash(b));
}

static void what_tells_of_a_moment_is_not_recorded(void **state)
{
	struct flow flow = plain_flow(1);
	uint8_t a[RECORD_MAX], b[RECORD_MAX];

	(void)state;
	encode_good(&flow, a);
	flow.status |= FLOW_STATUS_DYING;
	flow.tcp.flags[0] |= 0x70;
	flow.id = 77;
	flow.use = 3;
	flow.counters[0].packets = 9;
	flow.present |= FLOW_HAS_ID | FLOW_HAS_USE | FLOW_HAS_COUNTERS;
	encode_good(&flow, b);
	assert_memory_equal(a, b, record_length(a));
}

static void attributes_that_say_nothing_are_not_recorded(void **state)
{
	struct flow flow = plain_flow(1);
	uint8_t a[RECORD_MAX], b[RECORD_MAX];

	(void)state;
	encode_good(&flow, a);
	flow.present |=
	    FLOW_HAS_LABELS | FLOW_HAS_SEQADJ | FLOW_HAS_SYNPROXY | FLOW_HAS_HELPER | FLOW_HAS_REPLY_ZONE;
	encode_good(&flow, b);
	assert_memory_equal(a, b, record_length(a));
}

static void a_flow_without_reply_has_the_mirrored_one(void **state)
{
	struct flow flow = plain_flow(1), decoded;
	uint8_t a[RECORD_MAX], b[RECORD_MAX];

	(void)state;
	encode_good(&flow, a);
	flow.present &= ~(uint32_t)FLOW_HAS_REPLY;
	memset(&flow.reply, 0xee, sizeof(flow.reply));
	encode_good(&flow, b);
	assert_memory_equal(a, b, record_length(a));
	record_decode(b, &decoded);
	assert_true(decoded.present & FLOW_HAS_REPLY);
	assert_true(flow_nat_equals(&decoded, &flow));
}

static void a_key_stands_alone_as_it_stands_in_the_record(void **state)
{
	struct random random = {6};
	uint8_t record[RECORD_MAX], key[RECORD_KEY_MAX];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct flow flow = random_flow(&random), decoded;
		size_t length = record_encode_key(&flow, key);

		encode_good(&flow, record);
		assert_in_range(length, 1, RECORD_KEY_MAX);
		assert_int_equal(record_key(record).length, length);
		assert_memory_equal(record_key(record).bytes, key, length);
		assert_int_equal(record_incarnation(record), flow.incarnation);
		assert_int_equal(record_check_key(key, length), length);
		assert_int_equal(record_check_key(key, length - 1), 0);
		assert_int_equal(record_decode_key(key, length, &decoded), 0);
		assert_true(flow_key_equals(&decoded, &flow));
		assert_int_not_equal(record_decode_key(key, length + 1, &decoded), 0);
	}
}

static void an_unknown_family_cannot_be_encoded(void **state)
{
	struct flow flow = plain_flow(1);
	uint8_t record[RECORD_MAX];

	(void)state;
	flow.family = 7;
	assert_int_equal(record_encode(&flow, record), 0);
	assert_int_equal(record_encode_key(&flow, record), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_ipv4_tcp_flow_takes_at_most_32_bytes),
	    cmocka_unit_test(one_with_snat_and_a_mark_takes_at_most_48),
	    cmocka_unit_test(every_flow_comes_back_as_it_was),
	    cmocka_unit_test(the_largest_record_fits),
	    cmocka_unit_test(a_truncated_record_is_malformed_at_every_length),
	    cmocka_unit_test(a_record_with_any_bit_flipped_is_refused_or_canonical),
	    cmocka_unit_test(random_bytes_are_refused_or_canonical),
	    cmocka_unit_test(an_unknown_skippable_attribute_is_kept_and_hashed),
	    cmocka_unit_test(an_unknown_critical_attribute_is_incompatible),
	    cmocka_unit_test(skippable_attributes_beyond_what_can_be_kept_are_incompatible),
	    cmocka_unit_test(attributes_that_are_not_canonical_are_malformed),
	    cmocka_unit_test(the_timeout_is_outside_of_hash_and_equality),
	    cmocka_unit_test(what_tells_of_a_moment_is_not_recorded),
	    cmocka_unit_test(attributes_that_say_nothing_are_not_recorded),
	    cmocka_unit_test(a_flow_without_reply_has_the_mirrored_one),
	    cmocka_unit_test(a_key_stands_alone_as_it_stands_in_the_record),
	    cmocka_unit_test(an_unknown_family_cannot_be_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
