/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/traffic.h"

#include "tests/sim/world.h"

#include <string.h>

enum { COLLECT_US = 200000, COLLECT_PARTS = 10 };

void traffic_init(struct traffic *traffic, uint64_t seed)
{
	struct sim_random *r = &traffic->random;

	memset(traffic, 0, sizeof(*traffic));
	*r = random_stream(seed, 2);
	traffic->service = (uint32_t)(random_chance(r, 600)   ? random_between(r, 30, 400)
				      : random_chance(r, 950) ? random_between(r, 400, 2000)
							      : random_between(r, 8000, 24000));
	traffic->own = (uint32_t)random_between(r, 4, 60);
	traffic->budget = (uint32_t)random_between(r, 300, 2500);
	traffic->active = 0;
	traffic->leans_to_storms = random_chance(r, 220);
}

/* Of the worlds with warm mode: a connection of another host itself, whose packets this one forwards. */
static bool is_forwarded(struct traffic *traffic, const struct world *world, unsigned host)
{
	return world->wide.warm && (int)host == traffic->active && random_chance(&traffic->random, 40);
}

static uint32_t random_number(struct traffic *traffic, const struct world *world, unsigned host)
{
	if (is_forwarded(traffic, world, host))
		host = random_below(&traffic->random, world->hosts_count);
	else if ((int)host == traffic->active && !random_chance(&traffic->random, 50))
		return random_below(&traffic->random, traffic->service);
	return traffic->service + host * traffic->own + random_below(&traffic->random, traffic->own);
}

static void change(struct traffic *traffic, struct world *world, unsigned host)
{
	struct kernel *kernel = &world->hosts[host].kernel;
	uint32_t number = random_number(traffic, world, host), dice = random_below(&traffic->random, 100);
	struct connection connection = kernel->flows[number].connection;

	if (!kernel->flows[number].present) {
		connection = (struct connection){.nat = (uint8_t)random_below(&traffic->random, 4)};
		kernel_packet_new(kernel, number, connection, world->now_us);
	} else if (dice < 35 && connection.state + 1 < CONNECTION_STATES) {
		connection.state++;
		kernel_packet_changes(kernel, number, connection, world->now_us);
	} else if (dice < 50) {
		connection.mark = (uint8_t)random_below(&traffic->random, 5);
		kernel_packet_changes(kernel, number, connection, world->now_us);
	} else if (dice < 75) {
		kernel_destroy_flow(kernel, number, world->now_us);
	} else {
		kernel_packet_refreshes(kernel, number, world->now_us);
	}
	if (kernel->refused)
		world_meets(world, SITUATION_KERNEL_FULL);
}

void traffic_burst(struct traffic *traffic, struct world *world, unsigned host, unsigned changes)
{
	if (!world->hosts[host].powered)
		return;
	while (changes--)
		change(traffic, world, host);
}

void traffic_upheaval(struct traffic *traffic, struct world *world, unsigned host)
{
	struct kernel *kernel = &world->hosts[host].kernel;
	unsigned changes = traffic->service < 600 ? traffic->service : 600;

	if (!world->hosts[host].powered)
		return;
	for (uint32_t i = 0; i < changes; i++)
		if (random_chance(&traffic->random, 800))
			kernel_destroy_flow(kernel, random_number(traffic, world, host), world->now_us);
	traffic_burst(traffic, world, host, changes / 4);
}

void traffic_fill(struct traffic *traffic, struct world *world)
{
	for (uint32_t i = 0; i < traffic->service; i++) {
		struct connection connection = {.state = CONNECTION_ASSURED, .nat = (uint8_t)(i & 3)};

		if (random_chance(&traffic->random, 600))
			kernel_packet_new(&world->hosts[traffic->active].kernel, i, connection,
					  world->now_us);
	}
}

void traffic_stop(struct traffic *traffic)
{
	traffic->stopped = true;
}

/* ---- time ---- */

int64_t traffic_next_us(const struct traffic *traffic)
{
	return traffic->stopped                              ? INT64_MAX
	       : traffic->next_us < traffic->collect_next_us ? traffic->next_us
							     : traffic->collect_next_us;
}

static void choose_mood(struct traffic *traffic, int64_t now_us)
{
	struct sim_random *r = &traffic->random;

	traffic->mood = random_chance(r, 650)                                    ? TRAFFIC_CALM
			: random_chance(r, traffic->leans_to_storms ? 300 : 900) ? TRAFFIC_BUSY
										 : TRAFFIC_STORM;
	if (traffic->mood == TRAFFIC_STORM)
		traffic->mood_ends_us = now_us + random_between(r, 60000, 250000);
	else
		traffic->mood_ends_us = now_us + random_between(r, 300000, 5000000);
}

static void run_service(struct traffic *traffic, struct world *world)
{
	static const int64_t intervals_us[TRAFFIC_MOODS] = {60000, 8000, 230};
	static const uint32_t batches[TRAFFIC_MOODS] = {2, 8, 1};
	uint32_t changes;

	if (world->now_us >= traffic->mood_ends_us)
		choose_mood(traffic, world->now_us);
	traffic->next_us = world->now_us + intervals_us[traffic->mood];
	if (traffic->active < 0 || (!traffic->budget && traffic->mood != TRAFFIC_CALM))
		return;
	if (!host_passes_packets(&world->hosts[traffic->active]))
		return;
	changes = 1 + random_below(&traffic->random, batches[traffic->mood]);
	traffic->budget -= changes < traffic->budget ? changes : traffic->budget;
	traffic_burst(traffic, world, (unsigned)traffic->active, changes);
	if (traffic->mood == TRAFFIC_CALM)
		traffic_burst(traffic, world, random_below(&traffic->random, world->hosts_count), 1);
}

/* What has expired goes a little late, as garbage collection does it. */
static void collect(struct traffic *traffic, struct world *world)
{
	traffic->collect_next_us = world->now_us + COLLECT_US;
	for (unsigned i = 0; i < world->hosts_count; i++) {
		struct kernel *kernel = &world->hosts[i].kernel;

		if (world->hosts[i].powered)
			kernel_expire(kernel, kernel->numbers / COLLECT_PARTS, world->now_us);
	}
}

void traffic_run(struct traffic *traffic, struct world *world)
{
	if (traffic->stopped)
		return;
	if (world->now_us >= traffic->next_us)
		run_service(traffic, world);
	if (world->now_us >= traffic->collect_next_us)
		collect(traffic, world);
}
