/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/early.h"

#include <string.h>

static const struct monotime LOOK_INTERVAL = {100000};

enum { SEARCHES_SHARE = 3 }; /* so many times as long as a search the takeover goes on in order */

struct ends {
	uint8_t family, protocol;
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
	early->next = monotime_add(now, LOOK_INTERVAL);
}

void early_free(struct early *early)
{
	keyset_clear(&early->seen);
	keyset_clear(&early->wanted);
	keyset_clear(&early->taken);
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

void early_take(struct early *early, unsigned table, uint64_t version)
{
	uint8_t room[9];

	keyset_add(&early->taken, entry_key(room, table, version));
}

bool early_was_taken(const struct early *early, unsigned table, uint64_t version)
{
	uint8_t room[9];

	return early->taken.count > 0 && keyset_has(&early->taken, entry_key(room, table, version));
}
