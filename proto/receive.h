/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving side of one peer's stream: its external table, what of the stream was applied, the gap, the
 * proof of equality, and full catch-up with its sweep.
 *
 * `applied` never goes back within a session.  While a full catch-up runs, its own position counts
 * (`full.position`), and `applied` follows when it has caught up with all that it saw.
 */
#ifndef PROTO_RECEIVE_H
#define PROTO_RECEIVE_H

#include "proto/frame.h"
#include "proto/monotime.h"
#include "proto/stash.h"
#include "proto/table.h"

enum {
	RECEIVE_DIGESTS = 8,
	RECEIVE_SWEEP_SLICE = 4096,
};

/* What an operation on it came to (a set). */
enum receive_outcome {
	RECEIVE_PROGRESSED = 1 << 0, /* applied, or the full catch-up's position, moved on */
	RECEIVE_GAP = 1 << 1,        /* something is missing before what came */
	RECEIVE_MALFORMED = 1 << 2,
	RECEIVE_DIVERGED = 1 << 3,   /* a digest was compared and differed: a full catch-up is wanted */
	RECEIVE_PROVEN = 1 << 4,     /* a digest was compared and was equal */
	RECEIVE_REFUSED = 1 << 5,    /* the table is full: flows were refused */
	RECEIVE_UNREADABLE = 1 << 6, /* critical attributes that we don't know */
	RECEIVE_FULL_ENDED = 1 << 7,
};

struct receive_digest {
	uint64_t version; /* 0: slot unused */
	uint32_t count;
	uint64_t digest;
	struct monotime sent_after; /* by our clock, no later than when its version was the newest */
};

/*
 * Told of each change of the copy that is to reach our kernel, too: the record as it now is, or (`gone`) as
 * it was when its owner destroyed it.  Borrowed for the call.
 */
typedef void receive_followed(void *context, uint16_t id, const uint8_t *record, bool gone);

/* What of a session's first full catch-up its owner got since the copy was made of the session before. */
enum receive_news {
	RECEIVE_NEWS_ALL,   /* also after that catch-up: whatever comes */
	RECEIVE_NEWS_ADDED, /* what the copy does not name, in this incarnation */
	/* the copy was dropped, or entries of it ran out: who follows tells them apart, but for what its
	 * owner got when it was complete already */
	RECEIVE_NEWS_UNSURE,
};

/* Told of each key that the copy no longer names because its owner said so. */
typedef void receive_removed(void *context, struct record_key key);

struct receive {
	struct table *table;
	receive_removed *removed; /* NULL: nobody is told */
	void *removed_context;
	bool untold; /* all was dropped at once, and `removed` not told; the reader resets it */
	receive_followed *followed; /* NULL: nothing is followed */
	void *followed_context;
	uint16_t followed_id;
	uint32_t claim_generation; /* tag of the entries that come beyond the claim */
	uint32_t beyond_from;      /* they bear this tag or a later one */
	uint64_t followed_after;   /* only what frames beyond this version bring */
	enum receive_news news;    /* until a full catch-up of the session has ended */
	uint64_t sure_from;        /* its newest version when it was complete in this session; UINT64_MAX:
				      not known */
	bool is_unsure;            /* what is being applied */
	bool news_were_unsure;     /* in this session, and no claim was made of it since */
	bool follow_sweep;         /* and what the sweep of the full catch-up takes away */
	bool aged;                 /* entries have run out here that their silent owner may still have */
	bool was_thinned;          /* so it was, and no full catch-up has ended since */
	bool was_lacking;          /* flows, when a full catch-up began, and none has ended since */
	bool emptied;              /* by request, and no full catch-up has ended since */
	uint64_t applied;
	uint64_t exact_at; /* largest asof applied: the copy is an exact state only at applied >= exact_at */
	uint64_t newest;   /* the sender's newest version that we heard of */
	uint64_t horizon;
	/* as of its last STATUS in which it was no primary: what it had applied of our stream, and the newest
	 * version (of `table`) that the copy then had; 0: not known, or the copy was emptied since.  And of
	 * our stream, how far it had that when it took over: its first claim as a primary */
	struct {
		uint64_t ours, its, claimed;
		bool is_known;
	} before_primary;
	uint8_t epoch; /* of the last full catch-up; entries that it named bear it as their mark */
	struct {
		bool wanted;  /* as soon as not_before has come */
		bool running; /* asked for, by id */
		bool started; /* its first frame was applied */
		uint32_t id;
		uint64_t position;
		uint64_t first_asof;
		uint64_t asked_at; /* newest when it was asked for: its sender began no earlier */
		uint32_t ended_id; /* the last that ended */
		struct monotime not_before, backoff; /* backoff: to the one after the next */
		bool
		    sweep_waits; /* it is over, but what it did not name stays until the sender is complete */
		bool complete_known;
		uint64_t complete_at; /* at that version the sender was complete */
		bool sweeping;
		uint64_t sweep_after;
	} full;
	struct stash stash;
	struct receive_digest digests[RECEIVE_DIGESTS];
	unsigned digest_next;
	uint64_t proven_version;   /* 0 with proven_at 0: never in this session */
	struct monotime proven_at; /* no later than when that version was the newest */
	bool has_proof;
	bool overflowed; /* flows were refused: the copy is not whole until a full catch-up fits */
	bool incompatible;
	uint64_t refused, divergences, resyncs_partial, resyncs_full;
	uint64_t unreadable; /* records with critical attributes that we don't know */
	unsigned frames_unacked;
};

/* Takes the table over.  Nothing applied, and a full catch-up wanted at once. */
void receive_init(struct receive *receive, struct table *table);
void receive_destroy(struct receive *receive);

/* A new session of this peer became current: its stream starts at 0; the table stays until a full catch-up
 * sweeps it.  Of what that names, only what is new counts as beyond a claim (enum receive_news). */
void receive_new_session(struct receive *receive, struct monotime now);

/* A DATA message of the current session, sent after that time by our clock (not 0).  Returns a set of
 * receive_outcome. */
unsigned receive_data(struct receive *receive, struct reader body, struct monotime sent_after);

/* A STATUS of the current session: its newest version, horizon and digest, and whether its table may be
 * trusted. */
unsigned receive_status(struct receive *receive, const struct frame_status *status,
			struct monotime sent_after, struct monotime now);

/* A STATUS in which its sender is no primary: it has applied `ours` of our stream, and its own newest is
 * `newest`.  Counts when all of that is here. */
void receive_note_before_primary(struct receive *receive, uint64_t ours, uint64_t newest);
/* A STATUS in which its sender is primary, and claims our stream up to `claimed`: the first after one of
 * those counts. */
void receive_note_claim(struct receive *receive, uint64_t claimed);
/* Whether the sender got that entry, or a packet of it, after it knew what our version `ours` told. */
bool receive_is_later(const struct receive *receive, const struct table_entry *entry, uint64_t ours);

/* A takeover claims the copy up to `after`: what comes beyond is told apart from now on
 * (receive_is_beyond_claim()). */
void receive_claim(struct receive *receive, uint64_t after);
/* The same by who has claimed it before, in this session or an earlier one: of a full catch-up that is under
 * way, what is told from what was claimed then is told on. */
void receive_claim_again(struct receive *receive, uint64_t after);
/* All that is here, and comes, counts as beyond. */
void receive_claim_nothing(struct receive *receive);
bool receive_is_beyond_claim(const struct receive *receive, const struct table_entry *entry);

/* From now on what comes beyond `after` is followed; NULL ends it. */
void receive_follow(struct receive *receive, receive_followed *followed, void *context, uint16_t id,
		    uint64_t after);

/* The next session is of another kernel: all that it has is new, whatever became of what this one had. */
void receive_other_kernel(struct receive *receive);

/* Takes the table out, an empty one in its place.  The caller owns what is returned. */
struct table *receive_exchange_table(struct receive *receive, struct table *empty);

/* Drops what it holds without asking for it again: it was committed.  If its owner comes back, all comes
 * anew.  `is_brought_over`: by us, to the last; then only what lies beyond counts as beyond a claim. */
void receive_drop(struct receive *receive, bool is_brought_over);

/* Forgets what it holds: all of it is to come again, at once. */
void receive_flush(struct receive *receive, struct monotime now);

/* Wants a full catch-up, now or when its back-off is over. */
void receive_want_full(struct receive *receive, bool at_once, struct monotime now);

/* Starts a full catch-up that is wanted and due, with an id from `random`; and goes on with a sweep.  True if
 * there is more to do at once. */
bool receive_run(struct receive *receive, uint32_t random, struct monotime now);

/* When receive_run() has something to do; MONOTIME_NEVER: nothing that time brings. */
struct monotime receive_deadline(const struct receive *receive);

/* What to report to the sender. */
uint64_t receive_position(const struct receive *receive); /* applied, or the full catch-up's position */
/* How far the copy goes: of a full catch-up that is under way, what was there before it, too. */
uint64_t receive_reach(const struct receive *receive);
/* The holes between that and what is stashed, ascending; at most `max`; returns how many. */
unsigned receive_holes(const struct receive *receive, struct frame_hole *holes, unsigned max);

/* Whether all that its owner had up to the position is here: nothing was refused, unreadable, flushed or run
 * out. */
bool receive_is_whole(const struct receive *receive);
/* Whether it may hold flows that no version of the current session accounts for: those from before a full
 * catch-up. */
bool receive_has_stale(const struct receive *receive);

/* Whether a full catch-up that has named something goes on, or its sweep: entries without its mark are stale.
 */
bool receive_has_named(const struct receive *receive);

/* Why nothing can be proven now, in words; NULL if nothing stands in the way. */
const char *receive_obstacle(const struct receive *receive);

#endif
