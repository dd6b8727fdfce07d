/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/naming.h"

void naming_each(const struct node *node, source_fn *look, void *context)
{
	for (unsigned n = 0; n < 2 * FRAME_PEERS_MAX; n++) {
		unsigned slot = n % FRAME_PEERS_MAX;
		const struct peer *peer = &node->peers[slot];
		bool is_primary = peer->has_status && peer->status.role == FRAME_ROLE_PRIMARY;
		struct source source = {.peer = peer, .slot = slot, .orphan = -1};

		if (!peer->id || is_primary != (n >= FRAME_PEERS_MAX))
			continue;
		for (unsigned o = 0; o < NODE_ORPHANS_MAX && peer->orphans[o].table; o++) {
			source.orphan = (int)o;
			source.table = peer->orphans[o].table;
			source.cursor = &peer->orphans[o].warm;
			source.proven_at = peer->orphans[o].proven_at;
			if (!look(node, &source, context))
				return;
		}
		source.orphan = -1;
		source.table = peer->receive.table;
		source.cursor = &peer->warm;
		source.proven_at = peer->proven_at;
		source.is_alive = peer_is_alive(peer, &node->config, node->now);
		if (!look(node, &source, context))
			return;
	}
}

struct foreign_cursor *naming_cursor(struct node *node, const struct source *source)
{
	struct peer *peer = &node->peers[source->slot];

	return source->orphan < 0 ? &peer->warm : &peer->orphans[source->orphan].warm;
}

bool naming_owner_is_primary(const struct source *source)
{
	return source->is_alive && source->peer->has_status &&
	       source->peer->status.role == FRAME_ROLE_PRIMARY;
}

bool naming_owner_rises(const struct source *source, const struct foreign_cursor *cursor)
{
	return (source->is_alive && !cursor->was_alive) ||
	       (naming_owner_is_primary(source) && !cursor->was_primary);
}

static bool look_for_name(const struct node *node, const struct source *source, void *context)
{
	struct naming *naming = context;
	const struct table_entry *entry = table_find(source->table, naming->key);

	(void)node;
	/* a live owner's word before any other, and of two the later */
	if (entry && (!naming->entry || source->is_alive || !naming->source.is_alive)) {
		naming->entry = entry;
		naming->source = *source;
	}
	return true;
}

struct naming naming_find(const struct node *node, struct record_key key)
{
	struct naming naming = {.key = key};

	naming_each(node, look_for_name, &naming);
	return naming;
}
