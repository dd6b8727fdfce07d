/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of the live view: peers, links, and the plots.
 */
#ifndef CLI_TOP_PARTS_H
#define CLI_TOP_PARTS_H

#include "syncd/cli/top_draw.h"

enum { TOP_PLOTS = 8, TOP_PLOT_HEIGHT = 6 };

/* The rows that all of it would take, with its head. */
int top_peers_rows(const json_t *status);
int top_links_rows(const json_t *status);

/* Draws on up to `rows` rows, from view->first_peer on, which is brought into its bounds.  True: there are
 * more peers than that, so that scrolling shows others. */
bool top_draw_peers(struct top_screen *screen, int row, int rows, struct top_view *view);

/* Draws on up to `rows` rows. */
void top_draw_links(struct top_screen *screen, int row, int rows, const struct top_view *view);

/* Draws a head and `rows` - 1 plots, each `height` rows high. */
void top_draw_plots(struct top_screen *screen, int row, int rows, int height, const struct top_view *view);

/* A rate: "-" where it is unknown (below 0), "3.2", "1,234"; returns `text`. */
char *top_rate(char text[PAGE_NUMBER_SIZE], double rate);

#endif
