/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks the lines of a large file in several threads, before anything is made of them. */
#ifndef CLI_CONNTRACK_LOAD_CHECK_H
#define CLI_CONNTRACK_LOAD_CHECK_H

#include "syncd/cli/conntrack/load_plan.h"

/* Lines that follow one another in the file. */
struct load_block {
	struct load_range
	    range;      /* those at the beginning that load_read_ahead() takes; its line is not known */
	uint32_t lines; /* how many these are */
	off_t end;      /* of the block: behind the range, lines are left to be read */
	int error;      /* it could not be read: a negative errno */
};

/*
 * Checks the file from `start` on, in so many threads at most, as far as they are to be had.  *blocks, free()
 * frees it, covers it up to `end`, or some MiB of it: so a wrong line is told before all behind it is read.
 * The next begins where the last block ends.  0 or -ENOMEM.
 */
int load_check(int file, off_t start, off_t end, unsigned threads, struct load_block **blocks, size_t *count);

/* Reads so many bytes.  0 or a negative errno; -ESTALE: it has not so many any more. */
int load_read_range(int file, off_t start, size_t length, char *bytes);

/* strerror() for these. */
const char *load_error_text(int error);

#endif
