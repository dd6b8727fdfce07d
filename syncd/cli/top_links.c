/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line for each link: what goes over it a second, and what of that is lost. */
#include "syncd/cli/json.h"
#include "syncd/cli/top_parts.h"

#include <string.h>

int top_links_rows(const json_t *status)
{
	return 1 + (int)json_array_size(json_object_get(status, "links"));
}

char *top_rate(char text[PAGE_NUMBER_SIZE], double rate)
{
	if (rate < 0)
		snprintf(text, PAGE_NUMBER_SIZE, "-");
	else if (rate < 9.95)
		snprintf(text, PAGE_NUMBER_SIZE, "%.1f", rate);
	else
		page_number(text, (int64_t)(rate + 0.5));
	return text;
}

/* The same link in the status before; NULL: it is new, or the daemon is. */
static const json_t *link_before(const struct top_view *view, const json_t *link)
{
	const json_t *other;
	size_t i;

	if (view->elapsed_ms <= 0 ||
	    strcmp(json_words(view->before, "session"), json_words(view->status, "session")))
		return NULL;
	json_array_foreach(json_object_get(view->before, "links"), i, other)
	{
		if (!strcmp(json_words(link, "interface"), json_words(other, "interface")) &&
		    json_number(link, "port", 0) == json_number(other, "port", 0))
			return other;
	}
	return NULL;
}

static double change(double now, double before, int64_t elapsed_ms)
{
	return now < before ? -1 : (now - before) * 1000 / (double)elapsed_ms;
}

/* Of all peers over that interface: `name` is "received" or "lost". */
static double sum_of(const json_t *status, const char *interface, const char *name)
{
	const json_t *peer, *link;
	double sum = 0;
	size_t i, k;

	json_array_foreach(json_object_get(status, "peers"), i, peer)
	{
		json_array_foreach(json_object_get(peer, "links"), k, link)
		{
			if (!strcmp(json_words(link, "interface"), interface))
				sum += (double)json_number(link, name, 0);
		}
	}
	return sum;
}

static void draw_rate(struct top_screen *screen, int row, int column, const struct top_view *view,
		      const json_t *link, const json_t *before, const char *name)
{
	double rate = before ? change((double)json_number(link, name, 0),
				      (double)json_number(before, name, 0), view->elapsed_ms)
			     : -1;

	top_put_right(screen, row, column, 11, PAGE_PLAIN, "%s", top_rate((char[PAGE_NUMBER_SIZE]){0}, rate));
}

static void draw_loss(struct top_screen *screen, int row, const struct top_view *view, const json_t *link,
		      bool is_known)
{
	const char *interface = json_words(link, "interface");
	double lost = -1, received = -1, percent = -1;
	enum page_colour colour;

	if (is_known) {
		lost = change(sum_of(view->status, interface, "lost"),
			      sum_of(view->before, interface, "lost"), view->elapsed_ms);
		received = change(sum_of(view->status, interface, "received"),
				  sum_of(view->before, interface, "received"), view->elapsed_ms);
	}
	if (lost >= 0 && received >= 0)
		percent = lost + received > 0 ? 100 * lost / (lost + received) : 0;
	colour = percent >= 1 ? PAGE_DOUBTFUL : PAGE_PLAIN;
	top_put_right(screen, row, 46, 9, colour, "%s", top_rate((char[PAGE_NUMBER_SIZE]){0}, lost));
	if (percent < 0)
		top_put_right(screen, row, 56, 8, colour, "-");
	else
		top_put_right(screen, row, 56, 8, colour, "%.2f %%", percent);
}

static void draw_count(struct top_screen *screen, int row, int column, int width, const json_t *link,
		       const char *name)
{
	json_int_t count = json_number(link, name, 0);

	top_put_right(screen, row, column, width, count ? PAGE_DOUBTFUL : PAGE_PLAIN, "%s",
		      page_number((char[PAGE_NUMBER_SIZE]){0}, count));
}

static void draw_link(struct top_screen *screen, int row, const struct top_view *view, const json_t *link)
{
	const json_t *before = link_before(view, link);
	const char *problem = json_words(link, "problem");
	bool up = json_flag(link, "up", true);

	top_put(screen, row, 0, 15, PAGE_PLAIN, "%s", json_words(link, "interface"));
	top_put(screen, row, 16, 5, up ? PAGE_GOOD : PAGE_BAD, "%s", up ? "up" : "DOWN");
	if (*problem) {
		top_put(screen, row, 22, -1, PAGE_BAD, "%s", problem);
		return;
	}
	draw_rate(screen, row, 22, view, link, before, "sent");
	draw_rate(screen, row, 34, view, link, before, "received");
	draw_loss(screen, row, view, link, before != NULL);
	draw_count(screen, row, 65, 7, link, "send_failed");
	draw_count(screen, row, 73, 7, link, "receive_dropped");
	draw_rate(screen, row, 82, view, link, before, "sent_bytes");
	draw_rate(screen, row, 95, view, link, before, "received_bytes");
}

void top_draw_links(struct top_screen *screen, int row, int rows, const struct top_view *view)
{
	const json_t *link;
	int end = row + rows;
	size_t i;

	if (rows < 1)
		return;
	top_put(screen, row, 0, -1, PAGE_PLAIN,
		"LINK            STATE      SENT/s  RECEIVED/s    LOST/s     LOSS  UNSENT DROPPED"
		"     SENT B/s RECEIVED B/s");
	top_set_style(screen, row++, TOP_HEAD);
	json_array_foreach(json_object_get(view->status, "links"), i, link)
	{
		if (row < end)
			draw_link(screen, row++, view, link);
	}
}
