/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is committed before his turn: flows whose packets wait in front of the fence, found by either of their
 * tuples.  Keeps who was told of, whom a search is for, and what was taken; the takeover does the searching.
 *
 * All are kept as 64-bit hashes with a seed of this takeover's.  A collision costs a flow its precedence;
 * with one that was taken, its commit.
 */
#ifndef DAEMON_EARLY_H
#define DAEMON_EARLY_H

#include "proto/flow.h"
#include "proto/keyset.h"
#include "proto/monotime.h"
#include "syncd/kernel/fence.h"

/* Ends that are remembered: beyond that somebody makes them up, and nobody new is searched for. */
enum { EARLY_MAX = 1 << 18 };

struct early {
	struct keyset seen;   /* whoever was told of, so that strangers are searched for once */
	struct keyset wanted; /* by the next search, or the one that runs */
	struct keyset taken;  /* entries, by table and version */
	struct keyset held;   /* their tuples, each with its zone, and both together */
	bool searching;
	unsigned table; /* of the search: where it goes on */
	uint64_t after;
	struct monotime begun, next; /* of this search; of the next look at who waits */
};

void early_init(struct early *early, uint64_t seed, struct monotime now);
void early_free(struct early *early);

/* A packet of this flow was dropped. */
void early_note(struct early *early, const struct fence_waiting *waiting);

/* Is there anybody to search for?  Then a search from there is begun.  now: when the look at who waits began.
 */
bool early_search(struct early *early, unsigned table, uint64_t after, struct monotime now);

/*
 * The search that began at that time is over, or there was nobody to search for.  The next look comes when
 * three times as long has passed as look and search took (a look at a flood takes some ms), or 100 ms; none
 * when EARLY_MAX are remembered.
 */
void early_found_all(struct early *early, struct monotime now);

/* Does a packet of this flow wait, in one direction or the other? */
bool early_is_wanted(const struct early *early, const struct flow *flow);

/* This flow, that version of that table, is taken; was it? */
void early_take(struct early *early, unsigned table, uint64_t version, const struct flow *flow);
bool early_was_taken(const struct early *early, unsigned table, uint64_t version);

/*
 * Has another flow that was taken one of its tuples?  Packets of that one pass already, and its taking shows
 * that they came: it must not give way to an entry that comes behind it.
 */
bool early_is_in_the_way(const struct early *early, const struct flow *flow);

#endif
