/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/bucket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKET_SEGMENTS_FIRST = 16 };

struct buckets {
	uint32_t **segments;
	uint32_t room;  /* of segments[] */
	uint32_t count; /* buckets */
	uint32_t low; /* the power of two that count has reached: buckets [low, count) are split off from [0,
			 count - low) */
};

struct buckets *buckets_create(void)
{
	struct buckets *buckets = calloc(1, sizeof(*buckets));

	if (!buckets)
		return NULL;
	buckets->segments = calloc(BUCKET_SEGMENTS_FIRST, sizeof(*buckets->segments));
	if (buckets->segments)
		buckets->segments[0] = calloc(BUCKET_SEGMENT, sizeof(uint32_t));
	if (!buckets->segments || !buckets->segments[0]) {
		free(buckets->segments);
		free(buckets);
		return NULL;
	}
	buckets->room = BUCKET_SEGMENTS_FIRST;
	buckets->count = buckets->low = BUCKET_SEGMENT;
	return buckets;
}

static uint32_t segments_of(const struct buckets *buckets)
{
	return (buckets->count + BUCKET_SEGMENT - 1) / BUCKET_SEGMENT;
}

void buckets_clear(struct buckets *buckets)
{
	for (uint32_t i = 1; i < segments_of(buckets); i++)
		free(buckets->segments[i]);
	memset(buckets->segments[0], 0, BUCKET_SEGMENT * sizeof(uint32_t));
	buckets->count = buckets->low = BUCKET_SEGMENT;
}

void buckets_destroy(struct buckets *buckets)
{
	if (!buckets)
		return;
	for (uint32_t i = 0; i < segments_of(buckets); i++)
		free(buckets->segments[i]);
	free(buckets->segments);
	free(buckets);
}

uint32_t buckets_count(const struct buckets *buckets)
{
	return buckets->count;
}

size_t buckets_memory(const struct buckets *buckets)
{
	return sizeof(*buckets) + buckets->room * sizeof(*buckets->segments) +
	       (size_t)segments_of(buckets) * BUCKET_SEGMENT * sizeof(uint32_t);
}

static uint32_t *bucket_at(const struct buckets *buckets, uint32_t index)
{
	return &buckets->segments[index / BUCKET_SEGMENT][index % BUCKET_SEGMENT];
}

uint32_t *buckets_head(const struct buckets *buckets, uint32_t hash)
{
	uint32_t index = hash & (buckets->low * 2 - 1);

	if (index >= buckets->count)
		index -= buckets->low; /* not split yet: still with its lower half */
	return bucket_at(buckets, index);
}

/* Makes room for the segment that bucket number `count` begins. */
static int add_bucket_segment(struct buckets *buckets)
{
	uint32_t number = buckets->count / BUCKET_SEGMENT;
	uint32_t *segment;

	if (number == buckets->room) {
		uint32_t room = buckets->room * 2;
		uint32_t **segments = realloc(buckets->segments, room * sizeof(*segments));

		if (!segments)
			return -ENOMEM;
		buckets->segments = segments;
		buckets->room = room;
	}
	segment = malloc(BUCKET_SEGMENT * sizeof(*segment));
	if (!segment)
		return -ENOMEM;
	buckets->segments[number] = segment;
	return 0;
}

int buckets_grow(struct buckets *buckets, struct bucket_pair *pair)
{
	if (buckets->count == 1u << 31) /* low * 2 would overflow: chains get longer from here on */
		return -ENOMEM;
	if (buckets->count % BUCKET_SEGMENT == 0 && add_bucket_segment(buckets) < 0)
		return -ENOMEM;
	if (buckets->count == buckets->low * 2)
		buckets->low *= 2;
	pair->low = bucket_at(buckets, buckets->count - buckets->low);
	pair->high = bucket_at(buckets, buckets->count);
	*pair->high = 0;
	buckets->count++;
	return 0;
}

uint32_t buckets_split_later(const struct buckets *buckets, uint32_t ahead)
{
	uint32_t index = buckets->count - buckets->low + ahead;

	return index < buckets->low ? *bucket_at(buckets, index) : 0;
}

struct bucket_pair buckets_last(const struct buckets *buckets)
{
	uint32_t last = buckets->count - 1;

	if (buckets->count == BUCKET_SEGMENT)
		return (struct bucket_pair){NULL, NULL};
	return (struct bucket_pair){bucket_at(buckets, last - buckets->low), bucket_at(buckets, last)};
}

void buckets_shrink(struct buckets *buckets)
{
	buckets->count--;
	if (buckets->count % BUCKET_SEGMENT == 0)
		free(buckets->segments[buckets->count / BUCKET_SEGMENT]);
	if (buckets->count == buckets->low && buckets->low > BUCKET_SEGMENT)
		buckets->low /= 2;
}
