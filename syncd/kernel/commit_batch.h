/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch of requests and its way through the kernel: a commit's socket, and rounds of messages.
 *
 * Each round sends one message for each flow that isn't settled, by the step that it is at (commit_step.h),
 * in one send; the kernel carries them out, in order, before send() returns, and its answers wait on the
 * socket then, each with the sequence number of its message.  Only the last asks for an acknowledgement,
 * which proves that the kernel went through all of them.  Nearly always the first round settles all.
 */
#ifndef KERNEL_COMMIT_BATCH_H
#define KERNEL_COMMIT_BATCH_H

#include "syncd/kernel/commit_step.h"

#include <sys/socket.h>

enum {
	BATCH_FLOWS = 128,
	BATCH_MESSAGES = 64 * 1024,
	/* Batches begin at sequence numbers so far apart that no late answer meets another's: rounds are
	 * bounded, and each takes BATCH_FLOWS of them. */
	BATCH_SEQUENCES = 1 << 16,
	WIRE_ANSWERS = 64,
	WIRE_ANSWER_SIZE = 2048,
};

/* The socket, and room for what is read from it. */
struct commit_wire {
	int fd;
	uint32_t port; /* its netlink port id */
	struct mmsghdr headers[WIRE_ANSWERS];
	struct iovec vectors[WIRE_ANSWERS];
	_Alignas(8) uint8_t answers[WIRE_ANSWERS][WIRE_ANSWER_SIZE];
};

struct commit_batch {
	uint32_t sequence; /* of the first message of this round */
	unsigned count;
	struct commit_options options;
	commit_done *done; /* whose flows they are, and what is told of their ends */
	void *context;
	size_t length; /* of the messages of this round */
	unsigned last; /* the slot of the last one */
	struct slot slots[BATCH_FLOWS];
	struct flow found[BATCH_FLOWS]; /* by slot: what the kernel has */
	_Alignas(8) uint8_t messages[BATCH_MESSAGES];
};

/* 0 or a negative errno; commit_wire_close() in either case. */
int commit_wire_open(struct commit_wire *wire);
void commit_wire_close(struct commit_wire *wire);

/* Sends a lone request that asks for an acknowledgement.  The kernel's answer, or a negative errno. */
int commit_wire_request(struct commit_wire *wire, const struct nlmsghdr *request);

/* The next free slot, of which there must be one; its flow is the caller's to set. */
struct slot *commit_batch_queue(struct commit_batch *batch, enum step step);

/* Writes a round: a message for each flow that isn't settled, as far as there is room; the others wait for
 * the next one. */
void commit_batch_write(struct commit_batch *batch);

/*
 * Carries the batch out, whose first round is written, until every flow of it is settled.  Blocks only for
 * the kernel's own work.  Touches nothing but these two, so that a thread may do it.
 */
void commit_batch_run(struct commit_batch *batch, struct commit_wire *wire);

#endif
