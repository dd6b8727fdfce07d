/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/claim.h"

#include <string.h>

static bool session_equals(const struct seal_session_id *a, const struct seal_session_id *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

struct claim *claims_find(struct claims *claims, uint16_t node_id, const struct seal_session_id *session)
{
	for (unsigned i = 0; i < claims->count; i++)
		if (claims->items[i].node_id == node_id && session_equals(&claims->items[i].session, session))
			return &claims->items[i];
	return NULL;
}

bool claims_name(const struct claims *claims, uint16_t node_id)
{
	for (unsigned i = 0; i < claims->count; i++)
		if (claims->items[i].node_id == node_id)
			return true;
	return false;
}

static bool is_superseded(const struct claims *claims, unsigned index, uint16_t newcomer)
{
	bool is = claims->items[index].node_id == newcomer;

	for (unsigned i = index + 1; i < claims->count; i++)
		is |= claims->items[i].node_id == claims->items[index].node_id;
	return is;
}

/* The oldest of an earlier session; else of a node that must be gone, for there are more nodes than places.
 */
static unsigned least_of_use(const struct claims *claims, uint16_t newcomer)
{
	for (unsigned i = 0; i < claims->count; i++)
		if (is_superseded(claims, i, newcomer))
			return i;
	return 0;
}

static void remove_claim(struct claims *claims, unsigned index)
{
	claims->count--;
	memmove(&claims->items[index], &claims->items[index + 1],
		(claims->count - index) * sizeof(claims->items[0]));
}

void claims_add(struct claims *claims, const struct claim *claim)
{
	struct claim *known = claims_find(claims, claim->node_id, &claim->session);

	if (known) {
		*known = *claim;
		return;
	}
	if (claims->count == FRAME_PEERS_MAX)
		remove_claim(claims, least_of_use(claims, claim->node_id));
	claims->items[claims->count++] = *claim;
}

bool claims_void(struct claims *claims)
{
	bool is_new = false;

	for (unsigned i = 0; i < claims->count; i++) {
		is_new |= !claims->items[i].is_void;
		claims->items[i].is_void = true;
		claims->items[i].version = 0;
	}
	return is_new;
}

void claim_extend(struct claim *claim, uint64_t version)
{
	if (!claim->is_void && version > claim->version)
		claim->version = version;
}

void claims_announce(const struct claims *claims, struct frame_status *status)
{
	status->claims_count = (uint8_t)claims->count;
	for (unsigned i = 0; i < claims->count; i++)
		status->claims[i] = (struct frame_claim){claims->items[i].node_id, claims->items[i].session,
							 claims->items[i].version};
}

bool claims_are_announced(const struct frame_status *status, uint16_t node_id,
			  const struct seal_session_id *session, uint64_t *version)
{
	for (unsigned i = 0; i < status->claims_count; i++) {
		if (status->claims[i].node_id != node_id ||
		    !session_equals(&status->claims[i].session, session))
			continue;
		*version = status->claims[i].version;
		return true;
	}
	return false;
}

bool claims_are_same(const struct frame_status *a, const struct frame_status *b)
{
	if (a->role != b->role || a->term != b->term || a->claims_count != b->claims_count)
		return false;
	for (unsigned i = 0; i < a->claims_count; i++)
		if (a->claims[i].node_id != b->claims[i].node_id ||
		    a->claims[i].version != b->claims[i].version ||
		    !session_equals(&a->claims[i].session, &b->claims[i].session))
			return false;
	return true;
}
