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

void role_hear(struct role *role, uint32_t term)
{
	if (term > role->highest && term - role->highest <= ROLE_TERM_STEP_MAX)
		role->highest = term;
}

bool role_yields(uint32_t term_a, uint16_t id_a, uint32_t term_b, uint16_t id_b)
{
	return term_a != term_b ? term_a < term_b : id_a < id_b;
}
