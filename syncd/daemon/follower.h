/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the stream of a live peer into this kernel, during a takeover and after it: queues what the node's
 * `follow` effect names, and carries it out in that order once the step is over.  Flows are only brought
 * forward, and only deleted when no packet of our own has touched them (untouched.h).
 */
#ifndef DAEMON_FOLLOWER_H
#define DAEMON_FOLLOWER_H

#include "syncd/daemon/ageing.h"
#include "syncd/daemon/filter.h"
#include "syncd/daemon/log.h"
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"

struct drive;

enum {
	FOLLOWER_SAMPLES = 64,
	FOLLOWER_MANY = 512, /* so many wait: carry them out between two steps, too */
};

struct follower {
	struct drive *drive;
	struct log *log;
	struct commit *commit;
	struct audit *audit; /* for GETs */
	const struct filter *filter;
	const struct ageing *ageing;
	struct followed *queue;
	size_t count, size;
	bool runs;
	uint64_t brought, deleted, touched, lost; /* touched: left alone, for packets of our own use them */
	/* when the internal table had got to which version: dates what was committed */
	unsigned samples_count;
	struct {
		uint64_t version;
		struct monotime first, at;
	} samples[FOLLOWER_SAMPLES];
};

/* From within a step: the flow is copied. */
void follower_push(struct follower *follower, const struct flow *flow, bool gone);

/* Carries out all that waits; not from within a step, and not while a commit's batch is half full. */
void follower_run(struct follower *follower, bool fence_is_closed);

/* Something was committed: the internal table has got to this version. */
void follower_date(struct follower *follower, uint64_t version, struct monotime now);

void follower_close(struct follower *follower);

#endif
