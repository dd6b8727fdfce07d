/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warm mode: the daemon's part (syncd/daemon/warm, auditor), and what must hold of copies (invariant.h, (j)
 * to (l)).  In these worlds each host leaves its own connections out, as `ignore-local` does.
 */
#ifndef SIM_WARM_H
#define SIM_WARM_H

#include "tests/sim/host.h"

/* That connection begins or ends at this host, and its daemon passes it over. */
bool warm_is_local(const struct host *host, uint32_t number);

/* Or at any host: what becomes of it where its packets pass is not told by (h), as that host, when it takes
 * over, has it already. */
bool warm_is_of_a_host(const struct world *world, uint32_t number);

/* The daemon's start and end. */
void warm_begin(struct host *host);
void warm_end(struct host *host);

/* sink.foreign: noted, carried out after the step. */
void warm_push(struct host *host, enum node_foreign_act act, const struct flow *flow, uint32_t elapsed_s);
/* When there is something to do for the copies, and does it. */
int64_t warm_next_us(struct host *host);
void warm_run(struct host *host);
/* A takeover that counts on the copies begins; and goes on: false while it has to wait for some. */
bool warm_can_take_over(const struct host *host);
bool warm_takeover_is_done(struct host *host);
/* All that is in the kernel is the host's own now. */
void warm_adopted(struct host *host);

/* The daemon's first look at its kernel's table waits for those of the peers. */
bool warm_audit_waits(const struct host *host);

/* A withdrawn flow that stays as a copy of the new primary's; true if it does. */
bool warm_disowns(struct host *host, const struct flow *flow, uint32_t number);

/* At rest: the first connection that is wrong in the kernel; its numbers: none. */
uint32_t warm_find_difference(const struct host *host);
/* After a takeover: one that is held and not in the kernel. */
void warm_check_takeover(struct host *host);

#endif
