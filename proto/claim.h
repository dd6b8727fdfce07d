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

struct claim {
	uint16_t node_id;
	struct seal_session_id session;
	uint64_t version; /* committed, and since then followed, up to here */
	bool open;        /* what comes of that session is followed */
	uint32_t full_id; /* of the full catch-up that was running when it was claimed: its sweep is followed,
			     too; 0: none */
};

struct claims {
	unsigned count;
	struct claim items[FRAME_PEERS_MAX];
};

/* Adds, or replaces the one of that node and session; the oldest goes when there are too many. */
void claims_add(struct claims *claims, const struct claim *claim);

/* NULL: none. */
struct claim *claims_find(struct claims *claims, uint16_t node_id, const struct seal_session_id *session);

/* Copies them into a STATUS. */
void claims_announce(const struct claims *claims, struct frame_status *status);

/* Whether a STATUS claims that table; *version is then how far. */
bool claims_are_announced(const struct frame_status *status, uint16_t node_id,
			  const struct seal_session_id *session, uint64_t *version);

#endif
