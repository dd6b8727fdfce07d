/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node reboots more often than tables are kept of it: which of them makes room. */
#include "proto/peer.h"
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { A, B };

static void add(struct peer *peer, uint32_t term, uint8_t session)
{
	struct peer_orphan orphan = {.table = table_create(10, 0, 1), .term = term, .session = {{session}}};

	peer_add_orphan(peer, &orphan);
}

static void assert_kept(const struct peer *peer, uint8_t newer, uint8_t older)
{
	assert_int_equal(peer->orphans[0].session.bytes[0], newer);
	assert_int_equal(peer->orphans[1].session.bytes[0], older);
}

static int setup(void **state)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	peer->id = 2;
	*state = peer;
	return 0;
}

static int teardown(void **state)
{
	peer_destroy(*state);
	free(*state);
	return 0;
}

static void of_equals_the_oldest_makes_room(void **state)
{
	struct peer *peer = *state;

	add(peer, 0, 1);
	add(peer, 0, 2);
	add(peer, 0, 3);
	assert_kept(peer, 3, 2);
	add(peer, 5, 4);
	add(peer, 6, 5);
	add(peer, 5, 6); /* in a lower term: its node had forgotten the others */
	assert_kept(peer, 6, 5);
}

static void a_kernel_that_never_ruled_makes_room_first(void **state)
{
	struct peer *peer = *state;

	add(peer, 5, 1);
	add(peer, 0, 2);
	add(peer, 0, 3);
	assert_kept(peer, 3, 1);
	add(peer, 6, 4);
	assert_kept(peer, 4, 1);
	add(peer, 0, 5);
	assert_kept(peer, 4, 1);
	add(peer, 7, 6);
	assert_kept(peer, 6, 4);
}

static void reboot_with_flows(struct cluster *c, uint32_t first, uint32_t count)
{
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_flows_new(c, A, first, count);
	cluster_run_us(c, 1000000);
}

/* It carried the traffic; then it starts again and again, and dies before anybody gives it a role. */
static void the_flows_of_a_primary_outlast_boots_without_a_role(void **state)
{
	struct cluster *c = cluster_new(2, 5);
	struct flow flow = cluster_flow(0);

	(void)state;
	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	reboot_with_flows(c, 1000, 10);
	reboot_with_flows(c, 2000, 10);
	reboot_with_flows(c, 3000, 10);
	assert_int_equal(cluster_orphans(c, B, A), 210);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_kernel_count(c, B), 220);
	assert_non_null(cluster_kernel_find(&c->nodes[B], &flow));
	cluster_free(c);
}

/* B, primary, has all that A had: what ends there is not committed again. */
static void expect_that_what_ends_has_ended(struct cluster *c)
{
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_kernel_count(c, B), 200);
	assert_int_equal(cluster_orphans(c, B, A), 0);
	cluster_flows_destroy(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_kernel_count(c, B), 190);
	cluster_free(c);
}

static void what_a_primary_leaves_that_reboots_during_the_takeover_is_taken(void **state)
{
	struct cluster *c = cluster_new(2, 5);

	(void)state;
	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_takeover_begin(c, B);
	cluster_reboot(c, A);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_orphans(c, B, A), 200);
	cluster_takeover_end(c, B);
	expect_that_what_ends_has_ended(c);
}

/* So quickly that its copy was not dropped before. */
static void what_a_primary_leaves_that_reboots_after_the_takeover_was_taken(void **state)
{
	struct cluster *c = cluster_new(2, 5);

	(void)state;
	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 500000);
	cluster_reboot(c, A);
	expect_that_what_ends_has_ended(c);
}

static uint32_t runs_out(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	(void)context;
	(void)flow;
	return elapsed_s < 20 ? 20 - elapsed_s : 0;
}

static unsigned places_taken(struct cluster *c)
{
	struct node_table_view tables[NODE_TABLES_MAX];
	unsigned count = node_tables(c->nodes[B].node, tables), taken = 0;

	for (unsigned i = 0; i < count; i++)
		taken += tables[i].orphan;
	return taken;
}

static void of_which_all_has_run_out_takes_no_place(void **state)
{
	struct cluster *c = cluster_new(2, 5);

	(void)state;
	c->nodes[B].remaining_s = runs_out;
	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	reboot_with_flows(c, 1000, 10);
	cluster_run_us(c, 10000000);
	assert_int_equal(places_taken(c), 1);
	cluster_run_us(c, 20000000);
	assert_int_equal(places_taken(c), 0);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(of_equals_the_oldest_makes_room, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_kernel_that_never_ruled_makes_room_first, setup, teardown),
	    cmocka_unit_test(the_flows_of_a_primary_outlast_boots_without_a_role),
	    cmocka_unit_test(what_a_primary_leaves_that_reboots_during_the_takeover_is_taken),
	    cmocka_unit_test(what_a_primary_leaves_that_reboots_after_the_takeover_was_taken),
	    cmocka_unit_test(of_which_all_has_run_out_takes_no_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
