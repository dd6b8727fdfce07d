/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/keyset.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SIZE_FIRST = 1024 };

void keyset_init(struct keyset *set, uint64_t seed)
{
	*set = (struct keyset){.seed = seed};
}

void keyset_clear(struct keyset *set)
{
	free(set->slots);
	keyset_init(set, set->seed);
}

static uint64_t key_hash(const struct keyset *set, struct record_key key)
{
	uint64_t hash = XXH3_64bits_withSeed(key.bytes, key.length, set->seed);

	return hash ? hash : 1;
}

static uint64_t *slot_of(uint64_t *slots, size_t size, uint64_t hash)
{
	size_t i = hash & (size - 1);

	while (slots[i] && slots[i] != hash)
		i = (i + 1) & (size - 1);
	return &slots[i];
}

static bool keyset_grow(struct keyset *set)
{
	size_t size = set->size ? set->size * 2 : SIZE_FIRST;
	uint64_t *slots;

	if (size > 2 * KEYSET_MAX)
		return false;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < set->size; i++)
		if (set->slots[i])
			*slot_of(slots, size, set->slots[i]) = set->slots[i];
	free(set->slots);
	set->slots = slots;
	set->size = size;
	return true;
}

void keyset_add(struct keyset *set, struct record_key key)
{
	uint64_t hash = key_hash(set, key), *slot;

	if (set->count >= set->size / 2 && !keyset_grow(set)) {
		set->overflowed = true;
		return;
	}
	slot = slot_of(set->slots, set->size, hash);
	if (*slot)
		return;
	*slot = hash;
	set->count++;
}

bool keyset_has(const struct keyset *set, struct record_key key)
{
	return set->count && *slot_of(set->slots, set->size, key_hash(set, key));
}
