/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node to be fuzzed, and a peer of it that has the key and says what the fuzzer wants: inside the seal, in
 * a session that the node takes for current.  Nothing is random but by a fixed seed, so that an input does
 * the same each time.  Whatever the node sends is opened, read and checked.
 */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include "proto/node.h"
#include "tests/unit/random_flow.h"

enum {
	WORLD_NODE_ID = 1,
	WORLD_PEER_ID = 2,
	WORLD_FLOWS_MAX = 64, /* [table] max-flows of the node */
	WORLD_TOMBSTONES_MAX = 32,
	WORLD_LINKS = 2,
	WORLD_GETS_MAX = 64,
};

struct world {
	struct node *node;
	struct monotime now;
	struct random random;
	struct seal_ring ring;
	/* the peer */
	struct seal *seal;
	struct seal_session_id session;
	struct frame_kernel_instance instance;
	uint64_t packet_number;
	uint32_t counter[2]; /* of datagrams to the group, to the node */
	uint64_t challenge;  /* that it draws for the node's session */
	/* what the node last said */
	struct seal *opener;
	struct frame_header header;
	struct frame_status status;
	struct frame_peer about_peer; /* of the peer's session; node_id 0: nothing */
	uint64_t number;              /* packet number of its last datagram */
	uint64_t sent;                /* datagrams, each link counted */
	uint32_t heard_from;          /* a bit for each address that a datagram came from */
	/* what it asked the kernel */
	struct flow gets[WORLD_GETS_MAX];
	size_t gets_count;
	bool audit_wanted, withdraw_wanted;
	/* of the session that was current: how far it was applied */
	struct seal_session_id current;
	uint64_t applied;
	/* if set, is given what the node sends over link 0 */
	void (*tap)(void *context, const uint8_t *bytes, size_t length);
	void *tap_context;
};

/* A node that is `complete`, and nobody whom it knows. */
void world_open(struct world *world);
void world_close(struct world *world);

/* What the configuration of node `id` is (the world's node is WORLD_NODE_ID). */
struct node_config world_config(uint16_t id);

/* The node takes a datagram, which came over `link` from the address of that number (0..31). */
void world_take(struct world *world, unsigned link, unsigned address, const uint8_t *bytes, size_t length);
/* Time passes; the node is stepped whenever it wants to be. */
void world_wait(struct world *world, int64_t us);
void world_step(struct world *world, struct node_event *event);
/* An audit pass over a kernel that holds what the node believes. */
void world_audit(struct world *world);

/* The peer sends messages, sealed, over `link`, to the node or to the group. */
void world_say(struct world *world, unsigned link, bool to_group, const uint8_t *messages, size_t length);
/* The same for a STATUS, to which a block about the node is added that proves the session to be live. */
void world_say_status(struct world *world, struct frame_status *status);
/* A new session of the peer, and its handshake: true when it is current. */
bool world_handshake(struct world *world);

/* What must hold at any time.  Cheap. */
void world_check(struct world *world);
/* What must hold, and takes a walk through the tables. */
void world_check_tables(struct world *world);

#endif
