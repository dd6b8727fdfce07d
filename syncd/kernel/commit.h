/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing the kernel's table: creates, updates and deletes in batches, each error read by its sequence
 * number.
 */
#ifndef KERNEL_COMMIT_H
#define KERNEL_COMMIT_H

#include "syncd/kernel/convert.h"

#include <stdbool.h>
#include <stdint.h>

struct commit;

/* Why a flow ended where it did; the command shows them. */
enum commit_result {
	COMMIT_CREATED,
	COMMIT_UPDATED,    /* was there, behind: brought forward */
	COMMIT_KEPT,       /* was there, as far on or further: left alone */
	COMMIT_REPLACED,   /* was there with another NAT, and had to go: deleted and created */
	COMMIT_CLASH,      /* was there with another NAT (or its reply tuple is another flow's), and stays */
	COMMIT_EXPIRED,    /* its time had run out: not sent */
	COMMIT_TABLE_FULL, /* ENOMEM: nf_conntrack_max; ENOSPC, again and again: nf_conntrack_buckets */
	/* with error 0 the next three were created all the same, without what is missing */
	COMMIT_NO_MASTER, /* the flow that it is related to is not here */
	COMMIT_NO_HELPER, /* this kernel does not have its helper */
	COMMIT_NO_LABELS, /* no rule here uses labels, so flows have no room for them */
	COMMIT_REFUSED,   /* any other error */
	COMMIT_RESULTS,
};

/* Stable, short, lower case: "created", "updated", ..., "table-full", "no-master". */
const char *commit_result_name(enum commit_result result);

/* Whether the flow is in the kernel now, by its result and error. */
bool commit_is_in_kernel(enum commit_result result, int error);

/* Told that `flow` will be done soon, some flows before it is; for what that takes to be fetched into the
 * cache. `context` is commit_done's. */
typedef void commit_ahead(void *context, const struct flow *flow);

struct commit_options {
	commit_ahead *ahead; /* NULL: not told */
	bool fence_closed;   /* no packet can touch a flow meanwhile: replace what clashes */
	bool tcp_liberal;  /* else the kernel learns the windows from the next packets (its loose tracking) */
	bool has_old;      /* what is here may be from an earlier time as primary, and its windows old */
	bool keeps_others; /* nothing is replaced, whatever is in the way */
	bool existing_only; /* bring forward what is there; nothing is created (COMMIT_EXPIRED) or replaced */
};

/* 0 or a negative errno. */
int commit_open(struct commit **commit);
/* What is queued or under way then is told to nobody. */
void commit_close(struct commit *commit);

/* Netlink port ids of its sockets, for watch_options.own_ports; returns how many were written (at most
 * `max`). */
size_t commit_ports(const struct commit *commit, uint32_t *ports, size_t max);

/*
 * Starts the thread that commit_set_background() needs; it sleeps while there is nothing to do, and ends with
 * the commit.  0; -EOPNOTSUPP: this process has but one processor, on which it would gain nothing; or another
 * negative errno.
 */
int commit_start_thread(struct commit *commit);

/*
 * For many flows.  While on, a full batch is carried out by the thread, and commit_flow() goes on with the
 * next: what the caller does for a flow takes no time then beside the kernel's work.  Ends are told some
 * batches later, by another of these functions, in the caller's thread as always.  So until commit_flush()
 * the kernel may have flows whose end nobody was told of.
 *
 * Flushes first.  Returns whether it is on now: without a thread, or memory for some more batches, all goes
 * on as before.
 */
bool commit_set_background(struct commit *commit, bool wanted);

/*
 * Told of each flow when its end is known, in the order in which they were queued; `error` is the kernel's (0
 * or negative errno).  `flow` is the flow as it is in the kernel now if commit_is_in_kernel(), without the
 * kernel's id unless it was there before; else the one that was asked for, as it would have been.  Must not
 * call commit_*() itself.
 */
typedef void commit_done(void *context, const struct flow *flow, enum commit_result result, int error);

/*
 * Queues a flow for creation with this timeout (seconds, 0: COMMIT_EXPIRED at once).  Sends when the batch is
 * full, so that `done` may be called from here, for this and for earlier flows, those of other callers with
 * what they gave.  `options` hold for all flows of one `done` and `context` until they are flushed.  The flow
 * is copied.
 */
void commit_flow(struct commit *commit, const struct flow *flow, uint32_t timeout_s,
		 const struct commit_options *options, commit_done *done, void *context);

/* Sends what is queued and settles every flow of it, and of what is under way.  Blocks only for the kernel's
 * own work. */
void commit_flush(struct commit *commit);

/* Whether every flow is settled, so that a flush would do nothing. */
bool commit_is_settled(const struct commit *commit);

/*
 * Deletes flows by key, batched the same way: `done` is told COMMIT_CREATED for deleted, COMMIT_KEPT when
 * there was none. With the kernel's id (FLOW_HAS_ID) it takes one message, not two; the id is a hint: another
 * one doesn't save the flow.
 */
void commit_delete(struct commit *commit, const struct flow *key, commit_done *done, void *context);

/*
 * Gives a flow that is there this timeout (seconds) and changes nothing else, batched the same way: `done` is
 * told COMMIT_UPDATED; COMMIT_KEPT for a flow whose timeout is fixed; COMMIT_EXPIRED when there is none; or
 * COMMIT_REFUSED.  `flow` is then the one that was given.
 */
void commit_refresh(struct commit *commit, const struct flow *flow, uint32_t timeout_s, commit_done *done,
		    void *context);

/* Deletes all flows of this network namespace (all zones) in one request.  0 or a negative errno. */
int commit_flush_kernel(struct commit *commit);

#endif
