/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/top_draw.h"

#include "syncd/cli/json.h"
#include "syncd/cli/top_parts.h"
#include "syncd/cli/verdict.h"
#include "syncd/cli/words.h"

#include <string.h>

enum { LABEL = 9, VERDICT_ROWS = 3 };

static void draw_title(struct top_screen *screen, const struct top_view *view)
{
	const char *mode = json_words(view->status, "mode"), *software = json_words(view->status, "software");
	const char *role = json_words(view->status, "role");
	char pace[32];

	if (view->status)
		top_put(screen, 0, 0, -1, PAGE_PLAIN,
			"Twintrack  node %" JSON_INTEGER_FORMAT ", %s, term %" JSON_INTEGER_FORMAT "%s%s%s%s",
			json_number(view->status, "node", 0), *role ? role : "role unknown",
			json_number(view->status, "term", 0), *mode ? ", " : "", mode,
			*software ? ", twintrackd " : "", software);
	else
		top_put(screen, 0, 0, -1, PAGE_PLAIN, "Twintrack  %s", view->socket);
	snprintf(pace, sizeof(pace), "  every %.1f s", (double)view->interval_ms / 1000);
	if (view->is_paused)
		snprintf(pace, sizeof(pace), "  PAUSED");
	if (view->has_keys)
		top_put_right(screen, 0, screen->columns - (int)strlen(pace), (int)strlen(pace), PAGE_PLAIN,
			      "%s", pace);
	top_set_style(screen, 0, TOP_BAR);
}

static int draw_verdict(struct top_screen *screen, int row, const struct top_view *view)
{
	static const enum page_colour colours[] = {
	    [VERDICT_SAFE] = PAGE_GOOD, [VERDICT_SAFE_BUT] = PAGE_DOUBTFUL, [VERDICT_UNSAFE] = PAGE_BAD};
	struct verdict verdict;
	int used;

	if (view->status) {
		verdict = verdict_of(view->status);
		return top_put_wrapped(screen, row, 0, screen->columns, VERDICT_ROWS, colours[verdict.kind],
				       verdict.text);
	}
	used = top_put_wrapped(screen, row, 0, screen->columns, VERDICT_ROWS, PAGE_BAD, view->why);
	top_put(screen, row + used, 0, -1, PAGE_PLAIN, "The daemon is asked again every %.1f s.",
		(double)view->interval_ms / 1000);
	return used + 2;
}

/* ---- problems, and facts in words: each returns the rows that it took, with `screen` NULL it only counts
 * ---- */

static int draw_problems(struct top_screen *screen, int row, int columns, int rows, const json_t *status)
{
	const json_t *problem;
	int used = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "problems"), i, problem)
	{
		const char *text = json_string_value(problem);

		if (!text || used >= rows)
			continue;
		if (screen)
			top_put(screen, row + used, 0, LABEL, PAGE_PLAIN, "problem");
		used +=
		    top_put_wrapped(screen, row + used, LABEL, columns - LABEL, rows - used, PAGE_BAD, text);
	}
	return used;
}

static int draw_facts(struct top_screen *screen, int row, int columns, int rows, const json_t *status)
{
	static const struct {
		const char *label;
		words_of *words_for;
	} facts[] = {
	    {"flows", words_flows},       {"fence", words_fence}, {"role", words_wanted},
	    {"handover", words_handover}, {"warm", words_warm},   {"kernel", words_kernel},
	};
	int used = 0;

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]) && used < rows; i++) {
		struct words words;

		if (!facts[i].words_for(status, &words))
			continue;
		if (screen)
			top_put(screen, row + used, 0, LABEL, PAGE_PLAIN, "%s", facts[i].label);
		used += top_put_wrapped(screen, row + used, LABEL, columns - LABEL, rows - used, words.colour,
					words.text);
	}
	return used;
}

/* ---- sharing the rows out ---- */

struct shares {
	int problems, facts, peers, links, plots; /* rows */
	int plot_height;                          /* of each plot */
	int gap;                                  /* empty rows before peers, links and plots */
};

/* Takes up to `most` of what is wanted off what is left. */
static int take(int *left, int wanted, int most)
{
	int taken = wanted < most ? wanted : most;

	taken = taken > *left ? *left : taken < 0 ? 0 : taken;
	*left -= taken;
	return taken;
}

static int at_least(int number, int least)
{
	return number > least ? number : least;
}

/* Everybody has a part first; then what is left over goes to those who want more, in the order of what an
 * operator needs. */
static struct shares share(const struct top_screen *screen, const struct top_view *view, int left)
{
	int all = TOP_ROWS_MAX, columns = screen->columns, plots = TOP_PLOTS + 1;
	int problems = draw_problems(NULL, 0, columns, all, view->status);
	int facts = view->status ? draw_facts(NULL, 0, columns, all, view->status) : 0;
	int peers = view->status ? top_peers_rows(view->status) : 0;
	int links = view->status ? top_links_rows(view->status) : 0;
	struct shares shares = {.plot_height = 1};

	shares.problems = take(&left, problems, at_least(left / 5, 2));
	shares.peers = take(&left, peers, at_least(left * 2 / 5, 3));
	shares.facts = take(&left, facts, at_least(left / 2, 3));
	shares.links = take(&left, links, at_least(left / 3, 2));
	shares.plots = take(&left, plots, plots);
	shares.peers += take(&left, peers - shares.peers, all);
	shares.problems += take(&left, problems - shares.problems, all);
	shares.facts += take(&left, facts - shares.facts, all);
	shares.links += take(&left, links - shares.links, all);
	if (left >= 3) {
		shares.gap = 1;
		left -= 3;
	}
	if (shares.plots == plots && left >= TOP_PLOTS) {
		shares.plot_height = at_least(left / TOP_PLOTS + 1, 1);
		shares.plot_height =
		    shares.plot_height > TOP_PLOT_HEIGHT ? TOP_PLOT_HEIGHT : shares.plot_height;
	}
	return shares;
}

static void draw_keys(struct top_screen *screen, const struct top_view *view, bool scrolls)
{
	int row = screen->rows - 1;

	top_put(screen, row, 0, -1, PAGE_PLAIN, "q quit   p %s   + - interval   space look now%s",
		view->is_paused ? "go on" : "pause", scrolls ? "   up down peers" : "");
	top_set_style(screen, row, TOP_BAR);
}

int top_draw(struct top_screen *screen, struct top_view *view)
{
	int end = screen->rows - (view->has_keys ? 1 : 0), row = 1;
	const json_t *status = view->status;
	bool scrolls = false;
	struct shares shares;

	draw_title(screen, view);
	row += draw_verdict(screen, row, view);
	shares = share(screen, view, at_least(end - row, 0));
	if (status) {
		row += draw_problems(screen, row, screen->columns, shares.problems, status);
		row += draw_facts(screen, row, screen->columns, shares.facts, status);
		row += shares.gap;
		scrolls = top_draw_peers(screen, row, shares.peers, view);
		row += shares.peers + shares.gap;
		top_draw_links(screen, row, shares.links, view);
		row += shares.links + shares.gap;
	}
	top_draw_plots(screen, row, shares.plots, shares.plot_height, view);
	row += shares.plots ? 1 + (shares.plots - 1) * shares.plot_height : 0;
	if (view->has_keys) {
		for (int column = 0; column < screen->columns; column++)
			top_put_glyph(screen, screen->rows - 1, column, PAGE_PLAIN, ' ');
		draw_keys(screen, view, scrolls);
	}
	return row < end ? row : end;
}
