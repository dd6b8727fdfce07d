/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of flow records: by key, and by version.  The cache is the log: every change gives its record the
 * next version and moves it to the tail of the version order, so that "what has a version in (a, b]" is all
 * that live replication, repair and catch-up ever send.
 *
 * A removed record that was exposed (a frame carried it) stays as a tombstone: its key and incarnation, with
 * a version of its own.  Tombstones are bounded; discarding the oldest raises the horizon to its version: who
 * has applied less than the horizon can't be told of all removals any more and needs a full catch-up.
 *
 * The same structure holds the internal table (with tombstones) and each peer's external table (without:
 * there, versions just number the order of arrival).  By key: linear hashing, which grows a bucket at a time,
 * so that no insertion is slow; records lie in slabs of their size.
 */
#ifndef PROTO_TABLE_H
#define PROTO_TABLE_H

#include "proto/record.h"
#include "proto/vlog.h"

struct table;

enum {
	TABLE_ENTRY_TOMBSTONE = 1 << 0, /* bytes[] is the key alone */
	TABLE_ENTRY_EXPOSED = 1 << 1,   /* others know it: from a frame, or it was taken over */
	TABLE_ENTRY_WITHDRAWN = 1 << 2, /* of a tombstone: its removal is to touch no kernel elsewhere */
	TABLE_ENTRY_OURS = 1 << 3,      /* the user's: local.h */
	TABLE_ENTRY_ENDING = 1 << 4,    /* the user's: local.h */
	TABLE_ENTRY_CLOSED = 1 << 5,    /* the user's, and the tombstone's after it: local.h */
};

/*
 * An entry.  A pointer to one is good until the table next changes.  Callers read all of it; `tag`, `mark`,
 * EXPOSED, OURS, ENDING and CLOSED are theirs to write, the rest is the table's.
 */
struct table_entry {
	uint32_t hash;
	uint32_t next;     /* reference of the next in its bucket */
	uint32_t position; /* in the version order */
	uint32_t tag;      /* the user's: internal tables keep the kernel's id there.  Survives updates */
	uint8_t flags;     /* TABLE_ENTRY_* */
	uint8_t mark;      /* the user's: number of the audit pass, or of the catch-up, that saw it last */
	uint8_t incarnation;
	uint8_t key_length;
	uint8_t bytes[]; /* record; of a tombstone: the key */
};

enum table_change {
	TABLE_SAME,      /* nothing but perhaps the timeout differed: no version */
	TABLE_ADDED,     /* the key was unknown, or a tombstone */
	TABLE_REPLACED,  /* the record differed */
	TABLE_FULL,      /* refused: the limit of live flows is reached; nothing changed */
	TABLE_NO_MEMORY, /* refused: out of memory; nothing changed */
};

/* At most `flows` live records and `tombstones` tombstones.  `seed` keys the hash (random: neighbours choose
 * the keys). Returns NULL when out of memory. */
struct table *table_create(uint32_t flows, uint32_t tombstones, uint64_t seed);
void table_destroy(struct table *table);

/* Changes the limits; what is above the new one stays until it goes by itself (tombstones are discarded). */
void table_set_limits(struct table *table, uint32_t flows, uint32_t tombstones);

/* The entry of a key, live or tombstone; NULL if there is none. */
struct table_entry *table_find(const struct table *table, struct record_key key);

/*
 * Adds or replaces the record of its key.  The record must be good (record_check()).  *entry is set unless
 * refused. A new entry starts with tag 0, mark 0 and no flag; one that follows a tombstone keeps EXPOSED.
 */
enum table_change table_put(struct table *table, const uint8_t *record, struct table_entry **entry);

/*
 * Removes a live entry: an exposed one becomes a tombstone.  Where none can be kept (the limit is 0, no
 * memory), the horizon is raised instead, as if it had been discarded at once.  True if the removal took a
 * version.
 */
bool table_remove(struct table *table, struct table_entry *entry);

/* The same; a tombstone that it leaves bears WITHDRAWN. */
bool table_withdraw(struct table *table, struct table_entry *entry);

/*
 * Others are told the digest as of the newest version: from now on what that version holds changes only with
 * another version, also when what is removed was never exposed (then without a tombstone).
 */
void table_announce(struct table *table);

/* Removes everything, tombstones too; versions go on counting, and the horizon is raised to the newest. */
void table_clear(struct table *table);

size_t table_count(const struct table *table);   /* live flows */
size_t table_records(const struct table *table); /* live: flows and expectations */
size_t table_tombstones(const struct table *table);
uint32_t table_limit(const struct table *table);  /* of live flows */
uint64_t table_digest(const struct table *table); /* sum modulo 2^64 of record_hash() of each live record */
uint64_t table_newest(const struct table *table); /* highest version given; 0: none yet */
uint64_t table_horizon(const struct table *table);
size_t table_memory(const struct table *table); /* bytes allocated, all overhead included */
uint64_t table_version(const struct table *table, const struct table_entry *entry);

/*
 * That key will be looked for soon, after some hundred others at most: what it takes to find it is fetched
 * into the cache meanwhile.  Of a million flows nearly each lookup waits for memory two or three times
 * otherwise.
 */
void table_foresee(struct table *table, struct record_key key);

/*
 * The same for keys that are looked for next, all of them: their waits for memory become one.  At most
 * TABLE_TOGETHER.
 */
enum { TABLE_TOGETHER = 32 };
void table_foresee_all(const struct table *table, const struct record_key *keys, unsigned count);

/*
 * Has `observer` told of what happens to live entries from now on; NULL: nobody.  `entry` is borrowed for the
 * call, in which the table may not be changed; of a removed one it is what was there; NULL with
 * TABLE_EMPTIED.  TABLE_CHANGED is an entry of another incarnation, too.  `id` is the caller's, to tell its
 * tables apart.
 */
enum table_event { TABLE_CAME, TABLE_CHANGED, TABLE_GONE, TABLE_EMPTIED };
typedef void table_observer(void *context, uint16_t id, enum table_event event,
			    const struct table_entry *entry);
void table_observe(struct table *table, table_observer *observer, void *context, uint16_t id);

/* Walks entries in version order: of flows, unless more is asked for.  Good until the table changes; to go on
 * after that, start again behind the last version. */
struct table_walk {
	const struct table *table;
	uint64_t version; /* of the entry last returned, or where the walk starts */
	bool with_expects;
	/* heads of the two orders, not yet returned; the walk merges them */
	struct vlog_cursor live_cursor, dead_cursor;
	uint64_t live_version, dead_version;
	struct table_entry *live, *dead;
};

/*
 * Starts behind `after`: the first entry returned is the one with the lowest version greater than it.  Flows
 * alone; or `all`: expectations and tombstones, too.
 */
struct table_walk table_walk_after(const struct table *table, uint64_t after, bool all);
/* Flows and expectations, no tombstones. */
struct table_walk table_walk_records_after(const struct table *table, uint64_t after);

/* The next entry, its version in walk->version; NULL at the end. */
struct table_entry *table_walk_next(struct table_walk *walk);

#endif
