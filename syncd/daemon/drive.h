/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives the node: what descriptors say becomes its events, its effects become system calls.  Everything that
 * reaches the node goes through here, filtered by one filter and stamped with the time.
 */
#ifndef DAEMON_DRIVE_H
#define DAEMON_DRIVE_H

#include "proto/node.h"
#include "syncd/daemon/ageing.h"
#include "syncd/daemon/expectations.h"
#include "syncd/daemon/filter.h"
#include "syncd/daemon/link.h"
#include "syncd/daemon/loop.h"
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"
#include "syncd/kernel/watch.h"

struct drive;
struct snapshot_report;

/* All borrowed; they must outlive the drive. */
struct drive_parts {
	struct loop *loop;
	struct log *log;
	struct link_set *links;
	struct interface_watch *interfaces;
	struct watch *watch;
	struct audit *audit;
	struct commit *commit;
	const struct filter *filter;
	const struct ageing *ageing;
	struct expectations *expectations;
	bool (*fence_is_closed)(void *context);
	void (*stepped)(void *context);       /* the node has taken events: what it shows may have changed */
	void (*links_changed)(void *context); /* a link was opened or closed, or has another MTU: the node is
						 to be told */
	void *context;
};

struct drive_statistics {
	uint64_t filtered; /* events and rows that the filter kept out */
	uint64_t passes_begun, passes_repeated, gets, get_failures;
	bool pass_runs, pass_is_fast;
	struct monotime last_pass_end; /* of a clean one; MONOTIME_NEVER: none yet */
	int64_t last_pass_us;
	/* of a live former primary's stream (follower.h), and of our own leftovers (withdrawal.h) */
	uint64_t followed, follow_deleted, follow_touched, follow_lost, withdrawn, withdraw_refused;
};

/*
 * Makes the node and starts: from the return on loop_run() drives it; the first audit pass begins with it.
 * The watch is open already, so nothing that changes from here on is missed.  0 or a negative errno.
 */
int drive_open(struct drive **drive, const struct drive_parts *parts, const struct node_config *config,
	       struct monotime audit_interval);
void drive_close(struct drive *drive); /* NULL is fine */

/* Takes over what the daemon before us held (proto/snapshot.h).  0 or a negative errno. */
int drive_restore(struct drive *drive, const uint8_t *bytes, size_t length, struct snapshot_report *report);

const struct node *drive_node(const struct drive *drive);

/* node_foresee(): that flow will be given soon.  Looking it up is mostly waiting for memory. */
void drive_foresee(const struct drive *drive, const struct flow *flow);

/* node_observe() */
void drive_observe(struct drive *drive, table_observer *observer, void *context);

/* Gives the node an event (its time is set here), sends what it wants sent, and looks at its deadline. */
void drive_step(struct drive *drive, struct node_event *event);

/* The same for many events in a row: drive_give() each, then drive_finish(). */
void drive_give(struct drive *drive, struct node_event *event);
void drive_finish(struct drive *drive);

/* For watch_options.expect: takes an event of an expectation; `context` is the drive. */
void drive_take_expect(void *context, const struct expect *expect, bool gone);

/* Takes in kernel events that wait, at most `budget` datagrams.  True when none is left. */
bool drive_drain(struct drive *drive, unsigned budget);

/*
 * Leaves the events of new flows out for a while (true), and takes them in again (false): what was missed is
 * then found by a pass at full speed, and nothing is proven before.  Worth it where we create very many
 * ourselves.  Does nothing if it is so already, or if the kernel refuses.
 */
void drive_set_deaf(struct drive *drive, bool deaf);

/*
 * Warm mode: a takeover begins, behind a closed fence or not, or (false) is over; and what it waits for is
 * brought to the kernel until about `until`.  True when all of that is there.
 */
void drive_set_warm_takeover(struct drive *drive, bool takes_over, bool fence_is_closed);
bool drive_bring_foreign(struct drive *drive, struct monotime until);

/* Whether the node's internal table has the flow, or is about to have it as what a warm takeover adopts. */
bool drive_knows(const struct drive *drive, const struct flow *flow);

/* Opens links whose interface has come, or whose socket could not be had before. */
void drive_follow_links(struct drive *drive);

/* An audit pass, at once and at full speed. */
void drive_audit_now(struct drive *drive);
/* A whole pass, begun within seconds, at the pace of the regular ones. */
void drive_audit_soon(struct drive *drive);
/* The filter was changed: the next pass looks at what it keeps out now, too. */
void drive_filter_changed(struct drive *drive);
/* A takeover is over, and users' packets come first: no audit for a while (auditor.h). */
void drive_give_way(struct drive *drive);
void drive_set_audit_interval(struct drive *drive, struct monotime interval);

void drive_statistics(const struct drive *drive, struct drive_statistics *statistics);

#endif
