/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warm mode, the kernel's side: carries out what the node's `foreign` effect names (copies of peers' flows:
 * create, remove, refresh), in slices, and answers what became of each.
 */
#ifndef DAEMON_WARM_H
#define DAEMON_WARM_H

#include "proto/node.h"
#include "syncd/daemon/ageing.h"
#include "syncd/daemon/filter.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/loop.h"
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"

struct drive;

/* of each kind, in one step of the node; and to what a step shrinks while the kernel is slow */
enum { WARM_ACTS_MIN = 8, WARM_ACTS_MAX = 32 * WARM_ACTS_MIN };

struct warm {
	struct drive *drive;
	struct log *log;
	struct commit *commit;
	struct audit *audit; /* for GETs */
	const struct filter *filter;
	const struct ageing *ageing;
	struct loop_slice slice;
	struct loop_timer timer;
	/* a takeover runs: behind a closed fence copies may replace what is in their way */
	bool takes_over, fence_is_closed;
	uint32_t elapsed_s;       /* of what is being installed, the longest: what it has left is no less */
	bool has_old;             /* what is in the kernel may be from an earlier time as primary */
	struct warm_act *acts[4]; /* by enum node_foreign_act, WARM_ACTS_MAX each; owned */
	unsigned counts[4];
	unsigned piece; /* acts asked for in a step, by what the last ones took */
};

/* 0 or -ENOMEM; warm_close() is due either way. */
int warm_open(struct warm *warm, struct loop *loop);
void warm_close(struct warm *warm);

/* From within a step: the flow is copied. */
void warm_push(struct warm *warm, enum node_foreign_act act, const struct flow *flow, uint32_t elapsed_s);

/* Whether there is something to do now, and when. */
void warm_look(struct warm *warm);

/* Brings what the takeover waits for to the kernel, until about `until`.  True when all of it is there. */
bool warm_bring(struct warm *warm, struct monotime until);

#endif
