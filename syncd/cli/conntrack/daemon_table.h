/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of conntrack(8) on the daemon's tables, over its control socket: -L, -G, -C, -F and -E, with
 * the options that they have on the kernel's.
 */
#ifndef CLI_CONNTRACK_DAEMON_TABLE_H
#define CLI_CONNTRACK_DAEMON_TABLE_H

#include "syncd/cli/conntrack/request.h"

/* Carries out a command line.  The exit code. */
int daemon_table_run(const struct cli *cli, const struct request *request, struct labels *labels);

/* -E: runs until a signal, or until nobody reads.  The exit code. */
int daemon_events_run(const struct cli *cli, const struct request *request, struct labels *labels);

/* The flow of a record that record_check() has found good, and of the kernel's id (0: unknown). */
void daemon_table_read(const uint8_t *record, uint32_t id, struct flow *flow);

#endif
