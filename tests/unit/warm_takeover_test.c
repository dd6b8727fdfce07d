/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Warm mode: a takeover makes the copies its own, and who gives the role away keeps them as copies. */
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

static uint32_t two_minutes(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	(void)context;
	(void)flow;
	return elapsed_s < 120 ? 120 - elapsed_s : 0;
}

/* A copy is as old as its last refresh, and the flow only as old as its owner's silence. */
static void a_late_takeover_has_what_ran_out_here_before_its_time(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	c->nodes[BACKUP].remaining_s = two_minutes;
	create(c, PRIMARY, 0, 50);
	cluster_run_us(c, 50 * (int64_t)SECOND_US);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 100 * (int64_t)SECOND_US);
	assert_int_equal(cluster_expire(c, BACKUP), 50);
	cluster_run_us(c, 5 * (int64_t)SECOND_US);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 0); /* nobody asks for it yet */
	cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 50);
	cluster_free(c);
}

static void a_takeover_makes_the_copies_its_own_and_nobody_takes_it_for_whole_before(void **state)
{
	struct cluster *c = cluster_warm_new(3);
	struct node_view view;
	(void)state;

	create(c, PRIMARY, 0, 5000);
	assert_backup_is_warm(c, BACKUP, 5000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	node_view(c->nodes[BACKUP].node, c->now, &view);
	assert_int_equal(view.role, FRAME_ROLE_PRIMARY);
	assert_false(view.complete);
	assert_true(cluster_internal_count(c, BACKUP) < 5000);
	cluster_run_us(c, 5 * SECOND_US);
	node_view(c->nodes[BACKUP].node, c->now, &view);
	assert_true(view.complete);
	assert_int_equal(cluster_internal_count(c, BACKUP), 5000);
	assert_int_equal(cluster_copies(c, BACKUP), 0);
	/* the third has the new primary's, drops the dead one's, and its copies stay where they are */
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5 * SECOND_US));
	assert_int_equal(table_count(node_external(c->nodes[THIRD].node, 1)), 0);
	assert_backup_is_warm(c, THIRD, 5000);
	assert_int_equal(c->nodes[THIRD].acts[NODE_FOREIGN_REMOVE], 0);
	cluster_free(c);
}

static void an_event_about_a_flow_that_is_not_adopted_yet_is_not_lost(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct flow changed = cluster_flow(4000), gone = cluster_flow(4001), known;
	const struct table *internal;
	uint8_t key[RECORD_KEY_MAX];
	(void)state;

	create(c, PRIMARY, 0, 5000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	changed.mark = 5;
	cluster_flow_update(c, BACKUP, &changed);
	cluster_flow_destroy(c, BACKUP, &gone);
	cluster_run_us(c, 5 * SECOND_US);
	internal = node_internal(c->nodes[BACKUP].node);
	assert_int_equal(table_count(internal), 4999);
	record_decode(table_find(internal, (struct record_key){key, record_encode_key(&changed, key)})->bytes,
		      &known);
	assert_int_equal(known.mark, 5);
	assert_null(table_find(internal, (struct record_key){key, record_encode_key(&gone, key)}));
	cluster_free(c);
}

static void an_expectation_of_a_flow_that_is_not_adopted_yet_is_not_lost(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	const enum node_event_type types[] = {NODE_EXPECT_NEW, NODE_EXPECT_NEW, NODE_EXPECT_ROW};
	const struct table *internal = node_internal(c->nodes[BACKUP].node);
	(void)state;

	create(c, PRIMARY, 0, 5000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	for (uint32_t i = 0; i < 3; i++) {
		struct flow master = cluster_flow(4000 + i);
		struct expect expect = {.family = master.family,
					.protocol = master.protocol,
					.tuple = master.reply,
					.master = master.orig,
					.master_protocol = master.protocol,
					.helper = "ftp"};
		struct node_event event = {.type = types[i], .expect = &expect};
		size_t before = table_records(internal);

		cluster_step(c, BACKUP, &event);
		/* with its master; a backup's copy expects nothing */
		assert_int_equal(table_records(internal), i ? before + 2 : 0);
		if (!i)
			cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	}
	cluster_free(c);
}

static void what_is_still_to_come_to_the_kernel_holds_a_takeover_up(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	c->nodes[BACKUP].holds_copies_back = true;
	create(c, PRIMARY, 0, 300);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 0);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	c->nodes[BACKUP].holds_copies_back = false;
	cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 300);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_internal_count(c, BACKUP), 300);
	cluster_free(c);
}

static void who_gives_the_role_away_keeps_the_flows_as_copies(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 200);
	for (unsigned round = 0; round < 4; round++) {
		unsigned from = round % 2, to = 1 - from;

		cluster_role(c, to, FRAME_ROLE_PRIMARY);
		cluster_role(c, from, FRAME_ROLE_BACKUP);
		cluster_run_us(c, 5 * SECOND_US);
		assert_int_equal(cluster_internal_count(c, to), 200);
		assert_backup_is_warm(c, from, 200);
		assert_int_equal(c->nodes[from].acts[NODE_FOREIGN_REMOVE], 0);
		assert_true(cluster_run_until(c, cluster_is_in_sync, 5 * SECOND_US));
	}
	cluster_free(c);
}

static void a_role_given_away_before_all_is_adopted_loses_nothing(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	(void)state;

	create(c, PRIMARY, 0, 5000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	cluster_role(c, BACKUP, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5 * SECOND_US);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 5000);
	assert_int_equal(cluster_internal_count(c, BACKUP) + cluster_copies(c, BACKUP), 5000);
	cluster_free(c);
}

/* Users' packets come first: a primary's adoption leaves most of the time to them. */
static void adoption_takes_its_time_while_it_is_primary(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	size_t before, after;
	(void)state;

	create(c, PRIMARY, 0, 20000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	cluster_role(c, BACKUP, FRAME_ROLE_PRIMARY);
	before = cluster_internal_count(c, BACKUP);
	cluster_run_us(c, SECOND_US / 10);
	after = cluster_internal_count(c, BACKUP);
	assert_in_range(after, before + 2000, before + 10000);
	/* given away, nobody waits for this node any more, and the heir waits for the rest */
	cluster_role(c, BACKUP, FRAME_ROLE_BACKUP);
	cluster_run_us(c, SECOND_US / 20);
	assert_int_equal(cluster_internal_count(c, BACKUP), 20000);
	cluster_free(c);
}

/* Both are primary all the time: the word comes again when one of them is to answer for all. */
static void with_two_primaries_each_takeover_makes_the_copies_its_own(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct node_event takeover = {.type = NODE_TAKEOVER},
			  role = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		c->nodes[i].config.active_active = true;
		cluster_make_warm(c, i, true);
		cluster_step(c, i, &role);
	}
	create(c, PRIMARY, 0, 2000);
	assert_backup_is_warm(c, BACKUP, 2000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	cluster_step(c, BACKUP, &takeover);
	cluster_warm_run(&c->nodes[BACKUP]);
	cluster_step(c, BACKUP, &role);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_internal_count(c, BACKUP), 2000);
	assert_int_equal(cluster_copies(c, BACKUP), 0);
	cluster_free(c);
}

/* A reload between the slices of a takeover, which counts on what is there. */
static void a_takeover_ends_in_the_mode_that_it_began_in(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct node_event takeover = {.type = NODE_TAKEOVER}, failed = {.type = NODE_TAKEOVER_FAILED},
			  role = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};
	(void)state;

	create(c, PRIMARY, 0, 2000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	cluster_step(c, BACKUP, &takeover);
	cluster_make_warm(c, BACKUP, false);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 2000);
	cluster_step(c, BACKUP, &role);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_internal_count(c, BACKUP), 2000);
	cluster_free(c);

	c = cluster_warm_new(2);
	create(c, PRIMARY, 0, 10);
	cluster_step(c, BACKUP, &takeover);
	cluster_make_warm(c, BACKUP, false);
	cluster_step(c, BACKUP, &failed);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 0);
	cluster_free(c);
}

/* A takeover begins while the copies go with the mode, some are gone already, and most are not. */
static struct cluster *takeover_amid_a_sweep(void)
{
	struct cluster *c = cluster_warm_new(2);

	create(c, PRIMARY, 0, 2000);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	c->nodes[BACKUP].holds_copies_back = true;
	cluster_make_warm(c, BACKUP, false);
	cluster_step(c, BACKUP, &(struct node_event){.type = NODE_FOREIGN_RUN, .acts_max = 100});
	cluster_step(c, BACKUP, &(struct node_event){.type = NODE_TAKEOVER});
	c->nodes[BACKUP].holds_copies_back = false;
	cluster_run_us(c, SECOND_US);
	return c;
}

/* The commit finds them as they are to be, and leaves them alone. */
static void a_takeover_keeps_the_copies_that_were_to_go_with_the_mode(void **state)
{
	struct cluster *c = takeover_amid_a_sweep();
	size_t left = cluster_kernel_count(c, BACKUP);
	(void)state;

	assert_in_range(left, 1900, 1999);
	cluster_step(c, BACKUP, &(struct node_event){.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY});
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_kernel_count(c, BACKUP), left);
	assert_int_equal(cluster_internal_count(c, BACKUP), left);
	cluster_free(c);

	c = takeover_amid_a_sweep();
	cluster_step(c, BACKUP, &(struct node_event){.type = NODE_TAKEOVER_FAILED});
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_kernel_count(c, BACKUP), 0);
	cluster_free(c);
}

static void what_is_still_to_be_adopted_is_not_deleted_for_its_former_owner(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct node_event takeover = {.type = NODE_TAKEOVER},
			  role = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};
	struct flow ended = cluster_flow(5);
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		c->nodes[i].config.active_active = true;
		cluster_make_warm(c, i, true);
		cluster_step(c, i, &role);
	}
	create(c, PRIMARY, 0, 10);
	c->nodes[BACKUP].holds_copies_back = true;
	cluster_flow_destroy(c, PRIMARY, &ended); /* is told between two slices of the adoption, say */
	cluster_run_us(c, SECOND_US);
	cluster_step(c, BACKUP, &takeover);
	cluster_step(c, BACKUP, &role);
	c->nodes[BACKUP].holds_copies_back = false;
	cluster_warm_run(&c->nodes[BACKUP]);
	assert_true(cluster_is_in_kernel(c, BACKUP, 5));
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_internal_count(c, BACKUP), 10);
	cluster_free(c);
}

static bool refuses_all(const struct flow *flow)
{
	(void)flow;
	return true;
}

/* More than can be noted: all tables are looked through again, but not without a pause. */
static void a_takeover_comes_to_an_end_whatever_the_kernel_refuses(void **state)
{
	struct cluster *c = cluster_warm_new(2);
	struct cluster_node *backup = &c->nodes[BACKUP];
	struct node_event takeover = {.type = NODE_TAKEOVER};
	struct node_foreign_view view;
	uint64_t before;
	(void)state;

	backup->refuses = refuses_all;
	create(c, PRIMARY, 0, 20000);
	before = backup->acts[NODE_FOREIGN_INSTALL];
	cluster_run_us(c, 10 * SECOND_US);
	assert_in_range(backup->acts[NODE_FOREIGN_INSTALL] - before, 20000, 12 * 40000);
	before = backup->acts[NODE_FOREIGN_INSTALL];
	cluster_step(c, BACKUP, &takeover);
	node_foreign_view(backup->node, &view);
	assert_true(view.takeover_is_behind); /* each is tried once more */
	cluster_warm_run(backup);
	node_foreign_view(backup->node, &view);
	assert_false(view.takeover_is_behind);
	assert_in_range(backup->acts[NODE_FOREIGN_INSTALL] - before, 20000, 40000);
	cluster_free(c);
}

/* Of any mode: what the kernel did while we committed, and did not tell, is made good before anything is
 * proven. */
static void an_overrun_during_a_commit_is_made_good(void **state)
{
	struct cluster *c = cluster_new(3, 7);
	struct node_event overrun = {.type = NODE_OVERRUN_ENDED}, takeover = {.type = NODE_TAKEOVER},
			  role = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};
	struct node_view view;
	(void)state;

	cluster_role(c, PRIMARY, FRAME_ROLE_PRIMARY);
	create(c, PRIMARY, 0, 200);
	cluster_stop(c, PRIMARY);
	cluster_run_us(c, 2 * SECOND_US);
	cluster_step(c, BACKUP, &takeover);
	for (uint32_t i = 0; i < 200; i++) {
		struct flow flow = cluster_flow(i);
		struct node_event committed = {.type = NODE_FLOW_COMMITTED, .flow = &flow};

		cluster_kernel_put(c, BACKUP, &flow);
		cluster_step(c, BACKUP, &committed);
		if (i % 2 == 0) /* it ends at once, and nobody tells */
			cluster_kernel_remove(c, BACKUP, &flow);
		if (i == 100)
			cluster_step(c, BACKUP, &overrun);
	}
	cluster_step(c, BACKUP, &role);
	node_view(c->nodes[BACKUP].node, c->now, &view);
	assert_true(view.suspect);
	cluster_run_us(c, 5 * SECOND_US);
	node_view(c->nodes[BACKUP].node, c->now, &view);
	assert_false(view.suspect);
	assert_int_equal(cluster_internal_count(c, BACKUP), 100);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5 * SECOND_US));
	assert_int_equal(table_count(node_external(c->nodes[THIRD].node, 2)), 100);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_overrun_during_a_commit_is_made_good),
	    cmocka_unit_test(a_late_takeover_has_what_ran_out_here_before_its_time),
	    cmocka_unit_test(a_takeover_makes_the_copies_its_own_and_nobody_takes_it_for_whole_before),
	    cmocka_unit_test(an_event_about_a_flow_that_is_not_adopted_yet_is_not_lost),
	    cmocka_unit_test(an_expectation_of_a_flow_that_is_not_adopted_yet_is_not_lost),
	    cmocka_unit_test(what_is_still_to_come_to_the_kernel_holds_a_takeover_up),
	    cmocka_unit_test(who_gives_the_role_away_keeps_the_flows_as_copies),
	    cmocka_unit_test(a_role_given_away_before_all_is_adopted_loses_nothing),
	    cmocka_unit_test(adoption_takes_its_time_while_it_is_primary),
	    cmocka_unit_test(with_two_primaries_each_takeover_makes_the_copies_its_own),
	    cmocka_unit_test(a_takeover_ends_in_the_mode_that_it_began_in),
	    cmocka_unit_test(a_takeover_keeps_the_copies_that_were_to_go_with_the_mode),
	    cmocka_unit_test(what_is_still_to_be_adopted_is_not_deleted_for_its_former_owner),
	    cmocka_unit_test(a_takeover_comes_to_an_end_whatever_the_kernel_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
