/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commits into the kernel of a test's namespace, and a look at what they did there.
 */
#ifndef TESTS_UNIT_COMMIT_GROUND_H
#define TESTS_UNIT_COMMIT_GROUND_H

#include "syncd/kernel/commit.h"
#include "tests/unit/kernel_netns.h"

/* How a flow ended: what commit's `done` was told last, and how often it was called. */
struct commit_end {
	unsigned count;
	enum commit_result result;
	int error;
	struct flow flow;
};

/* Packets may pass meanwhile; or none does, so that what is in the way may be replaced. */
extern const struct commit_options commit_fence_open, commit_fence_closed;

/* A commit's `done`; its context is a struct commit_end. */
void commit_note_end(void *context, const struct flow *flow, enum commit_result result, int error);

/* Commits one flow, and asserts that it ended once. */
struct commit_end commit_write_one(struct kernel_netns *k, const struct flow *flow, uint32_t timeout_s,
				   const struct commit_options *options);
/* Commits it with a timeout of 600 s, and asserts that it ends so. */
void commit_assert_ends(struct kernel_netns *k, const struct flow *flow, const struct commit_options *options,
			enum commit_result result);
/* Asserts that what `done` was told is what the kernel has. */
void commit_assert_told_the_truth(struct kernel_netns *k, const struct commit_end *end);

/* The flow with its source translated to 203.0.113.`address`. */
struct flow commit_with_nat(struct flow flow, uint8_t address);

#endif
