/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This kernel's default timeouts by protocol and state (net.netfilter.nf_conntrack_*_timeout*), and what a
 * committed flow gets.  Also the table's limits (nf_conntrack_max, nf_conntrack_buckets) and
 * nf_conntrack_events.
 */
#ifndef KERNEL_TIMEOUTS_H
#define KERNEL_TIMEOUTS_H

#include "proto/flow.h"

struct timeouts; /* plain copy of the sysctls as last read */

/* Reads them all; what can't be read has the kernel's built-in default.  NULL: out of memory. */
struct timeouts *timeouts_read(void);
void timeouts_free(struct timeouts *timeouts);

/* The default for this flow's protocol and state, seconds.  Offloaded flows count as established. */
uint32_t timeouts_default_s(const struct timeouts *timeouts, const struct flow *flow);

/*
 * The timeout to commit a flow with, when its owner was last proven `elapsed_s` ago: the larger of the
 * recorded one and the default, less what has elapsed; 0: it has run out.
 */
uint32_t timeouts_commit_s(const struct timeouts *timeouts, const struct flow *flow, uint32_t elapsed_s);

/* nf_conntrack_max, nf_conntrack_buckets, nf_conntrack_events; -1 if it can't be read. */
enum limit { LIMIT_MAX, LIMIT_BUCKETS, LIMIT_EVENTS, LIMITS };
long limit_read(enum limit limit);

/* The same for who reads them each second: kept open, they take a call each instead of three. */
struct limits {
	int fds[LIMITS]; /* owned; -1: not there */
};
void limits_open(struct limits *limits); /* what isn't there is looked for at each reading */
long limits_read(struct limits *limits, enum limit limit); /* -1 if it can't be read */
void limits_close(struct limits *limits);

#endif
