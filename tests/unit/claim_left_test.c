/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An owner whose flows were claimed is restarted, and gone again: what is held of it from before does not
 * come back, whoever rules next; what it got since does.
 */
#include "tests/unit/claim_ground.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void give_the_role_away_and_take_it_back(struct cluster *c, unsigned index)
{
	cluster_role(c, index, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, index, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
}

/* B rules; A's daemon is restarted without a role, and of what it has nothing gets through. */
static struct cluster *start_and_restart(unsigned nodes)
{
	struct cluster *c = claim_start_many(nodes);

	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	c->tamper = claim_drop_what_is_long;
	cluster_restart(c, A);
	cluster_run_us(c, 1500000);
	return c;
}

static void what_was_committed_goes_with_an_owner_that_dies_before_it_is_caught_up(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	assert_int_equal(cluster_held(c, B, A), CLAIM_OLD);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	claim_close(c, B, 0, 10);
	claim_forget_removals(c, B);
	cluster_run_us(c, 1000000);
	give_the_role_away_and_take_it_back(c, B);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

static void also_of_one_that_was_restarted_twice(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	cluster_restart(c, A);
	cluster_run_us(c, 1500000);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_free(c);
}

static void also_of_one_that_then_reboots(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	cluster_reboot(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_orphans(c, B, A), 0);
	cluster_free(c);
}

static void also_of_one_that_was_caught_up(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	c->tamper = NULL;
	cluster_audit(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_held(c, B, A), CLAIM_OLD);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_free(c);
}

/* The copy was dropped when it died for the first time: what it names anew is known here. */
static void also_of_one_whose_copy_was_dropped_before(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	claim_close(c, B, 0, 10);
	cluster_restart(c, A);
	cluster_audit(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_held(c, B, A), CLAIM_OLD);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_free(c);
}

/* C is no primary: B's word counts. */
static void a_backup_drops_it_as_well(void **state)
{
	struct cluster *c = start_and_restart(3);

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, C, A), 0);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	cluster_stop(c, B);
	cluster_run_us(c, 3000000);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	assert_int_equal(claim_in_kernel(c, C, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

static void what_it_got_after_its_restart_stays(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	c->tamper = NULL;
	cluster_audit(c, A);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), CLAIM_NEW);
	claim_close(c, B, 0, 10);
	give_the_role_away_and_take_it_back(c, B);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

/* Out of sight, and back in that session: it names all anew. */
static void what_was_committed_goes_again_when_its_owner_was_back_in_between(void **state)
{
	(void)state;
	for (unsigned restarts = 0; restarts < 2; restarts++) {
		struct cluster *c = start_and_restart(2);

		c->tamper = NULL;
		cluster_audit(c, A);
		cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
		assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
		c->nodes[A].muted = true;
		cluster_run_us(c, 3000000);
		assert_int_equal(cluster_held(c, B, A), CLAIM_NEW);
		claim_close(c, B, 0, 10);
		c->nodes[A].muted = false;
		if (restarts) {
			cluster_restart(c, A);
			cluster_audit(c, A);
		}
		cluster_run_us(c, 8000000);
		assert_int_equal(cluster_held(c, B, A), CLAIM_OLD + CLAIM_NEW);
		cluster_stop(c, A);
		cluster_run_us(c, 5000000);
		assert_int_equal(cluster_held(c, B, A), CLAIM_NEW);
		cluster_free(c);
	}
}

/* It is there still: then what was seen closed here counts. */
static void what_closed_in_the_last_reign_is_not_committed_by_the_next_of_the_same_node(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	claim_close(c, B, 0, 10);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

/* Between our reigns another node ruled: there the key may have been used anew. */
static void what_closed_in_a_reign_before_the_last_does_not_count(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	cluster_flows_new(c, A, 0, 10);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD);
	cluster_free(c);
}

/* B takes over from C once more while A, whose copy was dropped, is being caught up. */
static void another_takeover_amid_a_catch_up_does_not_make_all_of_it_new(void **state)
{
	struct cluster *c = claim_start_many(3);

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	c->tamper = claim_drop_what_is_long;
	claim_restart(c);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, C, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_true(cluster_view(c, B).must_retake);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	c->tamper = NULL;
	cluster_run_us(c, 8000000);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_committed_goes_with_an_owner_that_dies_before_it_is_caught_up),
	    cmocka_unit_test(also_of_one_that_was_restarted_twice),
	    cmocka_unit_test(also_of_one_that_then_reboots),
	    cmocka_unit_test(also_of_one_that_was_caught_up),
	    cmocka_unit_test(also_of_one_whose_copy_was_dropped_before),
	    cmocka_unit_test(a_backup_drops_it_as_well),
	    cmocka_unit_test(what_it_got_after_its_restart_stays),
	    cmocka_unit_test(what_was_committed_goes_again_when_its_owner_was_back_in_between),
	    cmocka_unit_test(what_closed_in_the_last_reign_is_not_committed_by_the_next_of_the_same_node),
	    cmocka_unit_test(what_closed_in_a_reign_before_the_last_does_not_count),
	    cmocka_unit_test(another_takeover_amid_a_catch_up_does_not_make_all_of_it_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
