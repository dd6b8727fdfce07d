/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/replay.h"

#include <string.h>

enum { WORD_BITS = 64 };

void replay_init(struct replay *replay)
{
	memset(replay, 0, sizeof(*replay));
}

static uint64_t *word_of(struct replay *replay, uint64_t number)
{
	return &replay->bitmap[number / WORD_BITS % REPLAY_WORDS];
}

static uint64_t bit_of(uint64_t number)
{
	return (uint64_t)1 << number % WORD_BITS;
}

enum replay_verdict replay_check(const struct replay *replay, uint64_t number)
{
	if (number == 0)
		return REPLAY_TOO_OLD;
	if (number > replay->highest)
		return REPLAY_NEW;
	if (replay->highest - number >= REPLAY_WINDOW)
		return REPLAY_TOO_OLD;
	return replay->bitmap[number / WORD_BITS % REPLAY_WORDS] & bit_of(number) ? REPLAY_SEEN : REPLAY_NEW;
}

void replay_note(struct replay *replay, uint64_t number)
{
	if (number > replay->highest) {
		uint64_t from = replay->highest / WORD_BITS, to = number / WORD_BITS;

		/* The one word more than the window has is the one that fills; those entered now held older
		 * numbers. */
		if (to - from >= REPLAY_WORDS)
			memset(replay->bitmap, 0, sizeof(replay->bitmap));
		else
			for (uint64_t word = from + 1; word <= to; word++)
				replay->bitmap[word % REPLAY_WORDS] = 0;
		replay->highest = number;
	}
	*word_of(replay, number) |= bit_of(number);
}
