/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who names a flow: the tables of the peers and the orphans, as warm mode looks at them.
 */
#ifndef PROTO_NAMING_H
#define PROTO_NAMING_H

#include "proto/node_state.h"

/* A peer's table, or an orphan. */
struct source {
	const struct peer *peer;
	const struct table *table;
	const struct foreign_cursor *cursor;
	struct monotime proven_at;
	unsigned slot; /* of its owner */
	int orphan;    /* -1: it is none */
	bool is_alive; /* the owner, with just this table */
};

typedef bool source_fn(const struct node *node, const struct source *source, void *context);

/* Calls `look` for each table, those of primaries last (what they say is newer), until it returns false. */
void naming_each(const struct node *node, source_fn *look, void *context);

/* How far that table was brought to our kernel. */
struct foreign_cursor *naming_cursor(struct node *node, const struct source *source);

/* Whether a live primary has just this table, and what it names is its own. */
bool naming_owner_is_primary(const struct source *source);
/*
 * Whether what that source names may be a copy here, now.  We were primary, were restarted, and have not read
 * our kernel yet: what it has is our own, as far as no live primary names it; also if a peer, which gave the
 * role to us, still does.
 */
bool node_warm_may_name(const struct node *node, const struct source *source);
/* It has come back, or become primary: all of it is to be looked at. */
bool naming_owner_rises(const struct source *source, const struct foreign_cursor *cursor);

struct naming {
	struct record_key key;
	const struct table_entry *entry; /* NULL: nobody names it */
	struct source source;            /* who does: a live owner before any other, and of two the later */
};
struct naming naming_find(const struct node *node, struct record_key key);

#endif
