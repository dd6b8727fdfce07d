/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slabs: objects of SLAB_OBJECT_MAX bytes at most, named by 32-bit references instead of pointers.
 *
 * An object lies in a chunk of 64 KiB (malloc's header included: whole pages) with others of its size,
 * rounded up to 8 bytes.  Allocating and freeing take constant time, a page is not touched before it is used,
 * and a chunk whose last object goes is given back (all but one, which is kept for any size).  A reference is
 * chunk number << 12 | slot.
 */
#ifndef PROTO_SLAB_H
#define PROTO_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum {
	SLAB_STEP = 8,
	SLAB_OBJECT_MAX = 576,
	SLAB_CHUNK = 64 * 1024 - 16,
	SLAB_SLOT_BITS = 12,
	SLAB_NONE = 0
};

struct slab;

/* Returns NULL when out of memory. */
struct slab *slab_create(void);
void slab_destroy(struct slab *slab);

/* A new object, not cleared; its reference is never SLAB_NONE nor UINT32_MAX.  SLAB_NONE when out of memory.
 */
uint32_t slab_allocate(struct slab *slab, size_t size);
void slab_free(struct slab *slab, uint32_t reference);
void slab_clear(struct slab *slab);

/* Where the object is: stays so until it is freed.  Aligned to 8. */
void *slab_at(const struct slab *slab, uint32_t reference);

/* How much the object can hold: its size, rounded up as slab_rounded() does. */
size_t slab_size(const struct slab *slab, uint32_t reference);
size_t slab_rounded(size_t size);

size_t slab_memory(const struct slab *slab);

#endif
