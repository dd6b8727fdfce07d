/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Warm mode: whose a flow is when two have it, and a kernel without room for all. */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND_US = 1000000, A = 0, B = 1 };

static struct cluster *warm_pair(void)
{
	struct cluster *c = cluster_new(2, 7);

	for (unsigned i = A; i <= B; i++) {
		struct node_event event = {.type = NODE_CONFIGURE, .config = &c->nodes[i].config};

		c->nodes[i].config.warm = true;
		cluster_step(c, i, &event);
		cluster_role(c, i, FRAME_ROLE_BACKUP);
	}
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5 * SECOND_US));
	return c;
}

static bool refuses_all(const struct flow *flow)
{
	(void)flow;
	return true;
}

static struct node_foreign_view warm_view(struct cluster *c, unsigned node)
{
	struct node_foreign_view view;

	node_foreign_view(c->nodes[node].node, &view);
	return view;
}

static void what_a_new_primary_names_is_no_flow_of_the_backups_own_any_more(void **state)
{
	struct cluster *c = warm_pair();

	(void)state;
	cluster_flows_new(c, B, 0, 10);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(table_count(node_internal(c->nodes[B].node)), 10);
	cluster_role(c, A, FRAME_ROLE_PRIMARY); /* takes them from B, and does not end them there */
	cluster_run_us(c, SECOND_US);
	assert_int_equal(table_count(node_internal(c->nodes[B].node)), 0);
	assert_int_equal(warm_view(c, B).flows, 10);
	assert_int_equal(cluster_kernel_count(c, B), 10);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5 * SECOND_US));
	cluster_free(c);
}

static void what_ends_here_and_a_peer_has_comes_back_as_a_copy_unless_it_was_closed(void **state)
{
	struct cluster *c = warm_pair();

	(void)state;
	for (uint32_t i = 0; i < 10; i++) { /* both see its packets */
		struct flow flow = cluster_flow(i);

		cluster_flow_new(c, A, &flow);
		cluster_flow_new(c, B, &flow);
	}
	cluster_run_us(c, SECOND_US);
	assert_int_equal(table_count(node_internal(c->nodes[B].node)), 10);
	for (uint32_t i = 0; i < 10; i++) {
		struct flow flow = cluster_flow(i);

		if (i >= 6)
			flow.tcp.state = FLOW_TCP_TIME_WAIT;
		cluster_flow_destroy(c, B, &flow);
	}
	cluster_run_us(c, SECOND_US);
	assert_int_equal(table_count(node_internal(c->nodes[B].node)), 0);
	assert_int_equal(cluster_kernel_count(c, B), 6);
	assert_int_equal(warm_view(c, B).flows, 6);
	cluster_free(c);
}

/* Each carries its own: what closes here, another may carry on. */
static void of_two_active_nodes_also_what_was_closed_comes_back_while_the_other_has_it(void **state)
{
	struct cluster *c = warm_pair();
	struct flow flow = cluster_flow(0);

	(void)state;
	for (unsigned i = A; i <= B; i++) {
		struct node_event event = {.type = NODE_CONFIGURE, .config = &c->nodes[i].config};

		c->nodes[i].config.active_active = true;
		cluster_step(c, i, &event);
		cluster_flow_new(c, i, &flow);
	}
	cluster_run_us(c, SECOND_US);
	flow.tcp.state = FLOW_TCP_TIME_WAIT;
	cluster_flow_destroy(c, B, &flow);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(cluster_kernel_count(c, B), 1);
	assert_int_equal(warm_view(c, B).flows, 1);
	cluster_free(c);
}

/* It gives the role away before it has read its kernel, and a peer that is no primary has the same flows. */
static void what_a_restarted_primary_has_is_its_own(void **state)
{
	struct cluster *c = warm_pair();

	(void)state;
	cluster_flows_new(c, A, 0, 10);
	cluster_run_us(c, SECOND_US);
	cluster_stop(c, B);
	assert_int_equal(cluster_kernel_count(c, B), 10);
	c->nodes[B].config.own_term = 1;
	c->nodes[B].config.leftovers = true;
	c->nodes[B].reads_late = true;
	cluster_restart(c, B);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, SECOND_US);
	cluster_audit(c, B);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(table_count(node_internal(c->nodes[B].node)), 10);
	assert_int_equal(warm_view(c, B).flows, 0);
	assert_string_equal(cluster_view(c, B).handover, "frozen");
	cluster_free(c);
}

/* The owner keeps what nobody else has: its leftovers are not withdrawn. */
static void a_takeover_whose_kernel_has_no_room_claims_nothing(void **state)
{
	struct cluster *c = warm_pair();
	struct node_claim_view claim;

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 50);
	cluster_run_us(c, SECOND_US);
	c->nodes[B].refuses = refuses_all;
	c->nodes[B].is_full = true;
	cluster_flows_new(c, A, 100, 20);
	cluster_run_us(c, SECOND_US);
	assert_int_equal(warm_view(c, B).missing, 20);
	assert_int_equal(warm_view(c, B).no_room, 0);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_in_range(warm_view(c, B).no_room, 20, 40);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3 * SECOND_US);
	node_claim_view(c->nodes[B].node, 0, &claim);
	assert_int_equal(claim.version, 0);
	assert_string_equal(cluster_view(c, A).handover, "frozen");
	assert_int_equal(cluster_kernel_count(c, A), 70);
	assert_int_equal(cluster_kernel_count(c, B), 50);
	cluster_free(c);
}

/* To a kernel that has rebooted it is the first under that key, as the one before was to the kernel of
 * before. */
static void a_connection_opened_anew_after_its_owners_reboot_replaces_the_copy(void **state)
{
	struct cluster *c = warm_pair();
	struct flow flow = cluster_flow(0), found;

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 1);
	flow.tcp.state = FLOW_TCP_TIME_WAIT;
	cluster_flow_update(c, A, &flow);
	cluster_run_us(c, SECOND_US);
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10 * SECOND_US));
	assert_true(cluster_is_in_kernel(c, B, 0));
	flow.tcp.state = FLOW_TCP_SYN_RECV;
	cluster_flow_new(c, A, &flow);
	cluster_run_us(c, SECOND_US);
	record_decode(cluster_kernel_find(&c->nodes[B], &flow)->bytes, &found);
	assert_int_equal(found.tcp.state, FLOW_TCP_SYN_RECV);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_new_primary_names_is_no_flow_of_the_backups_own_any_more),
	    cmocka_unit_test(what_ends_here_and_a_peer_has_comes_back_as_a_copy_unless_it_was_closed),
	    cmocka_unit_test(of_two_active_nodes_also_what_was_closed_comes_back_while_the_other_has_it),
	    cmocka_unit_test(what_a_restarted_primary_has_is_its_own),
	    cmocka_unit_test(a_takeover_whose_kernel_has_no_room_claims_nothing),
	    cmocka_unit_test(a_connection_opened_anew_after_its_owners_reboot_replaces_the_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
