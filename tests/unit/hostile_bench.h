/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two nodes in step, the first one primary, and a peer that holds the key and is hostile or out of its mind
 * (hostile.h).  Whatever it says: the others stay within their bounds, and go on serving each other.
 */
#ifndef TESTS_HOSTILE_BENCH_H
#define TESTS_HOSTILE_BENCH_H

#include "tests/unit/hostile.h"

enum {
	BENCH_HOSTILE_ID = 3,
	BENCH_FLOWS = 500,
	BENCH_MAX_FLOWS = 2000,
	BENCH_ROUNDS = 50,
	BENCH_ROUND_US = 20000
};

struct bench {
	struct cluster c;
	struct hostile h;
	uint32_t next; /* flow */
};

/* For cmocka: with a hostile peer of an id of its own, and under that of the second node. */
int bench_setup(void **state);
int bench_setup_as_the_second(void **state);
int bench_teardown(void **state);

/* So many new flows at the primary. */
void bench_flows(struct bench *b, uint32_t count);

/* What it says in one round. */
typedef void bench_round(struct bench *b, unsigned round);

/* BENCH_ROUNDS rounds, while flows come; checks the bounds after each, and that the pair is served. */
void bench_attack(struct bench *b, bench_round *attack);
/* It goes on (NULL: it is quiet), and so do flows; within a second the backup proves what the primary had. */
void bench_check_served(struct bench *b, bench_round *attack);
bool bench_pair_is_in_sync(struct cluster *c);

/* What both kinds of tests have it say: a full catch-up that is always further from its end. */
bench_round bench_go_on_with_the_full_sync;

uint64_t bench_drops(struct bench *b, unsigned index, enum node_drop drop);
/* The first node names a stranger (id 0: any) for that reason, with that word. */
bool bench_names_stranger(struct bench *b, uint16_t id, enum node_drop drop, const char *word);

#endif
