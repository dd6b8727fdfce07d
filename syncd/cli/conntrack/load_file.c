/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a file: as it comes; or, a large one that can be read again, checked in blocks by load_check.c. */
#include "syncd/cli/conntrack/load.h"
#include "syncd/cli/conntrack/load_check.h"
#include "syncd/cli/conntrack/load_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORTION = 256 * 1024 };

struct loading {
	struct cli *cli;
	const char *path;
	int file;
	struct labels *labels;
	struct load_plan *plan;
	uint32_t line; /* how many are read */
	size_t used;
	char bytes[PORTION];
};

static int say_error(const struct loading *loading, int error)
{
	request_say(loading->cli, "reading %s failed: %s", loading->path, load_error_text(error));
	return CLI_FAILED;
}

static int read_lines(struct loading *loading, size_t length)
{
	struct load_text text = {loading->bytes, loading->bytes + length, loading->line};
	int code =
	    load_read(loading->cli, loading->path, &text, loading->labels, load_plan_take, loading->plan);

	loading->line = text.line;
	return code;
}

/* ---- as it comes ---- */

/* Whole lines, as many as come at once: who types them has each checked as it comes.  At the end of the file
 * the last one may be without its newline; so is one that is too long.  -1, or the exit code. */
static int read_stream(struct loading *loading)
{
	bool ended = false;
	int code = -1;

	while (code < 0 && !ended) {
		char *to = loading->bytes + loading->used;
		ssize_t got = read(loading->file, to, PORTION - loading->used);
		const char *newline;
		size_t lines;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return say_error(loading, -errno);
		ended = got == 0;
		newline = memrchr(to, '\n', (size_t)got);
		loading->used += (size_t)got;
		if (!newline && !ended && loading->used <= LOAD_LINE_MAX)
			continue;
		lines = newline ? (size_t)(newline + 1 - loading->bytes) : loading->used;
		code = read_lines(loading, lines);
		loading->used -= lines;
		memmove(loading->bytes, loading->bytes + lines, loading->used);
	}
	return code;
}

/* ---- in blocks ---- */

/* What the threads left of a block: a line that is not plain, and what follows it. */
static int read_rest(struct loading *loading, const struct load_block *block)
{
	off_t at = block->range.start + (off_t)block->range.length;
	int code = -1, got;

	loading->line += block->lines;
	while (code < 0 && at < block->end) {
		size_t left = (size_t)(block->end - at), lines;

		got = load_read_range(loading->file, at, left < PORTION ? left : PORTION, loading->bytes);
		if (got)
			return say_error(loading, got);
		lines = left;
		if (left > PORTION) {
			const char *newline = memrchr(loading->bytes, '\n', PORTION);

			lines = newline ? (size_t)(newline + 1 - loading->bytes) : PORTION;
		}
		code = read_lines(loading, lines);
		at += (off_t)lines;
	}
	return code;
}

/* Puts the blocks together, in order, so that the first line that is wrong is the one that is named. */
static int take_blocks(struct loading *loading, struct load_block *blocks, size_t count)
{
	int code = -1;

	for (size_t i = 0; code < 0 && i < count; i++) {
		struct load_block *block = &blocks[i];

		block->range.line = loading->line;
		if (block->error)
			code = say_error(loading, block->error);
		else if (block->range.length && !load_plan_take_range(loading->plan, &block->range))
			code = say_error(loading, -ENOMEM);
		else
			code = read_rest(loading, block);
	}
	return code;
}

static int read_blocks(struct loading *loading, off_t start, off_t end, unsigned threads)
{
	int code = -1;

	while (code < 0 && start < end) {
		struct load_block *blocks;
		size_t count;
		int error = load_check(loading->file, start, end, threads, &blocks, &count);

		if (error)
			return say_error(loading, error);
		code = take_blocks(loading, blocks, count);
		start = blocks[count - 1].end;
		free(blocks);
	}
	return code;
}

/* Whether it is large, and can be read again. */
static bool is_large(int file, off_t *start, off_t *end)
{
	struct stat status;

	*start = lseek(file, 0, SEEK_CUR);
	if (*start < 0 || fstat(file, &status) || !S_ISREG(status.st_mode))
		return false;
	*end = status.st_size;
	return *end - *start > 2 * LOAD_RANGE_MAX;
}

int load_read_file(struct cli *cli, const char *path, int file, unsigned threads, struct labels *labels,
		   struct load_plan *plan)
{
	struct loading *loading = malloc(sizeof(*loading));
	off_t start, end;
	int code;

	if (!loading) {
		request_say(cli, "reading %s: out of memory", path);
		return CLI_FAILED;
	}
	loading->cli = cli;
	loading->path = path;
	loading->file = file;
	loading->labels = labels;
	loading->plan = plan;
	loading->line = 0;
	loading->used = 0;
	code = threads > 1 && is_large(file, &start, &end) ? read_blocks(loading, start, end, threads)
							   : read_stream(loading);
	free(loading);
	return code;
}
