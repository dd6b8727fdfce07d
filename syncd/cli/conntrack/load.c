/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -R: all lines are read and checked before the first is carried out. */
#include "syncd/cli/conntrack/load.h"

#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 128, LINE_MAX_BYTES = 8192 };

/* Splits a line into words, in place; quotes hold words together.  Their number, or -1: too many, or a quote
 * without an end. */
static int split_words(char *line, char **words)
{
	int count = 0;

	for (;;) {
		char *to;
		char quote = 0;

		line += strspn(line, " \t\r\n");
		if (!*line)
			return count;
		if (count == WORDS_MAX)
			return -1;
		words[count++] = to = line;
		while (*line && (quote || !strchr(" \t\r\n", *line))) {
			if (*line == quote)
				quote = 0;
			else if (!quote && (*line == '"' || *line == '\''))
				quote = *line;
			else
				*to++ = *line;
			line++;
		}
		if (quote)
			return -1;
		if (*line)
			line++;
		*to = 0;
	}
}

static bool make_room(struct loading *loading)
{
	size_t room = loading->room ? loading->room * 2 : 64;
	struct request *request;
	uint32_t *line;

	if (loading->count < loading->room)
		return true;
	request = realloc(loading->request, room * sizeof(*request));
	if (request)
		loading->request = request;
	line = realloc(loading->line, room * sizeof(*line));
	if (line)
		loading->line = line;
	if (!request || !line)
		return false;
	loading->room = room;
	return true;
}

/* -1 to go on, or the exit code. */
static int load_line(struct cli *cli, const char *path, uint32_t number, char *text, struct labels *labels,
		     struct loading *loading)
{
	char *words[WORDS_MAX + 2];
	int count, code;

	words[0] = (char *)"conntrack";
	if (text[strspn(text, " \t\r\n")] == '#')
		return -1;
	count = split_words(text, words + 1);
	if (count == 0)
		return -1;
	if (count > 0 && count <= WORDS_MAX) {
		bool named = !strcmp(words[1], "conntrack");

		words[count + 1] = NULL;
		if (!make_room(loading)) {
			request_say(cli, "%s:%u: out of memory", path, number);
			return CLI_FAILED;
		}
		code = request_read(cli, count + 1 - named, words + named, labels, true,
				    &loading->request[loading->count]);
		if (code < 0)
			loading->line[loading->count++] = number;
		else
			request_say(cli, "%s:%u: this line is wrong; nothing was carried out", path, number);
		return code;
	}
	return request_refuse(cli, "%s:%u: too many words, or a quote without an end", path, number);
}

int load_read(struct cli *cli, const char *path, FILE *file, struct labels *labels, struct loading *loading)
{
	char text[LINE_MAX_BYTES];
	uint32_t number = 0;
	int code = -1;

	while (code < 0 && fgets(text, sizeof(text), file)) {
		number++;
		if (!strchr(text, '\n') && !feof(file))
			return request_refuse(cli, "%s:%u: longer than %d bytes", path, number,
					      LINE_MAX_BYTES - 2);
		code = load_line(cli, path, number, text, labels, loading);
	}
	if (code < 0 && ferror(file)) {
		request_say(cli, "reading %s failed: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	return code;
}

void load_forget(struct loading *loading)
{
	free(loading->request);
	free(loading->line);
	*loading = (struct loading){0};
}

/* The lines of a file, carried out: creations go in batches. */
struct load_run {
	struct changing changing;
	const char *path;
	const struct loading *loading;
};

static void note_loaded(void *context, const struct kernel_change *change, int error)
{
	struct load_run *run = context;
	enum request_command command = run->loading->request[change->line].command;

	if (!error || (error == -EEXIST && command == REQUEST_ADD) || run->changing.failed)
		return;
	run->changing.failed++;
	change_say_error(run->changing.cli, error);
	request_say(run->changing.cli, "%s:%u: this line failed", run->path,
		    run->loading->line[change->line]);
}

static int load_create(struct load_run *run, size_t at)
{
	struct kernel_change change = {.kind = KERNEL_CREATE, .has_timeout = true, .line = (uint32_t)at};
	int error = change_build_flow(&run->loading->request[at], &change.flow);

	if (error) {
		kernel_table_settle(run->changing.table, note_loaded, run);
		if (!run->changing.failed)
			note_loaded(run, &change, error);
		return CLI_FAILED;
	}
	kernel_table_change(run->changing.table, &change, note_loaded, run);
	return run->changing.failed ? CLI_FAILED : CLI_DONE;
}

static int load_other(struct load_run *run, const struct request *request, struct labels *labels)
{
	struct changing *changing = &run->changing;
	int code;

	kernel_table_settle(changing->table, note_loaded, run);
	if (changing->failed)
		return CLI_FAILED;
	if (request->command == REQUEST_FLUSH) {
		int error =
		    kernel_table_flush(changing->table, request->table == TABLE_EXPECT, request->flow.family);

		return error < 0 ? change_say_error(changing->cli, error) : CLI_DONE;
	}
	changing->request = request;
	show_start(changing->show, changing->cli, request, labels);
	code = change_matching(changing);
	return show_end(changing->show, changing->cli, code);
}

static int load_run(const struct cli *cli, const char *path, const struct loading *loading,
		    struct labels *labels)
{
	struct load_run run = {
	    .changing = {.cli = cli, .show = malloc(sizeof(struct show))}, .path = path, .loading = loading};
	int error = run.changing.show ? kernel_table_open(&run.changing.table) : -ENOMEM;
	int code = CLI_DONE;

	if (error) {
		free(run.changing.show);
		return change_say_error(cli, error);
	}
	for (size_t i = 0; code == CLI_DONE && i < loading->count; i++) {
		enum request_command command = loading->request[i].command;

		code = command == REQUEST_CREATE || command == REQUEST_ADD
			   ? load_create(&run, i)
			   : load_other(&run, &loading->request[i], labels);
	}
	kernel_table_settle(run.changing.table, note_loaded, &run);
	if (run.changing.failed)
		code = CLI_FAILED;
	kernel_table_close(run.changing.table);
	free(run.changing.show);
	return code;
}

int change_load(struct cli *cli, const char *path, struct labels *labels)
{
	struct loading loading = {0};
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	int code;

	if (!file) {
		request_refuse(cli, "Failed to open file %s for reading: %s", path, strerror(errno));
		return CLI_USAGE;
	}
	code = load_read(cli, path, file, labels, &loading);
	if (file != stdin)
		fclose(file);
	if (code < 0)
		code = load_run(cli, path, &loading, labels);
	load_forget(&loading);
	return code;
}
