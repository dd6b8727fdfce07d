/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one place where the simulator looks inside a node: at limits, and at situations that no view shows. */
#ifndef SIM_INSIDE_H
#define SIM_INSIDE_H

#include "proto/node.h"

struct inside_limits {
	size_t stash_frames, stash_bytes; /* of the fullest peer */
	size_t candidates;                /* of the peer that has most */
	unsigned peers;
};

struct inside_limits inside_limits(const struct node *node);

/* For node_peer_view(); -1: there is no such peer. */
int inside_peer_index(const struct node *node, uint16_t peer);

/* What was applied of that node's stream; and whether that version was, or waits for its turn. */
uint64_t inside_applied(const struct node *node, uint16_t peer);
bool inside_is_here(const struct node *node, uint16_t peer, uint64_t version);

/* Bytes of that node's frames that wait for their turn. */
size_t inside_stash_bytes(const struct node *node, uint16_t peer);

/* What is left of that node's table after a full catch-up is not, or not wholly, swept yet. */
bool inside_is_unswept(const struct node *node, uint16_t peer);

bool inside_stash_is_full(const struct node *node);

/* Its stream has ended, and the hand-over has not. */
bool inside_is_frozen(const struct node *node);

#endif
