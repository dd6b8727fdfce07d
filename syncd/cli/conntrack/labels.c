/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/labels.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the library of conntrack(8) takes for a name: letters, digits, and what doesn't break its output. */
static bool is_name(const char *text)
{
	if (!*text || strlen(text) >= LABEL_NAME_MAX)
		return false;
	for (; *text; text++)
		if (!isgraph((unsigned char)*text) || strchr("\"<>&,", *text))
			return false;
	return true;
}

static void read_line(struct labels *labels, char *line)
{
	char *rest, *number = strtok_r(line, " \t\n", &rest);
	char *name = number && *number != '#' ? strtok_r(NULL, " \t\n", &rest) : NULL;
	char *end;
	unsigned long bit;

	if (!name || !is_name(name) || !isdigit((unsigned char)*number))
		return;
	bit = strtoul(number, &end, 0);
	if (*end || bit >= LABEL_BITS || labels->name[bit][0])
		return;
	strcpy(labels->name[bit], name);
}

int labels_open(struct labels *labels, const char *path)
{
	char line[1024];
	FILE *file;
	int error;

	if (labels->is_open)
		return 0;
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		read_line(labels, line);
	error = ferror(file) ? -EIO : 0;
	fclose(file);
	labels->is_open = !error;
	return error;
}

int labels_find(const struct labels *labels, const char *name)
{
	for (int bit = 0; *name && bit < LABEL_BITS; bit++)
		if (!strcmp(labels->name[bit], name))
			return bit;
	return -1;
}
