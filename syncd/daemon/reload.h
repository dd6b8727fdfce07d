/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the configuration again in a running daemon and applies all that can change without losing state.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "syncd/daemon/daemon.h"

enum { RELOAD_REPORT_SIZE = 4096 };

/*
 * Writes to `report` what was done, and what needs a restart, one item a line; the log gets the same.  0; or
 * a negative errno: the running configuration stays as it was.
 */
int reload_run(struct daemon *daemon, char *report, size_t size);

#endif
