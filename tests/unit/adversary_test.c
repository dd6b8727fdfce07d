/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An attacker without the key, who sees everything that is sent, on the path and off it: replays, reorders,
 * delays, truncates, splices and floods, with old sessions, old keys and other nodes' datagrams.  No table
 * changes, nobody claims what is not so, the pair goes on, and the cause is counted and said.
 */
#include "tests/unit/cluster.h"

#include "proto/node_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FLOWS = 300, ATTACKER = 9 };

static void create_flows(struct cluster *c, uint32_t first, uint32_t count)
{
	cluster_flows_new_paced(c, 0, first, count, 20, 1000);
}

static int setup(void **state)
{
	struct cluster *c = cluster_new(2, 17);

	c->record = true;
	create_flows(c, 0, FLOWS);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	*state = c;
	return 0;
}

/* ---- what must not change, and must go on ---- */

struct known {
	struct seal_session_id sessions[2][2]; /* own, of the peer */
	uint64_t digests[2][2], applied[2], full[2];
	uint8_t addresses[2];
	unsigned peers[2];
};

static struct known known_of(struct cluster *c)
{
	struct known known;

	memset(&known, 0, sizeof(known));
	for (unsigned i = 0; i < 2; i++) {
		struct node_peer_view peer = cluster_peer_view(c, i, 1 - i);
		struct node_view view;

		node_view(c->nodes[i].node, c->now, &view);
		known.sessions[i][0] = view.session;
		known.sessions[i][1] = peer.session;
		known.digests[i][0] = table_digest(node_internal(c->nodes[i].node));
		known.digests[i][1] = table_digest(node_external(c->nodes[i].node, peer.id));
		known.applied[i] = peer.applied;
		known.full[i] = peer.resyncs_full;
		known.addresses[i] = peer.links[0].address.bytes[0];
		known.peers[i] = view.peers;
	}
	return known;
}

#define assert_unchanged(c, before)                                                                          \
	do {                                                                                                 \
		struct known after = known_of(c);                                                            \
		assert_memory_equal(&after, &(before), sizeof(after));                                       \
	} while (0)

static uint64_t drops_of(struct cluster *c, unsigned index, enum node_drop drop)
{
	struct node_view view;

	node_view(c->nodes[index].node, c->now, &view);
	return view.drops[drop];
}

static bool is_named(struct cluster *c, unsigned index, uint16_t id, enum node_drop drop, const char *words)
{
	struct node_view view;

	node_view(c->nodes[index].node, c->now, &view);
	for (unsigned i = 0; i < view.strangers; i++) {
		struct node_stranger_view stranger;

		node_stranger_view(c->nodes[index].node, i, &stranger);
		if (stranger.id == id && stranger.drop == drop && strstr(stranger.problem, words))
			return true;
	}
	return false;
}

/* Flows go on to the backup while that lasts. */
static void check_goes_on(struct cluster *c)
{
	create_flows(c, (1 << 20) + (uint32_t)(c->now.us / 1000), 50);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 2000000));
}

/* A copy of what was recorded: recording goes on. */
struct datagram {
	unsigned from, to;
	size_t length;
	uint8_t bytes[FRAME_PAYLOAD_MAX];
};

static size_t recorded(struct cluster *c, struct datagram **list)
{
	*list = calloc(c->recorded_count + 1, sizeof(**list));
	assert_non_null(*list);
	for (size_t i = 0; i < c->recorded_count; i++) {
		const struct cluster_packet *packet = &c->recorded[i];

		(*list)[i].from = packet->from;
		(*list)[i].to = packet->to;
		(*list)[i].length = packet->length;
		memcpy((*list)[i].bytes, packet->bytes, packet->length);
	}
	return c->recorded_count;
}

static void inject(struct cluster *c, unsigned to, const uint8_t *bytes, size_t length)
{
	cluster_inject(c, ATTACKER, to, bytes, length);
}

/* ---- off the path ---- */

static void everything_replayed_at_once_and_in_any_order_is_counted(void **state)
{
	struct cluster *c = *state;
	struct datagram *list;
	size_t count = recorded(c, &list);
	struct known before = known_of(c);

	c->record = false;
	for (unsigned round = 0; round < 3; round++)
		for (size_t i = 0; i < count; i++) {
			const struct datagram *d = &list[cluster_random(c) % count];

			inject(c, d->to, d->bytes, d->length);
			if (i % 50 == 0)
				cluster_run_us(c, 100);
		}
	cluster_run_us(c, 10000);
	assert_unchanged(c, before);
	assert_true(drops_of(c, 1, NODE_DROP_REPLAYED) >= count / 2);
	assert_true(is_named(c, 1, 1, NODE_DROP_REPLAYED, "seen before"));
	check_goes_on(c);
	free(list);
}

static void what_is_cut_short_anywhere_or_longer_is_refused(void **state)
{
	struct cluster *c = *state;
	struct datagram *list;
	size_t count = recorded(c, &list), cuts = 0;
	struct known before;
	struct datagram fresh;

	c->record = false;
	/* of one that never arrived: else it would be a replay */
	fresh = list[count - 1];
	fresh.bytes[39] ^= 0x40; /* the packet number; the seal says so */
	before = known_of(c);
	for (size_t length = 0; length < fresh.length; length++, cuts++)
		inject(c, fresh.to, fresh.bytes, length);
	for (size_t more = 1; more < 200; more += 7, cuts++)
		inject(c, fresh.to, fresh.bytes, fresh.length + more);
	cluster_run_us(c, 1000);
	assert_unchanged(c, before);
	assert_int_equal(drops_of(c, fresh.to, NODE_DROP_TOO_SHORT), FRAME_OVERHEAD);
	assert_int_equal(drops_of(c, fresh.to, NODE_DROP_NOT_AUTHENTIC), cuts - FRAME_OVERHEAD);
	check_goes_on(c);
	free(list);
}

/* Head of one, body of another; first half and second half; each other's tags, salts, packet numbers. */
static void what_is_spliced_is_refused(void **state)
{
	static const size_t seams[] = {5, 6, 8, 12, 28, 32, FRAME_HEADER_SIZE, FRAME_HEADER_SIZE + 6};
	struct cluster *c = *state;
	struct datagram *list;
	size_t count = recorded(c, &list), spliced = 0;
	struct known before = known_of(c);
	uint64_t sum = 0;

	c->record = false;
	for (unsigned i = 0; i < 2000; i++) {
		const struct datagram *a = &list[cluster_random(c) % count],
				      *b = &list[cluster_random(c) % count];
		size_t seam = seams[i % (sizeof(seams) / sizeof(seams[0]))];
		uint8_t bytes[FRAME_PAYLOAD_MAX];

		if (i % 3 == 0)
			seam = a->length < b->length ? a->length - SEAL_TAG_SIZE : b->length - SEAL_TAG_SIZE;
		memcpy(bytes, b->bytes, b->length);
		memcpy(bytes, a->bytes, seam);
		if (!memcmp(bytes, b->bytes, b->length) || !memcmp(bytes, a->bytes, a->length))
			continue;
		/* a number that was seen would be dropped before it is opened */
		bytes[33] = (uint8_t)(i >> 8);
		inject(c, b->to, bytes, b->length);
		spliced++;
		if (i % 50 == 0)
			cluster_run_us(c, 100);
	}
	cluster_run_us(c, 10000);
	assert_unchanged(c, before);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned drop = 0; drop < NODE_DROPS; drop++)
			sum += drops_of(c, i, drop);
	assert_true(spliced > 1000 && sum >= spliced);
	assert_true(is_named(c, 1, 1, NODE_DROP_NOT_AUTHENTIC, "does not open"));
	check_goes_on(c);
	free(list);
}

/* Good headers of the living session, of new sessions, of unknown nodes and keys, with nothing behind them.
 */
static void a_flood_of_well_formed_headers_changes_nothing_and_is_not_answered(void **state)
{
	struct cluster *c = *state;
	struct known before = known_of(c);
	uint64_t sent, grown, memory = 0;
	int64_t started = c->now.us;
	struct frame_header good;

	c->record = false;
	assert_int_equal(frame_header_read(c->recorded[c->recorded_count - 1].bytes,
					   c->recorded[c->recorded_count - 1].length, &good),
			 FRAME_GOOD);
	sent = c->nodes[0].sent + c->nodes[1].sent;
	for (unsigned i = 0; i < 50000; i++) {
		uint8_t bytes[FRAME_PAYLOAD_MAX] = {0};
		struct frame_header header = good;
		struct writer w = writer_over(bytes, sizeof(bytes));
		uint64_t random = cluster_random(c);

		header.node_id = (uint16_t)(random & 1 ? 1 + (random >> 1 & 1) : random >> 16 | 1);
		header.packet_number = random & 4 ? random >> 3 : good.packet_number + 1 + i;
		if (random & 8)
			memcpy(header.session.bytes, &random, sizeof(random));
		if (random & 16)
			header.key_id = (uint32_t)(random >> 20);
		header.cipher = random & 32 ? SEAL_AES_256_GCM : SEAL_CHACHA20_POLY1305;
		frame_header_write(&w, &header);
		inject(c, i & 1, bytes, FRAME_OVERHEAD + random % 1000);
		if (i % 100 == 0)
			cluster_run_us(c, 500);
	}
	cluster_run_us(c, 10000);
	assert_unchanged(c, before);
	grown = c->nodes[0].sent + c->nodes[1].sent - sent;
	assert_true(grown <= 2 * (uint64_t)(c->now.us - started) / 200000 + 4); /* heartbeats, no more */
	assert_true(drops_of(c, 0, NODE_DROP_NOT_AUTHENTIC) + drops_of(c, 0, NODE_DROP_UNKNOWN_KEY) > 20000);
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		for (unsigned k = 0; k < PEER_CANDIDATES; k++)
			memory += session_exists(&c->nodes[0].node->peers[i].candidates[k]);
		assert_true(i == 0 || !c->nodes[0].node->peers[i].id);
	}
	assert_int_equal(memory, 0);
	check_goes_on(c);
}

/* ---- old sessions, old keys, other nodes' datagrams ---- */

static void a_flood_of_old_sessions_does_not_keep_a_restarted_node_out(void **state)
{
	struct cluster *c = *state;
	struct datagram *list;
	size_t count;

	for (unsigned i = 0; i < 8; i++) { /* eight sessions of node 1 to replay */
		cluster_restart(c, 0);
		assert_true(cluster_run_until(c, cluster_is_in_sync, 60000000));
	}
	count = recorded(c, &list);
	c->record = false;
	cluster_restart(c, 0);
	for (unsigned i = 0; i < 200; i++) { /* two seconds */
		for (unsigned k = 0; k < 40; k++) {
			const struct datagram *d = &list[cluster_random(c) % count];

			if (d->from == 0)
				inject(c, 1, d->bytes, d->length);
		}
		cluster_run_us(c, 10000);
		for (unsigned k = 0; k < FRAME_PEERS_MAX; k++)
			assert_true(c->nodes[1].node->peers[k].id == 0 || k == 0);
	}
	assert_true(drops_of(c, 1, NODE_DROP_NOT_FRESH) > 0);
	assert_true(is_named(c, 1, 1, NODE_DROP_NOT_FRESH, "does not prove to be live"));
	for (unsigned i = 0; i < 3000 && !cluster_is_in_sync(c); i++) {
		const struct datagram *d = &list[cluster_random(c) % count];

		if (d->from == 0)
			inject(c, 1, d->bytes, d->length);
		cluster_run_us(c, 10000);
	}
	assert_true(cluster_is_in_sync(c));
	check_goes_on(c);
	free(list);
}

static void set_keys(struct cluster *c, uint8_t first, uint8_t second)
{
	for (unsigned i = 0; i < 2; i++) {
		struct node_config *config = &c->nodes[i].config;
		struct node_event event = {.type = NODE_CONFIGURE, .config = config};
		uint8_t key[SEAL_KEY_SIZE] = {first, 2, 3};

		memset(&config->ring, 0, sizeof(config->ring));
		seal_ring_add(&config->ring, key);
		key[0] = second;
		if (second)
			seal_ring_add(&config->ring, key);
		cluster_step(c, i, &event);
	}
	cluster_run_us(c, 1000000);
}

static void what_was_sealed_with_a_retired_key_is_refused(void **state)
{
	struct cluster *c = *state;
	struct datagram *list;
	size_t count = recorded(c, &list);
	struct known before;
	uint64_t injected = 0;

	c->record = false;
	set_keys(c, 1, 9);
	set_keys(c, 9, 1);
	set_keys(c, 9, 0);
	assert_true(cluster_is_in_sync(c));
	before = known_of(c);
	for (size_t i = 0; i < count; i++) {
		uint8_t *number = list[i].bytes + 32;

		number[3] ^= 1; /* not one that the replay window would drop first */
		inject(c, list[i].to, list[i].bytes, list[i].length);
		injected += list[i].to == 1;
	}
	cluster_run_us(c, 10000);
	assert_unchanged(c, before);
	assert_int_equal(drops_of(c, 1, NODE_DROP_UNKNOWN_KEY), injected);
	assert_true(is_named(c, 1, 1, NODE_DROP_UNKNOWN_KEY, "a key that we do not have"));
	check_goes_on(c);
	free(list);
}

static void other_nodes_datagrams_are_refused_wherever_they_are_sent(void **state)
{
	struct cluster *c = *state;
	struct datagram *list;
	struct known before;
	size_t count;

	cluster_finish(c);
	cluster_init(c, 3, 17);
	c->record = true;
	create_flows(c, 0, FLOWS);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	count = recorded(c, &list);
	c->record = false;
	before = known_of(c);
	for (size_t i = 0; i < count; i++) {
		struct datagram *d = &list[i];

		inject(c, d->from, d->bytes, d->length);         /* back to who sent it */
		inject(c, (d->to + 1) % 3, d->bytes, d->length); /* to whom it was not meant for, or back */
		d->bytes[7] = (uint8_t)(d->bytes[7] % 3 + 1);    /* under another's id */
		inject(c, d->to, d->bytes, d->length);
		if (i % 20 == 0)
			cluster_run_us(c, 100);
	}
	cluster_run_us(c, 10000);
	assert_unchanged(c, before);
	assert_true(drops_of(c, 0, NODE_DROP_OWN) > 0 && drops_of(c, 0, NODE_DROP_NOT_AUTHENTIC) > 0);
	check_goes_on(c);
	free(list);
}

/* One that a third node never got, for it was meant for another: it opens, and is not for it. */
static void what_was_meant_for_another_is_not_taken(void **state)
{
	struct cluster *c = *state;
	struct known before;
	uint64_t misdirected;

	cluster_finish(c);
	cluster_init(c, 3, 17);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	c->record = true;
	c->nodes[2].muted = true;
	c->loss_percent = 30; /* so that repairs go to one node alone */
	create_flows(c, 0, 2000);
	c->loss_percent = 0;
	c->nodes[2].muted = false;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 60000000));
	c->record = false;
	before = known_of(c);
	for (size_t i = 0; i < c->recorded_count; i++)
		if (c->recorded[i].from == 0 && c->recorded[i].to == 1)
			inject(c, 2, c->recorded[i].bytes, c->recorded[i].length);
	cluster_run_us(c, 10000);
	misdirected = drops_of(c, 2, NODE_DROP_MISDIRECTED);
	assert_true(misdirected > 0);
	assert_unchanged(c, before);
	check_goes_on(c);
}

/* ---- on the path ---- */

static bool hold_back(void *context, struct cluster_packet *packet)
{
	const int64_t *by_us = context;

	packet->at.us += *by_us;
	return true;
}

static bool shuffle(void *context, struct cluster_packet *packet)
{
	packet->at.us += (int64_t)(cluster_random(context) % 150000);
	return true;
}

static void a_path_that_shuffles_everything_costs_time_and_no_truth(void **state)
{
	struct cluster *c = *state;

	c->record = false;
	c->tamper = shuffle;
	c->tamper_context = c;
	create_flows(c, 5000, 3000);
	for (unsigned i = 0; i < 300; i++) {
		cluster_run_us(c, 10000);
		if (i > 100 && cluster_peer_view(c, 1, 0).holds.in_sync)
			assert_true(cluster_copy_equals(c, 1, 0));
	}
	assert_true(cluster_copy_equals(c, 1, 0));
	c->tamper = NULL;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	assert_int_equal(cluster_peer_view(c, 1, 0).divergences, 0);
}

/* A delay can make a truth late, never a lie: what is old is not called in sync, and then its sender is not
 * alive. */
static void a_path_that_delays_makes_nobody_believe_what_is_over(void **state)
{
	struct cluster *c = *state;
	int64_t by_us;

	c->record = false;
	c->tamper = hold_back;
	c->tamper_context = &by_us;
	for (by_us = 500000; by_us <= 8000000; by_us *= 4) {
		struct flow f = cluster_flow(1);

		cluster_run_us(c, by_us + 1000000);
		for (unsigned i = 0; i < 40; i++) {
			f.mark = i + 1;
			cluster_flow_update(c, 0, &f);
			cluster_run_us(c, 50000);
			if (by_us > 400000)
				assert_false(cluster_peer_view(c, 1, 0).holds.in_sync);
			if (by_us > 3000000)
				assert_false(cluster_peer_view(c, 1, 0).alive);
		}
	}
	c->tamper = NULL;
	assert_true(cluster_run_until(c, cluster_is_in_sync, 20000000));
}

int main(void)
{
#define PROMISE(test) cmocka_unit_test_setup_teardown(test, setup, cluster_teardown)
	const struct CMUnitTest tests[] = {
	    PROMISE(everything_replayed_at_once_and_in_any_order_is_counted),
	    PROMISE(what_is_cut_short_anywhere_or_longer_is_refused),
	    PROMISE(what_is_spliced_is_refused),
	    PROMISE(a_flood_of_well_formed_headers_changes_nothing_and_is_not_answered),
	    PROMISE(a_flood_of_old_sessions_does_not_keep_a_restarted_node_out),
	    PROMISE(what_was_sealed_with_a_retired_key_is_refused),
	    PROMISE(other_nodes_datagrams_are_refused_wherever_they_are_sent),
	    PROMISE(what_was_meant_for_another_is_not_taken),
	    PROMISE(a_path_that_shuffles_everything_costs_time_and_no_truth),
	    PROMISE(a_path_that_delays_makes_nobody_believe_what_is_over),
	};
#undef PROMISE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
