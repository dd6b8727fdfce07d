/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A point in monotonic time, or a span of it, in microseconds.  A struct, so that it can't be mixed with a
 * plain number of some other unit.  proto/ never reads a clock: the caller passes the time in.
 */
#ifndef PROTO_MONOTIME_H
#define PROTO_MONOTIME_H

#include <stdbool.h>
#include <stdint.h>

struct monotime {
	int64_t us;
};

#define MONOTIME_NEVER ((struct monotime){INT64_MAX})

static inline struct monotime monotime_from_us(int64_t us)
{
	return (struct monotime){us};
}

static inline struct monotime monotime_from_ms(int64_t ms)
{
	return (struct monotime){ms * 1000};
}

static inline struct monotime monotime_from_s(int64_t s)
{
	return (struct monotime){s * 1000000};
}

/* a + span; MONOTIME_NEVER stays never */
static inline struct monotime monotime_add(struct monotime a, struct monotime span)
{
	if (a.us == INT64_MAX || span.us == INT64_MAX)
		return MONOTIME_NEVER;
	return (struct monotime){a.us + span.us};
}

static inline struct monotime monotime_sub(struct monotime a, struct monotime b)
{
	return (struct monotime){a.us - b.us};
}

static inline bool monotime_is_before(struct monotime a, struct monotime b)
{
	return a.us < b.us;
}

static inline struct monotime monotime_min(struct monotime a, struct monotime b)
{
	return a.us < b.us ? a : b;
}

static inline struct monotime monotime_max(struct monotime a, struct monotime b)
{
	return a.us > b.us ? a : b;
}

#endif
