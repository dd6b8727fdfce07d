/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node comes back: with another kernel, what was held for it becomes an orphan. */
#include "proto/node_state.h"

#include <string.h>

static size_t orphaned_flows(const struct peer *peer)
{
	size_t flows = 0;

	for (unsigned i = 0; i < NODE_ORPHANS_MAX && peer->orphans[i].table; i++)
		flows += table_count(peer->orphans[i].table);
	return flows;
}

/* We have committed it, or are about to: it makes an orphan that is not to be committed once more. */
static bool is_taken(struct node *node, const struct peer *peer)
{
	const struct claim *claim = claims_find(&node->claims, peer->id, &peer->current.id);

	if (!claim) /* of a session before, and nothing has come since */
		return peer->was_taken && !peer->got_since && !receive_reach(&peer->receive) &&
		       !peer_was_primary(peer);
	return !claim->is_void && !claim->walks &&
	       (claim->state == CLAIM_OPEN || claim->version >= receive_reach(&peer->receive));
}

/* False: out of memory. */
static bool keep_as_orphan(struct node *node, struct peer *peer)
{
	struct table *empty = table_create(node->config.max_flows, 0,
					   (uint64_t)node_random32(node) << 32 | node_random32(node));
	size_t flows = orphaned_flows(peer) + table_count(peer->receive.table), kept;

	if (!empty)
		return false;
	node_observe_table(node, empty, peer->id);
	peer_orphan_table(peer, empty, is_taken(node, peer));
	kept = orphaned_flows(peer);
	node_log(node, NODE_LOG_NOTICE, "orphan", "node %u has rebooted: its %zu flows from before are kept",
		 peer->id, kept);
	if (kept < flows)
		node_log(node, NODE_LOG_WARNING, "orphan-displaced",
			 "node %u has rebooted time and again: no more than %d of its tables are kept, %zu "
			 "flows are dropped",
			 peer->id, NODE_ORPHANS_MAX, flows - kept);
	node_warm_sweep(node); /* of what was dropped */
	return true;
}

static bool instance_differs(const struct peer *peer, const struct session *successor)
{
	return peer->instance_is_known &&
	       memcmp(&peer->instance, &successor->instance, sizeof(peer->instance)) != 0;
}

/* What came beyond a claim and was brought over is no news any more in its owner's next session; what is, is
 * told from it. */
static void note_taken(struct node *node, struct peer *peer)
{
	const struct claim *claim = claims_find(&node->claims, peer->id, &peer->current.id);
	bool is_followed = claim && claim->state == CLAIM_OPEN && !claim->walks;
	bool is_elsewhere =
	    !claim && !receive_has_stale(&peer->receive) &&
	    node_is_claimed_elsewhere(node, peer->id, &peer->current.id, receive_reach(&peer->receive));

	if (is_elsewhere || is_taken(node, peer)) {
		peer->was_taken = true;
		peer->got_since = false;
	} else if (!claim && peer_was_primary(peer)) {
		peer->was_taken = false; /* what fell silent elsewhere may have lived there */
	} else {
		peer->got_since |= receive_reach(&peer->receive) != 0;
	}
	peer->taken_to = 0;
	if (is_followed || is_elsewhere)
		receive_claim(&peer->receive, 0);
}

bool node_succeed_session(struct node *node, struct peer *peer, const struct session *successor)
{
	bool rebooted = session_exists(&peer->current) && instance_differs(peer, successor);

	if (rebooted && table_count(peer->receive.table) && !keep_as_orphan(node, peer))
		return false;
	if (rebooted) {
		receive_other_kernel(&peer->receive);
		peer->was_taken = false;
		peer->had_at_our_end = 0;
	} else if (session_exists(&peer->current)) {
		note_taken(node, peer);
	}
	peer->instance = successor->instance;
	peer->instance_is_known = true;
	peer->ageing = (struct peer_ageing){0};
	peer_notes_forget(&peer->gone_there);
	return true;
}
