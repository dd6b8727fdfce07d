/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes of different versions.  Node 1 is the newer one: its flows have attributes that the others do not
 * know, or its datagrams bear a later version of the protocol.
 */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { FLOWS = 50, LATER_SKIPPABLE = 0x9a, LATER_CRITICAL = 0x2a };

static int setup(void **state)
{
	struct cluster *c = cluster_new(3, 3);

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	*state = c;
	return 0;
}

/* As a later version's record: record_encode() writes what is in `extra` as it is. */
static struct flow later_flow(uint32_t i, uint8_t type, uint8_t value)
{
	struct flow f = cluster_flow(i);

	f.extra[0] = type;
	f.extra[1] = 2;
	f.extra[2] = 0xbe;
	f.extra[3] = value;
	f.extra_length = 4;
	return f;
}

static void create_flows(struct cluster *c, uint8_t type)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow f = i % 5 ? cluster_flow(i) : later_flow(i, type, (uint8_t)i);

		cluster_flow_new(c, 0, &f);
	}
}

static void a_skippable_attribute_passes_as_it_is_and_is_hashed(void **state)
{
	struct cluster *c = *state;
	const struct table *own = node_internal(c->nodes[0].node);
	struct table_walk walk;
	const struct table_entry *entry;
	unsigned seen = 0;

	create_flows(c, LATER_SKIPPABLE);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000)); /* equal by count and digest */
	for (unsigned holder = 1; holder < 3; holder++) {
		const struct table *copy = node_external(c->nodes[holder].node, 1);

		walk = table_walk_after(copy, 0, false);
		while ((entry = table_walk_next(&walk))) {
			const struct table_entry *there = table_find(own, record_key(entry->bytes));
			struct flow f;

			assert_non_null(there);
			assert_memory_equal(entry->bytes, there->bytes, record_length(there->bytes));
			record_decode(entry->bytes, &f);
			seen += f.extra_length == 4 && f.extra[0] == LATER_SKIPPABLE;
		}
		assert_false(cluster_peer_view(c, holder, 0).incompatible);
	}
	assert_int_equal(seen, 2 * FLOWS / 5);
}

static void a_change_of_a_skippable_attribute_alone_is_a_change(void **state)
{
	struct cluster *c = *state;
	struct flow f = later_flow(0, LATER_SKIPPABLE, 77), got;
	uint8_t key[RECORD_KEY_MAX];
	struct record_key k = {key, record_encode_key(&f, key)};
	uint64_t digest;

	create_flows(c, LATER_SKIPPABLE);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	digest = table_digest(node_external(c->nodes[1].node, 1));
	cluster_kernel_put(c, 0, &f);
	cluster_audit(c, 0);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	assert_true(digest != table_digest(node_external(c->nodes[1].node, 1)));
	record_decode(table_find(node_external(c->nodes[1].node, 1), k)->bytes, &got);
	assert_int_equal(got.extra[3], 77);
}

/* What an older node took over goes on with the attribute to a newer one. */
static void a_skippable_attribute_survives_a_takeover_by_a_node_that_does_not_know_it(void **state)
{
	struct cluster *c = *state;
	struct table_walk walk;
	const struct table_entry *entry;
	unsigned kept = 0;

	cluster_role(c, 0, FRAME_ROLE_PRIMARY);
	create_flows(c, LATER_SKIPPABLE);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_stop(c, 0);
	cluster_role(c, 1, FRAME_ROLE_PRIMARY);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	walk = table_walk_after(node_external(c->nodes[2].node, 2), 0, false);
	while ((entry = table_walk_next(&walk))) {
		struct flow f;

		record_decode(entry->bytes, &f);
		kept += f.extra_length == 4;
	}
	assert_int_equal(kept, FLOWS / 5);
}

static void a_critical_attribute_is_counted_and_both_say_why_they_are_not_in_sync(void **state)
{
	struct cluster *c = *state;
	struct node_peer_view view;

	create_flows(c, LATER_CRITICAL);
	cluster_run_us(c, 3000000);
	view = cluster_peer_view(c, 1, 0);
	assert_true(view.incompatible);
	assert_int_equal(view.flows_unreadable, FLOWS / 5);
	assert_int_equal(view.flows, FLOWS - FLOWS / 5); /* the others are held */
	assert_false(view.holds.in_sync);
	assert_non_null(strstr(view.holds.reason, "attributes that this version does not know"));
	assert_non_null(strstr(view.problem, "upgrade this node"));
	assert_non_null(strstr(c->nodes[1].last_log, "upgrade this node"));
	assert_true(view.resyncs_full <= 2); /* asking again would bring the same */
	view = cluster_peer_view(c, 0, 1);
	assert_false(view.held.in_sync);
	assert_non_null(strstr(view.held.reason, "does not know all attributes of our flows"));
	/* the other way, and among the others, nothing is amiss */
	assert_true(view.holds.in_sync);
	assert_true(cluster_peer_view(c, 1, 2).holds.in_sync && cluster_peer_view(c, 1, 2).held.in_sync);
}

static void without_those_flows_a_resync_brings_both_in_step_again(void **state)
{
	struct cluster *c = *state;

	create_flows(c, LATER_CRITICAL);
	cluster_run_us(c, 1000000);
	for (uint32_t i = 0; i < FLOWS; i += 5) {
		struct flow f = later_flow(i, LATER_CRITICAL, (uint8_t)i);

		cluster_flow_destroy(c, 0, &f);
	}
	for (unsigned i = 1; i < 3; i++) {
		struct node_event resync = {.type = NODE_RESYNC};

		cluster_step(c, i, &resync);
	}
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
}

/* ---- another version of the protocol ---- */

enum { AT_VERSION = 4 };

/* Node 3 speaks the next version: that is what the others hear, and to it they speak the one before. */
static bool node_3_is_of_the_next_version(void *context, struct cluster_packet *packet)
{
	(void)context;
	if (packet->from == 2)
		packet->bytes[AT_VERSION]++;
	else if (packet->to == 2)
		packet->bytes[AT_VERSION]--;
	return true;
}

static struct node_stranger_view stranger_of(struct cluster *c, unsigned index, uint16_t id)
{
	struct node_stranger_view stranger = {0};
	struct node_view view;

	node_view(c->nodes[index].node, c->now, &view);
	for (unsigned i = 0; i < view.strangers; i++) {
		node_stranger_view(c->nodes[index].node, i, &stranger);
		if (stranger.id == id && stranger.drop == NODE_DROP_OTHER_VERSION)
			return stranger;
	}
	return (struct node_stranger_view){0};
}

static void another_version_of_the_protocol_is_refused_in_words_on_both_sides(void **state)
{
	struct cluster *c = *state;
	struct node_stranger_view stranger;
	struct node_view view;

	create_flows(c, LATER_SKIPPABLE);
	c->tamper = node_3_is_of_the_next_version;
	cluster_restart(c, 2);
	cluster_run_us(c, 3000000);
	stranger = stranger_of(c, 0, 3);
	assert_true(stranger.count > 5);
	assert_string_equal(stranger.problem,
			    "speaks version 2 of the protocol, newer than ours, 1: nothing of it is "
			    "taken; upgrade this node");
	assert_false(cluster_peer_view(c, 0, 2).alive);
	for (uint16_t id = 1; id < 3; id++) {
		stranger = stranger_of(c, 2, id);
		assert_true(stranger.count > 5);
		assert_string_equal(stranger.problem,
				    "speaks version 0 of the protocol, older than ours, 1: nothing of "
				    "it is taken; upgrade that one");
	}
	node_view(c->nodes[2].node, c->now, &view);
	assert_int_equal(view.peers, 0);
	assert_true(view.drops[NODE_DROP_OTHER_VERSION] > 10);
	/* those of one version go on */
	assert_true(cluster_peer_view(c, 1, 0).holds.in_sync && cluster_copy_equals(c, 1, 0));
	/* and when it has been upgraded, or put back, nothing is left of it */
	c->tamper = NULL;
	cluster_restart(c, 2);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 20000000));
}

int main(void)
{
#define PROMISE(test) cmocka_unit_test_setup_teardown(test, setup, cluster_teardown)
	const struct CMUnitTest tests[] = {
	    PROMISE(a_skippable_attribute_passes_as_it_is_and_is_hashed),
	    PROMISE(a_change_of_a_skippable_attribute_alone_is_a_change),
	    PROMISE(a_skippable_attribute_survives_a_takeover_by_a_node_that_does_not_know_it),
	    PROMISE(a_critical_attribute_is_counted_and_both_say_why_they_are_not_in_sync),
	    PROMISE(without_those_flows_a_resync_brings_both_in_step_again),
	    PROMISE(another_version_of_the_protocol_is_refused_in_words_on_both_sides),
	};
#undef PROMISE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
