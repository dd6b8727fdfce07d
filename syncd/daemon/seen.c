/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static uint64_t hash_key(struct record_key key)
{
	uint64_t hash = XXH3_64bits(key.bytes, key.length);
	return hash != 0 ? hash : 1;
}

static void insert(uint64_t *slots, size_t size, uint64_t hash)
{
	size_t at = hash & (size - 1);
	while (slots[at] != 0 && slots[at] != hash)
		at = (at + 1) & (size - 1);
	slots[at] = hash;
}

static int grow(struct seen *seen)
{
	size_t size = seen->size > 0 ? seen->size * 2 : 1024;
	uint64_t *slots = calloc(size, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < seen->size; i++)
		if (seen->slots[i] != 0)
			insert(slots, size, seen->slots[i]);
	free(seen->slots);
	seen->slots = slots;
	seen->size = size;
	return 0;
}

int seen_add(struct seen *seen, struct record_key key)
{
	if (2 * (seen->count + 1) > seen->size) {
		int error = grow(seen);
		if (error < 0)
			return error;
	}
	insert(seen->slots, seen->size, hash_key(key));
	seen->count++;
	return 0;
}

bool seen_has(const struct seen *seen, struct record_key key)
{
	uint64_t hash = hash_key(key);
	if (seen->size == 0)
		return false;
	for (size_t at = hash & (seen->size - 1); seen->slots[at] != 0; at = (at + 1) & (seen->size - 1))
		if (seen->slots[at] == hash)
			return true;
	return false;
}

void seen_clear(struct seen *seen)
{
	free(seen->slots);
	memset(seen, 0, sizeof(*seen));
}
