/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a claim covers, and what not: nobody drops the only copy of a flow for it. */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, C };

static struct cluster *start(unsigned nodes)
{
	struct cluster *c = cluster_new(nodes, 12);

	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	return c;
}

static void create(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	cluster_flows_new(c, node, first, count);
	cluster_run_us(c, 1000000);
}

static void limit(struct cluster *c, unsigned index, uint32_t flows)
{
	struct node_event event = {.type = NODE_CONFIGURE, .config = &c->nodes[index].config};

	c->nodes[index].config.max_flows = flows;
	cluster_step(c, index, &event);
}

/* C has seen all that B, the primary, has to say, and still keeps what it had of A. */
static void expect_that_c_keeps_its_copy(struct cluster *c)
{
	assert_true(cluster_peer_view(c, C, B).holds.in_sync);
	assert_int_equal(cluster_held(c, C, A), 500);
	cluster_free(c);
}

/* B takes over 500 flows of A, and its kernel refuses one. */
static void take_over_all_but_one(struct cluster *c)
{
	struct node_event refused = {.type = NODE_FLOW_REFUSED};

	create(c, A, 0, 500);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_step(c, B, &refused);
}

static void a_copy_that_refused_flows_claims_nothing(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	limit(c, B, 100);
	create(c, A, 0, 500);
	assert_int_equal(cluster_held(c, B, A), 100);
	cluster_stop(c, A);
	limit(c, B, 1000); /* room for what it commits, but A is not there to be asked for the rest */
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 5000000);
	assert_int_equal(table_count(c->nodes[B].kernel), 100);
	expect_that_c_keeps_its_copy(c);
}

static void nor_does_one_that_was_flushed(void **state)
{
	struct cluster *c = start(3);
	struct node_event flush = {.type = NODE_FLUSH_EXTERNAL};

	(void)state;
	create(c, A, 0, 500);
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	cluster_step(c, B, &flush);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 5000000);
	expect_that_c_keeps_its_copy(c);
}

static void leftovers_stay_while_the_heir_has_no_room_for_all(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	limit(c, B, 100);
	create(c, A, 0, 500);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	assert_int_equal(table_count(c->nodes[A].kernel), 500);
	cluster_free(c);
}

static void nor_when_the_kernel_refuses_what_was_taken_over(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	take_over_all_but_one(c);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	assert_int_equal(table_count(c->nodes[A].kernel), 500);
	cluster_role(c, A, FRAME_ROLE_PRIMARY); /* what it left is all there */
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	assert_int_equal(table_count(c->nodes[A].kernel), 500);
	assert_int_equal(table_count(c->nodes[B].kernel), 0);
	cluster_free(c);
}

/* Its new session is claimed as far as it is held: but what was refused of the one before is not here. */
static void nor_when_its_owner_is_restarted_meanwhile(void **state)
{
	struct cluster *c = start(2);

	(void)state;
	take_over_all_but_one(c);
	c->nodes[A].config.leftovers = true;
	cluster_restart(c, A);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 5000000);
	assert_true(cluster_peer_view(c, B, A).holds.in_sync);
	assert_int_equal(table_count(c->nodes[A].kernel), 500);
	cluster_free(c);
}

static void what_a_rebooted_node_left_stays_while_our_kernel_has_no_room_for_all(void **state)
{
	struct cluster *c = start(2);
	struct node_event takeover = {.type = NODE_TAKEOVER}, refused = {.type = NODE_FLOW_REFUSED};
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};

	(void)state;
	create(c, A, 0, 200);
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_orphans(c, B, A), 200);
	cluster_step(c, B, &takeover);
	cluster_step(c, B, &refused);
	cluster_step(c, B, &primary);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_orphans(c, B, A), 200);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_role(c, B, FRAME_ROLE_PRIMARY); /* and there is room now */
	cluster_run_us(c, 3000000);
	assert_int_equal(table_count(c->nodes[B].kernel), 200);
	assert_int_equal(cluster_orphans(c, B, A), 0);
	cluster_free(c);
}

/* Heartbeats pass, flows do not. */
static bool drop_what_is_long(void *context, struct cluster_packet *packet)
{
	(void)context;
	return packet->from != A || packet->length < 600;
}

static void a_claim_does_not_cover_what_is_left_from_before_a_restart(void **state)
{
	struct cluster *c = start(3);

	(void)state;
	create(c, A, 0, 500);
	c->tamper = drop_what_is_long;
	cluster_restart(c, A);
	cluster_restart(c, B); /* and so has nothing of A */
	cluster_run_us(c, 1500000);
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	expect_that_c_keeps_its_copy(c);
}

/* Of the session that has only begun the claimant has as much as it has claimed, nothing; what it has from
 * before is all that there is, and its kernel had no room for it. */
static void a_void_claim_drops_no_copy_at_the_claimant_either(void **state)
{
	struct cluster *c = start(2);
	struct node_event refused = {.type = NODE_FLOW_REFUSED};

	(void)state;
	create(c, A, 0, 500);
	c->tamper = drop_what_is_long;
	cluster_restart(c, A);
	cluster_run_us(c, 1500000);
	cluster_step(c, B, &(struct node_event){.type = NODE_TAKEOVER});
	cluster_step(c, B, &refused);
	cluster_step(c, B, &(struct node_event){.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY});
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_held(c, B, A), 500);
	cluster_free(c);
}

/* A session that was claimed as far as it is held, because an earlier one was: no further than its time as
 * a primary that gives way. */
static void a_claim_does_not_cover_what_its_owner_gets_as_primary_again(void **state)
{
	struct cluster *c = start(2);
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};

	(void)state;
	create(c, A, 0, 100);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	c->nodes[A].config.own_term = 1;
	cluster_restart(c, A);
	cluster_step(c, A, &primary);
	cluster_audit(c, A);
	cluster_run_us(c, 3000000);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3000000);
	assert_int_equal(table_count(c->nodes[A].kernel), 0); /* it has given way, and withdrawn */
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	create(c, A, 1000, 50);
	cluster_stop(c, A);
	cluster_run_us(c, 4000000);
	assert_in_range(cluster_held(c, B, A), 50, 150);
	cluster_free(c);
}

enum { FIRST_LATE = 1000, LATE = 30000 };

/*
 * B hears A, and not the other way round: both take over in one term, and what begins at A meanwhile waits at
 * B, a walk of many slices, until the claim may be opened.  Then A goes, in a session of which nothing came.
 */
static void nothing_is_dropped_while_it_is_being_brought_over(void **state)
{
	struct cluster *c = cluster_new(2, 12);

	(void)state;
	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	c->nodes[B].muted = true;
	cluster_run_us(c, 300000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, FIRST_LATE, LATE);
	cluster_run_us(c, 600000);
	assert_int_equal(cluster_held(c, B, A), LATE);
	c->tamper = drop_what_is_long;
	c->nodes[A].config.own_term = 1;
	cluster_restart(c, A);
	cluster_step(c, A, &(struct node_event){.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY});
	c->nodes[B].muted = false;
	for (unsigned i = 0; i < 5000 && !cluster_kernel_count(c, B); i++)
		cluster_run_us(c, 1000);
	assert_in_range(cluster_kernel_count(c, B), 1, LATE - 1);
	cluster_step(c, A, &(struct node_event){.type = NODE_LEAVE});
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_kernel_count(c, B), LATE);
	assert_int_equal(cluster_held(c, B, A), 0);
	cluster_free(c);
}

static void nothing_is_dropped_while_it_is_being_committed(void **state)
{
	struct cluster *c = start(2);
	struct node_event takeover = {.type = NODE_TAKEOVER};
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	create(c, B, 0, 200);
	cluster_reboot(c, B); /* A, the older primary, takes over again */
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_orphans(c, A, B), 200);
	cluster_step(c, A, &takeover);
	cluster_run_us(c, 1000000);
	assert_int_equal(cluster_orphans(c, A, B), 200);
	cluster_step(c, A, &primary);
	cluster_run_us(c, 1000000);
	assert_int_equal(cluster_orphans(c, A, B), 0);
	cluster_free(c);
}

static void what_was_closed_here_has_ended_what_fell_silent_may_live_on_elsewhere(void **state)
{
	struct cluster *c = start(2);
	struct flow silent = cluster_flow(0), closed = cluster_flow(1);
	uint8_t key[RECORD_KEY_MAX];
	size_t length;

	(void)state;
	create(c, A, 0, 2);
	closed.tcp.state = FLOW_TCP_TIME_WAIT;
	cluster_flow_update(c, A, &closed);
	cluster_flow_destroy(c, A, &closed);
	cluster_flow_destroy(c, A, &silent);
	length = record_encode_key(&closed, key);
	assert_true(node_has_ended(c->nodes[A].node, NULL, (struct record_key){key, length}));
	length = record_encode_key(&silent, key);
	assert_false(node_has_ended(c->nodes[A].node, NULL, (struct record_key){key, length}));
	cluster_flow_new(c, A, &closed); /* the ports are used again */
	cluster_run_us(c, 1000000);
	length = record_encode_key(&closed, key);
	assert_false(node_has_ended(c->nodes[A].node, NULL, (struct record_key){key, length}));
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_copy_that_refused_flows_claims_nothing),
	    cmocka_unit_test(nor_does_one_that_was_flushed),
	    cmocka_unit_test(leftovers_stay_while_the_heir_has_no_room_for_all),
	    cmocka_unit_test(nor_when_the_kernel_refuses_what_was_taken_over),
	    cmocka_unit_test(nor_when_its_owner_is_restarted_meanwhile),
	    cmocka_unit_test(what_a_rebooted_node_left_stays_while_our_kernel_has_no_room_for_all),
	    cmocka_unit_test(a_claim_does_not_cover_what_is_left_from_before_a_restart),
	    cmocka_unit_test(a_void_claim_drops_no_copy_at_the_claimant_either),
	    cmocka_unit_test(a_claim_does_not_cover_what_its_owner_gets_as_primary_again),
	    cmocka_unit_test(nothing_is_dropped_while_it_is_being_brought_over),
	    cmocka_unit_test(nothing_is_dropped_while_it_is_being_committed),
	    cmocka_unit_test(what_was_closed_here_has_ended_what_fell_silent_may_live_on_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
