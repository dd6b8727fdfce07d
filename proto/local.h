/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The internal table and its agreement with this host's kernel: applies events, reconciles audit passes with
 * them, and knows how far it may be trusted (complete, suspect).
 *
 * What the kernel says reaches us over three ways that overtake each other.  The rules:
 * - events are applied as they come; a key that one touches during a pass is not overridden by a row of that
 * pass, for rows may be older;
 * - the answer to a GET is newer than every event applied so far, and so always holds;
 * - what we create ourselves is known before the events that wait: a DESTROY may be that of the flow which
 * had the key before, and ids repeat.  So for a flow of which no NEW has told since (OURS) it is first
 * confirmed by a GET (ENDING until that is answered), as long as there is room to ask;
 * - outside of the first pass and of one after an overrun, what a pass adds or takes away is first confirmed
 * by a GET, an addition as long as there is room to ask; a removal always is.
 */
#ifndef PROTO_LOCAL_H
#define PROTO_LOCAL_H

#include "proto/keyset.h"
#include "proto/table.h"

enum { LOCAL_ASKED_MAX = 512, LOCAL_SWEEP_SLICE = 2048 };

/* Asks for a flow by GET; the answer comes through local_get_reply(). */
typedef void local_get(void *context, const struct flow *key);

struct local {
	struct table *table;
	local_get *get;
	void *context;
	uint8_t pass;          /* number of the running pass, or of the last one: 1..255 */
	bool pass_runs;        /* between begin and end */
	bool pass_is_tainted;  /* events were lost while it ran: it proves nothing */
	bool pass_refused;     /* it met flows that the table had no room for */
	bool sweeps;           /* the pass ended clean: what it did not see is being confirmed gone */
	uint64_t sweep_after;  /* version up to which that is done */
	bool sweep_walked;     /* all of it was asked about: the last answers are due */
	bool sweep_was_spared; /* a pass that began meanwhile was left out for it */
	unsigned asked;        /* GETs without an answer yet */
	struct keyset noted;   /* keys that a DESTROY named during the pass */
	bool complete;         /* a first pass is merged whole */
	bool suspect;          /* events were lost, no clean pass since */
	bool lossy;            /* an overrun has not ended: no pass proves anything */
	bool deaf;             /* not all events are listened to: no pass proves anything */
	bool frozen;           /* the table stays as it is, whatever the kernel says (handover.h) */
	bool refused;          /* the table is not all of the kernel's: its limit refused flows */
	uint64_t flows_refused;
	uint8_t expects_pass; /* number of the last look at all expectations: their entries' mark */
	size_t expects_seen;  /* in it */
	uint64_t events[3];   /* new, update, destroy */
	uint64_t overruns, passes, corrections;
};

/* Takes the table over (frees it at local_destroy()). */
void local_init(struct local *local, struct table *table, uint64_t seed, local_get *get, void *context);
void local_destroy(struct local *local);

void local_flow_new(struct local *local, const struct flow *flow);
void local_flow_update(struct local *local, const struct flow *flow);
void local_flow_destroyed(struct local *local, const struct flow *flow);
/* We created or changed it ourselves: the kernel now has it like this. */
void local_flow_committed(struct local *local, const struct flow *flow);

/* While a sweep goes on it is left out once, so that the sweep can end. */
void local_audit_begin(struct local *local);
void local_audit_row(struct local *local, const struct flow *flow);
/* `clean`: all rows were read, none can have been missed.  Then local_sweep() goes on with what was not seen.
 */
void local_audit_end(struct local *local, bool clean);

/* Does the next slice of confirming what a pass did not see.  True while there is more to do and room to ask.
 */
bool local_sweep(struct local *local);

/* Whether local_sweep() has something to do now. */
bool local_sweep_is_due(const struct local *local);

/* The kernel's answer: it has the flow (`found`), or it has none of that key. */
void local_get_reply(struct local *local, const struct flow *flow, bool found);

/* Events are lost from now on; or were, and are not any more (`ended`, which counts it).  The caller starts
 * an audit at once, each time: only one that began after the end proves anything. */
void local_overrun(struct local *local, bool ended);

/* From now on, events of new flows are not listened to (true), or again (false): suspect until a pass that
 * began after that. */
void local_set_deaf(struct local *local, bool deaf);

/*
 * Frozen: events, rows and answers change nothing.  Thawed, the table is suspect until a pass has brought it
 * back to the kernel's state, which the caller starts.  What we write into the kernel ourselves counts all
 * the time.
 */
void local_freeze(struct local *local);
void local_thaw(struct local *local);

/* A leftover was deleted from the kernel by ourselves, on withdrawal. */
void local_flow_withdrawn(struct local *local, const struct flow *flow);

/* Forgets all; the next pass is a first one. */
void local_flush(struct local *local);

/*
 * Expectations (local_expect.c).  They are few, so a look at all of them is taken in one go: between
 * local_expects_begin() and _end() no event comes, and whatever event waits then is applied later, in its
 * order, so that the last one holds.  One whose master is not in the table is none of ours.
 */
void local_expect_new(struct local *local, const struct expect *expect);
void local_expect_destroyed(struct local *local, const struct expect *expect);
void local_expect_committed(struct local *local, const struct expect *expect);
void local_expects_begin(struct local *local);
void local_expects_row(struct local *local, const struct expect *expect);
void local_expects_end(struct local *local);
/* All were deleted from the kernel with their masters, which the new primary has: they are withdrawn. */
void local_expects_withdraw(struct local *local);

#endif
