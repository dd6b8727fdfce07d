/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/import_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum token { TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_LINE, TOKEN_END, TOKEN_TOO_LONG };

struct parser {
	FILE *file;
	int line;
	struct import_tree *tree;
	size_t open[IMPORT_DEPTH_MAX]; /* the sections that we are in */
	unsigned depth;
	size_t words;
	int words_line;
	char word[IMPORT_WORDS_MAX][IMPORT_WORD_SIZE];
};

static int skip_comment(FILE *file)
{
	int c;

	do
		c = getc(file);
	while (c != '\n' && c != EOF);
	return c;
}

static enum token read_word(struct parser *parser, int first, char word[IMPORT_WORD_SIZE])
{
	int quote = first == '"' ? first : 0;
	size_t length = 0;
	int c = quote ? getc(parser->file) : first;

	while (c != EOF && c != '\n' &&
	       (quote ? c != quote : !isspace(c) && c != '{' && c != '}' && c != '#')) {
		if (length + 1 == IMPORT_WORD_SIZE)
			return TOKEN_TOO_LONG;
		word[length++] = (char)c;
		c = getc(parser->file);
	}
	word[length] = '\0';
	if (c != EOF && c != quote)
		ungetc(c, parser->file);
	return TOKEN_WORD;
}

static enum token next_token(struct parser *parser, char word[IMPORT_WORD_SIZE])
{
	int c;

	do
		c = getc(parser->file);
	while (c == ' ' || c == '\t' || c == '\r');
	if (c == '#')
		c = skip_comment(parser->file);
	switch (c) {
	case EOF:
		return TOKEN_END;
	case '\n':
		return TOKEN_LINE;
	case '{':
		return TOKEN_OPEN;
	case '}':
		return TOKEN_CLOSE;
	default:
		return read_word(parser, c, word);
	}
}

/* What has been gathered becomes a statement; `from` words of it, `count` many. */
static int add(struct parser *parser, size_t from, size_t count)
{
	struct import_tree *tree = parser->tree;
	struct import_statement *statement = &tree->statement[tree->count];

	if (tree->count == IMPORT_STATEMENTS_MAX)
		return -E2BIG;
	statement->word = calloc(count, sizeof(*statement->word));
	if (!statement->word)
		return -ENOMEM;
	memcpy(statement->word, parser->word[from], count * sizeof(*statement->word));
	statement->words = count;
	statement->line = parser->words_line;
	statement->depth = parser->depth;
	statement->parent = parser->depth ? parser->open[parser->depth - 1] : tree->count;
	tree->count++;
	return 0;
}

/* Up to two words are one statement; more on one line are pairs, but where they are a list. */
static int finish(struct parser *parser)
{
	static const char *const lists[] = {"Protocol",        "Address",   "State",
					    "ExpectationSync", "Replicate", "IgnoreProtocol",
					    "IgnoreTrafficFor"};
	size_t words = parser->words;
	const char *section =
	    parser->depth ? parser->tree->statement[parser->open[parser->depth - 1]].word[0] : "";
	size_t step = words > 2 && words % 2 == 0 ? 2 : words;
	int error = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (!strcmp(section, lists[i]))
			step = words;
	for (size_t from = 0; from < words && !error; from += step)
		error = add(parser, from, step);
	parser->words = 0;
	return error;
}

static int open_section(struct parser *parser)
{
	int error;

	if (!parser->words || parser->depth == IMPORT_DEPTH_MAX)
		return -EINVAL;
	error = add(parser, 0, parser->words);
	parser->words = 0;
	if (!error)
		parser->open[parser->depth++] = parser->tree->count - 1;
	return error;
}

static int take(struct parser *parser, enum token token, const char *word, const char **wrong)
{
	*wrong = "the file has too many statements, or memory is out";
	switch (token) {
	case TOKEN_WORD:
		if (parser->words == IMPORT_WORDS_MAX) {
			*wrong = "too many words on one line";
			return -EINVAL;
		}
		if (!parser->words)
			parser->words_line = parser->line;
		strcpy(parser->word[parser->words++], word);
		return 0;
	case TOKEN_OPEN:
		*wrong = parser->words ? "sections are nested too deep" : "`{' without a word before it";
		return open_section(parser);
	case TOKEN_CLOSE:
		if (!parser->depth) {
			*wrong = "`}' without its `{'";
			return -EINVAL;
		}
		if (finish(parser) < 0)
			return -ENOMEM;
		parser->depth--;
		return 0;
	case TOKEN_TOO_LONG:
		*wrong = "a word is too long";
		return -EINVAL;
	case TOKEN_LINE:
	case TOKEN_END:
		break;
	}
	return finish(parser);
}

/* "Word {" may have its brace on the next line: a statement is over at the end of its line only if none
 * comes. */
static bool brace_follows(FILE *file, int *lines)
{
	int c;

	*lines = 0;
	for (;;) {
		c = getc(file);
		if (c == '#')
			c = skip_comment(file);
		if (c == '\n')
			(*lines)++;
		else if (c == EOF || !isspace(c))
			break;
	}
	if (c != EOF)
		ungetc(c, file);
	return c == '{';
}

int import_parse(FILE *file, struct import_tree *tree, int *line, char *wrong, size_t size)
{
	struct parser *parser = calloc(1, sizeof(*parser));
	char word[IMPORT_WORD_SIZE];
	const char *reason = "memory is out";
	enum token token = TOKEN_LINE;
	int error = parser ? 0 : -ENOMEM;

	if (parser) {
		parser->file = file;
		parser->tree = tree;
		parser->line = 1;
	}
	while (!error && token != TOKEN_END) {
		int lines = 0;

		token = next_token(parser, word);
		if (token == TOKEN_LINE)
			parser->line++;
		if (token == TOKEN_LINE && parser->words && brace_follows(file, &lines)) {
			parser->line += lines;
			continue;
		}
		error = take(parser, token, word, &reason);
		parser->line += lines;
	}
	if (!error && parser->depth) {
		error = -EINVAL;
		reason = "the file ends inside of a section";
	}
	*line = parser ? parser->line : 0;
	snprintf(wrong, size, "%s", reason);
	free(parser);
	return error;
}

void import_free(struct import_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		free(tree->statement[i].word);
	tree->count = 0;
}
