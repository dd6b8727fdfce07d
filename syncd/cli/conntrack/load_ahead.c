/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/load_ahead.h"
#include "syncd/cli/conntrack/load_check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct load_ahead {
	const struct load_plan *plan;
	int file;
	bool wants_thread, has_thread;
	pthread_t thread;
	/* the thread's, while it runs */
	size_t at; /* the step */
	int error;
	struct load_plan batches[2]; /* [made]: what it becomes; the other is being sent */
	unsigned made;
	char bytes[LOAD_RANGE_MAX];
};

static int read_again(struct load_ahead *ahead, const struct load_range *range)
{
	int error = load_read_range(ahead->file, range->start, range->length, ahead->bytes);

	return !error && load_range_digest(ahead->bytes, range->length) != range->digest ? -ESTALE : error;
}

static void *make(void *context)
{
	struct load_ahead *ahead = context;
	const struct load_range *range = &ahead->plan->step[ahead->at]->range;
	struct load_text text = {ahead->bytes, ahead->bytes + range->length, range->line};

	ahead->error = read_again(ahead, range);
	if (ahead->error)
		return NULL;
	load_read_ahead(&text, load_plan_take, &ahead->batches[ahead->made]);
	if (text.at < text.end) /* they were taken before */
		ahead->error = -ENOMEM;
	return NULL;
}

static void begin(struct load_ahead *ahead, size_t at)
{
	ahead->at = at;
	ahead->made ^= 1;
	load_plan_reset(&ahead->batches[ahead->made]);
	ahead->has_thread = ahead->wants_thread && !pthread_create(&ahead->thread, NULL, make, ahead);
}

static void end(struct load_ahead *ahead)
{
	if (ahead->has_thread)
		pthread_join(ahead->thread, NULL);
	else
		make(ahead);
	ahead->has_thread = false;
}

struct load_ahead *load_ahead_new(const struct load_plan *plan, int file, unsigned threads)
{
	struct load_ahead *ahead = calloc(1, sizeof(*ahead));

	if (!ahead)
		return NULL;
	ahead->plan = plan;
	ahead->file = file;
	ahead->wants_thread = threads > 1;
	ahead->at = plan->count; /* none */
	return ahead;
}

void load_ahead_free(struct load_ahead *ahead)
{
	if (!ahead)
		return;
	if (ahead->has_thread)
		pthread_join(ahead->thread, NULL);
	load_plan_clear(&ahead->batches[0]);
	load_plan_clear(&ahead->batches[1]);
	free(ahead);
}

int load_ahead_step(struct load_ahead *ahead, size_t at, const struct load_plan **batches)
{
	const struct load_plan *plan = ahead->plan;

	if (ahead->at != at)
		begin(ahead, at);
	end(ahead);
	if (ahead->error)
		return ahead->error;
	*batches = &ahead->batches[ahead->made];
	if (at + 1 < plan->count && plan->step[at + 1]->range.length)
		begin(ahead, at + 1);
	return 0;
}
