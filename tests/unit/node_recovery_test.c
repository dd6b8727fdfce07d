/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How fast and at what cost nodes recover, and what one of them, holding the key, can do to the others. */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUND_TRIP_US = 2000, REPAIRS = 400 };

static void create_flows(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	cluster_flows_new_paced(c, node, first, count, 50, 1000);
}

static uint64_t sent_bytes(struct cluster *c)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < c->count; i++)
		bytes += c->nodes[i].sent_bytes;
	return bytes;
}

static uint64_t bytes_for(unsigned loss_percent)
{
	struct cluster *c = cluster_new(2, 42);
	uint64_t before;

	c->delay_us = ROUND_TRIP_US / 2;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	before = c->nodes[0].sent_bytes;
	c->loss_percent = loss_percent;
	create_flows(c, 0, 0, 100000);
	c->loss_percent = 0;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 2000000));
	before = c->nodes[0].sent_bytes - before;
	assert_int_equal(cluster_peer_view(c, 1, 0).resyncs_full, 1);
	cluster_free(c);
	return before;
}

static void loss_costs_little_more_than_what_was_lost(void **state)
{
	uint64_t needed = bytes_for(0), at_5 = bytes_for(5), at_20 = bytes_for(20);

	(void)state;
	print_message("bytes sent per byte needed: %.3f at 5 %%, %.3f at 20 %% loss\n",
		      (double)at_5 / (double)needed, (double)at_20 / (double)needed);
	assert_true((double)at_5 < 1.3 * (double)needed);
	assert_true((double)at_20 < 2.0 * (double)needed);
}

static int ascending(const void *a, const void *b)
{
	return *(const int64_t *)a < *(const int64_t *)b ? -1 : *(const int64_t *)a > *(const int64_t *)b;
}

static bool drop_next_data(void *context, struct cluster_packet *packet)
{
	bool *armed = context;

	if (packet->from || !*armed)
		return true;
	*armed = false;
	return false;
}

/* One datagram of a running stream is lost: the time from then until its content is here. */
static void a_lost_datagram_is_repaired_within_two_round_trips_at_the_median(void **state)
{
	static int64_t took[REPAIRS];
	struct cluster *c = cluster_new(2, 42);
	bool armed = false;
	uint32_t next = 0;

	(void)state;
	c->delay_us = ROUND_TRIP_US / 2;
	c->tamper = drop_next_data;
	c->tamper_context = &armed;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	for (unsigned i = 0; i < REPAIRS; i++) {
		struct flow f = cluster_flow(next);
		struct monotime lost;

		for (unsigned k = 0; k < 10; k++) {
			create_flows(c, 0, next++, 1);
			cluster_run_us(c, 300);
		}
		armed = true;
		f = cluster_flow(next);
		create_flows(c, 0, next++, 1);
		while (armed) {
			cluster_run_us(c, 100);
		}
		lost = c->now;
		for (;;) {
			uint8_t key[RECORD_KEY_MAX];
			struct record_key k = {key, record_encode_key(&f, key)};

			if (table_find(node_external(c->nodes[1].node, 1), k))
				break;
			create_flows(c, 0, next++, 1);
			cluster_run_us(c, 300);
		}
		took[i] = c->now.us - lost.us;
	}
	qsort(took, REPAIRS, sizeof(took[0]), ascending);
	print_message("repair at a round trip of %d us: median %lld us, p90 %lld us, p99 %lld us\n",
		      ROUND_TRIP_US, (long long)took[REPAIRS / 2], (long long)took[REPAIRS * 9 / 10],
		      (long long)took[REPAIRS * 99 / 100]);
	assert_true(took[REPAIRS / 2] <= 2 * ROUND_TRIP_US);
	cluster_free(c);
}

/* Opens a datagram with the cluster's key, changes its STATUS, and seals it again. */
static void reseal(struct cluster_packet *packet, void (*change)(struct frame_status *))
{
	static const uint8_t key[SEAL_KEY_SIZE] = {1, 2, 3};
	uint8_t plain[FRAME_PAYLOAD_MAX], nonce[SEAL_NONCE_SIZE], *body = plain + FRAME_INNER_SIZE;
	size_t length = packet->length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE;
	struct frame_status status;
	struct frame_header h;
	struct writer w;
	struct seal *seal;

	assert_int_equal(frame_header_read(packet->bytes, packet->length, &h), FRAME_GOOD);
	seal = seal_create(key, h.cipher, FRAME_VERSION, h.node_id, &h.session);
	frame_nonce(&h, nonce);
	assert_int_equal(seal_open(seal, nonce, packet->bytes, FRAME_HEADER_SIZE,
				   packet->bytes + FRAME_HEADER_SIZE, length + SEAL_TAG_SIZE, plain),
			 0);
	if (body[0] == FRAME_STATUS) {
		assert_int_equal(
		    frame_status_read(reader_over(body + FRAME_MESSAGE_HEADER_SIZE,
						  length - FRAME_INNER_SIZE - FRAME_MESSAGE_HEADER_SIZE),
				      &status),
		    0);
		change(&status);
		w = writer_over(body, 1452 - FRAME_OVERHEAD);
		frame_status_write(&w, &status);
		length = FRAME_INNER_SIZE + writer_length(&w);
	}
	packet->bytes = realloc(packet->bytes, FRAME_PAYLOAD_MAX);
	memcpy(packet->bytes + FRAME_HEADER_SIZE, plain, length);
	seal_close(seal, nonce, packet->bytes, FRAME_HEADER_SIZE, packet->bytes + FRAME_HEADER_SIZE, length);
	packet->length = FRAME_HEADER_SIZE + length + SEAL_TAG_SIZE;
	seal_destroy(seal);
}

static void close_window(struct frame_status *status)
{
	for (unsigned i = 0; i < status->peers_count; i++)
		status->peers[i].window = 0;
}

static bool node_3_closes_its_window(void *context, struct cluster_packet *packet)
{
	(void)context;
	if (packet->from == 2)
		reseal(packet, close_window);
	return true;
}

static void a_peer_that_closes_its_window_does_not_hold_the_others_up(void **state)
{
	struct cluster *c = cluster_new(3, 42);

	(void)state;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	c->tamper = node_3_closes_its_window;
	create_flows(c, 0, 0, 20000);
	cluster_run_us(c, 1000000);
	assert_true(cluster_copy_equals(c, 1, 0));
	assert_true(cluster_peer_view(c, 1, 0).holds.in_sync);
	cluster_free(c);
}

static void a_peer_that_restarts_does_not_hold_the_others_up(void **state)
{
	struct cluster *c = cluster_new(3, 42);

	(void)state;
	create_flows(c, 0, 0, 20000);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	for (unsigned i = 0; i < 5; i++) { /* several times within a second */
		cluster_restart(c, 2);
		cluster_run_us(c, 150000);
		create_flows(c, 0, 20000 + i * 100, 100);
		cluster_run_us(c, 20000);
		assert_true(cluster_copy_equals(c, 1, 0));
	}
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_free(c);
}

static void another_cipher_is_taken_up_while_running(void **state)
{
	struct cluster *c = cluster_new(2, 42);

	(void)state;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	for (unsigned i = 0; i < 2; i++) {
		struct node_event e = {.type = NODE_CONFIGURE, .config = &c->nodes[i].config};

		c->nodes[i].config.cipher = SEAL_CHACHA20_POLY1305;
		cluster_step(c, i, &e);
		create_flows(c, 0, i * 100, 100);
		cluster_run_us(c, 2000000);
		assert_true(cluster_is_in_sync(c));
	}
	assert_int_equal(cluster_peer_view(c, 1, 0).resyncs_full, 1);
	cluster_free(c);
}

static void two_links_carry_all_and_either_may_fail(void **state)
{
	struct cluster *c = cluster_new(2, 42);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		c->nodes[i].config.links = 2;
		cluster_restart(c, i);
	}
	c->link_delay_us[1] = 500; /* always second */
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	for (unsigned dark = 0; dark < 2; dark++) {
		struct node_peer_view view = cluster_peer_view(c, 0, 1);

		assert_int_equal(view.links[0].address.length, 1);
		assert_int_equal(view.links[1].address.length, 1);
		c->links_dark = 1u << dark;
		c->loss_percent = 5;
		create_flows(c, 0, dark * 5000, 5000);
		c->loss_percent = 0;
		assert_true(cluster_run_until(c, cluster_is_in_sync, 1000000));
		view = cluster_peer_view(c, 1, 0);
		assert_true(view.links[dark].lost > 50);
		c->links_dark = 0;
	}
	assert_int_equal(cluster_peer_view(c, 1, 0).resyncs_full, 1);
	cluster_free(c);
}

static void sixteen_nodes_prove_each_other_over_the_smallest_links(void **state)
{
	struct cluster *c = cluster_new(16, 42);

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		c->nodes[i].config.payload_max = FRAME_PAYLOAD_MIN;
		cluster_restart(c, i);
	}
	create_flows(c, 3, 0, 100);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 20000000));
	cluster_free(c);
}

static void a_flush_of_the_internal_table_is_no_divergence(void **state)
{
	struct cluster *c = cluster_new(2, 42);
	struct node_event flush = {.type = NODE_FLUSH_INTERNAL};
	struct flow gone = cluster_flow(3);

	(void)state;
	create_flows(c, 0, 0, 500);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_kernel_remove(c, 0, &gone); /* nobody told */
	cluster_step(c, 0, &flush);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	assert_int_equal(cluster_peer_view(c, 1, 0).divergences, 0);
	assert_int_equal(table_count(node_external(c->nodes[1].node, 1)), 499);
	cluster_free(c);
}

static void a_paused_node_claims_nothing_from_old_datagrams(void **state)
{
	struct cluster *c = cluster_new(2, 42);
	struct flow f = cluster_flow(1);

	(void)state;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_flow_new(c, 0, &f);
	cluster_pause(c, 1, 2000000);
	cluster_run_us(c, 900000);
	c->dark = true; /* what comes later than that is lost */
	f.mark = 5;
	cluster_flow_update(c, 0, &f);
	for (unsigned i = 0; i < 300; i++) {
		cluster_run_us(c, 10000);
		if (i * 10000 > 600000)
			assert_false(cluster_peer_view(c, 1, 0).holds.in_sync);
	}
	c->dark = false;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_free(c);
}

/* It was stopped: that it heard nobody is its own doing. */
static void a_node_that_slept_calls_nobody_silent(void **state)
{
	struct cluster *c = cluster_new(2, 42);

	(void)state;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	for (unsigned turn = 0; turn < 3; turn++) {
		cluster_pause(c, 1, 10000000);
		cluster_run_us(c, 9000000);
		assert_true(cluster_peer_view(c, 1, 0).alive); /* asked while it sleeps, too */
		assert_false(cluster_peer_view(c, 1, 0).holds.in_sync);
		c->nodes[1].last_log[0] = '\0';
		for (unsigned i = 0; i < 300; i++) {
			cluster_run_us(c, 10000);
			assert_true(cluster_peer_view(c, 1, 0).alive);
		}
		assert_null(strstr(c->nodes[1].last_log, "silent"));
		assert_true(cluster_run_until(c, cluster_is_in_sync, 2000000));
	}
	cluster_free(c);
}

static void who_dies_while_a_node_sleeps_is_missed_soon_after(void **state)
{
	struct cluster *c = cluster_new(2, 42);

	(void)state;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_pause(c, 1, 5000000);
	cluster_stop(c, 0);
	cluster_run_us(c, 5000000);
	cluster_run_us(c, 1100000);
	assert_false(cluster_peer_view(c, 1, 0).alive);
	cluster_free(c);
}

/* Else a dead peer would live as long as we get too little time. */
static void a_node_that_sleeps_again_and_again_misses_the_dead_all_the_same(void **state)
{
	struct cluster *c = cluster_new(2, 42);

	(void)state;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_stop(c, 0);
	for (unsigned i = 0; i < 5; i++) {
		cluster_pause(c, 1, 600000);
		cluster_run_us(c, 610000);
	}
	assert_false(cluster_peer_view(c, 1, 0).alive);
	cluster_free(c);
}

static void an_idle_pair_sends_heartbeats_and_no_more(void **state)
{
	struct cluster *c = cluster_new(2, 42);
	uint64_t before;

	(void)state;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_run_us(c, 1000000);
	before = sent_bytes(c);
	cluster_run_us(c, 10000000);
	assert_in_range(sent_bytes(c) - before, 100 * FRAME_OVERHEAD, 110 * 400);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(loss_costs_little_more_than_what_was_lost),
	    cmocka_unit_test(a_lost_datagram_is_repaired_within_two_round_trips_at_the_median),
	    cmocka_unit_test(a_peer_that_closes_its_window_does_not_hold_the_others_up),
	    cmocka_unit_test(a_peer_that_restarts_does_not_hold_the_others_up),
	    cmocka_unit_test(another_cipher_is_taken_up_while_running),
	    cmocka_unit_test(two_links_carry_all_and_either_may_fail),
	    cmocka_unit_test(sixteen_nodes_prove_each_other_over_the_smallest_links),
	    cmocka_unit_test(a_flush_of_the_internal_table_is_no_divergence),
	    cmocka_unit_test(a_paused_node_claims_nothing_from_old_datagrams),
	    cmocka_unit_test(a_node_that_slept_calls_nobody_silent),
	    cmocka_unit_test(who_dies_while_a_node_sleeps_is_missed_soon_after),
	    cmocka_unit_test(a_node_that_sleeps_again_and_again_misses_the_dead_all_the_same),
	    cmocka_unit_test(an_idle_pair_sends_heartbeats_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
