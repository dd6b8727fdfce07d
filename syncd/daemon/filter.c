/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/filter.h"

void filter_configure(struct filter *filter, const struct config *config, const struct address_set *own)
{
	filter->ignore_local = config->filter.ignore_local;
	filter->own = own;
}

bool filter_accepts(const struct filter *filter, const struct flow *flow)
{
	if (!filter->ignore_local)
		return true;
	/* reply.src, not orig.dst: behind DNAT a flow to one of our addresses ends elsewhere and is to be
	 * replicated */
	if (address_set_contains(filter->own, flow->family, flow->orig.src))
		return false;
	return !(flow->present & FLOW_HAS_REPLY) ||
	       !address_set_contains(filter->own, flow->family, flow->reply.src);
}

uint32_t filter_hash(const struct filter *filter)
{
	return filter->ignore_local ? 0 : 1;
}
