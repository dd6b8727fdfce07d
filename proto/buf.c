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

void writer_varint(struct writer *w, uint64_t value)
{
	uint8_t *p = writer_take(w, varint_length(value));

	if (!p)
		return;
	for (; value > 0x7f; value >>= 7)
		*p++ = (uint8_t)(value | 0x80);
	*p = (uint8_t)value;
}

void writer_bytes(struct writer *w, const void *bytes, size_t length)
{
	uint8_t *p = writer_take(w, length);

	if (p && length)
		memcpy(p, bytes, length);
}

uint8_t *writer_reserve(struct writer *w, size_t length)
{
	uint8_t *p = writer_take(w, length);

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
