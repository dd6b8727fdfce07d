/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claims: whose tables this node committed at its last takeover, by session, and up to which version.  A
 * primary announces them; every node drops what was claimed, so that it can't be committed again hours later.
 *
 * While the claimed session's stream goes on (its owner lives and hands over), what lies beyond the claim is
 * *followed*: brought to the kernel, too, up to the version at which the owner froze.  Then the claim is
 * closed.
 */
#ifndef PROTO_CLAIM_H
#define PROTO_CLAIM_H

#include "proto/frame.h"

enum claim_state {
	CLAIM_IDLE,   /* its owner was no primary when it was claimed, and is none: nothing to follow */
	CLAIM_OPEN,   /* what comes of that session is followed */
	CLAIM_CLOSED, /* its stream as primary has ended, and is here */
};

struct claim {
	uint16_t node_id;
	struct seal_session_id session;
	uint64_t version; /* committed, and since then followed, up to here */
	uint64_t reach;   /* how far the copy went when all that was in it was committed; UINT64_MAX: never */
	bool is_void;     /* our kernel refused some of it: the version is and stays 0 */
	enum claim_state state;
	/* opened late: what had come beyond the claim until then is brought to the kernel in slices */
	bool walks;
	uint64_t walk_after;
};

struct claims {
	unsigned count;
	struct claim items[FRAME_PEERS_MAX];
};

/* Adds, or replaces the one of that node and session.  When there are too many, the oldest goes of which its
 * node has a later one: a node that is restarted time and again displaces its own. */
void claims_add(struct claims *claims, const struct claim *claim);

/* NULL: none. */
struct claim *claims_find(struct claims *claims, uint16_t node_id, const struct seal_session_id *session);

/* Whether there is one of that node, whatever the session. */
bool claims_name(const struct claims *claims, uint16_t node_id);

/* Our kernel has not all that was taken over, whosever it was: nobody is to drop anything for it.  True if
 * that is new. */
bool claims_void(struct claims *claims);

/* What is here goes as far as `version` now: so does the claim, unless it is void. */
void claim_extend(struct claim *claim, uint64_t version);

/* Copies them into a STATUS. */
void claims_announce(const struct claims *claims, struct frame_status *status);

/* Whether both STATUSes claim the same, in the same term. */
bool claims_are_same(const struct frame_status *a, const struct frame_status *b);

/* Whether a STATUS claims that table; *version is then how far. */
bool claims_are_announced(const struct frame_status *status, uint16_t node_id,
			  const struct seal_session_id *session, uint64_t *version);

#endif
