/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sending side: frames out of the internal table.  Live stream to the group, catch-up and repair to one
 * peer: all are "send what has a version in (a, b]".
 */
#ifndef PROTO_STREAM_H
#define PROTO_STREAM_H

#include "proto/flight.h"
#include "proto/outbox.h"

enum {
	STREAM_SLICE = 32,            /* datagrams for each call, so that nothing else waits long */
	STREAM_COALESCE_US = 200,     /* between datagrams: so long a change waits for company ... */
	STREAM_COALESCE_CHANGES = 40, /* ... unless there are about as many as fill a datagram */
	STREAM_BUSY_US = 600,         /* the same while they come so fast that a datagram fills meanwhile: */
	STREAM_BUSY_RATE = 30000,     /* changes a second, ... */
	STREAM_RATE_US = 2000,        /* ... over at least that long */
	STREAM_REPAIR_DATAGRAMS = 64,
	STREAM_FULL_INTERVAL_US =
	    500000,          /* between the starts of two full catch-ups of one session of a peer */
	STREAM_REPAIRS = 64, /* ranges sent again that are remembered */
};

/* What every function here needs; borrowed. */
struct stream_out {
	struct outbox *outbox;
	const struct node_config *config;
	const struct node_sink *sink;
	struct table *table;
	struct monotime now;
	/* versions up to which others have claimed our flows: no frame spans one, so that they can tell what
	 * is beyond */
	const uint64_t *boundaries;
	unsigned boundaries_count;
};

struct stream {
	uint64_t sent; /* highest version that went to the group (or that nobody was there to hear) */
	struct monotime dirty_since; /* when the first change after `sent` came; valid while sent < newest */
	bool is_dirty;
	struct monotime sent_at; /* the last frame */
	bool is_busy;            /* at the last look at the rate of changes, from `rated_at` and `rated` on */
	struct monotime rated_at;
	uint64_t rated;     /* newest version then */
	bool tail_is_fresh; /* the tail has been sent and not yet been confirmed by a STATUS */
};

/* Notes that the table may have changed. */
void stream_touch(struct stream *stream, const struct table *table, struct monotime now);

/* When stream_send_live() wants to be called, as far as coalescing goes; MONOTIME_NEVER: nothing to send. */
struct monotime stream_deadline(const struct stream *stream, const struct table *table);

/* Sends the next live datagram; returns its bytes (0: nothing to send); stream->sent moves on. */
size_t stream_send_live(struct stream *stream, const struct stream_out *out);

/* Nobody hears: what changed until now goes unsent. */
void stream_skip(struct stream *stream, const struct table *table);

/* One peer's catch-up: partial (a gap, an outage) up to `limit`, or full up to the tail. */
struct catchup {
	bool active;
	uint32_t full_id;        /* 0: partial */
	uint64_t cursor;         /* sent up to here */
	uint64_t limit;          /* partial: where it joins what the peer has already */
	uint64_t start_asof;     /* full: newest at its start: older tombstones are not needed */
	struct monotime full_at; /* when the last full one was begun */
	uint32_t last_full_id;   /* whose start_asof that is: it may be taken up again */
	uint64_t acked;
	struct monotime progress_at;
	struct flight flight;
	/* ranges sent again, and when: not once more before the answer can be here */
	struct {
		uint64_t from, to;
		struct monotime at;
	} repaired[STREAM_REPAIRS];
	unsigned repaired_next;
	uint64_t repairs;
	uint64_t started_full, started_partial;
};

/*
 * A full one; one that was begun before, and stopped, is taken up at `position`.  False: the last was begun
 * so shortly ago that no node of ours would ask for another.
 */
bool catchup_start_full(struct catchup *catchup, uint32_t full_id, uint64_t position,
			const struct stream_out *out);
void catchup_start_partial(struct catchup *catchup, uint64_t from, uint64_t limit,
			   const struct stream_out *out);
void catchup_stop(struct catchup *catchup);
/* Stops, and no full one is taken up again: the peer's session or ours is another. */
void catchup_forget(struct catchup *catchup);

/* The peer has all up to `position`. */
void catchup_acknowledge(struct catchup *catchup, uint64_t position, struct monotime now);

/* No progress for `patience` though all was sent: goes back to what was acknowledged. */
void catchup_retry(struct catchup *catchup, struct monotime patience, struct monotime now);

/* True when there is more to send and room for it in `window` bytes. */
bool catchup_can_send(const struct catchup *catchup, const struct table *table, uint64_t window);

/* Sends the next datagram of it; returns its bytes (0: nothing). */
size_t catchup_send(struct catchup *catchup, const struct stream_out *out,
		    const struct outbox_destination *to);

/*
 * Sends the holes of what was sent already again, each once for each `patience`, at most
 * STREAM_REPAIR_DATAGRAMS for each call.  `sent`: beyond it nothing has been sent yet, and so can't be
 * missing.
 */
void catchup_repair(struct catchup *catchup, const struct stream_out *out,
		    const struct outbox_destination *to, const struct frame_peer *about_us, uint64_t sent,
		    struct monotime patience);

#endif
