/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/slab.h"
#include "tests/unit/random_flow.h"

static void objects_keep_their_bytes_while_others_come_and_go(void **state)
{
	enum { OBJECTS = 3000, STEPS = 200000 };
	struct random random = {71};
	struct slab *slab = slab_create();
	uint32_t *references = calloc(OBJECTS, sizeof(*references));
	size_t *sizes = calloc(OBJECTS, sizeof(*sizes));

	(void)state;
	assert_non_null(slab);
	assert_non_null(references);
	assert_non_null(sizes);
	for (int i = 0; i < STEPS; i++) {
		uint32_t which = random_below(&random, OBJECTS);
		uint8_t *bytes;

		if (references[which]) {
			bytes = slab_at(slab, references[which]);
			for (size_t at = 0; at < sizes[which]; at++)
				assert_int_equal(bytes[at], which & 0xff);
			slab_free(slab, references[which]);
			references[which] = SLAB_NONE;
			continue;
		}
		sizes[which] = 1 + random_below(&random, SLAB_OBJECT_MAX);
		references[which] = slab_allocate(slab, sizes[which]);
		assert_int_not_equal(references[which], SLAB_NONE);
		assert_int_not_equal(references[which], UINT32_MAX);
		assert_int_equal(slab_size(slab, references[which]), slab_rounded(sizes[which]));
		bytes = slab_at(slab, references[which]);
		assert_int_equal((uintptr_t)bytes % 8, 0);
		memset(bytes, (int)(which & 0xff), sizes[which]);
	}
	slab_destroy(slab);
	free(references);
	free(sizes);
}

static void memory_is_given_back(void **state)
{
	enum { OBJECTS = 100000 };
	struct slab *slab = slab_create();
	uint32_t *references = calloc(OBJECTS, sizeof(*references));

	(void)state;
	assert_non_null(slab);
	assert_non_null(references);
	for (size_t i = 0; i < OBJECTS; i++)
		references[i] = slab_allocate(slab, 56);
	assert_in_range(slab_memory(slab), OBJECTS * 56, OBJECTS * 57 + SLAB_CHUNK);
	for (size_t i = 0; i < OBJECTS; i++)
		slab_free(slab, references[i]);
	assert_in_range(slab_memory(slab), 0, 2 * SLAB_CHUNK);
	for (size_t i = 0; i < OBJECTS; i++)
		assert_int_not_equal(slab_allocate(slab, 24), SLAB_NONE);
	slab_clear(slab);
	assert_in_range(slab_memory(slab), 0, SLAB_CHUNK);
	slab_destroy(slab);
	free(references);
}

static void what_is_too_large_is_refused(void **state)
{
	struct slab *slab = slab_create();

	(void)state;
	assert_non_null(slab);
	assert_int_equal(slab_allocate(slab, SLAB_OBJECT_MAX + 1), SLAB_NONE);
	assert_int_not_equal(slab_allocate(slab, SLAB_OBJECT_MAX), SLAB_NONE);
	slab_destroy(slab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(objects_keep_their_bytes_while_others_come_and_go),
	    cmocka_unit_test(memory_is_given_back),
	    cmocka_unit_test(what_is_too_large_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
