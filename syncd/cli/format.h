/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways to print flows, behind one table of functions.  A dump calls begin once, flow for each flow, end
 * once; all write into the output.  To print a million flows takes less time than the kernel takes to dump
 * them, so there is no printf and no allocation in here.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "proto/flow.h"
#include "syncd/cli/output.h"

struct format_dump {
	struct output *output;
	int64_t now_s; /* wall clock, seconds since 1970: the kernel's flow timestamps are of that clock */
};

struct format {
	const char *name;
	void (*begin)(struct format_dump *dump);
	void (*flow)(struct format_dump *dump, const struct flow *flow);
	void (*end)(struct format_dump *dump);
};

/*
 * One line a flow, byte for byte as conntrack(8) 1.4.7 writes it without -o.  Parts that the flow doesn't
 * have are left out, as conntrack(8) does: a flow of the internal or an external table has no use= (the
 * kernel's reference count), no counters and no delta-time=, for these belong to one kernel's entry and are
 * not replicated.
 */
extern const struct format format_default;

#endif
