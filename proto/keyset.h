/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded set of flow keys, kept as 64-bit hashes: which keys an audit pass must not believe its rows
 * about.  A collision makes a row be ignored until the next pass, no more.
 */
#ifndef PROTO_KEYSET_H
#define PROTO_KEYSET_H

#include "proto/record.h"

enum { KEYSET_MAX = 1 << 20 };

struct keyset {
	uint64_t *slots; /* 0: free */
	size_t size;     /* a power of two; 0: nothing allocated */
	size_t count;
	uint64_t seed;
	bool overflowed; /* a key could not be kept: the bound is reached, or no memory */
};

void keyset_init(struct keyset *set, uint64_t seed);
/* Forgets all keys and frees the memory. */
void keyset_clear(struct keyset *set);
void keyset_add(struct keyset *set, struct record_key key);
bool keyset_has(const struct keyset *set, struct record_key key);

#endif
