/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What worlds were widened by after many a seed had failed: more links, each with a fate of its own,
 * paths that carry less than their ends believe, and warm mode.  It is drawn from a stream of its own, and
 * only for seeds from WIDE_FIRST on, so that a seed of before still is the schedule that it was.
 */
#ifndef SIM_WIDE_H
#define SIM_WIDE_H

#include "tests/sim/random.h"

struct schedule;
struct world;

enum {
	WIDE_FIRST = 450000,
	WIDE_LINKS_BEFORE = 2, /* links that worlds have at most without that */
};

struct wide {
	struct sim_random random;
	bool on;
	bool warm;         /* some hosts are in warm mode, and all leave out their own connections */
	uint32_t failures; /* per mille of what is done to copies comes to nothing */
};

void wide_init(struct wide *wide, uint64_t seed);

/* Whether traffic leans to storms although it was not drawn so: what fills stashes is rare otherwise. */
bool wide_draw_storms(const struct wide *wide, uint64_t seed);

/* Which of the hosts are in warm mode at first.  0 or -ENOMEM. */
int wide_draw_warm(struct world *world);

/* Links on top of those; returns how many there are then. */
unsigned wide_draw_links(struct world *world, unsigned links);
void wide_draw_faults(struct schedule *schedule, struct world *world);

/* One link alone is down, lossy, noisy or slow for a while. */
void wide_link_fate(struct schedule *schedule, struct world *world, unsigned link);
/* What is larger than that vanishes on that host's first links, for a while. */
void wide_narrow(struct schedule *schedule, struct world *world, unsigned host, unsigned links);
void wide_widen(struct world *world);
/* That host enters warm mode, or leaves it, by a reload. */
void wide_change_mode(struct world *world, unsigned host);

#endif
