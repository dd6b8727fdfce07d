/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -R: all lines are read and checked before the first is carried out.  What creates flows is kept as the
 * netlink messages that it will be, in batches; a million lines are no more than these bytes.
 */
#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/load.h"
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = KERNEL_CREATIONS_MAX };

/* One of both. */
struct step {
	struct kernel_creations *batch;
	struct request *request; /* changes, deletes, flushes */
	uint32_t line[BATCH];
	bool may_exist[BATCH]; /* -A */
};

struct loading {
	struct cli *cli;
	const char *path;
	struct labels *labels;
	struct step **step;
	size_t count, room;
};

/* ---- reading ---- */

static struct step *add_step(struct loading *loading)
{
	struct step *step = calloc(1, sizeof(*step));

	if (step && loading->count == loading->room) {
		size_t room = loading->room ? loading->room * 2 : 64;
		struct step **grown = realloc(loading->step, room * sizeof(struct step *));

		if (!grown) {
			free(step);
			return NULL;
		}
		loading->step = grown;
		loading->room = room;
	}
	if (step)
		loading->step[loading->count++] = step;
	return step;
}

static int say_no_memory(const struct loading *loading, uint32_t line)
{
	request_say(loading->cli, "%s:%u: out of memory", loading->path, line);
	return CLI_FAILED;
}

static int take_other(struct loading *loading, const struct request *request, uint32_t line)
{
	struct step *step = add_step(loading);

	if (step)
		step->request = malloc(sizeof(*request));
	if (!step || !step->request)
		return say_no_memory(loading, line);
	*step->request = *request;
	step->line[0] = line;
	return -1;
}

/* The batch that has room for one more creation; NULL: out of memory. */
static struct step *open_batch(struct loading *loading)
{
	struct step *step = loading->count ? loading->step[loading->count - 1] : NULL;

	if (step && step->batch && kernel_creations_have_room(step->batch))
		return step;
	step = add_step(loading);
	if (step)
		step->batch = kernel_creations_new();
	return step && step->batch ? step : NULL;
}

/* A flow that cannot be is found only when its turn comes, as with conntrack(8): the lines before are carried
 * out. */
static int take_creation(struct loading *loading, const struct request *request, uint32_t line)
{
	struct step *step = open_batch(loading);
	struct flow flow;
	int error;
	unsigned at;

	if (!step)
		return say_no_memory(loading, line);
	error = change_build_flow(request, &flow);
	at = kernel_creations_add(step->batch, &flow, error);
	step->line[at] = line;
	step->may_exist[at] = request->command == REQUEST_ADD;
	return -1;
}

static int take(void *context, const struct request *request, uint32_t line)
{
	bool creates = request->command == REQUEST_CREATE || request->command == REQUEST_ADD;

	return creates ? take_creation(context, request, line) : take_other(context, request, line);
}

static void forget(struct loading *loading)
{
	for (size_t i = 0; i < loading->count; i++) {
		free(loading->step[i]->batch);
		free(loading->step[i]->request);
		free(loading->step[i]);
	}
	free(loading->step);
}

/* ---- carrying out ---- */

static int say_failed(const struct loading *loading, uint32_t line, int error)
{
	change_say_error(loading->cli, error);
	request_say(loading->cli, "%s:%u: this line failed", loading->path, line);
	return CLI_FAILED;
}

/* The first line that fails is the last that counts: what the kernel has already created of those behind it,
 * in the same batch, is taken back. */
static int run_creations(const struct loading *loading, struct kernel_table *table, const struct step *step)
{
	int errors[BATCH];
	unsigned count = kernel_creations_send(table, step->batch, errors);

	for (unsigned i = 0; i < count; i++) {
		if (!errors[i] || (errors[i] == -EEXIST && step->may_exist[i]))
			continue;
		kernel_creations_undo(table, step->batch, i + 1, errors);
		return say_failed(loading, step->line[i], errors[i]);
	}
	return CLI_DONE;
}

static int run_other(const struct loading *loading, struct changing *changing, const struct step *step)
{
	const struct request *request = step->request;
	int code;

	if (request->command == REQUEST_FLUSH) {
		int error = kernel_table_flush(changing->table, false, request->flow.family);

		return error < 0 ? say_failed(loading, step->line[0], error) : CLI_DONE;
	}
	changing->request = request;
	show_start(changing->show, changing->cli, request, loading->labels);
	code = show_end(changing->show, changing->cli, change_matching(changing));
	if (code != CLI_DONE)
		request_say(loading->cli, "%s:%u: this line failed", loading->path, step->line[0]);
	return code;
}

static int run(const struct loading *loading)
{
	struct changing changing = {.cli = loading->cli, .show = malloc(sizeof(struct show))};
	int error = changing.show ? kernel_table_open(&changing.table) : -ENOMEM;
	int code = CLI_DONE;

	if (error) {
		free(changing.show);
		return change_say_error(loading->cli, error);
	}
	for (size_t i = 0; code == CLI_DONE && i < loading->count; i++)
		code = loading->step[i]->batch ? run_creations(loading, changing.table, loading->step[i])
					       : run_other(loading, &changing, loading->step[i]);
	kernel_table_close(changing.table);
	free(changing.show);
	return code;
}

int change_load(struct cli *cli, const char *path, struct labels *labels)
{
	struct loading loading = {.cli = cli, .path = path, .labels = labels};
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	int code;

	if (!file)
		return request_refuse(cli, "Failed to open file %s for reading: %s", path, strerror(errno));
	setvbuf(file, NULL, _IOFBF, 1 << 18);
	code = load_read(cli, path, file, labels, take, &loading);
	if (file != stdin)
		fclose(file);
	if (code < 0)
		code = run(&loading);
	forget(&loading);
	return code;
}
