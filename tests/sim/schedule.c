/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/schedule.h"

#include "tests/sim/fault.h"
#include "tests/sim/invariant.h"
#include "tests/sim/wide.h"

#include <errno.h>
#include <string.h>

enum { START_US = 1500000, GENERAL_MAX_FLOWS = 40000 };

static const int64_t second_us = 1000000;

/* ---- planning ---- */

void schedule_plan(struct schedule *schedule, const struct world *world, int64_t in_us, struct action action)
{
	if (schedule->healed || schedule->count == SCHEDULE_ACTIONS_MAX)
		return;
	action.at_us = world->now_us + in_us;
	schedule->actions[schedule->count++] = action;
}

/* Of the three and more faults of a seed. */
static enum action_kind choose_fault(struct sim_random *r)
{
	static const uint8_t weights[ACTION_FAULTS] = {
	    [ACTION_KILL] = 12,     [ACTION_POWER_CUT] = 14,  [ACTION_SWITCH_OVER] = 12, [ACTION_PAUSE] = 8,
	    [ACTION_PARTITION] = 8, [ACTION_ONE_WAY] = 6,     [ACTION_LINK_DOWN] = 5,    [ACTION_LOSS] = 10,
	    [ACTION_NOISE] = 8,     [ACTION_ROLL_OVER] = 5,   [ACTION_OVERRUN] = 7,      [ACTION_REQUEST] = 6,
	    [ACTION_FLAP] = 5,      [ACTION_SMALL_TABLE] = 4, [ACTION_SMALL_KERNEL] = 4, [ACTION_ATTACK] = 8,
	    [ACTION_ALL_DIE] = 3,   [ACTION_UPHEAVAL] = 7,    [ACTION_RESYNC_KILL] = 4,
	};
	uint32_t sum = 0, dice;

	for (unsigned i = 0; i < ACTION_FAULTS; i++)
		sum += weights[i];
	dice = random_below(r, sum);
	for (unsigned i = 0; i < ACTION_FAULTS; i++) {
		if (dice < weights[i])
			return (enum action_kind)i;
		dice -= weights[i];
	}
	return ACTION_KILL;
}

static void draw_faults(struct schedule *schedule, const struct world *world)
{
	struct sim_random *r = &schedule->random;
	unsigned count = 3 + random_below(r, 8);

	for (unsigned i = 0; i < count; i++) {
		struct action action = {.kind = choose_fault(r), .host = random_below(r, world->hosts_count)};

		schedule_plan(schedule, world, random_between(r, START_US, schedule->end_us), action);
	}
}

/* ---- the world as it is at first ---- */

static void draw_network(struct schedule *schedule, struct world *world, unsigned links)
{
	struct sim_random *r = &schedule->random;
	bool far = random_chance(r, world->traffic.leans_to_storms ? 500 : 120);

	net_init(&world->net, world->seed, world->hosts_count);
	for (unsigned i = 0; i < links; i++) {
		struct net_link *link = &world->net.links[i];

		link->delay_us = far                     ? random_between(r, 10000, 90000)
				 : random_chance(r, 250) ? random_between(r, 5, 60)
							 : random_between(r, 60, 2000);
		link->jitter_us = random_chance(r, 300) ? random_between(r, 0, link->delay_us) : 10;
		link->loss = random_chance(r, 300) ? random_below(r, 50) : 0;
	}
}

/* Some take long to read their kernels' tables: they are not complete for a while. */
static void draw_dumps(const struct world *world, struct host *host)
{
	struct sim_random r = random_stream(world->seed, 50 + host->index);
	bool is_slow = random_chance(&r, 300);

	host->audit.rows = is_slow ? (unsigned)random_between(&r, 4, 64) : 256;
	host->audit.fast_us = is_slow ? random_between(&r, 100, 50000) : 100;
}

static void draw_config(struct schedule *schedule, const struct world *world, struct host *host,
			unsigned links)
{
	static const uint8_t key[SEAL_KEY_SIZE] = {1, 2, 3};
	struct sim_random *r = &schedule->random;
	struct node_config *config = &host->config;

	config->id = host->id;
	config->active_active = schedule->active_active;
	config->heartbeat = monotime_from_ms(200);
	config->peer_timeout = monotime_from_s(1);
	config->max_flows = GENERAL_MAX_FLOWS;
	config->max_tombstones = (uint32_t)(random_chance(r, 500) ? 1 << 16 : random_between(r, 8, 400));
	config->links = links;
	config->payload_max = FRAME_PAYLOAD_MIN + (random_chance(r, 300) ? random_below(r, 7000) : 220);
	config->receive_window =
	    (uint32_t)(random_chance(r, 300) ? random_between(r, 64 << 10, 512 << 10) : 4 << 20);
	config->cipher = random_chance(r, 200) ? SEAL_CHACHA20_POLY1305 : SEAL_AES_256_GCM;
	seal_ring_add(&config->ring, key);
	config->instance.boot_id[0] = 1;
	config->instance.boot_id[1] = (uint8_t)host->id;
	config->instance.netns_cookie = 77;
	memcpy(config->software, "sim", 4);
	host->slowness = random_chance(r, 200) ? random_between(r, 2, 30) : 1;
	host->clock_ppm = random_between(r, -800, 800);
	host->clock_offset_us = random_between(r, second_us, 4000 * second_us);
	host->event_latency_us = random_between(r, 20, random_chance(r, 200) ? 20000 : 500);
	host->get_delay_us = random_chance(r, 500) ? 50 : random_between(r, 50, 5000);
	host->audit.interval_us = random_between(r, 4, 20) * second_us;
	draw_dumps(world, host);
}

static int make_hosts(struct schedule *schedule, struct world *world)
{
	struct sim_random *r = &schedule->random;
	uint32_t numbers = world->traffic.service + world->hosts_count * world->traffic.own;
	uint32_t queue_max = (uint32_t)(random_chance(r, 250) ? random_between(r, 40, 300) : 4096);
	unsigned links = 1 + random_chance(r, 350);

	draw_network(schedule, world, links);
	links = wide_draw_links(world, links);
	for (unsigned i = 0; i < world->hosts_count; i++) {
		struct host *host = &world->hosts[i];

		if (host_init(host, world, i) || kernel_init(&host->kernel, numbers, numbers, queue_max))
			return -ENOMEM;
		host->kernel.always_events = schedule->random.state & 1;
		draw_config(schedule, world, host, links);
	}
	if (wide_draw_warm(world))
		return -ENOMEM;
	return invariant_init(world);
}

static void first_starts(struct schedule *schedule, struct world *world)
{
	struct sim_random *r = &schedule->random;

	if (random_chance(r, 500)) /* some connections are older than the daemon */
		traffic_fill(&world->traffic, world);
	for (unsigned i = 0; i < world->hosts_count; i++) {
		bool is_active = schedule->active_active || (int)i == world->traffic.active;

		schedule_plan(schedule, world, random_between(r, 0, START_US / 2),
			      (struct action){.kind = ACTION_START, .host = i});
		schedule_plan(schedule, world, random_between(r, START_US / 2, START_US),
			      (struct action){.kind = ACTION_ROLE,
					      .host = i,
					      .value = is_active ? FRAME_ROLE_PRIMARY : FRAME_ROLE_BACKUP});
	}
}

int schedule_init(struct schedule *schedule, struct world *world)
{
	struct sim_random *r = &schedule->random;
	uint32_t dice;

	memset(schedule, 0, sizeof(*schedule));
	*r = random_stream(world->seed, 3);
	schedule->end_us = random_between(r, 60, 65) * second_us;
	dice = random_below(r, 100);
	world->hosts_count = dice < 50 ? 2 : dice < 80 ? 3 : dice < 92 ? 4 : 5;
	schedule->active_active = random_chance(r, 80);
	traffic_init(&world->traffic, world->seed);
	wide_init(&world->wide, world->seed);
	world->traffic.leans_to_storms |= wide_draw_storms(&world->wide, world->seed);
	if (make_hosts(schedule, world))
		return -ENOMEM;
	first_starts(schedule, world);
	draw_faults(schedule, world);
	wide_draw_faults(schedule, world);
	if (world->traffic.leans_to_storms)
		schedule_plan(schedule, world, START_US, (struct action){.kind = ACTION_LOSS, .value = 1});
	return 0;
}

/* ---- time ---- */

static unsigned first_action(const struct schedule *schedule)
{
	unsigned first = 0;

	for (unsigned i = 1; i < schedule->count; i++)
		if (schedule->actions[i].at_us < schedule->actions[first].at_us)
			first = i;
	return first;
}

int64_t schedule_next_us(const struct schedule *schedule)
{
	return schedule->count ? schedule->actions[first_action(schedule)].at_us : INT64_MAX;
}

void schedule_run(struct schedule *schedule, struct world *world)
{
	while (schedule->count && !world->failed) {
		unsigned first = first_action(schedule);
		struct action action = schedule->actions[first];

		if (action.at_us > world->now_us)
			return;
		schedule->actions[first] = schedule->actions[--schedule->count];
		world_trace(world, NULL, "%s host %u other %u value %lld", fault_name(action.kind),
			    action.host + 1, action.other + 1, (long long)action.value);
		fault_run(schedule, world, &action);
	}
}

void schedule_heal(struct schedule *schedule, struct world *world)
{
	world_trace(world, NULL, "faults are over");
	schedule->count = 0;
	schedule->healed = true;
	net_heal(&world->net);
	for (unsigned i = 0; i < world->hosts_count; i++) {
		struct host *host = &world->hosts[i];

		host_power_on(host);
		host_start(host);
		if (host->paused_until_us > world->now_us)
			host->paused_until_us = world->now_us;
		host->config.max_flows = GENERAL_MAX_FLOWS;
		host->kernel.max = host->kernel.numbers;
		while (host->config.ring.count > 1) /* a roll-over that was under way is ended */
			host->config.ring.count--;
		host->config.ring = world->hosts[0].config.ring;
		host_configure(host);
		host_ask_role(host, schedule->active_active ? FRAME_ROLE_PRIMARY : FRAME_ROLE_BACKUP);
	}
	if (world->traffic.active < 0)
		world->traffic.active = 0;
}

void schedule_settle(struct schedule *schedule, struct world *world)
{
	if (!schedule->active_active)
		host_ask_role(&world->hosts[world->traffic.active], FRAME_ROLE_PRIMARY);
}
