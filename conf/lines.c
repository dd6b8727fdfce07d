/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/lines.h"

#include <errno.h>
#include <string.h>

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

void line_reader_init_file(struct line_reader *reader, FILE *file)
{
	memset(reader, 0, sizeof(*reader));
	reader->file = file;
}

void line_reader_init_memory(struct line_reader *reader, const void *data, size_t size)
{
	memset(reader, 0, sizeof(*reader));
	reader->data = data;
	reader->data_size = size;
}

static int next_byte(struct line_reader *reader)
{
	int byte;

	if (reader->file != NULL) {
		errno = 0;
		byte = getc(reader->file);
		if (byte == EOF && ferror(reader->file))
			reader->error = errno != 0 ? -errno : -EIO;
	} else if (reader->data_size > 0) {
		byte = *reader->data++;
		reader->data_size--;
	} else {
		byte = EOF;
	}
	if (byte != EOF)
		reader->taken++;
	return byte;
}

/* Keeps what fits, counts what doesn't. */
static void take_byte(struct line_reader *reader, int byte)
{
	if (byte == '\0')
		reader->has_nul = true;
	else if ((byte < ' ' && byte != '\t') || byte == 0x7f)
		reader->has_control = true;
	if (reader->length < CONFIG_LINE_MAX)
		reader->text[reader->length] = (char)byte;
	reader->length++;
}

/* Reads to the end of the line, which may be "\n", "\r\n" or that of the file.  False: nothing was left. */
static bool read_line(struct line_reader *reader)
{
	bool has_return = false;
	int byte;

	reader->length = 0;
	reader->has_nul = reader->has_control = false;
	while ((byte = next_byte(reader)) != EOF && byte != '\n' && reader->taken <= CONFIG_FILE_SIZE_MAX) {
		if (has_return)
			take_byte(reader, '\r');
		has_return = byte == '\r';
		if (!has_return)
			take_byte(reader, byte);
	}
	reader->text[reader->length < CONFIG_LINE_MAX ? reader->length : CONFIG_LINE_MAX] = '\0';
	if (byte == EOF && reader->length == 0 && !has_return)
		return false;
	reader->number++;
	return true;
}

/* Some editors put U+FEFF before the first line. */
static void drop_byte_order_mark(struct line_reader *reader)
{
	const size_t mark_size = 3;

	if (reader->number != 1 || strncmp(reader->text, "\xef\xbb\xbf", mark_size) != 0)
		return;
	memmove(reader->text, reader->text + mark_size, strlen(reader->text + mark_size) + 1);
	reader->length -= mark_size;
}

/* Where a comment starts behind a setting or a section, as inih sees it: at a ';' after a blank. */
static bool comment_starts_at(const char *text, size_t at)
{
	return text[at] == ';' && at > 0 && is_blank(text[at - 1]);
}

static enum line_kind classify_section(const char *text)
{
	size_t end = 1;

	while (text[end] != ']') {
		if (text[end] == '\0' || comment_starts_at(text, end))
			return LINE_BAD_SECTION;
		end++;
	}
	if (end - 1 > CONFIG_SECTION_NAME_MAX)
		return LINE_SECTION_TOO_LONG;
	do
		end++;
	while (is_blank(text[end]));
	return text[end] == '\0' || text[end] == ';' ? LINE_SECTION : LINE_BAD_SECTION;
}

/* inih also takes "KEY: VALUE"; an IPv6 address on a line without '=' would then be cut at its first colon.
 */
static enum line_kind classify_setting(const char *text)
{
	size_t end = 0;

	while (text[end] != '=') {
		if (text[end] == '\0' || text[end] == ':' || comment_starts_at(text, end))
			return LINE_BAD_SETTING;
		end++;
	}
	return end > 0 ? LINE_SETTING : LINE_BAD_SETTING;
}

enum line_kind line_reader_next(struct line_reader *reader, size_t limit)
{
	size_t indent;

	if (!read_line(reader))
		return reader->error != 0 ? LINE_READ_FAILED : LINE_END;
	if (reader->error != 0)
		return LINE_READ_FAILED;
	if (reader->taken > CONFIG_FILE_SIZE_MAX)
		return LINE_FILE_TOO_LARGE;
	if (reader->has_nul)
		return LINE_HAS_NUL;
	drop_byte_order_mark(reader);
	indent = strspn(reader->text, " \t");
	if (reader->text[indent] == ';' || reader->text[indent] == '#')
		return LINE_IGNORED;
	if (reader->has_control)
		return LINE_HAS_CONTROL;
	if (reader->length > limit)
		return LINE_TOO_LONG;
	if (reader->text[indent] == '\0')
		return LINE_IGNORED;
	if (indent > 0)
		return LINE_INDENTED;
	return reader->text[0] == '[' ? classify_section(reader->text) : classify_setting(reader->text);
}

const char *line_kind_text(enum line_kind kind)
{
	static const char *const text[LINE_KIND_COUNT] = {
	    [LINE_FILE_TOO_LARGE] = "the file is too large; allowed: at most 1 MiB",
	    [LINE_HAS_NUL] = "the line holds a NUL byte; allowed: text",
	    [LINE_HAS_CONTROL] =
		"the line holds a control character; allowed: text, with lines that end in LF or CR LF",
	    [LINE_TOO_LONG] = "the line is too long; allowed: at most 190 bytes, unless it is a comment",
	    [LINE_INDENTED] =
		"the line starts with a blank; allowed: [SECTION] and KEY = VALUE from the first column, and no "
		"values that go on in the next line",
	    [LINE_BAD_SECTION] =
		"not understood; allowed: [SECTION] with nothing behind it but a comment that starts with ';'",
	    [LINE_SECTION_TOO_LONG] = "the section's name is too long; allowed: at most 49 bytes",
	    [LINE_BAD_SETTING] =
		"not understood; allowed: [SECTION], KEY = VALUE, or a comment that starts with ';' or '#'",
	};
	return text[kind];
}
