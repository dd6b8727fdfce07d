/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/vlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 10,
	SLOT_MASK = VLOG_SEGMENT - 1,
	SEGMENTS_FIRST = 16,
	SEGMENTS_MAX = 1 << (32 - SLOT_BITS),
	/* Neighbours with no more live slots than this become one: two neighbours then hold more, hence three
	 * slots for a live one at most. */
	MERGE_AT = VLOG_SEGMENT * 2 / 3,
};
_Static_assert(VLOG_SEGMENT == 1 << SLOT_BITS, "a position is segment << SLOT_BITS | slot");

#define HOLE UINT32_MAX

struct slot {
	uint32_t delta;     /* version - base of the segment; a hole keeps it, so that versions ascend */
	uint32_t reference; /* or HOLE */
};

struct segment {
	struct segment *prev, *next; /* in version order */
	uint64_t base;
	uint32_t id;
	uint16_t first; /* slots before it are holes */
	uint16_t used;
	uint16_t live;
	struct slot slots[VLOG_SEGMENT];
};

struct vlog {
	vlog_moved *moved;
	void *context;
	struct segment **segments; /* by id */
	uint32_t *order;           /* ids: [0, count) in version order, [count, room) those that are free */
	uint32_t room, count;
	size_t live;
	struct segment *tail;
	struct segment *spare;
};

struct vlog *vlog_create(vlog_moved *moved, void *context)
{
	struct vlog *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->moved = moved;
	log->context = context;
	return log;
}

void vlog_clear(struct vlog *log)
{
	for (uint32_t i = 0; i < log->count; i++)
		free(log->segments[log->order[i]]);
	free(log->spare);
	log->spare = log->tail = NULL;
	log->count = 0;
	log->live = 0;
}

void vlog_destroy(struct vlog *log)
{
	if (!log)
		return;
	vlog_clear(log);
	free(log->segments);
	free(log->order);
	free(log);
}

static struct segment *segment_at(const struct vlog *log, uint32_t index)
{
	return log->segments[log->order[index]];
}

static int make_room(struct vlog *log)
{
	uint32_t room = log->room ? log->room * 2 : SEGMENTS_FIRST;
	struct segment **segments;
	uint32_t *order;

	if (log->count < log->room)
		return 0;
	if (room > SEGMENTS_MAX)
		return -ENOMEM;
	segments = realloc(log->segments, room * sizeof(struct segment *));
	if (!segments)
		return -ENOMEM;
	log->segments = segments;
	order = realloc(log->order, room * sizeof(*order));
	if (!order)
		return -ENOMEM;
	log->order = order;
	for (uint32_t id = log->room; id < room; id++)
		order[id] = id;
	log->room = room;
	return 0;
}

/* Where in the order the segment stands that holds `version`: the last one that starts at or before it; 0 if
 * none. */
static uint32_t order_find(const struct vlog *log, uint64_t version)
{
	uint32_t low = 0, high = log->count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (segment_at(log, middle)->base <= version)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void drop_segment(struct vlog *log, struct segment *segment)
{
	uint32_t index = order_find(log, segment->base);

	memmove(&log->order[index], &log->order[index + 1], (log->count - index - 1) * sizeof(*log->order));
	log->count--;
	log->order[log->count] = segment->id;
	if (segment->prev)
		segment->prev->next = segment->next;
	if (segment->next)
		segment->next->prev = segment->prev;
	if (log->spare)
		free(segment);
	else
		log->spare = segment;
}

/* A new tail, which starts at `version`; NULL when out of memory. */
static struct segment *add_segment(struct vlog *log, uint64_t version)
{
	struct segment *segment = log->spare, *last = log->tail;

	if (make_room(log) < 0)
		return NULL;
	if (!segment)
		segment = malloc(sizeof(*segment));
	if (!segment)
		return NULL;
	log->spare = NULL;
	segment->id = log->order[log->count++];
	segment->base = version;
	segment->first = segment->used = segment->live = 0;
	segment->prev = last;
	segment->next = NULL;
	log->segments[segment->id] = segment;
	log->tail = segment;
	if (last)
		last->next = segment;
	if (last && !last->live)
		drop_segment(log, last);
	return segment;
}

static uint32_t put_slot(struct segment *segment, uint64_t version, uint32_t reference)
{
	uint32_t slot = segment->used++;

	segment->slots[slot] =
	    (struct slot){.delta = (uint32_t)(version - segment->base), .reference = reference};
	segment->live++;
	return segment->id << SLOT_BITS | slot;
}

int vlog_append(struct vlog *log, uint64_t version, uint32_t reference, uint32_t *position)
{
	struct segment *tail = log->tail;

	if (!tail || tail->used == VLOG_SEGMENT || version - tail->base > UINT32_MAX)
		tail = add_segment(log, version);
	if (!tail)
		return -ENOMEM;
	*position = put_slot(tail, version, reference);
	log->live++;
	return 0;
}

/* Closes the holes of a segment. */
static void compact(struct vlog *log, struct segment *segment)
{
	uint16_t used = segment->used;

	segment->first = segment->used = segment->live = 0;
	for (uint32_t from = 0; from < used; from++) {
		struct slot slot = segment->slots[from];
		uint32_t position;

		if (slot.reference == HOLE)
			continue;
		position = put_slot(segment, segment->base + slot.delta, slot.reference);
		if ((position & SLOT_MASK) != from)
			log->moved(log->context, slot.reference, position);
	}
}

/* Makes one of a segment and the next, if they are sparse. */
static bool merge(struct vlog *log, struct segment *low)
{
	struct segment *high = low->next;

	if (!high || high == log->tail || low->live + high->live > MERGE_AT ||
	    high->base + high->slots[high->used - 1].delta - low->base > UINT32_MAX)
		return false;
	if (low->used + high->live > VLOG_SEGMENT)
		compact(log, low);
	for (uint32_t from = high->first; from < high->used; from++) {
		struct slot slot = high->slots[from];

		if (slot.reference != HOLE)
			log->moved(log->context, slot.reference,
				   put_slot(low, high->base + slot.delta, slot.reference));
	}
	drop_segment(log, high);
	return true;
}

/*
 * Keeps the log dense around a segment that lost a slot.  The tail is left alone, for it still fills; what
 * became sparse while it was the tail is looked at when the next tail loses something.
 */
static void tidy(struct vlog *log, struct segment *segment)
{
	if (segment == log->tail)
		segment = segment->prev;
	if (!segment)
		return;
	if (!segment->live)
		drop_segment(log, segment);
	else if (segment->live <= MERGE_AT && !merge(log, segment) && segment->prev)
		merge(log, segment->prev);
}

void vlog_remove(struct vlog *log, uint32_t position)
{
	struct segment *segment = log->segments[position >> SLOT_BITS];

	segment->slots[position & SLOT_MASK].reference = HOLE;
	while (segment->first < segment->used && segment->slots[segment->first].reference == HOLE)
		segment->first++;
	segment->live--;
	log->live--;
	tidy(log, segment);
}

void vlog_set_reference(struct vlog *log, uint32_t position, uint32_t reference)
{
	log->segments[position >> SLOT_BITS]->slots[position & SLOT_MASK].reference = reference;
}

void vlog_fetch(const struct vlog *log, uint32_t position)
{
	const struct segment *segment = log->segments[position >> SLOT_BITS];

	__builtin_prefetch(segment);
	__builtin_prefetch(&segment->slots[position & SLOT_MASK]);
}

uint64_t vlog_version(const struct vlog *log, uint32_t position)
{
	const struct segment *segment = log->segments[position >> SLOT_BITS];

	return segment->base + segment->slots[position & SLOT_MASK].delta;
}

size_t vlog_count(const struct vlog *log)
{
	return log->live;
}

size_t vlog_memory(const struct vlog *log)
{
	enum { MALLOC_HEADER = 16 };

	return sizeof(*log) + log->room * (sizeof(struct segment *) + sizeof(*log->order)) +
	       (log->count + (log->spare ? 1 : 0)) * (sizeof(struct segment) + MALLOC_HEADER);
}

struct vlog_cursor vlog_seek(const struct vlog *log, uint64_t version)
{
	struct vlog_cursor cursor = {0, 0};
	const struct segment *segment;
	uint32_t high;

	if (!log->count)
		return cursor;
	cursor.segment = order_find(log, version);
	segment = segment_at(log, cursor.segment);
	cursor.slot = segment->first;
	if (version < segment->base)
		return cursor;
	/* the first slot whose version is greater */
	high = segment->used;
	while (cursor.slot < high) {
		uint32_t middle = cursor.slot + (high - cursor.slot) / 2;

		if (segment->slots[middle].delta <= version - segment->base)
			cursor.slot = middle + 1;
		else
			high = middle;
	}
	return cursor;
}

bool vlog_next(const struct vlog *log, struct vlog_cursor *cursor, uint64_t *version, uint32_t *reference)
{
	for (; cursor->segment < log->count; cursor->segment++, cursor->slot = 0) {
		const struct segment *segment = segment_at(log, cursor->segment);

		if (cursor->slot < segment->first)
			cursor->slot = segment->first;
		for (; cursor->slot < segment->used; cursor->slot++) {
			const struct slot *slot = &segment->slots[cursor->slot];

			if (slot->reference == HOLE)
				continue;
			*version = segment->base + slot->delta;
			*reference = slot->reference;
			cursor->slot++;
			return true;
		}
	}
	return false;
}
