/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/peer.h"

#include <stdlib.h>
#include <string.h>

struct session *peer_find_session(struct peer *peer, const struct seal_session_id *id)
{
	if (session_exists(&peer->current) && session_id_equals(&peer->current.id, id))
		return &peer->current;
	for (unsigned i = 0; i < PEER_CANDIDATES; i++)
		if (session_exists(&peer->candidates[i]) && session_id_equals(&peer->candidates[i].id, id))
			return &peer->candidates[i];
	return NULL;
}

/* At random, so that a flood of recorded sessions can't keep the one live session out for long. */
struct session *peer_new_candidate(struct peer *peer, uint32_t random)
{
	struct session *slot;

	for (unsigned i = 0; i < PEER_CANDIDATES; i++)
		if (!session_exists(&peer->candidates[i]))
			return &peer->candidates[i];
	slot = &peer->candidates[random % PEER_CANDIDATES];
	session_forget(slot);
	return slot;
}

struct session *peer_candidate_in_turn(struct peer *peer)
{
	for (unsigned i = 0; i < PEER_CANDIDATES; i++) {
		struct session *candidate = &peer->candidates[peer->candidate_turn++ % PEER_CANDIDATES];

		if (session_exists(candidate))
			return candidate;
	}
	return NULL;
}

bool peer_is_alive(const struct peer *peer, const struct node_config *config, struct monotime now)
{
	return session_exists(&peer->current) && !peer->leaving &&
	       session_is_alive(&peer->current, now, config->peer_timeout);
}

bool peer_was_primary(const struct peer *peer)
{
	return peer->has_status && (peer->status.role == FRAME_ROLE_PRIMARY || peer->status.frozen_at);
}

bool peer_is_taken(const struct peer *peer, const struct table_entry *entry)
{
	const struct peer_taken *taken = &peer->taken;

	if (entry->tag >= taken->below)
		return false;
	if (!taken->is_earlier)
		return receive_reach(&peer->receive) == taken->reach &&
		       peer->current.sent_after.us < taken->at.us;
	return !peer_was_primary(peer) &&
	       (receive_reach(&peer->receive) == taken->reach ||
		(receive_has_named(&peer->receive) && entry->mark != peer->receive.epoch));
}

bool peer_follows(const struct peer *peer, const struct node_config *config, struct monotime now)
{
	return peer->has_about_us && !peer->about_us.full_id && !peer->catchup.full_id &&
	       peer_is_alive(peer, config, now);
}

bool peer_is_nobody(const struct peer *peer)
{
	for (unsigned i = 0; i < PEER_CANDIDATES; i++)
		if (session_exists(&peer->candidates[i]))
			return false;
	return !session_exists(&peer->current) && !peer->orphans[0].table;
}

bool peer_has_address(const struct peer *peer)
{
	for (unsigned i = 0; i < NODE_LINKS_MAX; i++)
		if (peer->links[i].endpoint.length)
			return true;
	return false;
}

void peer_count_datagram(struct peer *peer, bool to_us, uint32_t counter)
{
	if (to_us ? peer->sent_us.known : peer->sent_group.known) {
		uint32_t *last = to_us ? &peer->sent_us.last : &peer->sent_group.last;

		if ((int32_t)(counter - *last) > 0)
			*last = counter;
	} else if (to_us) {
		peer->sent_us.known = true;
		peer->sent_us.first = peer->sent_us.last = counter;
	} else {
		peer->sent_group.known = true;
		peer->sent_group.first = peer->sent_group.last = counter;
	}
}

uint64_t peer_expected(const struct peer *peer)
{
	uint64_t expected = 0;

	if (peer->sent_us.known)
		expected += (uint64_t)(peer->sent_us.last - peer->sent_us.first) + 1;
	if (peer->sent_group.known)
		expected += (uint64_t)(peer->sent_group.last - peer->sent_group.first) + 1;
	return expected;
}

void peer_promote(struct peer *peer, struct session *candidate, struct monotime now)
{
	session_forget(&peer->current);
	peer->current = *candidate;
	memset(candidate, 0, sizeof(*candidate));
	memset(peer->links, 0, sizeof(peer->links));
	memset(&peer->sent_group, 0, sizeof(peer->sent_group));
	memset(&peer->sent_us, 0, sizeof(peer->sent_us));
	peer->has_status = false;
	peer->has_about_us = false;
	peer->claims_are_settled = false;
	peer->leaving = false;
	peer->reach = (struct reach){0};
	peer->is_behind = false;
	peer->overflow_told = peer->incompatible_told = false;
	catchup_forget(&peer->catchup);
	flight_reset(&peer->live);
	peer->live_acked = 0;
	peer->live_progress_at = now;
	peer->ack_at = MONOTIME_NEVER;
	receive_new_session(&peer->receive, now);
}

void peer_drop_orphan(struct peer *peer, unsigned index)
{
	table_destroy(peer->orphans[index].table);
	memmove(&peer->orphans[index], &peer->orphans[index + 1],
		(NODE_ORPHANS_MAX - 1 - index) * sizeof(peer->orphans[0]));
	memset(&peer->orphans[NODE_ORPHANS_MAX - 1], 0, sizeof(peer->orphans[0]));
}

void peer_orphan_table(struct peer *peer, struct table *empty, bool is_taken)
{
	struct peer_orphan orphan = {.session = peer->current.id,
				     .term = peer->status.term,
				     .version = peer->receive.applied,
				     .is_exact = receive_is_whole(&peer->receive) &&
						 !receive_has_stale(&peer->receive),
				     .is_taken = is_taken,
				     .heard_at = peer->heard_at,
				     .proven_at = peer->proven_at,
				     .warm = peer->warm,
				     .instance = peer->instance,
				     .instance_is_known = peer->instance_is_known};

	orphan.table = receive_exchange_table(&peer->receive, empty);
	peer->warm = (struct foreign_cursor){0};
	table_observe(orphan.table, NULL, NULL, 0);
	peer_add_orphan(peer, &orphan);
}

/*
 * A term is its owner's own, of that boot: with term 0 it was never primary there, and carried no traffic
 * that anybody asked it to carry.  A node that dies at every boot, before it gets a role, does not displace
 * what it had when it was last of use.
 */
static const struct peer_orphan *least_of_use(const struct peer *peer, const struct peer_orphan *newcomer)
{
	for (unsigned i = NODE_ORPHANS_MAX; i-- > 0;)
		if (!peer->orphans[i].term)
			return &peer->orphans[i];
	return newcomer->term ? &peer->orphans[NODE_ORPHANS_MAX - 1] : newcomer;
}

void peer_add_orphan(struct peer *peer, const struct peer_orphan *orphan)
{
	const struct peer_orphan *goes = NULL;

	if (peer->orphans[NODE_ORPHANS_MAX - 1].table)
		goes = least_of_use(peer, orphan);
	if (goes == orphan) {
		table_destroy(orphan->table);
		return;
	}
	if (goes)
		peer_drop_orphan(peer, (unsigned)(goes - peer->orphans));
	memmove(&peer->orphans[1], &peer->orphans[0], (NODE_ORPHANS_MAX - 1) * sizeof(peer->orphans[0]));
	peer->orphans[0] = *orphan;
}

bool peer_notes_add(struct peer_notes *notes, const uint8_t *record)
{
	size_t length = record_length(record);

	if (!notes->bytes)
		notes->bytes = malloc(PEER_NOTES_MAX);
	if (!notes->bytes || notes->length + length > PEER_NOTES_MAX)
		return false;
	memcpy(notes->bytes + notes->length, record, length);
	notes->length += length;
	return true;
}

void peer_notes_forget(struct peer_notes *notes)
{
	free(notes->bytes);
	*notes = (struct peer_notes){0};
}

void peer_destroy(struct peer *peer)
{
	peer_notes_forget(&peer->gone_there);
	peer_notes_forget(&peer->silent_here);
	while (peer->orphans[0].table)
		peer_drop_orphan(peer, 0);
	session_forget(&peer->current);
	for (unsigned i = 0; i < PEER_CANDIDATES; i++)
		session_forget(&peer->candidates[i]);
	if (peer->receive.table)
		receive_destroy(&peer->receive);
	memset(peer, 0, sizeof(*peer));
}
