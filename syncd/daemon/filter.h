/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which flows are replicated: the one evaluator for events, dumps, audits and commits.  It decides entry, on
 * the whole flow; that a known flow was destroyed is never filtered.
 */
#ifndef DAEMON_FILTER_H
#define DAEMON_FILTER_H

#include "conf/config.h"
#include "proto/flow.h"
#include "syncd/kernel/address.h"
#include "syncd/kernel/audit.h"
#include "syncd/kernel/event_filter.h"

struct filter {
	struct config_match accept, ignore;
	bool looks_at_state; /* at what changes in a flow's life: TCP state, mark */
	bool ignore_local;
	size_t groups_count;
	struct config_address groups[CONFIG_LINKS_MAX]; /* what our links are sent to */
	const struct address_set *own;                  /* borrowed; follows the host's addresses by itself */
};

void filter_configure(struct filter *filter, const struct config *config, const struct address_set *own);

/*
 * True when the flow is to be replicated.  ignore-local leaves out what comes from or ends at an address of
 * this host, or at a group that only a host itself can listen to: a link's, and those that no router
 * forwards.
 */
bool filter_accepts(const struct filter *filter, const struct flow *flow);

/* The same of a flow of which only a part is known, as an event of a change tells: false when that part alone
 * keeps it out. */
bool filter_may_accept(const struct filter *filter, const struct flow *part);

/* The part of it that the kernel can apply to its events. */
void filter_for_events(const struct filter *filter, struct event_filter *events);

/* And to a dump.  False: to none of it. */
bool filter_for_dump(const struct filter *filter, struct audit_filter *dump);

/* The same number for the same filters on every node; 0 for the default ones. */
uint32_t filter_hash(const struct filter *filter);

#endif
