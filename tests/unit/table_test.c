/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table against a model that does everything the slow way, and the promises of table.h one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/table.h"
#include "tests/unit/random_flow.h"

enum { KEYS = 3000, STEPS = 300000, MODEL_TOMBSTONES = 400 };

enum model_state { ABSENT, LIVE, DEAD };

struct model_entry {
	enum model_state state;
	bool is_exposed;
	uint32_t tag;
	uint64_t version;
	uint8_t record[RECORD_MAX];
};

struct model {
	struct model_entry entries[KEYS];
	uint32_t limit;
	uint32_t live, dead;
	uint64_t newest, horizon;
};

/* Key number i; what else is in the record comes from the random numbers, and so does its length. */
static void make_record(struct random *random, uint32_t i, uint8_t record[RECORD_MAX])
{
	struct flow flow = i % 3 ? plain_flow(i) : snat_flow(i);

	if (i % 5 == 0)
		flow.zone = 9;
	flow.incarnation = (uint8_t)random_below(random, 3);
	flow.status = random_below(random, 2) ? 0xe : 0x8;
	flow.timeout_s = random_below(random, 1000);
	flow.mark = random_below(random, 2) ? 5 : 0;
	if (random_below(random, 8) == 0) {
		flow.present |= FLOW_HAS_LABELS;
		random_fill(random, flow.labels, sizeof(flow.labels));
	}
	assert_int_not_equal(record_encode(&flow, record), 0);
}

static bool model_put(struct model *model, uint32_t i, const uint8_t *record, enum table_change *change)
{
	struct model_entry *e = &model->entries[i];

	if (e->state == LIVE && record_equals(e->record, record)) {
		memcpy(e->record, record, record_length(record));
		*change = TABLE_SAME;
		return true;
	}
	if (e->state != LIVE && model->live >= model->limit) {
		*change = TABLE_FULL;
		return false;
	}
	*change = e->state == LIVE ? TABLE_REPLACED : TABLE_ADDED;
	if (e->state != LIVE) {
		e->tag = 0;
		model->live++;
	}
	if (e->state == ABSENT)
		e->is_exposed = false;
	if (e->state == DEAD)
		model->dead--;
	e->state = LIVE;
	e->version = ++model->newest;
	memcpy(e->record, record, record_length(record));
	return true;
}

static void model_remove(struct model *model, uint32_t i)
{
	struct model_entry *e = &model->entries[i], *oldest = NULL;

	model->live--;
	if (!e->is_exposed) {
		e->state = ABSENT;
		return;
	}
	e->state = DEAD;
	e->version = ++model->newest;
	if (++model->dead <= MODEL_TOMBSTONES)
		return;
	for (i = 0; i < KEYS; i++) {
		struct model_entry *other = &model->entries[i];

		if (other->state == DEAD && (!oldest || other->version < oldest->version))
			oldest = other;
	}
	assert_non_null(oldest);
	model->horizon = oldest->version;
	oldest->state = ABSENT;
	model->dead--;
}

static int by_version(const void *a, const void *b)
{
	const struct model_entry *const *x = a, *const *y = b;

	return ((*x)->version > (*y)->version) - ((*x)->version < (*y)->version);
}

static void compare_walk(const struct table *table, const struct model *model, uint64_t after,
			 bool with_tombstones)
{
	const struct model_entry *expected[KEYS];
	struct table_walk walk = table_walk_after(table, after, with_tombstones);
	size_t count = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		const struct model_entry *e = &model->entries[i];

		if (e->version > after && (e->state == LIVE || (e->state == DEAD && with_tombstones)))
			expected[count++] = e;
	}
	if (count)
		qsort(expected, count, sizeof(expected[0]), by_version);
	for (size_t i = 0; i < count; i++) {
		struct table_entry *entry = table_walk_next(&walk);
		const struct model_entry *e = expected[i];
		struct record_key key = record_key(e->record);

		assert_non_null(entry);
		assert_true(walk.version == e->version);
		assert_true(table_version(table, entry) == e->version);
		assert_int_equal(entry->incarnation, record_incarnation(e->record));
		assert_int_equal(entry->key_length, key.length);
		assert_int_equal(entry->tag, e->tag);
		assert_int_equal(entry->flags & TABLE_ENTRY_EXPOSED, e->is_exposed ? TABLE_ENTRY_EXPOSED : 0);
		if (entry->flags & TABLE_ENTRY_TOMBSTONE)
			assert_memory_equal(entry->bytes, key.bytes, key.length);
		else
			assert_memory_equal(entry->bytes, e->record, record_length(e->record));
	}
	assert_null(table_walk_next(&walk));
}

static void compare(const struct table *table, const struct model *model, struct random *random)
{
	uint64_t digest = 0;

	for (uint32_t i = 0; i < KEYS; i++)
		if (model->entries[i].state == LIVE)
			digest += record_hash(model->entries[i].record);
	assert_true(table_digest(table) == digest);
	compare_walk(table, model, 0, true);
	compare_walk(table, model, random_below(random, (uint32_t)model->newest + 2), true);
	compare_walk(table, model, random_below(random, (uint32_t)model->newest + 2), false);
}

static void step(struct table *table, struct model *model, struct random *random, uint32_t removal_percent)
{
	uint32_t i = random_below(random, KEYS);
	struct model_entry *e = &model->entries[i];
	struct table_entry *entry = NULL;
	uint8_t record[RECORD_MAX];

	make_record(random, i, record);
	entry = table_find(table, record_key(record));
	assert_int_equal(entry ? (entry->flags & TABLE_ENTRY_TOMBSTONE ? DEAD : LIVE) : ABSENT, e->state);
	if (e->state == LIVE && random_below(random, 100) < removal_percent) {
		assert_int_equal(table_remove(table, entry), e->is_exposed);
		model_remove(model, i);
	} else {
		enum table_change expected;
		bool is_in = model_put(model, i, record, &expected);

		assert_int_equal(table_put(table, record, &entry), expected);
		if (is_in && random_below(random, 2)) {
			entry->flags |= TABLE_ENTRY_EXPOSED;
			e->is_exposed = true;
		}
		if (is_in && random_below(random, 2))
			entry->tag = e->tag = (uint32_t)random_u64(random);
	}
	assert_int_equal(table_count(table), model->live);
	assert_int_equal(table_tombstones(table), model->dead);
	assert_true(table_newest(table) == model->newest);
	assert_true(table_horizon(table) == model->horizon);
}

static void it_does_what_a_naive_model_does(void **state)
{
	struct random random = {11};
	struct model *model = calloc(1, sizeof(*model));
	struct table *table = table_create(KEYS - 500, MODEL_TOMBSTONES, 42);

	(void)state;
	assert_non_null(model);
	assert_non_null(table);
	model->limit = KEYS - 500;
	for (int i = 0; i < STEPS; i++) {
		/* swells and shrinks, full and nearly empty in turn */
		step(table, model, &random, i / 30000 % 2 ? 95 : 10);
		if (i % 1000 == 0)
			compare(table, model, &random);
	}
	compare(table, model, &random);
	table_destroy(table);
	free(model);
}

static struct table_entry *put(struct table *table, const struct flow *flow, enum table_change expected)
{
	struct table_entry *entry = NULL;
	uint8_t record[RECORD_MAX];

	assert_int_not_equal(record_encode(flow, record), 0);
	assert_int_equal(table_put(table, record, &entry), expected);
	return entry;
}

static struct table_entry *find(const struct table *table, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];

	return table_find(table, (struct record_key){.bytes = key, .length = record_encode_key(flow, key)});
}

static void a_new_timeout_alone_takes_no_version_but_is_kept(void **state)
{
	struct table *table = table_create(10, 10, 1);
	struct flow flow = plain_flow(1);
	struct table_entry *entry;

	(void)state;
	put(table, &flow, TABLE_ADDED);
	flow.timeout_s = 17;
	entry = put(table, &flow, TABLE_SAME);
	assert_int_equal(record_timeout_s(entry->bytes), 17);
	assert_true(table_newest(table) == 1);
	table_destroy(table);
}

static void tag_mark_and_exposed_survive_a_replacement_of_another_size(void **state)
{
	struct table *table = table_create(10, 10, 1);
	struct flow flow = plain_flow(1);
	struct table_entry *entry;

	(void)state;
	entry = put(table, &flow, TABLE_ADDED);
	assert_int_equal(entry->tag | entry->mark | entry->flags, 0);
	entry->tag = 77;
	entry->mark = 3;
	entry->flags |= TABLE_ENTRY_EXPOSED;
	flow.present |= FLOW_HAS_LABELS;
	memset(flow.labels, 1, sizeof(flow.labels));
	entry = put(table, &flow, TABLE_REPLACED);
	assert_int_equal(entry->tag, 77);
	assert_int_equal(entry->mark, 3);
	assert_int_equal(entry->flags, TABLE_ENTRY_EXPOSED);
	assert_ptr_equal(find(table, &flow), entry);
	table_destroy(table);
}

static void an_unexposed_flow_leaves_no_trace(void **state)
{
	struct table *table = table_create(10, 10, 1);
	struct flow flow = plain_flow(1);

	(void)state;
	assert_false(table_remove(table, put(table, &flow, TABLE_ADDED)));
	assert_null(find(table, &flow));
	assert_int_equal(table_tombstones(table), 0);
	assert_true(table_newest(table) == 1);
	assert_true(table_digest(table) == 0);
	table_destroy(table);
}

static void a_flow_that_follows_its_tombstone_is_new_but_exposed(void **state)
{
	struct table *table = table_create(10, 10, 1);
	struct flow flow = snat_flow(1);
	struct table_entry *entry;
	struct table_walk walk;

	(void)state;
	entry = put(table, &flow, TABLE_ADDED);
	entry->flags |= TABLE_ENTRY_EXPOSED;
	entry->tag = 5;
	entry->mark = 6;
	assert_true(table_remove(table, entry));
	entry = find(table, &flow);
	assert_non_null(entry);
	assert_true(entry->flags & TABLE_ENTRY_TOMBSTONE);
	assert_true(table_version(table, entry) == 2);
	assert_int_equal(table_count(table), 0);
	entry = put(table, &flow, TABLE_ADDED);
	assert_int_equal(entry->flags, TABLE_ENTRY_EXPOSED);
	assert_int_equal(entry->tag | entry->mark, 0);
	assert_int_equal(table_tombstones(table), 0);
	walk = table_walk_after(table, 0, true);
	assert_ptr_equal(table_walk_next(&walk), entry);
	assert_true(walk.version == 3);
	assert_null(table_walk_next(&walk));
	table_destroy(table);
}

static void remove_exposed(struct table *table, uint32_t i)
{
	struct flow flow = plain_flow(i);
	struct table_entry *entry = put(table, &flow, TABLE_ADDED);

	entry->flags |= TABLE_ENTRY_EXPOSED;
	assert_true(table_remove(table, entry));
}

static void the_oldest_tombstone_goes_and_raises_the_horizon(void **state)
{
	struct table *table = table_create(10, 2, 1);
	struct flow first = plain_flow(1), second = plain_flow(2);

	(void)state;
	remove_exposed(table, 1); /* versions 1, 2 */
	remove_exposed(table, 2); /* 3, 4 */
	assert_true(table_horizon(table) == 0);
	remove_exposed(table, 3); /* 5, 6 */
	assert_true(table_horizon(table) == 2);
	assert_null(find(table, &first));
	assert_non_null(find(table, &second));
	table_set_limits(table, 10, 1);
	assert_true(table_horizon(table) == 4);
	assert_int_equal(table_tombstones(table), 1);
	table_destroy(table);
}

static void without_tombstones_an_exposed_removal_raises_the_horizon_at_once(void **state)
{
	struct table *table = table_create(10, 0, 1);

	(void)state;
	remove_exposed(table, 1);
	assert_int_equal(table_tombstones(table), 0);
	assert_true(table_newest(table) == 2);
	assert_true(table_horizon(table) == 2);
	table_destroy(table);
}

static void a_full_table_refuses_only_what_it_does_not_know(void **state)
{
	struct table *table = table_create(2, 2, 1);
	struct flow flow = plain_flow(1), other = plain_flow(2), third = plain_flow(3);

	(void)state;
	put(table, &flow, TABLE_ADDED);
	put(table, &other, TABLE_ADDED);
	put(table, &third, TABLE_FULL);
	assert_null(find(table, &third));
	flow.mark = 9;
	put(table, &flow, TABLE_REPLACED);
	table_set_limits(table, 3, 2);
	assert_int_equal(table_limit(table), 3);
	put(table, &third, TABLE_ADDED);
	table_set_limits(table, 1, 2);
	assert_int_equal(table_count(table), 3);
	table_destroy(table);
}

struct heard {
	char kinds[16];
	size_t count;
	uint16_t id;
	struct flow last;
};

static void hear(void *context, uint16_t id, enum table_event event, const struct table_entry *entry)
{
	struct heard *heard = context;

	assert_in_range(heard->count, 0, sizeof(heard->kinds) - 2);
	heard->kinds[heard->count++] = "+*-0"[event];
	heard->id = id;
	assert_int_equal(event == TABLE_EMPTIED, entry == NULL);
	if (entry)
		record_decode(entry->bytes, &heard->last);
}

static void an_observer_is_told_of_every_change_and_of_nothing_else(void **state)
{
	struct table *table = table_create(2, 10, 1);
	struct flow flow = plain_flow(1), other = plain_flow(2), third = plain_flow(3);
	struct heard heard = {.count = 0};
	uint8_t record[RECORD_MAX];

	(void)state;
	table_observe(table, hear, &heard, 77);
	table_clear(table); /* nothing was in it */
	put(table, &flow, TABLE_ADDED);
	flow.timeout_s += 5;
	put(table, &flow, TABLE_SAME);
	flow.mark = 9;
	flow.present |= FLOW_HAS_MARK;
	put(table, &flow, TABLE_REPLACED);
	assert_int_equal(heard.last.mark, 9);
	put(table, &other, TABLE_ADDED);
	put(table, &third, TABLE_FULL);
	heard.last.mark = 0;
	assert_int_equal(record_encode(&flow, record) > 0, 1);
	table_remove(table, table_find(table, record_key(record)));
	assert_int_equal(heard.last.mark, 9);
	put(table, &third, TABLE_ADDED);
	table_clear(table);
	assert_string_equal(heard.kinds, "+*+-+0");
	assert_int_equal(heard.id, 77);
	table_observe(table, NULL, NULL, 0);
	put(table, &flow, TABLE_ADDED);
	assert_int_equal(heard.count, 6);
	table_destroy(table);
}

static void a_cleared_table_is_empty_but_goes_on_counting(void **state)
{
	struct table *table = table_create(5000, 10, 1);
	struct table_walk walk;
	size_t empty = table_memory(table);

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		struct flow flow = plain_flow(i);

		put(table, &flow, TABLE_ADDED);
	}
	table_clear(table);
	assert_int_equal(table_count(table), 0);
	assert_true(table_digest(table) == 0);
	assert_true(table_newest(table) == 5001);
	assert_true(table_horizon(table) == 5001);
	assert_in_range(table_memory(table), 0, empty + 4096);
	walk = table_walk_after(table, 0, true);
	assert_null(table_walk_next(&walk));
	remove_exposed(table, 1);
	assert_true(table_newest(table) == 5003);
	table_destroy(table);
}

static void what_was_announced_changes_only_with_a_version(void **state)
{
	struct table *table = table_create(100, 10, 1);
	struct flow early = plain_flow(1), late = plain_flow(2);
	uint8_t key[RECORD_KEY_MAX];

	(void)state;
	put(table, &early, TABLE_ADDED);
	table_announce(table);
	put(table, &late, TABLE_ADDED);
	/* never exposed, and newer than what was told: it goes without a trace */
	assert_false(
	    table_remove(table, table_find(table, (struct record_key){key, record_encode_key(&late, key)})));
	assert_int_equal(table_newest(table), 2);
	/* its digest was told: another version, but no tombstone */
	assert_true(
	    table_remove(table, table_find(table, (struct record_key){key, record_encode_key(&early, key)})));
	assert_int_equal(table_newest(table), 3);
	assert_int_equal(table_tombstones(table), 0);
	assert_int_equal(table_horizon(table), 0);
	table_destroy(table);
}

static void the_digest_does_not_depend_on_the_way(void **state)
{
	struct table *a = table_create(100, 10, 1), *b = table_create(100, 10, 2);

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct flow flow = plain_flow(i), last = snat_flow(99 - i);

		put(a, &flow, TABLE_ADDED);
		put(b, &last, TABLE_ADDED);
	}
	assert_true(table_digest(a) != table_digest(b));
	for (uint32_t i = 0; i < 100; i++) {
		struct flow flow = snat_flow(i);

		put(a, &flow, TABLE_REPLACED);
	}
	assert_true(table_digest(a) == table_digest(b));
	table_destroy(a);
	table_destroy(b);
}

static void an_ipv4_flow_takes_far_less_than_150_bytes(void **state)
{
	enum { FLOWS = 200000 };
	struct table *table = table_create(FLOWS, FLOWS / 2, 1);
	struct random random = {12};

	(void)state;
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow flow = snat_flow(i);

		put(table, &flow, TABLE_ADDED);
	}
	assert_in_range(table_memory(table), 0, 85 * FLOWS);
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint32_t which = random_below(&random, FLOWS);
		struct flow flow = snat_flow(which);

		flow.mark = 0x10000 + i;
		put(table, &flow, TABLE_REPLACED);
	}
	assert_in_range(table_memory(table), 0, 100 * FLOWS);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow flow = snat_flow(i);

		table_remove(table, find(table, &flow));
	}
	assert_in_range(table_memory(table), 0, 1 << 20);
	table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_does_what_a_naive_model_does),
	    cmocka_unit_test(a_new_timeout_alone_takes_no_version_but_is_kept),
	    cmocka_unit_test(tag_mark_and_exposed_survive_a_replacement_of_another_size),
	    cmocka_unit_test(an_unexposed_flow_leaves_no_trace),
	    cmocka_unit_test(a_flow_that_follows_its_tombstone_is_new_but_exposed),
	    cmocka_unit_test(the_oldest_tombstone_goes_and_raises_the_horizon),
	    cmocka_unit_test(without_tombstones_an_exposed_removal_raises_the_horizon_at_once),
	    cmocka_unit_test(a_full_table_refuses_only_what_it_does_not_know),
	    cmocka_unit_test(an_observer_is_told_of_every_change_and_of_nothing_else),
	    cmocka_unit_test(a_cleared_table_is_empty_but_goes_on_counting),
	    cmocka_unit_test(what_was_announced_changes_only_with_a_version),
	    cmocka_unit_test(the_digest_does_not_depend_on_the_way),
	    cmocka_unit_test(an_ipv4_flow_takes_far_less_than_150_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
