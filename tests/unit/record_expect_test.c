/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/local.h"
#include "proto/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct expect ftp_data(uint8_t family)
{
	struct expect expect = {
	    .family = family,
	    .protocol = PROTOCOL_TCP,
	    .tuple = {.src = {192, 0, 2, 1}, .dst = {198, 51, 100, 2}, .dport = 2000},
	    .master_protocol = PROTOCOL_TCP,
	    .master = {.src = {198, 51, 100, 2}, .dst = {192, 0, 2, 1}, .sport = 40000, .dport = 21},
	    .timeout_s = 300,
	    .class = 1,
	    .helper = "ftp",
	    .function = "nat-follow-master",
	    .has_nat = true,
	    .nat_direction = 1,
	    .nat_address = {10, 0, 0, 1},
	    .nat_port = 3000};

	memset(expect.mask_src, 0xff, flow_address_size(family));
	if (family == FLOW_IPV6)
		expect.tuple.src[15] = expect.master.dst[15] = expect.nat_address[15] = 9;
	return expect;
}

static void assert_comes_back(const struct expect *expect)
{
	uint8_t record[RECORD_MAX], again[RECORD_MAX], key[RECORD_KEY_MAX];
	size_t length = record_encode_expect(expect, record), taken;
	struct record_key in_record = record_key(record);
	struct expect back;

	assert_true(length > 0);
	assert_int_equal(record_check(record, length, &taken), RECORD_GOOD);
	assert_int_equal(taken, length);
	assert_true(record_is_expect(record));
	record_decode_expect(record, &back);
	assert_memory_equal(&back, expect, sizeof(back));
	assert_int_equal(record_encode_expect(&back, again), length);
	assert_memory_equal(again, record, length);
	assert_int_equal(record_encode_expect_key(expect, key), in_record.length);
	assert_memory_equal(key, in_record.bytes, in_record.length);
	assert_int_equal(record_check_key(key, in_record.length), in_record.length);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(record_check(record, cut, &taken), RECORD_MALFORMED);
}

static void every_expectation_comes_back_as_it_was(void **state)
{
	struct expect expect = ftp_data(FLOW_IPV4);

	(void)state;
	assert_comes_back(&expect);
	expect = ftp_data(FLOW_IPV6);
	assert_comes_back(&expect);
	expect.zone = 7;
	expect.mask_sport = 0xffff;
	expect.flags = EXPECT_PERMANENT | EXPECT_INACTIVE;
	assert_comes_back(&expect);
	memset(expect.mask_src, 0, sizeof(expect.mask_src));
	expect.mask_sport = 0;
	expect.has_nat = false;
	expect.nat_direction = 0;
	memset(expect.nat_address, 0, sizeof(expect.nat_address));
	expect.nat_port = 0;
	expect.helper[0] = expect.function[0] = '\0';
	memset(expect.helper, 0, sizeof(expect.helper));
	memset(expect.function, 0, sizeof(expect.function));
	assert_comes_back(&expect);
}

static void an_expectation_is_no_flow_under_the_same_tuple(void **state)
{
	struct expect expect = ftp_data(FLOW_IPV4);
	struct flow flow = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP, .orig = expect.tuple}, decoded;
	uint8_t of_flow[RECORD_KEY_MAX], of_expect[RECORD_KEY_MAX];
	size_t length = record_encode_key(&flow, of_flow);

	(void)state;
	assert_int_equal(record_encode_expect_key(&expect, of_expect), length);
	assert_memory_not_equal(of_flow, of_expect, length);
	assert_int_not_equal(record_decode_key(of_expect, length, &decoded), 0);
}

static void what_is_not_canonical_is_malformed(void **state)
{
	struct expect expect = ftp_data(FLOW_IPV4);
	uint8_t record[RECORD_MAX], broken[RECORD_MAX], again[RECORD_MAX];
	size_t length = record_encode_expect(&expect, record), taken;

	(void)state;
	for (size_t bit = 0; bit < 8 * length; bit++) {
		memcpy(broken, record, length);
		broken[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (record_check(broken, length, &taken) != RECORD_GOOD || !record_is_expect(broken))
			continue;
		record_decode_expect(broken, &expect);
		assert_int_equal(record_encode_expect(&expect, again), taken);
		assert_memory_equal(again, broken, taken);
	}
	expect = ftp_data(FLOW_IPV4);
	expect.master_protocol = 0;
	assert_int_equal(record_encode_expect(&expect, record), 0);
}

/* ---- in the internal table ---- */

static struct local local;

static void ask(void *context, const struct flow *key)
{
	(void)context;
	(void)key;
}

static int set_up(void **state)
{
	struct expect expect = ftp_data(FLOW_IPV4);
	struct flow master = expect_master(&expect);

	(void)state;
	local_init(&local, table_create(100, 100, 1), 1, ask, NULL);
	master.present = FLOW_HAS_STATUS;
	local_flow_new(&local, &master);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	local_destroy(&local);
	return 0;
}

static size_t count(void)
{
	return table_records(local.table) - table_count(local.table);
}

static void expectations_come_and_go_with_events(void **state)
{
	struct expect expect = ftp_data(FLOW_IPV4), other = expect, late = expect;
	struct table_walk walk;

	(void)state;
	expect.id = 7;
	local_expect_new(&local, &expect);
	local_expect_new(&local, &expect);
	other.tuple.dport++;
	local_expect_new(&local, &other);
	assert_int_equal(count(), 2);
	assert_int_equal(table_count(local.table), 1);
	late.id = 6; /* of the one that had this tuple before */
	local_expect_destroyed(&local, &late);
	assert_int_equal(count(), 2);
	local_expect_destroyed(&local, &expect);
	assert_int_equal(count(), 1);
	walk = table_walk_after(local.table, 0, false); /* flows alone */
	assert_false(record_is_expect(table_walk_next(&walk)->bytes));
	assert_null(table_walk_next(&walk));
}

static void one_without_its_master_is_passed_over(void **state)
{
	struct expect expect = ftp_data(FLOW_IPV4);

	(void)state;
	expect.master.sport++;
	local_expect_new(&local, &expect);
	assert_int_equal(count(), 0);
}

static void a_look_at_all_corrects_what_events_missed(void **state)
{
	struct expect known = ftp_data(FLOW_IPV4), gone = known, unknown = known;
	uint64_t newest;

	(void)state;
	gone.tuple.dport = 2001;
	unknown.tuple.dport = 2002;
	local_expect_new(&local, &known);
	local_expect_new(&local, &gone);
	local_expects_begin(&local);
	local_expects_row(&local, &known);
	local_expects_row(&local, &unknown);
	local_expects_end(&local);
	assert_int_equal(count(), 2);
	newest = table_newest(local.table);
	known.timeout_s--; /* a timeout that runs down is no change */
	local_expects_begin(&local);
	local_expects_row(&local, &known);
	local_expects_row(&local, &unknown);
	local_expects_end(&local);
	assert_int_equal(table_newest(local.table), newest);
	local_expect_destroyed(&local, &gone);
	assert_int_equal(count(), 2);
}

static void all_are_withdrawn_at_once(void **state)
{
	struct expect expect = ftp_data(FLOW_IPV4);
	struct table_walk walk;
	struct table_entry *entry;

	(void)state;
	local_expect_new(&local, &expect);
	walk = table_walk_after(local.table, 1, true);
	table_walk_next(&walk)->flags |= TABLE_ENTRY_EXPOSED;
	local_freeze(&local);
	local_expect_destroyed(&local, &expect); /* frozen: as it is */
	assert_int_equal(count(), 1);
	local_expects_withdraw(&local);
	assert_int_equal(count(), 0);
	walk = table_walk_after(local.table, 2, true);
	entry = table_walk_next(&walk);
	assert_int_equal(entry->flags & (TABLE_ENTRY_TOMBSTONE | TABLE_ENTRY_WITHDRAWN),
			 TABLE_ENTRY_TOMBSTONE | TABLE_ENTRY_WITHDRAWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_expectation_comes_back_as_it_was),
	    cmocka_unit_test(an_expectation_is_no_flow_under_the_same_tuple),
	    cmocka_unit_test(what_is_not_canonical_is_malformed),
	    cmocka_unit_test_setup_teardown(expectations_come_and_go_with_events, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(one_without_its_master_is_passed_over, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_look_at_all_corrects_what_events_missed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(all_are_withdrawn_at_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
