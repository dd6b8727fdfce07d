/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -E: shows the kernel's events as they come, until a signal ends it or nobody reads.
 */
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include "syncd/cli/conntrack/request.h"

#include <time.h>

/* The exit code. */
int events_run(const struct cli *cli, const struct request *request, struct labels *labels);

/* SIGINT and SIGTERM, blocked, as a descriptor to be polled; -1: errno. */
int events_open_signals(void);

/* When losses are told: at once, then once a second at most, however often they happen. */
struct events_loss {
	unsigned long long told;
	time_t time;
};

/* True if a count of `lost` is to be told now; it is noted as told. */
bool events_loss_is_due(struct events_loss *loss, unsigned long long lost, bool at_end);

#endif
