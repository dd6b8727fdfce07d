/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of one flow through a commit: what to send next, and what an answer means.  No sockets here;
 * commit.c sends and receives.
 *
 *   CREATE --ok--------------------------------------------------------------------> created (replaced)
 *     | ok, the first of a batch that has labels ----> SHOW -------------------------> created, or no-labels
 *     | exists                            same NAT, behind
 *     +-----> FIND --found, its key is ours----+-----------> UPDATE --ok-----------> updated
 *              |         |                     +--same NAT, as far on--------------> kept
 *              |         +--another's reply---\ other NAT
 *              | none                          +--may go---> REMOVE --ok--> CREATE
 *              +----> FIND_REPLY --found------/----not---------------------------> clash
 *
 *   CHECK --found, its key is ours--> DELETE --ok--> "created" (deleted); with an id it starts at DELETE
 *     +-----none, or another's reply---------------> "kept"
 *
 *   REFRESH --ok--> updated, --none--> expired, --its timeout is fixed--> kept
 */
#ifndef KERNEL_COMMIT_STEP_H
#define KERNEL_COMMIT_STEP_H

#include "syncd/kernel/commit.h"

enum step {
	STEP_CREATE,
	STEP_FIND,
	STEP_FIND_REPLY,
	STEP_UPDATE,
	STEP_SHOW,
	STEP_REMOVE,
	STEP_CHECK,
	STEP_DELETE,
	STEP_REFRESH,
	STEP_SETTLED,
};

struct slot {
	uint8_t step, rounds, transients;
	bool replaced;       /* what was in the way has been removed */
	bool without_helper; /* the kernel doesn't have it */
	bool without_master; /* it isn't here */
	bool without_labels; /* there is no room for them */
	bool checked;        /* a deletion: that the flow is the one that is meant */
	bool sent;           /* in this round */
	uint8_t result;
	int error;          /* the answer of this round; then the end's */
	uint32_t timeout_s; /* what is left when it is created */
	struct flow flow;   /* wanted; settled: as it is in the kernel */
};

/* True when the step asks for a flow, so that it is answered even if all is well. */
bool step_is_query(const struct slot *slot);

/* Writes the slot's next message; `found` is what the last query answered.  As convert_to_message() returns.
 */
int step_write(const struct slot *slot, const struct flow *found, const struct commit_options *options,
	       uint32_t sequence, void *room, size_t size);

/*
 * Takes slot->error as the answer (-ENOBUFS: there was none) to the message sent for slots[index], and sets
 * the next step, or settles the slot.  What comes before it in slots[] is looked at, to know whether a master
 * may still come.
 */
void step_advance(struct slot *slots, unsigned index, const struct flow *found,
		  const struct commit_options *options);

void step_settle(struct slot *slot, enum commit_result result, int error);

/*
 * Of settled slots: labels of created flows that the kernel left out in silence
 * (ctnetlink_new_conntrack()).  Whether it does so holds for all flows of a namespace, and one of the batch
 * was looked at.
 */
void step_settle_labels(struct slot *slots, unsigned count);

#endif
