/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/local.h"

void local_init(struct local *local, struct table *table, uint64_t seed, local_get *get, void *context)
{
	*local = (struct local){.table = table, .get = get, .context = context};
	keyset_init(&local->noted, seed);
}

void local_destroy(struct local *local)
{
	keyset_clear(&local->noted);
	table_destroy(local->table);
	local->table = NULL;
}

/* ---- entries ---- */

static struct table_entry *entry_find(const struct local *local, const struct flow *flow,
				      uint8_t key[RECORD_KEY_MAX], size_t *key_length)
{
	*key_length = record_encode_key(flow, key);
	return *key_length ? table_find(local->table, (struct record_key){key, *key_length}) : NULL;
}

static bool entry_is_live(const struct table_entry *entry)
{
	return entry && !(entry->flags & TABLE_ENTRY_TOMBSTONE);
}

/* An id is a hint (they repeat): it speaks only when both are known and differ. */
static bool id_differs(const struct table_entry *entry, const struct flow *flow)
{
	return entry->tag && flow->present & FLOW_HAS_ID && flow->id && flow->id != entry->tag;
}

/* Stores the flow, encoded, as it is; true if that changed what is replicated.  `ours`: TABLE_ENTRY_OURS or
 * 0.
 */
static bool store_record(struct local *local, const uint8_t *record, const struct flow *flow, uint8_t ours)
{
	struct table_entry *entry;
	enum table_change change;

	change = table_put(local->table, record, &entry);
	if (change == TABLE_FULL || change == TABLE_NO_MEMORY) {
		local->flows_refused++;
		local->refused = true;
		local->pass_refused = true;
		return false;
	}
	if (flow->present & FLOW_HAS_ID)
		entry->tag = flow->id;
	entry->mark = local->pass;
	entry->flags &= (uint8_t) ~(TABLE_ENTRY_OURS | TABLE_ENTRY_ENDING);
	entry->flags |= ours;
	if (ours) /* others have it, too: that it ends here is worth knowing, also if no frame has told of it
		   */
		entry->flags |= TABLE_ENTRY_EXPOSED;
	return change != TABLE_SAME;
}

static bool encode(struct local *local, const struct flow *flow, uint8_t record[RECORD_MAX])
{
	if (record_encode(flow, record))
		return true;
	local->flows_refused++;
	return false;
}

static bool store(struct local *local, const struct flow *flow, uint8_t ours)
{
	uint8_t record[RECORD_MAX];

	return encode(local, flow, record) && store_record(local, record, flow, ours);
}

/* What there is no room to ask about is found by the next pass; which comes at once if this one was to prove
 * that nothing is missing. */
static void ask(struct local *local, const struct flow *flow)
{
	if (local->asked >= LOCAL_ASKED_MAX) {
		local->pass_is_tainted |= !local->complete || local->suspect;
		return;
	}
	local->asked++;
	local->get(local->context, flow);
}

/* What a part that a record keeps, but the message lacks, is when the message carries all that is set. */
static void make_whole(struct flow *flow)
{
	flow->present |= FLOW_HAS_MARK;
}

/* ---- events ---- */

void local_flow_new(struct local *local, const struct flow *flow)
{
	uint8_t record[RECORD_MAX];
	const struct table_entry *entry;

	local->events[0]++;
	/* a record of a flow without a mark is that of one with mark 0: it is whole as it is */
	if (local->frozen || !encode(local, flow, record))
		return;
	entry = table_find(local->table, record_key(record));
	/* a row or a GET may have brought the same flow already: then it is no other incarnation */
	if (entry)
		record_set_incarnation(record, entry_is_live(entry) && !id_differs(entry, flow)
						   ? entry->incarnation
						   : (uint8_t)(entry->incarnation + 1));
	store_record(local, record, flow, 0);
}

void local_flow_update(struct local *local, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t key_length;
	struct table_entry *entry = entry_find(local, flow, key, &key_length);
	struct flow known;

	local->events[1]++;
	if (local->frozen)
		return;
	if (!entry_is_live(entry) || id_differs(entry, flow)) {
		ask(local, flow); /* an update carries only what changed: that is no whole flow */
		return;
	}
	record_decode(entry->bytes, &known);
	flow_merge(&known, flow);
	store(local, &known, entry->flags & TABLE_ENTRY_OURS); /* it, too, may be of the flow before */
}

/* Whether the DESTROY may be that of the flow which had this key before, so that the kernel is to decide. */
static bool is_doubtful(const struct local *local, const struct table_entry *entry, const struct flow *flow)
{
	return id_differs(entry, flow) || (entry->flags & TABLE_ENTRY_OURS && local->asked < LOCAL_ASKED_MAX);
}

/* Both sides have said that they are done, or one has broken it off: it did not just fall silent here. */
static bool is_closed(const struct table_entry *entry, const struct flow *event)
{
	struct flow known;
	const struct flow *flow = event;

	if (!(event->present & FLOW_HAS_TCP)) { /* older kernels name no state in a DESTROY */
		record_decode(entry->bytes, &known);
		flow = &known;
	}
	return flow_is_closing(flow);
}

void local_flow_destroyed(struct local *local, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t key_length;
	struct table_entry *entry = entry_find(local, flow, key, &key_length);

	local->events[2]++;
	if (local->frozen)
		return;
	if (local->pass_runs && key_length)
		keyset_add(&local->noted, (struct record_key){key, key_length});
	if (!entry_is_live(entry))
		return;
	if (is_doubtful(local, entry, flow)) {
		entry->flags |= TABLE_ENTRY_ENDING;
		ask(local, flow);
		return;
	}
	if (is_closed(entry, flow))
		entry->flags |= TABLE_ENTRY_CLOSED;
	table_remove(local->table, entry);
}

void local_flow_committed(struct local *local, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t key_length;
	struct table_entry *entry = entry_find(local, flow, key, &key_length);
	struct flow next = *flow;

	make_whole(&next);
	next.incarnation = entry_is_live(entry) ? entry->incarnation
			   : entry              ? (uint8_t)(entry->incarnation + 1)
						: 0;
	store(local, &next, TABLE_ENTRY_OURS);
}

/* The kernel has this flow, whole and now: replaces what is known of it. */
static bool accept_whole(struct local *local, const struct table_entry *entry, const struct flow *flow)
{
	uint8_t ours = entry_is_live(entry) ? entry->flags & TABLE_ENTRY_OURS : 0;
	struct flow next = *flow;

	make_whole(&next);
	if (entry)
		next.incarnation = entry_is_live(entry) && !id_differs(entry, flow)
				       ? entry->incarnation
				       : (uint8_t)(entry->incarnation + 1);
	return store(local, &next, ours);
}

/* ---- audit ---- */

void local_audit_begin(struct local *local)
{
	if (local->frozen)
		return;
	/* passes that follow each other closely would never let what one has found be confirmed */
	if (local->sweeps && !local->sweep_was_spared) {
		local->sweep_was_spared = true;
		return;
	}
	local->pass = local->pass == UINT8_MAX ? 1 : (uint8_t)(local->pass + 1);
	local->pass_runs = true;
	local->pass_is_tainted = false;
	local->pass_refused = false;
	local->sweeps = false;
	keyset_clear(&local->noted);
}

void local_audit_row(struct local *local, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t key_length;
	struct table_entry *entry = entry_find(local, flow, key, &key_length);
	bool steady = local->complete && !local->suspect;

	if (!local->pass_runs || !key_length)
		return;
	if (keyset_has(&local->noted, (struct record_key){key, key_length}))
		return;
	if (entry_is_live(entry)) {
		if (entry->mark == local->pass)
			return; /* touched by an event since, or a row repeated */
		if (accept_whole(local, entry, flow) && steady)
			local->corrections++;
		return;
	}
	/* more than can be asked about: better one for a pass too long than thousands missing, and yet proven
	 */
	if ((steady && local->asked < LOCAL_ASKED_MAX) || local->noted.overflowed)
		ask(local, flow);
	else if (accept_whole(local, entry, flow) && steady)
		local->corrections++;
}

void local_audit_end(struct local *local, bool clean)
{
	if (!local->pass_runs)
		return;
	local->pass_runs = false;
	local->passes++;
	keyset_clear(&local->noted);
	if (!clean || local->pass_is_tainted || local->deaf || local->lossy)
		return;
	local->sweeps = true;
	local->sweep_walked = local->sweep_was_spared = false;
	local->sweep_after = 0;
}

static void sweep_is_done(struct local *local)
{
	local->sweeps = false;
	local->complete = true;
	local->suspect = false;
	local->refused = local->pass_refused;
}

/* Asks for at most as many as there is room; what they answer is applied in local_get_reply(). */
bool local_sweep(struct local *local)
{
	struct table_walk walk;
	const struct table_entry *entry;
	struct flow key;

	if (!local->sweeps)
		return false;
	walk = table_walk_after(local->table, local->sweep_after, false);
	for (unsigned i = 0; i < LOCAL_SWEEP_SLICE; i++) {
		if (local->asked >= LOCAL_ASKED_MAX)
			return false;
		entry = table_walk_next(&walk);
		if (!entry) {
			local->sweep_walked = true;
			if (!local->asked)
				sweep_is_done(local);
			return false;
		}
		local->sweep_after = walk.version;
		if (entry->mark == local->pass)
			continue;
		record_decode(entry->bytes, &key);
		ask(local, &key);
	}
	return true;
}

bool local_sweep_is_due(const struct local *local)
{
	return local->sweeps && (local->sweep_walked ? !local->asked : local->asked < LOCAL_ASKED_MAX);
}

void local_get_reply(struct local *local, const struct flow *flow, bool found)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t key_length;
	struct table_entry *entry = entry_find(local, flow, key, &key_length);
	bool changed = false;

	if (local->asked)
		local->asked--;
	if (local->frozen)
		return;
	if (found)
		changed = accept_whole(local, entry, flow);
	else if (entry_is_live(entry)) {
		changed = !(entry->flags & TABLE_ENTRY_ENDING); /* else an event had said so */
		/* of an end that nobody told it is not known when it was: elsewhere it may go on since */
		if (!changed && is_closed(entry, flow))
			entry->flags |= TABLE_ENTRY_CLOSED;
		table_remove(local->table, entry);
	}
	if (changed)
		local->corrections++;
}

static void events_are_missing(struct local *local)
{
	if (local->frozen)
		return; /* what was lost would not have counted */
	local->suspect = true;
	local->pass_is_tainted = true;
	local->sweeps = false;
}

void local_overrun(struct local *local, bool ended)
{
	local->overruns += ended;
	local->lossy = !ended;
	events_are_missing(local);
}

void local_set_deaf(struct local *local, bool deaf)
{
	local->deaf = deaf;
	events_are_missing(local);
}

void local_freeze(struct local *local)
{
	local->frozen = true;
	local->pass_runs = false;
	local->sweeps = false;
	keyset_clear(&local->noted);
}

void local_thaw(struct local *local)
{
	if (!local->frozen)
		return;
	local->frozen = false;
	local->suspect = true;
	local->pass_is_tainted = true;
}

void local_flow_withdrawn(struct local *local, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t key_length;
	struct table_entry *entry = entry_find(local, flow, key, &key_length);

	if (entry_is_live(entry))
		table_withdraw(local->table, entry);
}

void local_flush(struct local *local)
{
	if (local->frozen)
		return;
	table_clear(local->table);
	local->complete = false;
	local->pass_is_tainted = true;
	local->sweeps = false;
}
