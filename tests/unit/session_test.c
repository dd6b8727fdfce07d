/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct monotime timeout = {1000000};

static struct session session_of(uint64_t challenge, int64_t now_us)
{
	return (struct session){.challenge = challenge,
				.rtt_us = -1,
				.last_heard = monotime_from_us(now_us),
				.first_heard = monotime_from_us(now_us)};
}

static struct frame_peer said(uint64_t echo, int64_t stamp_us, uint32_t held_us)
{
	return (struct frame_peer){
	    .challenge = 55, .echo = echo, .stamp = (uint64_t)stamp_us, .held_us = held_us};
}

static void only_the_right_echo_answers(void **state)
{
	struct session s = session_of(7, 5000000);
	struct frame_peer wrong = said(8, 4999000, 0), none = said(0, 4999000, 0),
			  right = said(7, 4999000, 400);

	(void)state;
	assert_false(session_hear(&s, &wrong, monotime_from_us(5000000)));
	assert_false(session_hear(&s, &none, monotime_from_us(5000000)));
	assert_false(session_is_alive(&s, monotime_from_us(5000000), timeout));
	assert_true(session_hear(&s, &right, monotime_from_us(5000000)));
	assert_true(session_is_alive(&s, monotime_from_us(5000000), timeout));
	assert_int_equal(s.their_challenge, 55);
	assert_int_equal(s.rtt_us, 600);
	assert_int_equal(s.sent_after.us, 4999400);
}

static void absurd_stamps_measure_nothing(void **state)
{
	static const struct {
		uint64_t stamp;
		uint32_t held_us;
	} absurd[] = {{UINT64_MAX, 0}, {INT64_MAX, UINT32_MAX}, {6000000, 0}, {4999000, UINT32_MAX}, {0, 9}};
	struct session s = session_of(7, 5000000);

	(void)state;
	for (unsigned i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
		struct frame_peer p = said(7, 0, absurd[i].held_us);

		p.stamp = absurd[i].stamp;
		session_hear(&s, &p, monotime_from_us(5000000));
		assert_int_equal(s.rtt_us, -1);
		assert_int_equal(s.sent_after.us, 0);
		assert_in_range(s.alive_at.us, 0, 5000000);
	}
}

static void a_peer_whose_clock_runs_faster_is_dated_all_the_same(void **state)
{
	struct session s = session_of(7, 5000000);
	struct frame_peer p = said(7, 4800000, 200290);

	(void)state;
	session_hear(&s, &p, monotime_from_us(5000000));
	assert_int_equal(s.rtt_us, 0);
	assert_int_equal(s.sent_after.us, 5000000);
}

static void a_recording_that_goes_on_dies_when_its_echoes_are_old(void **state)
{
	struct session s = session_of(7, 5000000);
	struct frame_peer p = said(7, 5000000, 0);

	(void)state;
	session_hear(&s, &p, monotime_from_us(5000000));
	s.last_heard = monotime_from_us(7900000);
	assert_true(session_is_alive(&s, monotime_from_us(7999999), timeout));
	assert_false(session_is_alive(&s, monotime_from_us(8000000), timeout));
	s.last_heard = monotime_from_us(5100000);
	assert_int_equal(session_dies_at(&s, timeout).us, 6100000);
}

static void what_was_overtaken_is_dated_long_ago(void **state)
{
	struct session s = session_of(7, 5000000);
	struct frame_peer p = said(7, 4999000, 0);

	(void)state;
	assert_int_equal(session_sent_after(&s).us, 1);
	s.packet_number = s.status_number = 10;
	session_hear(&s, &p, monotime_from_us(5000000));
	assert_int_equal(session_sent_after(&s).us, 4999000);
	s.packet_number = 11;
	assert_int_equal(session_sent_after(&s).us, 4999000);
	s.packet_number = 9;
	assert_int_equal(session_sent_after(&s).us, 1);
}

static void who_was_not_listened_to_is_spared_once(void **state)
{
	struct session s = session_of(7, 5000000);
	struct frame_peer p = said(7, 5000000, 0);

	(void)state;
	session_hear(&s, &p, monotime_from_us(5000000));
	s.last_heard = monotime_from_us(5000000);
	session_spare(&s, monotime_from_us(9000000), monotime_from_us(10000000));
	assert_true(session_is_alive(&s, monotime_from_us(9999999), timeout));
	session_spare(&s, monotime_from_us(9900000), monotime_from_us(10900000)); /* no echo since */
	assert_false(session_is_alive(&s, monotime_from_us(10000000), timeout));
	p = said(7, 9100000, 0);
	session_hear(&s, &p, monotime_from_us(9200000));
	s.last_heard = monotime_from_us(9200000);
	assert_int_equal(session_dies_at(&s, timeout).us, 10200000);
	session_spare(&s, monotime_from_us(20000000), monotime_from_us(21000000));
	assert_true(session_is_alive(&s, monotime_from_us(20900000), timeout));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_the_right_echo_answers),
	    cmocka_unit_test(absurd_stamps_measure_nothing),
	    cmocka_unit_test(a_peer_whose_clock_runs_faster_is_dated_all_the_same),
	    cmocka_unit_test(a_recording_that_goes_on_dies_when_its_echoes_are_old),
	    cmocka_unit_test(what_was_overtaken_is_dated_long_ago),
	    cmocka_unit_test(who_was_not_listened_to_is_spared_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
