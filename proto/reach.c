/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/reach.h"

enum { TRIES_MIN = 20 };
static const int64_t silence_us = 5000000;

bool reach_note(struct reach *reach, uint64_t position, uint32_t full_id, bool awaits, struct monotime now)
{
	if (!reach->since.us || !awaits || position != reach->position || full_id != reach->full_id) {
		*reach = (struct reach){.position = position, .full_id = full_id, .since = now};
		return false;
	}
	reach->tries++;
	if (reach->is_lost || reach->tries < TRIES_MIN || now.us - reach->since.us < silence_us)
		return false;
	reach->is_lost = true;
	return true;
}
