/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/top_screen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 1024 };

struct top_screen *top_screen_create(int rows, int columns)
{
	struct top_screen *screen;
	size_t count;

	rows = rows < 1 ? 1 : rows > TOP_ROWS_MAX ? TOP_ROWS_MAX : rows;
	columns = columns < 1 ? 1 : columns > TOP_COLUMNS_MAX ? TOP_COLUMNS_MAX : columns;
	count = (size_t)rows * (size_t)columns;
	screen = calloc(1, sizeof(*screen) + count * sizeof(screen->cell[0]));
	if (!screen)
		return NULL;
	screen->rows = rows;
	screen->columns = columns;
	for (size_t i = 0; i < count; i++)
		screen->cell[i].glyph = ' ';
	return screen;
}

static size_t index_of(const struct top_screen *screen, int row, int column)
{
	return (size_t)row * (size_t)screen->columns + (size_t)column;
}

const struct top_cell *top_cell_at(const struct top_screen *screen, int row, int column)
{
	return &screen->cell[index_of(screen, row, column)];
}

void top_put_glyph(struct top_screen *screen, int row, int column, enum page_colour colour, uint32_t glyph)
{
	if (row < 0 || row >= screen->rows || column < 0 || column >= screen->columns)
		return;
	screen->cell[index_of(screen, row, column)] =
	    (struct top_cell){.glyph = glyph, .colour = (uint8_t)colour};
}

void top_set_style(struct top_screen *screen, int row, enum top_style style)
{
	if (row < 0 || row >= screen->rows)
		return;
	for (int column = 0; column < screen->columns; column++)
		screen->cell[index_of(screen, row, column)].style = (uint8_t)style;
}

/* Takes one code point off the text, which is not at its end. */
static uint32_t take_glyph(const char **text)
{
	const unsigned char *at = (const unsigned char *)*text;
	size_t more = at[0] < 0x80   ? 0
		      : at[0] < 0xc2 ? 0
		      : at[0] < 0xe0 ? 1
		      : at[0] < 0xf0 ? 2
		      : at[0] < 0xf5 ? 3
				     : 0;
	uint32_t glyph = more == 0 ? at[0] : at[0] & (0x3fU >> more);

	(*text)++;
	if (more == 0)
		return glyph < ' ' || glyph >= 0x7f ? '?' : glyph;
	for (size_t i = 1; i <= more; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return '?';
		glyph = glyph << 6 | (at[i] & 0x3fU);
	}
	*text += more;
	if (glyph < 0xa0 || (glyph >= 0xd800 && glyph < 0xe000) || glyph > 0x10ffff)
		return '?';
	return glyph;
}

static void put_text(struct top_screen *screen, int row, int column, int width, enum page_colour colour,
		     const char *text)
{
	for (int i = 0; *text && (width < 0 || i < width); i++)
		top_put_glyph(screen, row, column + i, colour, take_glyph(&text));
}

void top_put(struct top_screen *screen, int row, int column, int width, enum page_colour colour,
	     const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	put_text(screen, row, column, width, colour, text);
}

static int columns_of(const char *text)
{
	int count = 0;

	for (; *text; count++)
		take_glyph(&text);
	return count;
}

void top_put_right(struct top_screen *screen, int row, int column, int width, enum page_colour colour,
		   const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list list;
	int length;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	length = columns_of(text);
	put_text(screen, row, column + (length < width ? width - length : 0), width, colour, text);
}

/* How many bytes of the text make the next row: up to a blank where there is one, and never none. */
static size_t row_length(const char *text, int columns)
{
	const char *at = text, *blank = NULL;
	int count = 0;

	while (*at && count < columns) {
		if (*at == ' ')
			blank = at;
		take_glyph(&at);
		count++;
	}
	if (!*at || *at == ' ' || !blank || blank == text)
		return (size_t)(at - text);
	return (size_t)(blank - text);
}

int top_put_wrapped(struct top_screen *screen, int row, int column, int columns, int rows,
		    enum page_colour colour, const char *text)
{
	int used = 0;

	if (columns < 1)
		columns = 1;
	for (; *text && used < rows; used++) {
		size_t length = row_length(text, columns);
		char line[TEXT_SIZE];

		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		text += length + strspn(text + length, " ");
		if (!screen)
			continue;
		put_text(screen, row + used, column, columns, colour, line);
		if (*text && used + 1 == rows && columns > 3)
			put_text(screen, row + used, column + columns - 3, 3, colour, "...");
	}
	return used;
}

static void print_glyph(uint32_t glyph, FILE *to)
{
	if (glyph < 0x80) {
		putc((int)glyph, to);
	} else if (glyph < 0x800) {
		putc((int)(0xc0 | glyph >> 6), to);
		putc((int)(0x80 | (glyph & 0x3f)), to);
	} else {
		if (glyph < 0x10000) {
			putc((int)(0xe0 | glyph >> 12), to);
		} else {
			putc((int)(0xf0 | glyph >> 18), to);
			putc((int)(0x80 | (glyph >> 12 & 0x3f)), to);
		}
		putc((int)(0x80 | (glyph >> 6 & 0x3f)), to);
		putc((int)(0x80 | (glyph & 0x3f)), to);
	}
}

void top_print(const struct top_screen *screen, int rows, FILE *to)
{
	for (int row = 0; row < rows && row < screen->rows; row++) {
		int end = screen->columns;

		while (end > 0 && top_cell_at(screen, row, end - 1)->glyph == ' ')
			end--;
		for (int column = 0; column < end; column++)
			print_glyph(top_cell_at(screen, row, column)->glyph, to);
		putc('\n', to);
	}
}
