/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An owner that is restarted while another takes over, or after it: what is new with it is brought over, what
 * it has from before is not brought again. */
#include "tests/unit/claim_ground.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* B takes over from A, which is out of sight, and sees the first 10 end. */
static void take_over_and_close(struct cluster *c)
{
	claim_take_over_and_drop(c);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 1000000);
}

static void expect_that_all_is_handed_over(struct cluster *c, uint32_t expected)
{
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	assert_int_equal(table_count(c->nodes[A].kernel), 0);
	assert_int_equal(table_count(c->nodes[B].kernel), expected);
	for (uint32_t i = 0; i < CLAIM_NEW; i++)
		assert_true(cluster_is_in_kernel(c, B, CLAIM_FIRST_NEW + i));
	cluster_free(c);
}

static void what_begins_at_an_owner_restarted_during_the_takeover_is_brought_over(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_takeover_begin(c, B);
	claim_restart(c);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_run_us(c, 1000000);
	cluster_takeover_end(c, B);
	cluster_run_us(c, 1000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD + CLAIM_NEW);
}

/* Of the second session nothing was followed yet when the third begins, and to that it is nothing new. */
static void also_when_it_is_restarted_twice(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_takeover_begin(c, B);
	claim_restart(c);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_run_us(c, 1000000);
	claim_restart(c);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	cluster_takeover_end(c, B);
	cluster_run_us(c, 1000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD + CLAIM_NEW);
}

static void also_what_its_kernel_got_while_the_daemon_was_down(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	for (uint32_t i = 0; i < CLAIM_NEW; i++) {
		struct flow flow = cluster_flow(CLAIM_FIRST_NEW + i);

		cluster_kernel_put(c, A, &flow);
	}
	claim_restart(c);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD + CLAIM_NEW);
}

/* It was brought over, and ended at B: a second restart of its owner does not bring it again. */
static void what_was_brought_over_and_ended_is_not_brought_again(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW + CLAIM_NEW, 10);
	cluster_run_us(c, 1000000);
	cluster_flows_destroy(c, B, CLAIM_FIRST_NEW + CLAIM_NEW, 10);
	claim_forget_removals(c, B);
	claim_restart(c);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD + CLAIM_NEW);
}

/* It ended at B, which has forgotten it: nobody else may bring it back because its old owner's kernel still
 * has it. */
static void what_ended_here_since_the_takeover_is_not_brought_again(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	claim_close(c, B, 0, 10);
	claim_forget_removals(c, B);
	claim_restart(c);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD - 10 + CLAIM_NEW);
}

/* What was dropped as committed does not tell new from old, but what the heir remembers does. */
static void of_an_owner_whose_copy_was_dropped_what_the_heir_never_had_is_brought_over(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_stop(c, A);
	claim_take_over_and_drop(c);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 3000000);
	claim_restart(c);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD - 10 + CLAIM_NEW);
}

/* It has forgotten: what begins after the catch-up is new all the same. */
static void of_an_owner_whose_copy_was_dropped_what_begins_once_it_is_caught_up_is_brought_over(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	claim_close(c, B, 0, 10);
	claim_forget_removals(c, B);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	claim_restart(c);
	cluster_audit(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_run_us(c, 1000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD - 10 + CLAIM_NEW);
}

/* What the session between has brought until then says no more of what is new than the copy that was dropped.
 */
static void also_when_it_is_restarted_again_before_it_is_caught_up(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_stop(c, A);
	take_over_and_close(c);
	c->tamper = claim_drop_what_is_long;
	claim_restart(c);
	cluster_audit(c, A);
	cluster_run_us(c, 1500000);
	claim_restart(c);
	c->tamper = NULL;
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD - 10 + CLAIM_NEW);
}

static void also_when_its_session_was_back_and_not_caught_up(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	c->dark = true;
	take_over_and_close(c);
	c->tamper = claim_drop_what_is_long;
	c->dark = false;
	cluster_run_us(c, 3000000);
	claim_restart(c);
	c->tamper = NULL;
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD - 10 + CLAIM_NEW);
}

/* It began at A while both were primary, was brought over, and ended at B; then A was out of sight. */
static void what_was_followed_and_ended_is_not_brought_again_after_a_silence(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW + CLAIM_NEW, 10);
	cluster_run_us(c, 1000000);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW + CLAIM_NEW, 10), 10);
	claim_close(c, B, CLAIM_FIRST_NEW + CLAIM_NEW, 10);
	c->dark = true;
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	c->dark = false;
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), CLAIM_OLD + 10 + CLAIM_NEW);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW + CLAIM_NEW, 10), 0);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/*
 * What was unsure when A came back is not, once that session has been claimed by another takeover.  B hears
 * A, and not the other way round: both take over, and B has A's new flows before it can open its claim.
 */
static void what_begins_beyond_a_later_claim_is_brought_over_though_the_copy_was_dropped_once(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_stop(c, A);
	take_over_and_close(c);
	c->nodes[A].config.leftovers = true;
	cluster_restart(c, A);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_run_us(c, 5000000); /* it has withdrawn */
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3000000);
	c->nodes[B].muted = true;
	cluster_run_us(c, 300000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_destroy(c, B, 20, 10); /* A has them still */
	claim_forget_removals(c, B);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_run_us(c, 300000);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), 0);
	c->nodes[B].muted = false;
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD - 10 + CLAIM_NEW);
}

/* Another kernel has nothing from before, whatever the heir still remembers of that. */
static void after_a_reboot_all_is_new_also_if_the_copy_was_dropped(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_stop(c, A);
	take_over_and_close(c);
	claim_forget_removals(c, B);
	c->dark = true;
	cluster_reboot(c, A);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	cluster_run_us(c, 1000000);
	c->dark = false;
	cluster_run_us(c, 5000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD - 10 + CLAIM_NEW);
}

/* C is primary beside B as A is; each session of A is claimed anew. */
static void a_node_that_is_restarted_time_and_again_does_not_undo_the_claim_of_another(void **state)
{
	struct cluster *c = cluster_new(3, 31);

	(void)state;
	assert_true(cluster_boot(c));
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, C, 0, CLAIM_OLD);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	claim_close(c, B, 0, 10);
	for (unsigned i = 0; i < FRAME_PEERS_MAX + 5; i++) {
		claim_restart(c);
		cluster_audit(c, A);
		cluster_run_us(c, 4000000);
	}
	assert_int_equal(cluster_view(c, B).claims, FRAME_PEERS_MAX);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

static void after_a_reboot_all_is_new(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_takeover_begin(c, B);
	cluster_reboot(c, A);
	c->nodes[A].config.own_term = 1;
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	claim_say_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_audit(c, A);
	cluster_run_us(c, 1000000);
	cluster_takeover_end(c, B);
	cluster_run_us(c, 3000000);
	expect_that_all_is_handed_over(c, CLAIM_OLD + CLAIM_NEW);
}

/* It died amid the withdrawal: what it does not name any more has not ended. */
static void what_its_owner_had_withdrawn_when_it_died_stays_here(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	for (uint32_t i = 0; i < 10; i++) {
		struct flow flow = cluster_flow(i);

		cluster_kernel_remove(c, A, &flow);
	}
	c->nodes[A].config.own_term = 1;
	c->nodes[A].config.leftovers = true;
	cluster_restart(c, A);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	assert_int_equal(table_count(c->nodes[A].kernel), 0);
	assert_int_equal(table_count(c->nodes[B].kernel), CLAIM_OLD);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_begins_at_an_owner_restarted_during_the_takeover_is_brought_over),
	    cmocka_unit_test(also_when_it_is_restarted_twice),
	    cmocka_unit_test(also_what_its_kernel_got_while_the_daemon_was_down),
	    cmocka_unit_test(what_was_brought_over_and_ended_is_not_brought_again),
	    cmocka_unit_test(what_ended_here_since_the_takeover_is_not_brought_again),
	    cmocka_unit_test(of_an_owner_whose_copy_was_dropped_what_the_heir_never_had_is_brought_over),
	    cmocka_unit_test(
		of_an_owner_whose_copy_was_dropped_what_begins_once_it_is_caught_up_is_brought_over),
	    cmocka_unit_test(also_when_it_is_restarted_again_before_it_is_caught_up),
	    cmocka_unit_test(also_when_its_session_was_back_and_not_caught_up),
	    cmocka_unit_test(what_was_followed_and_ended_is_not_brought_again_after_a_silence),
	    cmocka_unit_test(
		what_begins_beyond_a_later_claim_is_brought_over_though_the_copy_was_dropped_once),
	    cmocka_unit_test(a_node_that_is_restarted_time_and_again_does_not_undo_the_claim_of_another),
	    cmocka_unit_test(after_a_reboot_all_is_new),
	    cmocka_unit_test(after_a_reboot_all_is_new_also_if_the_copy_was_dropped),
	    cmocka_unit_test(what_its_owner_had_withdrawn_when_it_died_stays_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
