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

static bool is_claimed_here(const struct peer *peer, const struct claim *claim)
{
	return claim && !claim->is_void && !claim->walks &&
	       (claim->state == CLAIM_OPEN || claim->version >= receive_reach(&peer->receive));
}

/* It was taken in a session before, and nothing has come since. */
static bool is_taken_still(const struct peer *peer)
{
	return peer->taken.below && peer->taken.reach == receive_reach(&peer->receive) &&
	       !peer_was_primary(peer);
}

/* We have committed it, or are about to: it makes an orphan that is not to be committed once more. */
static bool is_taken(struct node *node, const struct peer *peer)
{
	const struct claim *claim = claims_find(&node->claims, peer->id, &peer->current.id);

	return is_claimed_here(peer, claim) || (is_taken_still(peer) && !peer->taken.is_elsewhere);
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

/*
 * What of the copy was claimed in the session that ends, to the last, is taken: what comes beyond is told
 * from it.  What came beyond a claim and was brought over is no news any more in its owner's next session.
 */
static void note_taken(struct node *node, struct peer *peer)
{
	const struct claim *claim = claims_find(&node->claims, peer->id, &peer->current.id);
	bool is_followed = claim && claim->state == CLAIM_OPEN && !claim->walks;
	bool is_elsewhere =
	    !claim && !receive_has_stale(&peer->receive) &&
	    node_is_claimed_elsewhere(node, peer->id, &peer->current.id, receive_reach(&peer->receive));

	if (is_followed || is_elsewhere)
		receive_claim(&peer->receive, 0);
	if (is_elsewhere || is_claimed_here(peer, claim))
		peer->taken = (struct peer_taken){.below = peer->receive.claim_generation,
						  .is_elsewhere = is_elsewhere};
	else if (!is_taken_still(peer))
		peer->taken.below = 0;
	node->some_taken_elsewhere |= is_elsewhere;
	peer->taken.reach = 0; /* nothing has come of the new one */
	peer->taken.is_earlier = true;
}

bool node_succeed_session(struct node *node, struct peer *peer, const struct session *successor)
{
	bool rebooted = session_exists(&peer->current) && instance_differs(peer, successor);

	if (rebooted && table_count(peer->receive.table) && !keep_as_orphan(node, peer))
		return false;
	if (rebooted) {
		receive_other_kernel(&peer->receive);
		peer->taken = (struct peer_taken){0};
	} else if (session_exists(&peer->current)) {
		note_taken(node, peer);
	}
	peer->instance = successor->instance;
	peer->instance_is_known = true;
	peer->ageing = (struct peer_ageing){0};
	peer_notes_forget(&peer->gone_there);
	return true;
}
