/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One bar for each sample, the newest at the right; empty where nothing is known. */
#include "syncd/cli/top_parts.h"

enum { NOW = 12, MOST = 24, BARS = 37, LEVELS = 8 };

struct plot {
	const char *name, *unit; /* without a unit: counts, or counts a second */
	size_t offset;
};

#define OFFSET(member) offsetof(struct history_sample, member)

/* Where there is no room for all, the last are left out. */
static const struct plot plots[TOP_PLOTS] = {
    {"own flows", "", OFFSET(flows)},   {"held flows", "", OFFSET(held)},
    {"events/s", "/s", OFFSET(events)}, {"changes/s", "/s", OFFSET(changes)},
    {"lag", "ms", OFFSET(lag_ms)},      {"loss", "%", OFFSET(loss_percent)},
    {"sent/s", "/s", OFFSET(sent)},     {"received/s", "/s", OFFSET(received)},
};

static void draw_value(struct top_screen *screen, int row, int column, const struct plot *plot, double value)
{
	char text[PAGE_NUMBER_SIZE];

	if (value < 0)
		snprintf(text, sizeof(text), "-");
	else if (!*plot->unit)
		page_number(text, (int64_t)value);
	else if (plot->unit[0] == '/')
		top_rate(text, value);
	else
		snprintf(text, sizeof(text), "%.3g %s", value, plot->unit);
	top_put_right(screen, row, column, 11, PAGE_PLAIN, "%s", text);
}

/* One sample's bar; what is known to be nothing has the least one. */
static void draw_bar(struct top_screen *screen, int row, int column, int height, bool has_blocks, double part)
{
	static const char ascii[LEVELS + 1] = "_.-:=+*#";
	int level = (int)(part * LEVELS * height + 0.999);

	level = level < 1 ? 1 : level > LEVELS * height ? LEVELS * height : level;
	for (int i = 0; i < height && level > 0; i++, level -= LEVELS) {
		int here = level > LEVELS ? LEVELS : level;

		/* U+2581 to U+2588: LOWER ONE EIGHTH BLOCK to FULL BLOCK */
		top_put_glyph(screen, row + height - 1 - i, column, PAGE_PLAIN,
			      has_blocks ? 0x2580U + (uint32_t)here : (uint32_t)ascii[here - 1]);
	}
}

static void draw_plot(struct top_screen *screen, int row, int height, const struct top_view *view,
		      const struct plot *plot)
{
	const struct history *history = view->history;
	int width = screen->columns - BARS;
	double most = -1, value = -1;

	for (size_t i = 0; i < history->count; i++) {
		value = history_value(&history->sample[i], plot->offset);
		most = value > most ? value : most;
	}
	top_put(screen, row, 0, -1, PAGE_PLAIN, "%s", plot->name);
	draw_value(screen, row, NOW, plot, value);
	draw_value(screen, row, MOST, plot, most);
	for (size_t i = history->count; i > 0 && width > 0; i--, width--) {
		value = history_value(&history->sample[i - 1], plot->offset);
		if (value >= 0)
			draw_bar(screen, row, BARS + width - 1, height, view->has_blocks,
				 most > 0 ? value / most : 0);
	}
}

void top_draw_plots(struct top_screen *screen, int row, int rows, int height, const struct top_view *view)
{
	if (rows < 1)
		return;
	top_put(screen, row, 0, -1, PAGE_PLAIN, "RATES              NOW        MOST  OVER TIME");
	top_set_style(screen, row++, TOP_HEAD);
	for (int i = 0; i < rows - 1 && i < TOP_PLOTS; i++, row += height)
		draw_plot(screen, row, height, view, &plots[i]);
}
