/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/address_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUCKETS_MIN 64

struct entry {
	struct entry *next;
	struct address address;
	bool is_seen;
};

struct address_set {
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	size_t sweep_at; /* no bucket before this one holds an unseen entry */
};

static size_t address_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

/* Who may add addresses to this host has no need to attack the hash: a plain mixer is enough. */
static size_t bucket_of(const struct address_set *set, uint8_t family, const uint8_t *bytes)
{
	uint64_t word[2] = {0, family};

	memcpy(word, bytes, address_size(family));
	uint64_t hash = (word[0] ^ (word[1] * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
	hash = (hash ^ (hash >> 32)) * 0xc4ceb9fe1a85ec53u;
	return (size_t)(hash >> 32) & (set->bucket_count - 1);
}

static size_t bucket_of_address(const struct address_set *set, const struct address *address)
{
	return bucket_of(set, address->prefix.family, address->prefix.bytes);
}

static bool is_same_identity(const struct address *a, const struct address *b)
{
	return a->ifindex == b->ifindex && a->prefix.family == b->prefix.family &&
	       a->prefix.length == b->prefix.length &&
	       memcmp(a->prefix.bytes, b->prefix.bytes, sizeof(a->prefix.bytes)) == 0 &&
	       memcmp(a->remote, b->remote, sizeof(a->remote)) == 0;
}

struct address_set *address_set_new(void)
{
	struct address_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->bucket_count = BUCKETS_MIN;
	set->buckets = calloc(set->bucket_count, sizeof(*set->buckets));
	if (!set->buckets) {
		free(set);
		return NULL;
	}
	return set;
}

void address_set_free(struct address_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->bucket_count; i++) {
		while (set->buckets[i]) {
			struct entry *entry = set->buckets[i];

			set->buckets[i] = entry->next;
			free(entry);
		}
	}
	free(set->buckets);
	free(set);
}

/* Without memory for it the table stays as it is: only slower. */
static void grow(struct address_set *set)
{
	struct entry **old = set->buckets;
	size_t old_count = set->bucket_count;
	struct entry **wider = calloc(old_count * 2, sizeof(*wider));

	if (!wider)
		return;
	set->buckets = wider;
	set->bucket_count = old_count * 2;
	set->sweep_at = 0;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct entry *entry = old[i];
			size_t at = bucket_of_address(set, &entry->address);

			old[i] = entry->next;
			entry->next = wider[at];
			wider[at] = entry;
		}
	}
	free(old);
}

static struct entry **find(const struct address_set *set, const struct address *address)
{
	struct entry **at = &set->buckets[bucket_of_address(set, address)];

	while (*at && !is_same_identity(&(*at)->address, address))
		at = &(*at)->next;
	return at;
}

static int put_known(struct entry *entry, const struct address *address)
{
	bool is_altered = entry->address.flags != address->flags ||
			  entry->address.protocol != address->protocol ||
			  entry->address.is_finite != address->is_finite;

	entry->address = *address;
	entry->is_seen = true;
	return is_altered ? ADDRESS_PUT_ALTERED : ADDRESS_PUT_SAME;
}

int address_set_put(struct address_set *set, const struct address *address)
{
	struct entry *known = *find(set, address);

	if (known)
		return put_known(known, address);
	if (set->count >= ADDRESS_MAX)
		return -ENOSPC;
	struct entry *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	if (set->count >= set->bucket_count)
		grow(set);
	size_t at = bucket_of_address(set, address);
	entry->address = *address;
	entry->is_seen = true;
	entry->next = set->buckets[at];
	set->buckets[at] = entry;
	set->count++;
	return ADDRESS_PUT_NEW;
}

bool address_set_remove(struct address_set *set, const struct address *address)
{
	struct entry **at = find(set, address);
	struct entry *entry = *at;

	if (!entry)
		return false;
	*at = entry->next;
	free(entry);
	set->count--;
	return true;
}

void address_set_unmark(struct address_set *set)
{
	for (size_t i = 0; i < set->bucket_count; i++)
		for (struct entry *entry = set->buckets[i]; entry; entry = entry->next)
			entry->is_seen = false;
	set->sweep_at = 0;
}

bool address_set_take_unseen(struct address_set *set, struct address *taken)
{
	for (; set->sweep_at < set->bucket_count; set->sweep_at++) {
		struct entry *entry = set->buckets[set->sweep_at];

		while (entry && entry->is_seen)
			entry = entry->next;
		if (entry) {
			*taken = entry->address;
			return address_set_remove(set, taken);
		}
	}
	return false;
}

static bool is_loopback(uint8_t family, const uint8_t *bytes)
{
	static const uint8_t ipv6_loopback[16] = {[15] = 1};

	return family == AF_INET ? bytes[0] == 127 : memcmp(bytes, ipv6_loopback, sizeof(ipv6_loopback)) == 0;
}

bool address_set_contains(const struct address_set *set, uint8_t family, const uint8_t *bytes)
{
	size_t size = address_size(family);

	if (size == 0)
		return false;
	if (is_loopback(family, bytes))
		return true;
	for (const struct entry *entry = set->buckets[bucket_of(set, family, bytes)]; entry;
	     entry = entry->next) {
		const struct address_prefix *own = &entry->address.prefix;

		if (own->family == family && memcmp(own->bytes, bytes, size) == 0)
			return true;
	}
	return false;
}

size_t address_set_count(const struct address_set *set)
{
	return set->count;
}

void address_set_walk(const struct address_set *set, address_visit_fn visit, void *context)
{
	for (size_t i = 0; i < set->bucket_count; i++)
		for (const struct entry *entry = set->buckets[i]; entry; entry = entry->next)
			visit(context, &entry->address);
}
