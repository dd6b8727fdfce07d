/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The values of the options that every protocol knows: what options.c needs of values.c.
 */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include "syncd/cli/conntrack/request.h"

enum { READING_COMMON_MAX = 64, VALUES_TIMEOUT_MAX = INT32_MAX / 100 };

/* A command line that is being read. */
struct reading {
	struct cli *cli;
	struct request *request;
	struct labels *labels;
	const char *labelmap;
	int argc;
	char **argv;
	bool in_file;
	unsigned common; /* how many of the options every protocol has; those of -p follow */
	struct option options[READING_COMMON_MAX + PROTOCOL_OPTIONS_MAX + 1];
};

/* Reads the value of an option (optarg), called `name` on the command line.  -1, or the exit code after
 * having said what is wrong. */
int values_take(struct reading *reading, enum request_option option, const char *name);

#endif
