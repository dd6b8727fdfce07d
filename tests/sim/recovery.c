/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/recovery.h"

#include "tests/sim/inside.h"
#include "tests/sim/invariant.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OWNER,
	HOLDER,
	ONE_WAY_US = 1000,
	ROUND_TRIP_US = 2 * ONE_WAY_US,
	SAMPLES_MAX = 1 << 18,
	PENDING_MAX = 1 << 14,
	CHANGE_US = 500, /* between two changes of the stream under loss */
	OUTAGE_CHANGE_US = 10000,
	LIMIT_US = 120000000,
	FRAME_BYTES = FRAME_OVERHEAD + 3 + 16, /* of a datagram: what is not records */
};

static const int64_t second_us = 1000000;

struct samples {
	int64_t *us;
	size_t count;
};

/* Versions that the owner has given and the holder has not applied yet. */
struct pending {
	struct {
		uint64_t version;
		int64_t at_us;
		bool is_here;
	} items[PENDING_MAX];
	size_t first, count;
};

/* What a case came to. */
struct result {
	struct samples times;    /* to equality */
	struct samples arrivals; /* loss: until a change is there, though others before it may not be */
	uint64_t sent, needed;   /* bytes */
};

static void sample_add(struct samples *samples, int64_t us)
{
	if (!samples->us)
		samples->us = malloc(SAMPLES_MAX * sizeof(*samples->us));
	if (!samples->us)
		abort();
	if (samples->count < SAMPLES_MAX)
		samples->us[samples->count++] = us;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t quantile(const struct samples *samples, unsigned percent)
{
	return samples->count ? samples->us[(samples->count - 1) * percent / 100] : 0;
}

static int64_t mean(const struct samples *samples)
{
	int64_t sum = 0;

	for (size_t i = 0; i < samples->count; i++)
		sum += samples->us[i];
	return samples->count ? sum / (int64_t)samples->count : 0;
}

/* ---- a quiet world of two ---- */

static void configure(struct host *host, uint32_t flows)
{
	static const uint8_t key[SEAL_KEY_SIZE] = {4, 5, 6};
	struct node_config *config = &host->config;

	*config = (struct node_config){.id = host->id,
				       .heartbeat = monotime_from_ms(200),
				       .peer_timeout = monotime_from_s(1),
				       .max_flows = 2 * flows + 1000,
				       .max_tombstones = 1 << 16,
				       .links = 1,
				       .payload_max = 1452,
				       .receive_window = 4 << 20,
				       .cipher = SEAL_AES_256_GCM,
				       .instance.netns_cookie = 7,
				       .software = "sim"};
	config->instance.boot_id[0] = (uint8_t)host->id;
	seal_ring_add(&config->ring, key);
	host->clock_offset_us = second_us;
	host->event_latency_us = 50;
	host->get_delay_us = 50;
	host->audit.interval_us = 100000 * second_us;
	host->audit.rows = 256;
	host->audit.fast_us = 100;
}

static void fill(struct world *world, uint32_t flows)
{
	const struct connection connection = {.state = CONNECTION_ASSURED};

	for (uint32_t i = 0; i < flows; i++)
		kernel_packet_new(&world->hosts[OWNER].kernel, i, connection, world->now_us);
}

static struct world *make_world(uint64_t seed, uint32_t flows)
{
	struct world *world = calloc(1, sizeof(*world));

	if (!world)
		abort();
	world->seed = seed;
	world->hosts_count = 2;
	world->traffic.stopped = true;
	world->invariants = invariant_create();
	net_init(&world->net, seed, 2);
	world->net.links[0].delay_us = ONE_WAY_US;
	for (unsigned i = 0; i < 2; i++) {
		struct host *host = &world->hosts[i];

		if (host_init(host, world, i) || kernel_init(&host->kernel, 2 * flows, 2 * flows, 4096))
			abort();
		host->kernel.always_events = true;
		configure(host, flows);
	}
	if (!world->invariants || invariant_init(world))
		abort();
	fill(world, flows);
	return world;
}

static bool is_equal(struct world *world)
{
	struct node_peer_view view;

	return inside_applied(world->hosts[HOLDER].node, 1) ==
		   table_newest(node_internal(world->hosts[OWNER].node)) &&
	       host_view_of(&world->hosts[HOLDER], &world->hosts[OWNER], &view) && view.holds.in_sync &&
	       view.holds.version == view.applied;
}

/* Until the holder's copy equals the owner's table, and the holder says so. */
static bool run_until_equal(struct world *world)
{
	int64_t limit_us = world->now_us + LIMIT_US;

	while (!world->failed && world->now_us < limit_us) {
		world_advance(world, limit_us);
		if (is_equal(world))
			return true;
	}
	return false;
}

static struct world *make_equal_world(uint64_t seed, uint32_t flows)
{
	struct world *world = make_world(seed, flows);

	for (unsigned i = 0; i < 2; i++)
		host_start(&world->hosts[i]);
	if (!run_until_equal(world))
		world_fail(world, "never equal");
	return world;
}

/* One connection more, further or less. */
static void change(struct world *world, uint32_t flows)
{
	struct kernel *kernel = &world->hosts[OWNER].kernel;
	uint32_t number = random_below(&world->traffic.random, 2 * flows);
	struct connection connection = kernel->flows[number].connection;

	if (!kernel->flows[number].present) {
		kernel_packet_new(kernel, number, (struct connection){.state = CONNECTION_ASSURED},
				  world->now_us);
	} else if (random_chance(&world->traffic.random, 500)) {
		connection.mark++;
		kernel_packet_changes(kernel, number, connection, world->now_us);
	} else {
		kernel_destroy_flow(kernel, number, world->now_us);
	}
}

static uint64_t sent_by_owner(const struct world *world)
{
	struct node_view view;

	node_view(world->hosts[OWNER].node, host_clock(&world->hosts[OWNER]), &view);
	return view.sent_bytes;
}

/* False: an invariant did not hold. */
static bool end_world(struct world *world)
{
	bool good = !world->failed;

	if (!good)
		printf("FAILED %s\n", world->failure);
	world_destroy(world);
	return good;
}

/* ---- random loss ---- */

static void note_versions(struct pending *pending, const struct world *world, uint64_t *newest)
{
	uint64_t now = table_newest(node_internal(world->hosts[OWNER].node));
	size_t at = (pending->first + pending->count) % PENDING_MAX;

	if (now == *newest || pending->count == PENDING_MAX)
		return;
	*newest = now;
	pending->count++;
	pending->items[at].version = now;
	pending->items[at].at_us = world->now_us;
	pending->items[at].is_here = false;
}

static void note_arrivals(struct pending *pending, const struct world *world, struct result *result)
{
	const struct node *holder = world->hosts[HOLDER].node;
	uint64_t applied = inside_applied(holder, 1);

	for (size_t i = 0; i < pending->count; i++) {
		size_t at = (pending->first + i) % PENDING_MAX;

		if (pending->items[at].is_here || !inside_is_here(holder, 1, pending->items[at].version))
			continue;
		pending->items[at].is_here = true;
		sample_add(&result->arrivals, world->now_us - pending->items[at].at_us);
	}
	while (pending->count && pending->items[pending->first].version <= applied) {
		sample_add(&result->times, world->now_us - pending->items[pending->first].at_us);
		pending->first = (pending->first + 1) % PENDING_MAX;
		pending->count--;
	}
}

static bool run_loss(uint64_t seed, uint32_t per_mille, int64_t lasts_us, struct result *result)
{
	const uint32_t flows = 10000;
	struct world *world = make_equal_world(seed, flows);
	struct pending *pending = calloc(1, sizeof(*pending));
	uint64_t newest = table_newest(node_internal(world->hosts[OWNER].node));
	int64_t end_us = world->now_us + lasts_us, next_us = world->now_us;

	if (!pending)
		abort();
	world->traffic.random = random_stream(seed, 9);
	world->net.links[0].loss = per_mille;
	result->sent -= sent_by_owner(world);
	while (!world->failed && (world->now_us < end_us || pending->count)) {
		if (world->now_us >= next_us && world->now_us < end_us) {
			change(world, flows);
			next_us = world->now_us + CHANGE_US;
		}
		world_advance(world, world->now_us < end_us ? next_us : world->now_us + second_us);
		note_versions(pending, world, &newest);
		note_arrivals(pending, world, result);
	}
	result->sent += sent_by_owner(world);
	free(pending);
	return end_world(world);
}

/* ---- an outage, and a start from nothing ---- */

/* What the holder lacks, packed as closely as it can be. */
static uint64_t bytes_needed(const struct world *world, uint64_t applied)
{
	const struct table *own = node_internal(world->hosts[OWNER].node);
	struct table_walk walk = table_walk_after(own, applied, true);
	size_t payload = world->hosts[OWNER].config.payload_max - FRAME_BYTES;
	const struct table_entry *entry;
	uint64_t bytes = 0;

	while ((entry = table_walk_next(&walk)))
		bytes += entry->flags & TABLE_ENTRY_TOMBSTONE ? 1u + entry->key_length
							      : record_length(entry->bytes);
	return bytes + (bytes + payload - 1) / payload * FRAME_BYTES;
}

static void measure(struct world *world, struct result *result)
{
	int64_t begun_us = world->now_us;

	result->sent -= sent_by_owner(world);
	if (!run_until_equal(world))
		world_fail(world, "never equal");
	result->sent += sent_by_owner(world);
	sample_add(&result->times, world->now_us - begun_us);
}

static void block(struct world *world, bool blocked)
{
	world->net.blocked[OWNER][HOLDER] = world->net.blocked[HOLDER][OWNER] = blocked;
}

static bool run_outage(uint64_t seed, uint32_t seconds, uint32_t flows, struct result *result)
{
	struct world *world = make_equal_world(seed, flows);
	int64_t end_us;

	world->traffic.random = random_stream(seed, 9);
	end_us = world->now_us + seconds * second_us + random_between(&world->traffic.random, 0, 400000);
	block(world, true);
	while (!world->failed && world->now_us < end_us) {
		int64_t until_us = world->now_us + OUTAGE_CHANGE_US;

		change(world, flows);
		while (!world->failed && world->now_us < until_us)
			world_advance(world, until_us);
	}
	block(world, false);
	result->needed += bytes_needed(world, inside_applied(world->hosts[HOLDER].node, 1));
	measure(world, result);
	return end_world(world);
}

static bool run_start(uint64_t seed, uint32_t flows, struct result *result)
{
	struct world *world = make_equal_world(seed, flows);
	struct sim_random random = random_stream(seed, 9);
	int64_t until_us = world->now_us + 3 * second_us + random_between(&random, 0, 400000);

	host_kill(&world->hosts[HOLDER]);
	while (!world->failed && world->now_us < until_us)
		world_advance(world, until_us);
	host_start(&world->hosts[HOLDER]);
	result->needed += bytes_needed(world, 0);
	measure(world, result);
	return end_world(world);
}

/* ---- what is told ---- */

static void sort(struct samples *samples)
{
	qsort(samples->us, samples->count, sizeof(*samples->us), compare);
}

static void tell(const char *kind, double value, struct result *result)
{
	const struct samples *times = &result->times;

	sort(&result->times);
	printf("%s\t%g\t%zu\t%lld\t%lld\t%lld\t%lld\t%.3f", kind, value, times->count, (long long)mean(times),
	       (long long)quantile(times, 50), (long long)quantile(times, 90), (long long)quantile(times, 99),
	       result->needed ? (double)result->sent / (double)result->needed : 0);
}

static void result_free(struct result *result)
{
	free(result->times.us);
	free(result->arrivals.us);
}

/* What came later than anything does without loss: how much later than that usually comes, in round trips. */
static double median_repair(const struct samples *arrivals, const struct samples *undisturbed)
{
	int64_t latest = quantile(undisturbed, 100), usual = quantile(undisturbed, 50);
	size_t first = 0;

	while (first < arrivals->count && arrivals->us[first] <= latest)
		first++;
	if (first == arrivals->count)
		return 0;
	return (double)(arrivals->us[(first + arrivals->count) / 2] - usual) / ROUND_TRIP_US;
}

static bool tell_loss_of(uint32_t per_mille, bool brief, const struct result *whole)
{
	struct result result = {.needed = whole->sent};
	double percent = per_mille / 10.0, repair;
	bool good = true;

	for (uint64_t seed = 1; seed <= (brief ? 1 : 5); seed++)
		good &= run_loss(seed, per_mille, (brief ? 2 : 20) * second_us, &result);
	sort(&result.arrivals);
	repair = median_repair(&result.arrivals, &whole->arrivals);
	tell("loss", percent, &result);
	printf("\t%.2f\n", repair);
	if (repair > 2) {
		printf("FAILED: at %g %% loss the median repair takes %.2f round trips\n", percent, repair);
		good = false;
	}
	if (per_mille <= 50 && (double)result.sent >= 1.3 * (double)result.needed) {
		printf("FAILED: at %g %% loss more than 1.3 bytes are sent per byte needed\n", percent);
		good = false;
	}
	result_free(&result);
	return good;
}

static bool tell_loss(bool brief)
{
	static const uint32_t per_mille[] = {1, 10, 50, 200};
	struct result whole = {0};
	bool good = true;

	for (uint64_t seed = 1; seed <= (brief ? 1 : 5); seed++)
		good &= run_loss(seed, 0, (brief ? 2 : 20) * second_us, &whole);
	sort(&whole.arrivals);
	for (size_t i = 0; i < sizeof(per_mille) / sizeof(per_mille[0]); i++)
		good &= tell_loss_of(per_mille[i], brief, &whole);
	result_free(&whole);
	return good;
}

static bool tell_outages(bool brief)
{
	bool good = true;

	for (uint32_t seconds = 1; seconds <= (brief ? 1 : 100); seconds *= 10) {
		struct result result = {0};

		for (uint64_t seed = 1; seed <= (brief ? 2 : 20); seed++)
			good &= run_outage(seed, seconds, 10000, &result);
		tell("outage", seconds, &result);
		printf("\n");
		result_free(&result);
	}
	return good;
}

static bool tell_starts(bool brief)
{
	bool good = true;

	for (uint32_t flows = 1000; flows <= (brief ? 10000 : 1000000); flows *= 10) {
		struct result result = {0};
		uint64_t runs = brief ? 2 : flows > 100000 ? 5 : 20;

		for (uint64_t seed = 1; seed <= runs; seed++)
			good &= run_start(seed, flows, &result);
		tell("flows", flows, &result);
		printf("\n");
		fflush(stdout);
		result_free(&result);
	}
	return good;
}

bool recovery_run(bool brief)
{
	bool good = tell_loss(brief);

	good &= tell_outages(brief);
	good &= tell_starts(brief);
	return good;
}
