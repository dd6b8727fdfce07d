/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of a file for -R (change_load() in change.h), read and checked, before any is carried out. */
#ifndef CLI_LOAD_H
#define CLI_LOAD_H

#include "syncd/cli/conntrack/request.h"

#include <stdio.h>

struct loading {
	struct request *request; /* owned */
	uint32_t *line;          /* of each, its number; owned */
	size_t count, room;
};

/*
 * Reads all lines; `path` is what errors name.  -1: all are good; else the exit code, after having said which
 * line is wrong.  load_forget() in either case.
 */
int load_read(struct cli *cli, const char *path, FILE *file, struct labels *labels, struct loading *loading);
void load_forget(struct loading *loading);

#endif
