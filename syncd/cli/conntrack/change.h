/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of conntrack(8) that change the kernel's table: -I, -A, -U, -D; and -R, which does these line
 * by line.
 */
#ifndef CLI_CHANGE_H
#define CLI_CHANGE_H

#include "syncd/cli/conntrack/request.h"

struct kernel_table;
struct show;

/* A change under way. */
struct changing {
	const struct cli *cli;
	const struct request *request;
	struct kernel_table *table;
	struct show *show; /* NULL: silent */
	unsigned long long done;
	unsigned failed;
};

/* Carries out one command line.  The exit code. */
int change_run(const struct cli *cli, const struct request *request, struct labels *labels);

/* Carries out the lines of a file ("-": standard input), all read and checked before the first is carried
 * out.  The exit code. */
int change_load(struct cli *cli, const char *path, struct labels *labels);

/* Updates or deletes the flows that the request is about.  The exit code. */
int change_matching(struct changing *changing);

/* What the kernel's refusal means, in conntrack(8)'s words.  Returns CLI_FAILED. */
int change_say_error(const struct cli *cli, int error);

/* Fills in what a command line for -I leaves to be understood: the direction that it doesn't name, NAT.  0,
 * or -EINVAL for a reply direction that is not whole. */
int change_build_flow(const struct request *request, struct flow *flow);

#endif
