/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel has of the fence: questions about its table, rules and timed elements.  For fence.c.
 */
#ifndef SYNCD_KERNEL_FENCE_QUERY_H
#define SYNCD_KERNEL_FENCE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syncd/kernel/fence.h"
#include "syncd/kernel/fence_ruleset.h"
#include "syncd/kernel/nft_batch.h"

struct fence_drops {
	uint64_t packets, bytes;
};

struct fence_table_answer {
	const char *name;
	bool is_there;
	uint32_t flags; /* NFT_TABLE_F_... */
	uint32_t owner; /* a netlink port id, 0 for none */
};

struct fence_rules_answer {
	const char *table;
	size_t count; /* may exceed FENCE_RULES */
	uint64_t handles[FENCE_RULES];
	struct fence_drops drops[FENCE_RULES]; /* 0 for rules that don't count */
};

/* Each returns 0 or a negative errno.  That there is no such table is an answer of fence_get_table(), not an
 * error. */
int fence_get_table(struct nft_batch *batch, const char *name, struct fence_table_answer *answer);
int fence_get_rules(struct nft_batch *batch, const char *table, struct fence_rules_answer *answer);

/* How many of the elements that keep the fence closed to these have not expired. */
int fence_count_alive(struct nft_batch *batch, const char *table, enum fence_kind kind, size_t *count);

/* Tells of each element of that set of those who wait; *count: how many there were. */
int fence_get_waiting(struct nft_batch *batch, const char *table, const char *set, fence_waits *told,
		      void *context, size_t *count);

#endif
