/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the kernel's table: a dump in slices, and single flows by GET.  What is read is reconciled with the
 * internal table in proto/local.c.
 */
#ifndef KERNEL_AUDIT_H
#define KERNEL_AUDIT_H

#include "syncd/kernel/convert.h"

#include <stdbool.h>
#include <stdint.h>

struct audit;

/* Opens a socket for dumps and one for GETs; neither makes events.  0 or a negative errno. */
int audit_open(struct audit **audit);
void audit_close(struct audit *audit);

typedef void audit_row(void *context, const struct flow *flow);

/* Has `ahead` told of each row, too, with the same context, AUDIT_AHEAD rows before it is its turn where
 * there are so many: for what it takes to be fetched into the cache.  NULL: no more. */
enum { AUDIT_AHEAD = 24 };
void audit_tell_ahead(struct audit *audit, audit_row *ahead);

/*
 * What rows are wanted, as far as the kernel can choose them (CTA_FILTER, Linux 5.8).  No addresses: Linux
 * 6.18 compares IPv6 ones the wrong way round (ctnetlink_filter_match_tuple()).  A protocol can be asked for
 * in one family only (ctnetlink_parse_tuple_filter()): of any family, it takes two dumps, one after the
 * other.
 */
struct audit_filter {
	uint8_t family; /* FLOW_IPV4, FLOW_IPV6; 0: any */
	bool by_protocol, by_mark;
	uint8_t protocol;
	uint32_t mark, mark_mask; /* (flow's mark & mask) == mark */
};

/* Starts a dump of all zones, of what `filter` wants (NULL: all).  0; -EBUSY while one runs, or another
 * negative errno.  A kernel that does not know the filter ends the dump with -EINVAL or -EOPNOTSUPP. */
int audit_dump_start(struct audit *audit, const struct audit_filter *filter);

enum audit_progress {
	AUDIT_MORE,        /* call again: there is more to read */
	AUDIT_DONE,        /* all rows were read */
	AUDIT_INTERRUPTED, /* over, but may have missed rows: the table was resized (nf_conntrack_buckets
			      changed), or NLM_F_DUMP_INTR; start again */
	AUDIT_IDLE,        /* none runs */
};

/*
 * Reads the next rows, about `rows` of them, and calls `row` for each; never blocks for long (the kernel
 * fills a dump as it is read).  Returns an enum audit_progress or a negative errno (the dump is over then).
 */
int audit_dump_read(struct audit *audit, unsigned rows, audit_row *row, void *context);

/* Ends a dump early.  The kernel ends one only with its socket, so that audit_fd() is another one afterwards.
 */
void audit_dump_cancel(struct audit *audit);

/*
 * Reads one flow by its key (original tuple, zone).  0 and *flow; -ENOENT: the kernel has none (a flow whose
 * *reply* tuple that is, is another one); or a negative errno.
 */
int audit_get(struct audit *audit, const struct flow *key, struct flow *flow);

/* For the event loop: readable while a dump runs; -1 between a cancelled dump and the next one. */
int audit_fd(const struct audit *audit);

#endif
