/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/inside.h"

#include "proto/node_state.h"

struct inside_limits inside_limits(const struct node *node)
{
	struct inside_limits limits = {0};

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		const struct peer *peer = &node->peers[i];
		size_t candidates = 0;

		if (!peer->id)
			continue;
		limits.peers++;
		for (unsigned c = 0; c < PEER_CANDIDATES; c++)
			candidates += session_exists(&peer->candidates[c]);
		if (candidates > limits.candidates)
			limits.candidates = candidates;
		if (peer->receive.stash.count > limits.stash_frames)
			limits.stash_frames = peer->receive.stash.count;
		if (peer->receive.stash.bytes > limits.stash_bytes)
			limits.stash_bytes = peer->receive.stash.bytes;
	}
	return limits;
}

int inside_peer_index(const struct node *node, uint16_t id)
{
	int index = 0;

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		if (node->peers[i].id == id)
			return index;
		index += node->peers[i].id != 0;
	}
	return -1;
}

uint64_t inside_applied(const struct node *node, uint16_t id)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id == id)
			return node->peers[i].receive.applied;
	return 0;
}

bool inside_is_here(const struct node *node, uint16_t id, uint64_t version)
{
	const struct receive *receive = NULL;

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id == id)
			receive = &node->peers[i].receive;
	for (size_t i = 0; receive && i < receive->stash.count; i++)
		if (receive->stash.frames[i].from < version && version <= receive->stash.frames[i].to)
			return true;
	return receive && receive->applied >= version;
}

size_t inside_stash_bytes(const struct node *node, uint16_t id)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id == id)
			return node->peers[i].receive.stash.bytes;
	return 0;
}

bool inside_is_unswept(const struct node *node, uint16_t id)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		const struct receive *receive = &node->peers[i].receive;

		if (node->peers[i].id == id)
			return receive->full.running || receive->full.wanted || receive->full.sweep_waits ||
			       receive->full.sweeping;
	}
	return true;
}

bool inside_stash_is_full(const struct node *node)
{
	struct inside_limits limits = inside_limits(node);

	return limits.stash_frames >= STASH_FRAMES || limits.stash_bytes + 9000 > STASH_BYTES;
}

bool inside_is_frozen(const struct node *node)
{
	return node->local.frozen;
}
