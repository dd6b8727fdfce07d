/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May this node hold or take the address?  For keepalived and pacemaker.
 */
#ifndef DAEMON_HEALTH_H
#define DAEMON_HEALTH_H

#include "syncd/daemon/daemon.h"

enum { HEALTH_LINE_SIZE = 320 };

/*
 * The exit code, 0 or 1, and one line that says why.  A primary: 0.  Any other: 1 only while a live primary
 * exists and our copy of its table is not proven equal.  `strict`: 1 for any degradation (problems.h).
 */
int health_judge(const struct daemon *daemon, bool strict, char line[HEALTH_LINE_SIZE]);

#endif
