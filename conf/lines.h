/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONF_LINES_H
#define CONF_LINES_H
/*
 * Reads a configuration line by line, counts the lines, and finds those that inih would misread without a
 * word: it cuts long lines in two, takes an indented line for a second value of the key above, cuts section
 * names, and ignores what follows a section's bracket.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	CONFIG_LINE_MAX = 190,         /* bytes, of a line that is no comment; inih holds 197 */
	CONFIG_SECTION_NAME_MAX = 49,  /* inih's MAX_SECTION, less the NUL */
	CONFIG_FILE_SIZE_MAX = 1 << 20 /* bytes; the longest sensible file has a few hundred lines */
};

enum line_kind {
	LINE_END,
	LINE_IGNORED, /* blank, or a comment */
	LINE_SECTION, /* [NAME] */
	LINE_SETTING, /* KEY = VALUE */
	LINE_READ_FAILED,
	LINE_FILE_TOO_LARGE,
	/* from here on: reported, and the next line is read */
	LINE_HAS_NUL,
	LINE_HAS_CONTROL,
	LINE_TOO_LONG,
	LINE_INDENTED,
	LINE_BAD_SECTION,
	LINE_SECTION_TOO_LONG,
	LINE_BAD_SETTING,
	LINE_KIND_COUNT
};

struct line_reader {
	FILE *file;                /* NULL: from memory */
	const unsigned char *data; /* what is left of the memory */
	size_t data_size;
	size_t taken; /* bytes read so far */
	int number;   /* of the current line, from 1 */
	int error;    /* with LINE_READ_FAILED: a negative errno */
	bool has_nul, has_control;
	size_t length;                  /* of the current line, without its end; may exceed what text holds */
	char text[CONFIG_LINE_MAX + 1]; /* the current line */
};

/* The file, or the memory, stays the caller's, and must outlive the reader. */
void line_reader_init_file(struct line_reader *reader, FILE *file);
void line_reader_init_memory(struct line_reader *reader, const void *data, size_t size);

/* Reads the next line into reader->text.  Lines of more than `limit` bytes (<= CONFIG_LINE_MAX) are too long.
 */
enum line_kind line_reader_next(struct line_reader *reader, size_t limit);

/* What is wrong with a line, and what is allowed.  NULL for kinds that are no mistake of the file. */
const char *line_kind_text(enum line_kind kind);

#endif
