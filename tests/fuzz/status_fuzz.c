/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The body of a STATUS: bounds, and that what was read can be written and read again. */
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_bounds(const struct frame_status *s)
{
	FUZZ_REQUIRE(s->role < FRAME_ROLES && s->horizon <= s->newest);
	FUZZ_REQUIRE(s->peers_count <= FRAME_PEERS_MAX + 1 && s->claims_count <= FRAME_PEERS_MAX);
	FUZZ_REQUIRE(memchr(s->software, 0, sizeof(s->software)));
	for (const char *at = s->software; *at; at++)
		FUZZ_REQUIRE(*at >= 0x20 && *at <= 0x7e);
	for (unsigned i = 0; i < s->peers_count; i++) {
		const struct frame_peer *peer = &s->peers[i];
		uint64_t at = peer->applied;

		FUZZ_REQUIRE(peer->holes_count <= FRAME_HOLES_MAX);
		for (unsigned h = 0; h < peer->holes_count; h++) {
			FUZZ_REQUIRE(peer->holes[h].from >= at && peer->holes[h].to > peer->holes[h].from);
			at = peer->holes[h].to;
		}
	}
}

/* With room for all, nothing is left out and the same comes back; with less, what is written is still good.
 */
static void check_written(const struct frame_status *s, size_t size)
{
	uint8_t *room = malloc(size);
	struct writer w = writer_over(room, size);
	unsigned peers = frame_status_write(&w, s);
	struct frame_status *back = malloc(sizeof(*back));

	FUZZ_REQUIRE(room && back);
	if (!w.failed) {
		size_t length = writer_length(&w) - FRAME_MESSAGE_HEADER_SIZE;

		FUZZ_REQUIRE(room[0] == FRAME_STATUS && (size_t)(room[1] << 8 | room[2]) == length);
		FUZZ_REQUIRE(!frame_status_read(reader_over(room + FRAME_MESSAGE_HEADER_SIZE, length), back));
		FUZZ_REQUIRE(back->peers_count == peers);
		check_bounds(back);
		if (size == FRAME_PAYLOAD_MAX)
			FUZZ_REQUIRE(!memcmp(back, s, sizeof(*s)));
	} else {
		FUZZ_REQUIRE(size < FRAME_PAYLOAD_MIN - FRAME_OVERHEAD);
	}
	free(back);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = fuzz_copy(bytes, length);
	struct frame_status *status = malloc(sizeof(*status));

	FUZZ_REQUIRE(status);
	if (!frame_status_read(reader_over(copy, length), status)) {
		check_bounds(status);
		check_written(status, FRAME_PAYLOAD_MAX);
		check_written(status, FRAME_PAYLOAD_MIN - FRAME_OVERHEAD);
		check_written(status, length);
	}
	free(status);
	free(copy);
	return 0;
}
