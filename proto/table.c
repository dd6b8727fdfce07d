/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/table.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/bucket.h"
#include "proto/slab.h"

enum {
	FORESEEN =
	    8, /* that many other keys later a bucket's head is here, and again so many its first entry */
	ENTRY_USUAL = 64, /* bytes: of an IPv4 TCP flow behind NAT */
	SPLIT_AHEAD = 16, /* chains that are split are fetched that many splits before, and twice as many */
};

struct table {
	struct slab *slab;
	struct buckets *buckets;
	struct vlog *live, *dead;
	uint64_t seed;
	uint64_t digest;
	uint64_t newest;
	uint64_t horizon;
	uint64_t announced; /* its digest was told */
	uint32_t flows_max, tombstones_max;
	size_t expects; /* of the live records those that are expectations */
	table_observer *observer;
	void *observer_context;
	uint16_t observer_id;
	/* hashes: the bucket is on its way into the cache, and of the older half its first entry, too */
	uint32_t foreseen[2 * FORESEEN];
	unsigned foreseen_next;
};

_Static_assert(sizeof(struct table_entry) + RECORD_MAX <= SLAB_OBJECT_MAX, "a slab takes the largest record");

static struct table_entry *entry_at(const struct table *table, uint32_t reference)
{
	return slab_at(table->slab, reference);
}

void table_observe(struct table *table, table_observer *observer, void *context, uint16_t id)
{
	table->observer = observer;
	table->observer_context = context;
	table->observer_id = id;
}

static void tell(const struct table *table, enum table_event event, const struct table_entry *entry)
{
	if (table->observer)
		table->observer(table->observer_context, table->observer_id, event, entry);
}

static bool is_tombstone(const struct table_entry *entry)
{
	return entry->flags & TABLE_ENTRY_TOMBSTONE;
}

static void entry_moved(void *context, uint32_t reference, uint32_t position)
{
	entry_at(context, reference)->position = position;
}

struct table *table_create(uint32_t flows, uint32_t tombstones, uint64_t seed)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->seed = seed;
	table->flows_max = flows;
	table->tombstones_max = tombstones;
	table->slab = slab_create();
	table->buckets = buckets_create();
	table->live = vlog_create(entry_moved, table);
	table->dead = vlog_create(entry_moved, table);
	if (table->slab && table->buckets && table->live && table->dead)
		return table;
	table_destroy(table);
	return NULL;
}

void table_destroy(struct table *table)
{
	if (!table)
		return;
	slab_destroy(table->slab);
	buckets_destroy(table->buckets);
	vlog_destroy(table->live);
	vlog_destroy(table->dead);
	free(table);
}

/* --- by key --- */

static uint32_t hash_of(const struct table *table, struct record_key key)
{
	return (uint32_t)XXH3_64bits_withSeed(key.bytes, key.length, table->seed);
}

static bool key_is(const struct table_entry *entry, struct record_key key)
{
	const uint8_t *bytes = is_tombstone(entry) ? entry->bytes : record_key(entry->bytes).bytes;

	return entry->key_length == key.length && !memcmp(bytes, key.bytes, key.length);
}

/* The link (a bucket's head, or `next` of the one before) to the entry of a key, or to the end of its chain.
 */
static uint32_t *find_link(const struct table *table, struct record_key key, uint32_t hash)
{
	uint32_t *link = buckets_head(table->buckets, hash);

	while (*link != SLAB_NONE) {
		struct table_entry *entry = entry_at(table, *link);

		if (entry->hash == hash && key_is(entry, key))
			break;
		link = &entry->next;
	}
	return link;
}

static uint32_t *link_to(const struct table *table, const struct table_entry *wanted)
{
	uint32_t *link = buckets_head(table->buckets, wanted->hash);

	for (;;) {
		struct table_entry *entry = entry_at(table, *link);

		if (entry == wanted)
			return link;
		link = &entry->next;
	}
}

static size_t entries(const struct table *table)
{
	return vlog_count(table->live) + vlog_count(table->dead);
}

static void fetch(const struct table *table, uint32_t reference)
{
	if (reference != SLAB_NONE)
		__builtin_prefetch(entry_at(table, reference));
}

/* The one behind an entry that has been fetched. */
static void fetch_next(const struct table *table, uint32_t reference)
{
	if (reference != SLAB_NONE)
		fetch(table, entry_at(table, reference)->next);
}

void table_foresee(struct table *table, struct record_key key)
{
	unsigned next = table->foreseen_next++;
	uint32_t *oldest = &table->foreseen[next % (2 * FORESEEN)];
	uint32_t middle = table->foreseen[(next + FORESEEN) % (2 * FORESEEN)];

	fetch_next(table, *buckets_head(table->buckets, *oldest));
	fetch(table, *buckets_head(table->buckets, middle));
	*oldest = hash_of(table, key);
	__builtin_prefetch(buckets_head(table->buckets, *oldest));
}

/* What lies behind the head of a bucket: the rest of its first entry, the one after that, and the slot of a
 * version, which goes when the record does. */
static void fetch_rest(const struct table *table, uint32_t reference, uint32_t hash)
{
	const struct table_entry *entry;

	if (reference == SLAB_NONE)
		return;
	entry = entry_at(table, reference);
	fetch(table, entry->next);
	if (entry->hash != hash)
		return;
	__builtin_prefetch((const uint8_t *)entry + ENTRY_USUAL - 1);
	vlog_fetch(is_tombstone(entry) ? table->dead : table->live, entry->position);
}

void table_foresee_all(const struct table *table, const struct record_key *keys, unsigned count)
{
	const uint32_t *heads[TABLE_TOGETHER];
	uint32_t hashes[TABLE_TOGETHER];

	for (unsigned i = 0; i < count; i++) {
		hashes[i] = hash_of(table, keys[i]);
		heads[i] = buckets_head(table->buckets, hashes[i]);
		__builtin_prefetch(heads[i]);
	}
	for (unsigned i = 0; i < count; i++)
		fetch(table, *heads[i]);
	for (unsigned i = 0; i < count; i++)
		fetch_rest(table, *heads[i], hashes[i]);
}

/* One bucket more when there are more entries than buckets; without the memory for it, chains get longer
 * instead. */
static void grow(struct table *table)
{
	struct bucket_pair pair;
	uint32_t reference;

	if (entries(table) <= buckets_count(table->buckets) || buckets_grow(table->buckets, &pair) < 0)
		return;
	fetch(table, buckets_split_later(table->buckets, 2 * SPLIT_AHEAD));
	fetch_next(table, buckets_split_later(table->buckets, SPLIT_AHEAD));
	reference = *pair.low;
	*pair.low = SLAB_NONE;
	while (reference != SLAB_NONE) {
		struct table_entry *entry = entry_at(table, reference);
		uint32_t *head = buckets_head(table->buckets, entry->hash), next = entry->next;

		entry->next = *head;
		*head = reference;
		reference = next;
	}
}

/* One bucket less when half of them would do. */
static void shrink(struct table *table)
{
	struct bucket_pair pair = buckets_last(table->buckets);
	uint32_t *link = pair.low;

	if (!link || entries(table) >= buckets_count(table->buckets) / 2)
		return;
	while (*link != SLAB_NONE)
		link = &entry_at(table, *link)->next;
	*link = *pair.high;
	buckets_shrink(table->buckets);
}

struct table_entry *table_find(const struct table *table, struct record_key key)
{
	uint32_t reference = *find_link(table, key, hash_of(table, key));

	return reference == SLAB_NONE ? NULL : entry_at(table, reference);
}

/* --- changes: what can fail comes first, so that a refusal changes nothing --- */

static void set_record(struct table *table, struct table_entry *entry, const uint8_t *record)
{
	memcpy(entry->bytes, record, record_length(record));
	entry->incarnation = record_incarnation(record);
	table->digest += record_hash(record);
}

static enum table_change add(struct table *table, struct record_key key, uint32_t hash, const uint8_t *record,
			     struct table_entry **result)
{
	uint32_t reference, position, *head = buckets_head(table->buckets, hash);
	struct table_entry *entry;

	reference = slab_allocate(table->slab, sizeof(*entry) + record_length(record));
	if (reference == SLAB_NONE)
		return TABLE_NO_MEMORY;
	if (vlog_append(table->live, table->newest + 1, reference, &position) < 0) {
		slab_free(table->slab, reference);
		return TABLE_NO_MEMORY;
	}
	table->newest++;
	entry = entry_at(table, reference);
	*entry = (struct table_entry){.hash = hash, .next = *head, .position = position};
	entry->key_length = (uint8_t)key.length;
	set_record(table, entry, record);
	table->expects += record_is_expect(record);
	*head = reference;
	grow(table);
	*result = entry;
	return TABLE_ADDED;
}

/* Room for an entry of that many bytes: where it is if it fits as well, else elsewhere; SLAB_NONE when out of
 * memory. */
static uint32_t refit(struct table *table, uint32_t reference, size_t size)
{
	if (slab_size(table->slab, reference) == slab_rounded(size))
		return reference;
	return slab_allocate(table->slab, size);
}

/* Moves the header of an entry to its new place. */
static struct table_entry *move_entry(struct table *table, uint32_t *link, uint32_t to)
{
	struct table_entry *entry = entry_at(table, to);

	if (to != *link) {
		memcpy(entry, entry_at(table, *link), sizeof(*entry));
		*link = to;
	}
	return entry;
}

/* A new record for a known key, which may be a tombstone's. */
static enum table_change replace(struct table *table, uint32_t *link, const uint8_t *record,
				 struct table_entry **result)
{
	uint32_t from = *link, old_position = entry_at(table, from)->position, position, to;
	struct table_entry *entry = entry_at(table, from);
	bool was_tombstone = is_tombstone(entry);

	to = refit(table, from, sizeof(*entry) + record_length(record));
	if (to == SLAB_NONE)
		return TABLE_NO_MEMORY;
	if (vlog_append(table->live, table->newest + 1, to, &position) < 0) {
		if (to != from)
			slab_free(table->slab, to);
		return TABLE_NO_MEMORY;
	}
	table->newest++;
	if (!was_tombstone)
		table->digest -= record_hash(entry->bytes);
	entry = move_entry(table, link, to);
	entry->position = position;
	if (was_tombstone) {
		entry->flags &= TABLE_ENTRY_EXPOSED;
		entry->tag = 0;
		entry->mark = 0;
	}
	set_record(table, entry, record);
	if (to != from)
		slab_free(table->slab, from);
	vlog_remove(was_tombstone ? table->dead : table->live, old_position);
	*result = entry;
	table->expects += was_tombstone && record_is_expect(record);
	return was_tombstone ? TABLE_ADDED : TABLE_REPLACED;
}

static enum table_change put(struct table *table, const uint8_t *record, struct table_entry **entry)
{
	struct record_key key = record_key(record);
	uint32_t hash = hash_of(table, key);
	uint32_t *link = find_link(table, key, hash);
	struct table_entry *known = *link == SLAB_NONE ? NULL : entry_at(table, *link);

	if (known && !is_tombstone(known)) {
		if (!record_equals(known->bytes, record))
			return replace(table, link, record, entry);
		record_set_timeout_s(known->bytes, record_timeout_s(record));
		*entry = known;
		return TABLE_SAME;
	}
	if (table_records(table) >= table->flows_max)
		return TABLE_FULL;
	return known ? replace(table, link, record, entry) : add(table, key, hash, record, entry);
}

enum table_change table_put(struct table *table, const uint8_t *record, struct table_entry **entry)
{
	enum table_change change = put(table, record, entry);

	if (change == TABLE_ADDED || change == TABLE_REPLACED)
		tell(table, change == TABLE_ADDED ? TABLE_CAME : TABLE_CHANGED, *entry);
	return change;
}

/* Takes an entry out of its chain and frees it; it is in no order any more. */
static void forget(struct table *table, uint32_t *link)
{
	uint32_t reference = *link;

	*link = entry_at(table, reference)->next;
	slab_free(table->slab, reference);
	shrink(table);
}

static void discard_tombstones(struct table *table)
{
	while (vlog_count(table->dead) > table->tombstones_max) {
		struct vlog_cursor oldest = vlog_seek(table->dead, 0);
		struct table_entry *entry;
		uint64_t version;
		uint32_t reference;

		if (!vlog_next(table->dead, &oldest, &version, &reference))
			return;
		entry = entry_at(table, reference);
		if (version > table->horizon)
			table->horizon = version;
		vlog_remove(table->dead, entry->position);
		forget(table, link_to(table, entry));
	}
}

/* Turns an entry that has left the live order into a tombstone; false when out of memory. */
static bool bury(struct table *table, uint32_t *link, uint64_t version)
{
	uint32_t from = *link, to, position;
	struct table_entry *entry = entry_at(table, from);
	const uint8_t *key = record_key(entry->bytes).bytes;

	to = refit(table, from, sizeof(*entry) + entry->key_length);
	if (to == SLAB_NONE)
		to = from; /* larger than it need be, but there */
	if (vlog_append(table->dead, version, to, &position) < 0) {
		if (to != from)
			slab_free(table->slab, to);
		return false;
	}
	entry = move_entry(table, link, to);
	memmove(entry->bytes, key, entry->key_length);
	entry->flags |= TABLE_ENTRY_TOMBSTONE;
	entry->position = position;
	if (to != from)
		slab_free(table->slab, from);
	return true;
}

bool table_remove(struct table *table, struct table_entry *entry)
{
	bool is_exposed = entry->flags & TABLE_ENTRY_EXPOSED;
	bool takes_version = is_exposed || table_version(table, entry) <= table->announced;
	uint32_t *link = link_to(table, entry);

	tell(table, TABLE_GONE, entry);
	table->digest -= record_hash(entry->bytes);
	table->expects -= record_is_expect(entry->bytes);
	vlog_remove(table->live, entry->position);
	if (takes_version)
		table->newest++;
	if (is_exposed && table->tombstones_max && bury(table, link, table->newest)) {
		discard_tombstones(table);
		return true;
	}
	if (is_exposed)
		table->horizon = table->newest; /* as if its tombstone had been discarded at once */
	forget(table, link);
	return takes_version;
}

bool table_withdraw(struct table *table, struct table_entry *entry)
{
	uint8_t key[RECORD_KEY_MAX];
	struct record_key name = record_key(entry->bytes);
	bool took_version;

	memcpy(key, name.bytes, name.length);
	took_version = table_remove(table, entry);
	entry = table_find(table, (struct record_key){key, name.length});
	if (entry)
		entry->flags |= TABLE_ENTRY_WITHDRAWN;
	return took_version;
}

void table_announce(struct table *table)
{
	table->announced = table->newest;
}

void table_set_limits(struct table *table, uint32_t flows, uint32_t tombstones)
{
	table->flows_max = flows;
	table->tombstones_max = tombstones;
	discard_tombstones(table);
}

void table_clear(struct table *table)
{
	bool had_any = table_count(table) > 0;

	if (entries(table)) /* another state than the newest version's, which may have been told */
		table->newest++;
	slab_clear(table->slab);
	buckets_clear(table->buckets);
	vlog_clear(table->live);
	vlog_clear(table->dead);
	table->expects = 0;
	table->digest = 0;
	table->horizon = table->newest;
	if (had_any)
		tell(table, TABLE_EMPTIED, NULL);
}

/* --- what it holds --- */

size_t table_count(const struct table *table)
{
	return vlog_count(table->live) - table->expects;
}

size_t table_records(const struct table *table)
{
	return vlog_count(table->live);
}

size_t table_tombstones(const struct table *table)
{
	return vlog_count(table->dead);
}

uint32_t table_limit(const struct table *table)
{
	return table->flows_max;
}

uint64_t table_digest(const struct table *table)
{
	return table->digest;
}

uint64_t table_newest(const struct table *table)
{
	return table->newest;
}

uint64_t table_horizon(const struct table *table)
{
	return table->horizon;
}

size_t table_memory(const struct table *table)
{
	return sizeof(*table) + slab_memory(table->slab) + buckets_memory(table->buckets) +
	       vlog_memory(table->live) + vlog_memory(table->dead);
}

uint64_t table_version(const struct table *table, const struct table_entry *entry)
{
	return vlog_version(is_tombstone(entry) ? table->dead : table->live, entry->position);
}

/* --- by version --- */

/* The next entry of one order, NULL at its end. */
static struct table_entry *step(const struct table *table, const struct vlog *log, struct vlog_cursor *cursor,
				uint64_t *version)
{
	uint32_t reference;

	return vlog_next(log, cursor, version, &reference) ? entry_at(table, reference) : NULL;
}

/* The next live entry that is asked for. */
static void step_live(struct table_walk *walk)
{
	const struct table *table = walk->table;

	do {
		walk->live = step(table, table->live, &walk->live_cursor, &walk->live_version);
	} while (walk->live && !walk->with_expects && record_is_expect(walk->live->bytes));
}

struct table_walk table_walk_records_after(const struct table *table, uint64_t after)
{
	struct table_walk walk = {.table = table, .version = after, .with_expects = true};

	walk.live_cursor = vlog_seek(table->live, after);
	step_live(&walk);
	return walk;
}

struct table_walk table_walk_after(const struct table *table, uint64_t after, bool all)
{
	struct table_walk walk = {.table = table, .version = after, .with_expects = all};

	walk.live_cursor = vlog_seek(table->live, after);
	step_live(&walk);
	if (all) {
		walk.dead_cursor = vlog_seek(table->dead, after);
		walk.dead = step(table, table->dead, &walk.dead_cursor, &walk.dead_version);
	}
	return walk;
}

struct table_entry *table_walk_next(struct table_walk *walk)
{
	const struct table *table = walk->table;
	struct table_entry *entry;

	if (walk->dead && (!walk->live || walk->dead_version < walk->live_version)) {
		entry = walk->dead;
		walk->version = walk->dead_version;
		walk->dead = step(table, table->dead, &walk->dead_cursor, &walk->dead_version);
	} else {
		entry = walk->live;
		if (!entry)
			return NULL;
		walk->version = walk->live_version;
		step_live(walk);
	}
	return entry;
}
