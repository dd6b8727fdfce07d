/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One seed's world: hosts, the network between them, what its users and its schedule of faults do to it, and
 * the clock that takes all of them from one moment at which something happens to the next.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "tests/sim/host.h"
#include "tests/sim/net.h"
#include "tests/sim/schedule.h"
#include "tests/sim/situation.h"
#include "tests/sim/traffic.h"
#include "tests/sim/wide.h"

#include <stdio.h>

struct invariants;

enum { WORLD_FAILURE_SIZE = 400 };

struct world {
	uint64_t seed;
	int64_t now_us;
	unsigned hosts_count;
	struct host hosts[NET_HOSTS_MAX];
	struct net net;
	struct traffic traffic;
	struct schedule schedule;
	struct wide wide;
	struct invariants *invariants;
	uint64_t digest;     /* of all that was sent, and when: equal runs have equal ones */
	uint32_t situations; /* bit for each enum situation */
	FILE *trace;         /* NULL: none */
	bool failed;
	char failure[WORLD_FAILURE_SIZE];
	int64_t settled_us; /* from the end of the faults until all were equal and said so */
};

/* Runs one seed; the caller frees it with world_destroy().  NULL: out of memory. */
struct world *world_run(uint64_t seed, FILE *trace);
void world_destroy(struct world *world);

/* To the next moment at which something happens, limit_us at the latest, and does that. */
void world_advance(struct world *world, int64_t limit_us);

/* An invariant does not hold; the first to say so counts, and ends the run. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool world_is_traced(const struct world *world);
/* One line, with the time and the host (NULL: none). */
void world_trace(struct world *world, const struct host *host, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void world_digest(struct world *world, const uint8_t *bytes, size_t length);

void world_meets(struct world *world, enum situation situation);

#endif
