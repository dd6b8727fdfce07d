/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block has the lines that begin in its part of the file: so each thread finds its lines by itself, and
 * they share nothing but the number of the next block.
 */
#include "syncd/cli/conntrack/load_check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PART = LOAD_RANGE_MAX - LOAD_LINE_MAX - 2,
	/* and the byte before it, the rest of its last line, and a byte more, if that is too long */
	BYTES = 1 + PART + LOAD_LINE_MAX + 1,
	BLOCKS_MAX = 16,
	THREADS_MAX = 8, /* the kernel's part cannot be shared, and then it is by far the larger one */
};

struct checking {
	int file;
	off_t start, end;
	struct load_block *block;
	size_t count;
	atomic_size_t taken;
};

int load_read_range(int file, off_t start, size_t length, char *bytes)
{
	size_t used = 0;

	while (used < length) {
		ssize_t got = pread(file, bytes + used, length - used, start + (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ESTALE;
		used += (size_t)got;
	}
	return 0;
}

const char *load_error_text(int error)
{
	return error == -ESTALE ? "the file was changed meanwhile" : strerror(-error);
}

/* Behind the first newline from `at` on; `end`: there is none. */
static const char *behind_newline(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline ? newline + 1 : end;
}

static bool pass(void *context, const struct request *request, uint32_t line)
{
	(void)context;
	(void)request;
	(void)line;
	return true;
}

static void check_block(const struct checking *checking, size_t number, char *bytes)
{
	struct load_block *block = &checking->block[number];
	off_t part = checking->start + (off_t)(number * PART), from = number ? part - 1 : part;
	size_t length = checking->end - from < BYTES ? (size_t)(checking->end - from) : BYTES;
	const char *end = bytes + length, *next = bytes + (part - from) + PART; /* the next part */
	struct load_text text;

	block->error = load_read_range(checking->file, from, length, bytes);
	if (block->error)
		return;
	text.at = number ? behind_newline(bytes, end) : bytes;
	text.end = next < end ? behind_newline(next - 1, end) : end;
	text.line = 0;
	block->range.start = from + (text.at - bytes);
	block->end = from + (text.end - bytes);
	end = text.at;
	load_read_ahead(&text, pass, NULL);
	block->lines = text.line;
	block->range.length = (size_t)(text.at - end);
	block->range.digest = load_range_digest(end, block->range.length);
}

/* One thread's work; false: out of memory. */
static bool check_blocks(struct checking *checking)
{
	char *bytes = malloc(BYTES);
	size_t number;

	if (!bytes)
		return false;
	while ((number = atomic_fetch_add(&checking->taken, 1)) < checking->count)
		check_block(checking, number, bytes);
	free(bytes);
	return true;
}

static void *help(void *context)
{
	check_blocks(context);
	return NULL;
}

int load_check(int file, off_t start, off_t end, unsigned threads, struct load_block **blocks, size_t *count)
{
	struct checking checking = {.file = file, .start = start, .end = end};
	pthread_t thread[THREADS_MAX];
	unsigned helpers = 0;
	bool is_done;

	checking.count =
	    end - start > (off_t)BLOCKS_MAX * PART ? BLOCKS_MAX : (size_t)((end - start + PART - 1) / PART);
	checking.block = calloc(checking.count, sizeof(*checking.block));
	if (!checking.block)
		return -ENOMEM;
	while (helpers + 1 < threads && helpers < THREADS_MAX &&
	       !pthread_create(&thread[helpers], NULL, help, &checking))
		helpers++;
	is_done = check_blocks(&checking);
	while (helpers)
		pthread_join(thread[--helpers], NULL);
	if (!is_done) {
		free(checking.block);
		return -ENOMEM;
	}
	*blocks = checking.block;
	*count = checking.count;
	return 0;
}
