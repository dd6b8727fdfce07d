/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last minutes of a pair, for plots: one sample of each status that was looked at, the oldest first.
 */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_SAMPLES = 150 };

/* What is plotted; a value below 0 is unknown. */
struct history_sample {
	double flows, held;                     /* of this node; of all its peers, here */
	double events, changes, sent, received; /* a second: of the kernel, of our table, datagrams */
	double lag_ms;                          /* the greatest of a live peer */
	double loss_percent;                    /* on all links, of what was to be received */
	/* what rates are made of */
	int64_t at_ms;
	struct {
		double version, events, sent, received, link_received, link_lost;
	} counter;
};

struct history {
	size_t count; /* up to HISTORY_SAMPLES */
	struct history_sample sample[HISTORY_SAMPLES];
};

/* Adds what a status says that came at `now_ms` of a clock that does not jump; NULL: the daemon did not
 * answer. */
void history_note(struct history *history, const json_t *status, int64_t now_ms);

/* The value at that offset of struct history_sample. */
double history_value(const struct history_sample *sample, size_t offset);

#endif
