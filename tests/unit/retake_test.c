/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two were primary, and one gave way: who takes over again, when, and what it does not take. */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { A, B, C };

static struct cluster *start(unsigned nodes, bool active_active)
{
	struct cluster *c = cluster_new(nodes, 5);

	for (unsigned i = 0; i < nodes; i++)
		c->nodes[i].config.active_active = active_active;
	assert_true(cluster_boot(c));
	return c;
}

/* In the state that they have then: closed, or established, when they only fell silent. */
static void destroy(struct cluster *c, unsigned node, uint32_t first, uint32_t count,
		    enum flow_tcp_state tcp_state)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow f = cluster_flow(i);

		f.tcp.state = (uint8_t)tcp_state;
		cluster_flow_destroy(c, node, &f);
	}
}

static bool has_ended(struct cluster *c, unsigned node, uint32_t flow)
{
	struct flow f = cluster_flow(flow);
	uint8_t key[RECORD_KEY_MAX];

	return node_has_ended(c->nodes[node].node, NULL,
			      (struct record_key){key, record_encode_key(&f, key)});
}

/* `first` is primary with flows 0.. that all hold; in the dark `second` takes over, too, and gets 1000.. */
static void two_primaries(struct cluster *c, unsigned first, unsigned second)
{
	cluster_role(c, first, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, first, 0, 50);
	cluster_run_us(c, 1000000);
	c->dark = true;
	cluster_run_us(c, 3000000);
	cluster_role(c, second, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, second, 1000, 30);
	cluster_run_us(c, 1000000);
	c->dark = false;
	cluster_run_us(c, 1000000);
}

static void nobody_takes_over_again_while_both_are_primary(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	two_primaries(c, A, B);
	assert_true(cluster_view(c, A).split_brain && cluster_view(c, B).split_brain);
	assert_false(cluster_view(c, A).must_retake);
	assert_false(cluster_view(c, B).must_retake);
	cluster_free(c);
}

static void the_older_primary_takes_over_again_once(void **state)
{
	struct cluster *c = start(2, false);
	struct node_event takeover = {.type = NODE_TAKEOVER};
	uint32_t term;

	(void)state;
	two_primaries(c, A, B);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	term = cluster_view(c, A).term;
	assert_true(cluster_view(c, A).must_retake);
	assert_false(cluster_view(c, B).must_retake); /* it is no primary */
	cluster_step(c, A, &takeover);
	assert_false(cluster_view(c, A).must_retake); /* it does so already */
	cluster_step(c, A, &(struct node_event){.type = NODE_TAKEOVER_FAILED});
	assert_true(cluster_view(c, A).must_retake);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_false(cluster_view(c, A).must_retake); /* though the other is still frozen */
	assert_true(cluster_view(c, A).term > term && cluster_view(c, A).term > cluster_view(c, B).term);
	cluster_run_us(c, 5000000);
	assert_true(cluster_is_in_sync(c));
	assert_int_equal(table_count(c->nodes[A].kernel), 80);
	assert_int_equal(table_count(c->nodes[B].kernel), 0);
	cluster_free(c);
}

static void the_newer_primary_follows_and_does_not_take_over_again(void **state)
{
	struct cluster *c = start(2, false);
	uint32_t term;

	(void)state;
	two_primaries(c, A, B);
	term = cluster_view(c, B).term;
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	for (unsigned i = 0; i < 50; i++) {
		cluster_run_us(c, 50000);
		assert_false(cluster_view(c, B).must_retake);
	}
	assert_int_equal(cluster_view(c, B).term, term);
	cluster_free(c);
}

/* Both took over in the dark and have one term: the lower id yields, so it is the older one. */
static void of_equal_terms_the_lower_id_takes_over_again(void **state)
{
	(void)state;
	for (unsigned yields = A; yields <= B; yields++) {
		struct cluster *c = start(2, false);

		c->dark = true;
		cluster_run_us(c, 3000000);
		cluster_role(c, A, FRAME_ROLE_PRIMARY);
		cluster_role(c, B, FRAME_ROLE_PRIMARY);
		assert_int_equal(cluster_view(c, A).term, cluster_view(c, B).term);
		cluster_flows_new(c, A, 0, 10);
		cluster_flows_new(c, B, 1000, 10);
		cluster_run_us(c, 1000000);
		c->dark = false;
		cluster_run_us(c, 1000000);
		cluster_role(c, yields, FRAME_ROLE_BACKUP);
		cluster_run_us(c, 300000);
		assert_int_equal(cluster_view(c, A).must_retake, yields == B);
		assert_false(cluster_view(c, B).must_retake);
		cluster_free(c);
	}
}

static void not_while_a_third_node_is_primary(void **state)
{
	struct cluster *c = start(3, false);

	(void)state;
	two_primaries(c, A, B);
	cluster_role(c, C, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_false(cluster_view(c, A).must_retake); /* that is for the newest one */
	cluster_role(c, C, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_true(cluster_view(c, A).must_retake);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(table_count(c->nodes[A].kernel), 80);
	cluster_free(c);
}

static void what_a_newer_primary_left_when_it_rebooted_is_taken(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	two_primaries(c, A, B);
	cluster_reboot(c, B);
	cluster_run_us(c, 3000000);
	assert_true(cluster_view(c, A).must_retake);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_int_equal(table_count(c->nodes[A].kernel), 80);
	cluster_run_us(c, 1000000);
	assert_false(cluster_view(c, A).must_retake);
	cluster_free(c);
}

static void two_actives_never_take_over_again(void **state)
{
	struct cluster *c = start(2, true);
	uint32_t term;

	(void)state;
	two_primaries(c, A, B);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	assert_false(cluster_view(c, A).must_retake);
	term = cluster_view(c, A).term;
	cluster_role(c, A, FRAME_ROLE_PRIMARY); /* `primary` once more */
	assert_int_equal(cluster_view(c, A).term, term);
	cluster_free(c);
}

static void what_was_closed_here_since_is_not_taken(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	two_primaries(c, A, B);
	destroy(c, A, 0, 20, FLOW_TCP_TIME_WAIT);
	cluster_run_us(c, 500000);
	assert_true(has_ended(c, A, 5));
	assert_false(has_ended(c, A, 25));   /* lives here */
	assert_false(has_ended(c, A, 1005)); /* was never here */
	assert_false(has_ended(c, B, 5));    /* lives there */
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(table_count(c->nodes[A].kernel), 60);
	cluster_free(c);
}

/* The same ports, used again at the other after it had heard of the end. */
static void what_began_anew_there_since_is_taken(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 10);
	cluster_run_us(c, 1000000);
	destroy(c, A, 0, 10, FLOW_TCP_TIME_WAIT);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	assert_true(has_ended(c, A, 5)); /* for any other */
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(table_count(c->nodes[A].kernel), 10);
	cluster_free(c);
}

/* The same, when the other took over before it had said that it knows. */
static void what_began_anew_there_is_taken_also_if_it_said_nothing_between(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 20);
	cluster_run_us(c, 1000000);
	destroy(c, A, 0, 10, FLOW_TCP_TIME_WAIT);
	for (unsigned i = 0; cluster_held(c, B, A) > 10; i++) {
		assert_true(i < 1000);
		cluster_run_us(c, 10);
	}
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, B, 0, 10);
	cluster_run_us(c, 1000000);
	destroy(c, A, 10, 10, FLOW_TCP_TIME_WAIT); /* these B took, and knows of their end later */
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(table_count(c->nodes[A].kernel), 10);
	cluster_free(c);
}

/* It may live on at the other. */
static void what_only_fell_silent_here_is_taken(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	two_primaries(c, A, B);
	destroy(c, A, 0, 20, FLOW_TCP_ESTABLISHED);
	cluster_run_us(c, 500000);
	assert_false(has_ended(c, A, 5));
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(table_count(c->nodes[A].kernel), 80);
	cluster_free(c);
}

/* Its packets went to the other, and made no event there; it runs out here, seen or in the dark. */
static void what_fell_silent_at_the_heir_comes_back(void **state)
{
	(void)state;
	for (unsigned dark = 0; dark < 2; dark++) {
		struct cluster *c = start(2, false);

		two_primaries(c, A, B);
		c->dark = dark;
		cluster_run_us(c, 2000000);
		destroy(c, B, 0, 20, FLOW_TCP_ESTABLISHED);
		destroy(c, B, 20, 10, FLOW_TCP_TIME_WAIT);
		cluster_run_us(c, 1000000);
		assert_int_equal(table_count(c->nodes[B].kernel), 50);
		c->dark = false;
		cluster_run_us(c, 3000000);
		assert_true(cluster_view(c, A).split_brain && cluster_view(c, B).split_brain);
		assert_int_equal(table_count(c->nodes[B].kernel), 50); /* not before the other gives way */
		cluster_role(c, A, FRAME_ROLE_BACKUP);
		cluster_run_us(c, 3000000);
		assert_int_equal(table_count(c->nodes[B].kernel), 70); /* and what was closed stays so */
		assert_int_equal(table_count(c->nodes[A].kernel), 0);
		assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
		cluster_free(c);
	}
}

/* What ended before has another owner by now, who may have had it anew. */
/* Its packets come here from now on. */
static void what_fell_silent_at_the_heir_comes_back_when_the_other_dies(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
	destroy(c, B, 0, 10, FLOW_TCP_ESTABLISHED);
	destroy(c, B, 10, 10, FLOW_TCP_TIME_WAIT);
	destroy(c, A, 0, 2, FLOW_TCP_ESTABLISHED); /* there, too */
	cluster_run_us(c, 1000000);
	assert_int_equal(cluster_kernel_count(c, B), 30);
	cluster_stop(c, A);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	assert_int_equal(cluster_kernel_count(c, B), 38);
	cluster_free(c);
}

/* It died before the takeover: what falls silent here while it still counts as alive lives nowhere. */
static void but_not_when_the_other_was_dead_all_the_time(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 50);
	cluster_run_us(c, 1000000);
	cluster_stop(c, A);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	destroy(c, B, 0, 10, FLOW_TCP_ESTABLISHED);
	cluster_run_us(c, 5000000);
	assert_int_equal(cluster_held(c, B, A), 0);
	assert_int_equal(cluster_kernel_count(c, B), 40);
	cluster_free(c);
}

/* Nobody told when: it may have gone on elsewhere since. */
static void what_an_audit_finds_gone_is_not_known_to_have_ended(void **state)
{
	struct cluster *c = start(2, false);
	struct flow flow = cluster_flow(5);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 10);
	flow.tcp.state = FLOW_TCP_FIN_WAIT;
	cluster_flow_update(c, A, &flow);
	cluster_run_us(c, 500000);
	cluster_kernel_remove(c, A, &flow);
	cluster_audit(c, A);
	cluster_run_us(c, 500000);
	assert_int_equal(cluster_internal_count(c, A), 9);
	assert_false(has_ended(c, A, 5));
	cluster_free(c);
}

static void what_had_ended_before_we_were_primary_is_taken(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 10);
	cluster_run_us(c, 500000);
	destroy(c, A, 0, 10, FLOW_TCP_CLOSE);
	cluster_run_us(c, 500000);
	assert_true(has_ended(c, A, 5));
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	assert_false(has_ended(c, A, 5));
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, B, 0, 10);
	cluster_run_us(c, 2000000);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	assert_false(has_ended(c, A, 5));
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(table_count(c->nodes[A].kernel), 10);
	cluster_free(c);
}

static void what_was_withdrawn_has_not_ended(void **state)
{
	struct cluster *c = start(2, false);

	(void)state;
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 10);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3000000);
	assert_int_equal(table_count(c->nodes[A].kernel), 0); /* its leftovers are gone */
	cluster_step(c, A, &(struct node_event){.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY});
	assert_false(has_ended(c, A, 5));
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_takes_over_again_while_both_are_primary),
	    cmocka_unit_test(the_older_primary_takes_over_again_once),
	    cmocka_unit_test(the_newer_primary_follows_and_does_not_take_over_again),
	    cmocka_unit_test(of_equal_terms_the_lower_id_takes_over_again),
	    cmocka_unit_test(not_while_a_third_node_is_primary),
	    cmocka_unit_test(what_a_newer_primary_left_when_it_rebooted_is_taken),
	    cmocka_unit_test(two_actives_never_take_over_again),
	    cmocka_unit_test(what_was_closed_here_since_is_not_taken),
	    cmocka_unit_test(what_began_anew_there_since_is_taken),
	    cmocka_unit_test(what_began_anew_there_is_taken_also_if_it_said_nothing_between),
	    cmocka_unit_test(what_only_fell_silent_here_is_taken),
	    cmocka_unit_test(what_fell_silent_at_the_heir_comes_back),
	    cmocka_unit_test(what_fell_silent_at_the_heir_comes_back_when_the_other_dies),
	    cmocka_unit_test(but_not_when_the_other_was_dead_all_the_time),
	    cmocka_unit_test(what_an_audit_finds_gone_is_not_known_to_have_ended),
	    cmocka_unit_test(what_had_ended_before_we_were_primary_is_taken),
	    cmocka_unit_test(what_was_withdrawn_has_not_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
