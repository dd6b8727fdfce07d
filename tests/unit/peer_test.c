/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct seal *opener(uint8_t which)
{
	static const uint8_t key[SEAL_KEY_SIZE] = {1};
	struct seal_session_id id = {{which}};

	return seal_create(key, SEAL_AES_256_GCM, 1, 2, &id);
}

static int setup(void **state)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	peer->id = 2;
	receive_init(&peer->receive, table_create(10, 0, 1));
	*state = peer;
	return 0;
}

static int teardown(void **state)
{
	peer_destroy(*state);
	free(*state);
	return 0;
}

static struct session *candidate(struct peer *peer, uint8_t which, uint32_t random)
{
	struct session *s = peer_new_candidate(peer, random);

	s->opener = opener(which);
	s->id.bytes[0] = which;
	return s;
}

static void candidates_are_few_and_evicted_at_random(void **state)
{
	struct peer *peer = *state;
	struct seal_session_id id = {{3}};

	for (uint8_t i = 1; i <= PEER_CANDIDATES; i++)
		candidate(peer, i, 0);
	assert_non_null(peer_find_session(peer, &id));
	candidate(peer, 100, 2); /* takes the third's place */
	assert_null(peer_find_session(peer, &id));
	for (uint8_t i = 0; i < 200; i++)
		candidate(peer, i, i);
	for (unsigned i = 0; i < PEER_CANDIDATES; i++)
		assert_true(session_exists(&peer->candidates[i]));
}

static void each_candidate_has_its_turn(void **state)
{
	struct peer *peer = *state;
	unsigned seen = 0;

	assert_null(peer_candidate_in_turn(peer));
	for (uint8_t i = 1; i <= 3; i++)
		candidate(peer, i, 0);
	for (unsigned i = 0; i < 6; i++)
		seen |= 1u << peer_candidate_in_turn(peer)->id.bytes[0];
	assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3);
}

static void a_promoted_session_starts_anew(void **state)
{
	struct peer *peer = *state;
	struct session *s = candidate(peer, 9, 0);

	peer->has_status = peer->has_about_us = peer->leaving = true;
	peer->catchup.active = true;
	peer->catchup.last_full_id = 5;
	peer->links[0].endpoint.length = 1;
	peer->receive.applied = 100;
	peer_promote(peer, s, monotime_from_s(5));
	assert_int_equal(peer->current.id.bytes[0], 9);
	assert_false(session_exists(s));
	assert_false(peer->has_status || peer->has_about_us || peer->leaving || peer->catchup.active);
	assert_int_equal(peer->catchup.last_full_id, 0);
	assert_false(peer_has_address(peer));
	assert_int_equal(peer->receive.applied, 0);
	assert_true(peer->receive.full.wanted);
}

static void a_slot_without_any_session_is_nobodys(void **state)
{
	struct peer *peer = *state;
	struct session *s;

	assert_true(peer_is_nobody(peer));
	s = candidate(peer, 9, 0);
	assert_false(peer_is_nobody(peer));
	peer_promote(peer, s, monotime_from_s(5));
	assert_false(peer_is_nobody(peer));
}

static void datagrams_are_expected_by_their_counters(void **state)
{
	struct peer *peer = *state;

	assert_int_equal(peer_expected(peer), 0);
	peer_count_datagram(peer, false, UINT32_MAX); /* it wraps */
	peer_count_datagram(peer, false, 1);
	peer_count_datagram(peer, false, 0);
	peer_count_datagram(peer, true, 7);
	assert_int_equal(peer_expected(peer), 4);
}

int main(void)
{
#define promise(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    promise(candidates_are_few_and_evicted_at_random), promise(each_candidate_has_its_turn),
	    promise(a_promoted_session_starts_anew),           promise(a_slot_without_any_session_is_nobodys),
	    promise(datagrams_are_expected_by_their_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
