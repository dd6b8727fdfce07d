/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/page.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct page page_on(FILE *to)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool is_dumb = !term || !*term || !strcmp(term, "dumb");

	return (struct page){to, isatty(fileno(to)) && !is_dumb && !(no_color && *no_color)};
}

/* ends a colour, too: the first is no colour */
static const char *const escapes[] = {"\033[0m", "\033[1;32m", "\033[1;33m", "\033[1;31m"};

/* UTF-8 has one column for each byte that doesn't continue a character: near enough for what we print. */
static int columns(const char *text, size_t length)
{
	int count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

static void print_wrapped(FILE *to, int indent, const char *text)
{
	int at = indent;

	while (*text) {
		size_t word = strcspn(text, " ");
		int width = columns(text, word);

		if (at > indent && at + 1 + width > PAGE_COLUMNS) {
			fprintf(to, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', to);
			at++;
		}
		fwrite(text, 1, word, to);
		at += width;
		text += word + strspn(text + word, " ");
	}
}

void page_line(const struct page *page, enum page_colour colour, int indent, const char *label,
	       const char *format, ...)
{
	bool is_coloured = page->has_colour && colour != PAGE_PLAIN;
	char text[2048];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	fprintf(page->to, "%-*s%s", indent, label, is_coloured ? escapes[colour] : "");
	print_wrapped(page->to, indent, text);
	fprintf(page->to, "%s\n", is_coloured ? escapes[PAGE_PLAIN] : "");
}

char *page_number(char text[PAGE_NUMBER_SIZE], int64_t number)
{
	char digits[24];
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, number < 0 ? 0 : number);
	char *to = text;

	for (size_t i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return text;
}

char *page_duration(char text[PAGE_NUMBER_SIZE], int64_t duration_us)
{
	enum { MS = 1000, S = 1000 * MS };
	const int64_t minute = (int64_t)60 * S;

	if (duration_us < 0)
		snprintf(text, PAGE_NUMBER_SIZE, "unknown");
	else if (duration_us < MS)
		snprintf(text, PAGE_NUMBER_SIZE, "%" PRId64 " us", duration_us);
	else if (duration_us < S)
		snprintf(text, PAGE_NUMBER_SIZE, "%" PRId64 ".%" PRId64 " ms", duration_us / MS,
			 duration_us / 100 % 10);
	else if (duration_us < 2 * minute)
		snprintf(text, PAGE_NUMBER_SIZE, "%" PRId64 ".%" PRId64 " s", duration_us / S,
			 duration_us / (100 * MS) % 10);
	else if (duration_us < 120 * minute)
		snprintf(text, PAGE_NUMBER_SIZE, "%" PRId64 " min", duration_us / minute);
	else
		snprintf(text, PAGE_NUMBER_SIZE, "%" PRId64 " h", duration_us / (60 * minute));
	return text;
}
