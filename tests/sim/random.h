/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded random numbers (splitmix64).  Each part of a world draws from a stream of its own, so that a change
 * to one leaves what the others draw as it was. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
	uint64_t state;
};

static inline uint64_t random_draw(struct sim_random *random)
{
	uint64_t z = (random->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0..n-1; n not 0 */
static inline uint32_t random_below(struct sim_random *random, uint32_t n)
{
	return (uint32_t)((random_draw(random) >> 32) * n >> 32);
}

/* low..high */
static inline int64_t random_between(struct sim_random *random, int64_t low, int64_t high)
{
	return low + (int64_t)(random_draw(random) % (uint64_t)(high - low + 1));
}

static inline bool random_chance(struct sim_random *random, uint32_t per_mille)
{
	return random_below(random, 1000) < per_mille;
}

static inline struct sim_random random_stream(uint64_t seed, uint64_t stream)
{
	struct sim_random random = {seed * 0xd1342543de82ef95u + stream * 0xaf251af3b0f025b5u};

	random_draw(&random);
	return random;
}

#endif
