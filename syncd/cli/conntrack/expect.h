/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands on the kernel's table of expectations: -L, -G, -D, -I, -F, -C and -S (-E: events.c).
 */
#ifndef CLI_CONNTRACK_EXPECT_H
#define CLI_CONNTRACK_EXPECT_H

#include "syncd/cli/conntrack/expectation.h"
#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/request.h"

/* Carries out a command line.  The exit code. */
int expect_run(const struct cli *cli, const struct request *request, struct kernel_table *table);

/* Empties the table.  The exit code. */
int expect_flush(const struct cli *cli, struct kernel_table *table);

/* The format that the command line asks for: what conntrack(8) doesn't have for expectations is its default.
 */
const struct expectation_format *expect_format(const struct request *request);

#endif
