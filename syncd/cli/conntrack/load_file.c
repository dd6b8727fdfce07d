/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a file in portions, each of whole lines.  A large portion is cut into slices, and threads read one
 * after the other ahead into a plan of its own, while the next portion comes from the file.  The threads live
 * as long as the portion, and share nothing but the number of the next slice.  What they leave (a line that
 * is not plain, and what follows it in its slice) is read here, in order, so that the first line that is
 * wrong is the one that is named.
 */
#include "syncd/cli/conntrack/load.h"
#include "syncd/cli/conntrack/load_plan.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PORTION = 8 << 20,
	SLICE = PORTION / 32,
	SLICES_MAX = PORTION / SLICE + 1,
	THREADS_MAX = 8, /* the kernel's part cannot be shared, and then it is by far the larger one */
};

struct portion {
	char *bytes;        /* PORTION */
	size_t used, lines; /* bytes, of which so many in whole lines */
};

struct slice {
	struct load_text text;
	struct load_plan plan;
};

struct loading {
	struct cli *cli;
	const char *path;
	int file;
	struct labels *labels;
	struct load_plan *plan;
	unsigned helpers;
	bool ended; /* the file */
	struct portion now, next;
	uint32_t line; /* of the file, read so far */
	/* a portion */
	struct slice slice[SLICES_MAX];
	unsigned slices;
	atomic_uint taken;
};

/* ---- portions ---- */

/* Whole lines, as many as come at once: who types them has each checked as it comes.  At the end of the file
 * the last one may be without its newline; so is one that is too long.  -1, or the exit code. */
static int read_next_portion(struct loading *loading)
{
	const struct portion *now = &loading->now;
	struct portion *next = &loading->next;
	const char *newline = NULL;

	next->used = now->used - now->lines; /* the beginning of a line */
	memcpy(next->bytes, now->bytes + now->lines, next->used);
	while (!loading->ended && !newline && next->used <= LOAD_LINE_MAX) {
		char *to = next->bytes + next->used;
		ssize_t got = read(loading->file, to, PORTION - next->used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			request_say(loading->cli, "reading %s failed: %s", loading->path, strerror(errno));
			return CLI_FAILED;
		}
		loading->ended = got == 0;
		newline = memrchr(to, '\n', (size_t)got);
		next->used += (size_t)got;
	}
	next->lines = newline ? (size_t)(newline + 1 - next->bytes) : next->used;
	return -1;
}

/* ---- slices ---- */

static void cut_slices(struct loading *loading)
{
	const char *at = loading->now.bytes, *end = at + loading->now.lines;

	for (loading->slices = 0; at < end; loading->slices++) {
		const char *newline =
		    end - at > SLICE ? memchr(at + SLICE, '\n', (size_t)(end - at - SLICE)) : NULL;
		struct slice *slice = &loading->slice[loading->slices];

		slice->text = (struct load_text){at, newline ? newline + 1 : end, 0};
		at = slice->text.end;
	}
	atomic_store(&loading->taken, 0);
}

static void *read_slices(void *context)
{
	struct loading *loading = context;
	unsigned at;

	while ((at = atomic_fetch_add(&loading->taken, 1)) < loading->slices)
		load_read_ahead(&loading->slice[at].text, load_plan_take, &loading->slice[at].plan);
	return NULL;
}

/* Reads the slices in as many threads as there are to be had, and the next portion meanwhile. */
static int read_ahead(struct loading *loading)
{
	pthread_t thread[THREADS_MAX];
	unsigned threads = 0;
	int code;

	while (threads < loading->helpers && !pthread_create(&thread[threads], NULL, read_slices, loading))
		threads++;
	code = read_next_portion(loading);
	read_slices(loading);
	while (threads)
		pthread_join(thread[--threads], NULL);
	return code;
}

static int read_text(struct loading *loading, struct load_text *text)
{
	int code =
	    load_read(loading->cli, loading->path, text, loading->labels, load_plan_take, loading->plan);

	loading->line = text->line;
	return code;
}

/* Puts the slices together, and reads what is left of each. */
static int join_slices(struct loading *loading)
{
	int code = -1;

	for (unsigned i = 0; code < 0 && i < loading->slices; i++) {
		struct slice *slice = &loading->slice[i];

		if (!load_plan_append(loading->plan, &slice->plan, loading->line)) {
			request_say(loading->cli, "%s:%u: out of memory", loading->path, loading->line + 1);
			return CLI_FAILED;
		}
		slice->text.line += loading->line;
		code = read_text(loading, &slice->text);
	}
	return code;
}

static int read_now(struct loading *loading)
{
	struct load_text all = {loading->now.bytes, loading->now.bytes + loading->now.lines, loading->line};
	int code, next;

	if (!loading->helpers || loading->now.lines < 2 * SLICE) {
		code = read_text(loading, &all);
		return code < 0 ? read_next_portion(loading) : code;
	}
	cut_slices(loading);
	next = read_ahead(loading);
	code = join_slices(loading);
	return code < 0 ? next : code;
}

/* ---- the file ---- */

static void forget(struct loading *loading)
{
	if (!loading)
		return;
	for (unsigned i = 0; i < SLICES_MAX; i++)
		load_plan_clear(&loading->slice[i].plan);
	free(loading->now.bytes);
	free(loading->next.bytes);
	free(loading);
}

static int read_all(struct loading *loading)
{
	int code = read_next_portion(loading);

	while (code < 0 && loading->next.used) {
		struct portion portion = loading->now;

		loading->now = loading->next;
		loading->next = portion;
		code = read_now(loading);
	}
	return code;
}

int load_read_file(struct cli *cli, const char *path, int file, unsigned threads, struct labels *labels,
		   struct load_plan *plan)
{
	struct loading *loading = calloc(1, sizeof(*loading));
	int code = CLI_FAILED;

	if (loading) {
		loading->cli = cli;
		loading->path = path;
		loading->file = file;
		loading->labels = labels;
		loading->plan = plan;
		loading->helpers = threads < THREADS_MAX ? threads - 1 : THREADS_MAX - 1;
		loading->now.bytes = malloc(PORTION);
		loading->next.bytes = malloc(PORTION);
	}
	if (loading && loading->now.bytes && loading->next.bytes)
		code = read_all(loading);
	else
		request_say(cli, "reading %s: out of memory", path);
	forget(loading);
	return code;
}
