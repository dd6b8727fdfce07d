/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Would a failover at this moment keep the connections?  The first line of `twintrack status`.
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include <jansson.h>

enum verdict_kind {
	VERDICT_SAFE,     /* the tables that a takeover needs are proven equal */
	VERDICT_SAFE_BUT, /* they are, but something else may cost connections */
	VERDICT_UNSAFE,   /* not proven, or nobody to take over */
};

enum { VERDICT_TEXT_SIZE = 512 };

struct verdict {
	enum verdict_kind kind;
	char text[VERDICT_TEXT_SIZE];
};

/* Judges the daemon's status.  What the status doesn't say counts as not proven. */
struct verdict verdict_of(const json_t *status);

#endif
