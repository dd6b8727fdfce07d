/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/foreign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* tag: the owner's slot in 4 bits, the second in which to refresh in 28: 8 years of uptime */
enum { OWNER_SHIFT = 28 };
static const uint32_t second_mask = (UINT32_C(1) << OWNER_SHIFT) - 1;

static void notes_clear(struct foreign_notes *notes)
{
	notes->first = notes->count = 0;
	notes->overflowed = false;
}

int foreign_open(struct foreign *foreign, uint32_t flows, uint64_t seed)
{
	if (foreign->table)
		return 0;
	foreign->table = table_create(flows, 0, seed);
	foreign->gone.items = malloc(FOREIGN_NOTES_MAX * sizeof(struct foreign_note));
	foreign->missing.items = malloc(FOREIGN_NOTES_MAX * sizeof(struct foreign_note));
	foreign->generation = 1;
	foreign->refresh_at = MONOTIME_NEVER;
	if (foreign->table && foreign->gone.items && foreign->missing.items)
		return 0;
	foreign_close(foreign);
	return -ENOMEM;
}

void foreign_close(struct foreign *foreign)
{
	if (foreign->table)
		table_destroy(foreign->table);
	free(foreign->gone.items);
	free(foreign->missing.items);
	memset(foreign, 0, sizeof(*foreign));
}

void foreign_clear(struct foreign *foreign)
{
	if (!foreign->table)
		return;
	table_clear(foreign->table);
	notes_clear(&foreign->gone);
	notes_clear(&foreign->missing);
	foreign->missing_pass = foreign->missing_left = 0;
	foreign->rescan_at = (struct monotime){0};
	foreign->sweep_wanted = foreign->sweeps = foreign->refreshes = false;
	foreign->refresh_at = MONOTIME_NEVER;
}

struct table_entry *foreign_find(const struct foreign *foreign, struct record_key key)
{
	return foreign->table && key.length ? table_find(foreign->table, key) : NULL;
}

bool foreign_put(struct foreign *foreign, const struct flow *flow, unsigned owner, struct monotime refresh_at)
{
	uint8_t record[RECORD_MAX];
	struct table_entry *entry;
	enum table_change change;

	if (!record_encode(flow, record))
		return false;
	change = table_put(foreign->table, record, &entry);
	if (change == TABLE_FULL || change == TABLE_NO_MEMORY)
		return false;
	if (change == TABLE_ADDED)
		entry->mark = foreign->generation;
	entry->tag = owner << OWNER_SHIFT;
	foreign_set_refresh(foreign, entry, refresh_at);
	return true;
}

void foreign_forget(struct foreign *foreign, struct table_entry *entry)
{
	table_remove(foreign->table, entry);
}

unsigned foreign_owner(const struct table_entry *entry)
{
	return entry->tag >> OWNER_SHIFT;
}

uint32_t foreign_refresh_s(const struct table_entry *entry)
{
	return entry->tag & second_mask;
}

void foreign_set_refresh(struct foreign *foreign, struct table_entry *entry, struct monotime at)
{
	uint32_t second = (uint32_t)(at.us / 1000000) & second_mask;

	entry->tag = (entry->tag & ~second_mask) | second;
	foreign->refresh_at = monotime_min(foreign->refresh_at, at);
	foreign->earliest = monotime_min(foreign->earliest, at);
}

bool foreign_is_to_adopt(const struct foreign *foreign, const struct table_entry *entry)
{
	return foreign->adopts && entry->mark != foreign->generation;
}

void foreign_adopt_all(struct foreign *foreign)
{
	if (!foreign->table || !table_count(foreign->table))
		return;
	foreign->generation = foreign->generation == UINT8_MAX ? 1 : (uint8_t)(foreign->generation + 1);
	foreign->adopts = true;
	foreign->adopt_after = 0;
	foreign->adopt_at = (struct monotime){0};
}

void foreign_note(struct foreign_notes *notes, struct record_key key)
{
	struct foreign_note *note;

	if (!notes->items || key.length > RECORD_KEY_MAX)
		return;
	if (notes->count == FOREIGN_NOTES_MAX) {
		notes->overflowed = true;
		return;
	}
	note = &notes->items[(notes->first + notes->count++) % FOREIGN_NOTES_MAX];
	note->length = (uint8_t)key.length;
	memcpy(note->bytes, key.bytes, key.length);
}

bool foreign_note_take(struct foreign_notes *notes, struct foreign_note *note)
{
	if (!notes->count)
		return false;
	*note = notes->items[notes->first];
	notes->first = (notes->first + 1) % FOREIGN_NOTES_MAX;
	notes->count--;
	return true;
}
