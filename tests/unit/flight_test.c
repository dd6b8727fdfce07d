/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_is_not_acknowledged_is_under_way(void **state)
{
	struct flight f = {0};

	(void)state;
	flight_note(&f, 10, 100);
	flight_note(&f, 20, 100);
	flight_note(&f, 20, 50); /* the same again */
	assert_int_equal(flight_bytes(&f), 250);
	flight_acknowledge(&f, 15);
	assert_int_equal(flight_bytes(&f), 150);
	flight_acknowledge(&f, 5);
	assert_int_equal(flight_bytes(&f), 150);
	flight_acknowledge(&f, 20);
	assert_int_equal(flight_bytes(&f), 0);
}

static void out_of_marks_the_answer_is_coarser_and_never_too_low(void **state)
{
	struct flight f = {0};

	(void)state;
	for (uint64_t version = 1; version <= 10 * FLIGHT_MARKS; version++) {
		flight_note(&f, version, 10);
		assert_in_range(f.count, 1, FLIGHT_MARKS);
	}
	for (uint64_t version = 1; version <= 10 * FLIGHT_MARKS; version++) {
		flight_acknowledge(&f, version);
		assert_true(flight_bytes(&f) >= (10 * FLIGHT_MARKS - version) * 10);
	}
	assert_int_equal(flight_bytes(&f), 0);
}

static void after_a_reset_nothing_is_under_way(void **state)
{
	struct flight f = {0};

	(void)state;
	flight_note(&f, 10, 100);
	flight_reset(&f);
	assert_int_equal(flight_bytes(&f), 0);
	flight_note(&f, 5, 7);
	assert_int_equal(flight_bytes(&f), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_acknowledged_is_under_way),
	    cmocka_unit_test(out_of_marks_the_answer_is_coarser_and_never_too_low),
	    cmocka_unit_test(after_a_reset_nothing_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
