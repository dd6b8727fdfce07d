/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/world.h"

#include "tests/sim/invariant.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	SETTLE_LIMIT_S = 330, /* the longest back-off of a full catch-up, and some */
	SETTLE_LOOK_US = 50000,
};

const char *situation_name(enum situation situation)
{
	static const char *const names[SITUATIONS] = {
	    [SITUATION_FULL_CATCHUP] = "full catch-up",
	    [SITUATION_PARTIAL_CATCHUP] = "gap repaired",
	    [SITUATION_HORIZON_PASSED] = "horizon passed",
	    [SITUATION_STASH_OVERFLOW] = "stash overflow",
	    [SITUATION_RESTART_IN_SYNC] = "restart in a sync",
	    [SITUATION_ORPHAN] = "reboot, orphan table",
	    [SITUATION_SPLIT_BRAIN] = "split brain",
	    [SITUATION_HANDOVER] = "hand-over",
	    [SITUATION_TAKEOVER] = "takeover of flows",
	    [SITUATION_RETAKE] = "taken over again",
	    [SITUATION_FOLLOW] = "stream followed",
	    [SITUATION_WITHDRAW] = "leftovers withdrawn",
	    [SITUATION_ROLL_OVER] = "key roll-over",
	    [SITUATION_TABLE_FULL] = "table full",
	    [SITUATION_KERNEL_FULL] = "kernel table full",
	    [SITUATION_OVERRUN] = "events lost",
	    [SITUATION_CLASH] = "EEXIST on commit",
	    [SITUATION_ALONE] = "start without peers",
	    [SITUATION_PARTITION] = "partition",
	    [SITUATION_ATTACK] = "attack",
	    [SITUATION_MANY_LINKS] = "three links or four",
	    [SITUATION_NARROW_PATH] = "narrow path",
	    [SITUATION_NARROW_FOUND] = "narrow path, said",
	    [SITUATION_WARM] = "warm copies",
	    [SITUATION_WARM_TAKEOVER] = "takeover, warm",
	    [SITUATION_DISOWNED] = "leftover stays a copy",
	};

	return names[situation];
}

/* ---- what is said ---- */

void world_fail(struct world *world, const char *format, ...)
{
	va_list arguments;
	int length;

	if (world->failed)
		return;
	world->failed = true;
	length = snprintf(world->failure, sizeof(world->failure),
			  "at %lld.%06lld: ", (long long)world->now_us / 1000000,
			  (long long)world->now_us % 1000000);
	va_start(arguments, format);
	vsnprintf(world->failure + length, sizeof(world->failure) - (size_t)length, format, arguments);
	va_end(arguments);
	world_trace(world, NULL, "FAILED %s", world->failure);
}

bool world_is_traced(const struct world *world)
{
	return world->trace != NULL;
}

void world_trace(struct world *world, const struct host *host, const char *format, ...)
{
	va_list arguments;

	if (!world->trace)
		return;
	fprintf(world->trace, "%lld.%06lld %c%u ", (long long)world->now_us / 1000000,
		(long long)world->now_us % 1000000, host ? '#' : '-', host ? host->id : 0u);
	va_start(arguments, format);
	vfprintf(world->trace, format, arguments);
	va_end(arguments);
	fputc('\n', world->trace);
}

void world_digest(struct world *world, const uint8_t *bytes, size_t length)
{
	world->digest = XXH3_64bits_withSeed(bytes, length, world->digest ^ (uint64_t)world->now_us);
}

void world_meets(struct world *world, enum situation situation)
{
	if (world->situations & 1u << situation)
		return;
	world->situations |= 1u << situation;
	world_trace(world, NULL, "meets: %s", situation_name(situation));
}

/* ---- time ---- */

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t next_us(struct world *world)
{
	int64_t at = net_next_us(&world->net);

	at = earliest(at, traffic_next_us(&world->traffic));
	at = earliest(at, schedule_next_us(&world->schedule));
	for (unsigned i = 0; i < world->hosts_count; i++)
		at = earliest(at, host_next_us(&world->hosts[i]));
	return at;
}

void world_advance(struct world *world, int64_t limit_us)
{
	struct packet packet;
	int64_t at = next_us(world);

	world->now_us = at < world->now_us ? world->now_us : earliest(at, limit_us);
	schedule_run(&world->schedule, world);
	traffic_run(&world->traffic, world);
	while (net_receive(&world->net, world->now_us, &packet))
		host_deliver(&world->hosts[packet.to], packet);
	for (unsigned i = 0; i < world->hosts_count && !world->failed; i++)
		if (host_next_us(&world->hosts[i]) <= world->now_us)
			host_run(&world->hosts[i]);
}

static void run_until(struct world *world, int64_t limit_us)
{
	while (!world->failed && world->now_us < limit_us)
		world_advance(world, limit_us);
}

/* Faults are over: all become equal, within a bound, and say so. */
static void settle(struct world *world)
{
	int64_t begun_us = world->now_us, limit_us = begun_us + SETTLE_LIMIT_S * INT64_C(1000000);

	while (!world->failed && world->now_us < limit_us) {
		if (invariant_all_is_equal(world, NULL)) {
			world->settled_us = world->now_us - begun_us;
			return;
		}
		run_until(world, world->now_us + SETTLE_LOOK_US);
	}
	if (!world->failed)
		invariant_all_is_equal(world, world_fail);
}

struct world *world_run(uint64_t seed, FILE *trace)
{
	struct world *world = calloc(1, sizeof(*world));

	if (!world)
		return NULL;
	world->seed = seed;
	world->trace = trace;
	world->invariants = invariant_create();
	if (!world->invariants || schedule_init(&world->schedule, world)) {
		world_destroy(world);
		return NULL;
	}
	run_until(world, world->schedule.end_us);
	schedule_heal(&world->schedule, world);
	run_until(world, world->now_us + SCHEDULE_CALM_US / 4);
	schedule_settle(&world->schedule, world);
	run_until(world, world->now_us + SCHEDULE_CALM_US);
	traffic_stop(&world->traffic);
	settle(world);
	return world;
}

void world_destroy(struct world *world)
{
	for (unsigned i = 0; i < world->hosts_count; i++)
		host_finish(&world->hosts[i]);
	net_finish(&world->net);
	invariant_destroy(world->invariants);
	free(world);
}
