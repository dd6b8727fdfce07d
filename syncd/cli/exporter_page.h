/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exporter's page: a pair at a glance, from one status and the last minutes' samples.  Plain HTML with
 * inline SVG; no script, and nothing from elsewhere.
 */
#ifndef CLI_EXPORTER_PAGE_H
#define CLI_EXPORTER_PAGE_H

#include <jansson.h>
#include <stddef.h>

enum { EXPORTER_SAMPLES = 150, EXPORTER_PERIOD_MS = 2000 };

/* What is plotted; a value below 0 is unknown. */
struct exporter_sample {
	double flows, held, changes, lag_ms, loss_percent;
	/* counters that rates are made of */
	double version, received, lost;
};

struct exporter_history {
	size_t count; /* up to EXPORTER_SAMPLES; the oldest first */
	struct exporter_sample sample[EXPORTER_SAMPLES];
};

/* Adds what a status says; NULL: the daemon did not answer. */
void exporter_note(struct exporter_history *history, const json_t *status);

/* The page, which the caller frees; NULL when out of memory.  `status` NULL: no daemon, `why` says so. */
char *exporter_page(const json_t *status, const char *why, const struct exporter_history *history);

#endif
