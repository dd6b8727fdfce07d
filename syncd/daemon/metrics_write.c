/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/metrics_write.h"

#include <inttypes.h>
#include <string.h>

/* Appends `name="value"`, escaped as the format wants it, and never half a label. */
static size_t append_label(char *text, size_t at, const char *name, const char *value)
{
	char label[METRICS_LABELS_SIZE];
	size_t length = (size_t)snprintf(label, sizeof(label), "%c%.30s=\"", at == 0 ? '{' : ',', name);
	for (; *value != '\0' && length + 4 < sizeof(label); value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			label[length++] = '\\';
		label[length++] = *value == '\n' ? 'n' : *value;
	}
	label[length++] = '"';
	if (at + length + 2 > METRICS_LABELS_SIZE)
		return at;
	memcpy(text + at, label, length);
	return at + length;
}

struct metrics_labels metrics_labels(const char *name, const char *value, const char *name2,
				     const char *value2)
{
	struct metrics_labels labels = {""};
	size_t at = append_label(labels.text, 0, name, value);
	if (name2 != NULL)
		at = append_label(labels.text, at, name2, value2);
	if (at > 0)
		memcpy(labels.text + at, "}", 2);
	return labels;
}

struct metrics_labels metrics_label(const char *name, const char *value)
{
	return metrics_labels(name, value, NULL, NULL);
}

void metrics_begin(FILE *out, const struct metrics_family *family)
{
	static const char *const types[] = {"gauge", "counter", "info", "stateset"};
	fprintf(out, "# TYPE %s %s\n", family->name, types[family->type]);
	if (family->unit != NULL)
		fprintf(out, "# UNIT %s %s\n", family->name, family->unit);
	fprintf(out, "# HELP %s %s\n", family->name, family->help);
}

static void write_name(FILE *out, const struct metrics_family *family, const struct metrics_labels *labels)
{
	static const char *const suffixes[] = {"", "_total", "_info", ""};
	fprintf(out, "%s%s%s ", family->name, suffixes[family->type], labels != NULL ? labels->text : "");
}

void metrics_sample(FILE *out, const struct metrics_family *family, const struct metrics_labels *labels,
		    uint64_t value)
{
	write_name(out, family, labels);
	fprintf(out, "%" PRIu64 "\n", value);
}

void metrics_sample_seconds(FILE *out, const struct metrics_family *family,
			    const struct metrics_labels *labels, int64_t us)
{
	write_name(out, family, labels);
	fprintf(out, "%" PRId64 ".%06" PRId64 "\n", us / 1000000, us % 1000000);
}

void metrics_single(FILE *out, const struct metrics_family *family, uint64_t value)
{
	metrics_begin(out, family);
	metrics_sample(out, family, NULL, value);
}

static void write_field(FILE *out, const struct metrics_field *field, const void *object,
			const struct metrics_labels *labels)
{
	const void *at = (const char *)object + field->offset;
	int64_t us;
	switch (field->kind) {
	case METRICS_BOOL:
		metrics_sample(out, &field->family, labels, *(const bool *)at ? 1 : 0);
		break;
	case METRICS_U32:
		metrics_sample(out, &field->family, labels, *(const uint32_t *)at);
		break;
	case METRICS_U64:
		metrics_sample(out, &field->family, labels, *(const uint64_t *)at);
		break;
	case METRICS_SIZE:
		metrics_sample(out, &field->family, labels, *(const size_t *)at);
		break;
	case METRICS_US:
		us = *(const int64_t *)at;
		if (us >= 0)
			metrics_sample_seconds(out, &field->family, labels, us);
		break;
	}
}

void metrics_fields(FILE *out, const struct metrics_field *fields, size_t field_count, const void *objects,
		    size_t object_count, size_t stride, const struct metrics_labels *labels)
{
	if (object_count == 0)
		return;
	for (size_t i = 0; i < field_count; i++) {
		metrics_begin(out, &fields[i].family);
		for (size_t at = 0; at < object_count; at++)
			write_field(out, &fields[i], (const char *)objects + at * stride,
				    labels != NULL ? &labels[at] : NULL);
	}
}
