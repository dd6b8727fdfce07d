/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of a stream that came before their turn, by where they begin, bounded in number and bytes.  What
 * comes first is kept: when there is no room, the frame farthest ahead goes; it is sent again.
 */
#ifndef PROTO_STASH_H
#define PROTO_STASH_H

#include "proto/frame.h"
#include "proto/monotime.h"

enum {
	STASH_FRAMES = 256,
	STASH_BYTES = 512 << 10,
};

struct stashed {
	uint64_t from, to, asof;
	uint8_t *bytes; /* the message's body; owned */
	size_t length;
	bool tail;
	uint32_t count;
	uint64_t digest;
	struct monotime sent_after; /* by our clock, no later than when it was sent */
};

struct stash {
	struct stashed frames[STASH_FRAMES]; /* by from, ascending */
	size_t count, bytes;
};

/* Copies it, in its place.  One that is known, finds no room or no memory is as good as lost on the way. */
void stash_add(struct stash *stash, const struct frame_data *data, struct monotime sent_after);

void stash_remove(struct stash *stash, size_t i);
void stash_clear(struct stash *stash);

/* The holes between `at` and what is stashed, ascending; at most `max`; returns how many. */
unsigned stash_holes(const struct stash *stash, uint64_t at, struct frame_hole *holes, unsigned max);

#endif
