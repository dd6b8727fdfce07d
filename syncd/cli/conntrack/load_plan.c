/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/load_plan.h"
#include "syncd/cli/conntrack/change.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static bool make_room(struct load_plan *plan)
{
	size_t room = plan->room ? plan->room * 2 : 64;
	struct load_step **grown;

	if (plan->count < plan->room)
		return true;
	grown = realloc(plan->step, room * sizeof(struct load_step *));
	if (!grown)
		return false;
	plan->step = grown;
	plan->room = room;
	return true;
}

static struct load_step *add_step(struct load_plan *plan)
{
	struct load_step *step = make_room(plan) ? malloc(sizeof(*step)) : NULL;

	if (!step)
		return NULL;
	step->batch = NULL;
	step->request = NULL;
	step->range = (struct load_range){0};
	return plan->step[plan->count++] = step;
}

static bool take_other(struct load_plan *plan, const struct request *request, uint32_t line)
{
	struct load_step *step = add_step(plan);

	if (step)
		step->request = malloc(sizeof(*request));
	if (!step || !step->request)
		return false;
	*step->request = *request;
	step->line[0] = line;
	return true;
}

/* The batch that has room for one more creation; NULL: out of memory. */
static struct load_step *open_batch(struct load_plan *plan)
{
	struct load_step *step = plan->count ? plan->step[plan->count - 1] : NULL;

	if (step && step->batch && kernel_creations_have_room(step->batch))
		return step;
	if (plan->count < plan->spare)
		return plan->step[plan->count++];
	step = add_step(plan);
	if (step)
		step->batch = kernel_creations_new();
	return step && step->batch ? step : NULL;
}

/* A flow that cannot be is found only when its turn comes, as with conntrack(8): the lines before are carried
 * out. */
static bool take_creation(struct load_plan *plan, const struct request *request, uint32_t line)
{
	struct load_step *step = open_batch(plan);
	struct flow flow;
	int error;
	unsigned at;

	if (!step)
		return false;
	error = change_build_flow(request, &flow);
	at = kernel_creations_add(step->batch, &flow, error);
	step->line[at] = line;
	step->may_exist[at] = request->command == REQUEST_ADD;
	return true;
}

bool load_plan_take(void *plan, const struct request *request, uint32_t line)
{
	bool creates = request->command == REQUEST_CREATE || request->command == REQUEST_ADD;

	return creates ? take_creation(plan, request, line) : take_other(plan, request, line);
}

bool load_plan_take_range(struct load_plan *plan, const struct load_range *range)
{
	struct load_step *step = add_step(plan);

	if (step)
		step->range = *range;
	return step;
}

uint64_t load_range_digest(const char *bytes, size_t length)
{
	return XXH3_64bits(bytes, length);
}

void load_plan_reset(struct load_plan *plan)
{
	if (plan->spare < plan->count)
		plan->spare = plan->count;
	while (plan->count)
		kernel_creations_clear(plan->step[--plan->count]->batch);
}

void load_plan_clear(struct load_plan *plan)
{
	size_t count = plan->count > plan->spare ? plan->count : plan->spare;

	for (size_t i = 0; i < count; i++) {
		free(plan->step[i]->batch);
		free(plan->step[i]->request);
		free(plan->step[i]);
	}
	free(plan->step);
	*plan = (struct load_plan){0};
}
