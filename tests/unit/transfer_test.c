/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, C };

static struct cluster *start(unsigned nodes)
{
	struct cluster *c = calloc(1, sizeof(*c));

	cluster_init(c, nodes, 11);
	for (unsigned i = 0; i < nodes; i++)
		cluster_reboot(c, i);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	return c;
}

static void finish(struct cluster *c)
{
	cluster_finish(c);
	free(c);
}

static void create(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow f = cluster_flow(i);

		cluster_flow_new(c, node, &f);
	}
}

static void destroy(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow f = cluster_flow(i);

		cluster_flow_destroy(c, node, &f);
	}
}

static struct node_view view_of(struct cluster *c, unsigned node)
{
	struct node_view view;

	node_view(c->nodes[node].node, c->now, &view);
	return view;
}

static size_t kernel_count(struct cluster *c, unsigned node)
{
	return table_count(c->nodes[node].kernel);
}

static size_t orphans_of(struct cluster *c, unsigned holder, unsigned owner)
{
	struct node_table_view tables[NODE_TABLES_MAX];
	size_t flows = 0;

	for (unsigned i = 0, n = node_tables(c->nodes[holder].node, tables); i < n; i++)
		if (tables[i].orphan && tables[i].id == c->nodes[owner].config.id)
			flows += table_count(tables[i].table);
	return flows;
}

static size_t held(struct cluster *c, unsigned holder, unsigned owner)
{
	const struct table *table = node_external(c->nodes[holder].node, c->nodes[owner].config.id);

	return table ? table_count(table) : 0;
}

static bool the_pair_has_settled(struct cluster *c)
{
	struct node_view a = view_of(c, A), b = view_of(c, B);

	return cluster_is_in_sync(c) && !strcmp(a.handover, "none") && !strcmp(b.handover, "none") &&
	       !a.suspect && !b.suspect;
}

/* The kernel of the primary = its internal table = the external table of the backup; nothing left in the
 * backup's kernel. */
static void assert_clean_end(struct cluster *c, unsigned primary, unsigned backup, size_t flows)
{
	assert_true(cluster_run_until(c, the_pair_has_settled, 20000000));
	assert_int_equal(kernel_count(c, primary), flows);
	assert_int_equal(table_count(node_internal(c->nodes[primary].node)), flows);
	assert_true(cluster_copy_equals(c, backup, primary));
	assert_int_equal(kernel_count(c, backup), 0);
	assert_int_equal(held(c, primary, backup), 0);
}

static void a_planned_switch_over_in_either_order_hands_everything_over(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 4; order++) {
		struct cluster *c = start(2);

		cluster_role(c, A, FRAME_ROLE_PRIMARY);
		cluster_role(c, B, FRAME_ROLE_BACKUP);
		create(c, A, 0, 500);
		cluster_run_us(c, 1000000);
		create(c, A, 1000, 50); /* in flight */
		destroy(c, A, 0, 20);
		cluster_role(c, order & 1 ? A : B, order & 1 ? FRAME_ROLE_BACKUP : FRAME_ROLE_PRIMARY);
		if (order & 2)
			cluster_run_us(c, 3000000);
		cluster_role(c, order & 1 ? B : A, order & 1 ? FRAME_ROLE_PRIMARY : FRAME_ROLE_BACKUP);
		assert_clean_end(c, B, A, 530);
		finish(c);
	}
}

static void what_happens_at_the_old_primary_between_both_calls_reaches_the_new_one(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 300000);
	assert_true(view_of(c, A).split_brain && view_of(c, B).split_brain);
	create(c, A, 200, 10);
	destroy(c, A, 0, 5); /* A is primary, too: B deletes nothing before A has given way */
	cluster_run_us(c, 300000);
	assert_int_equal(kernel_count(c, B), 110);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 105);
	finish(c);
}

static void a_frozen_stream_ends_where_the_role_was_given_away(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_string_equal(view_of(c, A).handover, "frozen");
	destroy(c, A, 0, 100); /* they time out in a kernel that sees no packets any more */
	cluster_run_us(c, 1000000);
	assert_int_equal(held(c, B, A), 100);
	assert_true(cluster_peer_view(c, B, A).holds.in_sync);
	/* nobody took it: the old one takes it again, and knows what its kernel has */
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, the_pair_has_settled, 10000000));
	assert_int_equal(held(c, B, A), 0);
	finish(c);
}

static void leftovers_stay_until_the_new_primary_has_all(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	c->nodes[A].muted = true; /* B hears nothing of the last flows */
	create(c, A, 100, 50);
	cluster_run_us(c, 100000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3000000);
	assert_int_equal(kernel_count(c, A), 150);
	c->nodes[A].muted = false;
	assert_clean_end(c, B, A, 150);
	finish(c);
}

static void a_dead_peers_flows_are_committed_once(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	cluster_run_us(c, 2000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(kernel_count(c, B), 200);
	cluster_run_us(c, 3000000);
	assert_int_equal(held(c, B, A), 0); /* the claimant */
	assert_int_equal(held(c, C, A), 0); /* and who is in sync with it */
	assert_int_equal(held(c, C, B), 200);
	destroy(c, B, 0, 150);
	cluster_run_us(c, 1000000);
	cluster_stop(c, B);
	cluster_run_us(c, 2000000);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	assert_int_equal(kernel_count(c, C), 50); /* nothing that had ended */
	finish(c);
}

static void what_a_claimed_owner_got_since_is_not_dropped(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY); /* claims what A has: nothing */
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	cluster_run_us(c, 4000000);
	assert_int_equal(held(c, B, A), 100);
	finish(c);
}

static void nor_when_it_falls_silent_in_the_middle_of_a_catch_up(void **state)
{
	struct cluster *c = start(2);
	struct node_event resync = {.type = NODE_RESYNC};

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_step(c, B, &resync);
	cluster_stop(c, A);
	cluster_run_us(c, 4000000);
	assert_int_equal(held(c, B, A), 100);
	finish(c);
}

static void the_flows_of_a_node_that_rebooted_stay_committable(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(held(c, B, A), 0);
	assert_int_equal(orphans_of(c, B, A), 200);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(kernel_count(c, B), 200);
	cluster_run_us(c, 1000000);
	assert_int_equal(orphans_of(c, B, A), 0);
	finish(c);
}

static void a_restart_makes_no_orphan(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	create(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_restart(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(held(c, B, A), 200);
	assert_int_equal(orphans_of(c, B, A), 0);
	finish(c);
}

static void an_orphan_goes_when_a_later_primary_is_proven(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(orphans_of(c, C, A), 200);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	assert_int_equal(orphans_of(c, C, A), 0);
	assert_int_equal(held(c, C, B), 200);
	finish(c);
}

static void a_node_that_preempts_while_it_catches_up_ends_with_everything(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 60000);
	cluster_run_us(c, 1000000);
	c->nodes[B].config.receive_window = 256 << 10;
	cluster_reboot(c, B);
	c->delay_us = 5000;
	while (!held(c, B, A)) /* it has begun */
		cluster_run_us(c, 100);
	assert_in_range(held(c, B, A), 1, 59999);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 60000);
	finish(c);
}

/* The withdrawal of a large table passes the horizon: the full catch-up that follows names nothing, and ends
 * nothing. */
static void a_withdrawal_beyond_the_tombstones_touches_no_kernel(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	c->nodes[A].config.max_tombstones = 50;
	cluster_restart(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 60000);
	cluster_run_us(c, 1000000);
	c->nodes[B].config.receive_window = 256 << 10;
	cluster_reboot(c, B);
	c->delay_us = 5000;
	while (!held(c, B, A))
		cluster_run_us(c, 100);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 60000);
	finish(c);
}

/* Both took over in the dark, neither knowing of the other: what the one that yields did meanwhile is not
 * lost. */
static void what_a_rival_did_in_the_dark_is_brought_over_when_it_yields(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	c->dark = true;
	cluster_run_us(c, 3000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 70);
	create(c, B, 1000, 30);
	cluster_run_us(c, 1000000);
	c->dark = false;
	cluster_run_us(c, 1000000);
	assert_true(view_of(c, A).split_brain && view_of(c, B).split_brain);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 100);
	finish(c);
}

static void the_rival_with_the_lower_term_takes_over_again_when_the_other_yields(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	c->dark = true;
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	create(c, B, 1000, 30);
	c->dark = false;
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_true(view_of(c, A).must_retake);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_clean_end(c, A, B, 80);
	assert_true(view_of(c, A).term > view_of(c, B).term);
	assert_false(view_of(c, A).must_retake);
	finish(c);
}

static void a_restarted_heir_brings_over_what_is_frozen(void **state)
{
	struct cluster *c = start(2);
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	c->nodes[A].muted = true;
	create(c, A, 100, 20);
	cluster_run_us(c, 100000);
	c->nodes[B].config.own_term = view_of(c, B).term;
	cluster_restart(c, B);
	cluster_step(c, B, &primary); /* it resumes */
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	c->nodes[A].muted = false;
	assert_clean_end(c, B, A, 70);
	finish(c);
}

static void there_and_back_again_commits_nothing_that_had_ended(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	for (unsigned turn = 0; turn < 4; turn++) {
		unsigned taker = turn % 2 ? A : B, giver = turn % 2 ? B : A;

		cluster_run_us(c, 1000000);
		cluster_role(c, giver, FRAME_ROLE_BACKUP);
		cluster_role(c, taker, FRAME_ROLE_PRIMARY);
		assert_clean_end(c, taker, giver, 100);
		destroy(c, taker, turn * 1000, 100);
		create(c, taker, (turn + 1) * 1000, 100);
	}
	finish(c);
}

static void a_restarted_node_with_leftovers_withdraws_them(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	c->nodes[A].config.leftovers = view_of(c, A).leftovers;
	c->nodes[A].config.own_term = view_of(c, A).term;
	cluster_stop(c, A);
	cluster_run_us(c, 2000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_restart(c, A);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 100);
	finish(c);
}

static void a_restarted_primary_goes_on_in_its_term(void **state)
{
	struct cluster *c = start(2);
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_int_equal(view_of(c, A).term, 1);
	c->nodes[A].config.own_term = 1;
	c->nodes[A].config.first_term = 5;
	cluster_restart(c, A);
	cluster_step(c, A, &primary);
	assert_int_equal(view_of(c, A).term, 1);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_int_equal(view_of(c, A).term, 6);
	finish(c);
}

static void a_silent_owner_that_returns_takes_back_no_ended_flow(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	c->dark = true;
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	assert_int_equal(held(c, B, A), 0);
	destroy(c, B, 0, 60); /* they ended here */
	create(c, A, 500, 7); /* these are new there */
	c->dark = false;
	cluster_run_us(c, 100000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 47);
	finish(c);
}

static void two_backups_delete_nothing(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 10000000);
	assert_int_equal(kernel_count(c, A), 100);
	assert_int_equal(held(c, B, A), 100);
	finish(c);
}

static void a_third_node_follows_the_new_primary_by_itself(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 0, 300);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, the_pair_has_settled, 20000000));
	assert_int_equal(held(c, C, B), 300);
	assert_int_equal(held(c, C, A), 0);
	assert_int_equal(kernel_count(c, A), 0);
	assert_int_equal(kernel_count(c, C), 0);
	finish(c);
}

static uint32_t remaining_none(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	(void)context;
	return elapsed_s > 5 && flow->orig.sport < 50 ? 0 : 1;
}

static void what_a_silent_owner_left_runs_out(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	c->nodes[B].remaining_s = remaining_none;
	cluster_restart(c, B);
	create(c, A, 0, 100);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	c->dark = true;
	cluster_run_us(c, 9000000);
	assert_int_equal(held(c, B, A), 50);
	c->dark = false; /* it comes back, and has them still: no divergence, but all of them again */
	assert_true(cluster_run_until(c, cluster_is_in_sync, 20000000));
	assert_int_equal(held(c, B, A), 100);
	assert_int_equal(cluster_peer_view(c, B, A).divergences, 0);
	finish(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_planned_switch_over_in_either_order_hands_everything_over),
	    cmocka_unit_test(what_happens_at_the_old_primary_between_both_calls_reaches_the_new_one),
	    cmocka_unit_test(a_frozen_stream_ends_where_the_role_was_given_away),
	    cmocka_unit_test(leftovers_stay_until_the_new_primary_has_all),
	    cmocka_unit_test(a_dead_peers_flows_are_committed_once),
	    cmocka_unit_test(what_a_claimed_owner_got_since_is_not_dropped),
	    cmocka_unit_test(nor_when_it_falls_silent_in_the_middle_of_a_catch_up),
	    cmocka_unit_test(the_flows_of_a_node_that_rebooted_stay_committable),
	    cmocka_unit_test(a_restart_makes_no_orphan),
	    cmocka_unit_test(an_orphan_goes_when_a_later_primary_is_proven),
	    cmocka_unit_test(a_node_that_preempts_while_it_catches_up_ends_with_everything),
	    cmocka_unit_test(a_withdrawal_beyond_the_tombstones_touches_no_kernel),
	    cmocka_unit_test(what_a_rival_did_in_the_dark_is_brought_over_when_it_yields),
	    cmocka_unit_test(the_rival_with_the_lower_term_takes_over_again_when_the_other_yields),
	    cmocka_unit_test(a_restarted_heir_brings_over_what_is_frozen),
	    cmocka_unit_test(there_and_back_again_commits_nothing_that_had_ended),
	    cmocka_unit_test(a_restarted_node_with_leftovers_withdraws_them),
	    cmocka_unit_test(a_restarted_primary_goes_on_in_its_term),
	    cmocka_unit_test(a_silent_owner_that_returns_takes_back_no_ended_flow),
	    cmocka_unit_test(two_backups_delete_nothing),
	    cmocka_unit_test(a_third_node_follows_the_new_primary_by_itself),
	    cmocka_unit_test(what_a_silent_owner_left_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
