/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clock by which flows of others age: what is left of a flow's time, by this kernel's default timeouts
 * and [commit] timeout.  Keeps the sysctls as last read, so that a sweep over a whole table reads no file.
 */
#ifndef DAEMON_AGEING_H
#define DAEMON_AGEING_H

#include "conf/config.h"
#include "proto/monotime.h"
#include "syncd/kernel/timeouts.h"

struct ageing {
	const struct config *config; /* borrowed; a reload changes it in place */
	struct timeouts *timeouts;
	struct monotime read_at;
};

/* 0 or -ENOMEM. */
int ageing_open(struct ageing *ageing, const struct config *config);
void ageing_close(struct ageing *ageing);

/* Reads the sysctls again.  Out of memory, the old ones stay. */
void ageing_refresh(struct ageing *ageing);
/* The same, when they were read a minute ago. */
void ageing_refresh_if_old(struct ageing *ageing);

/* The timeout, seconds, to commit a flow with whose owner was last known to live `elapsed_s` ago; 0: it has
 * run out. */
uint32_t ageing_remaining_s(const struct ageing *ageing, const struct flow *flow, uint32_t elapsed_s);

#endif
