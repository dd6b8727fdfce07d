/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints flows on standard output in the format that the command line asks for, and counts them.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "syncd/cli/conntrack/format.h"
#include "syncd/cli/conntrack/request.h"

struct show {
	struct output output;
	struct format_dump dump;
	const struct format *format;
	unsigned long long flows;
};

/* Prepares *show, which is large.  Opens the names of labels if they are to be shown, and can go without. */
void show_start(struct show *show, const struct cli *cli, const struct request *request,
		struct labels *labels);

void show_flow(struct show *show, const struct flow *flow);

/* Writes out what is not yet written.  `code`, or CLI_FAILED after having said why it did not get out. */
int show_flush(struct show *show, const struct cli *cli, int code);

/* Ends the output.  As show_flush(). */
int show_end(struct show *show, const struct cli *cli, int code);

#endif
