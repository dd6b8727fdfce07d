/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How flows change hands.  The taking side claims what it commits and follows the streams of owners that
 * still live; the giving side freezes its stream and withdraws its leftovers (handover.h).
 */
#include "proto/node_state.h"

#include <string.h>

enum { WALK_SLICE = 4096 };
static const int64_t review_interval_us = 50000;

/* ---- taking ---- */

static struct peer *peer_of(struct node *node, uint16_t id)
{
	for (unsigned i = 0; i < node->peers_end; i++)
		if (node->peers[i].id == id)
			return &node->peers[i];
	return NULL;
}

void node_bring_over(const struct node *node, const uint8_t *record, bool gone)
{
	struct expect expect;
	struct flow flow;

	if (record_is_expect(record)) {
		record_decode_expect(record, &expect);
		if (node->sink.follow_expect)
			node->sink.follow_expect(node->sink.context, &expect, gone);
		return;
	}
	record_decode(record, &flow);
	node->sink.follow(node->sink.context, &flow, gone);
}

/* What we took over has been in our table: it is still, or we remember that it ended. */
static bool is_new_here(const struct node *node, const uint8_t *record)
{
	return !table_find(node->local.table, record_key(record)) &&
	       table_horizon(node->local.table) <= node->primary_since;
}

/*
 * A change in a followed stream.  What an owner destroys that is still primary itself is put off: of two
 * primaries neither deletes the other's flows.  When it gives way it is carried out; what there is no room to
 * note runs out by itself.
 */
static void followed(void *context, uint16_t id, const uint8_t *record, bool gone)
{
	struct node *node = context;
	struct peer *peer = peer_of(node, id);

	if (!node->sink.follow || !peer)
		return;
	if (peer->receive.is_unsure && !gone && !is_new_here(node, record))
		return;
	node_warm_adopt_flow(node, record_key(record)); /* what is done about it is done to a flow of ours */
	if (gone && peer->status.role == FRAME_ROLE_PRIMARY) {
		peer_notes_add(&peer->gone_there, record);
		return;
	}
	node_bring_over(node, record, gone);
}

/* The owner has given way: what it destroyed meanwhile, and has not created anew, has ended. */
static void follow_gone(struct node *node, struct peer *peer)
{
	const struct peer_notes *notes = &peer->gone_there;

	for (size_t at = 0; at < notes->length; at += record_length(notes->bytes + at)) {
		if (table_find(peer->receive.table, record_key(notes->bytes + at)))
			continue;
		node_bring_over(node, notes->bytes + at, true);
	}
	peer_notes_forget(&peer->gone_there);
}

/*
 * Of a copy that lacks some of its owner's flows everything is committed, and nothing is claimed (version 0):
 * nobody is to drop a better one for it, and its owner not to withdraw.
 */
static void claim_peer(struct node *node, struct peer *peer, const struct claims *before)
{
	bool is_whole = receive_is_whole(&peer->receive);
	struct claim claim = {.node_id = peer->id,
			      .session = peer->current.id,
			      .version = is_whole ? receive_position(&peer->receive) : 0,
			      .reach = receive_reach(&peer->receive),
			      .state = CLAIM_IDLE};

	for (unsigned i = 0; i < NODE_ORPHANS_MAX; i++) {
		struct peer_orphan *orphan = &peer->orphans[i];

		orphan->is_taken = orphan->table != NULL;
		if (orphan->table)
			claims_add(&node->claims,
				   &(struct claim){.node_id = peer->id,
						   .session = orphan->session,
						   .version = orphan->is_exact ? orphan->version : 0,
						   .state = CLAIM_CLOSED});
	}
	if (!session_exists(&peer->current))
		return;
	if (node->role.current == FRAME_ROLE_PRIMARY && claims_name(before, peer->id))
		receive_claim_again(&peer->receive, claim.version);
	else
		receive_claim(&peer->receive, claim.version);
	/* only an owner that is, or was, primary has something under way that must not be lost */
	if (!node->config.active_active && peer_was_primary(peer)) {
		claim.state = CLAIM_OPEN;
		receive_follow(&peer->receive, followed, node, peer->id, claim.version);
	}
	claims_add(&node->claims, &claim);
}

static void thaw(struct node *node)
{
	if (!node->local.frozen)
		return;
	local_thaw(&node->local);
	node->sink.audit_now(node->sink.context);
}

void node_takeover_begin(struct node *node)
{
	const struct claims before = node->claims;

	node->claims.count = 0;
	node->takes_over = true;
	node->handover.state = HANDOVER_NONE;
	thaw(node);
	node_warm_takeover(node);
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id)
			claim_peer(node, &node->peers[i], &before);
}

static void stop_following(struct node *node)
{
	node->claims.count = 0;
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		if (!node->peers[i].id)
			continue;
		receive_follow(&node->peers[i].receive, NULL, NULL, 0, 0);
		peer_notes_forget(&node->peers[i].gone_there);
		peer_notes_forget(&node->peers[i].silent_here);
		for (unsigned o = 0; o < NODE_ORPHANS_MAX; o++)
			node->peers[i].orphans[o].is_taken = false;
	}
}

/* What was committed before it failed is here, and nowhere else for us to answer for: given back as
 * leftovers. */
void node_takeover_failed(struct node *node)
{
	node->takes_over = false;
	node->handover.leftovers |= node->role.current != FRAME_ROLE_PRIMARY && !node->config.active_active;
	stop_following(node);
	node_warm_review(node);
}

/*
 * Whether the owner's stream as primary is here to its end: up to where it froze.  It may be frozen so
 * shortly that we never see it: it withdraws as soon as it knows that we hold all.  Then it is no primary any
 * more, is sure of its table, and what it had to say is here.
 */
static bool stream_has_ended(const struct peer *peer)
{
	const struct receive *receive = &peer->receive;
	const struct frame_status *status = &peer->status;

	if (!peer->has_status || !receive_is_whole(receive) || receive->full.running ||
	    receive->full.sweeping || receive->full.sweep_waits)
		return false;
	if (status->frozen_at)
		return receive->applied + 1 >= status->frozen_at;
	return status->role != FRAME_ROLE_PRIMARY && status->flags & FRAME_STATUS_COMPLETE &&
	       !(status->flags & FRAME_STATUS_SUSPECT) && receive->applied >= status->newest;
}

/* It came beyond the claim before the claim was opened; or its owner ruled out of our sight, and what only
 * fell silent here may live on there. */
static bool is_to_be_brought(const struct node *node, const struct peer *peer,
			     const struct table_entry *entry)
{
	if (!receive_is_beyond_claim(&peer->receive, entry))
		return node_fell_silent(node, record_key(entry->bytes));
	return !peer->receive.news_were_unsure || is_new_here(node, entry->bytes);
}

static void walk_slice(struct node *node, struct peer *peer, struct claim *claim)
{
	struct table_walk walk = table_walk_records_after(peer->receive.table, claim->walk_after);
	const struct table_entry *entry;

	for (unsigned i = 0; i < WALK_SLICE; i++) {
		entry = table_walk_next(&walk);
		if (!entry) {
			claim->walks = false;
			return;
		}
		claim->walk_after = walk.version;
		if (is_to_be_brought(node, peer, entry))
			followed(node, peer->id, entry->bytes, false);
	}
}

/*
 * An owner that was no primary when we took over turns out to be one of a lower term, after a partition: what
 * it did meanwhile is brought here.
 */
static void open_late(struct node *node, struct peer *peer, struct claim *claim)
{
	claim->state = CLAIM_OPEN;
	claim->walks = true;
	claim->walk_after = 0;
	receive_follow(&peer->receive, followed, node, peer->id, claim->version);
	node_log(node, NODE_LOG_NOTICE, "follow-late",
		 "node %u was primary, too (term %u): following what it did meanwhile", peer->id,
		 peer->status.term);
}

static bool yields_to_us(const struct node *node, const struct peer *peer)
{
	return node->role.current == FRAME_ROLE_PRIMARY && !node->config.active_active &&
	       peer_was_primary(peer) &&
	       role_yields(peer->status.term, peer->id, node->role.term, node->config.id);
}

static bool close_earlier(struct node *node, const struct peer *peer, struct claim *claim)
{
	bool was_claimed = false;

	for (unsigned i = 0; i < node->claims.count; i++) {
		if (node->claims.items[i].node_id != peer->id)
			continue;
		node->claims.items[i].state = CLAIM_CLOSED;
		was_claimed = true;
		claim->is_void |= node->claims.items[i].is_void;
	}
	return was_claimed;
}

/*
 * A session that we did not claim, of an owner that gives way to us.  Claimed before in an earlier session:
 * it was restarted since, and what it has from then may have ended here; what is new of this session is
 * brought over (enum receive_news).  Never claimed: we were restarted, and do not know what we brought over;
 * then everything that is not here is.  What our kernel refused of the earlier session is in the new one, and
 * not here: as void as that claim.
 */
static void claim_newcomer(struct node *node, struct peer *peer)
{
	struct claim claim = {.node_id = peer->id, .session = peer->current.id, .reach = UINT64_MAX};
	bool was_claimed = close_earlier(node, peer, &claim);

	claims_add(&node->claims, &claim);
	/* of an owner that rules again: what only fell silent here may live on there */
	peer->taken.below = 0;
	if (!was_claimed)
		receive_claim_nothing(&peer->receive);
	open_late(node, peer, claims_find(&node->claims, peer->id, &peer->current.id));
	/* what its owner withdrew before it died it does not name, either */
	peer->receive.follow_sweep = false;
}

/* What comes later is told apart, should its owner's stream as primary go on. */
static void close_claim(struct peer *peer, struct claim *claim)
{
	claim->state = CLAIM_CLOSED;
	receive_follow(&peer->receive, NULL, NULL, 0, 0);
	receive_claim(&peer->receive, claim->version);
}

/* Its owner rules once more, or did, and was not to know of our term: it gives way by another end. */
static bool goes_on(const struct node *node, const struct peer *peer, const struct claim *claim)
{
	return !claim->is_void && yields_to_us(node, peer) &&
	       (peer->status.role == FRAME_ROLE_PRIMARY || peer->status.frozen_at > claim->version + 1);
}

/*
 * Its owner has heard how far we had its stream when we took over, before that grows: so it can tell a
 * connection that we took from one of the same key that began here later (retake.c).
 */
static bool is_told(const struct node *node, const struct peer *peer)
{
	return peer->current.alive_at.us >= node->took_over_at.us ||
	       !peer_is_alive(peer, &node->config, node->now);
}

static void review_claim(struct node *node, struct peer *peer, struct claim *claim)
{
	if (!is_told(node, peer))
		return;
	if (claim->state == CLAIM_IDLE && yields_to_us(node, peer))
		open_late(node, peer, claim);
	else if (claim->state == CLAIM_CLOSED && goes_on(node, peer, claim))
		open_late(node, peer, claim);
	if (claim->walks)
		walk_slice(node, peer, claim);
	if (claim->state == CLAIM_OPEN && !claim->walks)
		/* what was refused, or could not be read, was not followed either */
		if (receive_is_whole(&peer->receive))
			claim_extend(claim, receive_position(&peer->receive));
	/* until we rule, its owner may rule again in a term below that which will be ours */
	if (claim->state != CLAIM_OPEN || claim->walks || node->takes_over || !stream_has_ended(peer))
		return;
	follow_gone(node, peer);
	node_revive_silent(node, peer);
	close_claim(peer, claim);
}

/* Claims go as far as what was followed; one whose owner's stream has ended is closed. */
void node_review_claims(struct node *node)
{
	for (unsigned i = 0; i < node->peers_end; i++) {
		struct peer *peer = &node->peers[i];
		struct claim *claim;

		if (!peer->id || !session_exists(&peer->current))
			continue;
		claim = claims_find(&node->claims, peer->id, &peer->current.id);
		if (claim)
			review_claim(node, peer, claim);
		else if (!node->takes_over && yields_to_us(node, peer))
			claim_newcomer(node, peer);
	}
}

/* ---- giving ---- */

static bool table_is_trusted(const struct node *node)
{
	return node_is_complete(node) && !node->local.suspect;
}

static void begin_freeze(struct node *node)
{
	local_freeze(&node->local);
	node->handover.frozen_at = node->now;
	node_log(node, NODE_LOG_INFO, "frozen",
		 "our stream ends at version %llu, until a new primary has all of it",
		 (unsigned long long)node->handover.v_end);
	node_want_status(node);
}

/* All that was there when it was claimed is in our kernel, also of a copy that was not whole. */
void node_note_taken(struct node *node)
{
	node->some_taken_elsewhere = false;
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		struct peer *peer = &node->peers[i];
		const struct claim *claim;

		if (!peer->id)
			continue;
		claim = claims_find(&node->claims, peer->id, &peer->current.id);
		if (claim && !claim->is_void && claim->reach != UINT64_MAX)
			peer->taken = (struct peer_taken){.below = peer->receive.claim_generation,
							  .reach = claim->reach,
							  .at = node->took_over_at};
		node->some_taken_elsewhere |= peer->taken.below && peer->taken.is_elsewhere;
	}
}

void node_role_changed(struct node *node, bool was_primary)
{
	uint64_t newest = table_newest(node->local.table);

	if (node->role.current == FRAME_ROLE_PRIMARY) {
		node->takes_over = false;
		node_warm_adopt(node);
		node->primary_since = newest;
		node->took_over_at = node->now;
		node_note_taken(node);
		node->handover = (struct handover){.state = HANDOVER_NONE};
		thaw(node);
		node_review_claims(node); /* before they are told */
		return;
	}
	if (was_primary)
		node->primary_until = newest;
	node->takes_over = false;
	stop_following(node);
	node_warm_review(node);
	if (!node->config.active_active &&
	    handover_role(&node->handover, node->role.current, was_primary, table_is_trusted(node), newest))
		begin_freeze(node);
}

/*
 * What it has taken over is in our copy of its table, proven: a proof may be older than the takeover, and the
 * flows that came with it be lost on the way, and it with them.
 */
bool node_claims_are_here(const struct node *node, const struct peer *claimant)
{
	return claimant->claims_are_settled && node_holds_in_sync(node, claimant) &&
	       claimant->receive.proven_version >= claimant->claims_in;
}

static struct handover_heir heir_of(const struct node *node, const struct peer *peer)
{
	uint64_t claimed = 0;
	bool claims = claims_are_announced(&peer->status, node->config.id, &node->outbox.session, &claimed);

	return (struct handover_heir){
	    .alive = peer_is_alive(peer, &node->config, node->now),
	    .primary = peer->has_status && peer->status.role == FRAME_ROLE_PRIMARY,
	    .complete = peer->status.flags & FRAME_STATUS_COMPLETE,
	    .suspect = peer->status.flags & FRAME_STATUS_SUSPECT,
	    .outranks_us = role_yields(node->role.term, node->config.id, peer->status.term, peer->id),
	    .term = peer->status.term,
	    .holds_in_sync = node_claims_are_here(node, peer),
	    .follows = peer->has_about_us && !peer->about_us.full_id,
	    .knows = peer->about_us.stamp >= (uint64_t)node->handover.frozen_at.us,
	    .claims = claims,
	    .claimed = claimed,
	    .applied = peer->about_us.applied,
	};
}

static void review_handover(struct node *node)
{
	struct handover *handover = &node->handover;

	if (!node->config.active_active && table_is_trusted(node) && !node->takes_over &&
	    handover_completed(handover, node->role.current, table_newest(node->local.table)))
		begin_freeze(node);
	for (unsigned i = 0; i < node->peers_end && handover->state == HANDOVER_FROZEN; i++) {
		const struct peer *peer = &node->peers[i];
		struct handover_heir heir;

		if (!peer->id)
			continue;
		heir = heir_of(node, peer);
		if (!handover_may_withdraw(handover, &heir))
			continue;
		handover_withdraw(handover);
		node_log(node, NODE_LOG_NOTICE, "withdraw",
			 "node %u (term %u) holds all our flows: deleting the %zu that our kernel has left",
			 peer->id, heir.term, table_count(node->local.table));
		if (node->sink.withdraw)
			node->sink.withdraw(node->sink.context);
	}
}

void node_withdraw_end(struct node *node)
{
	if (node->handover.state != HANDOVER_WITHDRAWING)
		return;
	handover_end(&node->handover);
	local_expects_withdraw(&node->local); /* the kernel's went with their masters */
	thaw(node);
	node_warm_begin_anew(node); /* what stays in the kernel as a copy is as it was when we gave way */
	node_want_status(node);
}

void node_review_transfer(struct node *node)
{
	if (node->now.us - node->transfer_at.us < review_interval_us)
		return;
	node->transfer_at = node->now;
	node_review_claims(node);
	review_handover(node);
	for (unsigned i = 0; i < node->peers_end; i++)
		if (node->peers[i].id)
			node_review_departed(node, &node->peers[i]);
}

unsigned node_claimed_versions(const struct node *node, uint64_t versions[FRAME_PEERS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < node->peers_end; i++) {
		const struct peer *peer = &node->peers[i];

		if (peer->id && peer->has_status &&
		    claims_are_announced(&peer->status, node->config.id, &node->outbox.session,
					 &versions[count]))
			count++;
	}
	return count;
}

/* ---- what a takeover commits ---- */

static void add_view(struct node_table_view *views, unsigned *count, const struct node_table_view *view)
{
	unsigned i = (*count)++;

	while (i && views[i - 1].term < view->term) {
		views[i] = views[i - 1];
		i--;
	}
	views[i] = *view;
}

unsigned node_tables(const struct node *node, struct node_table_view views[NODE_TABLES_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		const struct peer *peer = &node->peers[i];
		const struct receive *receive = &peer->receive;

		if (!peer->id)
			continue;
		add_view(views, &count,
			 &(struct node_table_view){.id = peer->id,
						   .term = peer->status.term,
						   .table = receive->table,
						   .fresh_mark = receive->epoch,
						   .has_stale = receive_has_named(receive),
						   .owner_proven_at = peer->proven_at,
						   .session = peer->current.id});
		for (unsigned o = 0; o < NODE_ORPHANS_MAX && peer->orphans[o].table; o++)
			add_view(views, &count,
				 &(struct node_table_view){.id = peer->id,
							   .orphan = true,
							   .term = peer->orphans[o].term,
							   .table = peer->orphans[o].table,
							   .owner_proven_at = peer->orphans[o].proven_at,
							   .session = peer->orphans[o].session});
	}
	return count;
}
