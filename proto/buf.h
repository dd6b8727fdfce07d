/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounded reader and writer over a run of bytes, in network byte order: the only code that touches raw bytes.
 *
 * Both are sticky: the first access beyond the end sets `failed`, reads then yield zero and writes do
 * nothing, so that a parser checks once, at its end.  A parse is good only if reader_is_done(): nothing
 * failed, nothing left over.
 */
#ifndef PROTO_BUF_H
#define PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

struct writer {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool failed;
};

/* The bytes stay the caller's and must outlive the reader. */
struct reader reader_over(const void *bytes, size_t length);

/* How much is left; 0 once failed. */
size_t reader_left(const struct reader *r);

/* True when all was read and no read failed. */
bool reader_is_done(const struct reader *r);

static inline uint8_t reader_u8(struct reader *r);
static inline uint16_t reader_u16(struct reader *r);
static inline uint32_t reader_u32(struct reader *r);
static inline uint64_t reader_u64(struct reader *r);

/* LEB128, at most ten bytes, shortest form only: any number has one encoding.  Else the reader fails. */
uint64_t reader_varint(struct reader *r);

/* Copies `length` bytes to `to`; fills with zeros on failure. */
void reader_bytes(struct reader *r, void *to, size_t length);

/* Steps over `length` bytes and returns where they start; NULL on failure. */
static inline const uint8_t *reader_skip(struct reader *r, size_t length);

/* A reader of the next `length` bytes alone, which `r` steps over; a failed reader on failure. */
struct reader reader_sub(struct reader *r, size_t length);

/* The room stays the caller's and must outlive the writer. */
struct writer writer_over(void *room, size_t size);

size_t writer_length(const struct writer *w);
size_t writer_room(const struct writer *w);

static inline void writer_u8(struct writer *w, uint8_t value);
static inline void writer_u16(struct writer *w, uint16_t value);
static inline void writer_u32(struct writer *w, uint32_t value);
static inline void writer_u64(struct writer *w, uint64_t value);
void writer_varint(struct writer *w, uint64_t value);
void writer_bytes(struct writer *w, const void *bytes, size_t length);

/* Leaves `length` bytes for later and returns where they start, zeroed; NULL on failure. */
uint8_t *writer_reserve(struct writer *w, size_t length);

/* How many bytes writer_varint() takes for this value: 1 to 10. */
size_t varint_length(uint64_t value);

#include "proto/buf_inline.h"

#endif
