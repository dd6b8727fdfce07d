/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A peer that holds the key, proves to be live, and is hostile or out of its mind.  Whatever it says: the
 * others stay within their bounds, go on serving each other, and say what is wrong with it.
 */
#include "tests/unit/hostile.h"

#include "proto/node_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HOSTILE_ID = 3, FLOWS = 500, MAX_FLOWS = 2000, ROUNDS = 50, ROUND_US = 20000 };

struct bench {
	struct cluster c;
	struct hostile h;
	uint32_t next; /* flow */
};

static void create_flows(struct bench *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct flow f = cluster_flow(b->next++);

		cluster_flow_new(&b->c, 0, &f);
	}
}

static int setup_as(void **state, uint16_t id)
{
	struct bench *b = calloc(1, sizeof(*b));

	cluster_init(&b->c, 2, 8);
	for (unsigned i = 0; i < 2; i++) {
		b->c.nodes[i].config.max_flows = MAX_FLOWS;
		cluster_restart(&b->c, i);
	}
	cluster_role(&b->c, 0, FRAME_ROLE_PRIMARY);
	cluster_role(&b->c, 1, FRAME_ROLE_BACKUP);
	create_flows(b, FLOWS);
	assert_true(cluster_run_until(&b->c, cluster_is_in_sync, 5000000));
	hostile_join(&b->h, &b->c, id);
	hostile_run_us(&b->h, 1000000);
	*state = b;
	return 0;
}

static int setup(void **state)
{
	int error = setup_as(state, HOSTILE_ID);
	struct bench *b = *state;

	for (unsigned i = 0; i < 2; i++)
		assert_true(hostile_view(&b->h, i).alive);
	return error;
}

static int setup_as_the_second(void **state)
{
	return setup_as(state, 2);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	hostile_leave(&b->h);
	cluster_finish(&b->c);
	free(b);
	return 0;
}

/* ---- what must hold whatever it does ---- */

static void check_bounds(const struct bench *b)
{
	enum { PLENTY = 4 << 20 }; /* of a table of MAX_FLOWS: a chunk of each size */

	for (unsigned i = 0; i < 2; i++) {
		const struct node *node = b->c.nodes[i].node;

		assert_true(table_memory(node->local.table) < PLENTY);
		for (unsigned p = 0; p < FRAME_PEERS_MAX; p++) {
			const struct receive *receive = &node->peers[p].receive;

			if (!node->peers[p].id)
				continue;
			assert_true(receive->stash_count <= RECEIVE_STASH_FRAMES);
			assert_true(receive->stash_bytes <= RECEIVE_STASH_BYTES);
			assert_true(table_count(receive->table) <= MAX_FLOWS);
			assert_true(table_memory(receive->table) < PLENTY);
		}
	}
}

static bool pair_is_in_sync(struct cluster *c)
{
	struct node_peer_view view = cluster_peer_view(c, 1, 0);

	return view.holds.in_sync && view.held.in_sync && cluster_copy_equals(c, 1, 0);
}

/* It goes on, and so do flows; within a second the backup proves what the primary had. */
static void check_served(struct bench *b, void (*attack)(struct bench *, unsigned))
{
	bool served = false;

	create_flows(b, 5);
	for (unsigned i = 0; i < ROUNDS && !served; i++) {
		if (attack)
			attack(b, i);
		hostile_run_us(&b->h, ROUND_US);
		served = pair_is_in_sync(&b->c);
	}
	assert_true(served);
}

static void under_attack(struct bench *b, void (*attack)(struct bench *, unsigned round))
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		attack(b, round);
		create_flows(b, 2);
		hostile_run_us(&b->h, ROUND_US);
		check_bounds(b);
	}
	check_served(b, attack);
	check_bounds(b);
}

static bool says(const char *text, const char *word)
{
	return strstr(text, word) != NULL;
}

static uint64_t drops_of(struct bench *b, unsigned index, enum node_drop drop)
{
	struct node_view view;

	node_view(b->c.nodes[index].node, b->c.now, &view);
	return view.drops[drop];
}

static bool stranger_is_named(struct bench *b, uint16_t id, enum node_drop drop, const char *word)
{
	struct node_view view;

	node_view(b->c.nodes[0].node, b->c.now, &view);
	for (unsigned i = 0; i < view.strangers; i++) {
		struct node_stranger_view stranger;

		node_stranger_view(b->c.nodes[0].node, i, &stranger);
		if ((!id || stranger.id == id) && stranger.drop == drop && says(stranger.problem, word))
			return true;
	}
	return false;
}

/* ---- versions, ranges, terms ---- */

static void say_absurd_versions(struct bench *b, unsigned round)
{
	static const uint64_t numbers[] = {
	    0, 1, 2, 1000, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
	enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };
	struct frame_status *s = &b->h.status;

	for (unsigned i = 0; i < NUMBERS * NUMBERS; i++) {
		struct frame_data data = {.from = numbers[i / NUMBERS], .to = numbers[i % NUMBERS]};

		if (data.from > data.to)
			continue;
		data.asof = numbers[(i + round) % NUMBERS];
		data.asof = data.asof < data.to ? data.to : data.asof;
		data.flags = round & 1 ? FRAME_DATA_FULL : 0;
		data.full_id = b->h.heard[0].about_us.full_id;
		hostile_data(&b->h, i & 1, &data, NULL, 0);
	}
	s->newest = numbers[round % NUMBERS];
	s->horizon = round & 2 ? s->newest : 0;
	s->term = UINT32_MAX - round;
	s->frozen_at = numbers[(round + 3) % NUMBERS];
	s->heartbeat_us = UINT32_MAX;
	s->conntrack_max = s->conntrack_buckets = UINT32_MAX;
	s->peers[0].window = round & 1 ? UINT32_MAX : 0;
}

static void absurd_versions_and_ranges_stay_with_who_says_them(void **state)
{
	struct bench *b = *state;
	struct node_peer_view view;
	struct node_view node;

	under_attack(b, say_absurd_versions);
	view = hostile_view(&b->h, 1);
	assert_false(view.holds.in_sync);
	assert_true(view.holds.reason[0]);
	/* a term so far above all others is not believed */
	cluster_role(&b->c, 1, FRAME_ROLE_PRIMARY);
	node_view(b->c.nodes[1].node, b->c.now, &node);
	assert_in_range(node.term, 2, 3);
}

static void raise_the_term(struct bench *b, unsigned round)
{
	(void)round;
	for (unsigned i = 0; i < 20; i++) {
		b->h.status.term += ROLE_TERM_LEAP_MAX;
		hostile_beat(&b->h);
		cluster_run_us(&b->c, 1000);
	}
}

static void terms_that_leap_again_and_again_are_believed_once_a_minute(void **state)
{
	struct bench *b = *state;
	struct node_view node;

	under_attack(b, raise_the_term);
	cluster_role(&b->c, 1, FRAME_ROLE_PRIMARY);
	node_view(b->c.nodes[1].node, b->c.now, &node);
	assert_in_range(node.term, 2, ROLE_TERM_LEAP_MAX + 10);
}

/* ---- counts and lengths ---- */

/* A STATUS whose byte at `at` of the body is that; what follows stands. */
static void say_status_with(struct bench *b, size_t at, uint8_t value, size_t cut)
{
	struct frame_status status = {.role = FRAME_ROLE_BACKUP, .software = "x", .peers_count = 1};
	uint8_t bytes[1024];
	struct writer w = writer_over(bytes, sizeof(bytes));

	frame_status_write(&w, &status);
	bytes[FRAME_MESSAGE_HEADER_SIZE + at] = value;
	hostile_message(&b->h, 0, FRAME_STATUS, bytes + FRAME_MESSAGE_HEADER_SIZE,
			writer_length(&w) - FRAME_MESSAGE_HEADER_SIZE - cut);
}

enum {
	AT_ROLE = 0,
	AT_SOFTWARE = 90,
	AT_PEERS = AT_SOFTWARE + 2,
	AT_HOLES = AT_PEERS + 1 + 55 + 2,
	AT_CLAIMS = AT_HOLES + 1,
};

static void say_data_bytes(struct bench *b, const uint8_t *body, size_t length)
{
	hostile_message(&b->h, 0, FRAME_DATA, body, length);
}

/* How many malformed messages it said to node 0. */
static unsigned say_malformed(struct bench *b)
{
	static const uint8_t overflow[] = {0,    1,    0xff, 0xff, 0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0xff, 0x01, 0};
	static const uint8_t long_form[] = {0, 0x80, 0, 0, 0}, flags[] = {0xfc, 0, 0, 0};
	static const uint8_t tail_ahead[] = {1, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t empty[] = {0};
	static const uint8_t beyond[] = {FRAME_DATA, 0xff, 0xff, 0};

	say_status_with(b, AT_ROLE, 200, 0);
	say_status_with(b, AT_SOFTWARE, 255, 0);
	say_status_with(b, AT_PEERS, 255, 0);
	say_status_with(b, AT_HOLES, 255, 0);
	say_status_with(b, AT_CLAIMS, 255, 0);
	say_status_with(b, AT_CLAIMS, 0, 1);
	say_data_bytes(b, overflow, sizeof(overflow));
	say_data_bytes(b, long_form, sizeof(long_form));
	say_data_bytes(b, flags, sizeof(flags));
	say_data_bytes(b, tail_ahead, sizeof(tail_ahead));
	say_data_bytes(b, empty, sizeof(empty));
	hostile_say(&b->h, 0, beyond, sizeof(beyond));
	return 12;
}

static void say_nonsense(struct bench *b, unsigned round)
{
	(void)round;
	say_malformed(b);
}

static void absurd_counts_and_lengths_are_counted_and_named(void **state)
{
	struct bench *b = *state;
	uint64_t before = drops_of(b, 0, NODE_DROP_MALFORMED);
	unsigned said = say_malformed(b);

	cluster_run_us(&b->c, 10000);
	assert_int_equal(drops_of(b, 0, NODE_DROP_MALFORMED) - before, said);
	assert_true(stranger_is_named(b, HOSTILE_ID, NODE_DROP_MALFORMED, "no message, with the right key"));
	under_attack(b, say_nonsense);
}

/* The node waits for a full catch-up: in its frames the entries count. */
static void entries_that_are_none_are_counted_and_do_not_move_the_position(void **state)
{
	static const uint8_t entries[][6] = {{0xff, 0x7f, 1, 2, 3, 4},
					     {30, 1, 2, 3, 4, 5},
					     {1, 0xc0, 1, 2, 3, 4},
					     {2, 0x09, 1, 2, 3, 4},
					     {0, 0, 0, 0, 0, 0}};
	struct bench *b = *state;
	uint64_t before = drops_of(b, 0, NODE_DROP_MALFORMED);
	struct frame_data data = {
	    .to = 9, .asof = 9, .flags = FRAME_DATA_FULL, .full_id = b->h.heard[0].about_us.full_id};

	assert_true(data.full_id);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		hostile_data(&b->h, 0, &data, entries[i], sizeof(entries[i]));
	cluster_run_us(&b->c, 10000);
	assert_int_equal(drops_of(b, 0, NODE_DROP_MALFORMED) - before, sizeof(entries) / sizeof(entries[0]));
	assert_int_equal(hostile_view(&b->h, 0).applied, 0);
	assert_int_equal(hostile_view(&b->h, 0).flows, 0);
	check_served(b, NULL);
}

/* ---- gaps ---- */

static size_t fill_with_records(uint8_t *entries, size_t size, uint32_t first)
{
	struct writer w = writer_over(entries, size);

	for (uint32_t i = first;; i++) {
		struct flow f = cluster_flow(1000000 + i);
		uint8_t record[RECORD_MAX];
		size_t length = record_encode(&f, record);

		if (writer_room(&w) < length)
			return writer_length(&w);
		writer_bytes(&w, record, length);
	}
}

static void say_gaps(struct bench *b, unsigned round)
{
	uint8_t entries[1200];
	size_t length = fill_with_records(entries, sizeof(entries), round);

	for (unsigned i = 0; i < 400; i++) {
		/* nearer and nearer, so that each displaces one that waits */
		uint64_t from = 100000000 - round * 1000 - 2 * i;
		struct frame_data data = {.from = from, .to = from + 1, .asof = from + 1};

		data.flags = b->h.heard[i & 1].about_us.full_id ? FRAME_DATA_FULL : 0;
		data.full_id = b->h.heard[i & 1].about_us.full_id;
		hostile_data(&b->h, i & 1, &data, entries, length);
	}
}

static void gaps_that_never_end_are_bounded_and_named(void **state)
{
	struct bench *b = *state;
	uint64_t datagrams = b->h.heard_datagrams;
	int64_t started = b->c.now.us;

	under_attack(b, say_gaps);
	/* two nodes, each a STATUS for each millisecond at most, and no data that was not asked for */
	assert_true(b->h.heard_datagrams - datagrams <= 2 * (uint64_t)(b->c.now.us - started) / 1000 + 100);
	assert_false(hostile_view(&b->h, 0).holds.in_sync);
	assert_true(hostile_view(&b->h, 0).holds.reason[0]);
}

/* ---- catch-ups ---- */

static void ask_for_another_full_sync(struct bench *b, unsigned round)
{
	b->h.status.peers[0].window = UINT32_MAX;
	for (unsigned i = 0; i < 20; i++) {
		b->h.status.peers[0].full_id = round * 100 + i + 1;
		hostile_beat(&b->h);
		cluster_run_us(&b->c, 500);
	}
}

static void full_syncs_asked_for_without_end_are_served_now_and_then(void **state)
{
	struct bench *b = *state;
	uint64_t bytes = b->h.heard_bytes, whole = (FLOWS + 200) * 40 * 3 / 2; /* and tables grow meanwhile */
	int64_t started = b->c.now.us;
	uint64_t half_seconds;

	under_attack(b, ask_for_another_full_sync);
	half_seconds = (uint64_t)(b->c.now.us - started) / 500000 + 1;
	/* of two nodes, of which one has flows; and a STATUS for each of what it said */
	assert_true(b->h.heard_bytes - bytes < half_seconds * whole + ROUNDS * 25 * 2 * 600);
	assert_true(says(hostile_view(&b->h, 0).held.reason, "is in a full catch-up"));
}

/* It is always further from the end. */
static void go_on_with_the_full_sync(struct bench *b, unsigned round)
{
	for (unsigned node = 0; node < 2; node++) {
		struct frame_data data = {.flags = FRAME_DATA_FULL,
					  .full_id = b->h.heard[node].about_us.full_id};

		for (unsigned i = 0; i < 50; i++) {
			data.from = round * 50 + i;
			data.to = data.from + 1;
			data.asof = data.to + (UINT64_C(1) << 40);
			hostile_data(&b->h, node, &data, NULL, 0);
		}
	}
}

static void a_full_sync_that_never_ends_is_named_and_holds_nobody_up(void **state)
{
	struct bench *b = *state;

	under_attack(b, go_on_with_the_full_sync);
	assert_true(says(hostile_view(&b->h, 0).holds.reason, "a full catch-up is running"));
	assert_true(hostile_view(&b->h, 0).applied == 0);
}

/* An empty table, whole at once; and a digest that it does not have. */
static void diverge(struct bench *b, unsigned round)
{
	(void)round;
	b->h.status.newest = 0;
	b->h.status.count = 7;
	b->h.status.digest = 99;
	for (unsigned node = 0; node < 2; node++) {
		struct frame_data data = {.flags = FRAME_DATA_FULL,
					  .full_id = b->h.heard[node].about_us.full_id};

		hostile_data(&b->h, node, &data, NULL, 0);
	}
}

static void divergences_without_end_are_told_and_asked_about_ever_later(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 3000; i++) { /* five minutes */
		diverge(b, i);
		hostile_run_us(&b->h, 100000);
	}
	assert_in_range(hostile_view(&b->h, 0).resyncs_full, 3, 12);
	assert_true(hostile_view(&b->h, 0).divergences >= 3);
	assert_true(says(b->c.nodes[0].last_log, "differs"));
	check_served(b, diverge);
}

static void move_the_horizon(struct bench *b, unsigned round)
{
	b->h.status.newest = b->h.status.horizon = (round + 1) * UINT64_C(1000000);
	for (unsigned i = 0; i < 5; i++) {
		hostile_beat(&b->h);
		b->h.status.newest = ++b->h.status.horizon;
	}
}

static void a_horizon_that_always_moves_makes_no_storm(void **state)
{
	struct bench *b = *state;

	under_attack(b, move_the_horizon);
	assert_true(hostile_view(&b->h, 0).resyncs_full <= 4);
	assert_true(hostile_view(&b->h, 0).holds.reason[0]);
}

/* ---- too much ---- */

static void fill_the_table(struct bench *b, unsigned round)
{
	uint8_t entries[1200];

	for (unsigned node = 0; node < 2; node++)
		for (unsigned i = 0; i < 20; i++) {
			uint64_t at = round * 20 + i;
			size_t length = fill_with_records(entries, sizeof(entries), (uint32_t)at * 30);
			struct frame_data data = {.from = at,
						  .to = at + 1,
						  .asof = at + 1,
						  .flags = FRAME_DATA_FULL,
						  .full_id = b->h.heard[node].about_us.full_id};

			data.flags = data.full_id ? FRAME_DATA_FULL : 0;
			hostile_data(&b->h, node, &data, entries, length);
		}
	b->h.status.newest = round * 20;
	b->h.status.count = 100000;
}

static void a_table_overflow_is_bounded_and_named(void **state)
{
	struct bench *b = *state;

	under_attack(b, fill_the_table);
	assert_int_equal(hostile_view(&b->h, 0).flows, MAX_FLOWS);
	assert_true(hostile_view(&b->h, 0).flows_refused > MAX_FLOWS);
	assert_true(says(hostile_view(&b->h, 0).problem, "is full"));
	assert_true(hostile_view(&b->h, 0).overflowed);
	assert_false(hostile_view(&b->h, 0).holds.in_sync);
}

/* Each id is a new node's. */
static void be_many(struct bench *b, unsigned round)
{
	uint16_t id = b->h.id;

	for (unsigned i = 0; i < 4; i++) {
		b->h.id = (uint16_t)(100 + (round * 4 + i) % 60);
		hostile_restart(&b->h);
		hostile_beat(&b->h);
	}
	b->h.id = id;
	hostile_restart(&b->h);
}

static void a_holder_that_is_many_nodes_takes_no_place_of_those_that_live(void **state)
{
	struct bench *b = *state;
	struct node_view view;

	under_attack(b, be_many);
	node_view(b->c.nodes[0].node, b->c.now, &view);
	assert_true(view.peers <= FRAME_PEERS_MAX);
	assert_true(view.drops[NODE_DROP_TOO_MANY] > 0);
	assert_true(stranger_is_named(b, 0, NODE_DROP_TOO_MANY, "one node too many"));
	hostile_run_us(&b->h, 30000000); /* who never proved to live is forgotten */
	node_view(b->c.nodes[0].node, b->c.now, &view);
	assert_true(view.peers <= 2);
}

/* Sessions without end, also under the id of a node that lives. */
static void be_many_sessions(struct bench *b, unsigned round)
{
	uint16_t id = b->h.id;

	for (unsigned i = 0; i < 60; i++) {
		b->h.id = i & 1 ? 2 : id;
		hostile_restart(&b->h);
		hostile_message(&b->h, 0, 200, NULL, 0);
	}
	b->h.id = id;
	hostile_restart(&b->h);
	(void)round;
}

static void sessions_without_end_are_few_at_a_time_and_answered_seldom(void **state)
{
	struct bench *b = *state;
	int64_t started = b->c.now.us;
	uint64_t sent = b->c.nodes[0].sent;

	under_attack(b, be_many_sessions);
	/* a STATUS for each two milliseconds at most, and the stream */
	assert_true(b->c.nodes[0].sent - sent <= (uint64_t)(b->c.now.us - started) / 2000 * 2 + 500);
	assert_false(cluster_peer_view(&b->c, 0, 1).problem[0]);
}

/* ---- what it says of others ---- */

static void acknowledge_what_never_was(struct bench *b, unsigned round)
{
	b->h.status.peers[0].applied = UINT64_MAX - round;
}

static void acknowledging_too_much_costs_new_sessions_ever_more_seldom_and_names_it(void **state)
{
	struct bench *b = *state;
	struct seal_session_id session = {0};
	unsigned sessions = 0, in_sync = 0;

	acknowledge_what_never_was(b, 0);
	for (unsigned i = 0; i < 1200; i++) { /* two minutes */
		struct node_view view;

		hostile_run_us(&b->h, 100000);
		node_view(b->c.nodes[0].node, b->c.now, &view);
		if (memcmp(&session, &view.session, sizeof(session))) {
			session = view.session;
			sessions++;
			assert_true(says(b->c.nodes[0].last_log, "node 3 has applied version"));
		}
		in_sync += pair_is_in_sync(&b->c);
	}
	assert_in_range(sessions, 2, 6);
	assert_true(in_sync > 1000); /* most of the time the pair is in step */
	check_served(b, acknowledge_what_never_was);
}

static void claim_everything(struct bench *b, unsigned round)
{
	struct frame_status *s = &b->h.status;

	s->role = FRAME_ROLE_PRIMARY;
	s->term = 9;
	s->claims_count = FRAME_PEERS_MAX;
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		s->claims[i] = (struct frame_claim){.node_id = (uint16_t)(i % 3 + 1),
						    .session = b->h.heard[i % 2].session,
						    .version = i < 3 ? UINT64_MAX : round * 7 + i};
}

static void claims_of_what_lives_take_nothing_away_and_a_second_primary_is_named(void **state)
{
	struct bench *b = *state;
	struct node_view view;

	under_attack(b, claim_everything);
	node_view(b->c.nodes[0].node, b->c.now, &view);
	assert_true(view.split_brain);
	assert_int_equal(view.role, FRAME_ROLE_PRIMARY);
	assert_int_equal(table_count(node_internal(b->c.nodes[0].node)), table_count(b->c.nodes[0].kernel));
}

static void a_second_holder_of_a_living_id_is_named_and_changes_nothing(void **state)
{
	struct bench *b = *state;

	assert_true(says(cluster_peer_view(&b->c, 0, 1).problem, "two nodes have the id 2"));
	assert_true(drops_of(b, 0, NODE_DROP_DUPLICATE_ID) > 0);
	check_served(b, go_on_with_the_full_sync);
	assert_int_equal(cluster_peer_view(&b->c, 0, 1).flows, 0);
}

int main(void)
{
#define PROMISE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    PROMISE(absurd_versions_and_ranges_stay_with_who_says_them),
	    PROMISE(terms_that_leap_again_and_again_are_believed_once_a_minute),
	    PROMISE(absurd_counts_and_lengths_are_counted_and_named),
	    PROMISE(entries_that_are_none_are_counted_and_do_not_move_the_position),
	    PROMISE(gaps_that_never_end_are_bounded_and_named),
	    PROMISE(full_syncs_asked_for_without_end_are_served_now_and_then),
	    PROMISE(a_full_sync_that_never_ends_is_named_and_holds_nobody_up),
	    PROMISE(divergences_without_end_are_told_and_asked_about_ever_later),
	    PROMISE(a_horizon_that_always_moves_makes_no_storm),
	    PROMISE(a_table_overflow_is_bounded_and_named),
	    PROMISE(a_holder_that_is_many_nodes_takes_no_place_of_those_that_live),
	    PROMISE(sessions_without_end_are_few_at_a_time_and_answered_seldom),
	    PROMISE(acknowledging_too_much_costs_new_sessions_ever_more_seldom_and_names_it),
	    PROMISE(claims_of_what_lives_take_nothing_away_and_a_second_primary_is_named),
	    cmocka_unit_test_setup_teardown(a_second_holder_of_a_living_id_is_named_and_changes_nothing,
					    setup_as_the_second, teardown),
	};
#undef PROMISE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
