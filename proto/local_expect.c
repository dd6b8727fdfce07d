/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The expectations of the internal table; local.c has the flows. */
#include "proto/local.h"

static struct table_entry *find_live(const struct local *local, const uint8_t *key, size_t length)
{
	struct table_entry *entry =
	    length ? table_find(local->table, (struct record_key){key, length}) : NULL;

	return entry && !(entry->flags & TABLE_ENTRY_TOMBSTONE) ? entry : NULL;
}

static struct table_entry *find(const struct local *local, const struct expect *expect)
{
	uint8_t key[RECORD_KEY_MAX];

	return find_live(local, key, record_encode_expect_key(expect, key));
}

/* Without its master no kernel takes an expectation; and the filters decided on the master. */
static bool has_master(const struct local *local, const struct expect *expect)
{
	struct flow master = expect_master(expect);
	uint8_t key[RECORD_KEY_MAX];

	return find_live(local, key, record_encode_key(&master, key)) != NULL;
}

static void store(struct local *local, const struct expect *expect)
{
	uint8_t record[RECORD_MAX];
	struct table_entry *entry;
	enum table_change change;

	if (!has_master(local, expect) || !record_encode_expect(expect, record))
		return;
	change = table_put(local->table, record, &entry);
	if (change == TABLE_FULL || change == TABLE_NO_MEMORY) {
		local->flows_refused++;
		local->refused = true;
		return;
	}
	entry->tag = expect->id;
	local->expects_seen += entry->mark != local->expects_pass;
	entry->mark = local->expects_pass;
}

void local_expect_new(struct local *local, const struct expect *expect)
{
	if (!local->frozen)
		store(local, expect);
}

/* An id is a hint: it speaks only when both are known and differ (of the one that had this tuple before). */
void local_expect_destroyed(struct local *local, const struct expect *expect)
{
	struct table_entry *entry = local->frozen ? NULL : find(local, expect);

	if (entry && (!entry->tag || !expect->id || entry->tag == expect->id))
		table_remove(local->table, entry);
}

void local_expect_committed(struct local *local, const struct expect *expect)
{
	store(local, expect);
}

void local_expects_begin(struct local *local)
{
	local->expects_pass = local->expects_pass == UINT8_MAX ? 1 : (uint8_t)(local->expects_pass + 1);
	local->expects_seen = 0;
}

void local_expects_row(struct local *local, const struct expect *expect)
{
	if (!local->frozen)
		store(local, expect);
}

static size_t count(const struct local *local)
{
	return table_records(local->table) - table_count(local->table);
}

/* Takes out all, or those that the last look did not see. */
static void take_out(struct local *local, bool all, bool (*remove)(struct table *, struct table_entry *))
{
	struct table_walk walk = table_walk_records_after(local->table, 0);
	struct table_entry *entry;

	while ((entry = table_walk_next(&walk))) {
		if (!record_is_expect(entry->bytes) || (!all && entry->mark == local->expects_pass))
			continue;
		remove(local->table, entry);
		walk = table_walk_records_after(local->table, walk.version);
	}
}

void local_expects_end(struct local *local)
{
	/* nearly always all were seen, and the walk over a large table is saved */
	if (!local->frozen && count(local) > local->expects_seen)
		take_out(local, false, table_remove);
}

void local_expects_withdraw(struct local *local)
{
	if (count(local))
		take_out(local, true, table_withdraw);
}
