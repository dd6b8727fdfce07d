/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run has met: so that a thousand seeds tell whether they tried what they are meant to try. */
#ifndef SIM_SITUATION_H
#define SIM_SITUATION_H

enum situation {
	SITUATION_FULL_CATCHUP,
	SITUATION_PARTIAL_CATCHUP,
	SITUATION_HORIZON_PASSED,
	SITUATION_STASH_OVERFLOW,
	SITUATION_RESTART_IN_SYNC,
	SITUATION_ORPHAN,
	SITUATION_SPLIT_BRAIN,
	SITUATION_HANDOVER,
	SITUATION_TAKEOVER,
	SITUATION_ROLL_OVER,
	SITUATION_TABLE_FULL,
	SITUATION_KERNEL_FULL,
	SITUATION_OVERRUN,
	SITUATION_CLASH,
	SITUATION_ALONE,
	SITUATION_PARTITION,
	SITUATION_ATTACK,
	SITUATIONS,
};

/* "full catch-up", "horizon passed", ... */
const char *situation_name(enum situation situation);

#endif
