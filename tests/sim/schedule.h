/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One seed's schedule: the hosts and the network as they are at first, and what goes wrong when.  At least
 * three faults in at least sixty seconds; each fault plans its own end, and what keepalived does about it.
 */
#ifndef SIM_SCHEDULE_H
#define SIM_SCHEDULE_H

#include "tests/sim/random.h"

#include <stdint.h>

struct world;

enum {
	SCHEDULE_ACTIONS_MAX = 256,
	SCHEDULE_CALM_US = 2000000, /* traffic goes on that long after the faults */
};

enum action_kind {
	/* faults */
	ACTION_KILL,        /* the daemon, kill -9, once or several times */
	ACTION_POWER_CUT,   /* the machine; its kernel's table is empty then */
	ACTION_SWITCH_OVER, /* planned: the address goes to another */
	ACTION_PAUSE,       /* the daemon is stopped for a while */
	ACTION_PARTITION,
	ACTION_ONE_WAY,
	ACTION_LINK_DOWN,
	ACTION_LOSS,
	ACTION_NOISE, /* jitter, duplication, corruption */
	ACTION_ROLL_OVER,
	ACTION_OVERRUN,
	ACTION_REQUEST, /* resync, flush, leave */
	ACTION_FLAP,    /* roles, quickly and anywhere */
	ACTION_SMALL_TABLE,
	ACTION_SMALL_KERNEL,
	ACTION_ATTACK,
	ACTION_ALL_DIE,
	ACTION_UPHEAVAL,    /* most connections end while nobody hears */
	ACTION_RESYNC_KILL, /* a restart in the middle of a full catch-up */
	ACTION_FAULTS,
	/* what follows of them */
	ACTION_START = ACTION_FAULTS,
	ACTION_POWER_ON,
	ACTION_ROLE,      /* .value: enum frame_role */
	ACTION_TAKE_OVER, /* the address moves here, and then the role */
	ACTION_UNBLOCK,   /* from .host to .other */
	ACTION_LINK_UP,
	ACTION_LINK_GOOD,
	ACTION_CONFIGURE, /* .value: step of a roll-over, or ... */
	ACTION_GROW_TABLE,
	ACTION_GROW_KERNEL,
	ACTION_ATTACK_MORE,
	ACTION_KILL_ONE,
	ACTION_BURST,
	/* of the wider worlds (wide.h) */
	ACTION_LINK_FATE, /* .host: link */
	ACTION_NARROW,    /* .host; .value: how many links, from the first on */
	ACTION_WIDEN,
	ACTION_CHANGE_MODE, /* warm mode on or off */
};

struct action {
	int64_t at_us;
	enum action_kind kind;
	unsigned host, other;
	int64_t value;
};

struct schedule {
	struct sim_random random;
	struct action actions[SCHEDULE_ACTIONS_MAX];
	unsigned count;
	int64_t end_us;
	unsigned roll_overs;
	bool active_active;
	bool healed;
};

/* Draws all of it, makes the world's hosts and starts them.  0 or -ENOMEM. */
int schedule_init(struct schedule *schedule, struct world *world);

int64_t schedule_next_us(const struct schedule *schedule);
void schedule_run(struct schedule *schedule, struct world *world);

/* The end of all faults: everything runs, and nothing disturbs it; all are backups, */
void schedule_heal(struct schedule *schedule, struct world *world);
/* and soon after one is primary. */
void schedule_settle(struct schedule *schedule, struct world *world);

#endif
