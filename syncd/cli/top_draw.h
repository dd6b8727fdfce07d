/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the live view shows of a pair, drawn from two statuses and the last samples.  Pure: no terminal, no
 * clock.
 */
#ifndef CLI_TOP_DRAW_H
#define CLI_TOP_DRAW_H

#include "syncd/cli/history.h"
#include "syncd/cli/top_screen.h"

struct top_view {
	const json_t *status; /* NULL: the daemon does not answer; `why` says so */
	const json_t *before; /* the status before, for rates; NULL: none */
	int64_t elapsed_ms;   /* between the two */
	const char *why;      /* words, never NULL */
	const struct history *history;
	const char *socket; /* of the daemon */
	uint32_t interval_ms;
	bool is_paused;
	bool has_keys;     /* the last line names the keys */
	bool has_blocks;   /* plots of Unicode's blocks, else of ASCII */
	size_t first_peer; /* the first that is shown; brought into its bounds by top_draw() */
};

/* The least size at which all sections of a pair have room. */
enum { TOP_ROWS = 24, TOP_COLUMNS = 80 };

/* Draws on an empty screen.  Returns the number of rows that have something on them, the keys' left out. */
int top_draw(struct top_screen *screen, struct top_view *view);

#endif
