/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The addresses and interfaces that a fence knows, and their sets in the kernel. */
#include "syncd/kernel/fence_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "syncd/kernel/nft_batch.h"

static const struct address_prefix everything[] = {{.family = AF_INET}, {.family = AF_INET6}};

static void put_own(struct fence *fence, const struct prefix_list *own)
{
	fence_put_prefixes(fence->batch, fence->table, FENCE_SET_OWN4, FENCE_SET_OWN6,
			   own->prefixes ? own->prefixes : everything, own->prefixes ? own->count : 2);
}

static void put_virtual(struct fence *fence, const struct prefix_list *list)
{
	fence_put_prefixes(fence->batch, fence->table, FENCE_SET_VIRTUAL4, FENCE_SET_VIRTUAL6, list->prefixes,
			   list->count);
}

static void put_interfaces(struct fence *fence)
{
	const char *names[FENCE_INTERFACES_MAX];

	for (size_t i = 0; i < fence->interface_count; i++)
		names[i] = fence->interfaces[i];
	fence_put_interfaces(fence->batch, fence->table, names, fence->interface_count);
}

void fence_put_known(struct fence *fence)
{
	put_virtual(fence, &fence->virtual_addresses);
	put_own(fence, &fence->own_addresses);
	put_interfaces(fence);
}

static bool is_prefix(const struct address_prefix *prefix)
{
	return (prefix->family == AF_INET && prefix->length <= 32) ||
	       (prefix->family == AF_INET6 && prefix->length <= 128);
}

static int copy_prefixes(struct fence *fence, struct prefix_list *copy, const struct address_prefix *prefixes,
			 size_t count)
{
	*copy = (struct prefix_list){.count = count};
	if (count > FENCE_ADDRESSES_MAX)
		return fence_fail(fence, -E2BIG, "more than 4096 addresses", NULL);
	for (size_t i = 0; i < count; i++)
		if (!is_prefix(&prefixes[i]))
			return fence_fail(fence, -EINVAL,
					  "an address that is neither an IPv4 nor an IPv6 prefix", NULL);
	copy->prefixes = calloc(count + 1, sizeof(*prefixes));
	if (!copy->prefixes)
		return fence_fail(fence, -ENOMEM, "copy the addresses", NULL);
	if (count)
		memcpy(copy->prefixes, prefixes, count * sizeof(*prefixes));
	return 0;
}

typedef void (*put_prefixes_fn)(struct fence *fence, const struct prefix_list *list);

static int replace_prefixes(struct fence *fence, struct prefix_list *kept, struct prefix_list *wanted,
			    put_prefixes_fn put)
{
	int error = 0;

	if (fence->batch) {
		nft_batch_begin(fence->batch);
		put(fence, wanted);
		error = fence_commit(fence, "change the addresses in set");
	}
	if (error == -ENOENT) /* the table has gone: fence_check() will bring it back with the new list */
		error = 0;
	struct prefix_list *dropped = error ? wanted : kept;
	free(dropped->prefixes);
	if (!error)
		*kept = *wanted;
	return error;
}

int fence_set_addresses(struct fence *fence, const struct address_prefix *prefixes, size_t count)
{
	struct prefix_list wanted;
	int error = copy_prefixes(fence, &wanted, prefixes, count);

	return error ? error : replace_prefixes(fence, &fence->virtual_addresses, &wanted, put_virtual);
}

int fence_set_own_addresses(struct fence *fence, const struct address_prefix *prefixes, size_t count)
{
	struct prefix_list wanted = {0};
	int error = prefixes ? copy_prefixes(fence, &wanted, prefixes, count) : 0;

	return error ? error : replace_prefixes(fence, &fence->own_addresses, &wanted, put_own);
}

int fence_set_interfaces(struct fence *fence, const char *const *names, size_t count)
{
	char before[FENCE_INTERFACES_MAX][IFNAMSIZ];
	size_t count_before = fence->interface_count;

	if (count > FENCE_INTERFACES_MAX)
		return fence_fail(fence, -E2BIG, "more than 64 interfaces", NULL);
	for (size_t i = 0; i < count; i++)
		if (names[i][0] == '\0' || strnlen(names[i], IFNAMSIZ) == IFNAMSIZ)
			return fence_fail(fence, -EINVAL, "no name of an interface:", names[i]);
	memcpy(before, fence->interfaces, sizeof(before));
	memset(fence->interfaces, 0, sizeof(fence->interfaces));
	for (size_t i = 0; i < count; i++)
		memcpy(fence->interfaces[i], names[i], strnlen(names[i], IFNAMSIZ - 1));
	fence->interface_count = count;
	if (!fence->batch)
		return 0;
	nft_batch_begin(fence->batch);
	put_interfaces(fence);
	int error = fence_commit(fence, "change the interfaces in set");
	if (error == 0 || error == -ENOENT)
		return 0;
	memcpy(fence->interfaces, before, sizeof(before));
	fence->interface_count = count_before;
	return error;
}
