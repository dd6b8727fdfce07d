/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's event stream: new, update and destroy of flows.  Events that our own requests caused are
 * dropped in the kernel, and so is what the filter keeps out for ever (event_filter.h).  An overrun (ENOBUFS)
 * is counted and told, and the buffer grows up to its limit.
 */
#ifndef KERNEL_WATCH_H
#define KERNEL_WATCH_H

#include "syncd/kernel/convert.h"
#include "syncd/kernel/expect.h"

#include <stdbool.h>
#include <stdint.h>

struct watch;
struct event_filter;

enum { WATCH_OWN_PORTS_MAX = 8 };

/* One appeared, or went (`gone`).  `context` is watch_read()'s. */
typedef void watch_expect(void *context, const struct expect *expect, bool gone);

struct watch_options {
	watch_expect *expect; /* NULL: expectations are not watched */
	size_t buffer,
	    buffer_max; /* bytes asked for (SO_RCVBUFFORCE), and up to what an overrun doubles it */
	uint32_t own_ports[WATCH_OWN_PORTS_MAX]; /* netlink port ids whose events are not wanted */
	size_t own_ports_count;
};

struct watch_statistics {
	uint64_t events[3]; /* by enum convert_kind */
	uint64_t expects;   /* events of expectations */
	uint64_t malformed, overruns;
	size_t buffer; /* bytes, as the kernel granted it */
};

/* Subscribes: from the return on, no event is missed without an overrun.  0, or a negative errno (-EPERM:
 * CAP_NET_ADMIN). */
int watch_open(struct watch **watch, const struct watch_options *options);
void watch_close(struct watch *watch);
int watch_fd(const struct watch *watch);

typedef void watch_event(void *context, enum convert_kind kind, const struct flow *flow);

/*
 * Reads what is there, at most `budget` datagrams (recvmmsg), and calls `event` for each flow.  Never blocks.
 * Returns how many datagrams were read, 0 when nothing is waiting; -ENOBUFS: events were lost here (the
 * buffer has been grown), or another negative errno.  From an overrun on the kernel drops every event until
 * the queue is empty, without a word (netlink_overrun(), netlink_rcv_wake()): so it is told twice, first with
 * watch_is_congested(), then, when the queue has been read to its end, without.  Only an audit begun after
 * the second sees all.  -ENOBUFS may come after events of the same call were told.
 */
int watch_read(struct watch *watch, unsigned budget, watch_event *event, void *context);

/* True from an overrun on that was told until the queue has been read to its end. */
bool watch_is_congested(const struct watch *watch);

/* True when nothing waits on the socket at this moment. */
bool watch_is_drained(const struct watch *watch);

/*
 * Whether events of new flows are wanted (they are, at first).  While nobody in this network namespace wants
 * them, the kernel does not even build them, which is a third of what a create costs it
 * (ctnetlink_conntrack_event(), nfnetlink_has_listeners()).  Those of our own creates would be dropped
 * anyway; those of others are lost meanwhile.  0 or a negative errno.
 */
int watch_want_new(struct watch *watch, bool wanted);

/*
 * From now on events of flows that this filter keeps out are dropped in the kernel, as far as it can see
 * that. 0; or a negative errno, and everything is told: whoever reads the events has to look at them anyway.
 */
int watch_set_filter(struct watch *watch, const struct event_filter *filter);

/* Changes the sizes (reload). */
int watch_set_buffer(struct watch *watch, size_t buffer, size_t buffer_max);

const struct watch_statistics *watch_statistics(const struct watch *watch);

#endif
