/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Anti-replay window over packet numbers of one session (after RFC 6479): tells what was seen already, or is
 * too old to know.  It moves only after the packet was authenticated.
 */
#ifndef PROTO_REPLAY_H
#define PROTO_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_WINDOW = 8192, REPLAY_WORDS = REPLAY_WINDOW / 64 + 1 };

struct replay {
	uint64_t highest; /* packet number seen; 0: none yet (numbers start at 1) */
	uint64_t bitmap[REPLAY_WORDS];
};

enum replay_verdict { REPLAY_NEW, REPLAY_SEEN, REPLAY_TOO_OLD };

void replay_init(struct replay *replay);

/* What the number is, without noting it; number 0 is REPLAY_TOO_OLD. */
enum replay_verdict replay_check(const struct replay *replay, uint64_t number);

/* Notes an authenticated number that replay_check() found new. */
void replay_note(struct replay *replay, uint64_t number);

#endif
