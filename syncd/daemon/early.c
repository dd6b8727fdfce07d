/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/early.h"

#include <string.h>

static const struct monotime LOOK_INTERVAL = {100000};

enum { SEARCHES_SHARE = 3 }; /* so many times as long as a search the takeover goes on in order */

struct ends {
	uint8_t family, protocol;
	uint16_t zone; /* 0 where a packet's ends are compared */
	struct flow_tuple tuple;
};

/* A view of zeroed ends as a key; `room` must outlive it. */
static struct record_key ends_key(struct ends *room, uint8_t family, uint8_t protocol,
				  const struct flow_tuple *tuple)
{
	memset(room, 0, sizeof(*room));
	room->family = family;
	room->protocol = protocol;
	room->tuple = *tuple;
	return (struct record_key){(const uint8_t *)room, sizeof(*room)};
}

struct both_ends {
	uint8_t family, protocol;
	uint16_t zone, reply_zone;
	struct flow_tuple orig, reply;
};

static uint16_t reply_zone(const struct flow *flow)
{
	if (flow->present & FLOW_HAS_REPLY_ZONE)
		return flow->reply_zone;
	return flow->zone_scope == FLOW_ZONE_BOTH ? flow->zone : 0;
}

/* What the kernel's table has each flow by, twice. */
static struct record_key tuple_key(struct ends *room, const struct flow *flow, bool is_reply)
{
	struct record_key key =
	    ends_key(room, flow->family, flow->protocol, is_reply ? &flow->reply : &flow->orig);

	room->zone = is_reply ? reply_zone(flow) : flow->zone;
	return key;
}

static struct record_key flow_key(struct both_ends *room, const struct flow *flow)
{
	memset(room, 0, sizeof(*room));
	room->family = flow->family;
	room->protocol = flow->protocol;
	room->zone = flow->zone;
	room->reply_zone = reply_zone(flow);
	room->orig = flow->orig;
	room->reply = flow->reply;
	return (struct record_key){(const uint8_t *)room, sizeof(*room)};
}

static struct record_key entry_key(uint8_t room[9], unsigned table, uint64_t version)
{
	room[0] = (uint8_t)table;
	memcpy(room + 1, &version, sizeof(version));
	return (struct record_key){room, 9};
}

void early_init(struct early *early, uint64_t seed, struct monotime now)
{
	memset(early, 0, sizeof(*early));
	keyset_init(&early->seen, seed);
	keyset_init(&early->wanted, seed);
	keyset_init(&early->taken, seed);
	keyset_init(&early->held, seed);
	early->next = monotime_add(now, LOOK_INTERVAL);
}

void early_free(struct early *early)
{
	keyset_clear(&early->seen);
	keyset_clear(&early->wanted);
	keyset_clear(&early->taken);
	keyset_clear(&early->held);
}

void early_note(struct early *early, const struct fence_waiting *waiting)
{
	struct ends room;
	struct record_key key;

	/* the tuple of a packet without ports is not that of its flow */
	if (!flow_has_ports(waiting->protocol) || early->seen.count >= EARLY_MAX)
		return;
	key = ends_key(&room, waiting->family, waiting->protocol, &waiting->tuple);
	if (keyset_has(&early->seen, key))
		return;
	keyset_add(&early->seen, key);
	keyset_add(&early->wanted, key);
}

bool early_search(struct early *early, unsigned table, uint64_t after, struct monotime now)
{
	early->next = monotime_add(now, LOOK_INTERVAL);
	early->searching = early->wanted.count > 0;
	early->table = table;
	early->after = after;
	early->begun = now;
	return early->searching;
}

void early_found_all(struct early *early, struct monotime now)
{
	int64_t pause_us = SEARCHES_SHARE * monotime_sub(now, early->begun).us;

	keyset_clear(&early->wanted);
	early->searching = false;
	if (early->seen.count >= EARLY_MAX)
		early->next = MONOTIME_NEVER;
	else
		early->next = monotime_add(now, monotime_max(monotime_from_us(pause_us), LOOK_INTERVAL));
}

bool early_is_wanted(const struct early *early, const struct flow *flow)
{
	struct ends room;

	return keyset_has(&early->wanted, ends_key(&room, flow->family, flow->protocol, &flow->orig)) ||
	       keyset_has(&early->wanted, ends_key(&room, flow->family, flow->protocol, &flow->reply));
}

void early_take(struct early *early, unsigned table, uint64_t version, const struct flow *flow)
{
	uint8_t room[9];
	struct ends ends;
	struct both_ends both;

	keyset_add(&early->taken, entry_key(room, table, version));
	keyset_add(&early->held, tuple_key(&ends, flow, false));
	keyset_add(&early->held, tuple_key(&ends, flow, true));
	keyset_add(&early->held, flow_key(&both, flow));
}

bool early_was_taken(const struct early *early, unsigned table, uint64_t version)
{
	uint8_t room[9];

	return early->taken.count > 0 && keyset_has(&early->taken, entry_key(room, table, version));
}

bool early_is_in_the_way(const struct early *early, const struct flow *flow)
{
	struct ends ends;
	struct both_ends both;

	if (early->held.count == 0)
		return false;
	if (!keyset_has(&early->held, tuple_key(&ends, flow, false)) &&
	    !keyset_has(&early->held, tuple_key(&ends, flow, true)))
		return false;
	return !keyset_has(&early->held, flow_key(&both, flow));
}
