/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A peer that holds the key, proves to be live, and is hostile or out of its mind, says too much: gaps,
 * catch-ups, flows, nodes and sessions without end.  The others stay within their bounds, go on serving each
 * other, and name it.
 */
#include "tests/unit/hostile_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool says(const char *text, const char *word)
{
	return strstr(text, word) != NULL;
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

	bench_attack(b, say_gaps);
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
	uint64_t bytes = b->h.heard_bytes,
		 whole = (BENCH_FLOWS + 200) * 40 * 3 / 2; /* and tables grow meanwhile */
	int64_t started = b->c.now.us;
	uint64_t half_seconds;

	bench_attack(b, ask_for_another_full_sync);
	half_seconds = (uint64_t)(b->c.now.us - started) / 500000 + 1;
	/* of two nodes, of which one has flows; and a STATUS for each of what it said */
	assert_true(b->h.heard_bytes - bytes < half_seconds * whole + BENCH_ROUNDS * 25 * 2 * 600);
	assert_true(says(hostile_view(&b->h, 0).held.reason, "is in a full catch-up"));
}

static void a_full_sync_that_never_ends_is_named_and_holds_nobody_up(void **state)
{
	struct bench *b = *state;

	bench_attack(b, bench_go_on_with_the_full_sync);
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
	bench_check_served(b, diverge);
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

	bench_attack(b, move_the_horizon);
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

	bench_attack(b, fill_the_table);
	assert_int_equal(hostile_view(&b->h, 0).flows, BENCH_MAX_FLOWS);
	assert_true(hostile_view(&b->h, 0).flows_refused > BENCH_MAX_FLOWS);
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

	bench_attack(b, be_many);
	node_view(b->c.nodes[0].node, b->c.now, &view);
	assert_true(view.peers <= FRAME_PEERS_MAX);
	assert_true(view.drops[NODE_DROP_TOO_MANY] > 0);
	assert_true(bench_names_stranger(b, 0, NODE_DROP_TOO_MANY, "one node too many"));
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

	bench_attack(b, be_many_sessions);
	/* a STATUS for each two milliseconds at most, and the stream */
	assert_true(b->c.nodes[0].sent - sent <= (uint64_t)(b->c.now.us - started) / 2000 * 2 + 500);
	assert_false(cluster_peer_view(&b->c, 0, 1).problem[0]);
}

int main(void)
{
#define PROMISE(test) cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
	    PROMISE(gaps_that_never_end_are_bounded_and_named),
	    PROMISE(full_syncs_asked_for_without_end_are_served_now_and_then),
	    PROMISE(a_full_sync_that_never_ends_is_named_and_holds_nobody_up),
	    PROMISE(divergences_without_end_are_told_and_asked_about_ever_later),
	    PROMISE(a_horizon_that_always_moves_makes_no_storm),
	    PROMISE(a_table_overflow_is_bounded_and_named),
	    PROMISE(a_holder_that_is_many_nodes_takes_no_place_of_those_that_live),
	    PROMISE(sessions_without_end_are_few_at_a_time_and_answered_seldom),
	};
#undef PROMISE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
