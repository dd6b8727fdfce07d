/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/keyset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct record_key key_of(uint32_t *number)
{
	return (struct record_key){(const uint8_t *)number, sizeof(*number)};
}

static void it_has_what_was_added_and_nothing_else(void **state)
{
	struct keyset set;

	(void)state;
	keyset_init(&set, 5);
	for (uint32_t i = 0; i < 100000; i += 2)
		keyset_add(&set, key_of(&i));
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(keyset_has(&set, key_of(&i)), i % 2 == 0);
	assert_int_equal(set.count, 50000);
	keyset_clear(&set);
	for (uint32_t i = 0; i < 10; i++)
		assert_false(keyset_has(&set, key_of(&i)));
	assert_null(set.slots);
}

static void a_key_added_twice_counts_once(void **state)
{
	struct keyset set;
	uint32_t key = 3;

	(void)state;
	keyset_init(&set, 5);
	keyset_add(&set, key_of(&key));
	keyset_add(&set, key_of(&key));
	assert_int_equal(set.count, 1);
	keyset_clear(&set);
}

static void beyond_its_bound_it_says_that_it_overflowed(void **state)
{
	struct keyset set;

	(void)state;
	keyset_init(&set, 5);
	for (uint32_t i = 0; i <= KEYSET_MAX; i++)
		keyset_add(&set, key_of(&i));
	assert_true(set.overflowed);
	assert_in_range(set.count, KEYSET_MAX - 1, KEYSET_MAX);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(keyset_has(&set, key_of(&i)));
	keyset_clear(&set);
	assert_false(set.overflowed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_has_what_was_added_and_nothing_else),
	    cmocka_unit_test(a_key_added_twice_counts_once),
	    cmocka_unit_test(beyond_its_bound_it_says_that_it_overflowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
