/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cluster *cluster_of(void **state)
{
	return *state;
}

static int setup(void **state)
{
	*state = cluster_new(2, 42);
	return 0;
}

static void create_flows(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	cluster_flows_new_paced(c, node, first, count, 50, 1000);
}

static void destroy_flows(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	cluster_flows_destroy_paced(c, node, first, count, 50, 1000);
}

static void two_nodes_find_each_other_and_prove_it(void **state)
{
	struct cluster *c = cluster_of(state);

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	assert_int_equal(cluster_peer_view(c, 0, 1).resyncs_full, 1);
}

static void a_flow_goes_to_the_peer_and_its_end_too(void **state)
{
	struct cluster *c = cluster_of(state);
	struct flow f = cluster_flow(7);

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_flow_new(c, 0, &f);
	cluster_run_us(c, 5000);
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 1);
	cluster_flow_destroy(c, 0, &f);
	cluster_run_us(c, 5000);
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 0);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 1000000));
}

static void what_existed_before_the_peer_came_reaches_it(void **state)
{
	struct cluster *c = cluster_of(state);

	cluster_stop(c, 1);
	create_flows(c, 0, 0, 20000);
	cluster_restart(c, 1);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 20000);
}

static void random_loss_is_repaired(void **state)
{
	static const unsigned losses[] = {1, 5, 20};
	struct cluster *c = cluster_of(state);

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	for (unsigned i = 0; i < 3; i++) {
		c->loss_percent = losses[i];
		create_flows(c, 0, i * 20000, 20000);
		destroy_flows(c, 0, i * 20000, 15000);
		c->loss_percent = 0;
		assert_true(cluster_run_until(c, cluster_is_in_sync, 3000000));
	}
	assert_int_equal(cluster_peer_view(c, 1, 0).divergences, 0);
	assert_int_equal(cluster_peer_view(c, 1, 0).resyncs_full, 1);
}

static void an_outage_leaves_nothing_stale(void **state)
{
	struct cluster *c = cluster_of(state);

	create_flows(c, 0, 0, 30000);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	c->dark = true;
	cluster_run_us(c, 3000000);
	assert_false(cluster_peer_view(c, 1, 0).holds.in_sync);
	destroy_flows(c, 0, 0, 30000);
	create_flows(c, 0, 100000, 10000);
	c->dark = false;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 10000);
	assert_true(cluster_peer_view(c, 1, 0).resyncs_partial >= 1);
	assert_int_equal(cluster_peer_view(c, 1, 0).resyncs_full, 1);
}

static void an_outage_beyond_the_tombstones_takes_a_full_catch_up(void **state)
{
	struct cluster *c = cluster_of(state);

	create_flows(c, 0, 0, 80000);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	c->dark = true;
	cluster_run_us(c, 3000000);
	destroy_flows(c, 0, 0, 79000);
	c->dark = false;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 8000000));
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 1000);
	assert_int_equal(cluster_peer_view(c, 1, 0).resyncs_full, 2);
}

static void a_restarted_owner_loses_nothing_at_the_peer_meanwhile(void **state)
{
	struct cluster *c = cluster_of(state);

	create_flows(c, 0, 0, 5000);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_stop(c, 0);
	cluster_run_us(c, 500000);
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 5000);
	cluster_restart(c, 0);
	for (unsigned i = 0; i < 5000; i++) {
		cluster_run_us(c, 1000);
		assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 5000);
		if (cluster_is_in_sync(c))
			return;
	}
	fail_msg("not in sync");
}

static void a_flow_that_ended_while_the_owner_was_down_is_swept(void **state)
{
	struct cluster *c = cluster_of(state);
	struct flow f = cluster_flow(3);

	create_flows(c, 0, 0, 100);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_stop(c, 0);
	cluster_kernel_remove(c, 0, &f);
	cluster_restart(c, 0);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 99);
}

static void an_audit_finds_what_no_event_told(void **state)
{
	struct cluster *c = cluster_of(state);
	struct flow gone = cluster_flow(1), unknown = cluster_flow(1000);

	create_flows(c, 0, 0, 10);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_kernel_remove(c, 0, &gone);
	cluster_kernel_put(c, 0, &unknown);
	cluster_audit(c, 0);
	cluster_run_us(c, 300000);
	assert_true(cluster_is_in_sync(c));
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 10);
	for (unsigned i = 0; i < 2; i++)
		assert_true(cluster_copy_equals(c, 1, 0));
}

static void an_overrun_makes_suspect_until_an_audit_is_clean(void **state)
{
	struct cluster *c = cluster_of(state);
	struct node_view view;

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_overrun(c, 0);
	node_view(c->nodes[0].node, c->now, &view);
	assert_true(view.suspect);
	assert_false(cluster_peer_view(c, 0, 1).held.in_sync);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 1000000));
}

static void two_nodes_with_one_id_say_so_and_apply_nothing(void **state)
{
	struct cluster *c = cluster_of(state);
	struct node_view view;

	c->nodes[1].config.id = 1;
	cluster_restart(c, 1);
	create_flows(c, 0, 0, 10);
	cluster_run_us(c, 3000000);
	for (unsigned i = 0; i < 2; i++) {
		node_view(c->nodes[i].node, c->now, &view);
		assert_true(view.duplicate_id);
		assert_null(node_external(c->nodes[i].node, 1));
	}
}

static void a_peer_with_another_key_changes_nothing_and_is_named(void **state)
{
	static const uint8_t other[SEAL_KEY_SIZE] = {9};
	struct cluster *c = cluster_of(state);
	struct node_stranger_view stranger;
	struct node_view view;

	memset(&c->nodes[1].config.ring, 0, sizeof(c->nodes[1].config.ring));
	seal_ring_add(&c->nodes[1].config.ring, other);
	cluster_restart(c, 0);
	cluster_restart(c, 1);
	create_flows(c, 1, 0, 10);
	cluster_run_us(c, 3000000);
	assert_null(node_external(c->nodes[0].node, 2));
	node_view(c->nodes[0].node, c->now, &view);
	assert_true(view.drops[NODE_DROP_UNKNOWN_KEY] > 5);
	assert_int_equal(view.strangers, 1);
	node_stranger_view(c->nodes[0].node, 0, &stranger);
	assert_int_equal(stranger.id, 2);
	assert_non_null(strstr(stranger.problem, "key"));
}

static void a_recorded_session_replayed_whole_changes_nothing(void **state)
{
	struct cluster *c = cluster_of(state);
	size_t recorded;

	c->record = true;
	create_flows(c, 0, 0, 300);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	c->record = false;
	recorded = c->recorded_count;
	destroy_flows(c, 0, 0, 300);
	cluster_restart(c, 0); /* its old session was once current */
	assert_true(cluster_run_until(c, cluster_is_in_sync, 8000000));
	for (size_t i = 0; i < recorded; i++) {
		if (c->recorded[i].from == 0)
			cluster_inject(c, 0, 1, c->recorded[i].bytes, c->recorded[i].length);
		cluster_run_us(c, 500);
		assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 0);
	}
	cluster_run_us(c, 1000000);
	assert_true(cluster_is_in_sync(c));
	/* and with the genuine node dead, a recording still does not come to life */
	cluster_stop(c, 0);
	cluster_run_us(c, 5000000);
	for (size_t i = 0; i < recorded; i++) {
		if (c->recorded[i].from == 0)
			cluster_inject(c, 0, 1, c->recorded[i].bytes, c->recorded[i].length);
		cluster_run_us(c, 500);
	}
	assert_false(cluster_peer_view(c, 1, 0).alive);
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 0);
}

static bool flip_a_bit(void *context, struct cluster_packet *packet)
{
	struct cluster *c = context;
	uint64_t bit = cluster_random(c) % (packet->length * 8);

	packet->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	return true;
}

static void a_flipped_bit_anywhere_changes_nothing(void **state)
{
	struct cluster *c = cluster_of(state);
	struct node_view view;

	create_flows(c, 0, 0, 10);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	c->tamper = flip_a_bit;
	c->tamper_context = c;
	create_flows(c, 0, 100, 200);
	cluster_run_us(c, 10000);
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 10);
	cluster_run_us(c, 5000000);
	node_view(c->nodes[1].node, c->now, &view);
	assert_true(view.drops[NODE_DROP_NOT_AUTHENTIC] > 0);
	c->tamper = NULL;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
}

static void a_table_beyond_max_flows_is_told_and_makes_no_storm(void **state)
{
	struct cluster *c = cluster_of(state);
	struct node_peer_view view;

	c->nodes[1].config.max_flows = 1000;
	cluster_restart(c, 1);
	create_flows(c, 0, 0, 2000);
	cluster_run_us(c, 20000000);
	view = cluster_peer_view(c, 1, 0);
	assert_true(view.overflowed);
	assert_false(view.holds.in_sync);
	assert_true(view.flows_refused >= 1000);
	assert_true(view.resyncs_full <= 2);
	assert_false(cluster_peer_view(c, 0, 1).held.in_sync);
	/* and when it fits again, it heals by itself */
	destroy_flows(c, 0, 0, 1500);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 60000000));
}

/* Opens a datagram with the cluster's key, changes its STATUS, and seals it again. */
static void reseal(struct cluster_packet *packet, void (*change)(struct frame_status *))
{
	static const uint8_t key[SEAL_KEY_SIZE] = {1, 2, 3};
	uint8_t plain[FRAME_PAYLOAD_MAX], nonce[SEAL_NONCE_SIZE], *body = plain + FRAME_INNER_SIZE;
	struct frame_header h;
	struct frame_status status;
	struct writer w;
	struct seal *seal;

	assert_int_equal(frame_header_read(packet->bytes, packet->length, &h), FRAME_GOOD);
	seal = seal_create(key, h.cipher, FRAME_VERSION, h.node_id, &h.session);
	frame_nonce(&h, nonce);
	assert_int_equal(seal_open(seal, nonce, packet->bytes, FRAME_HEADER_SIZE,
				   packet->bytes + FRAME_HEADER_SIZE, packet->length - FRAME_HEADER_SIZE,
				   plain),
			 0);
	if (packet->length > FRAME_OVERHEAD && body[0] == FRAME_STATUS) {
		size_t length = packet->length - FRAME_OVERHEAD - FRAME_MESSAGE_HEADER_SIZE;

		assert_int_equal(
		    frame_status_read(reader_over(body + FRAME_MESSAGE_HEADER_SIZE, length), &status), 0);
		change(&status);
		w = writer_over(body, FRAME_PAYLOAD_MAX - FRAME_OVERHEAD);
		frame_status_write(&w, &status);
		packet->length = FRAME_OVERHEAD + writer_length(&w);
	}
	packet->bytes = realloc(packet->bytes, FRAME_PAYLOAD_MAX);
	memcpy(packet->bytes + FRAME_HEADER_SIZE, plain, packet->length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE);
	seal_close(seal, nonce, packet->bytes, FRAME_HEADER_SIZE, packet->bytes + FRAME_HEADER_SIZE,
		   packet->length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE);
	seal_destroy(seal);
}

static void acknowledge_too_much(struct frame_status *status)
{
	for (unsigned i = 0; i < status->peers_count; i++) {
		status->peers[i].applied = 1000000;
		status->peers[i].holes_count = 0;
	}
}

static bool acknowledge_what_was_never_sent(void *context, struct cluster_packet *packet)
{
	(void)context;
	if (packet->from == 1)
		reseal(packet, acknowledge_too_much);
	return true;
}

static void a_peer_that_acknowledges_more_than_was_sent_makes_a_new_session(void **state)
{
	struct cluster *c = cluster_of(state);
	struct node_view before, after;

	create_flows(c, 0, 0, 10);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	node_view(c->nodes[0].node, c->now, &before);
	c->tamper = acknowledge_what_was_never_sent;
	cluster_run_us(c, 500000);
	c->tamper = NULL;
	node_view(c->nodes[0].node, c->now, &after);
	assert_memory_not_equal(before.session.bytes, after.session.bytes, sizeof(before.session.bytes));
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
}

static void a_datagram_of_our_session_that_we_did_not_send_makes_a_new_session(void **state)
{
	static const uint8_t key[SEAL_KEY_SIZE] = {1, 2, 3};
	struct cluster *c = cluster_of(state);
	uint8_t bytes[FRAME_OVERHEAD] = {0}, nonce[SEAL_NONCE_SIZE];
	struct frame_header h = {.version = FRAME_VERSION,
				 .cipher = SEAL_AES_256_GCM,
				 .node_id = 1,
				 .key_id = seal_key_id(key),
				 .packet_number = 1 << 20};
	struct writer w = writer_over(bytes, sizeof(bytes));
	struct node_view before, after;
	struct seal *seal;

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	node_view(c->nodes[0].node, c->now, &before);
	h.session = before.session;
	frame_header_write(&w, &h);
	cluster_inject(c, 1, 0, bytes,
		       sizeof(bytes)); /* not sealed by a holder of the key: nothing happens */
	cluster_run_us(c, 10000);
	node_view(c->nodes[0].node, c->now, &after);
	assert_memory_equal(before.session.bytes, after.session.bytes, sizeof(before.session.bytes));
	seal = seal_create(key, h.cipher, FRAME_VERSION, 1, &h.session);
	frame_nonce(&h, nonce);
	seal_close(seal, nonce, bytes, FRAME_HEADER_SIZE, bytes + FRAME_HEADER_SIZE, FRAME_INNER_SIZE);
	seal_destroy(seal);
	cluster_inject(c, 1, 0, bytes, sizeof(bytes));
	cluster_run_us(c, 10000);
	node_view(c->nodes[0].node, c->now, &after);
	assert_memory_not_equal(before.session.bytes, after.session.bytes, sizeof(before.session.bytes));
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
}

static void terms_rise_with_each_takeover_and_two_primaries_are_seen(void **state)
{
	struct cluster *c = cluster_of(state);
	struct node_event primary = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};
	struct node_event backup = {.type = NODE_ROLE, .role = FRAME_ROLE_BACKUP};
	struct node_view view;

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	primary.now = c->now;
	node_step(c->nodes[0].node, &primary);
	cluster_run_us(c, 50000);
	primary.now = c->now;
	node_step(c->nodes[1].node, &primary);
	cluster_run_us(c, 400000);
	for (unsigned i = 0; i < 2; i++) {
		node_view(c->nodes[i].node, c->now, &view);
		assert_true(view.split_brain);
		assert_int_equal(view.term, i + 1);
	}
	backup.now = c->now;
	node_step(c->nodes[0].node, &backup);
	cluster_run_us(c, 400000);
	node_view(c->nodes[1].node, c->now, &view);
	assert_false(view.split_brain);
}

/* A takeover that is quicker than peer-timeout: the dead primary counts as alive for a moment yet. */
static void a_dead_primary_is_no_rival_of_its_heir(void **state)
{
	struct cluster *c = cluster_of(state);

	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_role(c, 0, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 500000);
	cluster_stop(c, 0);
	cluster_role(c, 1, FRAME_ROLE_PRIMARY);
	for (unsigned i = 0; i < 40; i++) {
		assert_false(cluster_view(c, 1).split_brain);
		cluster_run_us(c, 50000);
	}
	cluster_restart(c, 0);
	cluster_role(c, 0, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 400000);
	assert_true(cluster_view(c, 1).split_brain);
}

static void sixteen_nodes_keep_each_others_tables(void **state)
{
	struct cluster *c = cluster_new(16, 7);

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		create_flows(c, i, i * 1000, 20);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	cluster_free(c);
}

static void a_key_is_rolled_over_without_losing_sync(void **state)
{
	static const uint8_t fresh[SEAL_KEY_SIZE] = {77};
	struct cluster *c = cluster_of(state);
	struct node_config config[2];

	create_flows(c, 0, 0, 100);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	for (unsigned i = 0; i < 2; i++) { /* both accept the new one */
		struct node_event e = {.type = NODE_CONFIGURE, .now = c->now, .config = &config[i]};

		config[i] = c->nodes[i].config;
		seal_ring_add(&config[i].ring, fresh);
		node_step(c->nodes[i].node, &e);
	}
	for (unsigned i = 0; i < 2; i++) { /* then send with it, and accept no other */
		struct node_event e = {.type = NODE_CONFIGURE, .now = c->now, .config = &config[i]};

		config[i].ring.keys[0] = config[i].ring.keys[1];
		config[i].ring.count = 1;
		create_flows(c, 0, 1000 + i * 100, 100);
		if (i == 1)
			cluster_run_us(c, 500000);
		node_step(c->nodes[i].node, &e);
	}
	assert_true(cluster_run_until(c, cluster_is_in_sync, 2000000));
	assert_int_equal(cluster_peer_view(c, 1, 0).resyncs_full, 1);
}

int main(void)
{
#define promise(name) cmocka_unit_test_setup_teardown(name, setup, cluster_teardown)
	const struct CMUnitTest tests[] = {
	    promise(two_nodes_find_each_other_and_prove_it),
	    promise(a_flow_goes_to_the_peer_and_its_end_too),
	    promise(what_existed_before_the_peer_came_reaches_it),
	    promise(random_loss_is_repaired),
	    promise(an_outage_leaves_nothing_stale),
	    promise(an_outage_beyond_the_tombstones_takes_a_full_catch_up),
	    promise(a_restarted_owner_loses_nothing_at_the_peer_meanwhile),
	    promise(a_flow_that_ended_while_the_owner_was_down_is_swept),
	    promise(an_audit_finds_what_no_event_told),
	    promise(an_overrun_makes_suspect_until_an_audit_is_clean),
	    promise(two_nodes_with_one_id_say_so_and_apply_nothing),
	    promise(a_peer_with_another_key_changes_nothing_and_is_named),
	    promise(a_recorded_session_replayed_whole_changes_nothing),
	    promise(a_flipped_bit_anywhere_changes_nothing),
	    promise(a_table_beyond_max_flows_is_told_and_makes_no_storm),
	    promise(a_peer_that_acknowledges_more_than_was_sent_makes_a_new_session),
	    promise(a_datagram_of_our_session_that_we_did_not_send_makes_a_new_session),
	    promise(terms_rise_with_each_takeover_and_two_primaries_are_seen),
	    promise(a_dead_primary_is_no_rival_of_its_heir),
	    promise(sixteen_nodes_keep_each_others_tables),
	    promise(a_key_is_rolled_over_without_losing_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
