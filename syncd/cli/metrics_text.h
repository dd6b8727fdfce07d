/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The older text format of Prometheus (version 0.0.4), made from the daemon's OpenMetrics: what
 * node_exporter's textfile collector, promtool and older scrapers read.  That format has no types `info` and
 * `stateset`, no UNIT and no EOF, and calls a counter by the name of its sample, "_total" included
 * (github.com/prometheus/docs, exposition_formats).
 */
#ifndef CLI_METRICS_TEXT_H
#define CLI_METRICS_TEXT_H

/* The same samples in that format, terminated; the caller's (free()).  NULL: out of memory. */
char *metrics_text_older(const char *openmetrics);

#endif
