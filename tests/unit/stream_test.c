/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cluster.h"

static const uint8_t key[SEAL_KEY_SIZE] = {4, 5, 6};

struct bench {
	struct outbox outbox;
	struct node_config config;
	struct node_sink sink;
	struct stream_out out;
	struct catchup catchup;
	struct node_endpoint endpoints[NODE_LINKS_MAX];
	uint32_t counter;
	struct outbox_destination to;
	unsigned sent;
	struct frame_data last; /* the last datagram's; its entries are gone */
	unsigned last_destroys;
};

static void effect_send(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
			size_t length)
{
	struct bench *b = context;
	uint8_t plain[FRAME_PAYLOAD_MAX], nonce[SEAL_NONCE_SIZE];
	struct frame_header h;
	struct frame_entry entry;
	struct seal *seal;
	size_t body = FRAME_INNER_SIZE + FRAME_MESSAGE_HEADER_SIZE;

	(void)link;
	(void)to;
	b->sent++;
	frame_header_read(bytes, length, &h);
	seal = seal_create(key, h.cipher, FRAME_VERSION, h.node_id, &h.session);
	frame_nonce(&h, nonce);
	assert_int_equal(seal_open(seal, nonce, bytes, FRAME_HEADER_SIZE, bytes + FRAME_HEADER_SIZE,
				   length - FRAME_HEADER_SIZE, plain),
			 0);
	seal_destroy(seal);
	assert_int_equal(
	    frame_data_read(reader_over(plain + body, length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE - body),
			    &b->last),
	    0);
	b->last_destroys = 0;
	while (frame_entry_read(&b->last.entries, &entry) > 0)
		b->last_destroys += entry.kind == FRAME_ENTRY_DESTROY;
}

static void effect_random(void *context, void *bytes, size_t size)
{
	(void)context;
	memset(bytes, 1, size);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->config =
	    (struct node_config){.id = 3, .links = 1, .payload_max = 1452, .cipher = SEAL_AES_256_GCM};
	b->sink = (struct node_sink){.context = b, .send = effect_send, .random = effect_random};
	seal_ring_add(&b->config.ring, key);
	outbox_start_session(&b->outbox, &b->config, &b->sink);
	b->out = (struct stream_out){.outbox = &b->outbox,
				     .config = &b->config,
				     .sink = &b->sink,
				     .table = table_create(100000, 50, 1),
				     .now = monotime_from_s(10)};
	b->endpoints[0].length = 1;
	b->to = (struct outbox_destination){2, &b->counter, b->endpoints};
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	outbox_finish(&b->outbox);
	table_destroy(b->out.table);
	free(b);
	return 0;
}

static void put(struct bench *b, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow f = cluster_flow(i);
		struct table_entry *entry;
		uint8_t record[RECORD_MAX];

		record_encode(&f, record);
		table_put(b->out.table, record, &entry);
	}
}

static void drop_flows(struct bench *b, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow f = cluster_flow(i);
		uint8_t bytes[RECORD_KEY_MAX];

		table_remove(
		    b->out.table,
		    table_find(b->out.table, (struct record_key){bytes, record_encode_key(&f, bytes)}));
	}
}

static void a_change_after_a_silence_goes_at_once_and_others_wait_for_company_but_not_for_long(void **state)
{
	struct bench *b = *state;
	struct stream s = {0};
	int64_t sent_us = b->out.now.us;

	stream_touch(&s, b->out.table, b->out.now);
	assert_int_equal(stream_deadline(&s, b->out.table).us, INT64_MAX);
	put(b, 0, 1);
	stream_touch(&s, b->out.table, b->out.now);
	assert_int_equal(stream_deadline(&s, b->out.table).us, b->out.now.us);
	assert_true(stream_send_live(&s, &b->out) > 0);
	b->out.now.us += STREAM_COALESCE_US / 4;
	put(b, 1, 1);
	stream_touch(&s, b->out.table, b->out.now);
	assert_int_equal(stream_deadline(&s, b->out.table).us, sent_us + STREAM_COALESCE_US);
	put(b, 2, STREAM_COALESCE_CHANGES);
	assert_int_equal(stream_deadline(&s, b->out.table).us, b->out.now.us);
	while (stream_send_live(&s, &b->out))
		;
	assert_int_equal(s.sent, table_newest(b->out.table));
	assert_true(b->last.flags & FRAME_DATA_TAIL);
	assert_int_equal(b->last.count, STREAM_COALESCE_CHANGES + 2);
	assert_false(s.is_dirty);
}

static void while_changes_come_fast_datagrams_fill_and_after_that_they_do_not_wait(void **state)
{
	struct bench *b = *state;
	struct stream s = {0};
	int64_t sent_us;

	b->out.now.us += STREAM_RATE_US;
	stream_touch(&s, b->out.table, b->out.now);
	put(b, 0, STREAM_BUSY_RATE / (1000000 / STREAM_RATE_US));
	b->out.now.us += STREAM_RATE_US;
	stream_touch(&s, b->out.table, b->out.now);
	while (stream_send_live(&s, &b->out))
		;
	sent_us = b->out.now.us;
	put(b, 1000, 1);
	b->out.now.us += STREAM_COALESCE_US;
	stream_touch(&s, b->out.table, b->out.now);
	assert_int_equal(stream_deadline(&s, b->out.table).us, sent_us + STREAM_BUSY_US);
	put(b, 1001, STREAM_COALESCE_CHANGES);
	assert_true(stream_deadline(&s, b->out.table).us <= b->out.now.us);

	while (stream_send_live(&s, &b->out))
		;
	b->out.now.us += STREAM_RATE_US;
	put(b, 2000, 1);
	stream_touch(&s, b->out.table, b->out.now);
	assert_int_equal(stream_deadline(&s, b->out.table).us, b->out.now.us);
}

static void no_live_frame_claims_removals_that_are_forgotten(void **state)
{
	struct bench *b = *state;
	struct stream s = {0};

	put(b, 0, 200);
	while (stream_send_live(&s, &b->out))
		;
	drop_flows(b, 0, 100); /* fifty of these tombstones are discarded */
	put(b, 500, 1);
	stream_send_live(&s, &b->out);
	assert_int_equal(b->last.from, table_horizon(b->out.table));
	assert_int_equal(b->last.to, table_newest(b->out.table));
}

static void a_catch_up_keeps_to_the_window(void **state)
{
	struct bench *b = *state;

	put(b, 0, 1000);
	catchup_start_full(&b->catchup, 7, 0, &b->out);
	while (catchup_can_send(&b->catchup, b->out.table, 10000))
		assert_true(catchup_send(&b->catchup, &b->out, &b->to));
	assert_in_range(flight_bytes(&b->catchup.flight), 10000, 11452);
	assert_false(catchup_can_send(&b->catchup, b->out.table, 0));
	catchup_acknowledge(&b->catchup, b->catchup.cursor, b->out.now);
	assert_true(catchup_can_send(&b->catchup, b->out.table, 10000));
}

static void a_catch_up_without_progress_goes_back_once_its_patience_is_over(void **state)
{
	struct bench *b = *state;
	struct monotime patience = monotime_from_ms(50);
	uint64_t acked;

	put(b, 0, 100);
	catchup_start_full(&b->catchup, 7, 0, &b->out);
	catchup_send(&b->catchup, &b->out, &b->to);
	acked = b->catchup.cursor;
	catchup_acknowledge(&b->catchup, acked, b->out.now);
	while (catchup_can_send(&b->catchup, b->out.table, UINT32_MAX))
		catchup_send(&b->catchup, &b->out, &b->to);
	catchup_retry(&b->catchup, patience, monotime_from_us(b->out.now.us + 49999));
	assert_int_equal(b->catchup.cursor, 100);
	catchup_retry(&b->catchup, patience, monotime_from_us(b->out.now.us + 50000));
	assert_int_equal(b->catchup.cursor, acked);
	assert_int_equal(flight_bytes(&b->catchup.flight), 0);
}

static void an_empty_table_is_told_by_one_empty_frame(void **state)
{
	struct bench *b = *state;

	catchup_start_full(&b->catchup, 7, 0, &b->out);
	assert_true(catchup_can_send(&b->catchup, b->out.table, 10000));
	catchup_send(&b->catchup, &b->out, &b->to);
	assert_int_equal(b->last.to, 0);
	assert_int_equal(b->last.flags, FRAME_DATA_TAIL | FRAME_DATA_FULL);
	assert_false(catchup_can_send(&b->catchup, b->out.table, 10000));
}

static void a_full_catch_up_taken_up_again_tells_what_was_removed_since_its_start(void **state)
{
	struct bench *b = *state;
	struct stream s = {0};

	put(b, 0, 100);
	while (stream_send_live(&s, &b->out))
		;
	catchup_start_full(&b->catchup, 7, 0, &b->out);
	catchup_send(&b->catchup, &b->out, &b->to);
	catchup_stop(&b->catchup); /* the peer fell silent; what it had been told of ends meanwhile */
	drop_flows(b, 0, 10);
	catchup_start_full(&b->catchup, 7, b->last.to, &b->out);
	while (catchup_can_send(&b->catchup, b->out.table, UINT32_MAX))
		catchup_send(&b->catchup, &b->out, &b->to);
	assert_int_equal(b->last_destroys, 10);
	assert_int_equal(b->catchup.started_full, 1);
	/* another one need not; but not as often as somebody likes */
	assert_false(catchup_start_full(&b->catchup, 8, 0, &b->out));
	assert_int_equal(b->catchup.started_full, 1);
	b->out.now.us += STREAM_FULL_INTERVAL_US;
	assert_true(catchup_start_full(&b->catchup, 8, 0, &b->out));
	while (catchup_can_send(&b->catchup, b->out.table, UINT32_MAX))
		catchup_send(&b->catchup, &b->out, &b->to);
	assert_int_equal(b->last_destroys, 0);
}

static void a_catch_up_below_the_horizon_waits_for_the_peer_to_start_over(void **state)
{
	struct bench *b = *state;
	struct stream s = {0};

	put(b, 0, 200);
	while (stream_send_live(&s, &b->out))
		;
	catchup_start_partial(&b->catchup, 10, 200, &b->out);
	drop_flows(b, 0, 100);
	assert_false(catchup_can_send(&b->catchup, b->out.table, 10000));
}

static unsigned repair(struct bench *b, uint64_t from, uint64_t to, uint64_t from2, uint64_t to2)
{
	struct frame_peer us = {.holes_count = to2 ? 2 : 1, .holes = {{from, to}, {from2, to2}}};
	unsigned before = b->sent;

	catchup_repair(&b->catchup, &b->out, &b->to, &us, table_newest(b->out.table), monotime_from_ms(5));
	return b->sent - before;
}

static void a_hole_is_sent_again_once_for_each_patience(void **state)
{
	struct bench *b = *state;

	put(b, 0, 200);
	assert_int_equal(repair(b, 10, 20, 0, 0), 1);
	assert_int_equal(repair(b, 10, 20, 0, 0), 0);
	assert_int_equal(repair(b, 10, 15, 0, 0), 0); /* a part of it */
	b->out.now.us += 3000;
	assert_int_equal(repair(b, 10, 20, 30, 40), 1); /* a new one does not put the old one off ... */
	b->out.now.us += 2000;
	assert_int_equal(repair(b, 10, 20, 30, 40), 1); /* ... whose time has come */
	assert_int_equal(b->last.from, 10);
}

static void a_large_hole_goes_on_where_the_last_call_ended(void **state)
{
	struct bench *b = *state;
	unsigned sent;

	put(b, 0, 4000);
	assert_int_equal(repair(b, 0, 4000, 0, 0), STREAM_REPAIR_DATAGRAMS);
	assert_true(b->last.to < 4000);
	sent = b->sent;
	assert_true(repair(b, 0, 4000, 0, 0) > 0);
	assert_true(b->sent - sent < STREAM_REPAIR_DATAGRAMS);
	assert_int_equal(b->last.to, 4000);
}

static void what_was_not_sent_yet_is_no_hole(void **state)
{
	struct bench *b = *state;
	struct frame_peer us = {.holes_count = 1, .holes = {{50, 60}}};

	put(b, 0, 100);
	catchup_repair(&b->catchup, &b->out, &b->to, &us, 55, monotime_from_ms(5));
	assert_int_equal(b->sent, 0);
	us.holes[0] = (struct frame_hole){UINT64_MAX - 1, UINT64_MAX};
	catchup_repair(&b->catchup, &b->out, &b->to, &us, 100, monotime_from_ms(5));
	assert_int_equal(b->sent, 0);
}

int main(void)
{
#define promise(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    promise(a_change_after_a_silence_goes_at_once_and_others_wait_for_company_but_not_for_long),
	    promise(while_changes_come_fast_datagrams_fill_and_after_that_they_do_not_wait),
	    promise(no_live_frame_claims_removals_that_are_forgotten),
	    promise(a_catch_up_keeps_to_the_window),
	    promise(a_catch_up_without_progress_goes_back_once_its_patience_is_over),
	    promise(an_empty_table_is_told_by_one_empty_frame),
	    promise(a_full_catch_up_taken_up_again_tells_what_was_removed_since_its_start),
	    promise(a_catch_up_below_the_horizon_waits_for_the_peer_to_start_over),
	    promise(a_hole_is_sent_again_once_for_each_patience),
	    promise(a_large_hole_goes_on_where_the_last_call_ended),
	    promise(what_was_not_sent_yet_is_no_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
