/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was true when: each state that a host's internal table had, and each flow that left it, by session and
 * version.  Rings: what is older than they are is of no use any more.
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "proto/seal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_STATES = 1 << 16, HISTORY_DEPARTURES = 1 << 13 };

struct history_state {
	struct seal_session_id session;
	uint64_t version, digest;
	uint32_t count;
	int64_t until_us; /* when it was last known to be so; INT64_MAX: it still is */
};

struct history_departure {
	struct seal_session_id session;
	uint64_t version; /* from that one on it was not there */
	uint32_t number;
};

struct history {
	struct history_state states[HISTORY_STATES];
	size_t states_count;
	struct history_departure departures[HISTORY_DEPARTURES];
	size_t departures_count;
};

bool history_same_session(const struct seal_session_id *a, const struct seal_session_id *b);

void history_note(struct history *history, const struct seal_session_id *session, uint64_t version,
		  uint32_t count, uint64_t digest, int64_t now_us);
/* Its daemon is gone: nothing is so any more. */
void history_end(struct history *history, int64_t now_us);
void history_note_departure(struct history *history, const struct seal_session_id *session, uint64_t version,
			    uint32_t number);

/* The state at that version; NULL: there was none, or it is too long ago. */
const struct history_state *history_at(const struct history *history, const struct seal_session_id *session,
				       uint64_t version);

/* The departure at that position of the ring, counted from the first ever; NULL: it is overwritten. */
const struct history_departure *history_departure(const struct history *history, size_t position);

#endif
