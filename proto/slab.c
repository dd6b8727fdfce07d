/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/slab.h"

#include <stdlib.h>
#include <string.h>

enum {
	SIZE_CLASSES = SLAB_OBJECT_MAX / SLAB_STEP + 1, /* class = size / SLAB_STEP */
	SIZE_MIN = 24, /* so that the slots of a chunk fit in SLAB_SLOT_BITS */
	NO_SLOT = 0xffff,
	NO_CHUNK = 0, /* chunk 0 is never used: a reference of 0 is none */
	CHUNKS_MAX = (1 << (32 - SLAB_SLOT_BITS)) - 1,
	CHUNKS_FIRST = 16,
};

_Static_assert(SLAB_CHUNK / SIZE_MIN < 1 << SLAB_SLOT_BITS, "a slot number fits in a reference");

/* What is known of a chunk lies apart from it, together with the others': a look-up stays in the cache. */
struct chunk {
	uint8_t *base;
	uint16_t size;  /* of its objects */
	uint16_t used;  /* objects allocated */
	uint16_t fresh; /* slots from here on were never used */
	uint16_t free;  /* first of the freed slots, each of which holds the next; NO_SLOT at the end */
	uint32_t next,
	    prev; /* among the chunks of its class that have room; next also links unused numbers */
};

struct slab {
	struct chunk *chunks;
	uint32_t room;   /* of chunks[] */
	uint32_t count;  /* numbers below were used at some time */
	uint32_t unused; /* first of the numbers to be used again */
	uint32_t in_use; /* chunks that exist */
	uint8_t *spare;  /* an empty chunk */
	uint32_t partial[SIZE_CLASSES];
};

struct slab *slab_create(void)
{
	struct slab *slab = calloc(1, sizeof(*slab));

	if (slab)
		slab->count = 1;
	return slab;
}

void slab_clear(struct slab *slab)
{
	for (uint32_t i = 1; i < slab->count; i++)
		free(slab->chunks[i].base);
	free(slab->chunks);
	free(slab->spare);
	*slab = (struct slab){.count = 1};
}

void slab_destroy(struct slab *slab)
{
	if (!slab)
		return;
	slab_clear(slab);
	free(slab);
}

static unsigned slots_of(const struct chunk *chunk)
{
	return (unsigned)SLAB_CHUNK / chunk->size;
}

static void link_partial(struct slab *slab, uint32_t number)
{
	struct chunk *chunk = &slab->chunks[number];
	uint32_t *head = &slab->partial[chunk->size / SLAB_STEP];

	chunk->prev = NO_CHUNK;
	chunk->next = *head;
	if (*head)
		slab->chunks[*head].prev = number;
	*head = number;
}

static void unlink_partial(struct slab *slab, uint32_t number)
{
	struct chunk *chunk = &slab->chunks[number];

	if (chunk->prev)
		slab->chunks[chunk->prev].next = chunk->next;
	else
		slab->partial[chunk->size / SLAB_STEP] = chunk->next;
	if (chunk->next)
		slab->chunks[chunk->next].prev = chunk->prev;
}

/* A number for a new chunk; NO_CHUNK when out of memory. */
static uint32_t take_number(struct slab *slab)
{
	uint32_t number = slab->unused;

	if (number) {
		slab->unused = slab->chunks[number].next;
		return number;
	}
	if (slab->count >= CHUNKS_MAX)
		return NO_CHUNK;
	if (slab->count >= slab->room) {
		uint32_t room = slab->room ? slab->room * 2 : CHUNKS_FIRST;
		struct chunk *chunks = realloc(slab->chunks, room * sizeof(*chunks));

		if (!chunks)
			return NO_CHUNK;
		slab->chunks = chunks;
		slab->room = room;
	}
	return slab->count++;
}

static void give_number_back(struct slab *slab, uint32_t number)
{
	slab->chunks[number].base = NULL;
	slab->chunks[number].next = slab->unused;
	slab->unused = number;
}

/* A chunk for objects of `size`, linked as having room; NO_CHUNK when out of memory. */
static uint32_t add_chunk(struct slab *slab, uint16_t size)
{
	uint32_t number = take_number(slab);
	uint8_t *base = slab->spare;

	if (number == NO_CHUNK)
		return NO_CHUNK;
	if (!base)
		base = malloc(SLAB_CHUNK);
	if (!base) {
		give_number_back(slab, number);
		return NO_CHUNK;
	}
	slab->spare = NULL;
	slab->in_use++;
	slab->chunks[number] = (struct chunk){.base = base, .size = size, .free = NO_SLOT};
	link_partial(slab, number);
	return number;
}

static void drop_chunk(struct slab *slab, uint32_t number)
{
	uint8_t *base = slab->chunks[number].base;

	unlink_partial(slab, number);
	give_number_back(slab, number);
	slab->in_use--;
	if (slab->spare)
		free(base);
	else
		slab->spare = base;
}

size_t slab_rounded(size_t size)
{
	return size < SIZE_MIN ? SIZE_MIN : (size + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP;
}

uint32_t slab_allocate(struct slab *slab, size_t size)
{
	uint16_t rounded = (uint16_t)slab_rounded(size);
	uint32_t number;
	struct chunk *chunk;
	uint16_t slot;

	if (size > SLAB_OBJECT_MAX)
		return SLAB_NONE;
	number = slab->partial[rounded / SLAB_STEP];
	if (!number)
		number = add_chunk(slab, rounded);
	if (!number)
		return SLAB_NONE;
	chunk = &slab->chunks[number];
	slot = chunk->free;
	if (slot == NO_SLOT)
		slot = chunk->fresh++;
	else
		memcpy(&chunk->free, chunk->base + (size_t)slot * chunk->size, sizeof(chunk->free));
	chunk->used++;
	if (chunk->used == slots_of(chunk))
		unlink_partial(slab, number);
	return number << SLAB_SLOT_BITS | slot;
}

void slab_free(struct slab *slab, uint32_t reference)
{
	uint32_t number = reference >> SLAB_SLOT_BITS;
	uint16_t slot = (uint16_t)(reference & ((1u << SLAB_SLOT_BITS) - 1));
	struct chunk *chunk = &slab->chunks[number];

	if (chunk->used == slots_of(chunk))
		link_partial(slab, number);
	memcpy(chunk->base + (size_t)slot * chunk->size, &chunk->free, sizeof(chunk->free));
	chunk->free = slot;
	if (--chunk->used == 0)
		drop_chunk(slab, number);
}

void *slab_at(const struct slab *slab, uint32_t reference)
{
	const struct chunk *chunk = &slab->chunks[reference >> SLAB_SLOT_BITS];

	return chunk->base + (size_t)(reference & ((1u << SLAB_SLOT_BITS) - 1)) * chunk->size;
}

size_t slab_size(const struct slab *slab, uint32_t reference)
{
	return slab->chunks[reference >> SLAB_SLOT_BITS].size;
}

size_t slab_memory(const struct slab *slab)
{
	enum { MALLOC_HEADER = 16 };
	size_t chunks = slab->in_use + (slab->spare ? 1 : 0);

	return sizeof(*slab) + slab->room * sizeof(*slab->chunks) + chunks * (SLAB_CHUNK + MALLOC_HEADER);
}
