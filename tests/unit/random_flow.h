/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded random numbers and flows, for property tests: a seed reproduces a run. */
#ifndef TESTS_UNIT_RANDOM_FLOW_H
#define TESTS_UNIT_RANDOM_FLOW_H

#include "proto/flow.h"

struct random {
	uint64_t state;
};

uint64_t random_u64(struct random *random);
/* 0 to bound - 1 */
uint32_t random_below(struct random *random, uint32_t bound);
void random_fill(struct random *random, void *bytes, size_t length);

/* Any flow that a record can hold: parts, NAT, attributes at random.  All that is not present is zero. */
struct flow random_flow(struct random *random);

/* An ESTABLISHED IPv4 TCP flow without NAT, number `i` of many: keys differ. */
struct flow plain_flow(uint32_t i);
/* The same behind SNAT, with a mark. */
struct flow snat_flow(uint32_t i);

#endif
