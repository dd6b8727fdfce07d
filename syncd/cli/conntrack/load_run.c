/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -R: all lines are read and checked before the first is carried out. */
#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/load.h"
#include "syncd/cli/conntrack/load_ahead.h"
#include "syncd/cli/conntrack/load_check.h"
#include "syncd/cli/conntrack/load_plan.h"
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file that is being carried out. */
struct running {
	struct cli *cli;
	const char *path;
	struct labels *labels;
	const struct load_plan *plan;
	struct load_ahead *ahead;
};

static int say_failed(const struct running *running, uint32_t line, int error)
{
	change_say_error(running->cli, error);
	request_say(running->cli, "%s:%u: this line failed", running->path, line);
	return CLI_FAILED;
}

/* The first line that fails is the last that counts: what the kernel has already created of those behind it,
 * in the same batch, is taken back. */
static int run_creations(const struct running *running, struct kernel_table *table,
			 const struct load_step *step)
{
	int errors[KERNEL_CREATIONS_MAX];
	unsigned count = kernel_creations_send(table, step->batch, errors);

	for (unsigned i = 0; i < count; i++) {
		if (!errors[i] || (errors[i] == -EEXIST && step->may_exist[i]))
			continue;
		kernel_creations_undo(table, step->batch, i + 1, errors);
		return say_failed(running, step->line[i], errors[i]);
	}
	return CLI_DONE;
}

static int run_other(const struct running *running, struct changing *changing, const struct load_step *step)
{
	const struct request *request = step->request;
	int code;

	if (request->command == REQUEST_FLUSH) {
		int error = kernel_table_flush(changing->table, false, request->flow.family);

		return error < 0 ? say_failed(running, step->line[0], error) : CLI_DONE;
	}
	changing->request = request;
	show_start(changing->show, changing->cli, request, running->labels);
	code = show_end(changing->show, changing->cli, change_matching(changing));
	if (code != CLI_DONE)
		request_say(running->cli, "%s:%u: this line failed", running->path, step->line[0]);
	return code;
}

static int run_range(const struct running *running, struct kernel_table *table, size_t at)
{
	const struct load_plan *batches;
	int error = load_ahead_step(running->ahead, at, &batches), code = CLI_DONE;

	if (error) {
		request_say(running->cli, "%s:%u: %s", running->path, running->plan->step[at]->range.line + 1,
			    load_error_text(error));
		return CLI_FAILED;
	}
	for (size_t i = 0; code == CLI_DONE && i < batches->count; i++)
		code = run_creations(running, table, batches->step[i]);
	return code;
}

static int run_steps(const struct running *running, struct changing *changing)
{
	int code = CLI_DONE;

	for (size_t i = 0; code == CLI_DONE && i < running->plan->count; i++) {
		const struct load_step *step = running->plan->step[i];

		if (step->batch)
			code = run_creations(running, changing->table, step);
		else if (step->request)
			code = run_other(running, changing, step);
		else
			code = run_range(running, changing->table, i);
	}
	return code;
}

static int run(struct running *running, int file, unsigned threads)
{
	struct changing changing = {.cli = running->cli, .show = malloc(sizeof(struct show))};
	int code;

	running->ahead = load_ahead_new(running->plan, file, threads);
	code = changing.show && running->ahead ? kernel_table_open(&changing.table) : -ENOMEM;
	if (code) {
		code = change_say_error(running->cli, code);
	} else {
		code = run_steps(running, &changing);
		kernel_table_close(changing.table);
	}
	load_ahead_free(running->ahead);
	free(changing.show);
	return code;
}

static unsigned processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

int change_load(struct cli *cli, const char *path, struct labels *labels)
{
	struct load_plan plan = {0};
	struct running running = {.cli = cli, .path = path, .labels = labels, .plan = &plan};
	int file = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	unsigned threads = processors();
	int code;

	if (file < 0)
		return request_refuse(cli, "Failed to open file %s for reading: %s", path, strerror(errno));
	code = load_read_file(cli, path, file, threads, labels, &plan);
	if (code < 0)
		code = run(&running, file, threads);
	if (file != STDIN_FILENO)
		close(file);
	load_plan_clear(&plan);
	return code;
}
