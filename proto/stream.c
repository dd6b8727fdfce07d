/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/stream.h"

#include <string.h>

struct range {
	uint64_t from, limit;
	uint32_t full_id;
	uint64_t skip_tombstones_until;
};

/* Puts entries until the datagram is full or the range ends; returns the version up to which it is covered.
 */
static uint64_t range_fill(struct frame_data_writer *d, struct table *table, const struct range *range,
			   uint64_t end)
{
	struct table_walk walk = table_walk_after(table, range->from, true);
	uint64_t covered = range->from;
	struct table_entry *entry;
	bool fits;

	while ((entry = table_walk_next(&walk)) && walk.version <= end) {
		if (entry->flags & TABLE_ENTRY_TOMBSTONE)
			fits = walk.version <= range->skip_tombstones_until ||
			       frame_data_put_key(d,
						  entry->flags & TABLE_ENTRY_WITHDRAWN ? FRAME_ENTRY_WITHDRAW
										       : FRAME_ENTRY_DESTROY,
						  (struct record_key){entry->bytes, entry->key_length});
		else
			fits = frame_data_put_record(d, entry->bytes);
		if (!fits)
			return covered;
		entry->flags |= TABLE_ENTRY_EXPOSED;
		covered = walk.version;
	}
	return end;
}

/* Where a frame from `from` may end. */
static uint64_t range_end(const struct stream_out *out, const struct range *range)
{
	uint64_t newest = table_newest(out->table), end = range->limit < newest ? range->limit : newest;

	for (unsigned i = 0; i < out->boundaries_count; i++)
		if (out->boundaries[i] > range->from && out->boundaries[i] < end)
			end = out->boundaries[i];
	return end;
}

/* One datagram with what stands first in the range; *to: how far it goes. */
static size_t range_send(const struct stream_out *out, const struct outbox_destination *destination,
			 const struct range *range, uint64_t *to)
{
	struct writer *w = outbox_open(out->outbox, out->config);
	uint64_t newest = table_newest(out->table);
	struct frame_data_writer d;
	struct frame_data data = {.from = range->from, .asof = newest};

	if (!frame_data_begin(&d, w))
		return 0;
	data.to = range_fill(&d, out->table, range, range_end(out, range));
	if (range->full_id) {
		data.flags |= FRAME_DATA_FULL;
		data.full_id = range->full_id;
	}
	if (data.to == newest) {
		table_announce(out->table);
		data.flags |= FRAME_DATA_TAIL;
		data.count = (uint32_t)table_records(out->table);
		data.digest = table_digest(out->table);
	}
	frame_data_end(&d, &data);
	*to = data.to;
	return outbox_send(out->outbox, out->config, out->sink, destination);
}

/* ---- live ---- */

static void look_at_rate(struct stream *stream, uint64_t newest, struct monotime now)
{
	int64_t past_us = now.us - stream->rated_at.us;

	if (past_us < STREAM_RATE_US)
		return;
	stream->is_busy = (newest - stream->rated) * 1000000 / (uint64_t)past_us >= STREAM_BUSY_RATE;
	stream->rated_at = now;
	stream->rated = newest;
}

void stream_touch(struct stream *stream, const struct table *table, struct monotime now)
{
	look_at_rate(stream, table_newest(table), now);
	if (stream->is_dirty || table_newest(table) == stream->sent)
		return;
	stream->is_dirty = true;
	stream->dirty_since = now;
}

struct monotime stream_deadline(const struct stream *stream, const struct table *table)
{
	if (!stream->is_dirty)
		return MONOTIME_NEVER;
	if (table_newest(table) - stream->sent >= STREAM_COALESCE_CHANGES)
		return stream->dirty_since;
	/* what comes after a silence goes at once: nothing shows that company would come */
	return monotime_max(
	    stream->dirty_since,
	    monotime_add(stream->sent_at,
			 monotime_from_us(stream->is_busy ? STREAM_BUSY_US : STREAM_COALESCE_US)));
}

size_t stream_send_live(struct stream *stream, const struct stream_out *out)
{
	struct range range = {.from = stream->sent, .limit = UINT64_MAX};
	size_t bytes;

	/* removals up to the horizon can't be told any more: no frame may claim to cover them */
	if (table_horizon(out->table) > range.from)
		range.from = stream->sent = table_horizon(out->table);

	if (table_newest(out->table) == stream->sent) {
		stream->is_dirty = false;
		return 0;
	}
	bytes = range_send(out, NULL, &range, &stream->sent);
	stream->sent_at = out->now;
	stream->is_dirty = stream->sent < table_newest(out->table);
	stream->dirty_since = out->now;
	stream->tail_is_fresh = !stream->is_dirty;
	return bytes;
}

void stream_skip(struct stream *stream, const struct table *table)
{
	stream->sent = table_newest(table);
	stream->is_dirty = false;
	stream->tail_is_fresh = false;
}

/* ---- catch-up ---- */

static void catchup_start(struct catchup *catchup, uint64_t from, struct monotime now)
{
	catchup->active = true;
	catchup->cursor = catchup->acked = from;
	catchup->progress_at = now;
	memset(catchup->repaired, 0, sizeof(catchup->repaired));
	flight_reset(&catchup->flight);
}

/*
 * What it has named before, and was removed since, is known by the tombstones after start_asof: that stays
 * when it is taken up again.  A position in one that we know nothing of is served with all tombstones.
 */
bool catchup_start_full(struct catchup *catchup, uint32_t full_id, uint64_t position,
			const struct stream_out *out)
{
	bool begins = catchup->last_full_id != full_id;

	if (begins && catchup->last_full_id && out->now.us - catchup->full_at.us < STREAM_FULL_INTERVAL_US)
		return false;
	catchup_start(catchup, position, out->now);
	catchup->full_id = full_id;
	catchup->limit = UINT64_MAX;
	if (!begins)
		return true;
	catchup->last_full_id = full_id;
	catchup->full_at = out->now;
	catchup->start_asof = position ? 0 : table_newest(out->table);
	catchup->started_full++;
	return true;
}

void catchup_start_partial(struct catchup *catchup, uint64_t from, uint64_t limit,
			   const struct stream_out *out)
{
	catchup_start(catchup, from, out->now);
	catchup->full_id = 0;
	catchup->limit = limit;
	catchup->started_partial++;
}

void catchup_stop(struct catchup *catchup)
{
	catchup->active = false;
	catchup->full_id = 0;
}

void catchup_forget(struct catchup *catchup)
{
	catchup_stop(catchup);
	catchup->last_full_id = 0;
}

void catchup_acknowledge(struct catchup *catchup, uint64_t position, struct monotime now)
{
	if (position <= catchup->acked)
		return;
	catchup->acked = position;
	catchup->progress_at = now;
	flight_acknowledge(&catchup->flight, position);
	if (catchup->cursor < position)
		catchup->cursor = position;
}

void catchup_retry(struct catchup *catchup, struct monotime patience, struct monotime now)
{
	if (monotime_is_before(now, monotime_add(catchup->progress_at, patience)))
		return;
	catchup->cursor = catchup->acked;
	catchup->progress_at = now;
	flight_reset(&catchup->flight);
}

/* Removals that the peer would need are forgotten: it must start over (and will, when it hears of our
 * horizon). */
static bool catchup_is_broken(const struct catchup *catchup, const struct table *table)
{
	uint64_t horizon = table_horizon(table);

	return horizon > catchup->cursor && !(catchup->full_id && horizon <= catchup->start_asof);
}

bool catchup_can_send(const struct catchup *catchup, const struct table *table, uint64_t window)
{
	uint64_t newest = table_newest(table);
	uint64_t end = catchup->limit < newest ? catchup->limit : newest;

	if (!catchup->active || catchup_is_broken(catchup, table) || flight_bytes(&catchup->flight) >= window)
		return false;
	/* an empty table, too, is told: by one empty frame */
	return catchup->cursor < end || (catchup->full_id && !newest && !catchup->flight.count);
}

size_t catchup_send(struct catchup *catchup, const struct stream_out *out,
		    const struct outbox_destination *to)
{
	struct range range = {catchup->cursor, catchup->limit, catchup->full_id,
			      catchup->full_id ? catchup->start_asof : 0};
	size_t bytes = range_send(out, to, &range, &catchup->cursor);

	flight_note(&catchup->flight, catchup->cursor, bytes);
	return bytes;
}

/* Where in a hole that begins goes on what was not sent again within `patience`. */
static uint64_t repair_start(const struct catchup *catchup, uint64_t from, struct monotime patience,
			     struct monotime now)
{
	for (unsigned i = 1; i <= STREAM_REPAIRS; i++) { /* as they were sent: ascending, mostly */
		unsigned r = (catchup->repaired_next + i) % STREAM_REPAIRS;

		if (catchup->repaired[r].from <= from && from < catchup->repaired[r].to &&
		    monotime_is_before(now, monotime_add(catchup->repaired[r].at, patience)))
			from = catchup->repaired[r].to;
	}
	return from;
}

static void repair_note(struct catchup *catchup, uint64_t from, uint64_t to, struct monotime now)
{
	unsigned r = ++catchup->repaired_next % STREAM_REPAIRS;

	catchup->repaired[r].from = from;
	catchup->repaired[r].to = to;
	catchup->repaired[r].at = now;
}

static unsigned hole_repair(struct catchup *catchup, const struct stream_out *out,
			    const struct outbox_destination *to, const struct frame_hole *hole,
			    unsigned budget)
{
	struct range range = {hole->from, hole->to, catchup->full_id,
			      catchup->full_id ? catchup->start_asof : 0};

	while (budget && range.from < hole->to) {
		if (!range_send(out, to, &range, &range.from))
			return 0;
		budget--;
	}
	repair_note(catchup, hole->from, range.from, out->now);
	catchup->repairs++;
	return budget;
}

void catchup_repair(struct catchup *catchup, const struct stream_out *out,
		    const struct outbox_destination *to, const struct frame_peer *about_us, uint64_t sent,
		    struct monotime patience)
{
	unsigned budget = STREAM_REPAIR_DATAGRAMS;
	uint64_t horizon = table_horizon(out->table);

	for (unsigned i = 0; i < about_us->holes_count && budget; i++) {
		struct frame_hole hole = about_us->holes[i];

		hole.from = repair_start(catchup, hole.from, patience, out->now);
		if (hole.to > sent || hole.from >= hole.to)
			continue;
		if (horizon > hole.from && !(catchup->full_id && horizon <= catchup->start_asof))
			return;
		budget = hole_repair(catchup, out, to, &hole, budget);
	}
}
