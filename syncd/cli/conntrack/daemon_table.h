/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -L, -G and -C on the tables of the daemon, internal and external: the same options as on the kernel's.
 */
#ifndef CLI_DAEMON_TABLE_H
#define CLI_DAEMON_TABLE_H

#include "syncd/cli/conntrack/request.h"

/* Carries out one command line.  The exit code: 3 when no daemon answers. */
int daemon_table_run(const struct cli *cli, const struct request *request, struct labels *labels);

#endif
