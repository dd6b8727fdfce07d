/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's clock, in microseconds.  CLOCK_BOOTTIME, not CLOCK_MONOTONIC: a host that slept (or a guest
 * that was paused and whose kernel noticed) must wake up knowing that its peers' proofs are old and that what
 * it holds has aged.
 */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include "proto/monotime.h"

#include <time.h>

enum { CLOCK_DAEMON = CLOCK_BOOTTIME };

static inline struct monotime clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_DAEMON, &now);
	return monotime_from_us((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

#endif
