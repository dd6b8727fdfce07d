/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of a filter that the kernel can carry out on its event stream: a classic BPF program for the event
 * socket.  It looks only at what never changes in a flow's life (protocol, zone, addresses), because what was
 * let in once must be heard of when it changes or ends; and in doubt it lets an event pass.  The evaluator in
 * the daemon stays the authority: this drops only what that would drop, too.
 */
#ifndef KERNEL_EVENT_FILTER_H
#define KERNEL_EVENT_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EVENT_FILTER_PREFIXES_MAX = 64, /* as many as [filter] may have in one form */
	EVENT_FILTER_ZONES_MAX = 32,
	EVENT_FILTER_CODE_MAX = BPF_MAXINSNS,
};

struct event_prefix {
	uint8_t family;    /* AF_INET, AF_INET6 */
	uint8_t length;    /* bits */
	uint8_t bytes[16]; /* host bits are zero */
};

/* What is named; nothing of a kind: that kind says nothing. */
struct event_match {
	uint8_t protocols[32]; /* a bit for each number */
	size_t prefix_count, zone_count;
	struct event_prefix prefix[EVENT_FILTER_PREFIXES_MAX]; /* one of a flow's four addresses lies in it */
	uint16_t zone[EVENT_FILTER_ZONES_MAX];
};

/* Of each kind a flow must be among what `accept` names, and among nothing that `ignore` names. */
struct event_filter {
	struct event_match accept, ignore;
};

/* Whether anything is named. */
bool event_filter_is_empty(const struct event_filter *filter);

/*
 * The program, after what drops events by the port id of their cause (`own_ports`).  Prefixes that do not fit
 * are left to the evaluator.  Returns its length, at most EVENT_FILTER_CODE_MAX.
 */
size_t event_filter_build(const struct event_filter *filter, const uint32_t *own_ports,
			  size_t own_ports_count, struct sock_filter code[EVENT_FILTER_CODE_MAX]);

#endif
