/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a fence is made of.  Private to fence.c (closing, opening, checking) and fence_known.c (the addresses
 * and interfaces that it knows). */
#ifndef SYNCD_KERNEL_FENCE_STATE_H
#define SYNCD_KERNEL_FENCE_STATE_H

#include "syncd/kernel/fence.h"
#include "syncd/kernel/fence_query.h"
#include "syncd/kernel/fence_ruleset.h"

#include <net/if.h>

struct prefix_list {
	struct address_prefix *prefixes;
	size_t count;
};

struct fence {
	struct nft_batch *batch; /* NULL after an opening by force, until armed again */
	char table[FENCE_NAME_SIZE];
	uint16_t node_id;
	struct monotime timeout;
	bool is_wanted;        /* armed, as far as the caller is concerned */
	enum fence_kind kind;  /* closed to whom, if armed */
	bool has_behind;       /* the chain that closes it to strangers is there */
	bool has_strangers;    /* and so are its rules and sets */
	unsigned next_waiting; /* the set that is read first: 0 or 1 */
	struct monotime refreshed_at;
	bool is_refreshed; /* refreshed_at counts */
	struct prefix_list virtual_addresses;
	struct prefix_list own_addresses;
	char interfaces[FENCE_INTERFACES_MAX][IFNAMSIZ];
	size_t interface_count;
	uint64_t handles[FENCE_RULES];                 /* of the rules, as the kernel numbered them */
	struct fence_drops drops[FENCE_RULES];         /* as last read from this table */
	struct fence_drops past_virtual, past_forward; /* from tables that are gone */
	struct fence_counters counters;
	char error[256];
};

/* ---- fence.c ---- */
/* Keeps the words for fence_error(): `doing`, `object` (or NULL) and what the error means.  Returns it. */
int fence_fail(struct fence *fence, int error, const char *doing, const char *object);
/* Commits the transaction that was begun.  0 or a negative errno, with the words kept. */
int fence_commit(struct fence *fence, const char *doing);

/* ---- fence_known.c ---- */
/* Adds all that it knows to the transaction. */
void fence_put_known(struct fence *fence);

#endif
