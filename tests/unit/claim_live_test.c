/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may live on, or begin anew, with an owner whose flows were claimed is not lost with what was claimed.
 */
#include "tests/unit/claim_ground.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void refuse_a_flow(struct cluster *c, unsigned index)
{
	struct node_event refused = {.type = NODE_FLOW_REFUSED};

	cluster_step(c, index, &refused);
}

static void begin_at_a(struct cluster *c)
{
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_run_us(c, 1000000);
}

static void begin_anew_at_a(struct cluster *c)
{
	claim_close(c, A, 0, 10);
	cluster_flows_new(c, A, 0, 10);
	cluster_run_us(c, 1000000);
}

/* Before A is restarted, or after it. */
static void a_copy_stays_when_the_kernel_has_no_room_for_all(void **state)
{
	(void)state;
	for (unsigned during = 0; during < 2; during++) {
		struct cluster *c = claim_start();

		cluster_takeover_begin(c, B);
		if (!during)
			cluster_takeover_end(c, B);
		c->tamper = claim_drop_what_is_long;
		cluster_restart(c, A);
		cluster_run_us(c, 1500000);
		refuse_a_flow(c, B);
		if (during)
			cluster_takeover_end(c, B);
		cluster_stop(c, A);
		cluster_run_us(c, 5000000);
		assert_int_equal(cluster_held(c, B, A), CLAIM_OLD);
		cluster_free(c);
	}
}

/* B rules for a while, beside A, sees the first ten closed, and gives the role away. */
static void close_and_give_away(struct cluster *c)
{
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 2000000);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
}

static void expect_all_after_taking_back(struct cluster *c)
{
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD);
	cluster_free(c);
}

/* Of two primaries the later one gave way; what it saw closed begins anew at the other. */
static void what_begins_anew_at_a_primary_that_ruled_on_is_committed(void **state)
{
	(void)state;
	for (unsigned dies = 0; dies < 2; dies++) {
		struct cluster *c = claim_start();

		close_and_give_away(c);
		cluster_run_us(c, 1000000);
		begin_anew_at_a(c);
		if (dies)
			cluster_stop(c, A);
		expect_all_after_taking_back(c);
	}
}

/* It goes on in its own term, which is no higher than ours. */
static void what_begins_anew_at_a_restarted_primary_is_committed(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	close_and_give_away(c);
	claim_close(c, A, 0, 10);
	claim_restart(c);
	cluster_flows_new(c, A, 0, 10);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	cluster_stop(c, A);
	expect_all_after_taking_back(c);
}

/* B can't tell any more what it had: then it may be new. */
static void what_begins_after_the_restart_stays_when_removals_are_forgotten(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_stop(c, A);
	claim_take_over_and_drop(c);
	claim_close(c, B, 0, 10);
	claim_forget_removals(c, B);
	claim_restart_without_role(c);
	begin_at_a(c);
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	claim_give_away_and_take_back(c);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* Flows pass, heartbeats do not. */
static bool drop_what_is_short(void *context, struct cluster_packet *packet)
{
	(void)context;
	return packet->from != A || packet->length >= 600;
}

/* B has all of A's once more, and knows of what comes then before it knows that A rules. */
static void what_begins_beyond_another_takeover_is_brought_over(void **state)
{
	struct cluster *c = claim_start_many(3);

	(void)state;
	cluster_stop(c, A);
	claim_take_over_and_drop(c);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	c->nodes[A].config.own_term = 1;
	claim_restart_without_role(c);
	cluster_role(c, C, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_true(cluster_view(c, B).must_retake);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	claim_close(c, B, 20, 10);
	claim_forget_removals(c, B);
	c->tamper = drop_what_is_short;
	claim_say_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_run_us(c, 100000);
	c->tamper = NULL;
	cluster_run_us(c, 3000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_kernel_count(c, A), 0);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* B was restarted, goes on, and has claimed nothing; C, another primary, has claimed what A had. */
static void one_that_claimed_nothing_takes_all_of_an_owner_that_another_claimed(void **state)
{
	struct cluster *c = claim_start_many(3);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	c->nodes[B].config.own_term = 2;
	cluster_restart(c, B);
	cluster_audit(c, B);
	claim_say_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	c->nodes[A].config.own_term = 1;
	claim_restart_without_role(c);
	begin_at_a(c);
	claim_say_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	assert_int_equal(claim_in_kernel(c, C, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* B rules, and A, which was restarted without a role, is caught up, in the term of its reign before. */
static struct cluster *start_restarted(void)
{
	struct cluster *c = claim_start();

	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	c->nodes[A].config.own_term = 1;
	claim_restart_without_role(c);
	return c;
}

static void see_it_again_and_let_it_give_way(struct cluster *c)
{
	c->dark = false;
	cluster_run_us(c, 5000000);
	assert_true(cluster_view(c, B).split_brain);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_kernel_count(c, A), 0);
}

/* It rules on, in the term that it had: B does not. */
static struct cluster *rule_out_of_sight(void)
{
	struct cluster *c = start_restarted();

	c->dark = true;
	cluster_run_us(c, 1500000);
	claim_say_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	return c;
}

static void what_changes_at_one_that_rules_out_of_sight_is_brought_over(void **state)
{
	struct cluster *c = rule_out_of_sight();

	(void)state;
	claim_close(c, B, 0, 10);
	begin_anew_at_a(c);
	cluster_flows_destroy(c, B, 10, 10);
	for (uint32_t i = 10; i < 20; i++) {
		struct flow flow = cluster_flow(i);

		flow.tcp.state = FLOW_TCP_FIN_WAIT;
		cluster_flow_update(c, A, &flow);
	}
	begin_at_a(c);
	see_it_again_and_let_it_give_way(c);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* Its packets go to A, and make no event there. */
static void what_fell_silent_at_the_heir_comes_back_from_one_that_rules_out_of_sight(void **state)
{
	struct cluster *c = rule_out_of_sight();

	(void)state;
	cluster_flows_destroy(c, B, 0, 10);
	claim_close(c, B, 10, CLAIM_OLD - 10);
	begin_at_a(c);
	see_it_again_and_let_it_give_way(c);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), 10);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* Of the third session nothing has come, but of the second something had. */
static void an_orphan_that_holds_more_than_was_taken_stays(void **state)
{
	struct cluster *c = start_restarted();

	(void)state;
	begin_at_a(c);
	c->tamper = claim_drop_what_is_long;
	cluster_restart(c, A);
	cluster_run_us(c, 1500000);
	cluster_reboot(c, A);
	cluster_run_us(c, 5000000);
	claim_give_away_and_take_back(c);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* In a higher term than B, which ruled on. */
static void what_lived_at_one_that_ruled_between_two_restarts_stays(void **state)
{
	struct cluster *c = start_restarted();

	(void)state;
	c->nodes[A].config.own_term = 0;
	claim_restart_without_role(c);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	cluster_flows_destroy(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	c->tamper = claim_drop_what_is_long;
	cluster_restart(c, A);
	cluster_run_us(c, 1500000);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	claim_give_away_and_take_back(c);
	assert_int_equal(claim_in_kernel(c, B, 0, 10), 10);
	cluster_free(c);
}

static uint32_t runs_out(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	(void)context;
	(void)flow;
	return elapsed_s > 4 ? 0 : 100;
}

/* B goes on after a restart, and has claimed nothing; entries ran out while A, which rules, was out of sight.
 */
static void what_ran_out_here_and_was_never_claimed_is_brought_over(void **state)
{
	struct cluster *c = cluster_new(2, 31);

	(void)state;
	c->nodes[B].remaining_s = runs_out;
	assert_true(cluster_boot(c));
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, B, 0, CLAIM_OLD);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	c->nodes[B].config.own_term = 1;
	cluster_restart(c, B);
	cluster_audit(c, B);
	claim_say_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	begin_at_a(c);
	c->nodes[A].muted = true;
	cluster_run_us(c, 8000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	claim_close(c, B, 20, 10);
	claim_forget_removals(c, B);
	c->nodes[A].muted = false;
	c->tamper = claim_drop_what_is_long;
	c->nodes[A].config.own_term = 2;
	cluster_restart(c, A);
	claim_say_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_audit(c, A);
	cluster_run_us(c, 2000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_true(cluster_view(c, B).must_retake);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	c->tamper = NULL;
	cluster_run_us(c, 8000000);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* It has the traffic already, and has not said that it rules. */
static void what_begins_anew_elsewhere_after_our_reign_is_committed(void **state)
{
	struct cluster *c = start_restarted();

	(void)state;
	claim_close(c, B, 0, 10);
	claim_close(c, A, 0, 10);
	cluster_run_us(c, 500000);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_flows_new(c, A, 0, 10);
	cluster_run_us(c, 500000);
	cluster_stop(c, A);
	expect_all_after_taking_back(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_copy_stays_when_the_kernel_has_no_room_for_all),
	    cmocka_unit_test(what_begins_anew_at_a_primary_that_ruled_on_is_committed),
	    cmocka_unit_test(what_begins_anew_at_a_restarted_primary_is_committed),
	    cmocka_unit_test(what_begins_after_the_restart_stays_when_removals_are_forgotten),
	    cmocka_unit_test(what_begins_beyond_another_takeover_is_brought_over),
	    cmocka_unit_test(what_changes_at_one_that_rules_out_of_sight_is_brought_over),
	    cmocka_unit_test(what_fell_silent_at_the_heir_comes_back_from_one_that_rules_out_of_sight),
	    cmocka_unit_test(an_orphan_that_holds_more_than_was_taken_stays),
	    cmocka_unit_test(what_lived_at_one_that_ruled_between_two_restarts_stays),
	    cmocka_unit_test(what_ran_out_here_and_was_never_claimed_is_brought_over),
	    cmocka_unit_test(what_begins_anew_elsewhere_after_our_reign_is_committed),
	    cmocka_unit_test(one_that_claimed_nothing_takes_all_of_an_owner_that_another_claimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
