/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/buf.h"

#include <string.h>

struct reader reader_over(const void *bytes, size_t length)
{
	const uint8_t *start = bytes;

	if (!start)
		return (struct reader){.failed = length > 0};
	return (struct reader){.at = start, .end = start + length};
}

size_t reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->at);
}

bool reader_is_done(const struct reader *r)
{
	return !r->failed && r->at == r->end;
}

const uint8_t *reader_skip(struct reader *r, size_t length)
{
	const uint8_t *start = r->at;

	if (r->failed || (size_t)(r->end - r->at) < length) {
		r->failed = true;
		return NULL;
	}
	if (length)
		r->at += length;
	return start;
}

uint8_t reader_u8(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 1);

	return p ? p[0] : 0;
}

uint16_t reader_u16(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint32_t reader_u32(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 4);

	return p ? get_u32(p) : 0;
}

uint64_t reader_u64(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 8);

	return p ? (uint64_t)get_u32(p) << 32 | get_u32(p + 4) : 0;
}

uint64_t reader_varint(struct reader *r)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = reader_u8(r);
		bool is_too_big = shift == 63 && byte > 1;
		bool is_padded = shift > 0 && byte == 0;

		if (r->failed || is_too_big || is_padded)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	r->failed = true;
	return 0;
}

void reader_bytes(struct reader *r, void *to, size_t length)
{
	const uint8_t *p = reader_skip(r, length);

	if (!length)
		return;
	if (p)
		memcpy(to, p, length);
	else
		memset(to, 0, length);
}

struct reader reader_sub(struct reader *r, size_t length)
{
	const uint8_t *p = reader_skip(r, length);

	return r->failed ? (struct reader){.failed = true} : reader_over(p, length);
}

struct writer writer_over(void *room, size_t size)
{
	uint8_t *start = room;

	if (!start)
		return (struct writer){.failed = size > 0};
	return (struct writer){.start = start, .at = start, .end = start + size};
}

size_t writer_length(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

size_t writer_room(const struct writer *w)
{
	return w->failed ? 0 : (size_t)(w->end - w->at);
}

/* Where the next `length` bytes go; NULL when they don't fit. */
static uint8_t *take(struct writer *w, size_t length)
{
	uint8_t *start = w->at;

	if (w->failed || (size_t)(w->end - w->at) < length) {
		w->failed = true;
		return NULL;
	}
	if (length)
		w->at += length;
	return start;
}

void writer_u8(struct writer *w, uint8_t value)
{
	uint8_t *p = take(w, 1);

	if (p)
		p[0] = value;
}

void writer_u16(struct writer *w, uint16_t value)
{
	uint8_t *p = take(w, 2);

	if (!p)
		return;
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put_u32(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 24);
	p[1] = (uint8_t)(value >> 16);
	p[2] = (uint8_t)(value >> 8);
	p[3] = (uint8_t)value;
}

void writer_u32(struct writer *w, uint32_t value)
{
	uint8_t *p = take(w, 4);

	if (p)
		put_u32(p, value);
}

void writer_u64(struct writer *w, uint64_t value)
{
	uint8_t *p = take(w, 8);

	if (!p)
		return;
	put_u32(p, (uint32_t)(value >> 32));
	put_u32(p + 4, (uint32_t)value);
}

void writer_varint(struct writer *w, uint64_t value)
{
	uint8_t *p = take(w, varint_length(value));

	if (!p)
		return;
	for (; value > 0x7f; value >>= 7)
		*p++ = (uint8_t)(value | 0x80);
	*p = (uint8_t)value;
}

void writer_bytes(struct writer *w, const void *bytes, size_t length)
{
	uint8_t *p = take(w, length);

	if (p && length)
		memcpy(p, bytes, length);
}

uint8_t *writer_reserve(struct writer *w, size_t length)
{
	uint8_t *p = take(w, length);

	if (p && length)
		memset(p, 0, length);
	return p;
}

size_t varint_length(uint64_t value)
{
	size_t length = 1;

	for (; value > 0x7f; value >>= 7)
		length++;
	return length;
}
