/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the lines of a file for -R ask for, in their order.  What creates flows is kept as the netlink
 * messages that it will be, in batches; a million lines are no more than these bytes.
 */
#ifndef CLI_CONNTRACK_LOAD_PLAN_H
#define CLI_CONNTRACK_LOAD_PLAN_H

#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/request.h"

/* Creations; or another request. */
struct load_step {
	struct kernel_creations *batch;
	struct request *request; /* changes, deletes, flushes */
	uint32_t lines_before;   /* what line[] counts from */
	uint32_t line[KERNEL_CREATIONS_MAX];
	bool may_exist[KERNEL_CREATIONS_MAX]; /* -A */
};

/* Empty at first: {0}. */
struct load_plan {
	struct load_step **step;
	size_t count, room;
};

/* Adds what a line asks for (a load_take, whose context is the plan). */
bool load_plan_take(void *plan, const struct request *request, uint32_t line);

/* Adds another plan's steps, whose lines counted from 0 at `lines_before`; that one is empty then.  False:
 * out of memory, both are as they were. */
bool load_plan_append(struct load_plan *plan, struct load_plan *other, uint32_t lines_before);

void load_plan_clear(struct load_plan *plan);

#endif
