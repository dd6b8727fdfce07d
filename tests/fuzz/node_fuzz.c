/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams as they come from the net.  The corpus holds recordings of real exchanges with this very node, so
 * what the fuzzer leaves alone is authentic.  What is not changes nothing.
 */
#include "proto/node_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"
#include "tests/fuzz/world.h"

#include <stdlib.h>
#include <string.h>

enum { STEP_DATAGRAM, STEP_WAIT, STEP_KINDS, STEPS_MAX = 256 };

static const int64_t wait_max_us = 2 * INT64_C(1000000);

/* What a datagram must not change unless it is authentic. */
struct outline {
	uint64_t newest, tables;
	unsigned peers, sessions;
};

static unsigned count_sessions(const struct peer *peer)
{
	unsigned count = session_exists(&peer->current);

	for (unsigned i = 0; i < PEER_CANDIDATES; i++)
		count += session_exists(&peer->candidates[i]);
	return count;
}

static struct outline outline_of(const struct node *node)
{
	struct outline outline = {.newest = table_newest(node->local.table),
				  .sessions = count_sessions(&node->twin)};

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		const struct peer *peer = &node->peers[i];

		if (!peer->id)
			continue;
		outline.peers++;
		outline.sessions += count_sessions(peer);
		outline.tables = outline.tables * 31 + table_digest(peer->receive.table) +
				 table_newest(peer->receive.table) + peer->receive.applied +
				 peer->current.packet_number;
	}
	return outline;
}

static uint64_t count_unauthentic(const struct node *node)
{
	return node->drops[NODE_DROP_TOO_SHORT] + node->drops[NODE_DROP_BAD_MAGIC] +
	       node->drops[NODE_DROP_OTHER_VERSION] + node->drops[NODE_DROP_UNKNOWN_KEY] +
	       node->drops[NODE_DROP_NOT_AUTHENTIC];
}

static void take(struct world *world, const struct step *step)
{
	struct outline before = outline_of(world->node), after;
	uint64_t unauthentic = count_unauthentic(world->node);
	uint8_t *copy = fuzz_copy(step->bytes, step->length);
	struct node_event event = {.type = NODE_DATAGRAM, .now = world->now};

	event.datagram.link = step->argument & 1;
	event.datagram.from.length = 1;
	event.datagram.from.bytes[0] = step->argument >> 8 & 31;
	event.datagram.bytes = copy;
	event.datagram.length = step->length;
	world->heard_from |= 1u << event.datagram.from.bytes[0];
	world_step(world, &event);
	free(copy);
	after = outline_of(world->node);
	FUZZ_REQUIRE(count_unauthentic(world->node) - unauthentic <= 1);
	if (count_unauthentic(world->node) != unauthentic)
		FUZZ_REQUIRE(before.newest == after.newest && before.tables == after.tables &&
			     before.peers == after.peers && before.sessions == after.sessions);
	world_wait(world, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct world *world = malloc(sizeof(*world));
	struct reader r = reader_over(bytes, length);
	struct step step;

	FUZZ_REQUIRE(world);
	world_open(world);
	for (unsigned i = 0; i < STEPS_MAX && step_read(&r, &step); i++) {
		if (step.kind % STEP_KINDS == STEP_WAIT)
			world_wait(world, step.argument * INT64_C(1000) % wait_max_us);
		else
			take(world, &step);
		world_check(world);
	}
	world_check_tables(world);
	world_close(world);
	free(world);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t max, unsigned seed)
{
	return steps_mutate(bytes, length, max, seed);
}
