/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking over again.  Two were primary, and the later one gave way: VRRP tells the older one nothing, for it
 * was master all the time.  What the later one has got meanwhile is handed over all the same, by another
 * takeover, which gives the older one the higher term.
 */
#include "proto/node_state.h"

bool node_must_retake(const struct node *node)
{
	bool must = false;

	if (node->role.current != FRAME_ROLE_PRIMARY || node->config.active_active || node->takes_over)
		return false;
	for (unsigned i = 0; i < node->peers_end; i++) {
		const struct peer *peer = &node->peers[i];
		bool alive = peer->id && peer->has_status && peer_is_alive(peer, &node->config, node->now);

		if (alive && peer->status.role == FRAME_ROLE_PRIMARY)
			return false;
		must |= alive && peer->status.frozen_at &&
			role_yields(node->role.term, node->config.id, peer->status.term, peer->id);
		for (unsigned o = 0; o < NODE_ORPHANS_MAX && peer->id && peer->orphans[o].table; o++)
			must |= peer->orphans[o].term > node->role.term;
	}
	return must;
}

void node_taken_again(struct node *node)
{
	bool took = node->takes_over;

	node->takes_over = false;
	if (!took || node->role.current != FRAME_ROLE_PRIMARY)
		return;
	node_warm_adopt(node);
	if (node->config.active_active)
		return;
	role_renew(&node->role);
	node->took_over_at = node->now;
	node_note_taken(node);
	node_review_claims(node); /* before they are told */
	node_log(node, NODE_LOG_NOTICE, "role", "primary again, term %u", node->role.term);
	node_want_status(node);
}

void node_foresee(const struct node *node, struct record_key key)
{
	table_foresee(node->local.table, key);
}

/* Whose a table is, and our newest version when its owner was last heard. */
struct holding {
	const struct peer *peer; /* NULL: not known */
	bool is_orphan, is_gone;
	uint64_t heard_at;
};

static struct holding holding_of(const struct node *node, const struct table *table)
{
	for (unsigned i = 0; table && i < node->peers_end; i++) {
		const struct peer *peer = &node->peers[i];

		if (peer->id && peer->receive.table == table)
			return (struct holding){peer, false, !peer_is_alive(peer, &node->config, node->now),
						peer->heard_at};
		for (unsigned o = 0; peer->id && o < NODE_ORPHANS_MAX; o++)
			if (peer->orphans[o].table == table)
				return (struct holding){peer, true, true, peer->orphans[o].heard_at};
	}
	return (struct holding){0};
}

/* NULL of an orphan: that is as it was. */
static const struct table_entry *entry_of(const struct holding *holding, struct record_key key)
{
	return holding->peer && !holding->is_orphan ? table_find(holding->peer->receive.table, key) : NULL;
}

/*
 * What we saw closed while we ruled.  Is it old there, too?  A live node that does not rule has connections
 * of its own, and begins them anew; a primary beside us may have.
 */
static bool is_old(const struct node *node, const struct holding *holding, struct record_key key,
		   uint64_t closed_at)
{
	const struct table_entry *entry = entry_of(holding, key);

	if (node->role.current == FRAME_ROLE_PRIMARY)
		return !entry || !receive_is_later(&holding->peer->receive, entry, closed_at);
	if (closed_at > node->primary_until)
		return false;
	if (holding->is_gone && closed_at > holding->heard_at)
		return true;
	return entry && node->role.term == node->role.highest && peer_is_taken(holding->peer, entry);
}

static bool has_ended_elsewhere(const struct node *node, const struct table *of, struct record_key key)
{
	const struct table_entry *entry = NULL;
	struct holding holding;

	if (!node->some_taken_elsewhere) /* asked for each flow of a takeover */
		return false;
	holding = holding_of(node, of);
	if (holding.peer && holding.peer->taken.is_elsewhere)
		entry = entry_of(&holding, key);
	return entry && peer_is_taken(holding.peer, entry);
}

bool node_has_ended(const struct node *node, const struct table *of, struct record_key key)
{
	const struct table_entry *own;
	struct holding holding;
	uint64_t closed_at;

	if (node->config.active_active)
		return false;
	own = table_find(node->local.table, key);
	if (!own || !(own->flags & TABLE_ENTRY_TOMBSTONE) || !(own->flags & TABLE_ENTRY_CLOSED))
		return has_ended_elsewhere(node, of, key);
	holding = holding_of(node, of);
	closed_at = table_version(node->local.table, own);
	return closed_at > node->primary_since && is_old(node, &holding, key, closed_at);
}

/* Not a live entry here, and it was not closed.  NULL: nobody was told that it existed, or it is forgotten.
 */
static bool fell_silent(const struct table_entry *own)
{
	return own && own->flags & TABLE_ENTRY_TOMBSTONE && !(own->flags & TABLE_ENTRY_CLOSED);
}

bool node_fell_silent(const struct node *node, struct record_key key)
{
	return fell_silent(table_find(node->local.table, key));
}

/*
 * Of two primaries one has a flow's packets, and in the kernel of the other it runs out.  A packet that only
 * keeps a flow alive makes no event, so the stream of the one does not tell; that its table still names the
 * flow when it gives way does.  What there is no room to note stays ended.
 */
void node_note_silent(struct node *node, const struct flow *flow)
{
	uint8_t record[RECORD_MAX];
	const struct table_entry *own;

	if (!node->claims.count || node->config.active_active || !record_encode(flow, record))
		return;
	own = table_find(node->local.table, record_key(record));
	if (!fell_silent(own))
		return;
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		struct peer *peer = &node->peers[i];

		/* (of one that is out of sight we keep no copy once it is claimed) */
		if (peer->id && peer->status.role == FRAME_ROLE_PRIMARY &&
		    (own->flags & TABLE_ENTRY_OURS || table_find(peer->receive.table, record_key(record))))
			peer_notes_add(&peer->silent_here, record);
	}
}

void node_revive_silent(struct node *node, struct peer *peer)
{
	const struct peer_notes *notes = &peer->silent_here;

	for (size_t at = 0; at < notes->length; at += record_length(notes->bytes + at)) {
		struct record_key key = record_key(notes->bytes + at);
		const struct table_entry *theirs = table_find(peer->receive.table, key);

		if (theirs && fell_silent(table_find(node->local.table, key)))
			node_bring_over(node, theirs->bytes, false);
	}
	peer_notes_forget(&peer->silent_here);
}
