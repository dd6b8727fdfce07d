/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hand-over, the giving side: what a node that was primary does with the flows that its kernel still holds.
 *
 *   none ----- gives the role away ----> frozen -- a new primary has all, proven --> withdrawing -- all
 * deleted --> none ^                                    |                                              |
 *     +------------- takes the role again -+----------------------------------------------+
 *
 * Frozen: the stream ends at V_end.  What the kernel tells is not applied any more (its flows just time out
 * there), so the internal table stays what V_end says, and peers can prove that they hold it.  Withdrawing:
 * the leftovers are deleted from the kernel, and their removal travels as `withdraw`, which touches no kernel
 * elsewhere.
 */
#ifndef PROTO_HANDOVER_H
#define PROTO_HANDOVER_H

#include "proto/frame.h"
#include "proto/monotime.h"

enum handover_state { HANDOVER_NONE, HANDOVER_FROZEN, HANDOVER_WITHDRAWING };

struct handover {
	enum handover_state state;
	uint64_t v_end;            /* while frozen or withdrawing */
	struct monotime frozen_at; /* and since when */
	bool leftovers; /* the kernel may hold flows of a time as primary: freeze as soon as the table is
			   complete */
};

/* What is known of a peer that may be the new primary. */
struct handover_heir {
	bool alive, primary, complete, suspect;
	bool outranks_us; /* its term is above that of our last takeover, or the same and its id is */
	uint32_t term;
	bool holds_in_sync; /* we hold its table, proven, with what it has taken over */
	bool follows;       /* it knows our session and is in no full catch-up */
	bool knows;         /* it has heard that our stream has ended, and so taken what fell silent there */
	bool claims;        /* it has claimed our session ... */
	uint64_t claimed;   /* ... and brought it to its kernel up to here */
	uint64_t applied;   /* of our stream */
};

/* "none", "frozen", "withdrawing" */
const char *handover_state_name(enum handover_state state);

/* The role was given away (was_primary), or taken; `complete`: the internal table is.  True if the freeze
 * begins now. */
bool handover_role(struct handover *handover, enum frame_role role, bool was_primary, bool complete,
		   uint64_t newest);

/* The internal table has become complete after a restart with leftovers.  True if the freeze begins now. */
bool handover_completed(struct handover *handover, enum frame_role role, uint64_t newest);

/* Whether that heir has all that we have, so that the leftovers may go. */
bool handover_may_withdraw(const struct handover *handover, const struct handover_heir *heir);

void handover_withdraw(struct handover *handover);

/* All leftovers are gone: the table follows the kernel again. */
void handover_end(struct handover *handover);

/* True while the kernel's word does not count. */
bool handover_is_frozen(const struct handover *handover);

#endif
