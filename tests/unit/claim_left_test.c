/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An owner whose flows were claimed is restarted, and gone again, before it was caught up: what is held of it
 * from before and has ended since does not come back, whoever rules next.
 */
#include "tests/unit/claim_ground.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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

static void what_ended_does_not_come_back_from_an_owner_that_died_before_it_was_caught_up(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 500000);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	claim_close(c, B, 10, 10);
	cluster_run_us(c, 1000000);
	claim_give_away_and_take_back(c);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 20);
	cluster_free(c);
}

static void nor_from_one_that_was_restarted_twice(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	cluster_restart(c, A);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 1500000);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	claim_give_away_and_take_back(c);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

static void nor_from_one_that_lives_and_is_not_caught_up_yet(void **state)
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

static void of_one_that_then_reboots_no_orphan_is_left(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	cluster_reboot(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_orphans(c, B, A), 0);
	cluster_free(c);
}

/* C is no primary: B's word counts, and what B has no more has ended there. */
static void nor_does_a_backup_bring_it_back(void **state)
{
	struct cluster *c = start_and_restart(3);

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	cluster_stop(c, B);
	cluster_run_us(c, 3000000);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	assert_int_equal(claim_in_kernel(c, C, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

/* A was not caught up when B claimed what it had: all of that is in B's kernel all the same. */
static void nor_from_a_copy_that_was_not_whole_when_it_was_claimed(void **state)
{
	struct cluster *c = claim_start();

	(void)state;
	c->tamper = claim_drop_what_is_long;
	claim_restart(c);
	cluster_run_us(c, 1500000);
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 3000000);
	claim_give_away_and_take_back(c);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	cluster_free(c);
}

/* Caught up, it may have connections of its own under the same keys: what closes here once it is gone does
 * not come back. */
static void what_closes_once_its_owner_is_gone_does_not_come_back(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	c->tamper = NULL;
	cluster_audit(c, A);
	cluster_flows_new(c, A, CLAIM_FIRST_NEW, CLAIM_NEW);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	claim_close(c, B, 0, 10);
	claim_give_away_and_take_back(c);
	assert_int_equal(claim_in_kernel(c, B, 0, CLAIM_OLD), CLAIM_OLD - 10);
	assert_int_equal(claim_in_kernel(c, B, CLAIM_FIRST_NEW, CLAIM_NEW), CLAIM_NEW);
	cluster_free(c);
}

static void also_from_what_it_had_before_it_rebooted(void **state)
{
	struct cluster *c = start_and_restart(2);

	(void)state;
	c->tamper = NULL;
	cluster_audit(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	c->dark = true;
	cluster_run_us(c, 2000000);
	claim_close(c, B, 0, 10);
	cluster_reboot(c, A);
	c->dark = false;
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_orphans(c, B, A), CLAIM_OLD);
	claim_give_away_and_take_back(c);
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
	claim_take_over_and_drop(c);
	claim_close(c, B, 0, 10);
	cluster_run_us(c, 3000000);
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
	    cmocka_unit_test(what_ended_does_not_come_back_from_an_owner_that_died_before_it_was_caught_up),
	    cmocka_unit_test(nor_from_one_that_was_restarted_twice),
	    cmocka_unit_test(nor_from_one_that_lives_and_is_not_caught_up_yet),
	    cmocka_unit_test(of_one_that_then_reboots_no_orphan_is_left),
	    cmocka_unit_test(nor_does_a_backup_bring_it_back),
	    cmocka_unit_test(nor_from_a_copy_that_was_not_whole_when_it_was_claimed),
	    cmocka_unit_test(what_closes_once_its_owner_is_gone_does_not_come_back),
	    cmocka_unit_test(also_from_what_it_had_before_it_rebooted),
	    cmocka_unit_test(what_closed_in_a_reign_before_the_last_does_not_count),
	    cmocka_unit_test(another_takeover_amid_a_catch_up_does_not_make_all_of_it_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
