/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "proto/buf.h"
#include "tests/unit/random_flow.h"

static void numbers_travel_in_network_order(void **state)
{
	static const uint8_t expected[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
					   0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
	uint8_t room[sizeof(expected)];
	struct writer w = writer_over(room, sizeof(room));
	struct reader r = reader_over(expected, sizeof(expected));

	(void)state;
	writer_u8(&w, 0x01);
	writer_u16(&w, 0x0203);
	writer_u32(&w, 0x04050607);
	writer_u64(&w, 0x08090a0b0c0d0e0f);
	assert_false(w.failed);
	assert_int_equal(writer_length(&w), sizeof(expected));
	assert_int_equal(writer_room(&w), 0);
	assert_memory_equal(room, expected, sizeof(expected));
	assert_int_equal(reader_u8(&r), 0x01);
	assert_int_equal(reader_u16(&r), 0x0203);
	assert_int_equal(reader_u32(&r), 0x04050607);
	assert_true(reader_u64(&r) == 0x08090a0b0c0d0e0f);
	assert_true(reader_is_done(&r));
}

static void a_read_beyond_the_end_fails_for_good_and_yields_zero(void **state)
{
	static const uint8_t bytes[] = {0xff, 0xff, 0xff};
	struct reader r = reader_over(bytes, sizeof(bytes));
	uint8_t copy[2] = {1, 1};

	(void)state;
	assert_int_equal(reader_u32(&r), 0);
	assert_true(r.failed);
	assert_int_equal(reader_left(&r), 0);
	assert_int_equal(reader_u8(&r), 0);
	reader_bytes(&r, copy, sizeof(copy));
	assert_int_equal(copy[0] | copy[1], 0);
	assert_null(reader_skip(&r, 0));
	assert_true(reader_sub(&r, 0).failed);
	assert_false(reader_is_done(&r));
}

static void what_is_left_over_is_not_done(void **state)
{
	struct reader r = reader_over("ab", 2);

	(void)state;
	reader_u8(&r);
	assert_false(reader_is_done(&r));
	assert_int_equal(reader_left(&r), 1);
	reader_u8(&r);
	assert_true(reader_is_done(&r));
}

static void a_sub_reader_cannot_leave_its_part(void **state)
{
	struct reader r = reader_over("abcd", 4);
	struct reader sub = reader_sub(&r, 2);

	(void)state;
	assert_int_equal(reader_u16(&sub), 'a' << 8 | 'b');
	assert_true(reader_is_done(&sub));
	reader_u8(&sub);
	assert_true(sub.failed);
	assert_false(r.failed);
	assert_int_equal(reader_u8(&r), 'c');
	assert_true(reader_sub(&r, 2).failed);
	assert_true(r.failed);
}

static void a_write_beyond_the_end_does_nothing(void **state)
{
	uint8_t room[4] = {0, 0, 0, 0x55};
	struct writer w = writer_over(room, 3);

	(void)state;
	writer_u16(&w, 0x0102);
	writer_u32(&w, 0xffffffff);
	assert_true(w.failed);
	writer_u8(&w, 0xff);
	assert_int_equal(writer_length(&w), 2);
	assert_int_equal(writer_room(&w), 0);
	assert_null(writer_reserve(&w, 1));
	assert_memory_equal(room, "\x01\x02\x00\x55", 4);
}

static void reserved_bytes_are_zero_and_writable_later(void **state)
{
	uint8_t room[4] = {9, 9, 9, 9}, *later;
	struct writer w = writer_over(room, sizeof(room));

	(void)state;
	later = writer_reserve(&w, 2);
	assert_ptr_equal(later, room);
	writer_u16(&w, 0x0304);
	assert_memory_equal(room, "\x00\x00\x03\x04", 4);
}

static void an_empty_run_is_fine_without_bytes(void **state)
{
	struct reader r = reader_over(NULL, 0);
	struct writer w = writer_over(NULL, 0);

	(void)state;
	assert_true(reader_is_done(&r));
	assert_int_equal(reader_left(&r), 0);
	reader_bytes(&r, NULL, 0);
	assert_true(reader_is_done(&r));
	writer_bytes(&w, NULL, 0);
	assert_false(w.failed);
	writer_u8(&w, 1);
	assert_true(w.failed);
}

static void each_varint_comes_back(void **state)
{
	struct random random = {1};

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t value = random_u64(&random) >> random_below(&random, 64);
		uint8_t room[10];
		struct writer w = writer_over(room, sizeof(room));
		struct reader r;

		writer_varint(&w, value);
		assert_false(w.failed);
		assert_int_equal(writer_length(&w), varint_length(value));
		r = reader_over(room, writer_length(&w));
		assert_true(reader_varint(&r) == value);
		assert_true(reader_is_done(&r));
		r = reader_over(room, writer_length(&w) - 1);
		reader_varint(&r);
		assert_true(r.failed);
	}
	assert_int_equal(varint_length(0), 1);
	assert_int_equal(varint_length(127), 1);
	assert_int_equal(varint_length(128), 2);
	assert_int_equal(varint_length(UINT64_MAX), 10);
}

static void a_varint_has_one_encoding(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} bad[] = {
	    {"\x80\x00", 2},                                  /* 0, padded */
	    {"\xff\x80\x00", 3},                              /* 127, padded */
	    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, /* 65 bits */
	    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11},
	    {"\x80", 1},
	    {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct reader r = reader_over(bad[i].bytes, bad[i].length);

		assert_int_equal(reader_varint(&r), 0);
		assert_true(r.failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_travel_in_network_order),
	    cmocka_unit_test(a_read_beyond_the_end_fails_for_good_and_yields_zero),
	    cmocka_unit_test(what_is_left_over_is_not_done),
	    cmocka_unit_test(a_sub_reader_cannot_leave_its_part),
	    cmocka_unit_test(a_write_beyond_the_end_does_nothing),
	    cmocka_unit_test(reserved_bytes_are_zero_and_writable_later),
	    cmocka_unit_test(an_empty_run_is_fine_without_bytes),
	    cmocka_unit_test(each_varint_comes_back),
	    cmocka_unit_test(a_varint_has_one_encoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
