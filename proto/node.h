/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node: the one door into the protocol.  node_step() takes an event, with the time, and answers through the
 * sink; node_deadline() tells when to call it next though nothing happened.  No socket, no clock, no file, no
 * global: two nodes, or sixteen, run in one process.
 */
#ifndef PROTO_NODE_H
#define PROTO_NODE_H

#include "proto/expect.h"
#include "proto/frame.h"
#include "proto/monotime.h"
#include "proto/seal.h"
#include "proto/table.h"

struct node;

enum { NODE_LINKS_MAX = 4, NODE_ENDPOINT_SIZE = 28, NODE_REASON_SIZE = 160 };

/* An address on a link, opaque here: the daemon keeps a sockaddr in it. */
struct node_endpoint {
	uint8_t length; /* 0: none */
	uint8_t bytes[NODE_ENDPOINT_SIZE];
};

enum node_log_level { NODE_LOG_ERROR, NODE_LOG_WARNING, NODE_LOG_NOTICE, NODE_LOG_INFO, NODE_LOG_DEBUG };

/* Warm mode (foreign.h): what is to be done to a copy. */
enum node_foreign_act {
	NODE_FOREIGN_INSTALL, /* create it, or bring it forward; nothing that is not a copy may go for it */
	NODE_FOREIGN_REMOVE,
	NODE_FOREIGN_REFRESH, /* give it its whole timeout again, and leave the rest alone */
	NODE_FOREIGN_CHECK,   /* is it there? */
};
enum node_foreign_result {
	NODE_FOREIGN_IN_KERNEL, /* installed, refreshed, or found there */
	NODE_FOREIGN_GONE,      /* removed, or not there */
	NODE_FOREIGN_FAILED,    /* not done: to be tried again */
	NODE_FOREIGN_NO_ROOM,   /* the same, because the kernel's table is full */
	NODE_FOREIGN_REFUSED,   /* it is not to be there: of this host itself, or its time has run out */
};

/*
 * Effects.  All are called from within node_step(), none may call back into the node (but for the functions
 * on const struct node).  Pointers are good for the call only.
 */
struct node_sink {
	void *context;
	/* Send these bytes on that link: to the group (to == NULL), or to that address. */
	void (*send)(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
		     size_t length);
	/* Ask the kernel for this one flow, and answer with NODE_GET_REPLY. */
	void (*get_flow)(void *context, const struct flow *key);
	/* Start an audit pass now (or as soon as the running one ends). */
	void (*audit_now)(void *context);
	/* Something an operator may want to read; `id` is the message's stable name. */
	void (*log)(void *context, enum node_log_level level, const char *id, const char *text);
	/* `size` random bytes that nobody can guess. */
	void (*random)(void *context, void *bytes, size_t size);
	/*
	 * Takeover from a live peer: its stream goes on, and what changes in it is to reach this kernel, too.
	 * The flow as it is there now (`gone`: it ended there; the flow is then as it was last).  Only for
	 * flows that no packet here has touched.  Answer what was created or changed with
	 * NODE_FLOW_COMMITTED, what was deleted with NODE_FLOW_DESTROY.
	 */
	void (*follow)(void *context, const struct flow *flow, bool gone);
	/* The same for an expectation; NULL: they are not kept.  Answer what was created with
	 * NODE_EXPECT_COMMITTED, what was deleted with NODE_EXPECT_DESTROY. */
	void (*follow_expect)(void *context, const struct expect *expect, bool gone);
	/*
	 * A new primary holds all that our kernel has left from our time as primary: delete the flows of the
	 * internal table from the kernel, give NODE_FLOW_WITHDRAWN for each, and NODE_WITHDRAW_END when none
	 * is left.  Stop when handover (struct node_view) is no longer `withdrawing`.
	 */
	void (*withdraw)(void *context);
	/* Seconds that a flow has left when its owner was last known to live `elapsed_s` ago; 0: it has run
	 * out. */
	uint32_t (*remaining_s)(void *context, const struct flow *flow, uint32_t elapsed_s);
	/*
	 * Warm mode, from within NODE_FOREIGN_RUN: do this to the copy of a peer's flow in this kernel, once
	 * the step is over, and answer with NODE_FOREIGN_DONE.  Of one step carry out what removes before
	 * what installs.  `elapsed_s`: since the flow's owner was last known to live.
	 */
	void (*foreign)(void *context, enum node_foreign_act act, const struct flow *flow,
			uint32_t elapsed_s);
};

struct node_config {
	uint16_t id;
	bool active_active;
	struct monotime heartbeat, peer_timeout;
	/* A heartbeat goes as soon as another node's comes, once half of its interval is over: then nodes
	 * wake up together, once an interval instead of twice.  None is later for it. */
	bool answers_heartbeats;
	uint32_t max_flows, max_tombstones; /* max_flows bounds the internal table and each external one */
	unsigned links;                     /* 1..NODE_LINKS_MAX */
	size_t payload_max;      /* UDP payload that fits every link: FRAME_PAYLOAD_MIN..FRAME_PAYLOAD_MAX */
	uint32_t receive_window; /* bytes of datagrams that our receive buffers can take at once */
	enum seal_cipher cipher;
	struct seal_ring ring;
	struct frame_kernel_instance instance;
	uint32_t filters; /* hash of what is filtered, to be compared by peers */
	char software[FRAME_SOFTWARE_SIZE];
	uint32_t first_term; /* highest term that is known from before (state file); 0: none */
	uint32_t own_term;   /* term of our own last takeover in this boot (state file); 0: none */
	bool leftovers;      /* we were primary in this boot, and our kernel's flows were not withdrawn since
				(state file) */
	bool warm;           /* peers' flows live in our kernel while we are not primary */
};

enum node_event_type {
	NODE_TIME,     /* a deadline passed, or just the time */
	NODE_DATAGRAM, /* .datagram */
	/* the kernel's events, .flow */
	NODE_FLOW_NEW,
	NODE_FLOW_UPDATE,
	NODE_FLOW_DESTROY,
	NODE_FLOW_COMMITTED, /* we created or changed it in the kernel ourselves: .flow is the flow as it is
				there now */
	/* an audit pass: begin, rows, end */
	NODE_AUDIT_BEGIN,
	NODE_AUDIT_ROW,     /* .flow */
	NODE_AUDIT_END,     /* .clean: nothing was missed on the way (no resize); else it is to be repeated */
	NODE_GET_REPLY,     /* .flow (the key if !.found), .found */
	NODE_OVERRUN,       /* the kernel drops events ... */
	NODE_OVERRUN_ENDED, /* ... and delivers them again: what was dropped, a pass begun from now on finds.
			       May come alone */
	NODE_DEAF,          /* events of new flows are not listened to from now on ... */
	NODE_HEARS,         /* ... and are again: what was missed, a pass finds */
	/* requests */
	NODE_ROLE,           /* .role */
	NODE_RESYNC,         /* .peer, 0: all: full catch-up from it, now */
	NODE_FLUSH_INTERNAL, /* forget all; an audit pass fills it anew */
	NODE_FLUSH_EXTERNAL, /* .peer, 0: all */
	NODE_CONFIGURE,      /* .config: keys, intervals, limits; id, links and instance must be as before */
	NODE_KERNEL_LIMITS,  /* .conntrack_max, .conntrack_buckets */
	NODE_LEAVE,          /* we stop on purpose: tell the peers */
	NODE_TAKEOVER, /* the commit of the peers' tables begins: what they hold is claimed, live streams are
			  followed */
	NODE_TAKEOVER_FAILED, /* it did not end in NODE_ROLE primary: nothing is claimed */
	NODE_FLOW_REFUSED, /* our kernel's table has no room for a flow that we take over: nothing is claimed
			      until the next takeover */
	NODE_FLOW_WITHDRAWN, /* .flow was deleted from the kernel, or was gone, on our withdrawal */
	NODE_WITHDRAW_END,   /* no leftover is in the kernel any more */
	/* expectations, .expect; of masters that are in the internal table, others are passed over */
	NODE_EXPECT_NEW,
	NODE_EXPECT_DESTROY,
	NODE_EXPECT_COMMITTED, /* we created it in the kernel ourselves */
	/* all that the kernel has: begin, rows, end, without an event in between */
	NODE_EXPECT_BEGIN,
	NODE_EXPECT_ROW,
	NODE_EXPECT_END,
	/* warm mode */
	NODE_FOREIGN_RUN,     /* name the next acts (sink.foreign), .acts_max of them */
	NODE_FOREIGN_DONE,    /* .foreign: what became of one */
	NODE_FOREIGN_FLUSHED, /* the kernel's table was emptied */
	NODE_FLOW_DISOWNED, /* on withdrawal, in place of NODE_FLOW_WITHDRAWN: .flow stays in the kernel, as a
			       copy of the new primary's */
};

struct node_event {
	enum node_event_type type;
	struct monotime now;
	union {
		struct {
			unsigned link;
			struct node_endpoint from;
			const uint8_t *bytes;
			size_t length;
		} datagram;
		struct {
			const struct flow *flow;
			bool found;
		};
		const struct expect *expect;
		struct {
			const struct flow *flow; /* as it is in the kernel now, if it is there */
			enum node_foreign_act act;
			enum node_foreign_result result;
			uint32_t timeout_s; /* that it has there now */
		} foreign;
		unsigned acts_max; /* NODE_FOREIGN_RUN: 2 or more; 0: as many as a step may name */
		bool clean;
		enum frame_role role;
		uint16_t peer;
		const struct node_config *config;
		struct {
			uint32_t conntrack_max, conntrack_buckets;
		};
	};
};

/* Creates a node with a new session, in role init.  Copies config and sink.  0, -ENOMEM, or -EINVAL (a
 * bound). */
int node_create(struct node **node, const struct node_config *config, const struct node_sink *sink,
		struct monotime now);
void node_destroy(struct node *node);

/* Takes an event.  Bad datagrams are counted and dropped; there is nothing that fails. */
void node_step(struct node *node, const struct node_event *event);

/* When node_step() wants to be called with NODE_TIME at the latest; in the past: at once (there is more to
 * send). */
struct monotime node_deadline(const struct node *node);

/* ---- to look at ---- */

const struct table *node_internal(const struct node *node);
/*
 * We have seen this connection closed while we were primary: what another node still holds of it is not
 * taken, if we are primary still; if its owner is gone, and was not heard since; or if we took it over from
 * its owner before that was restarted, and nobody has ruled since.  Or another took it over so, and has it no
 * more. One that only fell silent may live elsewhere; and one that a node got only after it knew of the end,
 * as primary beside us, is another one.  `of`: the table that is to be taken; NULL: any.
 */
bool node_has_ended(const struct node *node, const struct table *of, struct record_key key);
/* That key will be asked about, or given, soon, after some hundred others at most: table_foresee() of the
 * internal table. */
void node_foresee(const struct node *node, struct record_key key);
/* The external table kept for that node id; NULL: none. */
const struct table *node_external(const struct node *node, uint16_t id);

/* Has `observer` told of each change of the internal table (id 0) and the external ones (the peer's id);
 * NULL: nobody. See table_observe(). */
void node_observe(struct node *node, table_observer *observer, void *context);
/* ---- warm mode ---- */

struct node_foreign_view {
	bool active;      /* copies are put into the kernel and kept alive */
	bool adopts;      /* after a takeover: they become flows of our own, some at a time */
	size_t flows;     /* copies in our kernel */
	uint64_t waiting; /* changes of the peers' tables that are not in our kernel yet, at most */
	size_t missing;   /* flows that could not be put there, and are tried again */
	size_t no_room;   /* of those, that found the kernel's table full in the takeover that runs, or in the
			     last */
	bool takeover_is_behind; /* NODE_TAKEOVER was given: what was here then is not in the kernel yet */
	uint64_t installed, removed, refreshed, refused;
	uint64_t vanished;  /* copies that went from the kernel although their owner has them still */
	uint64_t failed;    /* acts that the kernel did not carry out, and that are tried again */
	int64_t adopted_us; /* how long the last adoption took; 0: there was none yet */
	size_t memory;      /* bytes */
};
void node_foreign_view(const struct node *node, struct node_foreign_view *view);
/* When NODE_FOREIGN_RUN has something to name, in the past: at once; MONOTIME_NEVER: nothing. */
struct monotime node_foreign_deadline(const struct node *node);
/* Whether that flow is a copy, and one that a takeover has still to make ours. */
bool node_has_copy(const struct node *node, const struct flow *flow);
bool node_is_to_adopt(const struct node *node, const struct flow *flow);
/* Whether that flow, as the kernel shows it, is a copy, or a peer's rather than ours: no part of the internal
 * table. */
bool node_passes_over(const struct node *node, const struct flow *flow);
/* Whether a live primary's table names the flow, so that on withdrawal it stays in the kernel as a copy. */
bool node_is_named_by_primary(const struct node *node, const struct flow *flow);

enum node_drop {
	NODE_DROP_TOO_SHORT,
	NODE_DROP_BAD_MAGIC,
	NODE_DROP_OTHER_VERSION,
	NODE_DROP_UNKNOWN_KEY,
	NODE_DROP_NOT_AUTHENTIC,
	NODE_DROP_REPLAYED,  /* seen before: a replay, or the copy that came over another link is not counted
				here */
	NODE_DROP_TOO_OLD,   /* behind the replay window */
	NODE_DROP_NOT_FRESH, /* of a session that has not proven to be live: its tables and data */
	NODE_DROP_OWN,       /* our own, come back */
	NODE_DROP_DUPLICATE_ID,
	NODE_DROP_MALFORMED,   /* authentic, yet not a message */
	NODE_DROP_TOO_MANY,    /* more nodes than FRAME_NODES_MAX */
	NODE_DROP_MISDIRECTED, /* unicast to another node */
	NODE_DROP_NO_MEMORY,   /* of a session or a node for which there was none */
	NODE_DROPS,
};

/* "too-short", ... */
const char *node_drop_name(enum node_drop drop);

struct node_view {
	uint16_t id;
	enum frame_role role;
	uint32_t term;
	struct seal_session_id session;
	bool complete, suspect, refused, split_brain, duplicate_id;
	const char *handover; /* "none", "frozen", "withdrawing" */
	uint64_t v_end;       /* while frozen: where our stream ends */
	bool leftovers;       /* to be kept in the state file */
	bool must_retake;     /* primary, and who took over after us has given way: take over again */
	uint64_t events[3], overruns, audits, audit_corrections; /* corrections: what events had missed */
	uint64_t flows_refused;                                  /* beyond max_flows */
	uint64_t sent_datagrams, sent_bytes, received_datagrams, received_bytes;
	uint64_t drops[NODE_DROPS];
	unsigned peers;     /* for node_peer_view() */
	unsigned strangers; /* for node_stranger_view() */
	unsigned claims;    /* for node_claim_view() */
};
void node_view(const struct node *node, struct monotime now, struct node_view *view);

/* Three of them, for who looks after each step. */
struct node_standing {
	enum frame_role role;
	uint32_t term;
	bool leftovers;
};
struct node_standing node_standing(const struct node *node);

struct node_proof {
	bool in_sync;
	uint64_t version; /* last proven equal */
	int64_t age_us;   /* since that version was the owner's newest, as far as we know; -1: never */
	char reason[NODE_REASON_SIZE]; /* why not in sync; empty if it is */
};

struct node_peer_view {
	uint16_t id;
	struct seal_session_id session;
	bool alive;
	enum frame_role role;
	uint32_t term;
	bool complete, suspect, active_active;
	struct monotime last_heard; /* when it was last known to live */
	size_t flows, expectations; /* our copy */
	size_t memory;              /* bytes, of it and of what is left of its earlier lives */
	uint64_t newest, applied;   /* its newest version as we heard; what we applied */
	struct node_proof holds;    /* our copy of its table */
	struct node_proof held;     /* its copy of ours */
	int64_t lag_us; /* half the measured round trip plus what is not applied yet; -1: unknown */
	int64_t rtt_us; /* -1: not measured */
	uint64_t divergences, resyncs_partial, resyncs_full;
	uint64_t flows_refused, flows_unreadable;
	bool full_running;
	bool overflowed, incompatible;
	bool filters_differ;
	struct {
		uint64_t received, lost;
		struct node_endpoint address;
	} links[NODE_LINKS_MAX];
	char software[FRAME_SOFTWARE_SIZE];
	char problem[NODE_REASON_SIZE]; /* in words; empty: none */
	struct monotime
	    owner_proven_at; /* the clock for expiry at commit: when the owner was last heard alive */
};
/* index 0..view.peers-1 */
void node_peer_view(const struct node *node, struct monotime now, unsigned index,
		    struct node_peer_view *view);

/*
 * The tables that a takeover commits: each peer's, and orphans: what was held for a node that has rebooted
 * since.  In the order in which they are to be committed: descending terms, and of one node the newer first.
 */
struct node_table_view {
	uint16_t id;
	bool orphan;
	uint32_t term; /* of its owner */
	const struct table *table;
	uint8_t fresh_mark; /* entries with another mark were not named by the full catch-up that runs: commit
			       them last */
	bool has_stale;     /* there may be such */
	struct monotime owner_proven_at;
	struct seal_session_id session;
};
enum { NODE_ORPHANS_MAX = 2, NODE_TABLES_MAX = FRAME_PEERS_MAX * (1 + NODE_ORPHANS_MAX) };
/* Writes up to NODE_TABLES_MAX views; returns how many. */
unsigned node_tables(const struct node *node, struct node_table_view views[NODE_TABLES_MAX]);

/* What our last takeover claimed: whose table, in which session, how far, and whether its stream is still
 * followed. */
struct node_claim_view {
	uint16_t id;
	struct seal_session_id session;
	uint64_t version;
	bool open;
};
/* index 0..view.claims-1 */
void node_claim_view(const struct node *node, unsigned index, struct node_claim_view *view);

/* Datagrams that name a node but could not be taken from it: wrong key, other version, duplicate id, replays
 * ... */
struct node_stranger_view {
	uint16_t id;
	uint64_t count;
	struct monotime last;
	enum node_drop drop;
	char problem[NODE_REASON_SIZE];
};
void node_stranger_view(const struct node *node, unsigned index, struct node_stranger_view *view);

#endif
