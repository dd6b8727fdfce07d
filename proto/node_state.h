/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node is made of.  Private to node.c (the door, time), input.c (datagrams in), output.c (datagrams
 * out) and view.c (looking at it).
 */
#ifndef PROTO_NODE_STATE_H
#define PROTO_NODE_STATE_H

#include "proto/claim.h"
#include "proto/foreign.h"
#include "proto/handover.h"
#include "proto/local.h"
#include "proto/outbox.h"
#include "proto/peer.h"
#include "proto/role.h"

enum { NODE_STRANGERS = 16, NODE_SAMPLES = 256 };

struct stranger {
	uint16_t id;
	uint64_t count;
	struct monotime last;
	enum node_drop drop;
	uint8_t version; /* of the protocol, when that is the cause; as the clear header says, so unproven */
};

struct node {
	struct node_config config;
	struct node_sink sink;
	struct monotime now;
	struct local local;
	struct outbox outbox;
	struct role role;
	struct stream stream;
	struct peer peers[FRAME_PEERS_MAX];
	/* slots from here on were never used: to look at one costs a cache miss and a TLB miss */
	unsigned peers_end;
	struct peer twin; /* who else claims our id */
	struct stranger strangers[NODE_STRANGERS];
	struct monotime heartbeat_at, status_at, status_sent_at;
	bool heartbeat_is_answer;     /* the one that is due */
	struct monotime restarted_at; /* our session, last */
	int64_t restart_pause_us;     /* until the next may follow that one */
	size_t payload_wanted;        /* as configured; config has less when that did not reach a peer */
	struct monotime no_memory_at; /* when that was said last */
	uint32_t conntrack_max, conntrack_buckets;
	bool split_brain, duplicate_id, leaving;
	struct handover handover; /* the giving side */
	struct claims claims;     /* the taking side: of the last takeover, or of the one that runs */
	uint64_t claimed[FRAME_PEERS_MAX]; /* versions of our stream that others have claimed: stream_out
					      borrows them */
	unsigned claimed_count;
	bool some_taken_elsewhere;             /* some peer's `taken` is another primary's */
	bool takes_over;                       /* between NODE_TAKEOVER and its end */
	struct foreign foreign;                /* warm mode */
	uint64_t primary_since, primary_until; /* our newest version when we became primary, and when we were
						  it no more */
	struct monotime took_over_at;          /* when our last takeover ended */
	struct monotime transfer_at;           /* when both sides were last looked after */
	unsigned status_turn; /* the peer that the next STATUS to the group names first, when not all fit */
	/* when which version was the newest: to date what peers have proven */
	struct {
		uint64_t version;
		struct monotime at;
	} samples[NODE_SAMPLES];
	size_t samples_count;
	uint64_t received_datagrams, received_bytes;
	uint64_t drops[NODE_DROPS];
	table_observer *observer; /* of all tables; NULL: none */
	void *observer_context;
};

/* ---- node.c ---- */
uint32_t node_random32(struct node *node);
void node_log(const struct node *node, enum node_log_level level, const char *id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* At most every few seconds: what could not be done. */
void node_say_no_memory(struct node *node, const char *what);
/* No step for so long that peers can't have been heard as they should. */
bool node_has_slept(const struct node *node, struct monotime now);
/* A new session of our own: peers will catch up in full. */
void node_restart_session(struct node *node, const char *why);

/* A table that is new: who observes the node observes it. */
void node_observe_table(const struct node *node, struct table *table, uint16_t id);

/* Our kernel has no room for all that we take over: nothing is claimed until we do so again. */
void node_void_claims(struct node *node);

/* ---- input.c ---- */
void node_take_datagram(struct node *node, const struct node_event *event);
/* A slot for a node that has none: NODE_DROPS, and *result is it; else why there is none. */
enum node_drop node_new_peer(struct node *node, uint16_t id, struct peer **result);

/* ---- review.c ---- */
/* Candidates that may now displace a silent session; sessions that have died. */
void node_review_sessions(struct node *node);
/* Whether another is primary beside us: in time, and with each STATUS. */
void node_review_split_brain(struct node *node);
/* One candidate: it may be current after that, and its slot free. */
void node_review_candidate(struct node *node, struct peer *peer, struct session *candidate);

/* ---- transfer.c ---- */
void node_takeover_begin(struct node *node);
void node_takeover_failed(struct node *node);
/* After a role change: freezes, or claims and drops. */
void node_role_changed(struct node *node, bool was_primary);
void node_withdraw_end(struct node *node);
/* Withdrawals, claims of others, ageing of what silent peers left: in slices, now and then. */
void node_review_transfer(struct node *node);
/* A takeover has ended: what it claimed is in our kernel. */
void node_note_taken(struct node *node);
/* What that peer has taken over is in our copy of its table, proven. */
bool node_claims_are_here(const struct node *node, const struct peer *claimant);
/* Which of the claimed streams have ended: as soon as their owners say so. */
void node_review_claims(struct node *node);
/* Brings a peer's flow to our own kernel, or its end. */
void node_bring_over(const struct node *node, const uint8_t *record, bool gone);
/* Versions of our stream that others have claimed; returns how many. */
unsigned node_claimed_versions(const struct node *node, uint64_t versions[FRAME_PEERS_MAX]);

/* ---- retake.c ---- */
/* We are primary, and another node that took over after us has given way: its flows are still to come. */
bool node_must_retake(const struct node *node);
/* A primary has committed again. */
void node_taken_again(struct node *node);
/* That flow may have left our kernel: noted, if it was not closed, and is a primary's beside us, too. */
void node_note_silent(struct node *node, const struct flow *flow);
/* It was here, is no more, and was not closed. */
bool node_fell_silent(const struct node *node, struct record_key key);
/* That primary has given way, or died: what only fell silent here, and is named by its table, comes back. */
void node_revive_silent(struct node *node, struct peer *peer);

/* ---- departed.c ---- */
/* By a primary whose flows are here, up to `reach`: what an owner that lived on got after a claim was
 * committed by nobody. */
bool node_is_claimed_elsewhere(const struct node *node, uint16_t id, const struct seal_session_id *session,
			       uint64_t reach);
/* Drops what a primary has claimed of a silent peer and its orphans, and what has run out, in slices. */
void node_review_departed(struct node *node, struct peer *peer);

/* ---- orphan.c ---- */
/*
 * A session of that node is to become current in place of another: an orphan, if its kernel is another.
 * False: there is no memory to keep it, so the other has to wait.
 */
bool node_succeed_session(struct node *node, struct peer *peer, const struct session *successor);

/* ---- warm.c ---- */
/* After a change of role or configuration: copies are made from now on, or no more. */
void node_warm_review(struct node *node);
/* All that the tables hold is brought to our kernel once more. */
void node_warm_begin_anew(struct node *node);
/* A takeover begins: it waits for what was here now. */
void node_warm_takeover(struct node *node);
/* A takeover is to go over what is missing once more. */
bool node_warm_needs_round(const struct node *node);
/* What is not in our kernel is looked for in all tables. */
void node_warm_search(struct node *node);
/* We are primary: the copies become ours. */
void node_warm_adopt(struct node *node);
/* That flow in particular, at once. */
void node_warm_adopt_flow(struct node *node, struct record_key key);
/* An expectation's master: what is expected is our own only if its master is.  It becomes so if we committed
 * the expectation, or have taken over and not come to it yet. */
void node_warm_adopt_master(struct node *node, const struct expect *expect, bool is_committed);
/* Goes on with that, a slice for each call, and when the next is due. */
void node_warm_run(struct node *node);
struct monotime node_warm_adopt_deadline(const struct node *node);
/* True: the event is about a copy, or a peer's flow, and none of the internal table's business. */
bool node_warm_takes(struct node *node, const struct node_event *event);
void node_foreign_run(struct node *node, unsigned acts_max);
void node_foreign_done(struct node *node, const struct node_event *event);
void node_foreign_flushed(struct node *node);
void node_flow_disowned(struct node *node, const struct flow *flow);
/* A table names it no more, and nobody observes that table. */
void node_warm_note_gone(struct node *node, struct record_key key);
/* That flow may have left our kernel, and was our own: a copy takes its place, if a peer has it, too, and it
 * was not closed. */
void node_warm_note_ended(struct node *node, const struct flow *flow);
/* To be told by a new peer's receiving side. */
void node_warm_follow(struct node *node, struct peer *peer);
/* Copies that no table names may be removed now: no full catch-up is about to name them. */
bool node_warm_may_sweep(const struct node *node);
/* Whole tables have gone: copies may be left that none names. */
void node_warm_sweep(struct node *node);
/* The internal table is whole: read, and all that was taken over is in it. */
bool node_is_complete(const struct node *node);

/* ---- view.c ---- */
bool node_holds_in_sync(const struct node *node, const struct peer *peer);

/* ---- output.c ---- */
/* Another node's heartbeat is here: ours may go with it. */
void node_answer_heartbeat(struct node *node);
/* A STATUS to the group soon: at once, but never more often than every STATUS_INTERVAL_MIN. */
void node_want_status(struct node *node);
void node_want_ack(struct node *node, struct peer *peer, bool at_once);
/* Sends what is due: STATUS, acknowledgements, live stream, catch-ups; at most a slice of each.  True if
 * there is more. */
bool node_send(struct node *node);
/* What a peer said of our stream: repairs, and starts or ends catch-ups. */
void node_serve_peer(struct node *node, struct peer *peer, const struct frame_peer *about_us);
struct monotime node_send_deadline(const struct node *node);

#endif
