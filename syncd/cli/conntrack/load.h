/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of a file for -R (change_load() in change.h), read and checked, before any is carried out. */
#ifndef CLI_CONNTRACK_LOAD_H
#define CLI_CONNTRACK_LOAD_H

#include "syncd/cli/conntrack/request.h"

#include <stdio.h>

/* Takes a good line, in their order; the request is borrowed.  -1 to go on, or the exit code after having
 * said what is wrong. */
typedef int load_take(void *context, const struct request *request, uint32_t line);

/*
 * Reads all lines; `path` is what errors name.  -1: all are good; else the exit code, after having said which
 * line is wrong.
 */
int load_read(struct cli *cli, const char *path, FILE *file, struct labels *labels, load_take *take,
	      void *context);

/*
 * Reads a line as -o save writes them, which is most of what such files hold, in a fraction of the time that
 * getopt takes.  False, with *request undefined: it has anything else in it, and may yet be good.  True:
 * *request is what request_read() would make of it, but for the checks of request_check().  `text` ends at
 * its newline or its NUL.
 */
bool load_read_plain(const char *text, struct request *request);

#endif
