/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls behind the guard: struct guard_driver over syncd/kernel/fence.h.
 */
#ifndef DAEMON_GUARD_FENCE_H
#define DAEMON_GUARD_FENCE_H

#include "syncd/daemon/guard.h"
#include "syncd/kernel/fence.h"

struct guard_fence {
	struct fence *fence;         /* owned; NULL when not enabled */
	const struct config *config; /* read each time: a reload changes it in place */
	const struct guard *guard;
	struct log *log;
};

/*
 * Makes the fence, open, if the configuration wants one.  0, or a negative errno with the reason in `why`.
 * config, guard and log must outlive it.
 */
int guard_fence_open(struct guard_fence *gf, const struct config *config, const struct guard *guard,
		     struct log *log, char *why, size_t size);
void guard_fence_close(struct guard_fence *gf);
/* [fence] timeout has changed: makes the fence anew, open.  0 or a negative errno (then the old one is gone
 * as well). */
int guard_fence_renew(struct guard_fence *gf);

struct guard_driver guard_fence_driver(struct guard_fence *gf);

#endif
