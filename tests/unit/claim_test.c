/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct claim claim_of(uint16_t node, uint8_t session, uint64_t version)
{
	return (struct claim){
	    .node_id = node, .session = {{session}}, .version = version, .state = CLAIM_OPEN};
}

static void a_claim_is_found_by_node_and_session(void **state)
{
	struct claims claims = {0};
	struct claim c = claim_of(2, 7, 100);
	struct seal_session_id other = {{8}};

	(void)state;
	claims_add(&claims, &c);
	assert_int_equal(claims_find(&claims, 2, &c.session)->version, 100);
	assert_null(claims_find(&claims, 3, &c.session));
	assert_null(claims_find(&claims, 2, &other));
}

static void a_second_claim_of_a_session_replaces_the_first(void **state)
{
	struct claims claims = {0};
	struct claim a = claim_of(2, 7, 100), b = claim_of(2, 7, 200);

	(void)state;
	claims_add(&claims, &a);
	claims_add(&claims, &b);
	assert_int_equal(claims.count, 1);
	assert_int_equal(claims_find(&claims, 2, &a.session)->version, 200);
}

static void the_oldest_goes_when_there_are_too_many(void **state)
{
	struct claims claims = {0};

	(void)state;
	for (unsigned i = 0; i <= FRAME_PEERS_MAX; i++) {
		struct claim c = claim_of(2, (uint8_t)i, i);

		claims_add(&claims, &c);
	}
	assert_int_equal(claims.count, FRAME_PEERS_MAX);
	assert_int_equal(claims.items[0].version, 1);
	assert_int_equal(claims.items[FRAME_PEERS_MAX - 1].version, FRAME_PEERS_MAX);
}

static void a_node_with_many_sessions_displaces_its_own(void **state)
{
	struct claims claims = {0};
	struct claim other = claim_of(3, 1, 50), orphan = claim_of(4, 1, 7), next = claim_of(4, 2, 8);

	(void)state;
	claims_add(&claims, &other);
	claims_add(&claims, &orphan);
	claims_add(&claims, &next);
	for (unsigned i = 0; i < 3 * FRAME_PEERS_MAX; i++) {
		struct claim c = claim_of(2, (uint8_t)i, i);

		claims_add(&claims, &c);
	}
	assert_int_equal(claims.count, FRAME_PEERS_MAX);
	assert_int_equal(claims_find(&claims, 3, &other.session)->version, 50);
	assert_null(claims_find(&claims, 4, &orphan.session));
	assert_int_equal(claims_find(&claims, 4, &next.session)->version, 8);
	assert_int_equal(claims.items[FRAME_PEERS_MAX - 1].version, 3 * FRAME_PEERS_MAX - 1);
}

static void each_node_keeps_its_last(void **state)
{
	struct claims claims = {0};

	(void)state;
	for (unsigned i = 0; i < 3 * FRAME_PEERS_MAX; i++) {
		struct claim c = claim_of((uint16_t)(1 + i / 3), (uint8_t)i, i);

		claims_add(&claims, &c);
	}
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		assert_int_equal(claims.items[i].version, 3 * i + 2);
}

static void what_is_announced_is_read_at_the_other_end(void **state)
{
	struct claims claims = {0};
	struct claim c = claim_of(2, 7, 100);
	struct frame_status status = {0};
	struct seal_session_id other = {{8}};
	uint64_t version = 0;

	(void)state;
	claims_add(&claims, &c);
	claims_announce(&claims, &status);
	assert_true(claims_are_announced(&status, 2, &c.session, &version));
	assert_int_equal(version, 100);
	assert_false(claims_are_announced(&status, 1, &c.session, &version));
	assert_false(claims_are_announced(&status, 2, &other, &version));
}

static void a_void_claim_stays_at_nothing_until_it_is_made_anew(void **state)
{
	struct claims claims = {0};
	struct claim claim = {.node_id = 2, .session = {{1}}, .version = 100, .state = CLAIM_OPEN};

	(void)state;
	claims_add(&claims, &claim);
	claim_extend(&claims.items[0], 120);
	claim_extend(&claims.items[0], 110);
	assert_int_equal(claims.items[0].version, 120);
	assert_true(claims_void(&claims));
	assert_false(claims_void(&claims));
	claim_extend(&claims.items[0], 200);
	assert_int_equal(claims.items[0].version, 0);
	claims_add(&claims, &claim);
	assert_int_equal(claims.items[0].version, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_claim_is_found_by_node_and_session),
	    cmocka_unit_test(a_second_claim_of_a_session_replaces_the_first),
	    cmocka_unit_test(the_oldest_goes_when_there_are_too_many),
	    cmocka_unit_test(a_node_with_many_sessions_displaces_its_own),
	    cmocka_unit_test(each_node_keeps_its_last),
	    cmocka_unit_test(what_is_announced_is_read_at_the_other_end),
	    cmocka_unit_test(a_void_claim_stays_at_nothing_until_it_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
