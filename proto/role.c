/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/role.h"

void role_init(struct role *role, uint32_t own, uint32_t highest)
{
	*role =
	    (struct role){.current = FRAME_ROLE_INIT, .term = own, .highest = own > highest ? own : highest};
}

void role_renew(struct role *role)
{
	role->term = role->highest < UINT32_MAX ? role->highest + 1 : UINT32_MAX;
	role->highest = role->term;
}

bool role_set(struct role *role, enum frame_role wanted, bool resumes)
{
	if (role->current == wanted)
		return false;
	if (wanted == FRAME_ROLE_PRIMARY && !resumes)
		role_renew(role);
	role->current = wanted;
	return true;
}

bool role_hear(struct role *role, uint32_t term, bool may_leap)
{
	uint32_t step = term > role->highest ? term - role->highest : 0;
	bool leaps = step > ROLE_TERM_STEP;

	if (!step || step > ROLE_TERM_LEAP_MAX || (leaps && !may_leap))
		return false;
	role->highest = term;
	return leaps;
}

bool role_yields(uint32_t term_a, uint16_t id_a, uint32_t term_b, uint16_t id_b)
{
	return term_a != term_b ? term_a < term_b : id_a < id_b;
}
