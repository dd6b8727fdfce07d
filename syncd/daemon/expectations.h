/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's dealings with expectations ([expect] helpers): which are replicated, a look at all that the
 * kernel has, and bringing those of peers into it, after their masters.
 *
 * A helper that announces a flow has often changed the length of what its master says, and the kernel sends
 * no event of that (nf_ct_seqadj_set()): so the master is read again, whether its expectations are wanted or
 * not.
 */
#ifndef DAEMON_EXPECTATIONS_H
#define DAEMON_EXPECTATIONS_H

#include "conf/config.h"
#include "proto/table.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/loop.h"
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"
#include "syncd/kernel/expect.h"

struct drive;
struct filter;

enum { EXPECTATIONS_MASTERS_MAX = 256, EXPECTATIONS_EARLY_MAX = 256 };

struct expectations {
	const struct config_helpers *helpers; /* borrowed */
	struct log *log;
	struct drive *drive; /* set when there is one */
	struct expect_socket *socket;
	/* masters to be read again; those for which there is no room are seen by the next audit */
	struct loop_timer timer;
	size_t masters_count;
	struct flow masters[EXPECTATIONS_MASTERS_MAX]; /* keys */
	/* those that came before their masters: a flow is told of only when its first packet has passed the
	 * helper */
	size_t early_count;
	struct expect early[EXPECTATIONS_EARLY_MAX];
	struct audit *audit;
	const struct filter *filter;
	struct expectation_change *queue; /* what a followed stream says, in order */
	size_t count, size;
	uint64_t looks, followed, lost;
};

/* Opens the socket if any helper's are wanted.  0 or a negative errno. */
int expectations_open(struct expectations *expectations, const struct config_helpers *helpers,
		      struct log *log);
void expectations_close(struct expectations *expectations);

/* Whether any are replicated. */
bool expectations_are_wanted(const struct expectations *expectations);

/* Whether this one is, by its helper's name. */
bool expectations_accept(const struct expectations *expectations, const struct expect *expect);

/* The node is there: from now on events are taken.  All are borrowed. */
void expectations_start(struct expectations *expectations, struct drive *drive, struct loop *loop,
			struct audit *audit, const struct filter *filter);

/* For watch_options.expect: an event. */
void expectations_take(struct expectations *expectations, const struct expect *expect, bool gone);

/* The kernel's netlink port, for watch_options.own_ports; only if they are wanted. */
uint32_t expectations_port(const struct expectations *expectations);

/* Gives the node all that the kernel has; the events that wait have been taken in before. */
void expectations_look(struct expectations *expectations);

/*
 * Brings one here, with the seconds that it has left (0: COMMIT_EXPIRED), and tells the node.  The results
 * are those of flows: COMMIT_KEPT: it was here; COMMIT_CLASH: another one overlaps; COMMIT_TABLE_FULL: too
 * many; *error is the kernel's.
 */
enum commit_result expectations_commit(struct expectations *expectations, const struct expect *expect,
				       uint32_t timeout_s, int *error);

/* From within a step: what a followed stream says; `gone`: it came true there, or ran out. */
void expectations_push(struct expectations *expectations, const struct expect *expect, bool gone);
/* Carries out what was pushed.  Not from within a step; flows that were followed before are in the kernel. */
void expectations_run(struct expectations *expectations);

#endif
