/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/flight.h"

void flight_reset(struct flight *flight)
{
	flight->acked = flight->sent;
	flight->count = 0;
	flight->first = 0;
}

static size_t mark_at(const struct flight *flight, size_t i)
{
	return (flight->first + i) % FLIGHT_MARKS;
}

/* Every second mark goes: what it covered counts to the next one. */
static void flight_thin(struct flight *flight)
{
	size_t kept = 0;

	for (size_t i = 1; i < flight->count; i += 2)
		flight->marks[mark_at(flight, kept++)] = flight->marks[mark_at(flight, i)];
	flight->count = kept;
}

void flight_note(struct flight *flight, uint64_t version, size_t bytes)
{
	size_t last;

	flight->sent += bytes;
	if (flight->count) {
		last = mark_at(flight, flight->count - 1);
		if (flight->marks[last].version >= version) {
			flight->marks[last].sent = flight->sent;
			return;
		}
	}
	if (flight->count == FLIGHT_MARKS)
		flight_thin(flight);
	last = mark_at(flight, flight->count++);
	flight->marks[last].version = version;
	flight->marks[last].sent = flight->sent;
}

void flight_acknowledge(struct flight *flight, uint64_t version)
{
	while (flight->count && flight->marks[flight->first].version <= version) {
		if (flight->marks[flight->first].sent > flight->acked)
			flight->acked = flight->marks[flight->first].sent;
		flight->first = (flight->first + 1) % FLIGHT_MARKS;
		flight->count--;
	}
}

uint64_t flight_bytes(const struct flight *flight)
{
	return flight->count ? flight->sent - flight->acked : 0;
}
