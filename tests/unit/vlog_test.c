/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/vlog.h"
#include "tests/unit/random_flow.h"

enum { ITEMS = 20000 };

/* What should be in the log, by reference: version 0 for what isn't. */
struct model {
	struct vlog *log;
	uint64_t version[ITEMS];
	uint32_t position[ITEMS];
	uint64_t newest;
	size_t count;
	size_t moves;
};

static void moved(void *context, uint32_t reference, uint32_t position)
{
	struct model *model = context;

	assert_in_range(reference, 0, ITEMS - 1);
	assert_true(model->version[reference] != 0);
	model->position[reference] = position;
	model->moves++;
}

static struct model *model_create(void)
{
	struct model *model = calloc(1, sizeof(*model));

	assert_non_null(model);
	model->log = vlog_create(moved, model);
	assert_non_null(model->log);
	return model;
}

static void model_destroy(struct model *model)
{
	vlog_destroy(model->log);
	free(model);
}

static void append(struct model *model, uint32_t reference, uint64_t step)
{
	model->newest += step;
	assert_int_equal(vlog_append(model->log, model->newest, reference, &model->position[reference]), 0);
	model->version[reference] = model->newest;
	model->count++;
}

static void remove_one(struct model *model, uint32_t reference)
{
	model->version[reference] = 0;
	model->count--;
	vlog_remove(model->log, model->position[reference]);
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* All that is behind `after` comes out once, in order, and every position tells its version. */
static void compare(const struct model *model, uint64_t after)
{
	uint64_t *expected = calloc(ITEMS, sizeof(*expected)), version;
	struct vlog_cursor cursor = vlog_seek(model->log, after);
	size_t count = 0;
	uint32_t reference;

	assert_non_null(expected);
	assert_int_equal(vlog_count(model->log), model->count);
	for (uint32_t i = 0; i < ITEMS; i++) {
		if (model->version[i])
			assert_true(vlog_version(model->log, model->position[i]) == model->version[i]);
		if (model->version[i] > after)
			expected[count++] = model->version[i];
	}
	qsort(expected, count, sizeof(*expected), ascending);
	for (size_t i = 0; i < count; i++) {
		assert_true(vlog_next(model->log, &cursor, &version, &reference));
		assert_true(version == expected[i]);
		assert_true(model->version[reference] == version);
	}
	assert_false(vlog_next(model->log, &cursor, &version, &reference));
	free(expected);
}

/* Three slots for a live one, and a few segments that fill or wait. */
static void assert_dense(const struct model *model)
{
	assert_in_range(vlog_memory(model->log), 0, (3 * model->count + 6 * VLOG_SEGMENT) * 9);
}

static void it_keeps_what_a_sorted_list_keeps(void **state)
{
	struct random random = {31};
	struct model *model = model_create();

	(void)state;
	for (int i = 0; i < 400000; i++) {
		uint32_t reference = random_below(&random, ITEMS);
		uint32_t removals = i / 50000 % 2 ? 90 : 30; /* swells, then shrinks */

		if (model->version[reference])
			remove_one(model, reference);
		if (random_below(&random, 100) >= removals)
			append(model, reference, 1 + random_below(&random, 3));
		if (i % 20000 == 0) {
			compare(model, 0);
			compare(model, random_u64(&random) % (model->newest + 2));
			assert_dense(model);
		}
	}
	assert_true(model->moves > 0);
	model_destroy(model);
}

static void it_stays_dense_when_few_of_each_segment_live_on(void **state)
{
	struct model *model = model_create();
	uint32_t survivors = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000000; i++) {
		if (i % 500 == 0) {
			append(model, 1 + survivors++, 1);
		} else {
			append(model, 0, 1); /* gone at once, while it is in the tail */
			remove_one(model, 0);
		}
	}
	compare(model, 0);
	compare(model, model->newest / 2);
	assert_dense(model);
	model_destroy(model);
}

static void it_stays_dense_when_a_segment_empties_after_the_other(void **state)
{
	struct model *model = model_create();

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++)
		append(model, i, 1);
	for (uint32_t i = 0; i < ITEMS; i++) {
		if (i % 700)
			remove_one(model, i);
		if (i % 1000 == 0)
			assert_dense(model);
	}
	compare(model, 0);
	assert_dense(model);
	model_destroy(model);
}

static void versions_may_be_far_apart(void **state)
{
	struct model *model = model_create();

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		append(model, i, (uint64_t)1 << 33);
	for (uint64_t after = 0; after < model->newest; after += (uint64_t)1 << 32)
		compare(model, after);
	for (uint32_t i = 0; i < 20; i += 2)
		remove_one(model, i);
	compare(model, (uint64_t)5 << 33);
	compare(model, UINT64_MAX);
	model_destroy(model);
}

static void a_reference_can_be_replaced_in_its_place(void **state)
{
	struct model *model = model_create();
	struct vlog_cursor cursor;
	uint64_t version;
	uint32_t reference;

	(void)state;
	append(model, 1, 1);
	append(model, 2, 1);
	vlog_set_reference(model->log, model->position[1], 7);
	cursor = vlog_seek(model->log, 0);
	assert_true(vlog_next(model->log, &cursor, &version, &reference));
	assert_int_equal(reference, 7);
	assert_true(version == 1);
	model_destroy(model);
}

static void a_cleared_log_is_empty_and_goes_on(void **state)
{
	struct model *model = model_create();

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		append(model, i, 1);
	vlog_clear(model->log);
	memset(model->version, 0, sizeof(model->version));
	model->count = 0;
	compare(model, 0);
	for (uint32_t i = 0; i < 3000; i++)
		append(model, i, 1);
	compare(model, 0);
	model_destroy(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_keeps_what_a_sorted_list_keeps),
	    cmocka_unit_test(it_stays_dense_when_few_of_each_segment_live_on),
	    cmocka_unit_test(it_stays_dense_when_a_segment_empties_after_the_other),
	    cmocka_unit_test(versions_may_be_far_apart),
	    cmocka_unit_test(a_reference_can_be_replaced_in_its_place),
	    cmocka_unit_test(a_cleared_log_is_empty_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
