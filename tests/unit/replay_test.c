/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/replay.h"
#include "tests/unit/random_flow.h"

enum { NUMBERS = 400000 };

/* Accepts a number as the receiver does: check, authenticate, note. */
static enum replay_verdict offer(struct replay *replay, uint64_t number)
{
	enum replay_verdict verdict = replay_check(replay, number);

	if (verdict == REPLAY_NEW)
		replay_note(replay, number);
	return verdict;
}

static void each_number_is_new_once(void **state)
{
	struct replay replay;

	(void)state;
	replay_init(&replay);
	assert_int_equal(replay_check(&replay, 0), REPLAY_TOO_OLD);
	for (uint64_t n = 1; n < 3 * REPLAY_WINDOW; n++) {
		assert_int_equal(offer(&replay, n), REPLAY_NEW);
		assert_int_equal(offer(&replay, n), REPLAY_SEEN);
	}
}

static void checking_does_not_note(void **state)
{
	struct replay replay;

	(void)state;
	replay_init(&replay);
	assert_int_equal(replay_check(&replay, 9), REPLAY_NEW);
	assert_int_equal(replay_check(&replay, 9), REPLAY_NEW);
	assert_true(replay.highest == 0);
}

static void the_window_ends_where_it_says(void **state)
{
	struct replay replay;

	(void)state;
	replay_init(&replay);
	assert_int_equal(offer(&replay, 100000), REPLAY_NEW);
	assert_int_equal(replay_check(&replay, 100000 - REPLAY_WINDOW + 1), REPLAY_NEW);
	assert_int_equal(replay_check(&replay, 100000 - REPLAY_WINDOW), REPLAY_TOO_OLD);
}

static void a_leap_forgets_all_and_the_end_of_numbers_is_no_trouble(void **state)
{
	struct replay replay;

	(void)state;
	replay_init(&replay);
	for (uint64_t n = 1; n <= REPLAY_WINDOW; n++)
		offer(&replay, n);
	assert_int_equal(offer(&replay, UINT64_MAX), REPLAY_NEW);
	assert_int_equal(offer(&replay, UINT64_MAX), REPLAY_SEEN);
	for (uint64_t n = 1; n < REPLAY_WINDOW; n++)
		assert_int_equal(offer(&replay, UINT64_MAX - n), REPLAY_NEW);
	assert_int_equal(offer(&replay, UINT64_MAX - REPLAY_WINDOW), REPLAY_TOO_OLD);
	assert_int_equal(offer(&replay, 1), REPLAY_TOO_OLD);
}

static void it_tells_what_a_naive_set_tells(void **state)
{
	struct random random = {41};
	bool *seen = calloc(NUMBERS + 2 * REPLAY_WINDOW, sizeof(*seen));
	uint64_t highest = 0, base = 1;
	struct replay replay;

	(void)state;
	assert_non_null(seen);
	replay_init(&replay);
	while (base < NUMBERS) {
		/* reordered, duplicated, and at times far ahead or far behind */
		uint64_t reach = random_below(&random, 200) ? 200 : 2 * REPLAY_WINDOW;
		uint64_t number = base + random_below(&random, (uint32_t)reach);
		enum replay_verdict expected;

		if (random_below(&random, 100) == 0)
			number -= number > REPLAY_WINDOW + 100u
				      ? REPLAY_WINDOW - 100u + random_below(&random, 200)
				      : 0;
		if (number + REPLAY_WINDOW <= highest)
			expected = REPLAY_TOO_OLD;
		else
			expected = seen[number] ? REPLAY_SEEN : REPLAY_NEW;
		assert_int_equal(offer(&replay, number), expected);
		if (expected == REPLAY_NEW)
			seen[number] = true;
		if (number > highest)
			highest = number;
		base += random_below(&random, 3);
	}
	free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_number_is_new_once),
	    cmocka_unit_test(checking_does_not_note),
	    cmocka_unit_test(the_window_ends_where_it_says),
	    cmocka_unit_test(a_leap_forgets_all_and_the_end_of_numbers_is_no_trouble),
	    cmocka_unit_test(it_tells_what_a_naive_set_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
