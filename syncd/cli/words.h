/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the pages for people (`status`, `top`) say alike of a status.
 */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "syncd/cli/page.h"

#include <jansson.h>

struct words {
	enum page_colour colour;
	char text[256];
};

/* Each fills *words and returns true, or returns false where there is nothing to say. */
typedef bool words_of(const json_t *status, struct words *words);

words_of words_flows, /* how many of its own, and of how many */
    words_wanted,     /* the role that is wanted and not reached yet */
    words_handover,   /* what a hand-over has still to do; nothing is said of one that is over */
    words_warm,       /* warm mode: what of the peers' flows lives in this kernel */
    words_kernel,     /* events, overruns, audits */
    words_fence;      /* what the fence's state means */

#endif
