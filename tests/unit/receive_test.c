/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/receive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cluster.h"

enum { LIMIT = 1000, FULL_ID = 77 };

struct bench {
	struct receive receive;
	struct table *owner; /* what the sender has: gives counts and digests */
	struct monotime now;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	receive_init(&b->receive, table_create(LIMIT, 0, 1));
	b->owner = table_create(10 * LIMIT, 1000, 2);
	b->now = monotime_from_s(1000);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	receive_destroy(&b->receive);
	table_destroy(b->owner);
	free(b);
	return 0;
}

static void own(struct bench *b, uint32_t i)
{
	struct flow f = cluster_flow(i);
	struct table_entry *entry;
	uint8_t record[RECORD_MAX];

	record_encode(&f, record);
	table_put(b->owner, record, &entry);
	entry->flags |= TABLE_ENTRY_EXPOSED;
}

static void disown(struct bench *b, uint32_t i)
{
	struct flow f = cluster_flow(i);
	uint8_t key[RECORD_KEY_MAX];

	table_remove(b->owner, table_find(b->owner, (struct record_key){key, record_encode_key(&f, key)}));
}

/* What the owner has in (from, to], as of now, without the last `cut` bytes; full_id 0: live. */
static unsigned data_cut(struct bench *b, uint64_t from, uint64_t to, uint32_t full_id, size_t cut)
{
	uint8_t bytes[FRAME_PAYLOAD_MAX * 8];
	struct writer w = writer_over(bytes, sizeof(bytes));
	struct table_walk walk = table_walk_after(b->owner, from, true);
	struct frame_data d = {.from = from, .to = to, .asof = table_newest(b->owner)};
	struct frame_data_writer writer;
	struct table_entry *entry;

	assert_true(frame_data_begin(&writer, &w));
	while ((entry = table_walk_next(&walk)) && walk.version <= to) {
		struct record_key key = {entry->bytes, entry->key_length};

		assert_true(entry->flags & TABLE_ENTRY_TOMBSTONE
				? frame_data_put_key(&writer, FRAME_ENTRY_DESTROY, key)
				: frame_data_put_record(&writer, entry->bytes));
	}
	if (full_id) {
		d.flags |= FRAME_DATA_FULL;
		d.full_id = full_id;
	}
	if (to == d.asof) {
		d.flags |= FRAME_DATA_TAIL;
		d.count = (uint32_t)table_count(b->owner);
		d.digest = table_digest(b->owner);
	}
	frame_data_end(&writer, &d);
	return receive_data(&b->receive,
			    reader_over(bytes + FRAME_MESSAGE_HEADER_SIZE,
					writer_length(&w) - FRAME_MESSAGE_HEADER_SIZE - cut),
			    b->now);
}

static unsigned data(struct bench *b, uint64_t from, uint64_t to, uint32_t full_id)
{
	return data_cut(b, from, to, full_id, 0);
}

static struct frame_status status_of(const struct bench *b, bool complete)
{
	return (struct frame_status){.flags = complete ? FRAME_STATUS_COMPLETE : 0,
				     .newest = table_newest(b->owner),
				     .horizon = table_horizon(b->owner),
				     .count = (uint32_t)table_count(b->owner),
				     .digest = table_digest(b->owner)};
}

static unsigned status(struct bench *b, bool complete)
{
	struct frame_status s = status_of(b, complete);

	return receive_status(&b->receive, &s, b->now, b->now);
}

static void run(struct bench *b)
{
	while (receive_deadline(&b->receive).us <= b->now.us)
		receive_run(&b->receive, FULL_ID, b->now);
}

static void catch_up(struct bench *b)
{
	status(b, true);
	run(b);
	assert_true(data(b, 0, table_newest(b->owner), FULL_ID) & RECEIVE_FULL_ENDED);
	status(b, true);
	run(b);
	status(b, true);
	assert_true(b->receive.has_proof);
}

static void own_range(struct bench *b, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		own(b, i);
}

static void the_first_catch_up_ends_in_a_proof(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, 10);
	catch_up(b);
	assert_int_equal(b->receive.applied, 10);
	assert_int_equal(table_count(b->receive.table), 10);
	assert_null(receive_obstacle(&b->receive));
}

static void a_frame_beyond_a_gap_waits_and_the_gap_is_told(void **state)
{
	struct bench *b = *state;
	struct frame_hole holes[4];

	catch_up(b);
	own_range(b, 0, 30);
	assert_true(data(b, 10, 20, 0) & RECEIVE_GAP);
	assert_true(data(b, 25, 30, 0) & RECEIVE_GAP);
	assert_int_equal(table_count(b->receive.table), 0);
	assert_int_equal(receive_holes(&b->receive, holes, 4), 2);
	assert_int_equal(holes[0].from, 0);
	assert_int_equal(holes[0].to, 10);
	assert_int_equal(holes[1].from, 20);
	assert_int_equal(holes[1].to, 25);
	assert_int_equal(receive_holes(&b->receive, holes, 1), 1);
	data(b, 0, 10, 0);
	assert_int_equal(b->receive.applied, 20);
	data(b, 20, 25, 0);
	assert_int_equal(b->receive.applied, 30);
	assert_int_equal(b->receive.stash.count, 0);
	assert_int_equal(b->receive.stash.bytes, 0);
	assert_int_equal(b->receive.proven_version, 30);
}

static void the_stash_is_bounded_and_keeps_what_comes_first(void **state)
{
	struct bench *b = *state;

	catch_up(b);
	own_range(b, 0, 3 * STASH_FRAMES);
	for (unsigned i = 2 * STASH_FRAMES; i; i--)
		data(b, i, i + 1, 0);
	assert_int_equal(b->receive.stash.count, STASH_FRAMES);
	assert_int_equal(b->receive.stash.frames[0].from, 1);
	data(b, 0, 1, 0);
	assert_int_equal(b->receive.applied, STASH_FRAMES + 1);
}

static void large_frames_fill_the_stash_by_their_bytes(void **state)
{
	struct bench *b = *state;

	catch_up(b);
	for (unsigned i = 0; i < 200; i++) {
		own_range(b, i * 900, 200);
		data(b, 1 + i * 200, 1 + i * 200 + 199, 0);
		assert_in_range(b->receive.stash.bytes, 0, STASH_BYTES);
	}
	assert_in_range(b->receive.stash.count, 10, 199);
}

static void applied_never_goes_back(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, 20);
	catch_up(b);
	data(b, 0, 5, 0);
	data(b, 5, 20, 0);
	assert_int_equal(b->receive.applied, 20);
}

static void a_full_catch_up_of_an_incomplete_sender_sweeps_nothing(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, 10);
	catch_up(b);
	for (uint32_t i = 0; i < 9; i++)
		disown(b, i);
	table_set_limits(b->owner, 10 * LIMIT, 0); /* restarted: it knows nothing of removals */
	receive_new_session(&b->receive, b->now);
	b->now.us += 3000000;
	status(b, false);
	run(b);
	assert_true(data(b, 0, table_newest(b->owner), FULL_ID) & RECEIVE_FULL_ENDED);
	run(b);
	assert_int_equal(table_count(b->receive.table), 10);
	assert_non_null(receive_obstacle(&b->receive));
	status(b, true);
	run(b);
	assert_int_equal(table_count(b->receive.table), 1);
	status(b, true);
	assert_null(receive_obstacle(&b->receive));
	assert_true(b->receive.has_proof);
}

static void a_full_catch_up_of_a_sender_without_room_sweeps_nothing(void **state)
{
	struct bench *b = *state;
	struct frame_status refused;

	own_range(b, 0, 10);
	catch_up(b);
	for (uint32_t i = 0; i < 9; i++)
		disown(b, i);
	table_set_limits(b->owner, 10 * LIMIT, 0);
	receive_new_session(&b->receive, b->now);
	b->now.us += 3000000;
	status(b, false);
	run(b);
	data(b, 0, table_newest(b->owner), FULL_ID);
	refused = status_of(b, true);
	refused.flags |= FRAME_STATUS_REFUSED;
	receive_status(&b->receive, &refused, b->now, b->now);
	run(b);
	assert_int_equal(table_count(b->receive.table), 10);
	status(b, true); /* it has room now */
	run(b);
	assert_int_equal(table_count(b->receive.table), 1);
}

static void the_sweep_comes_under_steady_change_too(void **state)
{
	struct bench *b = *state;
	uint64_t at;

	own_range(b, 0, 10);
	status(b, true);
	run(b);
	data(b, 0, 10, FULL_ID);
	own_range(b, 10, 10);
	status(b, true); /* always ahead of what is applied */
	assert_true(b->receive.full.sweep_waits);
	at = table_newest(b->owner);
	own_range(b, 20, 10);
	status(b, true);
	data(b, 10, at, 0);
	data(b, at, table_newest(b->owner), 0);
	assert_false(b->receive.full.sweep_waits);
}

static void a_frame_older_than_the_catch_ups_first_is_ignored(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[64];
	struct writer w = writer_over(bytes, sizeof(bytes));
	struct frame_data old = {.from = 0, .to = 8, .asof = 8};
	struct frame_data_writer d;

	own_range(b, 0, 10);
	status(b, true);
	run(b);
	data(b, 0, 5, FULL_ID);
	frame_data_begin(&d, &w);
	frame_data_end(&d, &old);
	receive_data(&b->receive, reader_over(bytes + 3, writer_length(&w) - 3), b->now);
	assert_int_equal(receive_position(&b->receive), 5);
}

static void a_catch_up_that_the_horizon_passed_starts_over_once_backed_off(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, 10);
	status(b, true);
	run(b);
	data(b, 0, 5, FULL_ID);
	table_set_limits(b->owner, 10 * LIMIT, 0);
	disown(b, 2);
	status(b, true);
	assert_false(b->receive.full.running);
	assert_true(b->receive.full.wanted);
	run(b);
	assert_false(b->receive.full.running);
	b->now.us += 1000000;
	run(b);
	assert_true(b->receive.full.running);
	/* what is still on its way of the one given up leaves removals out: it does not count */
	data(b, 0, 6, FULL_ID + 1);
	assert_int_equal(receive_position(&b->receive), 0);
}

static void frames_of_a_catch_up_given_up_are_not_taken_for_live(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, 10);
	catch_up(b);
	own_range(b, 10, 10);
	data(b, 10, 20, FULL_ID + 5);
	assert_int_equal(b->receive.applied, 10);
	data(b, 10, 20, FULL_ID); /* the last that ended: its tail */
	assert_int_equal(b->receive.applied, 20);
}

static void a_gap_below_the_horizon_asks_for_all(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, 10);
	catch_up(b);
	table_set_limits(b->owner, 10 * LIMIT, 0);
	disown(b, 1);
	status(b, true);
	assert_true(b->receive.full.wanted);
}

static void a_digest_that_differs_leads_to_a_full_catch_up_with_back_off(void **state)
{
	struct bench *b = *state;
	struct monotime first;

	own_range(b, 0, 10);
	catch_up(b);
	b->now.us += 100000000;
	for (unsigned i = 0; i < 12; i++) {
		struct frame_status s = status_of(b, true);
		struct monotime before = b->now;

		s.digest++;
		assert_true(receive_status(&b->receive, &s, b->now, b->now) & RECEIVE_DIVERGED);
		assert_false(b->receive.has_proof);
		first = receive_deadline(&b->receive);
		b->now = monotime_max(b->now, first);
		run(b);
		assert_true(b->receive.full.running);
		if (i == 1)
			assert_int_equal(b->now.us - before.us, 1000000);
		if (i == 11)
			assert_int_equal(b->now.us - before.us, 300000000);
		assert_true(data(b, 0, table_newest(b->owner), FULL_ID) & RECEIVE_FULL_ENDED);
		s = status_of(b, true);
		receive_status(&b->receive, &s, b->now, b->now);
		run(b);
	}
	assert_int_equal(b->receive.divergences, 12);
}

static void a_restarted_peer_is_not_kept_waiting_by_old_back_off(void **state)
{
	struct bench *b = *state;

	b->receive.full.not_before = monotime_add(b->now, monotime_from_s(300));
	receive_new_session(&b->receive, b->now);
	assert_in_range(receive_deadline(&b->receive).us, b->now.us, b->now.us + 2000000);
}

static void an_overflow_is_told_and_heals_when_it_fits(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, LIMIT + 10);
	status(b, true);
	run(b);
	assert_true(data(b, 0, LIMIT, FULL_ID) == RECEIVE_PROGRESSED);
	assert_true(data(b, LIMIT, LIMIT + 10, FULL_ID) & RECEIVE_REFUSED);
	assert_int_equal(b->receive.refused, 10);
	status(b, true);
	assert_false(b->receive.full.wanted); /* it would not fit: no storm */
	for (uint32_t i = 0; i < 20; i++)
		disown(b, i);
	status(b, true);
	assert_true(b->receive.full.wanted);
	b->now.us += 10000000;
	run(b);
	data(b, 0, LIMIT / 2, FULL_ID);
	data(b, LIMIT / 2, table_newest(b->owner), FULL_ID);
	status(b, true);
	run(b);
	b->now.us += 10000000; /* obsolete ones took the room of new ones, maybe: then once more */
	status(b, true);
	run(b);
	if (b->receive.full.running)
		data(b, 0, table_newest(b->owner), FULL_ID);
	status(b, true);
	run(b);
	status(b, true);
	assert_null(receive_obstacle(&b->receive));
	assert_true(b->receive.has_proof);
}

static void what_overflowed_is_lacking_also_when_the_catch_up_for_it_is_given_up(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, LIMIT + 10);
	status(b, true);
	run(b);
	data(b, 0, LIMIT + 10, FULL_ID);
	assert_false(receive_is_whole(&b->receive));
	table_set_limits(b->owner, 10 * LIMIT, 0);
	for (uint32_t i = 0; i < 20; i++)
		disown(b, i);
	status(b, true);
	b->now.us += 10000000;
	run(b);
	assert_true(b->receive.full.running);
	assert_true(receive_is_whole(&b->receive)); /* up to 0 */
	disown(b, 20);
	status(b, true);
	assert_false(b->receive.full.running);
	assert_false(receive_is_whole(&b->receive));
}

static void a_late_digest_proves_no_more_than_when_it_was_sent(void **state)
{
	struct bench *b = *state;
	struct monotime sent = b->now;

	catch_up(b);
	own_range(b, 0, 2);
	data(b, 1, 2, 0); /* stashed, with its digest */
	b->now.us += 60000000;
	data(b, 0, 1, 0);
	assert_int_equal(b->receive.applied, 2);
	assert_int_equal(b->receive.proven_version, 2);
	assert_int_equal(b->receive.proven_at.us, sent.us);
}

static void nothing_stays_proven_while_all_is_fetched_anew(void **state)
{
	struct bench *b = *state;

	own_range(b, 0, 3);
	catch_up(b);
	receive_flush(&b->receive, b->now);
	assert_false(b->receive.has_proof);
	assert_int_equal(table_count(b->receive.table), 0);
	run(b);
	assert_true(b->receive.full.running);
}

static void absurd_versions_are_survived(void **state)
{
	static const uint64_t edges[] = {0, 1, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
	struct bench *b = *state;
	struct frame_hole holes[FRAME_HOLES_MAX];

	catch_up(b);
	for (unsigned i = 0; i < 5; i++)
		for (unsigned j = i; j < 5; j++) {
			uint8_t bytes[64];
			struct writer w = writer_over(bytes, sizeof(bytes));
			struct frame_data d = {.from = edges[i], .to = edges[j], .asof = UINT64_MAX};
			struct frame_status s = {.newest = edges[j], .horizon = edges[i]};
			struct frame_data_writer writer;

			frame_data_begin(&writer, &w);
			frame_data_end(&writer, &d);
			receive_data(&b->receive, reader_over(bytes + 3, writer_length(&w) - 3), b->now);
			receive_status(&b->receive, &s, b->now, b->now);
			receive_holes(&b->receive, holes, FRAME_HOLES_MAX);
			run(b);
		}
	assert_in_range(b->receive.stash.count, 0, STASH_FRAMES);
}

/* Of a primary that was never seen as a backup its first claim tells what it knew when it took over. */
static void what_a_primary_names_is_later_than_what_its_first_claim_knew(void **state)
{
	struct bench *b = *state;
	struct flow flow = cluster_flow(3);
	uint8_t key[RECORD_KEY_MAX];
	const struct table_entry *entry;

	own_range(b, 0, 10);
	catch_up(b);
	entry = table_find(b->receive.table, (struct record_key){key, record_encode_key(&flow, key)});
	assert_non_null(entry);
	assert_false(receive_is_later(&b->receive, entry, 50));
	receive_note_claim(&b->receive, 60);
	receive_note_claim(&b->receive, 90); /* no more than the first */
	assert_true(receive_is_later(&b->receive, entry, 50));
	assert_false(receive_is_later(&b->receive, entry, 70));
}

static void what_stands_before_a_fault_is_applied_and_the_position_stays(void **state)
{
	static const uint32_t counts[] = {1,
					  TABLE_TOGETHER - 1,
					  TABLE_TOGETHER,
					  TABLE_TOGETHER + 1,
					  2 * TABLE_TOGETHER,
					  3 * TABLE_TOGETHER + 1};
	struct bench *b = *state;

	own(b, 0);
	catch_up(b);
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t before = table_newest(b->owner), after = before + counts[i];

		own_range(b, LIMIT * (i + 1), counts[i]);
		assert_true(data_cut(b, before, after, 0, 3) & RECEIVE_MALFORMED);
		assert_int_equal(table_count(b->receive.table), table_count(b->owner) - 1);
		assert_int_equal(receive_position(&b->receive), before);
		assert_true(data(b, before, after, 0) & RECEIVE_PROVEN);
	}
}

int main(void)
{
#define promise(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    promise(the_first_catch_up_ends_in_a_proof),
	    promise(what_stands_before_a_fault_is_applied_and_the_position_stays),
	    promise(a_frame_beyond_a_gap_waits_and_the_gap_is_told),
	    promise(the_stash_is_bounded_and_keeps_what_comes_first),
	    promise(large_frames_fill_the_stash_by_their_bytes),
	    promise(applied_never_goes_back),
	    promise(a_full_catch_up_of_an_incomplete_sender_sweeps_nothing),
	    promise(a_full_catch_up_of_a_sender_without_room_sweeps_nothing),
	    promise(the_sweep_comes_under_steady_change_too),
	    promise(a_frame_older_than_the_catch_ups_first_is_ignored),
	    promise(a_catch_up_that_the_horizon_passed_starts_over_once_backed_off),
	    promise(frames_of_a_catch_up_given_up_are_not_taken_for_live),
	    promise(a_gap_below_the_horizon_asks_for_all),
	    promise(a_digest_that_differs_leads_to_a_full_catch_up_with_back_off),
	    promise(a_restarted_peer_is_not_kept_waiting_by_old_back_off),
	    promise(an_overflow_is_told_and_heals_when_it_fits),
	    promise(what_overflowed_is_lacking_also_when_the_catch_up_for_it_is_given_up),
	    promise(a_late_digest_proves_no_more_than_when_it_was_sent),
	    promise(nothing_stays_proven_while_all_is_fetched_anew),
	    promise(absurd_versions_are_survived),
	    promise(what_a_primary_names_is_later_than_what_its_first_claim_knew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
