/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What users do: connections are opened, go on, and end, at the host that has the address (the *active* one),
 * and a few at every host; calmly, busily, in bursts, and in storms of single changes.
 */
#ifndef SIM_TRAFFIC_H
#define SIM_TRAFFIC_H

#include "tests/sim/net.h"
#include "tests/sim/random.h"

struct world;

enum traffic_mood { TRAFFIC_CALM, TRAFFIC_BUSY, TRAFFIC_STORM, TRAFFIC_MOODS };

struct traffic {
	struct sim_random random;
	uint32_t service; /* connections 0..service-1 are the service's, at the active host */
	uint32_t own;     /* of each host, behind these */
	int active;       /* -1: no host has the address */
	enum traffic_mood mood;
	int64_t mood_ends_us, next_us, collect_next_us;
	uint32_t budget; /* changes that are left in this run */
	bool stopped, leans_to_storms;
};

void traffic_init(struct traffic *traffic, uint64_t seed);
/* Opens about half of all connections at once. */
void traffic_fill(struct traffic *traffic, struct world *world);
void traffic_burst(struct traffic *traffic, struct world *world, unsigned host, unsigned changes);
/* Ends most of the connections of that host, and opens others. */
void traffic_upheaval(struct traffic *traffic, struct world *world, unsigned host);
void traffic_stop(struct traffic *traffic);

int64_t traffic_next_us(const struct traffic *traffic);
void traffic_run(struct traffic *traffic, struct world *world);

#endif
