/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is not as it should be, each in one sentence that says what to do.  `status` lists them, `health
 * --strict` fails on them.
 */
#ifndef DAEMON_PROBLEMS_H
#define DAEMON_PROBLEMS_H

#include "syncd/daemon/daemon.h"

enum { PROBLEMS_MAX = 96, PROBLEM_SIZE = 256 };

struct problems {
	size_t count;
	struct {
		bool is_degradation; /* else it is advice */
		char text[PROBLEM_SIZE];
	} list[PROBLEMS_MAX];
};

/* The caller frees it with problems_free(); NULL when out of memory. */
struct problems *problems_find(const struct daemon *daemon, const struct node_view *view,
			       struct monotime now);
void problems_free(struct problems *problems); /* NULL is fine */

/* What is wrong with a link: its interface, its socket, or the address that it is to send from; empty:
 * nothing is. */
void problems_of_link(const struct daemon *daemon, unsigned link, char *text, size_t size);

#endif
