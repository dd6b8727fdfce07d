/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/filter.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <xxhash.h>

static bool is_given(const uint8_t *bits, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bits[i] != 0)
			return true;
	return false;
}

static bool looks_at_state(const struct config_match *match)
{
	return match->mark_count > 0 || is_given(match->tcp_states, sizeof(match->tcp_states));
}

void filter_configure(struct filter *filter, const struct config *config, const struct address_set *own)
{
	filter->accept = config->filter.accept;
	filter->ignore = config->filter.ignore;
	filter->looks_at_state = looks_at_state(&filter->accept) || looks_at_state(&filter->ignore);
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

static bool passes_local(const struct filter *filter, const struct flow *flow)
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

/* ---- accept and ignore ---- */

/* What one kind of key says of a flow. */
enum saying { SAYS_NOTHING, SAYS_NO, SAYS_YES };

static bool has_bit(const uint8_t *bits, unsigned number)
{
	return bits[number / 8] & 1u << number % 8;
}

static enum saying match_protocol(const struct config_match *match, const struct flow *flow)
{
	if (!is_given(match->protocols, sizeof(match->protocols)))
		return SAYS_NOTHING;
	return has_bit(match->protocols, flow->protocol) ? SAYS_YES : SAYS_NO;
}

static bool is_within(const struct config_prefix *prefix, const uint8_t *bytes)
{
	const uint8_t *wanted = (const uint8_t *)&prefix->address.v6;
	unsigned whole = prefix->length / 8, rest = prefix->length % 8;
	if (memcmp(wanted, bytes, whole) != 0)
		return false;
	return rest == 0 || ((wanted[whole] ^ bytes[whole]) & (0xff00u >> rest & 0xffu)) == 0;
}

static enum saying match_address(const struct config_match *match, const struct flow *flow)
{
	const uint8_t *addresses[] = {flow->orig.src, flow->orig.dst, flow->reply.src, flow->reply.dst};
	unsigned count = flow->present & FLOW_HAS_REPLY ? 4 : 2;
	uint32_t family = flow->family == FLOW_IPV4 ? AF_INET : AF_INET6;
	for (size_t i = 0; i < match->address_count; i++)
		for (unsigned a = 0; match->address[i].address.family == family && a < count; a++)
			if (is_within(&match->address[i], addresses[a]))
				return SAYS_YES;
	return match->address_count == 0 ? SAYS_NOTHING : SAYS_NO;
}

static enum saying match_zone(const struct config_match *match, const struct flow *flow)
{
	for (size_t i = 0; i < match->zone_count; i++)
		if (match->zone[i] == flow->zone)
			return SAYS_YES;
	return match->zone_count == 0 ? SAYS_NOTHING : SAYS_NO;
}

/* The kernel shows no state of an offloaded flow; it was established when it was offloaded. */
static enum saying match_tcp_state(const struct config_match *match, const struct flow *flow, bool is_whole)
{
	bool has_state = flow->present & FLOW_HAS_TCP;
	if (flow->protocol != IPPROTO_TCP || !is_given(match->tcp_states, sizeof(match->tcp_states)) ||
	    (!has_state && !is_whole))
		return SAYS_NOTHING;
	return has_bit(match->tcp_states, has_state ? flow->tcp.state : FLOW_TCP_ESTABLISHED) ? SAYS_YES
											      : SAYS_NO;
}

/* A whole flow without a mark has the mark 0. */
static enum saying match_mark(const struct config_match *match, const struct flow *flow, bool is_whole)
{
	uint32_t mark = flow->present & FLOW_HAS_MARK ? flow->mark : 0;
	if (match->mark_count == 0 || (!(flow->present & FLOW_HAS_MARK) && !is_whole))
		return SAYS_NOTHING;
	for (size_t i = 0; i < match->mark_count; i++)
		if ((mark & match->mark[i].mask) == match->mark[i].value)
			return SAYS_YES;
	return SAYS_NO;
}

static bool passes(const struct filter *filter, const struct flow *flow, bool is_whole)
{
	const struct config_match *accept = &filter->accept, *ignore = &filter->ignore;
	return match_protocol(accept, flow) != SAYS_NO && match_protocol(ignore, flow) != SAYS_YES &&
	       match_zone(accept, flow) != SAYS_NO && match_zone(ignore, flow) != SAYS_YES &&
	       match_tcp_state(accept, flow, is_whole) != SAYS_NO &&
	       match_tcp_state(ignore, flow, is_whole) != SAYS_YES &&
	       match_mark(accept, flow, is_whole) != SAYS_NO &&
	       match_mark(ignore, flow, is_whole) != SAYS_YES && match_address(accept, flow) != SAYS_NO &&
	       match_address(ignore, flow) != SAYS_YES && passes_local(filter, flow);
}

bool filter_accepts(const struct filter *filter, const struct flow *flow)
{
	return passes(filter, flow, true);
}

bool filter_may_accept(const struct filter *filter, const struct flow *part)
{
	return passes(filter, part, false);
}

/* ---- in the kernel ---- */

_Static_assert((int)CONFIG_FILTER_ADDRESSES_MAX <= (int)EVENT_FILTER_PREFIXES_MAX &&
		   (int)CONFIG_FILTER_ZONES_MAX <= (int)EVENT_FILTER_ZONES_MAX,
	       "all that can be configured can be given to the kernel");

static void match_for_events(const struct config_match *match, struct event_match *events)
{
	memcpy(events->protocols, match->protocols, sizeof(events->protocols));
	events->zone_count = match->zone_count;
	memcpy(events->zone, match->zone, match->zone_count * sizeof(match->zone[0]));
	events->prefix_count = match->address_count;
	for (size_t i = 0; i < match->address_count; i++) {
		const struct config_prefix *prefix = &match->address[i];
		struct event_prefix *to = &events->prefix[i];
		to->family = (uint8_t)prefix->address.family;
		to->length = (uint8_t)prefix->length;
		memcpy(to->bytes, &prefix->address.v6, to->family == AF_INET ? 4 : 16);
	}
}

void filter_for_events(const struct filter *filter, struct event_filter *events)
{
	memset(events, 0, sizeof(*events));
	match_for_events(&filter->accept, &events->accept);
	match_for_events(&filter->ignore, &events->ignore);
}

/* The one protocol that is accepted; -1: there are more, or any. */
static int only_protocol(const struct config_match *accept)
{
	int only = -1;
	for (int number = 0; number < 8 * CONFIG_PROTOCOL_BYTES; number++) {
		if (!has_bit(accept->protocols, (unsigned)number))
			continue;
		if (only >= 0)
			return -1;
		only = number;
	}
	return only;
}

/* The one family whose addresses are accepted; 0: both, or any. */
static uint8_t only_family(const struct config_match *accept)
{
	for (size_t i = 1; i < accept->address_count; i++)
		if (accept->address[i].address.family != accept->address[0].address.family)
			return 0;
	if (accept->address_count == 0)
		return 0;
	return accept->address[0].address.family == AF_INET ? FLOW_IPV4 : FLOW_IPV6;
}

bool filter_for_dump(const struct filter *filter, struct audit_filter *dump)
{
	const struct config_match *accept = &filter->accept;
	int protocol = only_protocol(accept);
	*dump = (struct audit_filter){.family = only_family(accept), .by_protocol = protocol >= 0};
	if (dump->by_protocol)
		dump->protocol = (uint8_t)protocol;
	if (accept->mark_count == 1) {
		dump->by_mark = true;
		dump->mark = accept->mark[0].value;
		dump->mark_mask = accept->mark[0].mask;
	}
	return dump->family != 0 || dump->by_protocol || dump->by_mark;
}

/* ---- comparing with a peer's ---- */

/* The same whatever the order of the lines: each counts by itself. */
static uint64_t hash_match(const struct config_match *match, uint64_t seed)
{
	uint64_t sum = XXH3_64bits_withSeed(match->protocols, sizeof(match->protocols), seed) +
		       XXH3_64bits_withSeed(match->tcp_states, sizeof(match->tcp_states), seed + 1);
	for (size_t i = 0; i < match->address_count; i++)
		sum += XXH3_64bits_withSeed(&match->address[i], sizeof(match->address[i]), seed + 2);
	for (size_t i = 0; i < match->zone_count; i++)
		sum += XXH3_64bits_withSeed(&match->zone[i], sizeof(match->zone[i]), seed + 3);
	for (size_t i = 0; i < match->mark_count; i++)
		sum += XXH3_64bits_withSeed(&match->mark[i], sizeof(match->mark[i]), seed + 4);
	return sum;
}

uint32_t filter_hash(const struct filter *filter)
{
	static const struct config_match nothing = {0};
	uint64_t sum = hash_match(&filter->accept, 1) + hash_match(&filter->ignore, 11) -
		       hash_match(&nothing, 1) - hash_match(&nothing, 11);
	return (uint32_t)(sum ^ sum >> 32) + (filter->ignore_local ? 0 : 1);
}
