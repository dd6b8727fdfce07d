/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text for people: lines wrapped at 80 columns, numbers with separators, colour on a terminal alone.
 */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PAGE_COLUMNS = 80, PAGE_NUMBER_SIZE = 32 };

enum page_colour { PAGE_PLAIN, PAGE_GOOD, PAGE_DOUBTFUL, PAGE_BAD };

struct page {
	FILE *to;
	bool has_colour;
};

/* Colour if `to` is a terminal and neither NO_COLOR nor a dumb terminal speaks against it. */
struct page page_on(FILE *to);

/*
 * Prints "LABEL  text", the text wrapped and its further lines indented by `indent` columns, which the label
 * fills. Control characters are replaced: some of the words came over the net.
 */
__attribute__((format(printf, 5, 6))) void page_line(const struct page *page, enum page_colour colour,
						     int indent, const char *label, const char *format, ...);

/* "1,234,567"; returns `text`. */
char *page_number(char text[PAGE_NUMBER_SIZE], int64_t number);

/* A duration in the unit that fits: "350 us", "2.1 ms", "1.5 s", "4 min", "3 h"; "unknown" if negative. */
char *page_duration(char text[PAGE_NUMBER_SIZE], int64_t duration_us);

#endif
