/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/receive_state.h"

#include <stdlib.h>
#include <string.h>

static const int64_t backoff_first_us = 1000000, backoff_last_us = 300 * INT64_C(1000000);
static const int64_t restart_wait_us = 2000000; /* of a peer whose session is new, at most */
/* a full catch-up that follows the last after that long starts the back-off anew */
static const int64_t backoff_forgotten_us = 60 * INT64_C(1000000);

/* ---- life ---- */

void receive_init(struct receive *receive, struct table *table)
{
	memset(receive, 0, sizeof(*receive));
	receive->table = table;
	receive->full.wanted = true;
	receive->full.backoff = monotime_from_us(backoff_first_us);
	receive->sure_from = UINT64_MAX;
}

void receive_destroy(struct receive *receive)
{
	stash_clear(&receive->stash);
	table_destroy(receive->table);
	receive->table = NULL;
}

struct table *receive_exchange_table(struct receive *receive, struct table *empty)
{
	struct table *table = receive->table;

	receive->table = empty;
	receive->has_proof = false;
	return table;
}

void receive_drop(struct receive *receive, bool is_brought_over)
{
	/* it may have ended here since */
	if (is_brought_over && receive->followed_after < receive_reach(receive))
		receive->followed_after = receive_reach(receive);
	receive_forget_before_primary(receive);
	table_clear(receive->table);
	receive->untold = true;
	receive->has_proof = false;
	receive->aged = true;
	receive->full.running = receive->full.sweep_waits = receive->full.sweeping = false;
	stash_clear(&receive->stash);
}

static enum receive_news news_of_next_session(const struct receive *receive)
{
	if (receive->aged || receive->was_thinned || receive->emptied)
		return RECEIVE_NEWS_UNSURE;
	return table_records(receive->table) ? RECEIVE_NEWS_ADDED : RECEIVE_NEWS_ALL;
}

void receive_other_kernel(struct receive *receive)
{
	receive->aged = receive->was_thinned = receive->emptied = false;
}

void receive_new_session(struct receive *receive, struct monotime now)
{
	enum receive_news news = news_of_next_session(receive);

	receive->news = news;
	receive->news_were_unsure = news == RECEIVE_NEWS_UNSURE;
	receive->sure_from = UINT64_MAX;
	stash_clear(&receive->stash);
	receive_forget_before_primary(receive);
	receive_follow(receive, NULL, NULL, 0, 0);
	receive->was_thinned |= receive->aged;
	receive->aged = false;
	receive->applied = receive->exact_at = receive->newest = receive->horizon = 0;
	memset(receive->digests, 0, sizeof(receive->digests));
	receive->has_proof = false;
	receive->proven_version = 0;
	receive->incompatible = false;
	receive->overflowed = receive->was_lacking = false; /* of the new one all up to 0 is here */
	receive->frames_unacked = 0;
	receive->full.running = receive->full.started = receive->full.complete_known = false;
	receive->full.sweep_waits = receive->full.sweeping = false;
	/* a restart is not its own fault: it waits for the last full catch-up's back-off, but not for long */
	receive->full.not_before =
	    monotime_min(receive->full.not_before, monotime_add(now, monotime_from_us(restart_wait_us)));
	receive->full.ended_id = 0;
	receive_want_full(receive, false, now);
}

/* ---- full catch-up ---- */

void receive_want_full(struct receive *receive, bool at_once, struct monotime now)
{
	if (at_once)
		receive->full.not_before = now;
	receive->full.wanted = true;
}

static void full_start(struct receive *receive, uint32_t random, struct monotime now)
{
	int64_t backoff = receive->full.backoff.us;

	if (now.us - receive->full.not_before.us > backoff_forgotten_us)
		backoff = backoff_first_us;
	receive->full.not_before = monotime_add(now, monotime_from_us(backoff));
	receive->full.backoff.us = backoff * 2 < backoff_last_us ? backoff * 2 : backoff_last_us;
	receive->full.wanted = false;
	receive->full.running = true;
	receive->follow_sweep =
	    false; /* it was asked for later: what its owner withdrew meanwhile it does not name */
	receive->full.started = false;
	receive->was_lacking |= receive->overflowed || receive->incompatible || receive->aged;
	receive->was_thinned |= receive->aged;
	receive->aged = false;
	receive->full.sweeping = receive->full.sweep_waits = false;
	receive->full.id = random ? random : 1;
	receive->full.position = 0;
	receive->full.asked_at = receive->newest;
	receive->full.complete_known = false;
	receive->has_proof = false;
	receive->overflowed = false;
	receive->incompatible = false;
	receive->resyncs_full++;
	stash_clear(&receive->stash);
}

void receive_flush(struct receive *receive, struct monotime now)
{
	receive->emptied = true;
	receive_forget_before_primary(receive);
	table_clear(receive->table);
	receive->untold = true;
	receive->has_proof = false;
	receive_want_full(receive, true, now);
}

/* What the catch-up did not name is unknown to its owner: but only a complete owner knows all of its flows.
 */
static unsigned full_end(struct receive *receive)
{
	receive->full.running = false;
	receive->emptied = receive->was_thinned = receive->was_lacking = false;
	receive->news = RECEIVE_NEWS_ALL;
	if (receive->full.position > receive->applied)
		receive->applied = receive->full.position;
	receive->full.sweep_waits = true;
	receive->full.ended_id = receive->full.id;
	return RECEIVE_FULL_ENDED;
}

static void sweep_slice(struct receive *receive)
{
	struct table_walk walk = table_walk_records_after(receive->table, receive->full.sweep_after);
	struct table_entry *entry;

	for (unsigned i = 0; i < RECEIVE_SWEEP_SLICE; i++) {
		entry = table_walk_next(&walk);
		if (!entry) {
			receive->follow_sweep = false;
			receive->full.sweeping = false;
			return;
		}
		receive->full.sweep_after = walk.version;
		if (entry->mark == receive->epoch)
			continue;
		if (receive->followed && receive->follow_sweep)
			receive->followed(receive->followed_context, receive->followed_id, entry->bytes,
					  true);
		receive_remove_entry(receive, entry);
		walk = table_walk_records_after(receive->table, receive->full.sweep_after);
	}
}

bool receive_run(struct receive *receive, uint32_t random, struct monotime now)
{
	if (receive->full.sweeping)
		sweep_slice(receive);
	if (receive->full.wanted && !receive->full.running && !receive->full.sweeping &&
	    receive->full.not_before.us <= now.us)
		full_start(receive, random, now);
	return receive->full.sweeping;
}

struct monotime receive_deadline(const struct receive *receive)
{
	if (receive->full.sweeping)
		return monotime_from_us(0);
	if (receive->full.wanted && !receive->full.running)
		return receive->full.not_before;
	return MONOTIME_NEVER;
}

/* ---- proof ---- */

bool receive_is_whole(const struct receive *receive)
{
	/* (a full catch-up that runs has brought all up to its own position) */
	return !receive->overflowed && !receive->incompatible && !receive->emptied && !receive->aged &&
	       (receive->full.running || !receive->was_lacking);
}

bool receive_has_stale(const struct receive *receive)
{
	return receive->full.wanted || receive->full.running || receive->full.sweep_waits ||
	       receive->full.sweeping;
}

bool receive_has_named(const struct receive *receive)
{
	return (receive->full.running && receive->full.started) || receive->full.sweep_waits ||
	       receive->full.sweeping;
}

const char *receive_obstacle(const struct receive *receive)
{
	if (receive->overflowed)
		return "our table for it is full (max-flows)";
	if (receive->incompatible)
		return "its flows have attributes that this version does not know";
	if (receive->aged)
		return "flows have run out here while it was silent";
	if (receive->full.running)
		return "a full catch-up is running";
	if (receive->full.wanted)
		return "a full catch-up is due";
	if (receive->full.sweep_waits || receive->full.sweeping)
		return "what its restart made obsolete is not swept yet";
	return NULL;
}

static unsigned digest_compare(struct receive *receive, const struct receive_digest *digest)
{
	if (digest->version != receive->applied || receive->applied < receive->exact_at ||
	    receive_obstacle(receive))
		return 0;
	if (digest->count == table_records(receive->table) &&
	    digest->digest == table_digest(receive->table)) {
		receive->proven_version = digest->version;
		receive->proven_at = monotime_max(receive->proven_at, digest->sent_after);
		receive->has_proof = true;
		return RECEIVE_PROVEN;
	}
	receive->divergences++;
	receive->has_proof = false;
	receive_want_full(receive, false, digest->sent_after);
	return RECEIVE_DIVERGED;
}

static unsigned digests_compare(struct receive *receive)
{
	unsigned outcome = 0;

	for (unsigned i = 0; i < RECEIVE_DIGESTS; i++)
		if (receive->digests[i].sent_after.us)
			outcome |= digest_compare(receive, &receive->digests[i]);
	return outcome;
}

/* Kept until its version is reached (a STATUS may overtake the data), or seven others have come. */
static unsigned digest_note(struct receive *receive, uint64_t version, uint32_t count, uint64_t digest,
			    struct monotime sent_after)
{
	struct receive_digest *slot = &receive->digests[receive->digest_next++ % RECEIVE_DIGESTS];

	if (version < receive->applied)
		return 0;
	*slot = (struct receive_digest){version, count, digest, sent_after};
	return digest_compare(receive, slot);
}

/* ---- data ---- */

/* The sweep may start once all that the sender had when it was complete is here. */
static void sweep_start(struct receive *receive)
{
	if (!receive->full.sweep_waits || !receive->full.complete_known || receive->full.running)
		return;
	if (receive->applied < receive->full.complete_at || receive->applied < receive->exact_at)
		return;
	receive->full.sweep_waits = false;
	receive->full.sweeping = true;
	receive->full.sweep_after = 0;
}

/* Under steady change the newest is never reached: what counts is the first version that was complete. */
static void note_complete(struct receive *receive, const struct frame_status *status)
{
	/* a sender that had to refuse flows does not name all that its kernel has, either */
	if (!(status->flags & FRAME_STATUS_COMPLETE) || status->flags & FRAME_STATUS_REFUSED) {
		receive->full.complete_known = false;
	} else if (!receive->full.complete_known) {
		receive->full.complete_known = true;
		receive->full.complete_at = status->newest;
		if (receive->sure_from == UINT64_MAX)
			receive->sure_from = status->newest;
	}
}

/* The range's first part may be known already: it is a true state of asof all the same, and brings the rest.
 */
static unsigned data_apply(struct receive *receive, const struct frame_data *data, struct reader entries,
			   struct monotime sent_after)
{
	unsigned outcome;

	receive->is_unsure = receive->news == RECEIVE_NEWS_UNSURE && data->from < receive->sure_from;
	outcome = receive_apply(receive, entries, data->to > receive->followed_after);
	receive->is_unsure = false;
	if (outcome & RECEIVE_MALFORMED)
		return outcome;
	if (receive->full.running)
		receive->full.position = data->to;
	else
		receive->applied = data->to;
	if (data->asof > receive->exact_at)
		receive->exact_at = data->asof;
	receive->frames_unacked++;
	if (receive->full.running && receive->full.position >= receive->exact_at)
		outcome |= full_end(receive);
	if (data->flags & FRAME_DATA_TAIL)
		outcome |= digest_note(receive, data->to, data->count, data->digest, sent_after);
	sweep_start(receive);
	return outcome;
}

static unsigned stash_apply(struct receive *receive)
{
	unsigned outcome = 0;

	while (receive->stash.count && receive->stash.frames[0].from <= receive_position(receive)) {
		struct stashed *frame = &receive->stash.frames[0];
		struct frame_data data = {.from = frame->from,
					  .to = frame->to,
					  .asof = frame->asof,
					  .count = frame->count,
					  .digest = frame->digest,
					  .flags = frame->tail ? FRAME_DATA_TAIL : 0};

		if (frame->to > receive_position(receive))
			outcome |= data_apply(receive, &data, reader_over(frame->bytes, frame->length),
					      frame->sent_after);
		stash_remove(&receive->stash, 0);
	}
	return outcome;
}

/* The catch-up's first frame: from here on, what it names bears the new epoch. */
static void full_begin(struct receive *receive, const struct frame_data *data)
{
	receive->epoch = receive->epoch == UINT8_MAX ? 1 : (uint8_t)(receive->epoch + 1);
	receive->full.started = true;
	receive->full.first_asof = data->asof;
	receive->exact_at = data->asof;
}

/* While a full catch-up runs: its own frames count from the start, then whatever fits and is no older than
 * its first. */
static bool full_takes(struct receive *receive, const struct frame_data *data)
{
	bool is_its = data->flags & FRAME_DATA_FULL && data->full_id == receive->full.id;

	if (!receive->full.started) {
		if (!is_its || data->from != 0)
			return false;
		full_begin(receive, data);
	}
	return data->asof >= receive->full.first_asof;
}

/*
 * Without a full catch-up of our own, only frames of the last that ended count: one that was given up leaves
 * removals out that we may not have heard of.
 */
static bool frame_counts(struct receive *receive, const struct frame_data *data)
{
	if (receive->full.running)
		return full_takes(receive, data);
	return !(data->flags & FRAME_DATA_FULL) || (data->to && data->full_id == receive->full.ended_id);
}

static void stash(struct receive *receive, const struct frame_data *data, struct monotime sent_after)
{
	bool was_empty = !receive->stash.count;

	stash_add(&receive->stash, data, sent_after);
	if (was_empty && receive->stash.count)
		receive->resyncs_partial++; /* a gap opens */
}

unsigned receive_data(struct receive *receive, struct reader body, struct monotime sent_after)
{
	struct frame_data data;
	uint64_t position;
	unsigned outcome;

	if (frame_data_read(body, &data))
		return RECEIVE_MALFORMED;
	if (data.asof > receive->newest)
		receive->newest = data.asof;
	if (!frame_counts(receive, &data))
		return 0;
	position = receive_position(receive);
	if (data.from > position) {
		/* the live stream runs far ahead of a full catch-up: its frames are no gap, and will come
		 * again */
		if (receive->full.running && !(data.flags & FRAME_DATA_FULL))
			return 0;
		stash(receive, &data, sent_after);
		return RECEIVE_GAP;
	}
	/* an empty table's catch-up is one empty frame, (0, 0] */
	if (data.to <= position && !(receive->full.running && data.to == 0))
		return data.flags & FRAME_DATA_TAIL && data.to == position
			   ? digest_note(receive, data.to, data.count, data.digest, sent_after)
			   : 0;
	outcome = data_apply(receive, &data, data.entries, sent_after);
	if (receive->stash.count && !(outcome & RECEIVE_MALFORMED))
		outcome |= stash_apply(receive);
	if (outcome & RECEIVE_PROGRESSED)
		outcome |= digests_compare(receive);
	if (receive->stash.count)
		outcome |= RECEIVE_GAP;
	return outcome;
}

/* The sender has forgotten removals that we have not heard of: only a full catch-up can tell them. */
static void horizon_check(struct receive *receive, struct monotime now)
{
	if (!receive->full.running) {
		if (receive->horizon > receive->applied)
			receive_want_full(receive, false, now);
		return;
	}
	/* first_asof may lie beyond where its sender began, whose tombstones it counts on; asked_at does not
	 */
	if (receive->horizon > receive->full.asked_at && receive->horizon > receive->full.position) {
		receive->full.running = false;
		receive_want_full(receive, false, now);
	}
}

/* What could not be held may fit now. */
static void overflow_check(struct receive *receive, const struct frame_status *status, struct monotime now)
{
	if (receive->overflowed && !receive->full.running && status->count <= table_limit(receive->table))
		receive_want_full(receive, false, now);
}

unsigned receive_status(struct receive *receive, const struct frame_status *status,
			struct monotime sent_after, struct monotime now)
{
	unsigned outcome;

	receive->horizon = status->horizon;
	if (status->newest > receive->newest)
		receive->newest = status->newest;
	horizon_check(receive, now);
	overflow_check(receive, status, now);
	if (receive->aged && !receive->full.running)
		receive_want_full(receive, false, now);
	note_complete(receive, status);
	sweep_start(receive);
	outcome = digest_note(receive, status->newest, status->count, status->digest, sent_after);
	if (status->newest > receive_position(receive))
		outcome |= RECEIVE_GAP;
	return outcome;
}

uint64_t receive_position(const struct receive *receive)
{
	return receive->full.running ? receive->full.position : receive->applied;
}

uint64_t receive_reach(const struct receive *receive)
{
	uint64_t position = receive_position(receive);

	return receive->applied > position ? receive->applied : position;
}

unsigned receive_holes(const struct receive *receive, struct frame_hole *holes, unsigned max)
{
	return stash_holes(&receive->stash, receive_position(receive), holes, max);
}
