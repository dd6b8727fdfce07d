/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warm mode: what peers hold lives in our kernel, too, as foreign copies (foreign.h), while we are not
 * primary.  The external tables are the log that is followed: what has a version beyond a table's cursor is
 * put into the kernel, what a table names no more and no other does is removed, and what a live owner has is
 * refreshed long before it runs out.  All of it is decided by what the tables say at that moment, so it may
 * be done twice, or begun anew.
 *
 * A takeover leaves the copies where they are.  They become flows of our own one slice after the other, or at
 * the first event that names them; until that is done our table is not complete, so that nobody takes it for
 * proven, and drops what we have claimed.
 */
#include "proto/naming.h"

/*
 * Adoption: so many in one step, and while packets of users wait for this processor, steps so far apart:
 * about a tenth of its time, and 1,000,000 copies in 12 s.
 */
enum { ADOPTED = 256, TAKEOVER_ROUNDS = 3 };
static const int64_t adopt_pause_us = 3000;
static const int64_t failed_wait_us = 1000000;

static bool is_internal(const struct node *node, struct record_key key)
{
	const struct table_entry *entry = table_find(node->local.table, key);

	return entry && !(entry->flags & TABLE_ENTRY_TOMBSTONE);
}

static bool is_primary(const struct node *node)
{
	return node->role.current == FRAME_ROLE_PRIMARY;
}

static bool is_primarys(const struct naming *naming)
{
	return naming->entry && naming_owner_is_primary(&naming->source);
}

bool node_warm_may_name(const struct node *node, const struct source *source)
{
	return !node->handover.leftovers || node->local.complete || node->local.frozen || node->takes_over ||
	       naming_owner_is_primary(source);
}

static bool passes_over(const struct node *node, struct record_key key)
{
	struct naming naming = {0};

	if (!node->foreign.active || is_primary(node) || is_internal(node, key))
		return false;
	naming = naming_find(node, key);
	return naming.entry && node_warm_may_name(node, &naming.source);
}

bool node_passes_over(const struct node *node, const struct flow *flow)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct record_key key = {bytes, record_encode_key(flow, bytes)};

	return key.length && (foreign_find(&node->foreign, key) || passes_over(node, key));
}

static const struct table_entry *find_copy(const struct node *node, const struct flow *flow)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct record_key key = {bytes, record_encode_key(flow, bytes)};

	return key.length ? foreign_find(&node->foreign, key) : NULL;
}

bool node_has_copy(const struct node *node, const struct flow *flow)
{
	return find_copy(node, flow);
}

bool node_is_to_adopt(const struct node *node, const struct flow *flow)
{
	const struct table_entry *copy = find_copy(node, flow);

	return copy && foreign_is_to_adopt(&node->foreign, copy);
}

bool node_is_named_by_primary(const struct node *node, const struct flow *flow)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct record_key key = {bytes, record_encode_key(flow, bytes)};
	struct naming naming = {0};

	if (key.length && node->foreign.active)
		naming = naming_find(node, key);
	return is_primarys(&naming);
}

/* ---- on and off ---- */

static bool begin_anew(const struct node *node, const struct source *source, void *context)
{
	(void)node;
	*naming_cursor(context, source) = (struct foreign_cursor){
	    .was_alive = source->is_alive, .was_primary = naming_owner_is_primary(source)};
	return true;
}

void node_warm_review(struct node *node)
{
	struct foreign *foreign = &node->foreign;
	/* a takeover counts on the copies: it ends in the mode that it began in */
	bool is_on = node->config.warm || (foreign->active && node->takes_over);
	bool should = is_on && (!is_primary(node) || node->config.active_active);

	if (should && foreign_open(foreign, UINT32_MAX / 2,
				   (uint64_t)node_random32(node) << 32 | node_random32(node))) {
		node_log(node, NODE_LOG_ERROR, "warm-memory", "out of memory: not in warm mode");
		should = false;
	}
	if (should && !foreign->active)
		naming_each(node, begin_anew, node);
	if (!should && foreign->active)
		foreign->sweep_wanted = true; /* the copies go, if the mode does */
	foreign->active = should;
}

void node_warm_note_gone(struct node *node, struct record_key key)
{
	if (node->foreign.active && foreign_find(&node->foreign, key))
		foreign_note(&node->foreign.gone, key);
}

static void note_removed(void *context, struct record_key key)
{
	node_warm_note_gone(context, key);
}

void node_warm_follow(struct node *node, struct peer *peer)
{
	peer->receive.removed = note_removed;
	peer->receive.removed_context = node;
}

void node_warm_sweep(struct node *node)
{
	node->foreign.sweep_wanted |= node->foreign.active; /* when it is off, all are swept anyway */
}

/* ---- copies become our own ---- */

bool node_is_complete(const struct node *node)
{
	return node->local.complete && !node->foreign.adopts;
}

static void adopt(struct node *node, struct table_entry *entry)
{
	struct flow flow;

	record_decode(entry->bytes, &flow);
	foreign_forget(&node->foreign, entry);
	local_flow_committed(&node->local, &flow);
}

void node_warm_adopt_flow(struct node *node, struct record_key key)
{
	struct table_entry *entry = foreign_find(&node->foreign, key);

	if (entry)
		adopt(node, entry);
}

void node_warm_adopt_master(struct node *node, const struct expect *expect, bool is_committed)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct flow master = expect_master(expect);
	struct record_key key = {bytes, record_encode_key(&master, bytes)};
	struct table_entry *entry = foreign_find(&node->foreign, key);

	if (entry && (is_committed || foreign_is_to_adopt(&node->foreign, entry)))
		adopt(node, entry);
}

void node_warm_adopt(struct node *node)
{
	node_warm_review(node);
	foreign_adopt_all(&node->foreign);
	node->foreign.took_over_at = node->now;
}

struct monotime node_warm_adopt_deadline(const struct node *node)
{
	if (!node->foreign.adopts)
		return MONOTIME_NEVER;
	/* given away meanwhile, the role waits for it (handover), and no user does */
	return is_primary(node) ? node->foreign.adopt_at : node->now;
}

void node_warm_run(struct node *node)
{
	struct foreign *foreign = &node->foreign;
	struct table_entry *entry;

	if (node->now.us < node_warm_adopt_deadline(node).us)
		return;
	foreign->adopt_at = monotime_add(node->now, monotime_from_us(adopt_pause_us));
	for (unsigned i = 0; foreign->adopts && i < ADOPTED; i++) {
		struct table_walk walk = table_walk_after(foreign->table, foreign->adopt_after, false);

		entry = table_walk_next(&walk);
		foreign->adopt_after = walk.version;
		if (!entry) {
			foreign->adopts = false;
			foreign->adopted_us = monotime_sub(node->now, foreign->took_over_at).us;
			node_log(node, NODE_LOG_INFO, "adopted",
				 "the flows that were taken over are all in the internal table: %zu",
				 table_count(node->local.table));
			node_want_status(node);
		} else if (foreign_is_to_adopt(foreign, entry)) {
			adopt(node, entry);
		}
	}
}

static bool set_target(const struct node *node, const struct source *source, void *context)
{
	(void)node;
	naming_cursor(context, source)->target = table_newest(source->table);
	return true;
}

void node_warm_takeover(struct node *node)
{
	struct foreign *foreign = &node->foreign;

	if (!foreign->active)
		return;
	if (foreign->missing.overflowed)
		node_warm_search(node);
	naming_each(node, set_target, node);
	foreign->missing_pass = foreign->missing_left = foreign->missing.count;
	foreign->missing_at = node->now;
	foreign->has_gained = false;
	foreign->rounds_left = TAKEOVER_ROUNDS;
	foreign->no_room = 0;
}

/* ---- what the kernel tells ---- */

/* A related flow comes after its master: what is missing is gone over again as long as that helps, a few
 * times. */
bool node_warm_needs_round(const struct node *node)
{
	const struct foreign *foreign = &node->foreign;

	return node->takes_over && foreign->has_gained && foreign->rounds_left && foreign->missing.count;
}

/* In a while, with what else is missing; or at once. */
static void note_missing(struct node *node, struct record_key key, bool at_once)
{
	struct foreign *foreign = &node->foreign;

	if (at_once)
		foreign->missing_at = monotime_min(foreign->missing_at, node->now);
	else if (!foreign->missing.count)
		foreign->missing_at = monotime_add(node->now, monotime_from_us(failed_wait_us));
	foreign_note(&foreign->missing, key);
}

/* Packets that came this way ended it. */
static bool is_closed(const struct table_entry *copy)
{
	struct flow flow;

	record_decode(copy->bytes, &flow);
	return flow_is_closing(&flow);
}

/*
 * The kernel has it no more.  If its owner still does, it is put there again.  If that one has fallen silent,
 * it waits for a takeover: since its last refresh here the copy may have run out before the flow does.
 */
static void vanished(struct node *node, struct table_entry *entry)
{
	struct record_key key = record_key(entry->bytes);
	struct naming naming = naming_find(node, key);

	node->foreign.vanished++;
	if (node->foreign.active && naming.entry && (naming.source.is_alive || !is_closed(entry)))
		note_missing(node, key, naming.source.is_alive);
	foreign_forget(&node->foreign, entry);
}

void node_warm_note_ended(struct node *node, const struct flow *flow)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct record_key key = {bytes, 0};
	const struct table_entry *own;
	struct naming naming;

	if (!node->foreign.active)
		return;
	key.length = record_encode_key(flow, bytes);
	own = key.length ? table_find(node->local.table, key) : NULL;
	if (own && !(own->flags & TABLE_ENTRY_TOMBSTONE))
		return;
	naming = naming_find(node, key);
	/* closed here it has ended, but for one that another active node carries, and says so */
	if (own && own->flags & TABLE_ENTRY_CLOSED && !(node->config.active_active && naming.source.is_alive))
		return;
	if (key.length && naming.entry && !foreign_find(&node->foreign, key))
		note_missing(node, key, naming.source.is_alive);
}

/* Packets that come this way have moved our copy on. */
static void merge(struct node *node, const struct table_entry *entry, const struct flow *event)
{
	struct flow flow;

	record_decode(entry->bytes, &flow);
	flow_merge(&flow, event);
	foreign_put(&node->foreign, &flow, foreign_owner(entry),
		    monotime_from_s((int64_t)foreign_refresh_s(entry)));
}

/* An event about a copy that is ours since the takeover: it becomes so now, and then the event counts. */
static bool takes_adopted(struct node *node, enum node_event_type type, struct table_entry *entry)
{
	if (type == NODE_FLOW_UPDATE || type == NODE_AUDIT_ROW || type == NODE_GET_REPLY)
		adopt(node, entry);
	else
		foreign_forget(&node->foreign, entry);
	return false;
}

static bool takes_copy(struct node *node, const struct node_event *event, struct table_entry *entry)
{
	switch (event->type) {
	case NODE_FLOW_UPDATE:
		merge(node, entry, event->flow);
		return true;
	case NODE_FLOW_DESTROY:
		vanished(node, entry);
		return true;
	case NODE_FLOW_COMMITTED: /* by a takeover */
		foreign_forget(&node->foreign, entry);
		return false;
	default:
		return true;
	}
}

bool node_warm_takes(struct node *node, const struct node_event *event)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct record_key key = {bytes, 0};
	struct table_entry *entry;
	bool takes;

	if (!node->foreign.active && !(node->foreign.table && table_count(node->foreign.table)))
		return false;
	if (event->type != NODE_FLOW_NEW && event->type != NODE_FLOW_UPDATE &&
	    event->type != NODE_FLOW_DESTROY && event->type != NODE_FLOW_COMMITTED &&
	    event->type != NODE_AUDIT_ROW && event->type != NODE_GET_REPLY)
		return false;
	key.length = record_encode_key(event->flow, bytes);
	entry = foreign_find(&node->foreign, key);
	if (entry && foreign_is_to_adopt(&node->foreign, entry))
		return takes_adopted(node, event->type, entry);
	if (entry)
		takes = takes_copy(node, event, entry);
	else
		takes = event->type != NODE_FLOW_DESTROY && event->type != NODE_FLOW_COMMITTED &&
			key.length && passes_over(node, key);
	if (takes && event->type == NODE_GET_REPLY)
		local_get_reply(&node->local, event->flow, false); /* it was asked about: it is not ours */
	return takes;
}

/* ---- what became of what was to be done ---- */

/* Looked at again in a while: by its key, or, when all copies go with the mode, by another sweep. */
static void retry_removal(struct node *node, struct record_key key)
{
	struct foreign *foreign = &node->foreign;

	if (foreign->active)
		note_missing(node, key, false);
	if (!foreign->active || foreign->missing.overflowed) {
		foreign->sweep_wanted = true;
		foreign->sweep_at = monotime_add(node->now, monotime_from_us(failed_wait_us));
	}
}

/* Half of its time: if that comes to nothing, there is time for another attempt. */
static struct monotime refresh_date(const struct node *node, uint32_t timeout_s)
{
	return monotime_add(node->now, monotime_from_us((int64_t)timeout_s * 500000));
}

static void put_copy(struct node *node, const struct node_event *event, struct record_key key)
{
	struct naming naming = naming_find(node, key);
	unsigned owner = naming.entry ? naming.source.slot : FOREIGN_NO_OWNER;

	node->foreign.installed++;
	if (!foreign_put(&node->foreign, event->foreign.flow, owner,
			 refresh_date(node, event->foreign.timeout_s)))
		node_log(node, NODE_LOG_WARNING, "warm-memory",
			 "no memory for a copy in our kernel: it is not known to be one");
	else if (!naming.entry)
		foreign_note(&node->foreign.gone, key);
}

void node_foreign_done(struct node *node, const struct node_event *event)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct record_key key = {bytes, record_encode_key(event->foreign.flow, bytes)};
	struct table_entry *copy = foreign_find(&node->foreign, key);

	if (!key.length || !node->foreign.table)
		return;
	switch (event->foreign.result) {
	case NODE_FOREIGN_IN_KERNEL:
		node->foreign.has_gained |= event->foreign.act == NODE_FOREIGN_INSTALL;
		if (event->foreign.act == NODE_FOREIGN_INSTALL)
			put_copy(node, event, key);
		else if (copy)
			foreign_set_refresh(&node->foreign, copy,
					    refresh_date(node, event->foreign.timeout_s));
		node->foreign.refreshed += event->foreign.act == NODE_FOREIGN_REFRESH;
		break;
	case NODE_FOREIGN_GONE:
		node->foreign.removed += event->foreign.act == NODE_FOREIGN_REMOVE;
		if (copy && event->foreign.act == NODE_FOREIGN_REMOVE)
			foreign_forget(&node->foreign, copy);
		else if (copy)
			vanished(node, copy);
		break;
	case NODE_FOREIGN_NO_ROOM:
		if (node->takes_over && event->foreign.act == NODE_FOREIGN_INSTALL) {
			node->foreign.no_room++;
			node_void_claims(node);
		}
		/* fall through */
	case NODE_FOREIGN_FAILED:
		node->foreign.failed++;
		node->foreign.refused += event->foreign.act == NODE_FOREIGN_INSTALL;
		if (event->foreign.act == NODE_FOREIGN_INSTALL)
			note_missing(node, key, false);
		else if (event->foreign.act == NODE_FOREIGN_REMOVE)
			retry_removal(node, key);
		else if (copy)
			foreign_set_refresh(&node->foreign, copy, refresh_date(node, 2));
		break;
	case NODE_FOREIGN_REFUSED:
		break;
	}
}

void node_warm_begin_anew(struct node *node)
{
	naming_each(node, begin_anew, node);
}

void node_foreign_flushed(struct node *node)
{
	foreign_clear(&node->foreign);
	node->foreign.adopts = false;
	naming_each(node, begin_anew, node);
}

void node_flow_disowned(struct node *node, const struct flow *flow)
{
	uint8_t bytes[RECORD_KEY_MAX];
	struct record_key key = {bytes, record_encode_key(flow, bytes)};
	struct naming naming;

	local_flow_withdrawn(&node->local, flow);
	if (!key.length || !node->foreign.table)
		return;
	naming = naming_find(node, key);
	/* its incarnation is one of our own table's: not to be compared with the owner's */
	foreign_put(&node->foreign, flow, FOREIGN_NO_OWNER, node->now);
	if (!naming.entry)
		foreign_note(&node->foreign.gone, key);
}

/* ---- to look at ---- */

struct look {
	uint64_t waiting;
	bool is_behind, must_look;
};

static bool look_at_cursor(const struct node *node, const struct source *source, void *context)
{
	struct look *look = context;
	uint64_t newest = table_newest(source->table), done = source->cursor->done;

	if (!node_warm_may_name(node, source))
		return true;
	if (newest > done)
		look->waiting +=
		    newest - done < table_count(source->table) ? newest - done : table_count(source->table);
	look->is_behind |= done < source->cursor->target;
	look->must_look |=
	    newest > done || source->peer->receive.untold || naming_owner_rises(source, source->cursor);
	return true;
}

void node_foreign_view(const struct node *node, struct node_foreign_view *view)
{
	const struct foreign *foreign = &node->foreign;
	struct look look = {0};

	*view = (struct node_foreign_view){
	    .active = foreign->active,
	    .adopts = foreign->adopts,
	    .missing = foreign->missing.count,
	    .no_room = foreign->no_room,
	    .installed = foreign->installed,
	    .removed = foreign->removed,
	    .refreshed = foreign->refreshed,
	    .refused = foreign->refused,
	    .vanished = foreign->vanished,
	    .failed = foreign->failed,
	    .adopted_us = foreign->adopted_us,
	};
	if (!foreign->table)
		return;
	view->flows = table_count(foreign->table);
	view->memory = table_memory(foreign->table);
	if (!foreign->active)
		return;
	naming_each(node, look_at_cursor, &look);
	view->waiting = look.waiting + foreign->gone.count;
	view->takeover_is_behind =
	    look.is_behind || foreign->gone.count || foreign->missing_left || node_warm_needs_round(node);
}

struct monotime node_foreign_deadline(const struct node *node)
{
	const struct foreign *foreign = &node->foreign;
	struct look look = {0};
	struct monotime at = MONOTIME_NEVER;

	if (!foreign->table)
		return MONOTIME_NEVER;
	if (foreign->sweeps)
		return node->now;
	if (!foreign->active)
		return foreign->sweep_wanted && node_warm_may_sweep(node)
			   ? monotime_max(node->now, foreign->sweep_at)
			   : MONOTIME_NEVER;
	naming_each(node, look_at_cursor, &look);
	if (look.must_look || foreign->gone.count || foreign->gone.overflowed || foreign->refreshes)
		return node->now;
	if (foreign->missing.count)
		at = foreign->missing_at;
	if (foreign->missing.overflowed && !node->takes_over)
		at = monotime_min(at, monotime_max(foreign->missing_at, foreign->rescan_at));
	if (foreign->sweep_wanted && node_warm_may_sweep(node))
		at = monotime_min(at, monotime_max(node->now, foreign->sweep_at));
	return monotime_min(at, foreign->refresh_at);
}
