/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of peers that are gone: copies and orphans that a primary has claimed are dropped, so that
 * they are not committed again hours later; what nobody claimed runs out entry by entry.
 */
#include "proto/node_state.h"

#include <string.h>

enum { AGE_SLICE = 4096 };

bool node_is_claimed_elsewhere(const struct node *node, uint16_t id, const struct seal_session_id *session,
			       uint64_t reach)
{
	uint64_t version;

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		const struct peer *claimant = &node->peers[i];

		if (claimant->id && claimant->has_status && claimant->status.role == FRAME_ROLE_PRIMARY &&
		    claims_are_announced(&claimant->status, id, session, &version) && version >= reach &&
		    node_claims_are_here(node, claimant))
			return true;
	}
	return false;
}

/* A primary with a higher term, proven here, holds newer flows than an orphan of a lower one. */
static bool is_outdated(const struct node *node, uint32_t term)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		const struct peer *peer = &node->peers[i];

		if (peer->id && peer->has_status && peer->status.role == FRAME_ROLE_PRIMARY &&
		    peer->status.term > term && node_claims_are_here(node, peer))
			return true;
	}
	return false;
}

/* What the daemon before us left: the same kernel's flows are here again, and proven. */
static bool is_here_anew(const struct node *node, const struct peer *peer, const struct peer_orphan *orphan)
{
	return orphan->is_restored && orphan->instance_is_known && peer->instance_is_known &&
	       memcmp(&orphan->instance, &peer->instance, sizeof(peer->instance)) == 0 &&
	       node_holds_in_sync(node, peer);
}

/* A claim says how far its node has the session: it does not cover what a copy has from before that. */
static bool orphan_is_needless(const struct node *node, const struct peer *peer,
			       const struct peer_orphan *orphan)
{
	if ((orphan->is_taken && node->role.current == FRAME_ROLE_PRIMARY) || is_outdated(node, orphan->term))
		return true;
	return orphan->is_exact &&
	       node_is_claimed_elsewhere(node, peer->id, &orphan->session, orphan->version);
}

static void review_orphans(struct node *node, struct peer *peer)
{
	for (unsigned i = 0; i < NODE_ORPHANS_MAX && peer->orphans[i].table;) {
		const struct peer_orphan *orphan = &peer->orphans[i];

		if (orphan_is_needless(node, peer, orphan)) {
			node_log(node, NODE_LOG_INFO, "orphan-dropped",
				 "what node %u had before it rebooted is in a newer primary's table",
				 peer->id);
		} else if (is_here_anew(node, peer, orphan)) {
			node_log(node, NODE_LOG_INFO, "restored-dropped",
				 "node %u is in step again: what was kept over our restart is not needed",
				 peer->id);
		} else if (table_count(orphan->table)) { /* the others have run out */
			i++;
			continue;
		}
		peer_drop_orphan(peer, i);
		node_warm_sweep(node);
	}
}

static void review_departed(struct node *node, struct peer *peer)
{
	const struct claim *own = claims_find(&node->claims, peer->id, &peer->current.id);
	uint64_t reach = receive_reach(&peer->receive);
	/* (of a session that has only begun the reach is 0, as a void claim is, and the copy of before is
	 * all) */
	bool by_us = node->role.current == FRAME_ROLE_PRIMARY && own && !own->is_void && !own->walks &&
		     own->version >= reach;

	if (node->takes_over) /* what is being committed stays until it is */
		return;
	review_orphans(node, peer);
	if (!session_exists(&peer->current) || peer_is_alive(peer, &node->config, node->now) ||
	    peer->receive.aged)
		return;
	if (!by_us && (receive_has_stale(&peer->receive) ||
		       !node_is_claimed_elsewhere(node, peer->id, &peer->current.id, reach)))
		return;
	node_log(node, NODE_LOG_INFO, "claimed", "dropping our copy of silent node %u: %s committed it",
		 peer->id, by_us ? "we have" : "the new primary has");
	/* it was a primary beside us, and has died: its packets come here now */
	if (by_us && peer->current.sent_after.us >= node->took_over_at.us)
		node_revive_silent(node, peer);
	receive_drop(&peer->receive, by_us);
}

/* An expectation lasts as long as its helper gave it, and no default counts. */
static uint32_t remaining_s(const struct node *node, const uint8_t *record, uint32_t elapsed_s)
{
	struct flow flow;

	if (record_is_expect(record))
		return record_timeout_s(record) > elapsed_s ? record_timeout_s(record) - elapsed_s : 0;
	record_decode(record, &flow);
	return node->sink.remaining_s(node->sink.context, &flow, elapsed_s);
}

/* Removes what has run out since its owner fell silent, a slice of the table for each call. */
static bool age_slice(struct node *node, const struct peer *peer, struct table *table,
		      struct monotime proven_at, struct peer_ageing *ageing)
{
	uint32_t elapsed_s = (uint32_t)((node->now.us - proven_at.us) / 1000000);
	struct table_walk walk = table_walk_records_after(table, ageing->to);
	struct table_entry *entry;
	bool removed = false;

	if (!ageing->to && ageing->last_s == elapsed_s)
		return false;
	ageing->last_s = ageing->to ? ageing->last_s : elapsed_s;
	for (unsigned i = 0; i < AGE_SLICE; i++) {
		entry = table_walk_next(&walk);
		if (!entry) {
			ageing->to = 0;
			return removed;
		}
		ageing->to = walk.version;
		if (remaining_s(node, entry->bytes, elapsed_s))
			continue;
		if (table != peer->receive.table)
			node_warm_note_gone(node, record_key(entry->bytes));
		table_remove(table, entry);
		removed = true;
		walk = table_walk_records_after(table, ageing->to);
	}
	return removed;
}

static void age_departed(struct node *node, struct peer *peer)
{
	if (!node->sink.remaining_s || node->takes_over)
		return;
	for (unsigned i = 0; i < NODE_ORPHANS_MAX && peer->orphans[i].table; i++)
		if (age_slice(node, peer, peer->orphans[i].table, peer->orphans[i].proven_at,
			      &peer->orphans[i].ageing))
			peer->orphans[i].is_exact = false;
	if (session_exists(&peer->current) && !peer_is_alive(peer, &node->config, node->now) &&
	    age_slice(node, peer, peer->receive.table, peer->proven_at, &peer->ageing))
		peer->receive.aged = true;
}

void node_review_departed(struct node *node, struct peer *peer)
{
	review_departed(node, peer);
	age_departed(node, peer);
}
