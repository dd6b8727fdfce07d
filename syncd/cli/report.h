/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a step did, from the daemon's JSON, in words. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>

/*
 * Prints on standard output: the role and its change, the commit by its counts and what failed by name; of
 * another report, its counts.  `message` is the daemon's own remark ("already primary"), or empty.  `report`
 * may be NULL.
 */
void report_print(const json_t *report, const char *message);

#endif
