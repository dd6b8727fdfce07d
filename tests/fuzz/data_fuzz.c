/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the seal: what a current peer, hostile or mistaken, may say, in any order, with time, local events,
 * requests and restarts in between.  The peer's session, challenges, positions and digests are made right
 * where the step asks for it, so that plain mutation gets past them.
 */
#include "proto/node_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"
#include "tests/fuzz/world.h"

#include <stdlib.h>
#include <string.h>

enum {
	STEP_PLAIN,   /* bytes: messages as they are */
	STEP_STATUS,  /* bytes: the body of a STATUS, to which what proves us is added */
	STEP_DATA,    /* bytes: entries; argument: see say_data() */
	STEP_WAIT,    /* argument: ms */
	STEP_LOCAL,   /* argument: kind of event, number of the flow */
	STEP_REQUEST, /* argument: which, of what */
	STEP_RESTART, /* the peer; argument: its kernel instance */
	STEP_IN_STEP, /* the peer says that it has applied all, and is at its newest; argument: see there */
	STEP_FLOOD,   /* bytes: an entry, with which frames beyond a gap are filled; argument: how many */
	STEP_KINDS,
	FLOOD_MAX = 300, /* more than the stash takes */
	STEPS_MAX = 256,
	RESTARTS_MAX = 4,
};

static const int64_t wait_max_us = 5 * INT64_C(1000000);

static const struct peer *peer_of(const struct world *world)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (world->node->peers[i].id == WORLD_PEER_ID)
			return &world->node->peers[i];
	return NULL;
}

/* ---- what the peer says ---- */

static void say_status(struct world *world, const struct step *step)
{
	struct frame_status status;

	if (frame_status_read(reader_over(step->bytes, step->length), &status))
		return;
	world_say_status(world, &status);
}

/* Argument, from the lowest bit: 0-1 role, 2 suspect, 3 leaving, 4 claims our table, 5 its stream is frozen;
 * 8-15 term. */
static void say_in_step(struct world *world, uint16_t argument)
{
	const struct peer *peer = peer_of(world);
	const struct table *ours = node_internal(world->node);
	struct frame_status status = {.role = argument % FRAME_ROLES,
				      .flags = FRAME_STATUS_COMPLETE,
				      .term = argument >> 8,
				      .instance = world->instance,
				      .stamp = (uint64_t)world->now.us,
				      .heartbeat_us = 200000,
				      .peers_count = 1};

	if (peer) {
		status.newest = peer->receive.applied;
		status.count = (uint32_t)table_count(peer->receive.table);
		status.digest = table_digest(peer->receive.table);
	}
	status.flags |= argument & 4 ? FRAME_STATUS_SUSPECT : 0;
	status.flags |= argument & 8 ? FRAME_STATUS_LEAVING : 0;
	status.frozen_at = argument & 32 ? status.newest : 0;
	if (argument & 16) {
		status.claims_count = 1;
		status.claims[0] = (struct frame_claim){.node_id = WORLD_NODE_ID,
							.session = world->header.session,
							.version = table_newest(ours)};
	}
	status.peers[0].flags = FRAME_PEER_CURRENT;
	status.peers[0].applied = table_newest(ours);
	status.peers[0].proven = table_newest(ours) + 1;
	status.peers[0].window = 1 << 20;
	world_say_status(world, &status);
}

/*
 * A DATA where the node waits for it.  Argument, from the lowest bit: 0 full, 1 tail, 2 digest of what the
 * node holds now, 3 begins before, 4 begins beyond, 5 asof is ahead, 6 another full catch-up's id, 7 group;
 * 8-15 how many versions it spans.
 */
static void say_data(struct world *world, const struct step *step)
{
	const struct peer *peer = peer_of(world);
	uint64_t at = peer ? receive_position(&peer->receive) : 0;
	struct frame_data data = {.flags = (uint8_t)(step->argument & 3), .count = 1, .digest = 1};
	uint8_t bytes[FRAME_PAYLOAD_MAX - FRAME_OVERHEAD];
	struct writer w = writer_over(bytes, sizeof(bytes));
	struct frame_data_writer d;

	data.from = step->argument & 8 ? at - at / 2 : step->argument & 16 ? at + 3 : at;
	data.to = data.from + (step->argument >> 8);
	data.asof = data.to + (step->argument & 32 && !(data.flags & FRAME_DATA_TAIL) ? 5 : 0);
	data.full_id = world->about_peer.full_id ^ (step->argument & 64 ? 1 : 0);
	if (peer && step->argument & 4) {
		data.count = (uint32_t)table_count(peer->receive.table);
		data.digest = table_digest(peer->receive.table);
	}
	frame_data_begin(&d, &w);
	writer_bytes(&w, step->bytes, step->length);
	if (w.failed)
		return;
	frame_data_end(&d, &data);
	world_say(world, 0, step->argument & 128, bytes, writer_length(&w));
}

static void say_flood(struct world *world, const struct step *step)
{
	const struct peer *peer = peer_of(world);
	uint64_t at = peer ? receive_position(&peer->receive) : 0;
	uint8_t bytes[FRAME_PAYLOAD_MAX - FRAME_OVERHEAD];

	for (unsigned i = 0; i < step->argument % FLOOD_MAX; i++) {
		struct frame_data data = {.from = at + 2 * i + 1, .to = at + 2 * i + 2};
		struct writer w = writer_over(bytes, sizeof(bytes));
		struct frame_data_writer d;

		data.asof = data.to;
		data.flags = world->about_peer.full_id ? FRAME_DATA_FULL : 0;
		data.full_id = world->about_peer.full_id;
		frame_data_begin(&d, &w);
		while (step->length && writer_room(&w) >= step->length)
			writer_bytes(&w, step->bytes, step->length);
		frame_data_end(&d, &data);
		world_say(world, 0, false, bytes, writer_length(&w));
	}
}

/* ---- what happens at the node ---- */

static void local_event(struct world *world, uint16_t argument)
{
	static const enum node_event_type types[] = {NODE_FLOW_NEW, NODE_FLOW_UPDATE, NODE_FLOW_DESTROY,
						     NODE_FLOW_COMMITTED};
	struct flow flow = argument & 4 ? snat_flow(argument >> 8) : plain_flow(argument >> 8);
	struct node_event event = {.type = types[argument & 3], .flow = &flow};

	flow.mark = argument >> 3 & 31;
	world_step(world, &event);
}

static void request(struct world *world, uint16_t argument)
{
	struct node_config config = world_config(WORLD_NODE_ID);
	struct node_event event = {.type = NODE_ROLE, .role = (argument >> 8) % FRAME_ROLES};

	switch (argument % 16) {
	case 1:
		event = (struct node_event){.type = NODE_RESYNC, .peer = argument & 256 ? WORLD_PEER_ID : 0};
		break;
	case 2:
		event = (struct node_event){.type = NODE_FLUSH_EXTERNAL};
		break;
	case 3:
		event = (struct node_event){.type = NODE_FLUSH_INTERNAL};
		break;
	case 4:
		event = (struct node_event){.type = argument & 256 ? NODE_OVERRUN : NODE_OVERRUN_ENDED};
		break;
	case 5:
		event = (struct node_event){.type = NODE_KERNEL_LIMITS};
		event.conntrack_max = event.conntrack_buckets = argument;
		break;
	case 6:
		config.active_active = argument & 256;
		config.max_flows = argument & 512 ? WORLD_FLOWS_MAX / 4 : WORLD_FLOWS_MAX;
		config.cipher = argument & 1024 ? SEAL_CHACHA20_POLY1305 : SEAL_AES_256_GCM;
		event = (struct node_event){.type = NODE_CONFIGURE, .config = &config};
		break;
	case 7:
		world_audit(world);
		return;
	case 8:
		event = (struct node_event){.type = NODE_TAKEOVER};
		break;
	case 9:
		event = (struct node_event){.type = NODE_TAKEOVER_FAILED};
		break;
	case 10:
		event = (struct node_event){.type = NODE_LEAVE};
		break;
	}
	world_step(world, &event);
}

/* ---- the run ---- */

static void restart(struct world *world, uint16_t argument)
{
	world->instance.boot_id[0] = argument & 1;
	world->instance.netns_cookie = argument >> 8;
	world_handshake(world);
}

static void take(struct world *world, const struct step *step)
{
	switch (step->kind % STEP_KINDS) {
	case STEP_PLAIN:
		world_say(world, step->argument & 1, step->argument & 2, step->bytes, step->length);
		break;
	case STEP_STATUS:
		say_status(world, step);
		break;
	case STEP_DATA:
		say_data(world, step);
		break;
	case STEP_FLOOD:
		say_flood(world, step);
		break;
	case STEP_WAIT:
		world_wait(world, step->argument * INT64_C(1000) % wait_max_us);
		break;
	case STEP_LOCAL:
		local_event(world, step->argument);
		break;
	case STEP_REQUEST:
		request(world, step->argument);
		break;
	case STEP_IN_STEP:
		say_in_step(world, step->argument);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct world *world = malloc(sizeof(*world));
	struct reader r = reader_over(bytes, length);
	unsigned restarts = 0;
	struct step step;

	FUZZ_REQUIRE(world);
	world_open(world);
	FUZZ_REQUIRE(world_handshake(world));
	for (unsigned i = 0; i < STEPS_MAX && step_read(&r, &step); i++) {
		if (step.kind % STEP_KINDS != STEP_RESTART)
			take(world, &step);
		else if (restarts++ < RESTARTS_MAX)
			restart(world, step.argument);
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
