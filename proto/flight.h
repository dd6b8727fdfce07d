/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is under way: how many bytes were sent for versions beyond an acknowledged one.  Keeps a bounded
 * number of marks (version, bytes sent up to it); when they run out, neighbours are joined, so the answer
 * gets coarser, never too low.
 */
#ifndef PROTO_FLIGHT_H
#define PROTO_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

enum { FLIGHT_MARKS = 256 };

struct flight {
	uint64_t sent;  /* bytes, ever */
	uint64_t acked; /* of these, known to have arrived or been given up */
	size_t first, count;
	struct {
		uint64_t version, sent;
	} marks[FLIGHT_MARKS]; /* ring, versions ascending */
};

/* Forgets what is under way (what went before counts as arrived). */
void flight_reset(struct flight *flight);

/* `bytes` went out with a frame that ends at `version` (not below the last one noted). */
void flight_note(struct flight *flight, uint64_t version, size_t bytes);

/* All up to `version` has arrived.  Going back is ignored. */
void flight_acknowledge(struct flight *flight, uint64_t version);

/* Bytes under way. */
uint64_t flight_bytes(const struct flight *flight);

#endif
