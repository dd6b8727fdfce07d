/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/guard_fence.h"

#include "syncd/daemon/clock.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { PASSING_MAX = CONFIG_LINKS_MAX + CONFIG_ACCEPT_INTERFACES_MAX };

/* The interfaces whose packets always pass; returns how many. */
static size_t list_passing(const struct guard_fence *gf, const char *names[PASSING_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < gf->config->link_count; i++)
		names[count++] = gf->config->links[i].interface;
	for (size_t i = 0; i < gf->config->fence.accept_interface_count; i++)
		names[count++] = gf->config->fence.accept_interface[i];
	return count;
}

static int set_interfaces(const struct guard_fence *gf)
{
	const char *names[PASSING_MAX];
	size_t count = list_passing(gf, names);
	return fence_set_interfaces(gf->fence, names, count);
}

static bool do_passes(void *context, uint32_t ifindex)
{
	const char *names[PASSING_MAX];
	char name[IF_NAMESIZE];
	size_t count = list_passing(context, names);
	if (if_indextoname(ifindex, name) == NULL)
		return false; /* it has gone already */
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int set_addresses(const struct guard_fence *gf)
{
	struct address_prefix own[FENCE_ADDRESSES_MAX];
	int error = fence_set_addresses(gf->fence, gf->guard->configured, gf->guard->configured_count);
	if (error < 0)
		return error;
	if (!guard_learns(gf->guard))
		return fence_set_own_addresses(gf->fence, NULL, 0);
	size_t count = guard_own(gf->guard, own, FENCE_ADDRESSES_MAX);
	return count > FENCE_ADDRESSES_MAX ? -E2BIG : fence_set_own_addresses(gf->fence, own, count);
}

/* Says what the fence itself knows of an error. */
static int told(const struct guard_fence *gf, int error)
{
	if (error < 0)
		log_write(gf->log, LOG_WARNING, "fence-error", "fence: %s", fence_error(gf->fence));
	return error;
}

static int do_close(void *context)
{
	struct guard_fence *gf = context;
	if (gf->fence == NULL)
		return -ENODEV;
	int error = set_interfaces(gf);
	if (error == 0)
		error = set_addresses(gf);
	if (error == 0)
		error = fence_arm(gf->fence, clock_now(), NULL);
	return told(gf, error);
}

static int do_refresh(void *context)
{
	struct guard_fence *gf = context;
	return told(gf, fence_refresh(gf->fence, clock_now(), NULL));
}

static int do_pass_known(void *context)
{
	struct guard_fence *gf = context;
	return told(gf, fence_pass_known(gf->fence, clock_now()));
}

static int do_take_waiting(void *context, fence_waits *told_of, void *told_context)
{
	struct guard_fence *gf = context;
	return told(gf, fence_take_waiting(gf->fence, told_of, told_context));
}

static int do_open(void *context)
{
	struct guard_fence *gf = context;
	return gf->fence == NULL ? 0 : told(gf, fence_open(gf->fence));
}

static int do_set_own(void *context)
{
	struct guard_fence *gf = context;
	return told(gf, set_addresses(gf));
}

static int do_check(void *context)
{
	struct guard_fence *gf = context;
	const char *found = "";
	int result = fence_check(gf->fence, clock_now(), &found);
	if (result > 0)
		log_write(gf->log, LOG_WARNING, "fence-repaired",
			  "the fence was not as it should be and is repaired: %s", found);
	return told(gf, result);
}

struct guard_driver guard_fence_driver(struct guard_fence *gf)
{
	return (struct guard_driver){.context = gf,
				     .close = do_close,
				     .refresh = do_refresh,
				     .pass_known = do_pass_known,
				     .take_waiting = do_take_waiting,
				     .open = do_open,
				     .set_own = do_set_own,
				     .check = do_check,
				     .passes = do_passes};
}

int guard_fence_open(struct guard_fence *gf, const struct config *config, const struct guard *guard,
		     struct log *log, char *why, size_t size)
{
	*gf = (struct guard_fence){.config = config, .guard = guard, .log = log};
	if (!config->fence.enable || config->node.mode != CONFIG_MODE_ACTIVE_BACKUP)
		return 0;
	return fence_create(&gf->fence, config->node.id, monotime_from_us(config->fence.timeout_us), why,
			    size);
}

void guard_fence_close(struct guard_fence *gf)
{
	fence_destroy(gf->fence);
	gf->fence = NULL;
}

int guard_fence_renew(struct guard_fence *gf)
{
	char why[256];
	fence_destroy(gf->fence);
	gf->fence = NULL;
	int error = fence_create(&gf->fence, gf->config->node.id,
				 monotime_from_us(gf->config->fence.timeout_us), why, sizeof(why));
	if (error < 0)
		log_write(gf->log, LOG_ERR, "fence-error", "fence: %s", why);
	return error;
}
