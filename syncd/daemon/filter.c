/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/filter.h"

#include <string.h>
#include <sys/socket.h>

void filter_configure(struct filter *filter, const struct config *config, const struct address_set *own)
{
	filter->ignore_local = config->filter.ignore_local;
	filter->own = own;
	filter->groups_count = 0;
	for (size_t i = 0; i < config->link_count; i++)
		if (config->links[i].group.family != 0)
			filter->groups[filter->groups_count++] = config->links[i].group;
}

/* Never forwarded: 224.0.0.0/24 (RFC 5771 4), 255.255.255.255 (RFC 919 7), ff01::/16 and ff02::/16 with any
 * flags (RFC 4291 2.7). */
static bool stays_on_link(uint8_t family, const uint8_t *bytes)
{
	static const uint8_t local[3] = {224, 0, 0}, all[4] = {255, 255, 255, 255};
	if (family == AF_INET)
		return memcmp(bytes, local, sizeof(local)) == 0 || memcmp(bytes, all, sizeof(all)) == 0;
	return bytes[0] == 0xff && ((bytes[1] & 0x0f) == 1 || (bytes[1] & 0x0f) == 2);
}

static bool is_link_group(const struct filter *filter, uint8_t family, const uint8_t *bytes)
{
	for (size_t i = 0; i < filter->groups_count; i++)
		if (filter->groups[i].family == family &&
		    memcmp(&filter->groups[i].v6, bytes, family == AF_INET ? 4 : 16) == 0)
			return true;
	return false;
}

bool filter_accepts(const struct filter *filter, const struct flow *flow)
{
	if (!filter->ignore_local)
		return true;
	/* reply.src, not orig.dst: behind DNAT a flow to one of our addresses ends elsewhere and is to be
	 * replicated */
	if (address_set_contains(filter->own, flow->family, flow->orig.src))
		return false;
	if (!(flow->present & FLOW_HAS_REPLY))
		return true;
	return !address_set_contains(filter->own, flow->family, flow->reply.src) &&
	       !stays_on_link(flow->family, flow->reply.src) &&
	       !is_link_group(filter, flow->family, flow->reply.src);
}

uint32_t filter_hash(const struct filter *filter)
{
	return filter->ignore_local ? 0 : 1;
}
