/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An input that is a run of steps, and its mutator, which keeps them whole:
 *
 *    +------+----------+------------+---------
 *    | kind | argument | length (2) | bytes ...
 *    +------+----------+------------+---------
 *     1      2
 *
 * The last one takes what is left when its length says more.
 */
#ifndef TESTS_FUZZ_STEPS_H
#define TESTS_FUZZ_STEPS_H

#include "proto/buf.h"

enum { STEP_HEADER_SIZE = 5 };

struct step {
	uint8_t kind;
	uint16_t argument;
	const uint8_t *bytes; /* in the input */
	size_t length;
};

/* The next step; false at the end. */
bool step_read(struct reader *r, struct step *step);
void step_write(struct writer *w, const struct step *step);

/* Changes a step's bytes or argument, doubles, removes or swaps steps, or puts a record into one. */
size_t steps_mutate(uint8_t *bytes, size_t length, size_t max, unsigned seed);

#endif
