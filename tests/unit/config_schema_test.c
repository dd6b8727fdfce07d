/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "conf/schema.h"

static void every_default_is_a_valid_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		_Alignas(max_align_t) char value[CONFIG_VALUE_SIZE_MAX];

		assert_true(config_keys[i].size <= sizeof(value));
		if (config_keys[i].fallback != NULL)
			assert_int_equal(config_key_parse(&config_keys[i], config_keys[i].fallback, value),
					 PARSE_OK);
	}
}

/* A number in the key's own unit: what parse_value reads back as exactly this value. */
static void write_bound(const struct config_key *key, int64_t value, char *out, size_t size)
{
	const char *unit = key->type == VALUE_DURATION ? "us" : "";

	snprintf(out, size, "%" PRId64 "%s", value, unit);
}

static void every_range_ends_where_the_table_says(void **state)
{
	unsigned ranges = 0;

	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		_Alignas(max_align_t) char value[CONFIG_VALUE_SIZE_MAX];
		char text[64];

		if (key->max == 0)
			continue;
		ranges++;
		write_bound(key, key->min, text, sizeof(text));
		assert_int_equal(config_key_parse(key, text, value), PARSE_OK);
		write_bound(key, key->max, text, sizeof(text));
		assert_int_equal(config_key_parse(key, text, value), PARSE_OK);
		write_bound(key, key->min - 1, text, sizeof(text)); /* no value has a sign */
		assert_int_equal(config_key_parse(key, text, value),
				 key->min == 0 ? PARSE_MALFORMED : PARSE_OUT_OF_RANGE);
		write_bound(key, key->max + 1, text, sizeof(text));
		assert_int_equal(config_key_parse(key, text, value), PARSE_OUT_OF_RANGE);
	}
	assert_int_equal(ranges, 16);
}

static void numbers_durations_and_sizes_parse(void **state)
{
	uint64_t number = 7;
	int64_t us = 7;

	(void)state;
	assert_int_equal(parse_number("18446744073709551615", 0, UINT64_MAX, &number), PARSE_OK);
	assert_true(number == UINT64_MAX);
	assert_int_equal(parse_number("18446744073709551616", 0, UINT64_MAX, &number), PARSE_OUT_OF_RANGE);
	assert_int_equal(parse_number("99999999999999999999999", 0, UINT64_MAX, &number), PARSE_OUT_OF_RANGE);
	assert_int_equal(parse_number("", 0, 9, &number), PARSE_EMPTY);
	assert_int_equal(parse_number("+1", 0, 9, &number), PARSE_MALFORMED);
	assert_int_equal(parse_number("-1", 0, 9, &number), PARSE_MALFORMED);
	assert_int_equal(parse_number("0x1", 0, 9, &number), PARSE_MALFORMED);
	assert_int_equal(parse_number("1.5", 0, 9, &number), PARSE_MALFORMED);
	assert_int_equal(parse_duration("5", 0, INT64_MAX, &us), PARSE_UNIT_MISSING);
	assert_int_equal(parse_duration("5us", 0, INT64_MAX, &us), PARSE_OK);
	assert_int_equal(us, 5);
	assert_int_equal(parse_duration("2h", 0, INT64_MAX, &us), PARSE_OK);
	assert_true(us == INT64_C(7200000000));
	assert_int_equal(parse_duration("5 ms", 0, INT64_MAX, &us), PARSE_MALFORMED);
	assert_int_equal(parse_duration("5mss", 0, INT64_MAX, &us), PARSE_MALFORMED);
	assert_int_equal(parse_duration("5d", 0, INT64_MAX, &us), PARSE_MALFORMED);
	assert_int_equal(parse_duration("ms", 0, INT64_MAX, &us), PARSE_MALFORMED);
	assert_int_equal(parse_duration("18446744073709551615h", 0, INT64_MAX, &us), PARSE_OUT_OF_RANGE);
	assert_int_equal(parse_size("3K", 0, UINT64_MAX, &number), PARSE_OK);
	assert_int_equal(number, 3072);
	assert_int_equal(parse_size("3k", 0, UINT64_MAX, &number), PARSE_MALFORMED);
	assert_int_equal(parse_size("3KB", 0, UINT64_MAX, &number), PARSE_MALFORMED);
	assert_int_equal(parse_size("17179869184G", 0, UINT64_MAX, &number), PARSE_OUT_OF_RANGE);
	assert_int_equal(parse_seconds_or_auto("1500ms", 1, 9, &number), PARSE_MALFORMED);
	assert_int_equal(parse_seconds_or_auto("10", 1, 9, &number), PARSE_OUT_OF_RANGE);
	assert_int_equal(parse_seconds_or_auto("9s", 1, 9, &number), PARSE_OK);
	assert_int_equal(number, 9);
}

static void durations_and_sizes_print_in_their_largest_whole_unit(void **state)
{
	char text[32];

	(void)state;
	format_duration(1500000, text, sizeof(text));
	assert_string_equal(text, "1500ms");
	format_duration(0, text, sizeof(text));
	assert_string_equal(text, "0us");
	format_duration(INT64_C(86400000000), text, sizeof(text));
	assert_string_equal(text, "24h");
	format_size(65536, text, sizeof(text));
	assert_string_equal(text, "64K");
	format_size(65537, text, sizeof(text));
	assert_string_equal(text, "65537");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_default_is_a_valid_value),
	    cmocka_unit_test(every_range_ends_where_the_table_says),
	    cmocka_unit_test(numbers_durations_and_sizes_parse),
	    cmocka_unit_test(durations_and_sizes_print_in_their_largest_whole_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
