/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Warm mode: what the peers hold lives in this kernel, and a takeover finds it there. */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SECOND_US = 1000000, PRIMARY = 0, BACKUP = 1, THIRD = 2 };

static void create(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	cluster_flows_new(c, node, first, count);
	cluster_run_us(c, SECOND_US);
}

static void assert_backup_is_warm(struct cluster *c, unsigned node, size_t flows)
{
	assert_int_equal(cluster_kernel_count(c, node), flows);
	assert_int_equal(cluster_copies(c, node), flows);
	assert_int_equal(cluster_internal_count(c, node), 0);
}

static void what_the_primary_has_lives_in_the_backups_kernel(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct flow flow = cluster_flow(3);
	(void)state;

	create(c, PRIMARY, 0, 100);
	assert_backup_is_warm(c, BACKUP, 100);
	flow.mark = 7;
	cluster_flow_update(c, PRIMARY, &flow);
	cluster_run_us(c, SECOND_US);
	record_decode(cluster_kernel_find(&c->nodes[BACKUP], &flow)->bytes, &flow);
	assert_int_equal(flow.mark, 7);
	flow = cluster_flow(4);
	cluster_flow_destroy(c, PRIMARY, &flow);
	cluster_run_us(c, SECOND_US);
	assert_false(cluster_is_in_kernel(c, BACKUP, 4));
	assert_backup_is_warm(c, BACKUP, 99);
	cluster_free(c);
}

static void copies_are_no_flows_of_the_backups_own_for_an_audit_or_an_event(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct flow flow = cluster_flow(5);
	(void)state;

	create(c, PRIMARY, 0, 50);
	for (unsigned i = 0; i < 3; i++) {
		cluster_audit(c, BACKUP);
		cluster_run_us(c, SECOND_US);
	}
	flow.mark = 9;
	cluster_flow_update(c, BACKUP, &flow);
	cluster_run_us(c, SECOND_US);
	assert_backup_is_warm(c, BACKUP, 50);
	assert_int_equal(table_count(node_external(c->nodes[PRIMARY].node, 2)), 0);
	assert_true(cluster_is_in_sync(c));
	cluster_free(c);
}

static void local_flows_of_the_backup_are_untouched(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, BACKUP, 1000, 10);
	create(c, PRIMARY, 0, 20);
	assert_int_equal(cluster_internal_count(c, BACKUP), 10);
	assert_int_equal(cluster_copies(c, BACKUP), 20);
	cluster_make_warm(c, BACKUP, false);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 10);
	assert_int_equal(cluster_internal_count(c, BACKUP), 10);
	for (uint32_t i = 1000; i < 1010; i++)
		assert_true(cluster_is_in_kernel(c, BACKUP, i));
	cluster_free(c);
}

static void a_copy_never_runs_out_while_its_owner_lives(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 50);
	for (unsigned s = 0; s < 600; s += 5) {
		cluster_run_us(c, 5 * SECOND_US);
		assert_int_equal(cluster_expire(c, BACKUP), 0);
	}
	assert_backup_is_warm(c, BACKUP, 50);
	assert_true(c->nodes[BACKUP].acts[NODE_FOREIGN_REFRESH] >= 50 * 600 / 120);
	/* half of its time apart, not all the time */
	assert_true(c->nodes[BACKUP].acts[NODE_FOREIGN_REFRESH] <= 50 * (600 / 60 + 1));
	cluster_free(c);
}

static void a_copy_outlives_a_silent_owner_by_no_more_than_its_own_time(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 50);
	cluster_run_us(c, 200 * (int64_t)SECOND_US);
	assert_int_equal(cluster_expire(c, BACKUP), 0);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 122 * (int64_t)SECOND_US);
	assert_int_equal(cluster_expire(c, BACKUP), 50);
	cluster_run_us(c, 10 * (int64_t)SECOND_US);
	assert_backup_is_warm(c, BACKUP, 0);
	cluster_free(c);
}

static uint32_t two_minutes(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	(void)context;
	(void)flow;
	return elapsed_s < 120 ? 120 - elapsed_s : 0;
}

static void what_ran_out_in_an_outage_is_there_again_after_it(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 50);
	c->dark = true;
	cluster_run_us(c, 122 * (int64_t)SECOND_US);
	assert_int_equal(cluster_expire(c, BACKUP), 50);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_copies(c, BACKUP), 0);
	c->dark = false;
	cluster_run_us(c, 10 * (int64_t)SECOND_US);
	assert_backup_is_warm(c, BACKUP, 50);
	cluster_free(c);
}

static void a_copy_that_vanishes_is_put_back(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct flow flow = cluster_flow(7);
	(void)state;

	create(c, PRIMARY, 0, 10);
	cluster_flow_destroy(c, BACKUP, &flow); /* with an event */
	cluster_run_us(c, 2 * SECOND_US);
	assert_backup_is_warm(c, BACKUP, 10);
	flow = cluster_flow(8);
	cluster_kernel_remove(c, BACKUP, &flow); /* and one that was lost */
	cluster_run_us(c, 130 * (int64_t)SECOND_US);
	assert_backup_is_warm(c, BACKUP, 10);
	cluster_free(c);
}

static void a_restarted_backup_finds_out_which_flows_are_copies(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct flow flow = cluster_flow(3);
	(void)state;

	create(c, PRIMARY, 0, 100);
	cluster_restart(c, BACKUP); /* its kernel has the copies, and it reads them before it hears anybody */
	cluster_role(c, BACKUP, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5 * SECOND_US);
	assert_backup_is_warm(c, BACKUP, 100);
	cluster_flow_destroy(c, PRIMARY, &flow);
	cluster_run_us(c, SECOND_US);
	assert_backup_is_warm(c, BACKUP, 99);
	assert_true(cluster_is_in_sync(c));
	cluster_free(c);
}

static void a_restarted_owner_costs_no_copy(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 100);
	c->nodes[PRIMARY].config.own_term = 1;
	cluster_restart(c, PRIMARY);
	cluster_role(c, PRIMARY, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 10 * (int64_t)SECOND_US);
	assert_backup_is_warm(c, BACKUP, 100);
	assert_int_equal(c->nodes[BACKUP].acts[NODE_FOREIGN_REMOVE], 0);
	cluster_free(c);
}

static void what_a_restarted_owner_has_no_more_leaves_the_kernel(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 100);
	cluster_stop(c, PRIMARY);
	for (uint32_t i = 0; i < 40; i++) {
		struct flow flow = cluster_flow(i);

		cluster_kernel_remove(c, PRIMARY, &flow);
	}
	cluster_restart(c, PRIMARY);
	cluster_role(c, PRIMARY, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 10 * (int64_t)SECOND_US);
	assert_backup_is_warm(c, BACKUP, 60);
	cluster_free(c);
}

static void an_orphan_stays_in_the_kernel_until_a_primary_has_it(void **state)
{
	struct cluster *c = cluster_warm_new(3);
	(void)state;

	create(c, PRIMARY, 0, 100);
	cluster_reboot(c, PRIMARY);
	cluster_run_us(c, 5 * (int64_t)SECOND_US);
	assert_int_equal(cluster_copies(c, BACKUP), 100);
	cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 5 * (int64_t)SECOND_US);
	assert_int_equal(cluster_internal_count(c, BACKUP), 100);
	assert_backup_is_warm(c, THIRD, 100);
	cluster_free(c);
}

/* Whatever time this kernel would still give them. */
static void what_runs_out_in_an_orphan_leaves_the_kernel(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	c->nodes[BACKUP].remaining_s = two_minutes;
	cluster_stop(c, BACKUP);
	cluster_restart(c, BACKUP);
	cluster_role(c, BACKUP, FRAME_ROLE_BACKUP);
	create(c, PRIMARY, 0, 100);
	cluster_run_us(c, 5 * (int64_t)SECOND_US);
	cluster_reboot(c, PRIMARY);
	cluster_run_us(c, 100 * (int64_t)SECOND_US);
	assert_backup_is_warm(c, BACKUP, 100);
	cluster_run_us(c, 30 * (int64_t)SECOND_US);
	assert_backup_is_warm(c, BACKUP, 0);
	cluster_free(c);
}

static void flushing_the_external_table_brings_the_copies_anew(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct node_event event = {.type = NODE_FLUSH_EXTERNAL};
	(void)state;

	create(c, PRIMARY, 0, 100);
	cluster_step(c, BACKUP, &event);
	cluster_run_us(c, 5 * SECOND_US);
	assert_backup_is_warm(c, BACKUP, 100);
	/* they were only named anew: none had to leave */
	assert_int_equal(c->nodes[BACKUP].acts[NODE_FOREIGN_REMOVE], 0);
	cluster_free(c);
}

static void a_kernel_that_was_flushed_is_filled_again(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct node_event event = {.type = NODE_FOREIGN_FLUSHED};
	(void)state;

	create(c, PRIMARY, 0, 100);
	table_clear(c->nodes[BACKUP].kernel);
	cluster_step(c, BACKUP, &event);
	cluster_run_us(c, 5 * SECOND_US);
	assert_backup_is_warm(c, BACKUP, 100);
	cluster_free(c);
}

/* The flow ends, or the mode does, while the kernel removes nothing. */
static void a_removal_that_failed_is_tried_again_until_it_is_done(void **state)
{
	for (unsigned ends = 0; ends < 2; ends++) {
		struct cluster *c = cluster_warm_new(2);
		struct cluster_node *backup = &c->nodes[BACKUP];
		struct flow gone = cluster_flow(1);

		create(c, PRIMARY, 0, 10);
		backup->keeps_copies = true;
		if (ends)
			cluster_flow_destroy(c, PRIMARY, &gone);
		else
			cluster_make_warm(c, BACKUP, false);
		cluster_run_us(c, 5 * SECOND_US);
		assert_int_equal(cluster_copies(c, BACKUP), 10);
		/* once a second, not in a circle */
		assert_in_range(backup->acts[NODE_FOREIGN_REMOVE], 3, 70);
		backup->keeps_copies = false;
		cluster_run_us(c, 2 * SECOND_US);
		assert_int_equal(cluster_copies(c, BACKUP), ends ? 9 : 0);
		assert_false(cluster_is_in_kernel(c, BACKUP, 1));
		cluster_free(c);
	}
	(void)state;
}

static void turning_it_on_and_off_puts_copies_there_and_takes_them_out(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 6000);
	for (unsigned round = 0; round < 2; round++) {
		cluster_make_warm(c, BACKUP, false);
		cluster_run_us(c, SECOND_US);
		assert_backup_is_warm(c, BACKUP, 0);
		cluster_make_warm(c, BACKUP, true);
		cluster_run_us(c, SECOND_US);
		assert_backup_is_warm(c, BACKUP, 6000);
	}
	cluster_free(c);
}

static void another_flow_under_the_same_key_replaces_the_copy(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct flow flow = cluster_flow(1);
	(void)state;

	create(c, PRIMARY, 0, 10);
	cluster_flow_destroy(c, PRIMARY, &flow);
	flow.reply.dport = 7777; /* another NAT */
	cluster_flow_new(c, PRIMARY, &flow);
	cluster_run_us(c, SECOND_US);
	assert_backup_is_warm(c, BACKUP, 10);
	record_decode(cluster_kernel_find(&c->nodes[BACKUP], &flow)->bytes, &flow);
	assert_int_equal(flow.reply.dport, 7777);
	cluster_free(c);
}

static bool refuses_all(const struct flow *flow)
{
	(void)flow;
	return true;
}

static void what_the_kernel_refuses_is_tried_again(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct node_foreign_view view;
	(void)state;

	c->nodes[BACKUP].refuses = refuses_all;
	create(c, PRIMARY, 0, 20000); /* more than can be noted one by one */
	node_foreign_view(c->nodes[BACKUP].node, &view);
	assert_true(view.missing > 0);
	c->nodes[BACKUP].refuses = NULL;
	cluster_run_us(c, 5 * SECOND_US);
	assert_backup_is_warm(c, BACKUP, 20000);
	node_foreign_view(c->nodes[BACKUP].node, &view);
	assert_int_equal(view.missing, 0);
	cluster_free(c);
}

/* A kernel without room, say: more than fit in one step, for a long time. */
static void what_the_kernel_goes_on_refusing_is_tried_once_a_second(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	uint64_t before;
	(void)state;

	c->nodes[BACKUP].refuses = refuses_all;
	create(c, PRIMARY, 0, 1000);
	before = c->nodes[BACKUP].acts[NODE_FOREIGN_INSTALL];
	cluster_run_us(c, 10 * SECOND_US);
	assert_in_range(c->nodes[BACKUP].acts[NODE_FOREIGN_INSTALL] - before, 5000, 12000);
	cluster_free(c);
}

static void a_step_names_no_more_than_it_is_asked_for_and_all_comes_with_the_next(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct cluster_node *backup = &c->nodes[BACKUP];
	struct node_event event = {.type = NODE_FOREIGN_RUN};
	(void)state;

	backup->holds_copies_back = true;
	create(c, PRIMARY, 0, 100);
	assert_int_equal(backup->foreign_count, 0);
	for (unsigned max = 1; max <= 8; max++) {
		size_t before = backup->foreign_count;

		event.acts_max = max;
		cluster_step(c, BACKUP, &event);
		assert_in_range(backup->foreign_count - before, 1, max);
	}
	backup->holds_copies_back = false;
	cluster_warm_run(backup);
	assert_backup_is_warm(c, BACKUP, 100);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_primary_has_lives_in_the_backups_kernel),
	    cmocka_unit_test(copies_are_no_flows_of_the_backups_own_for_an_audit_or_an_event),
	    cmocka_unit_test(local_flows_of_the_backup_are_untouched),
	    cmocka_unit_test(a_copy_never_runs_out_while_its_owner_lives),
	    cmocka_unit_test(a_copy_outlives_a_silent_owner_by_no_more_than_its_own_time),
	    cmocka_unit_test(what_ran_out_in_an_outage_is_there_again_after_it),
	    cmocka_unit_test(a_copy_that_vanishes_is_put_back),
	    cmocka_unit_test(a_restarted_backup_finds_out_which_flows_are_copies),
	    cmocka_unit_test(a_restarted_owner_costs_no_copy),
	    cmocka_unit_test(what_a_restarted_owner_has_no_more_leaves_the_kernel),
	    cmocka_unit_test(an_orphan_stays_in_the_kernel_until_a_primary_has_it),
	    cmocka_unit_test(what_runs_out_in_an_orphan_leaves_the_kernel),
	    cmocka_unit_test(flushing_the_external_table_brings_the_copies_anew),
	    cmocka_unit_test(a_kernel_that_was_flushed_is_filled_again),
	    cmocka_unit_test(a_removal_that_failed_is_tried_again_until_it_is_done),
	    cmocka_unit_test(turning_it_on_and_off_puts_copies_there_and_takes_them_out),
	    cmocka_unit_test(another_flow_under_the_same_key_replaces_the_copy),
	    cmocka_unit_test(what_the_kernel_refuses_is_tried_again),
	    cmocka_unit_test(what_the_kernel_goes_on_refusing_is_tried_once_a_second),
	    cmocka_unit_test(a_step_names_no_more_than_it_is_asked_for_and_all_comes_with_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
