/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is called for every field of every record: the bodies that belong to buf.h, which alone includes this.
 */
#ifndef PROTO_BUF_INLINE_H
#define PROTO_BUF_INLINE_H

static inline uint32_t buf_get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void buf_put_u32(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 24);
	p[1] = (uint8_t)(value >> 16);
	p[2] = (uint8_t)(value >> 8);
	p[3] = (uint8_t)value;
}

static inline const uint8_t *reader_skip(struct reader *r, size_t length)
{
	const uint8_t *start = r->at;

	if (r->failed || (size_t)(r->end - r->at) < length) {
		r->failed = true;
		return NULL;
	}
	if (length) /* an empty run may have no bytes at all */
		r->at += length;
	return start;
}

static inline uint8_t reader_u8(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 1);

	return p ? p[0] : 0;
}

static inline uint16_t reader_u16(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 2);

	if (!p)
		return 0;
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t reader_u32(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 4);

	return p ? buf_get_u32(p) : 0;
}

static inline uint64_t reader_u64(struct reader *r)
{
	const uint8_t *p = reader_skip(r, 8);

	return p ? (uint64_t)buf_get_u32(p) << 32 | buf_get_u32(p + 4) : 0;
}

/* Where the next `length` bytes go; NULL when they don't fit. */
static inline uint8_t *writer_take(struct writer *w, size_t length)
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

static inline void writer_u8(struct writer *w, uint8_t value)
{
	uint8_t *p = writer_take(w, 1);

	if (p)
		p[0] = value;
}

static inline void writer_u16(struct writer *w, uint16_t value)
{
	uint8_t *p = writer_take(w, 2);

	if (!p)
		return;
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void writer_u32(struct writer *w, uint32_t value)
{
	uint8_t *p = writer_take(w, 4);

	if (p)
		buf_put_u32(p, value);
}

static inline void writer_u64(struct writer *w, uint64_t value)
{
	uint8_t *p = writer_take(w, 8);

	if (!p)
		return;
	buf_put_u32(p, (uint32_t)(value >> 32));
	buf_put_u32(p + 4, (uint32_t)value);
}

#endif
