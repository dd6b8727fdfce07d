/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence's policy: when it is closed and when it opens, which addresses are virtual, and how long it may
 * wait for a `primary`.  A state machine: the time is passed in, and what is to be done goes through struct
 * guard_driver.
 *
 * An address that appears while this node stands by (backup, fault) is virtual, unless its lifetime is finite
 * or the kernel made it, another interface bore it already, or it is the first one on an interface whose
 * packets always pass (a sync link that came up late); every other own address is the host's own.
 * `[fence] address` names further virtual ones.
 */
#ifndef DAEMON_GUARD_H
#define DAEMON_GUARD_H

#include "conf/config.h"
#include "proto/frame.h"
#include "proto/monotime.h"
#include "syncd/control/state.h"
#include "syncd/daemon/log.h"
#include "syncd/kernel/address.h"
#include "syncd/kernel/fence.h"

enum { GUARD_LEARNT_MAX = 256 };

/* What acts.  All return 0 or a negative errno. */
struct guard_driver {
	void *context;
	int (*close)(void *context);   /* drop from now on, for [fence] timeout: the set of own addresses is
					  guard_own() */
	int (*refresh)(void *context); /* for another [fence] timeout */
	/* while it is closed: let packets of flows pass that the kernel has; until close() or open() */
	int (*pass_known)(void *context);
	/* whose packets are dropped meanwhile (fence_take_waiting()) */
	int (*take_waiting)(void *context, fence_waits *told, void *told_context);
	int (*open)(void *context);    /* let all pass */
	int (*set_own)(void *context); /* guard_own() has changed while it is closed */
	int (*check)(
	    void *context); /* look whether it is there: 0 yes, 1 it was not and is again, negative errno */
	/* true for a sync link and an accept-interface */
	bool (*passes)(void *context, uint32_t ifindex);
};

enum guard_state {
	GUARD_DISABLED, /* [fence] enable = no, or active-active */
	GUARD_OPEN,     /* the role wants none: init, primary */
	GUARD_CLOSED,
	GUARD_GAVE_UP, /* open: a virtual address arrived and no `primary` followed; closes when the address
			  has left */
	GUARD_FAILED,  /* it should be closed, but the kernel refused; tried again every second */
};

struct guard {
	struct guard_driver driver;
	struct log *log;
	const struct address_set *addresses; /* borrowed */
	bool enabled;
	struct monotime timeout, max_wait;
	size_t configured_count;
	struct address_prefix configured[CONFIG_FENCE_ADDRESSES_MAX];

	enum guard_state state;
	enum frame_role role;
	bool is_taking_over; /* a `primary` runs: the wait is over */
	bool passes_known;   /* closed to strangers only */
	int error;           /* of GUARD_FAILED */
	struct monotime next_refresh, next_check;
	struct monotime
	    arrived; /* since when a virtual address is here while closed; MONOTIME_NEVER: none is */
	size_t learnt_count;
	struct { /* present addresses that are virtual because of when they appeared */
		uint8_t family;
		uint8_t bytes[16];
	} learnt[GUARD_LEARNT_MAX];
	uint64_t closed_count, gave_up_count, repaired_count;
};

/* Starts in role init, open.  `addresses` must outlive the guard. */
void guard_start(struct guard *guard, const struct config *config, const struct address_set *addresses,
		 const struct guard_driver *driver, struct log *log);

/* Takes settings over (reload); [fence] enable needs a restart and is not looked at. */
void guard_configure(struct guard *guard, const struct config *config, struct monotime now);

/* True when virtual addresses are learnt: it is enabled, and the configuration names none. */
bool guard_learns(const struct guard *guard);

/* At start, with the role that is taken up: what is here now and was not the host's own when `state` was
 * written has arrived meanwhile. */
void guard_resume(struct guard *guard, const struct state *state, enum frame_role role);

/* The role is this from now on: closes or opens.  Idempotent. */
void guard_set_role(struct guard *guard, enum frame_role role, struct monotime now);

/* A `primary` has begun, or ended without success: the wait for it is over, or begins anew. */
void guard_set_taking_over(struct guard *guard, bool is_taking_over, struct monotime now);

/* A takeover fills the kernel's table, where nothing was before: packets of flows that are there need not
 * wait for the others.  Ends with guard_set_taking_over(false).  Nothing is done unless the fence is closed.
 */
void guard_pass_known(struct guard *guard);

/* Tells whose packets were dropped since the last call; only what is dropped then. */
void guard_take_waiting(struct guard *guard, fence_waits *told, void *context);

/* An own address changed; the set holds the change already. */
void guard_address_changed(struct guard *guard, enum address_change change, const struct address *address,
			   struct monotime now);

void guard_time(struct guard *guard, struct monotime now);
struct monotime guard_deadline(const struct guard *guard);

/* True when the fence is closed in the kernel, as far as the last check knows. */
bool guard_is_armed(const struct guard *guard);
bool guard_is_virtual(const struct guard *guard, uint8_t family, const uint8_t *bytes);

/* The host's own addresses that are not virtual, as /32 and /128; at most `max`.  Returns how many there are
 * in all. */
size_t guard_own(const struct guard *guard, struct address_prefix *own, size_t max);

/* "disabled", "open", "armed", "gave-up", "failed" */
const char *guard_state_name(enum guard_state state);

#endif
