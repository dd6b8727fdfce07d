/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/wide.h"

#include "tests/sim/fault.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <stdlib.h>

static const int64_t ms_us = 1000, second_us = 1000000;

void wide_init(struct wide *wide, uint64_t seed)
{
	wide->random = random_stream(seed, 4);
	wide->on = seed >= WIDE_FIRST;
	wide->warm = wide->on && random_chance(&wide->random, 350);
}

unsigned wide_draw_links(struct world *world, unsigned links)
{
	struct sim_random *r = &world->wide.random;
	unsigned more;

	if (!world->wide.on || random_chance(r, 600))
		return links;
	more = 3 + random_below(r, 2);
	for (unsigned i = links; i < more; i++) {
		struct net_link *link = &world->net.links[i];

		link->delay_us =
		    random_chance(r, 200) ? random_between(r, 5000, 60000) : random_between(r, 20, 3000);
		link->jitter_us = random_chance(r, 300) ? random_between(r, 0, link->delay_us) : 10;
		link->loss = random_chance(r, 300) ? random_below(r, 300) : 0;
	}
	world_meets(world, SITUATION_MANY_LINKS);
	return more;
}

bool wide_draw_storms(const struct wide *wide, uint64_t seed)
{
	struct sim_random r = random_stream(seed, 5);

	return wide->on && random_chance(&r, 120);
}

int wide_draw_warm(struct world *world)
{
	struct sim_random *r = &world->wide.random;

	world->wide.failures = random_chance(r, 300) ? random_below(r, 50) : 0;
	for (unsigned i = 0; i < world->hosts_count && world->wide.warm; i++) {
		struct host *host = &world->hosts[i];

		host->config.warm = random_chance(r, 850);
		host->warm.random = random_stream(world->seed, 70 + i);
		host->warm.acts_max = 2 + random_below(r, HOST_ACTS);
		host->warm.acts = calloc(HOST_ACTS, sizeof(*host->warm.acts));
		if (!host->warm.acts)
			return -ENOMEM;
	}
	return 0;
}

static void plan(struct schedule *schedule, struct world *world, enum action_kind kind, unsigned host,
		 int64_t value)
{
	schedule_plan(schedule, world,
		      random_between(&world->wide.random, 2 * second_us, schedule->end_us - second_us),
		      (struct action){.kind = kind, .host = host, .value = value});
}

void wide_draw_faults(struct schedule *schedule, struct world *world)
{
	struct sim_random *r = &world->wide.random;
	unsigned links = world->hosts[0].config.links;

	if (!world->wide.on)
		return;
	if (links > 1)
		for (unsigned i = random_below(r, 2 * links); i; i--)
			plan(schedule, world, ACTION_LINK_FATE, random_below(r, links), 0);
	for (unsigned i = world->wide.warm ? random_below(r, 3) : 0; i; i--)
		plan(schedule, world, ACTION_CHANGE_MODE, random_below(r, world->hosts_count), 0);
	if (random_chance(r, 250)) /* on each link, mostly: else it is one link less, no more */
		plan(schedule, world, ACTION_NARROW, random_below(r, world->hosts_count),
		     random_chance(r, 700) ? links : 1 + random_below(r, links));
}

void wide_link_fate(struct schedule *schedule, struct world *world, unsigned index)
{
	struct sim_random *r = &world->wide.random;
	struct net_link *link = &world->net.links[index];
	enum action_kind end = ACTION_LINK_GOOD;
	unsigned host = random_below(r, 2 * world->hosts_count); /* above: all */

	switch (random_below(r, 4)) {
	case 0:
		end = ACTION_LINK_UP;
		link->down = host >= world->hosts_count;
		if (!link->down)
			link->cut[host] = true;
		break;
	case 1:
		link->loss = 50 + random_below(r, 900);
		break;
	case 2:
		link->burst_starts = 1 + random_below(r, 30);
		link->burst_ends = 10 + random_below(r, 200);
		link->burst_loss = 700 + random_below(r, 301);
		break;
	default:
		link->jitter_us = random_between(r, ms_us, 80 * ms_us);
		link->duplication = random_below(r, 300);
		link->corruption = random_below(r, 100);
	}
	schedule_plan(schedule, world, random_between(r, 200 * ms_us, 20 * second_us),
		      (struct action){.kind = end, .host = index, .value = host});
}

/* Half of them carry the least that a link must: then the host finds a way by itself. */
void wide_narrow(struct schedule *schedule, struct world *world, unsigned host, unsigned links)
{
	struct sim_random *r = &world->wide.random;
	uint16_t carries = (uint16_t)(random_chance(r, 500) ? random_between(r, FRAME_PAYLOAD_MIN, 2000)
							    : random_between(r, 400, FRAME_PAYLOAD_MIN));

	for (unsigned i = 0; i < links; i++)
		world->net.links[i].carries[host] = carries;
	world_meets(world, SITUATION_NARROW_PATH);
	schedule_plan(schedule, world, random_between(r, 3 * second_us, 30 * second_us),
		      (struct action){.kind = ACTION_WIDEN});
}

void wide_widen(struct world *world)
{
	for (unsigned i = 0; i < NET_LINKS_MAX; i++)
		for (unsigned host = 0; host < NET_HOSTS_MAX; host++)
			world->net.links[i].carries[host] = 0;
}

void wide_change_mode(struct world *world, unsigned index)
{
	struct host *host = &world->hosts[index];

	host->config.warm = !host->config.warm;
	host_configure(host);
}
