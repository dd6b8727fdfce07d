/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading netlink attributes: each is checked against the end of what holds it before a byte of it is read,
 * and a scalar of another size than the kernel's is malformed.  Inline: the event path calls these some forty
 * times a flow.
 */
#ifndef KERNEL_ATTRIBUTE_H
#define KERNEL_ATTRIBUTE_H

#include <endian.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ATTRIBUTE_TYPE = 0x3fff }; /* NLA_TYPE_MASK, without its sign */

struct attribute {
	uint16_t type;
	uint16_t length;
	const uint8_t *bytes;
};

/* 0 to go on, or a negative errno. */
typedef int attribute_reader(void *context, const struct attribute *attribute);

/* Calls `read` for each attribute in the run of bytes; stops at the first error.  Always inline, so that
 * `read` is too. */
__attribute__((always_inline)) static inline int attribute_walk(const uint8_t *bytes, size_t length,
								attribute_reader *read, void *context)
{
	while (length >= sizeof(struct nlattr)) {
		struct nlattr header;
		struct attribute attribute;
		size_t step;
		int error;

		memcpy(&header, bytes, sizeof(header));
		if (header.nla_len < sizeof(header) || header.nla_len > length)
			return -EINVAL;
		attribute.type = header.nla_type & ATTRIBUTE_TYPE;
		attribute.length = (uint16_t)(header.nla_len - sizeof(header));
		attribute.bytes = bytes + sizeof(header);
		error = read(context, &attribute);
		if (error)
			return error;
		step = (header.nla_len + 3u) & ~(size_t)3;
		if (step >= length)
			break;
		bytes += step;
		length -= step;
	}
	return 0;
}

__attribute__((always_inline)) static inline int attribute_walk_nested(const struct attribute *nest,
								       attribute_reader *read, void *context)
{
	return attribute_walk(nest->bytes, nest->length, read, context);
}

static inline int attribute_get_u8(const struct attribute *attribute, uint8_t *value)
{
	if (attribute->length != sizeof(*value))
		return -EINVAL;
	*value = *attribute->bytes;
	return 0;
}

static inline int attribute_get_u16(const struct attribute *attribute, uint16_t *value)
{
	if (attribute->length != sizeof(*value))
		return -EINVAL;
	memcpy(value, attribute->bytes, sizeof(*value));
	*value = be16toh(*value);
	return 0;
}

static inline int attribute_get_u32(const struct attribute *attribute, uint32_t *value)
{
	if (attribute->length != sizeof(*value))
		return -EINVAL;
	memcpy(value, attribute->bytes, sizeof(*value));
	*value = be32toh(*value);
	return 0;
}

static inline int attribute_get_u64(const struct attribute *attribute, uint64_t *value)
{
	if (attribute->length != sizeof(*value))
		return -EINVAL;
	memcpy(value, attribute->bytes, sizeof(*value));
	*value = be64toh(*value);
	return 0;
}

static inline int attribute_get_bytes(const struct attribute *attribute, void *to, size_t size)
{
	if (attribute->length != size)
		return -EINVAL;
	memcpy(to, attribute->bytes, size);
	return 0;
}

/* A string that may or may not bring its terminator; what is too long is cut if `cut`, else malformed. */
static inline int attribute_get_string(const struct attribute *attribute, char *to, size_t size, bool cut)
{
	size_t length = strnlen((const char *)attribute->bytes, attribute->length);

	if (length >= size) {
		if (!cut)
			return -EINVAL;
		length = size - 1;
	}
	memcpy(to, attribute->bytes, length);
	memset(to + length, 0, size - length);
	return 0;
}

#endif
