/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, C };

static struct cluster *start(unsigned nodes)
{
	struct cluster *c = cluster_new(nodes, 11);

	assert_true(cluster_boot(c));
	return c;
}

static bool the_pair_has_settled(struct cluster *c)
{
	struct node_view a = cluster_view(c, A), b = cluster_view(c, B);

	return cluster_is_in_sync(c) && !strcmp(a.handover, "none") && !strcmp(b.handover, "none") &&
	       !a.suspect && !b.suspect;
}

/* The kernel of the primary = its internal table = the external table of the backup; nothing left in the
 * backup's kernel. */
static void assert_clean_end(struct cluster *c, unsigned primary, unsigned backup, size_t flows)
{
	assert_true(cluster_run_until(c, the_pair_has_settled, 20000000));
	assert_int_equal(cluster_kernel_count(c, primary), flows);
	assert_int_equal(table_count(node_internal(c->nodes[primary].node)), flows);
	assert_true(cluster_copy_equals(c, backup, primary));
	assert_int_equal(cluster_kernel_count(c, backup), 0);
	assert_int_equal(cluster_held(c, primary, backup), 0);
}

static void a_planned_switch_over_in_either_order_hands_everything_over(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 4; order++) {
		struct cluster *c = start(2);

		cluster_role(c, A, FRAME_ROLE_PRIMARY);
		cluster_role(c, B, FRAME_ROLE_BACKUP);
		cluster_flows_new(c, A, 0, 500);
		cluster_run_us(c, 1000000);
		cluster_flows_new(c, A, 1000, 50); /* in flight */
		cluster_flows_destroy(c, A, 0, 20);
		cluster_role(c, order & 1 ? A : B, order & 1 ? FRAME_ROLE_BACKUP : FRAME_ROLE_PRIMARY);
		if (order & 2)
			cluster_run_us(c, 3000000);
		cluster_role(c, order & 1 ? B : A, order & 1 ? FRAME_ROLE_PRIMARY : FRAME_ROLE_BACKUP);
		assert_clean_end(c, B, A, 530);
		cluster_free(c);
	}
}

static void what_happens_at_the_old_primary_between_both_calls_reaches_the_new_one(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 300000);
	assert_true(cluster_view(c, A).split_brain && cluster_view(c, B).split_brain);
	cluster_flows_new(c, A, 200, 10);
	cluster_flows_destroy(c, A, 0, 5); /* A is primary, too: B deletes nothing before A has given way */
	cluster_run_us(c, 300000);
	assert_int_equal(cluster_kernel_count(c, B), 110);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 105);
	cluster_free(c);
}

static void a_frozen_stream_ends_where_the_role_was_given_away(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_string_equal(cluster_view(c, A).handover, "frozen");
	cluster_flows_destroy(c, A, 0, 100); /* they time out in a kernel that sees no packets any more */
	cluster_run_us(c, 1000000);
	assert_int_equal(cluster_held(c, B, A), 100);
	assert_true(cluster_peer_view(c, B, A).holds.in_sync);
	/* nobody took it: the old one takes it again, and knows what its kernel has */
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, the_pair_has_settled, 10000000));
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_free(c);
}

static void leftovers_stay_until_the_new_primary_has_all(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	c->nodes[A].muted = true; /* B hears nothing of the last flows */
	cluster_flows_new(c, A, 100, 50);
	cluster_run_us(c, 100000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_kernel_count(c, A), 150);
	c->nodes[A].muted = false;
	assert_clean_end(c, B, A, 150);
	cluster_free(c);
}

static void a_dead_peers_flows_are_committed_once(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	cluster_run_us(c, 2000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_kernel_count(c, B), 200);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_held(c, B, A), 0); /* the claimant */
	assert_int_equal(cluster_held(c, C, A), 0); /* and who is in sync with it */
	assert_int_equal(cluster_held(c, C, B), 200);
	cluster_flows_destroy(c, B, 0, 150);
	cluster_run_us(c, 1000000);
	cluster_stop(c, B);
	cluster_run_us(c, 2000000);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_kernel_count(c, C), 50); /* nothing that had ended */
	cluster_free(c);
}

static void what_a_claimed_owner_got_since_is_not_dropped(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY); /* claims what A has: nothing */
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	cluster_run_us(c, 4000000);
	assert_int_equal(cluster_held(c, B, A), 100);
	cluster_free(c);
}

static void nor_when_it_falls_silent_in_the_middle_of_a_catch_up(void **state)
{
	struct cluster *c = start(2);
	struct node_event resync = {.type = NODE_RESYNC};

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_step(c, B, &resync);
	cluster_stop(c, A);
	cluster_run_us(c, 4000000);
	assert_int_equal(cluster_held(c, B, A), 100);
	cluster_free(c);
}

static void the_flows_of_a_node_that_rebooted_stay_committable(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_held(c, B, A), 0);
	assert_int_equal(cluster_orphans(c, B, A), 200);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_kernel_count(c, B), 200);
	cluster_run_us(c, 1000000);
	assert_int_equal(cluster_orphans(c, B, A), 0);
	cluster_free(c);
}

static void a_restart_makes_no_orphan(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_restart(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_held(c, B, A), 200);
	assert_int_equal(cluster_orphans(c, B, A), 0);
	cluster_free(c);
}

static void an_orphan_goes_when_a_later_primary_is_proven(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, 1000000);
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_orphans(c, C, A), 200);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_orphans(c, C, A), 0);
	assert_int_equal(cluster_held(c, C, B), 200);
	cluster_free(c);
}

static void a_node_that_preempts_while_it_catches_up_ends_with_everything(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 60000);
	cluster_run_us(c, 1000000);
	c->nodes[B].config.receive_window = 256 << 10;
	cluster_reboot(c, B);
	c->delay_us = 5000;
	while (!cluster_held(c, B, A)) /* it has begun */
		cluster_run_us(c, 100);
	assert_in_range(cluster_held(c, B, A), 1, 59999);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 60000);
	cluster_free(c);
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
	cluster_flows_new(c, A, 0, 60000);
	cluster_run_us(c, 1000000);
	c->nodes[B].config.receive_window = 256 << 10;
	cluster_reboot(c, B);
	c->delay_us = 5000;
	while (!cluster_held(c, B, A))
		cluster_run_us(c, 100);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 60000);
	cluster_free(c);
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
	cluster_flows_new(c, A, 0, 70);
	cluster_flows_new(c, B, 1000, 30);
	cluster_run_us(c, 1000000);
	c->dark = false;
	cluster_run_us(c, 1000000);
	assert_true(cluster_view(c, A).split_brain && cluster_view(c, B).split_brain);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 100);
	cluster_free(c);
}

static void the_rival_with_the_lower_term_takes_over_again_when_the_other_yields(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	c->dark = true;
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, B, 1000, 30);
	c->dark = false;
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_true(cluster_view(c, A).must_retake);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_clean_end(c, A, B, 80);
	assert_true(cluster_view(c, A).term > cluster_view(c, B).term);
	assert_false(cluster_view(c, A).must_retake);
	cluster_free(c);
}

/* The owner gives way, rules again and gives way again, all before the takeover is done. */
static void a_stream_that_goes_on_during_a_takeover_is_followed_to_its_end(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	cluster_takeover_begin(c, B);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 1000, 30);
	cluster_flows_destroy(c, A, 0, 10);
	cluster_run_us(c, 100000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 100000);
	cluster_takeover_end(c, B);
	assert_clean_end(c, B, A, 70);
	cluster_free(c);
}

/* Its second time as primary has a term as low as its heir's: it does not know of that one yet. */
static void an_owner_that_rules_again_unaware_of_its_heir_hands_that_over_too(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	c->nodes[B].muted = true;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 300000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_view(c, A).term, cluster_view(c, B).term);
	cluster_flows_new(c, A, 1000, 30);
	cluster_run_us(c, 10000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 100000);
	c->nodes[B].muted = false;
	assert_clean_end(c, B, A, 80);
	cluster_free(c);
}

static void a_restarted_heir_brings_over_what_is_frozen(void **state)
{
	struct cluster *c = start(2);
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	c->nodes[A].muted = true;
	cluster_flows_new(c, A, 100, 20);
	cluster_run_us(c, 100000);
	c->nodes[B].config.own_term = cluster_view(c, B).term;
	cluster_restart(c, B);
	cluster_step(c, B, &primary); /* it resumes */
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	c->nodes[A].muted = false;
	assert_clean_end(c, B, A, 70);
	cluster_free(c);
}

static void there_and_back_again_commits_nothing_that_had_ended(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	for (unsigned turn = 0; turn < 4; turn++) {
		unsigned taker = turn % 2 ? A : B, giver = turn % 2 ? B : A;

		cluster_run_us(c, 1000000);
		cluster_role(c, giver, FRAME_ROLE_BACKUP);
		cluster_role(c, taker, FRAME_ROLE_PRIMARY);
		assert_clean_end(c, taker, giver, 100);
		cluster_flows_destroy(c, taker, turn * 1000, 100);
		cluster_flows_new(c, taker, (turn + 1) * 1000, 100);
	}
	cluster_free(c);
}

static void a_restarted_node_with_leftovers_withdraws_them(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	c->nodes[A].config.leftovers = cluster_view(c, A).leftovers;
	c->nodes[A].config.own_term = cluster_view(c, A).term;
	cluster_stop(c, A);
	cluster_run_us(c, 2000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_restart(c, A);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 100);
	cluster_free(c);
}

static void a_restarted_primary_goes_on_in_its_term(void **state)
{
	struct cluster *c = start(2);
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_view(c, A).term, 1);
	c->nodes[A].config.own_term = 1;
	c->nodes[A].config.first_term = 5;
	cluster_restart(c, A);
	cluster_step(c, A, &primary);
	assert_int_equal(cluster_view(c, A).term, 1);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_view(c, A).term, 6);
	cluster_free(c);
}

static void a_silent_owner_that_returns_takes_back_no_ended_flow(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	c->dark = true;
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	for (uint32_t i = 0; i < 60; i++) { /* they ended here */
		struct flow f = cluster_flow(i);

		f.tcp.state = FLOW_TCP_TIME_WAIT;
		cluster_flow_destroy(c, B, &f);
	}
	cluster_flows_new(c, A, 500, 7); /* these are new there */
	c->dark = false;
	cluster_run_us(c, 100000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_clean_end(c, B, A, 47);
	cluster_free(c);
}

static void two_backups_delete_nothing(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 100);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 10000000);
	assert_int_equal(cluster_kernel_count(c, A), 100);
	assert_int_equal(cluster_held(c, B, A), 100);
	cluster_free(c);
}

static void a_third_node_follows_the_new_primary_by_itself(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 300);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, the_pair_has_settled, 20000000));
	assert_int_equal(cluster_held(c, C, B), 300);
	assert_int_equal(cluster_held(c, C, A), 0);
	assert_int_equal(cluster_kernel_count(c, A), 0);
	assert_int_equal(cluster_kernel_count(c, C), 0);
	cluster_free(c);
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
	cluster_flows_new(c, A, 0, 100);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	c->dark = true;
	cluster_run_us(c, 9000000);
	assert_int_equal(cluster_held(c, B, A), 50);
	c->dark = false; /* it comes back, and has them still: no divergence, but all of them again */
	assert_true(cluster_run_until(c, cluster_is_in_sync, 20000000));
	assert_int_equal(cluster_held(c, B, A), 100);
	assert_int_equal(cluster_peer_view(c, B, A).divergences, 0);
	cluster_free(c);
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
	    cmocka_unit_test(a_stream_that_goes_on_during_a_takeover_is_followed_to_its_end),
	    cmocka_unit_test(an_owner_that_rules_again_unaware_of_its_heir_hands_that_over_too),
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
