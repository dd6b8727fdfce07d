/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The elements of the fence's sets; declared in fence_ruleset.h. */
#include <errno.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/flow.h"
#include "syncd/kernel/fence_ruleset.h"

/* an element takes at most some 60 bytes: so many stay well below NFT_MESSAGE_MAX */
#define ELEMENTS_A_MESSAGE 128

/* One message about one set, being gathered. */
struct elements {
	struct nft_batch *batch;
	const char *table;
	const char *name;
	uint16_t type; /* NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM */
	struct nftnl_set *set;
	size_t count;
};

static void elements_flush(struct elements *elements)
{
	if (!elements->set)
		return;
	uint16_t flags = elements->type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
	struct nlmsghdr *message = nft_batch_add(elements->batch, elements->type, flags, elements->name);

	if (message)
		nftnl_set_elems_nlmsg_build_payload(message, elements->set);
	nftnl_set_free(elements->set);
	elements->set = NULL;
	elements->count = 0;
}

static struct nftnl_set *elements_set(struct elements *elements)
{
	if (elements->set)
		return elements->set;
	elements->set = nftnl_set_alloc();
	if (!elements->set) {
		nft_batch_fail(elements->batch, -ENOMEM);
		return NULL;
	}
	nftnl_set_set_str(elements->set, NFTNL_SET_TABLE, elements->table);
	nftnl_set_set_str(elements->set, NFTNL_SET_NAME, elements->name);
	return elements->set;
}

static void elements_add(struct elements *elements, const void *key, size_t size, uint32_t flags,
			 uint64_t timeout_ms)
{
	struct nftnl_set *set = elements_set(elements);
	struct nftnl_set_elem *element = set ? nftnl_set_elem_alloc() : NULL;

	if (!element) {
		nft_batch_fail(elements->batch, -ENOMEM);
		return;
	}
	nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, (uint32_t)size);
	if (flags)
		nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, flags);
	if (timeout_ms)
		nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, timeout_ms);
	nftnl_set_elem_add(set, element);
	if (++elements->count == ELEMENTS_A_MESSAGE)
		elements_flush(elements);
}

/* A deletion that names no element empties the set. */
static void put_emptying(struct nft_batch *batch, const char *table, const char *name)
{
	struct elements elements = {.batch = batch, .table = table, .name = name, .type = NFT_MSG_DELSETELEM};

	(void)elements_set(&elements);
	elements_flush(&elements);
}

void fence_put_none_waiting(struct nft_batch *batch, const char *table, const char *set)
{
	put_emptying(batch, table, set);
}

void fence_put_group(struct nft_batch *batch, const char *table)
{
	static const uint32_t types[] = {RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST};
	struct elements elements = {
	    .batch = batch, .table = table, .name = FENCE_SET_GROUP, .type = NFT_MSG_NEWSETELEM};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		elements_add(&elements, &types[i], sizeof(types[i]), 0, 0);
	elements_flush(&elements);
}

void fence_put_ported(struct nft_batch *batch, const char *table)
{
	static const uint8_t protocols[] = {PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_UDPLITE, PROTOCOL_SCTP,
					    PROTOCOL_DCCP};
	struct elements elements = {
	    .batch = batch, .table = table, .name = FENCE_SET_PORTED, .type = NFT_MSG_NEWSETELEM};

	for (size_t i = 0; i < sizeof(protocols); i++)
		elements_add(&elements, &protocols[i], 1, 0, 0);
	elements_flush(&elements);
}

void fence_put_interfaces(struct nft_batch *batch, const char *table, const char *const *names, size_t count)
{
	struct elements elements = {
	    .batch = batch, .table = table, .name = FENCE_SET_ACCEPTED, .type = NFT_MSG_NEWSETELEM};

	put_emptying(batch, table, FENCE_SET_ACCEPTED);
	for (size_t i = 0; i < count; i++) {
		char key[IFNAMSIZ] = {0}; /* meta iifname pads with zeros: net/netfilter/nft_meta.c */

		memcpy(key, names[i], strnlen(names[i], IFNAMSIZ - 1));
		elements_add(&elements, key, sizeof(key), 0, 0);
	}
	elements_flush(&elements);
}

static void put_alive(struct nft_batch *batch, const char *table, enum fence_kind kind, uint16_t type,
		      uint64_t timeout_ms)
{
	static const uint8_t families[FENCE_ALIVE_ELEMENTS] = {NFPROTO_IPV4, NFPROTO_IPV6};
	struct elements elements = {
	    .batch = batch, .table = table, .name = fence_alive_set(kind), .type = type};

	for (size_t i = 0; i < FENCE_ALIVE_ELEMENTS; i++)
		elements_add(&elements, &families[i], sizeof(families[i]), 0, timeout_ms);
	elements_flush(&elements);
}

void fence_put_alive(struct nft_batch *batch, const char *table, enum fence_kind kind, uint64_t timeout_ms)
{
	const uint64_t any_timeout_ms = 1000;

	put_alive(batch, table, kind, NFT_MSG_NEWSETELEM, timeout_ms ? timeout_ms : any_timeout_ms);
	put_alive(batch, table, kind, NFT_MSG_DELSETELEM, 0);
	if (timeout_ms)
		put_alive(batch, table, kind, NFT_MSG_NEWSETELEM, timeout_ms);
}

/* From first to last, both included. */
struct interval {
	uint8_t first[16];
	uint8_t last[16];
};

static struct interval interval_of(const struct address_prefix *prefix, size_t size)
{
	struct interval interval = {0};

	for (size_t i = 0; i < size; i++) {
		int bits = (int)prefix->length - 8 * (int)i;
		uint8_t mask = (uint8_t)(bits >= 8 ? 0xff : bits <= 0 ? 0 : 0xff << (8 - bits));

		interval.first[i] = prefix->bytes[i] & mask;
		interval.last[i] = (uint8_t)(interval.first[i] | (uint8_t)~mask);
	}
	return interval;
}

/* Adds one; returns whether that ran over the end of the address space. */
static bool increase(uint8_t *bytes, size_t size)
{
	for (size_t i = size; i-- > 0;)
		if (++bytes[i] != 0)
			return false;
	return true;
}

static int compare_intervals(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct interval));
}

/* The kernel takes no overlap (EEXIST): sorted, what overlaps or touches becomes one.  Returns how many
 * remain. */
static size_t merge_intervals(struct interval *intervals, size_t count, size_t size)
{
	size_t kept = 0;

	qsort(intervals, count, sizeof(*intervals), compare_intervals);
	for (size_t i = 0; i < count; i++) {
		uint8_t next[16];

		if (kept > 0) {
			struct interval *before = &intervals[kept - 1];

			memcpy(next, before->last, sizeof(next));
			if (increase(next, size) || memcmp(intervals[i].first, next, size) <= 0) {
				if (memcmp(intervals[i].last, before->last, size) > 0)
					memcpy(before->last, intervals[i].last, size);
				continue;
			}
		}
		intervals[kept++] = intervals[i];
	}
	return kept;
}

/* An interval is two elements, its start and, marked as end, the address behind it; none at the end of all.
 */
static void add_intervals(struct elements *elements, struct interval *intervals, size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		elements_add(elements, intervals[i].first, size, 0, 0);
		if (!increase(intervals[i].last, size))
			elements_add(elements, intervals[i].last, size, NFT_SET_ELEM_INTERVAL_END, 0);
	}
}

static void put_family(struct nft_batch *batch, const char *table, const char *name, uint8_t family,
		       const struct address_prefix *prefixes, size_t count)
{
	struct elements elements = {.batch = batch, .table = table, .name = name, .type = NFT_MSG_NEWSETELEM};
	size_t size = family == AF_INET ? 4 : 16, found = 0;
	struct interval *intervals = calloc(count + 1, sizeof(*intervals));

	if (!intervals) {
		nft_batch_fail(batch, -ENOMEM);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (prefixes[i].family == family)
			intervals[found++] = interval_of(&prefixes[i], size);
	put_emptying(batch, table, name);
	add_intervals(&elements, intervals, merge_intervals(intervals, found, size), size);
	elements_flush(&elements);
	free(intervals);
}

void fence_put_prefixes(struct nft_batch *batch, const char *table, const char *set4, const char *set6,
			const struct address_prefix *prefixes, size_t count)
{
	put_family(batch, table, set4, AF_INET, prefixes, count);
	put_family(batch, table, set6, AF_INET6, prefixes, count);
}
