/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/load.h"

#include <string.h>

enum { WORDS_MAX = 128 };

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

static const char *line_end(const struct load_text *text)
{
	const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));

	return newline ? newline : text->end;
}

static void next_line(struct load_text *text, const char *end)
{
	text->at = end < text->end ? end + 1 : end;
	text->line++;
}

void load_read_ahead(struct load_text *text, load_take *take, void *context)
{
	struct request request;

	while (text->at < text->end) {
		const char *end = line_end(text);

		if (!load_read_plain(text->at, end, &request) || !take(context, &request, text->line + 1))
			return;
		next_line(text, end);
	}
}

/* Reads the next line, whatever it has in it.  -1, or the exit code. */
static int read_next(struct cli *cli, const char *path, struct load_text *text, struct labels *labels,
		     load_take *take, void *context)
{
	const char *end = line_end(text);
	size_t length = (size_t)(end - text->at), blank;
	char copy[LOAD_LINE_MAX + 1];
	struct request request;
	int code = -1;

	if (length > LOAD_LINE_MAX || memchr(text->at, 0, length))
		return request_refuse(cli, "%s:%u: longer than %d bytes, or with a byte of zero", path,
				      text->line + 1, LOAD_LINE_MAX);
	memcpy(copy, text->at, length);
	copy[length] = 0;
	next_line(text, end);
	blank = strspn(copy, " \t\r\n");
	if (!copy[blank] || copy[blank] == '#')
		return -1;
	code = read_line(cli, path, text->line, copy, labels, &request);
	if (code >= 0) {
		request_say(cli, "%s:%u: this line is wrong; nothing was carried out", path, text->line);
		return code;
	}
	if (take(context, &request, text->line))
		return -1;
	request_say(cli, "%s:%u: out of memory", path, text->line);
	return CLI_FAILED;
}

int load_read(struct cli *cli, const char *path, struct load_text *text, struct labels *labels,
	      load_take *take, void *context)
{
	int code = -1;

	while (code < 0) {
		load_read_ahead(text, take, context);
		if (text->at == text->end)
			break;
		code = read_next(cli, path, text, labels, take, context);
	}
	return code;
}
