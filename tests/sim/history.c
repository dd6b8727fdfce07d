/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/history.h"

#include <string.h>

bool history_same_session(const struct seal_session_id *a, const struct seal_session_id *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

void history_end(struct history *history, int64_t now_us)
{
	struct history_state *last = &history->states[(history->states_count - 1) % HISTORY_STATES];

	if (history->states_count && last->until_us == INT64_MAX)
		last->until_us = now_us;
}

void history_note(struct history *history, const struct seal_session_id *session, uint64_t version,
		  uint32_t count, uint64_t digest, int64_t now_us)
{
	struct history_state *last = &history->states[(history->states_count - 1) % HISTORY_STATES];

	if (history->states_count && last->version == version && last->digest == digest &&
	    last->until_us == INT64_MAX && history_same_session(&last->session, session))
		return;
	history_end(history, now_us);
	history->states[history->states_count++ % HISTORY_STATES] =
	    (struct history_state){*session, version, digest, count, INT64_MAX};
}

void history_note_departure(struct history *history, const struct seal_session_id *session, uint64_t version,
			    uint32_t number)
{
	history->departures[history->departures_count++ % HISTORY_DEPARTURES] =
	    (struct history_departure){*session, version, number};
}

const struct history_state *history_at(const struct history *history, const struct seal_session_id *session,
				       uint64_t version)
{
	size_t kept = history->states_count < HISTORY_STATES ? history->states_count : HISTORY_STATES;

	for (size_t back = 1; back <= kept; back++) {
		const struct history_state *state =
		    &history->states[(history->states_count - back) % HISTORY_STATES];

		if (state->version <= version && history_same_session(&state->session, session))
			return state;
	}
	return NULL;
}

const struct history_departure *history_departure(const struct history *history, size_t position)
{
	if (position >= history->departures_count ||
	    history->departures_count - position > HISTORY_DEPARTURES)
		return NULL;
	return &history->departures[position % HISTORY_DEPARTURES];
}
