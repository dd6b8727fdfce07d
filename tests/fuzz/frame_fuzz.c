/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clear header, and DATA with its entries: what was read is written again, byte for byte. */
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_header(const uint8_t *bytes, size_t length)
{
	uint8_t again[FRAME_HEADER_SIZE], nonce[SEAL_NONCE_SIZE];
	struct frame_header header;
	struct writer w = writer_over(again, sizeof(again));
	enum frame_verdict verdict = frame_header_read(bytes, length, &header);

	FUZZ_REQUIRE((verdict == FRAME_TOO_SHORT) == (length < FRAME_OVERHEAD));
	if (verdict != FRAME_GOOD)
		return;
	FUZZ_REQUIRE(length <= FRAME_PAYLOAD_MAX && header.node_id && header.packet_number);
	frame_header_write(&w, &header);
	FUZZ_REQUIRE(!w.failed && !memcmp(again, bytes, sizeof(again)));
	frame_nonce(&header, nonce);
	FUZZ_REQUIRE(!memcmp(nonce, bytes + 28, sizeof(nonce))); /* salt and packet number, as they stand */
}

/* Writes an entry as it was read; true when it was put. */
static bool put_entry(struct frame_data_writer *d, const struct frame_entry *entry)
{
	if (entry->kind != FRAME_ENTRY_UPSERT)
		return frame_data_put_key(d, entry->kind, entry->key);
	FUZZ_REQUIRE(record_length(entry->record) <= RECORD_MAX);
	return frame_data_put_record(d, entry->record);
}

static void check_data(const uint8_t *bytes, size_t length)
{
	size_t size = length + FRAME_DATA_HEADER_MAX;
	uint8_t *room = malloc(size);
	struct writer w = writer_over(room, size);
	struct frame_data_writer d;
	struct frame_entry entry;
	struct frame_data data;
	int more = 0;

	FUZZ_REQUIRE(room && frame_data_begin(&d, &w));
	if (!frame_data_read(reader_over(bytes, length), &data)) {
		struct reader entries = data.entries;

		FUZZ_REQUIRE(data.from <= data.to && data.to <= data.asof);
		while ((more = frame_entry_read(&entries, &entry)) > 0) {
			FUZZ_REQUIRE(entry.verdict != RECORD_MALFORMED);
			FUZZ_REQUIRE(put_entry(&d, &entry));
		}
		if (!more && length <= UINT16_MAX) {
			frame_data_end(&d, &data);
			FUZZ_REQUIRE(!w.failed && writer_length(&w) == length + FRAME_MESSAGE_HEADER_SIZE);
			FUZZ_REQUIRE(!memcmp(room + FRAME_MESSAGE_HEADER_SIZE, bytes, length));
		}
	}
	free(room);
}

/* The first byte tells which: a datagram, or the body of a DATA. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t *copy;

	if (!length)
		return 0;
	copy = fuzz_copy(bytes + 1, length - 1);
	if (bytes[0] & 1)
		check_data(copy, length - 1);
	else
		check_header(copy, length - 1);
	free(copy);
	return 0;
}
