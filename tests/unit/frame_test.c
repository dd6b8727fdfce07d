/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cluster.h"

enum { ROOM_MIN = FRAME_PAYLOAD_MIN - FRAME_OVERHEAD, ROOM_1500 = 1452 - FRAME_OVERHEAD };

static struct reader body_of(const uint8_t *message, size_t length)
{
	return reader_over(message + FRAME_MESSAGE_HEADER_SIZE, length - FRAME_MESSAGE_HEADER_SIZE);
}

static void the_header_has_these_bytes(void **state)
{
	static const uint8_t golden[FRAME_HEADER_SIZE] = {
	    'T', 'w', 'T', 'k', 1, 2, 0x12, 0x34, 0xa1, 0xa2, 0xa3, 0xa4, 9, 9, 9, 9, 9, 9, 9, 9,
	    9,   9,   9,   9,   9, 9, 9,    9,    5,    6,    7,    8,    0, 0, 0, 0, 0, 1, 2, 3};
	struct frame_header h = {.version = 1,
				 .cipher = SEAL_CHACHA20_POLY1305,
				 .node_id = 0x1234,
				 .key_id = 0xa1a2a3a4,
				 .salt = 0x05060708,
				 .packet_number = 0x010203},
			    back;
	uint8_t bytes[FRAME_OVERHEAD] = {0}, nonce[SEAL_NONCE_SIZE];
	struct writer w = writer_over(bytes, sizeof(bytes));

	(void)state;
	memset(h.session.bytes, 9, sizeof(h.session.bytes));
	frame_header_write(&w, &h);
	assert_memory_equal(bytes, golden, sizeof(golden));
	assert_int_equal(frame_header_read(bytes, sizeof(bytes), &back), FRAME_GOOD);
	assert_int_equal(back.packet_number, h.packet_number);
	assert_int_equal(back.key_id, h.key_id);
	frame_nonce(&h, nonce);
	assert_memory_equal(nonce, golden + 28, sizeof(nonce));
}

static void a_header_is_judged(void **state)
{
	uint8_t bytes[FRAME_OVERHEAD] = {0};
	struct frame_header h = {.version = FRAME_VERSION, .cipher = 1, .node_id = 7, .packet_number = 1};
	struct writer w = writer_over(bytes, sizeof(bytes));

	(void)state;
	frame_header_write(&w, &h);
	for (size_t length = 0; length < sizeof(bytes); length++)
		assert_int_equal(frame_header_read(bytes, length, &h), FRAME_TOO_SHORT);
	bytes[4] = FRAME_VERSION + 1;
	assert_int_equal(frame_header_read(bytes, sizeof(bytes), &h), FRAME_OTHER_VERSION);
	bytes[4] = FRAME_VERSION;
	bytes[0] ^= 1;
	assert_int_equal(frame_header_read(bytes, sizeof(bytes), &h), FRAME_BAD_MAGIC);
	bytes[0] ^= 1;
	bytes[7] = 0; /* node 0 */
	assert_int_equal(frame_header_read(bytes, sizeof(bytes), &h), FRAME_MALFORMED);
	bytes[7] = 7;
	bytes[39] = 0; /* packet 0 */
	assert_int_equal(frame_header_read(bytes, sizeof(bytes), &h), FRAME_MALFORMED);
}

static struct frame_status status_of(unsigned peers, uint64_t version, unsigned holes)
{
	struct frame_status s = {.role = FRAME_ROLE_BACKUP,
				 .flags = FRAME_STATUS_COMPLETE,
				 .term = 3,
				 .newest = version,
				 .horizon = version / 2,
				 .count = 9,
				 .digest = 0x1122334455667788,
				 .frozen_at = 1,
				 .stamp = 5,
				 .heartbeat_us = 200000,
				 .software = "a software of 23 bytes.",
				 .peers_count = (uint8_t)peers};

	for (unsigned i = 0; i < peers; i++) {
		struct frame_peer *p = &s.peers[i];

		*p = (struct frame_peer){.node_id = (uint16_t)(i + 1),
					 .flags = FRAME_PEER_CURRENT,
					 .challenge = i + 100,
					 .echo = i + 200,
					 .applied = version,
					 .proven = version,
					 .window = 1 << 20,
					 .holes_count = (uint8_t)holes};
		for (unsigned k = 0; k < holes; k++)
			p->holes[k] = (struct frame_hole){version + 10 * k, version + 10 * k + 5};
	}
	return s;
}

static void a_status_comes_back_as_it_was(void **state)
{
	struct frame_status s = status_of(3, 1000, FRAME_HOLES_MAX), back;
	uint8_t bytes[4096];
	struct writer w = writer_over(bytes, sizeof(bytes));

	(void)state;
	s.claims_count = 2;
	s.claims[1] = (struct frame_claim){.node_id = 4, .version = 77};
	assert_int_equal(frame_status_write(&w, &s), 3);
	assert_int_equal(frame_status_read(body_of(bytes, writer_length(&w)), &back), 0);
	assert_memory_equal(&back, &s, sizeof(s));
}

static void a_status_cut_anywhere_is_malformed(void **state)
{
	struct frame_status s = status_of(2, 1000, 2), back;
	uint8_t bytes[4096];
	struct writer w = writer_over(bytes, sizeof(bytes));

	(void)state;
	s.claims_count = 1;
	frame_status_write(&w, &s);
	for (size_t length = FRAME_MESSAGE_HEADER_SIZE; length < writer_length(&w); length++) {
		uint8_t *cut = malloc(length); /* so that a sanitizer sees a read beyond */

		memcpy(cut, bytes, length);
		assert_int_not_equal(frame_status_read(body_of(cut, length), &back), 0);
		free(cut);
	}
	bytes[writer_length(&w)] = 1; /* what a later version appends */
	assert_int_equal(frame_status_read(body_of(bytes, writer_length(&w) + 1), &back), 0);
}

static void a_status_beyond_a_bound_is_malformed(void **state)
{
	enum { ROLE = 3, SOFTWARE = 3 + 90, PEERS = SOFTWARE + 1 + 23, HOLES = PEERS + 1 + 55 + 2 + 2 };
	struct frame_status s = status_of(1, 1000, 1), back;
	uint8_t bytes[4096], good[4096];
	static const struct {
		size_t at;
		uint8_t value;
	} faults[] = {{ROLE, FRAME_ROLES},
		      {SOFTWARE, FRAME_SOFTWARE_SIZE},
		      {PEERS, FRAME_PEERS_MAX + 2},
		      {HOLES, FRAME_HOLES_MAX + 1}};
	struct writer w = writer_over(good, sizeof(good));

	(void)state;
	frame_status_write(&w, &s);
	assert_int_equal(good[SOFTWARE], 23);
	assert_int_equal(good[PEERS], 1);
	assert_int_equal(good[HOLES], 1);
	memset(good + writer_length(&w), 0, sizeof(good) - writer_length(&w));
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		memcpy(bytes, good, sizeof(bytes));
		bytes[faults[i].at] = faults[i].value;
		assert_int_not_equal(frame_status_read(body_of(bytes, sizeof(bytes)), &back), 0);
	}
	memcpy(bytes, good, sizeof(bytes));
	bytes[writer_length(&w) - 1] = FRAME_PEERS_MAX + 1; /* claims */
	assert_int_not_equal(frame_status_read(body_of(bytes, sizeof(bytes)), &back), 0);
	bytes[writer_length(&w) - 1] = 0;
	bytes[HOLES + 2] = 0; /* a hole of nothing */
	assert_int_not_equal(frame_status_read(body_of(bytes, sizeof(bytes)), &back), 0);
}

static unsigned named(unsigned peers, uint64_t version, unsigned holes, size_t room)
{
	struct frame_status s = status_of(peers, version, holes), back;
	uint8_t bytes[FRAME_PAYLOAD_MAX];
	struct writer w = writer_over(bytes, room);
	unsigned written = frame_status_write(&w, &s);

	assert_false(w.failed);
	assert_int_equal(frame_status_read(body_of(bytes, writer_length(&w)), &back), 0);
	assert_int_equal(back.peers_count, written);
	return written;
}

static void a_status_always_fits_and_names_as_many_as_it_can(void **state)
{
	(void)state;
	assert_int_equal(named(16, UINT64_MAX >> 1, FRAME_HOLES_MAX, ROOM_1500), 16);
	assert_int_equal(named(15, UINT64_C(1) << 34, 1, ROOM_MIN), 15);
	assert_int_equal(named(16, UINT64_MAX >> 1, 1, ROOM_MIN), 13);
	assert_int_equal(named(1, UINT64_MAX >> 1, FRAME_HOLES_MAX, ROOM_MIN), 1);
}

static size_t data_write(uint8_t *bytes, size_t room, const struct frame_data *data, unsigned flows)
{
	struct writer w = writer_over(bytes, room);
	struct frame_data_writer d;
	uint8_t record[RECORD_MAX];

	assert_true(frame_data_begin(&d, &w));
	for (unsigned i = 0; i < flows; i++) {
		struct flow f = cluster_flow(i);

		record_encode(&f, record);
		if (i % 3)
			assert_true(frame_data_put_record(&d, record));
		else
			assert_true(frame_data_put_key(&d, i ? FRAME_ENTRY_WITHDRAW : FRAME_ENTRY_DESTROY,
						       record_key(record)));
	}
	frame_data_end(&d, data);
	return writer_length(&w);
}

static void data_comes_back_as_it_was(void **state)
{
	struct frame_data data = {.from = 300,
				  .to = 305,
				  .asof = 305,
				  .flags = FRAME_DATA_TAIL | FRAME_DATA_FULL,
				  .full_id = 7,
				  .count = 5,
				  .digest = 99},
			  back;
	struct frame_entry entry;
	uint8_t bytes[1400];
	size_t length = data_write(bytes, sizeof(bytes), &data, 5);

	(void)state;
	assert_int_equal(bytes[0], FRAME_DATA);
	assert_int_equal(frame_data_read(body_of(bytes, length), &back), 0);
	assert_int_equal(back.from, 300);
	assert_int_equal(back.to, 305);
	assert_int_equal(back.asof, 305);
	assert_int_equal(back.full_id, 7);
	assert_int_equal(back.digest, 99);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(frame_entry_read(&back.entries, &entry), 1);
		assert_int_equal(entry.kind, i % 3 ? FRAME_ENTRY_UPSERT
					     : i   ? FRAME_ENTRY_WITHDRAW
						   : FRAME_ENTRY_DESTROY);
	}
	assert_int_equal(frame_entry_read(&back.entries, &entry), 0);
}

static void data_cut_anywhere_is_never_taken_for_whole(void **state)
{
	struct frame_data data = {.from = 1, .to = 6, .asof = 6, .flags = FRAME_DATA_TAIL}, back;
	uint8_t bytes[1400];
	size_t whole = data_write(bytes, sizeof(bytes), &data, 5);

	(void)state;
	for (size_t length = FRAME_MESSAGE_HEADER_SIZE; length < whole; length++) {
		uint8_t *cut = malloc(length);
		struct frame_entry entry;
		unsigned entries = 0;
		int more = 1;

		memcpy(cut, bytes, length);
		if (!frame_data_read(body_of(cut, length), &back))
			while ((more = frame_entry_read(&back.entries, &entry)) > 0)
				entries++;
		assert_true(more != 0 || entries < 5);
		free(cut);
	}
}

static void data_that_contradicts_itself_is_malformed(void **state)
{
	static const uint8_t unknown_flag[] = {0x80, 0, 0, 0};
	static const uint8_t tail_before_the_end[] = {
	    FRAME_DATA_TAIL, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t beyond_64_bits[] = {0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						 0xff, 0xff, 0xff, 0x01, 1,    0};
	struct frame_data d;

	(void)state;
	assert_int_not_equal(frame_data_read(reader_over(unknown_flag, sizeof(unknown_flag)), &d), 0);
	assert_int_not_equal(
	    frame_data_read(reader_over(tail_before_the_end, sizeof(tail_before_the_end)), &d), 0);
	assert_int_not_equal(frame_data_read(reader_over(beyond_64_bits, sizeof(beyond_64_bits)), &d), 0);
}

static void what_does_not_fit_is_not_begun(void **state)
{
	uint8_t bytes[FRAME_DATA_HEADER_MAX + 20], record[RECORD_MAX];
	struct writer w = writer_over(bytes, FRAME_DATA_HEADER_MAX - 1);
	struct flow f = cluster_flow(1);
	struct frame_data_writer d;

	(void)state;
	record_encode(&f, record);
	assert_false(frame_data_begin(&d, &w));
	w = writer_over(bytes, sizeof(bytes));
	assert_true(frame_data_begin(&d, &w));
	assert_false(frame_data_put_record(&d, record));
	assert_true(frame_data_put_key(&d, FRAME_ENTRY_DESTROY, record_key(record)));
	assert_false(frame_data_put_key(&d, FRAME_ENTRY_DESTROY, record_key(record)));
	assert_false(w.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_header_has_these_bytes),
	    cmocka_unit_test(a_header_is_judged),
	    cmocka_unit_test(a_status_comes_back_as_it_was),
	    cmocka_unit_test(a_status_cut_anywhere_is_malformed),
	    cmocka_unit_test(a_status_beyond_a_bound_is_malformed),
	    cmocka_unit_test(a_status_always_fits_and_names_as_many_as_it_can),
	    cmocka_unit_test(data_comes_back_as_it_was),
	    cmocka_unit_test(data_cut_anywhere_is_never_taken_for_whole),
	    cmocka_unit_test(data_that_contradicts_itself_is_malformed),
	    cmocka_unit_test(what_does_not_fit_is_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
