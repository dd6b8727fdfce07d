/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/metrics_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct family_type {
	const char *name, *older, *suffix; /* the suffix that its samples have */
};

static const struct family_type *find_type(const char *name, size_t length)
{
	static const struct family_type types[] = {{"counter", "counter", "_total"},
						   {"info", "gauge", "_info"},
						   {"stateset", "gauge", ""},
						   {"gauge", "gauge", ""}};
	static const struct family_type unknown = {"unknown", "untyped", ""};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i].name) == length && !strncmp(types[i].name, name, length))
			return &types[i];
	return &unknown;
}

/* One line without its end.  `type` is that of the family, which its TYPE tells before all else. */
static void write_line(FILE *out, const char *line, size_t length, const struct family_type **type)
{
	const char *name = line + strlen("# TYPE "), *end = line + length;
	const char *blank = length > strlen("# TYPE ") ? memchr(name, ' ', (size_t)(end - name)) : NULL;

	if (!strncmp(line, "# TYPE ", 7) && blank) {
		*type = find_type(blank + 1, (size_t)(end - blank - 1));
		fprintf(out, "# TYPE %.*s%s %s\n", (int)(blank - name), name, (*type)->suffix,
			(*type)->older);
	} else if (!strncmp(line, "# HELP ", 7) && blank) {
		fprintf(out, "# HELP %.*s%s%.*s\n", (int)(blank - name), name, (*type)->suffix,
			(int)(end - blank), blank);
	} else if (length && *line != '#') {
		fprintf(out, "%.*s\n", (int)length, line);
	}
}

char *metrics_text_older(const char *openmetrics)
{
	const struct family_type *type = find_type("", 0);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (const char *line = openmetrics; *line;) {
		size_t length = strcspn(line, "\n");

		write_line(out, line, length, &type);
		line += length + (line[length] == '\n');
	}
	if (ferror(out) | fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
