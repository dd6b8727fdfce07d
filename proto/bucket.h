/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heads of hash chains, by linear hashing (Litwin 1980): there are any number of buckets, and there is one
 * more or one less at a time, so that growing never moves more than one chain.  Heads are 32-bit references,
 * 0 for none; what they refer to, and so the chains, is the user's.  Buckets lie in segments that are
 * allocated as they are needed.
 */
#ifndef PROTO_BUCKET_H
#define PROTO_BUCKET_H

#include <stddef.h>
#include <stdint.h>

enum { BUCKET_SEGMENT = 1024 };

struct buckets;

/* Starts with BUCKET_SEGMENT empty buckets, and never has fewer.  Returns NULL when out of memory. */
struct buckets *buckets_create(void);
void buckets_destroy(struct buckets *buckets);

uint32_t buckets_count(const struct buckets *buckets);
size_t buckets_memory(const struct buckets *buckets);

/* The head of the chain that this hash belongs to.  Good until the buckets grow or shrink. */
uint32_t *buckets_head(const struct buckets *buckets, uint32_t hash);

/* The head of the chain that buckets_grow() will split when it has been called `ahead` times more; 0: none,
 * or not known yet. */
uint32_t buckets_split_later(const struct buckets *buckets, uint32_t ahead);

/* Two chains: after growing, what is in `low` must be dealt out to both by buckets_head(); before shrinking,
 * what is in `high` must be moved to `low`. */
struct bucket_pair {
	uint32_t *low, *high;
};

/* Adds an empty bucket, `high`.  0, or -ENOMEM (nothing changed; longer chains, but no harm). */
int buckets_grow(struct buckets *buckets, struct bucket_pair *pair);

/* The pair that buckets_shrink() would make one; both NULL when there is nothing to shrink. */
struct bucket_pair buckets_last(const struct buckets *buckets);
/* Takes the last bucket, `high`, away. */
void buckets_shrink(struct buckets *buckets);

/* Empties all and goes back to the size of the start. */
void buckets_clear(struct buckets *buckets);

#endif
