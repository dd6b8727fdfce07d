/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/handover.h"

const char *handover_state_name(enum handover_state state)
{
	static const char *const names[] = {"none", "frozen", "withdrawing"};

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

static bool freeze(struct handover *handover, uint64_t newest)
{
	if (handover->state != HANDOVER_NONE)
		return false;
	handover->state = HANDOVER_FROZEN;
	handover->v_end = newest;
	return true;
}

bool handover_role(struct handover *handover, enum frame_role role, bool was_primary, bool complete,
		   uint64_t newest)
{
	if (role == FRAME_ROLE_PRIMARY) {
		*handover = (struct handover){.state = HANDOVER_NONE};
		return false;
	}
	if (was_primary)
		handover->leftovers = true;
	return handover->leftovers && complete && role != FRAME_ROLE_INIT && freeze(handover, newest);
}

bool handover_completed(struct handover *handover, enum frame_role role, uint64_t newest)
{
	bool gave = role == FRAME_ROLE_BACKUP || role == FRAME_ROLE_FAULT;

	return gave && handover->leftovers && freeze(handover, newest);
}

bool handover_may_withdraw(const struct handover *handover, const struct handover_heir *heir)
{
	return handover->state == HANDOVER_FROZEN && heir->alive && heir->primary && heir->complete &&
	       !heir->suspect && heir->outranks_us && heir->holds_in_sync && heir->follows && heir->knows &&
	       heir->applied >= handover->v_end && heir->claims && heir->claimed >= handover->v_end;
}

void handover_withdraw(struct handover *handover)
{
	handover->state = HANDOVER_WITHDRAWING;
}

void handover_end(struct handover *handover)
{
	*handover = (struct handover){.state = HANDOVER_NONE};
}

bool handover_is_frozen(const struct handover *handover)
{
	return handover->state != HANDOVER_NONE;
}
