/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warm mode: what is to be done to the copies in our kernel (warm.c), a bounded part of it for each
 * NODE_FOREIGN_RUN.  What is named here is answered by NODE_FOREIGN_DONE before the next.
 */
#include "proto/naming.h"

enum {
	ACTS_MAX = 256,      /* named in one step */
	ACTS_OF_ONE = 2,     /* a copy that is replaced: removed and installed */
	LOOKED_AT = 4096,    /* entries that a step may pass by */
	MISSING_S = 1,       /* between two attempts */
	RESCAN_S = 10,       /* between two searches of whole tables for what could not be noted */
	SHORTEST_PASS_S = 1, /* between two refresh passes */
};

struct run {
	struct node *node;
	unsigned acts, acts_max, looked_at;
	bool is_behind; /* tables have more than was looked at */
};

static bool has_room(const struct run *run)
{
	return run->acts + ACTS_OF_ONE <= run->acts_max && run->looked_at < LOOKED_AT;
}

static uint32_t silent_s(const struct node *node, const struct source *source)
{
	int64_t us = node->now.us - source->proven_at.us;

	return source->is_alive || us < 0 ? 0 : (uint32_t)(us / 1000000);
}

static void name_act(struct node *node, struct run *run, enum node_foreign_act act, const uint8_t *record,
		     uint32_t elapsed_s)
{
	struct flow flow;

	record_decode(record, &flow);
	node->sink.foreign(node->sink.context, act, &flow, elapsed_s);
	run->acts++;
}

/* A connection that is being closed does not shake hands again: that is another one. */
static bool is_reopened(const struct flow *has, const struct flow *wanted)
{
	return flow_is_closing(has) && wanted->present & FLOW_HAS_TCP &&
	       (wanted->tcp.state <= FLOW_TCP_SYN_RECV || wanted->tcp.state == FLOW_TCP_SYN_SENT2);
}

/* The copy can't become that flow: another has come under its key, or with another NAT. */
static bool must_be_replaced(const struct table_entry *copy, const struct table_entry *entry, unsigned slot)
{
	struct flow has, wanted;

	/* each owner counts incarnations by itself, and since its last boot */
	if (foreign_owner(copy) == slot && copy->incarnation != entry->incarnation)
		return true;
	record_decode(copy->bytes, &has);
	record_decode(entry->bytes, &wanted);
	return !flow_nat_equals(&has, &wanted) || is_reopened(&has, &wanted);
}

/*
 * A flow that a peer names is in our internal table.  While we are not primary, and the peer is, it is the
 * peer's: we were restarted, and took for our own what was a copy.  (Frozen, it is a leftover; withdrawal
 * sees to it.)  False: it is ours, and stays so.
 */
static bool disown(struct node *node, const struct source *source, struct table_entry *internal)
{
	struct flow flow;

	if (node->local.frozen || node->role.current == FRAME_ROLE_PRIMARY || node->takes_over ||
	    !naming_owner_is_primary(source))
		return false;
	record_decode(internal->bytes, &flow);
	local_flow_withdrawn(&node->local, &flow);
	return true;
}

static void install(struct node *node, struct run *run, const struct source *source,
		    const struct table_entry *entry)
{
	struct record_key key = record_key(entry->bytes);
	struct table_entry *internal = table_find(node->local.table, key);
	const struct table_entry *copy = foreign_find(&node->foreign, key);

	if (internal && !(internal->flags & TABLE_ENTRY_TOMBSTONE) && !disown(node, source, internal))
		return;
	if (copy && foreign_is_to_adopt(&node->foreign, copy))
		return; /* as good as in the internal table */
	if (copy && must_be_replaced(copy, entry, source->slot))
		name_act(node, run, NODE_FOREIGN_REMOVE, copy->bytes, 0);
	name_act(node, run, NODE_FOREIGN_INSTALL, entry->bytes, silent_s(node, source));
}

/* What is not in our kernel is looked for from the start. */
static bool lost_track(const struct node *node, const struct source *source, void *context)
{
	struct foreign_cursor *cursor = naming_cursor(context, source);

	(void)node;
	cursor->missing_to = cursor->done > cursor->missing_to ? cursor->done : cursor->missing_to;
	cursor->done = 0;
	return true;
}

void node_warm_search(struct node *node)
{
	node->foreign.missing.overflowed = false;
	naming_each(node, lost_track, node);
}

static bool install_some(const struct node *node, const struct source *source, void *context)
{
	struct run *run = context;
	struct foreign_cursor *cursor = naming_cursor(run->node, source);
	struct table_walk walk;
	const struct table_entry *entry;

	if (!node_warm_may_name(node, source))
		return true;
	/* what ran out here while it was silent is put there again, and what we took for our own is its own
	 */
	if (naming_owner_rises(source, cursor))
		lost_track(node, source, run->node);
	cursor->was_alive = source->is_alive;
	cursor->was_primary = naming_owner_is_primary(source);
	if (cursor->done >= table_newest(source->table))
		return true;
	walk = table_walk_after(source->table, cursor->done, false);
	while (has_room(run)) {
		entry = table_walk_next(&walk);
		if (!entry) {
			cursor->done = table_newest(source->table);
			return true;
		}
		run->looked_at++;
		cursor->done = walk.version;
		if (cursor->done > cursor->missing_to ||
		    !foreign_find(&node->foreign, record_key(entry->bytes)))
			install(run->node, run, source, entry);
	}
	run->is_behind = true;
	return false;
}

/* More is missing than could be noted.  A kernel without room would have all of them looked through without
 * end: so not before the last search is over, and a pause.  A takeover begins with one, and waits for no
 * other. */
static void search_tables(struct node *node, const struct run *run)
{
	struct foreign *foreign = &node->foreign;

	if (run->is_behind || node->takes_over || !foreign->missing.overflowed ||
	    node->now.us < monotime_max(foreign->missing_at, foreign->rescan_at).us)
		return;
	node_warm_search(node);
	foreign->rescan_at = monotime_add(node->now, monotime_from_s(RESCAN_S));
}

static void remove_gone(struct node *node, struct run *run)
{
	struct foreign_note note;

	while (has_room(run) && foreign_note_take(&node->foreign.gone, &note)) {
		struct record_key key = {note.bytes, note.length};
		const struct table_entry *copy = foreign_find(&node->foreign, key);

		run->looked_at++;
		if (copy && !foreign_is_to_adopt(&node->foreign, copy) && !naming_find(node, key).entry)
			name_act(node, run, NODE_FOREIGN_REMOVE, copy->bytes, 0);
	}
}

static void retry_one(struct node *node, struct run *run, struct record_key key)
{
	struct naming naming = naming_find(node, key);
	const struct table_entry *copy = foreign_find(&node->foreign, key);

	run->looked_at++;
	if (copy && !naming.entry && !foreign_is_to_adopt(&node->foreign, copy))
		name_act(node, run, NODE_FOREIGN_REMOVE, copy->bytes, 0);
	if (!naming.entry || (copy && !must_be_replaced(copy, naming.entry, naming.source.slot)))
		return;
	if (node_warm_may_name(node, &naming.source) && (naming.source.is_alive || node->takes_over))
		install(node, run, &naming.source, naming.entry);
	else
		foreign_note(&node->foreign.missing, key);
}

/* What fails again is noted behind the others, for the next pass. */
static void retry_missing(struct node *node, struct run *run)
{
	struct foreign *foreign = &node->foreign;
	struct foreign_note note;

	if (node_warm_needs_round(node) && !foreign->missing_left && !run->is_behind) {
		foreign->rounds_left--;
		foreign->missing_pass = foreign->missing_left = foreign->missing.count;
		foreign->missing_at = node->now;
		foreign->has_gained = false;
	}
	if (node->now.us < foreign->missing_at.us)
		return;
	if (!foreign->missing_pass)
		foreign->missing_pass = foreign->missing.count;
	while (foreign->missing_pass && has_room(run) && foreign_note_take(&foreign->missing, &note)) {
		if (foreign->missing_left)
			foreign->missing_left--;
		retry_one(node, run, (struct record_key){note.bytes, note.length});
		if (!--foreign->missing_pass)
			foreign->missing_at = monotime_add(node->now, monotime_from_s(MISSING_S));
	}
	if (!foreign->missing.count)
		foreign->missing_pass = foreign->missing_left = 0;
}

/* ---- sweeping: copies that no table names ---- */

static bool look_for_catchup(const struct node *node, const struct source *source, void *context)
{
	const struct receive *receive = &source->peer->receive;
	bool *is_running = context;

	(void)node;
	*is_running |= source->is_alive && (receive->full.wanted || receive->full.running ||
					    receive->full.sweep_waits || receive->full.sweeping);
	return !*is_running;
}

static bool note_emptied(const struct node *node, const struct source *source, void *context)
{
	struct node *changed = context;

	(void)node;
	changed->foreign.sweep_wanted |= source->peer->receive.untold;
	changed->peers[source->slot].receive.untold = false;
	return true;
}

/* What a full catch-up is about to name again stays meanwhile; and when all go with the mode, what a takeover
 * may find there. */
bool node_warm_may_sweep(const struct node *node)
{
	bool is_running = false;

	if (!node->foreign.active)
		return !node->takes_over;
	naming_each(node, look_for_catchup, &is_running);
	return !is_running;
}

/* A takeover that began while the copies were to go with the mode leaves in place what it finds as it is to
 * be: what a table names stays, to be adopted; if that fails, another sweep is for it. */
static bool sweep_spares(struct node *node, const struct table_entry *copy)
{
	struct foreign *foreign = &node->foreign;

	if (foreign_is_to_adopt(foreign, copy))
		return true;
	if ((!foreign->active && !node->takes_over) || !naming_find(node, record_key(copy->bytes)).entry)
		return false;
	foreign->sweep_wanted |= !foreign->active;
	return true;
}

static void sweep(struct node *node, struct run *run)
{
	struct foreign *foreign = &node->foreign;
	struct table_walk walk;
	const struct table_entry *copy;

	if (foreign->gone.overflowed) {
		foreign->gone.overflowed = false;
		foreign->sweep_wanted = true;
	}
	if (foreign->sweep_wanted && node->now.us >= foreign->sweep_at.us && node_warm_may_sweep(node)) {
		foreign->sweep_wanted = false;
		foreign->sweeps = true;
		foreign->sweep_after = 0;
	}
	if (!foreign->sweeps)
		return;
	walk = table_walk_after(foreign->table, foreign->sweep_after, false);
	while (has_room(run)) {
		copy = table_walk_next(&walk);
		if (!copy) {
			foreign->sweeps = false;
			return;
		}
		run->looked_at++;
		foreign->sweep_after = walk.version;
		if (!sweep_spares(node, copy))
			name_act(node, run, NODE_FOREIGN_REMOVE, copy->bytes, 0);
	}
}

/* ---- refreshing ---- */

static void refresh_one(struct node *node, struct run *run, const struct table_entry *copy)
{
	struct naming naming = naming_find(node, record_key(copy->bytes));

	if (naming.entry && naming.source.is_alive)
		name_act(node, run, NODE_FOREIGN_REFRESH, naming.entry->bytes, 0);
	else
		name_act(node, run, NODE_FOREIGN_CHECK, copy->bytes, 0);
}

static void refresh(struct node *node, struct run *run)
{
	struct foreign *foreign = &node->foreign;
	uint32_t now_s = (uint32_t)(node->now.us / 1000000);
	struct table_walk walk;
	const struct table_entry *copy;

	if (!foreign->refreshes && node->now.us >= foreign->refresh_at.us) {
		foreign->refreshes = true;
		foreign->refresh_after = 0;
		foreign->earliest = MONOTIME_NEVER;
	}
	if (!foreign->refreshes)
		return;
	walk = table_walk_after(foreign->table, foreign->refresh_after, false);
	while (has_room(run)) {
		copy = table_walk_next(&walk);
		if (!copy) {
			foreign->refreshes = false;
			foreign->refresh_at = monotime_max(
			    foreign->earliest, monotime_add(node->now, monotime_from_s(SHORTEST_PASS_S)));
			return;
		}
		run->looked_at++;
		foreign->refresh_after = walk.version;
		if (foreign_refresh_s(copy) <= now_s)
			refresh_one(node, run, copy);
		else
			foreign->earliest = monotime_min(foreign->earliest,
							 monotime_from_s((int64_t)foreign_refresh_s(copy)));
	}
}

void node_foreign_run(struct node *node, unsigned acts_max)
{
	struct foreign *foreign = &node->foreign;
	struct run run = {.node = node, .acts_max = ACTS_MAX};

	if (!foreign->table || !node->sink.foreign)
		return;
	if (acts_max && acts_max < ACTS_MAX)
		run.acts_max = acts_max < ACTS_OF_ONE ? ACTS_OF_ONE : acts_max;
	if (foreign->active) {
		naming_each(node, note_emptied, node);
		remove_gone(node, &run);
		naming_each(node, install_some, &run);
		retry_missing(node, &run);
		search_tables(node, &run);
	}
	sweep(node, &run);
	if (foreign->active)
		refresh(node, &run);
}
