/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's state as OpenMetrics text: what `twintrack metrics` prints and the exporter serves.  No label
 * names a flow: the number of series is bounded by peers and links.  Counters start with the daemon
 * (twintrack_uptime_seconds).
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "syncd/daemon/daemon.h"

/* The whole exposition with its EOF mark, as text that the caller frees; NULL when out of memory. */
char *metrics_text(struct daemon *daemon);

#endif
