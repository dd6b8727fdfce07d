/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lines of a file for -R (change_load() in change.h).  All are read and checked before any is carried
 * out; what they ask for is kept in a plan (load_plan.h).
 */
#ifndef CLI_CONNTRACK_LOAD_H
#define CLI_CONNTRACK_LOAD_H

#include "syncd/cli/conntrack/request.h"

struct load_plan;

/* What of a text is not read yet: whole lines, the last with its newline or without. */
struct load_text {
	const char *at, *end;
	uint32_t line; /* how many lines stood before */
};

/* The longest line, without its newline. */
enum { LOAD_LINE_MAX = 8190 };

/* Takes a good line, in their order; the request is borrowed.  False: out of memory. */
typedef bool load_take(void *context, const struct request *request, uint32_t line);

/*
 * Reads all lines; `path` is what errors name.  -1: all are good; else the exit code, after having said which
 * line is wrong.
 */
int load_read(struct cli *cli, const char *path, struct load_text *text, struct labels *labels,
	      load_take *take, void *context);

/*
 * Reads up to the first line that load_read_plain() doesn't take, or `take` has no memory for: *text begins
 * with that then.  Says nothing, and may go on in several threads, each with its own text and context.
 */
void load_read_ahead(struct load_text *text, load_take *take, void *context);

/*
 * Reads a line as -o save writes them, which is most of what such files hold, in a fraction of the time that
 * getopt takes; `end` is where its newline is, or would be.  False, with *request undefined: it has anything
 * else in it, and may yet be good.  True: *request is what request_read() would make of it, and allowed.
 */
bool load_read_plain(const char *text, const char *end, struct request *request);

/*
 * Reads the lines of a file into a plan; a large one in so many threads at most, as far as they are to be
 * had. -1, or the exit code after having said what is wrong.
 */
int load_read_file(struct cli *cli, const char *path, int file, unsigned threads, struct labels *labels,
		   struct load_plan *plan);

#endif
