/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What frames say, brought to the copy; and told to whom follows it. */
#include "proto/receive_state.h"

#include <string.h>

enum { FORESEEN_MIN = 4 };

/* Told afterwards: who is told may look whether the key is named still. */
void receive_remove_entry(struct receive *receive, struct table_entry *entry)
{
	struct record_key key = record_key(entry->bytes);
	uint8_t bytes[RECORD_KEY_MAX];

	memcpy(bytes, key.bytes, key.length);
	key.bytes = bytes;
	table_remove(receive->table, entry);
	if (receive->removed)
		receive->removed(receive->removed_context, key);
}

static void follow(const struct receive *receive, const uint8_t *record, bool gone, bool follows)
{
	if (follows && receive->followed)
		receive->followed(receive->followed_context, receive->followed_id, record, gone);
}

/* What the copy has of another incarnation of that flow, and whether that is to be told apart. */
static struct table_entry *find_predecessor(const struct receive *receive, const uint8_t *record,
					    bool follows)
{
	struct table_entry *kept;

	if (!follows || (!receive->followed && receive->news != RECEIVE_NEWS_ADDED))
		return NULL;
	kept = table_find(receive->table, record_key(record));
	return kept && kept->incarnation != record_incarnation(record) ? kept : NULL;
}

static bool is_news(const struct receive *receive, enum table_change change, bool succeeds)
{
	return receive->news != RECEIVE_NEWS_ADDED || change == TABLE_ADDED || succeeds;
}

static unsigned upsert_apply(struct receive *receive, const uint8_t *record, bool follows)
{
	struct table_entry *kept = find_predecessor(receive, record, follows);
	bool succeeds = kept != NULL;
	enum table_change change;

	/* another incarnation is another flow: the old one has ended */
	if (succeeds)
		follow(receive, kept->bytes, true, follows);
	change = table_put(receive->table, record, &kept);
	if (change == TABLE_FULL || change == TABLE_NO_MEMORY) {
		receive->refused++;
		receive->overflowed = true;
		return RECEIVE_REFUSED;
	}
	kept->mark = receive->epoch;
	if (!follows || !is_news(receive, change, succeeds))
		return 0;
	kept->tag = receive->claim_generation;
	if (change != TABLE_SAME)
		follow(receive, kept->bytes, false, follows);
	return 0;
}

static unsigned entry_apply(struct receive *receive, const struct frame_entry *entry, bool follows)
{
	struct table_entry *kept;

	if (entry->kind == FRAME_ENTRY_UPSERT && entry->verdict == RECORD_INCOMPATIBLE) {
		receive->incompatible = true;
		receive->unreadable++;
		return RECEIVE_UNREADABLE;
	}
	if (entry->kind == FRAME_ENTRY_UPSERT)
		return upsert_apply(receive, entry->record, follows);
	kept = table_find(receive->table, entry->key);
	if (!kept)
		return 0;
	follow(receive, kept->bytes, true, follows && entry->kind == FRAME_ENTRY_DESTROY);
	receive_remove_entry(receive, kept);
	return 0;
}

/* What follows waits for memory once, instead of once for each.  Of few it is not worth the while. */
static void foresee(const struct receive *receive, const struct frame_entry *entries, unsigned count)
{
	struct record_key keys[TABLE_TOGETHER];

	if (count < FORESEEN_MIN)
		return;
	for (unsigned i = 0; i < count; i++)
		keys[i] = entries[i].key;
	table_foresee_all(receive->table, keys, count);
}

unsigned receive_apply(struct receive *receive, struct reader entries, bool follows)
{
	struct frame_entry batch[TABLE_TOGETHER];
	unsigned outcome = 0;
	int more;

	do {
		unsigned count = 0;

		while ((more = frame_entry_read(&entries, &batch[count])) > 0)
			if (++count == TABLE_TOGETHER)
				break;
		foresee(receive, batch, count);
		for (unsigned i = 0; i < count; i++)
			outcome |= entry_apply(receive, &batch[i], follows);
	} while (more > 0);
	return more < 0 ? RECEIVE_MALFORMED : outcome | RECEIVE_PROGRESSED;
}
