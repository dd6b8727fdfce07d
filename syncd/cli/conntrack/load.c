/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 128, LINE_MAX_BYTES = 8192 };

/* Splits a line into words, in place; quotes hold words together.  Their number, or -1: too many, or a quote
 * without an end. */
static int split_words(char *line, char **words)
{
	int count = 0;

	for (;;) {
		char *to;
		char quote = 0;

		line += strspn(line, " \t\r\n");
		if (!*line)
			return count;
		if (count == WORDS_MAX)
			return -1;
		words[count++] = to = line;
		while (*line && (quote || !strchr(" \t\r\n", *line))) {
			if (*line == quote)
				quote = 0;
			else if (!quote && (*line == '"' || *line == '\''))
				quote = *line;
			else
				*to++ = *line;
			line++;
		}
		if (quote)
			return -1;
		if (*line)
			line++;
		*to = 0;
	}
}

/* What the line says; -1, or the exit code. */
static int read_line(struct cli *cli, const char *path, uint32_t number, char *text, struct labels *labels,
		     struct request *request)
{
	char *words[WORDS_MAX + 2];
	bool named;
	int count;

	words[0] = (char *)"conntrack";
	count = split_words(text, words + 1);
	if (count < 0)
		return request_refuse(cli, "%s:%u: too many words, or a quote without an end", path, number);
	named = !strcmp(words[1], "conntrack");
	words[count + 1] = NULL;
	return request_read(cli, count + 1 - named, words + named, labels, true, request);
}

/* -1 to go on, or the exit code. */
static int load_line(struct cli *cli, const char *path, uint32_t number, char *text, struct labels *labels,
		     load_take *take, void *context)
{
	struct request request;
	char first = text[strspn(text, " \t\r\n")];
	int code;

	if (!first || first == '#')
		return -1;
	code = load_read_plain(text, &request) ? request_check(cli, &request, true)
					       : read_line(cli, path, number, text, labels, &request);
	if (code < 0)
		return take(context, &request, number);
	request_say(cli, "%s:%u: this line is wrong; nothing was carried out", path, number);
	return code;
}

int load_read(struct cli *cli, const char *path, FILE *file, struct labels *labels, load_take *take,
	      void *context)
{
	char text[LINE_MAX_BYTES];
	uint32_t number = 0;
	int code = -1;

	while (code < 0 && fgets(text, sizeof(text), file)) {
		number++;
		if (!strchr(text, '\n') && !feof(file))
			return request_refuse(cli, "%s:%u: longer than %d bytes, or with a byte of zero",
					      path, number, LINE_MAX_BYTES - 2);
		code = load_line(cli, path, number, text, labels, take, context);
	}
	if (code < 0 && ferror(file)) {
		request_say(cli, "reading %s failed: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	return code;
}
