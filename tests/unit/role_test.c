/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/role.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_takeover_takes_the_next_term(void **state)
{
	struct role r;

	(void)state;
	role_init(&r, 0, 7);
	assert_int_equal(r.current, FRAME_ROLE_INIT);
	assert_true(role_set(&r, FRAME_ROLE_PRIMARY, false));
	assert_int_equal(r.term, 8);
	assert_false(role_set(&r, FRAME_ROLE_PRIMARY, false));
	assert_int_equal(r.term, 8);
	assert_true(role_set(&r, FRAME_ROLE_BACKUP, false));
	assert_true(role_set(&r, FRAME_ROLE_FAULT, false));
	assert_int_equal(r.term, 8);
	assert_false(role_hear(&r, 20, false));
	role_set(&r, FRAME_ROLE_PRIMARY, false);
	assert_int_equal(r.term, 21);
}

static void an_absurd_term_is_not_believed_and_none_wraps(void **state)
{
	struct role r;

	(void)state;
	role_init(&r, 0, 1);
	assert_false(role_hear(&r, UINT32_MAX, true));
	assert_int_equal(r.highest, 1);
	assert_false(role_hear(&r, 2 + ROLE_TERM_STEP, false));
	assert_int_equal(r.highest, 1);
	for (uint64_t term = 1 + ROLE_TERM_LEAP_MAX; term <= UINT32_MAX; term += ROLE_TERM_LEAP_MAX)
		assert_true(role_hear(&r, (uint32_t)term, true));
	assert_true(role_hear(&r, UINT32_MAX, true));
	role_set(&r, FRAME_ROLE_PRIMARY, false);
	assert_int_equal(r.term, UINT32_MAX);
}

static void of_two_the_lower_term_yields_and_of_equals_the_lower_id(void **state)
{
	(void)state;
	assert_true(role_yields(1, 9, 2, 1));
	assert_false(role_yields(2, 1, 1, 9));
	assert_true(role_yields(2, 1, 2, 9));
	assert_false(role_yields(2, 9, 2, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_takeover_takes_the_next_term),
	    cmocka_unit_test(an_absurd_term_is_not_believed_and_none_wraps),
	    cmocka_unit_test(of_two_the_lower_term_yields_and_of_equals_the_lower_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
