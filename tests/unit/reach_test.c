/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A path that carries less than the links at its ends: what is done about it, and said. */
#include "proto/reach.h"

#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, PAYLOAD = 4000 };

static struct monotime at_ms(int64_t ms)
{
	return monotime_from_ms(1000 + ms);
}

static void a_peer_that_gets_on_is_reached(void **state)
{
	struct reach reach = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_false(reach_note(&reach, i, 0, true, at_ms(200 * i)));
	for (unsigned i = 0; i < 100; i++) /* it has all, or nothing is under way */
		assert_false(reach_note(&reach, 99, 0, false, at_ms(20000 + 200 * i)));
	assert_false(reach.is_lost);
}

static void a_burst_of_loss_is_no_narrow_path(void **state)
{
	struct reach reach = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++) /* many tries in a short time */
		assert_false(reach_note(&reach, 5, 0, true, at_ms(i)));
	assert_false(reach_note(&reach, 6, 0, true, at_ms(1000)));
	for (unsigned i = 0; i < 10; i++) /* few tries in a long time */
		assert_false(reach_note(&reach, 6, 0, true, at_ms(2000 * i + 1000)));
}

static void nothing_for_seconds_is_told_once_until_it_gets_on(void **state)
{
	struct reach reach = {0};
	unsigned told = 0;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		told += reach_note(&reach, 5, 7, true, at_ms(200 * i));
	assert_int_equal(told, 1);
	assert_true(reach.is_lost);
	assert_false(reach_note(&reach, 0, 8, true, at_ms(20000))); /* another full catch-up */
	assert_false(reach.is_lost);
}

/* Without a word, as a router does that may not send ICMP. */
static bool vanishes(void *context, struct cluster_packet *packet)
{
	return packet->length <= *(const size_t *)context;
}

static struct cluster *narrow_pair(size_t *carries)
{
	struct cluster *c = cluster_new(2, 7);

	for (unsigned i = A; i <= B; i++)
		c->nodes[i].config.payload_max = PAYLOAD;
	assert_true(cluster_boot(c));
	c->tamper = vanishes;
	c->tamper_context = carries;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 2000);
	return c;
}

static void smaller_datagrams_are_tried_and_said(void **state)
{
	size_t carries = 1400;
	struct cluster *c = narrow_pair(&carries);
	struct node_peer_view view;

	(void)state;
	cluster_run_us(c, 1000000);
	assert_false(cluster_peer_view(c, A, B).held.in_sync);
	assert_false(cluster_peer_view(c, B, A).holds.in_sync);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	view = cluster_peer_view(c, A, B);
	assert_true(cluster_copy_equals(c, B, A));
	assert_non_null(strstr(view.problem, "datagrams of 4000 bytes do not reach it, smaller ones do"));
	c->nodes[A].config.heartbeat = monotime_from_ms(190); /* another setting makes the path no wider */
	cluster_step(c, A, &(struct node_event){.type = NODE_CONFIGURE, .config = &c->nodes[A].config});
	assert_non_null(strstr(cluster_peer_view(c, A, B).problem, "smaller ones do"));
	c->nodes[A].config.payload_max = 1300;
	cluster_step(c, A, &(struct node_event){.type = NODE_CONFIGURE, .config = &c->nodes[A].config});
	assert_string_equal(cluster_peer_view(c, A, B).problem, "");
	cluster_flows_new(c, A, 5000, 2000);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_free(c);
}

static void a_path_below_the_least_is_said_and_nothing_is_claimed(void **state)
{
	size_t carries = 700;
	struct cluster *c = narrow_pair(&carries);

	(void)state;
	cluster_run_us(c, 1000000); /* the last proof of before counts for two heartbeats */
	for (unsigned i = 0; i < 100; i++) {
		cluster_run_us(c, 100000);
		assert_false(cluster_peer_view(c, A, B).held.in_sync);
		assert_false(cluster_peer_view(c, B, A).holds.in_sync);
		assert_true(cluster_peer_view(c, A, B).alive && cluster_peer_view(c, B, A).alive);
	}
	assert_string_equal(cluster_peer_view(c, A, B).held.reason,
			    "node 2 hears us, but what we send of our flows does not arrive");
	assert_non_null(
	    strstr(cluster_peer_view(c, A, B).problem, "datagrams of 1180 bytes do not reach it;"));
	carries = PAYLOAD;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_peer_that_gets_on_is_reached),
	    cmocka_unit_test(a_burst_of_loss_is_no_narrow_path),
	    cmocka_unit_test(nothing_for_seconds_is_told_once_until_it_gets_on),
	    cmocka_unit_test(smaller_datagrams_are_tried_and_said),
	    cmocka_unit_test(a_path_below_the_least_is_said_and_nothing_is_claimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
