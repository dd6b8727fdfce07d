/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page of character cells: what the live view draws on, without a terminal.  What does not fit is cut off.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include "syncd/cli/page.h"

#include <stddef.h>

enum { TOP_ROWS_MAX = 500, TOP_COLUMNS_MAX = 1000 };

enum top_style {
	TOP_NORMAL,
	TOP_BAR,  /* the first line and the last */
	TOP_HEAD, /* of a table */
};

struct top_cell {
	uint32_t glyph; /* a Unicode code point; ' ' where nothing was put */
	uint8_t colour; /* enum page_colour */
	uint8_t style;  /* enum top_style */
};

struct top_screen {
	int rows, columns; /* at least 1 each, at most the bounds above */
	struct top_cell cell[];
};

/* An empty screen of that size, brought into the bounds; free() ends it.  NULL: out of memory. */
struct top_screen *top_screen_create(int rows, int columns);

/*
 * Puts text (UTF-8) at a place, up to `width` columns; negative: as far as the row goes.  Control characters
 * and what is no UTF-8 become '?': some of the words came over the net.
 */
__attribute__((format(printf, 6, 7))) void top_put(struct top_screen *screen, int row, int column, int width,
						   enum page_colour colour, const char *format, ...);

/* The same, so that it ends before column `column + width`. */
__attribute__((format(printf, 6, 7))) void top_put_right(struct top_screen *screen, int row, int column,
							 int width, enum page_colour colour,
							 const char *format, ...);

/*
 * Puts text from `column` on, wrapped at words, on up to `rows` rows; what is left over ends with "...".
 * Returns the number of rows that it took, and with `screen` NULL only counts them, for `columns` columns.
 */
int top_put_wrapped(struct top_screen *screen, int row, int column, int columns, int rows,
		    enum page_colour colour, const char *text);

void top_put_glyph(struct top_screen *screen, int row, int column, enum page_colour colour, uint32_t glyph);

/* Gives all that stands on the row a style. */
void top_set_style(struct top_screen *screen, int row, enum top_style style);

/* The cell at a place of the screen. */
const struct top_cell *top_cell_at(const struct top_screen *screen, int row, int column);

/* Writes the first `rows` rows as lines of UTF-8, without colours and without blanks at their ends. */
void top_print(const struct top_screen *screen, int rows, FILE *to);

#endif
