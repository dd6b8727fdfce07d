/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One peer: who it is now (its current session), who claims to be it (candidates), what it last said, the
 * receiving side of its stream and the catch-up that we send it.
 */
#ifndef PROTO_PEER_H
#define PROTO_PEER_H

#include "proto/foreign.h"
#include "proto/node.h"
#include "proto/reach.h"
#include "proto/receive.h"
#include "proto/session.h"
#include "proto/stream.h"

enum { PEER_CANDIDATES = 4, PEER_NOTES_MAX = 256 << 10 };

/* Records that are noted for later, one behind the other; at most PEER_NOTES_MAX bytes. */
struct peer_notes {
	uint8_t *bytes; /* owned; NULL: none */
	size_t length;
};

/* Where a round over a silent owner's flows, for those that have run out, is. */
struct peer_ageing {
	uint64_t to;     /* version in the table up to which it has come; 0: it is over */
	uint32_t last_s; /* seconds of silence when it began: nothing runs out within one */
};

/*
 * What was held for a node whose kernel has gone: it rebooted, and this is the only copy of those flows.  Or
 * what the daemon before us held (snapshot.h), until its owner is proven in step. Committable, and aged,
 * until a primary with a higher term is proven to hold newer ones.
 */
struct peer_orphan {
	struct table *table; /* NULL: slot unused; owned */
	struct seal_session_id session;
	uint32_t term;
	uint64_t version;  /* of that session, that the table is a copy of */
	bool is_exact;     /* of that version: nothing is missing, nothing is older than its session */
	bool is_taken;     /* our takeover commits it, or has */
	uint64_t heard_at; /* our newest version when its owner was last heard; UINT64_MAX: not known */
	struct monotime proven_at;
	struct peer_ageing ageing;
	struct foreign_cursor warm;
	struct frame_kernel_instance instance; /* that the table is of */
	bool instance_is_known;
	/* from a snapshot of the daemon before us: its owner's kernel may live, and send the same flows anew
	 */
	bool is_restored;
};

/*
 * What of a copy was taken over: entries with a tag below `below` (0: none), as long as the copy goes no
 * further than `reach` in its owner's session.  If its owner was restarted since, also later those that it
 * has not named again.
 */
struct peer_taken {
	uint32_t below;
	uint64_t reach;
	struct monotime at;
	bool is_earlier;   /* in an earlier session */
	bool is_elsewhere; /* by another primary, whose flows are here */
};

struct peer_link {
	struct node_endpoint endpoint; /* from which it echoed our challenge */
	struct replay seen; /* packet numbers that came over this link: tells a copy from a replay */
	uint64_t received;  /* datagrams of its current session */
};

struct peer {
	uint16_t id; /* 0: slot unused */
	struct session current;
	struct session candidates[PEER_CANDIDATES];
	unsigned candidate_turn; /* whose turn it is to be named in a STATUS */
	bool was_alive;
	struct peer_link links[NODE_LINKS_MAX];
	/* datagrams that it sent to the group and to us, by its own counters, since its session became
	 * current */
	struct {
		uint32_t first, last;
		bool known;
	} sent_group, sent_us;
	uint32_t counter;           /* datagrams that we sent to it alone */
	struct frame_status status; /* its latest, but for what it says of peers */
	bool has_status;
	/* its newest version when it had claimed for a STATUS already what it claims now: what it took over
	 * is in its table by then */
	uint64_t claims_in;
	bool claims_are_settled;
	struct frame_peer about_us; /* what it last said of our session */
	bool has_about_us;
	struct receive receive;
	struct peer_taken taken;                      /* of `receive` */
	struct peer_orphan orphans[NODE_ORPHANS_MAX]; /* the newer first */
	/* while it is primary beside us, to be looked at when it has given way: flows that it destroyed, and
	 * flows of its that fell silent in our kernel */
	struct peer_notes gone_there, silent_here;
	struct frame_kernel_instance instance; /* that the table in `receive` is of */
	bool instance_is_known;
	struct peer_ageing ageing;
	struct foreign_cursor warm; /* of receive.table */
	struct catchup catchup;
	struct monotime live_progress_at; /* when it last acknowledged something new of the live stream */
	uint64_t live_acked;
	struct monotime pace_at; /* when it had last taken half a window of the live stream ... */
	uint64_t pace_acked;     /* ... and what of it, then */
	struct reach reach;
	bool is_narrowed;       /* large datagrams did not reach it: all are small since */
	struct flight live;     /* of the live stream, as this peer acknowledges it */
	struct monotime ack_at; /* when the next STATUS to it alone is due; MONOTIME_NEVER: none */
	struct monotime ack_sent_at;
	struct monotime behind_since; /* since when we have not applied all that it told of */
	bool is_behind;
	struct monotime proven_at; /* when it was last known to live: the clock of its flows */
	uint64_t heard_at;         /* our newest version when its current session was last heard */
	struct monotime
	    leapt_at; /* when it last raised the highest term by more than takeovers do; 0: never */
	struct monotime duplicate_at; /* a second session answered; 0: never */
	uint64_t flows_refused;
	bool overflow_told, incompatible_told, leaving;
};

/* The session with that id among current and candidates; NULL: none. */
struct session *peer_find_session(struct peer *peer, const struct seal_session_id *id);

/* A slot for a new candidate: a free one, or one evicted at random (`random`). */
struct session *peer_new_candidate(struct peer *peer, uint32_t random);

/* The candidate whose turn it is to be named; NULL: there is none. */
struct session *peer_candidate_in_turn(struct peer *peer);

bool peer_is_alive(const struct peer *peer, const struct node_config *config, struct monotime now);

/* It is, or was, primary in its current session. */
bool peer_was_primary(const struct peer *peer);

/* Whether that entry of `receive`'s table was taken over, and its owner has not been heard of since as one
 * that may have it anew. */
bool peer_is_taken(const struct peer *peer, const struct table_entry *entry);

/* Follows the live stream: alive, knows our session, and is in no full catch-up. */
bool peer_follows(const struct peer *peer, const struct node_config *config, struct monotime now);

/* No session was ever current, none asks to be, and nothing is held for it: its slot may serve another. */
bool peer_is_nobody(const struct peer *peer);

/* An address of its is known, on one link at least. */
bool peer_has_address(const struct peer *peer);

/* Notes the datagram counter of a datagram of the current session. */
void peer_count_datagram(struct peer *peer, bool to_us, uint32_t counter);
/* Datagrams that it sent and that could have come over any link. */
uint64_t peer_expected(const struct peer *peer);

/* Makes a candidate the current session; the candidate's slot is free then. */
void peer_promote(struct peer *peer, struct session *candidate, struct monotime now);

/*
 * The node has come back with another kernel instance: what is held for it becomes an orphan, and `empty` its
 * table.  `empty` is taken over.  `is_taken`: our takeover commits it, or has.
 */
void peer_orphan_table(struct peer *peer, struct table *empty, bool is_taken);
/*
 * Puts it before the others.  If there is no room, the oldest goes of those whose owner was never primary
 * with that kernel (term 0), this one among them; if there is none, the oldest.  The table is taken over.
 */
void peer_add_orphan(struct peer *peer, const struct peer_orphan *orphan);
void peer_drop_orphan(struct peer *peer, unsigned index);

/* Keeps a copy of the record; false if the bound is reached or memory is out. */
bool peer_notes_add(struct peer_notes *notes, const uint8_t *record);
void peer_notes_forget(struct peer_notes *notes);

/* Frees sessions and tables. */
void peer_destroy(struct peer *peer);

#endif
