/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table when memory runs out: each allocation fails in its turn, and nothing is lost or half done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static long allowance = -1; /* allocations that still succeed; -1: all */

static bool may_allocate(void)
{
	if (allowance == 0)
		return false;
	if (allowance > 0)
		allowance--;
	return true;
}

static void *scarce_malloc(size_t size)
{
	return may_allocate() ? malloc(size) : NULL;
}

static void *scarce_calloc(size_t count, size_t size)
{
	return may_allocate() ? calloc(count, size) : NULL;
}

static void *scarce_realloc(void *old, size_t size)
{
	return may_allocate() ? realloc(old, size) : NULL;
}

/* the modules under test, with an allocator that obeys; what they call beyond comes from the library */
#define malloc  scarce_malloc
#define calloc  scarce_calloc
#define realloc scarce_realloc
#include "proto/bucket.c"
#include "proto/slab.c"
#include "proto/table.c"
#include "proto/vlog.c"
#undef malloc
#undef calloc
#undef realloc

#include "tests/unit/random_flow.h"

static void creation_fails_cleanly_at_every_allocation(void **state)
{
	(void)state;
	for (long n = 0;; n++) {
		struct table *table;

		allowance = n;
		table = table_create(10, 10, 1);
		allowance = -1;
		if (table) {
			assert_in_range(n, 5, 20);
			table_destroy(table);
			return;
		}
	}
}

static size_t walk_all(const struct table *table)
{
	struct table_walk walk = table_walk_after(table, 0, true);
	struct table_entry *entry;
	size_t count = 0;
	uint64_t last = 0;

	while ((entry = table_walk_next(&walk))) {
		assert_true(walk.version > last);
		last = walk.version;
		assert_true(table_version(table, entry) == last);
		count++;
	}
	return count;
}

static struct flow variant(struct random *random, uint32_t i)
{
	struct flow flow = plain_flow(i);

	flow.mark = random_below(random, 3);
	if (random_below(random, 4) == 0) {
		flow.present |= FLOW_HAS_LABELS;
		memset(flow.labels, 1 + (int)random_below(random, 3), sizeof(flow.labels));
	}
	return flow;
}

static void a_refused_put_changes_nothing(struct table *table, const uint8_t *record)
{
	uint64_t digest = table_digest(table), newest = table_newest(table), horizon = table_horizon(table);
	size_t count = table_count(table), tombstones = table_tombstones(table);
	struct table_entry *entry = NULL;

	if (table_put(table, record, &entry) != TABLE_NO_MEMORY) {
		assert_non_null(entry);
		entry->flags |= TABLE_ENTRY_EXPOSED;
		return;
	}
	assert_null(entry);
	assert_true(table_digest(table) == digest);
	assert_true(table_newest(table) == newest);
	assert_true(table_horizon(table) == horizon);
	assert_int_equal(table_count(table), count);
	assert_int_equal(table_tombstones(table), tombstones);
}

static void a_removal_always_succeeds(struct table *table, struct table_entry *entry)
{
	uint64_t newest = table_newest(table), horizon = table_horizon(table);
	size_t tombstones = table_tombstones(table);

	assert_true(table_remove(table, entry));
	assert_true(table_newest(table) == newest + 1);
	/* it is told by a tombstone, or by the horizon */
	if (table_tombstones(table) <= tombstones)
		assert_true(table_horizon(table) > horizon);
}

static void without_memory_nothing_is_lost_or_half_done(void **state)
{
	enum { KEYS = 6000, STEPS = 100000 };
	struct table *table = table_create(KEYS, KEYS / 2, 1);
	struct random random = {21};
	uint8_t record[RECORD_MAX];

	(void)state;
	assert_non_null(table);
	for (int i = 0; i < STEPS; i++) {
		struct flow flow = variant(&random, random_below(&random, KEYS));
		struct table_entry *entry;

		if (i % 50 == 0) /* memory comes and goes */
			allowance = random_below(&random, 3) ? 0 : 4;
		assert_int_not_equal(record_encode(&flow, record), 0);
		entry = table_find(table, record_key(record));
		if (entry && !(entry->flags & TABLE_ENTRY_TOMBSTONE) && random_below(&random, 3) == 0)
			a_removal_always_succeeds(table, entry);
		else
			a_refused_put_changes_nothing(table, record);
		if (i % 2000 == 0)
			assert_int_equal(walk_all(table), table_count(table) + table_tombstones(table));
	}
	allowance = -1;
	table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(creation_fails_cleanly_at_every_allocation),
	    cmocka_unit_test(without_memory_nothing_is_lost_or_half_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
