/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A snapshot of the daemon before: refused whole, or taken over, and then written and read again. */
#include "proto/snapshot.h"

#include "proto/node_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kept {
	uint8_t bytes[64 << 10];
	size_t length;
};

static int keep(void *context, const uint8_t *bytes, size_t length)
{
	struct kept *kept = context;

	if (length > sizeof(kept->bytes) - kept->length)
		return -ENOSPC;
	memcpy(kept->bytes + kept->length, bytes, length);
	kept->length += length;
	return 0;
}

static size_t orphans(const struct node *node)
{
	size_t flows = 0;

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		for (unsigned o = 0; o < NODE_ORPHANS_MAX && node->peers[i].orphans[o].table; o++)
			flows += table_count(node->peers[i].orphans[o].table);
	return flows;
}

/* What was taken over goes through the next restart as well; an owner keeps its newest tables alone. */
static void check_again(struct world *world)
{
	struct world *next = malloc(sizeof(*next));
	struct kept *kept = calloc(1, sizeof(*kept));
	struct snapshot_report report;
	int error;

	FUZZ_REQUIRE(next && kept);
	error = snapshot_write(world->node, world->now, keep, kept, &report);
	FUZZ_REQUIRE(error == 0 || error == -ENOSPC);
	if (!error) {
		FUZZ_REQUIRE(report.flows == orphans(world->node));
		world_open(next);
		next->now = monotime_max(next->now, world->now);
		FUZZ_REQUIRE(snapshot_read(next->node, next->now, kept->bytes, kept->length, &report) == 0);
		FUZZ_REQUIRE(orphans(next->node) == orphans(world->node));
		world_close(next);
	}
	free(kept);
	free(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct world *world = malloc(sizeof(*world));
	uint8_t *copy = fuzz_copy(bytes, length);
	struct snapshot_report report;

	FUZZ_REQUIRE(world);
	world_open(world);
	if (snapshot_read(world->node, world->now, copy, length, &report) == 0) {
		FUZZ_REQUIRE(orphans(world->node) <= report.flows);
		check_again(world);
		world_wait(world, 2000000);
	} else {
		FUZZ_REQUIRE(!report.tables && !orphans(world->node));
	}
	world_check_tables(world);
	world_close(world);
	free(copy);
	free(world);
	return 0;
}
