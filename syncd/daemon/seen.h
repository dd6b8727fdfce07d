/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of flow keys by their 64-bit hash: which rows a dump had.
 */
#ifndef DAEMON_SEEN_H
#define DAEMON_SEEN_H

#include "proto/record.h"

struct seen {
	uint64_t *slots; /* open addressing; 0: free */
	size_t size, count;
};

/* Frees it; an all-zero struct is an empty set. */
void seen_clear(struct seen *seen);
/* 0 or -ENOMEM. */
int seen_add(struct seen *seen, struct record_key key);
bool seen_has(const struct seen *seen, struct record_key key);

#endif
