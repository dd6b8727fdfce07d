/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OpenMetrics text, a family at a time: TYPE, UNIT, HELP, then its samples
 * (github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md).  A table names the fields of a
 * struct; each is a family, each object a sample.
 */
#ifndef DAEMON_METRICS_WRITE_H
#define DAEMON_METRICS_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_INFO, METRICS_STATESET };

struct metrics_family {
	const char *name; /* without "_total" and "_info", with the unit at its end */
	enum metrics_type type;
	const char *unit; /* "seconds", "bytes"; NULL: none */
	const char *help;
};

enum metrics_field_kind {
	METRICS_BOOL,
	METRICS_U32,
	METRICS_U64,
	METRICS_SIZE,
	METRICS_US /* int64_t in microseconds, shown as seconds; negative: unknown, no sample */
};

struct metrics_field {
	struct metrics_family family;
	enum metrics_field_kind kind;
	size_t offset;
};

enum { METRICS_LABELS_SIZE = 96 };

/* Up to two labels, as `{name="value",...}`; a NULL name ends the list.  Values are escaped. */
struct metrics_labels {
	char text[METRICS_LABELS_SIZE];
};
struct metrics_labels metrics_label(const char *name, const char *value);
struct metrics_labels metrics_labels(const char *name, const char *value, const char *name2,
				     const char *value2);

/* The head of a family; its samples follow. */
void metrics_begin(FILE *out, const struct metrics_family *family);

/* A sample of that family; labels may be NULL. */
void metrics_sample(FILE *out, const struct metrics_family *family, const struct metrics_labels *labels,
		    uint64_t value);
void metrics_sample_seconds(FILE *out, const struct metrics_family *family,
			    const struct metrics_labels *labels, int64_t us);

/* A family with one sample and no label. */
void metrics_single(FILE *out, const struct metrics_family *family, uint64_t value);

/*
 * Families from fields: for each of `fields`, a sample for each of `objects` (`stride` bytes apart), with
 * labels[i] (labels NULL: none, for a single object).  Without objects nothing is written.
 */
void metrics_fields(FILE *out, const struct metrics_field *fields, size_t field_count, const void *objects,
		    size_t object_count, size_t stride, const struct metrics_labels *labels);

#endif
