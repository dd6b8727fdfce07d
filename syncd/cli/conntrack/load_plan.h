/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the lines of a file for -R ask for, in their order.  What creates flows is kept as the netlink
 * messages that it will be, in batches; or, where many such lines follow one another in a file that can be
 * read again, as their place there: they become batches when their turn comes (load_ahead.h).
 */
#ifndef CLI_CONNTRACK_LOAD_PLAN_H
#define CLI_CONNTRACK_LOAD_PLAN_H

#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/load.h"

#include <sys/types.h>

enum { LOAD_RANGE_MAX = 512 * 1024 };

/* Lines of the file, all of which load_read_ahead() takes. */
struct load_range {
	off_t start;
	size_t length;   /* 1 to LOAD_RANGE_MAX; 0: there is none */
	uint32_t line;   /* how many lines stand before */
	uint64_t digest; /* load_range_digest() when they were checked */
};

/* A batch, a request or a range. */
struct load_step {
	struct kernel_creations *batch;
	struct request *request; /* changes, deletes, flushes */
	struct load_range range;
	uint32_t line[KERNEL_CREATIONS_MAX];
	bool may_exist[KERNEL_CREATIONS_MAX]; /* -A */
};

/* Empty at first: {0}. */
struct load_plan {
	struct load_step **step;
	size_t count, room;
	size_t spare; /* step[count] up to there have empty batches */
};

/* Adds what a line asks for (a load_take, whose context is the plan). */
bool load_plan_take(void *plan, const struct request *request, uint32_t line);

/* Adds checked lines.  False: out of memory. */
bool load_plan_take_range(struct load_plan *plan, const struct load_range *range);

/* Tells later whether a range still holds what was checked. */
uint64_t load_range_digest(const char *bytes, size_t length);

/* Empties a plan that has batches alone, whose memory it keeps for those to come. */
void load_plan_reset(struct load_plan *plan);

void load_plan_clear(struct load_plan *plan);

#endif
