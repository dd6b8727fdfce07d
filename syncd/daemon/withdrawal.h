/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deletes from this kernel what it has left from a time as primary, once a new primary holds all of it: the
 * node's `withdraw` effect, in slices.  What the filter leaves out is not in the internal table, and stays.
 */
#ifndef DAEMON_WITHDRAWAL_H
#define DAEMON_WITHDRAWAL_H

#include "syncd/daemon/ageing.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/loop.h"
#include "syncd/kernel/commit.h"

struct drive;

struct withdrawal {
	struct drive *drive;
	struct log *log;
	struct commit *commit;
	const struct ageing *ageing; /* borrowed; for the configuration */
	struct loop_slice slice;
	uint64_t after; /* version up to which the internal table is done */
	uint64_t deleted, refused;
	uint64_t kept; /* warm mode: left in the kernel as copies of the new primary's */
};

void withdrawal_open(struct withdrawal *withdrawal, struct loop *loop);

/* From within a step: begins, or begins anew. */
void withdrawal_start(struct withdrawal *withdrawal);

#endif
