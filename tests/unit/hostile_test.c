/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A peer that holds the key, proves to be live, and is hostile or out of its mind, says what makes no sense.
 * Whatever it says: the others stay within their bounds, go on serving each other, and say what is wrong with
 * it.
 */
#include "tests/unit/hostile_bench.h"

#include "proto/role.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool says(const char *text, const char *word)
{
	return strstr(text, word) != NULL;
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

	bench_attack(b, say_absurd_versions);
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

	bench_attack(b, raise_the_term);
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
	uint64_t before = bench_drops(b, 0, NODE_DROP_MALFORMED);
	unsigned said = say_malformed(b);

	cluster_run_us(&b->c, 10000);
	assert_int_equal(bench_drops(b, 0, NODE_DROP_MALFORMED) - before, said);
	assert_true(
	    bench_names_stranger(b, BENCH_HOSTILE_ID, NODE_DROP_MALFORMED, "no message, with the right key"));
	bench_attack(b, say_nonsense);
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
	uint64_t before = bench_drops(b, 0, NODE_DROP_MALFORMED);
	struct frame_data data = {
	    .to = 9, .asof = 9, .flags = FRAME_DATA_FULL, .full_id = b->h.heard[0].about_us.full_id};

	assert_true(data.full_id);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		hostile_data(&b->h, 0, &data, entries[i], sizeof(entries[i]));
	cluster_run_us(&b->c, 10000);
	assert_int_equal(bench_drops(b, 0, NODE_DROP_MALFORMED) - before,
			 sizeof(entries) / sizeof(entries[0]));
	assert_int_equal(hostile_view(&b->h, 0).applied, 0);
	assert_int_equal(hostile_view(&b->h, 0).flows, 0);
	bench_check_served(b, NULL);
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
		in_sync += bench_pair_is_in_sync(&b->c);
	}
	assert_in_range(sessions, 2, 6);
	assert_true(in_sync > 1000); /* most of the time the pair is in step */
	bench_check_served(b, acknowledge_what_never_was);
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

	bench_attack(b, claim_everything);
	node_view(b->c.nodes[0].node, b->c.now, &view);
	assert_true(view.split_brain);
	assert_int_equal(view.role, FRAME_ROLE_PRIMARY);
	assert_int_equal(table_count(node_internal(b->c.nodes[0].node)), table_count(b->c.nodes[0].kernel));
}

static void a_second_holder_of_a_living_id_is_named_and_changes_nothing(void **state)
{
	struct bench *b = *state;

	assert_true(says(cluster_peer_view(&b->c, 0, 1).problem, "two nodes have the id 2"));
	assert_true(bench_drops(b, 0, NODE_DROP_DUPLICATE_ID) > 0);
	bench_check_served(b, bench_go_on_with_the_full_sync);
	assert_int_equal(cluster_peer_view(&b->c, 0, 1).flows, 0);
}

int main(void)
{
#define PROMISE(test) cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
	    PROMISE(absurd_versions_and_ranges_stay_with_who_says_them),
	    PROMISE(terms_that_leap_again_and_again_are_believed_once_a_minute),
	    PROMISE(absurd_counts_and_lengths_are_counted_and_named),
	    PROMISE(entries_that_are_none_are_counted_and_do_not_move_the_position),
	    PROMISE(acknowledging_too_much_costs_new_sessions_ever_more_seldom_and_names_it),
	    PROMISE(claims_of_what_lives_take_nothing_away_and_a_second_primary_is_named),
	    cmocka_unit_test_setup_teardown(a_second_holder_of_a_living_id_is_named_and_changes_nothing,
					    bench_setup_as_the_second, bench_teardown),
	};
#undef PROMISE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
