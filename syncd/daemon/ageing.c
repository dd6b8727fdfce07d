/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/ageing.h"

#include "syncd/daemon/clock.h"

#include <errno.h>

static const struct monotime REFRESH_INTERVAL = {60 * 1000000LL};

int ageing_open(struct ageing *ageing, const struct config *config)
{
	*ageing = (struct ageing){.config = config};
	ageing_refresh(ageing);
	return ageing->timeouts != NULL ? 0 : -ENOMEM;
}

void ageing_close(struct ageing *ageing)
{
	timeouts_free(ageing->timeouts);
	ageing->timeouts = NULL;
}

void ageing_refresh(struct ageing *ageing)
{
	struct timeouts *fresh = timeouts_read();
	ageing->read_at = clock_now();
	if (fresh == NULL)
		return;
	timeouts_free(ageing->timeouts);
	ageing->timeouts = fresh;
}

void ageing_refresh_if_old(struct ageing *ageing)
{
	if (!monotime_is_before(clock_now(), monotime_add(ageing->read_at, REFRESH_INTERVAL)))
		ageing_refresh(ageing);
}

uint32_t ageing_remaining_s(const struct ageing *ageing, const struct flow *flow, uint32_t elapsed_s)
{
	uint32_t fixed_s = ageing->config->commit.timeout_s;
	if (fixed_s == 0)
		return timeouts_commit_s(ageing->timeouts, flow, elapsed_s);
	return fixed_s > elapsed_s ? fixed_s - elapsed_s : 0;
}
