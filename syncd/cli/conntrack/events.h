/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -E: shows the kernel's events as they come, until a signal ends it or nobody reads.
 */
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include "syncd/cli/conntrack/request.h"

/* The exit code. */
int events_run(const struct cli *cli, const struct request *request, struct labels *labels);

#endif
