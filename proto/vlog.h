/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Version order: references in the order of their versions, found by version without a scan.
 *
 * A log of segments of VLOG_SEGMENT slots (version, reference).  Appending goes to the last segment; a
 * removal leaves a hole; neighbours that have become sparse are merged, so the log never holds more than
 * about three slots for a live one.  A seek is two binary searches over contiguous memory.  No step moves
 * more than one segment's slots, so none is slow, however large the log.
 */
#ifndef PROTO_VLOG_H
#define PROTO_VLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VLOG_SEGMENT = 1024 };

struct vlog;

/* Told whenever a merge moves a reference: its position is now `position`. */
typedef void vlog_moved(void *context, uint32_t reference, uint32_t position);

/* Returns NULL when out of memory.  `moved` is called from vlog_remove() only. */
struct vlog *vlog_create(vlog_moved *moved, void *context);
void vlog_destroy(struct vlog *log);
/* Removes all. */
void vlog_clear(struct vlog *log);

/* Appends; `version` must be higher than any before, `reference` anything but UINT32_MAX.  Sets *position. 0,
 * or -ENOMEM (nothing changed). */
int vlog_append(struct vlog *log, uint64_t version, uint32_t reference, uint32_t *position);

/* Removes the slot at a position that vlog_append() or `moved` gave.  Never fails. */
void vlog_remove(struct vlog *log, uint32_t position);

/* Replaces the reference in a slot (the record moved in memory); the version stays. */
void vlog_set_reference(struct vlog *log, uint32_t position, uint32_t reference);

/* That position will be removed soon: it is fetched into the cache meanwhile. */
void vlog_fetch(const struct vlog *log, uint32_t position);
uint64_t vlog_version(const struct vlog *log, uint32_t position);
size_t vlog_count(const struct vlog *log);
size_t vlog_memory(const struct vlog *log);

/* A place in the log; valid until the log changes. */
struct vlog_cursor {
	uint32_t segment; /* index in version order */
	uint32_t slot;
};

/* The place of the first live slot whose version is greater than `version`. */
struct vlog_cursor vlog_seek(const struct vlog *log, uint64_t version);

/* Yields the slot there and steps on.  False at the end. */
bool vlog_next(const struct vlog *log, struct vlog_cursor *cursor, uint64_t *version, uint32_t *reference);

#endif
