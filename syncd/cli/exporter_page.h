/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exporter's page: a pair at a glance, from one status and the last minutes' samples.  Plain HTML with
 * inline SVG; no script, and nothing from elsewhere.
 */
#ifndef CLI_EXPORTER_PAGE_H
#define CLI_EXPORTER_PAGE_H

#include "syncd/cli/history.h"

/* one sample each: the plots show five minutes */
enum { EXPORTER_PERIOD_MS = 2000 };

/* The page, which the caller frees; NULL when out of memory.  `status` NULL: no daemon, `why` says so. */
char *exporter_page(const json_t *status, const char *why, const struct history *history);

#endif
