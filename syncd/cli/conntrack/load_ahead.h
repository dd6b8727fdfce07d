/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes batches of the lines that a plan has as ranges of its file, one range ahead of the one that is being
 * sent: in a thread, if one can be had, so that it costs no time while the kernel works.
 */
#ifndef CLI_CONNTRACK_LOAD_AHEAD_H
#define CLI_CONNTRACK_LOAD_AHEAD_H

#include "syncd/cli/conntrack/load_plan.h"

struct load_ahead;

/* The plan and its file are borrowed.  `threads`: how many there may be at once, this one included.  NULL:
 * out of memory. */
struct load_ahead *load_ahead_new(const struct load_plan *plan, int file, unsigned threads);

/* Frees it (NULL: nothing), after having waited for what is being made. */
void load_ahead_free(struct load_ahead *ahead);

/* The batches of a step that is a range, borrowed until the next is asked for.  0 or a negative errno;
 * -ESTALE: the file holds something else by now. */
int load_ahead_step(struct load_ahead *ahead, size_t at, const struct load_plan **batches);

#endif
