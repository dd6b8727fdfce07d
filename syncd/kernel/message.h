/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing netlink messages: sticky puts that stop at the room's end, so that `full` is looked at once.
 * Inline: a commit calls these some forty times a flow.
 */
#ifndef KERNEL_MESSAGE_H
#define KERNEL_MESSAGE_H

#include "proto/flow.h"

#include <endian.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A message being written; sticky: beyond the end nothing is written, and `full` is set. */
struct message {
	uint8_t *start, *at, *end;
	bool full;
};

static inline void *reserve(struct message *message, size_t length)
{
	uint8_t *at = message->at;

	if (length > (size_t)(message->end - at)) {
		message->full = true;
		return NULL;
	}
	message->at += length;
	return at;
}

static inline void put(struct message *message, uint16_t type, const void *bytes, size_t length)
{
	const struct nlattr header = {.nla_len = (uint16_t)(sizeof(header) + length), .nla_type = type};
	size_t padded = (sizeof(header) + length + 3) & ~(size_t)3;
	uint8_t *to = reserve(message, padded);

	if (!to)
		return;
	memcpy(to, &header, sizeof(header));
	memcpy(to + sizeof(header), bytes, length);
	for (size_t i = sizeof(header) + length; i < padded; i++)
		to[i] = 0;
}

static inline void put_u8(struct message *message, uint16_t type, uint8_t value)
{
	put(message, type, &value, sizeof(value));
}

static inline void put_u16(struct message *message, uint16_t type, uint16_t value)
{
	value = htobe16(value);
	put(message, type, &value, sizeof(value));
}

static inline void put_u32(struct message *message, uint16_t type, uint32_t value)
{
	value = htobe32(value);
	put(message, type, &value, sizeof(value));
}

static inline void put_u64(struct message *message, uint16_t type, uint64_t value)
{
	value = htobe64(value);
	put(message, type, &value, sizeof(value));
}

/* Opens an attribute that holds others; close with nest_end(). */
static inline uint8_t *nest_begin(struct message *message, uint16_t type)
{
	const struct nlattr header = {.nla_type = (uint16_t)(type | NLA_F_NESTED)};
	uint8_t *nest = reserve(message, sizeof(header));

	if (nest)
		memcpy(nest, &header, sizeof(header));
	return nest;
}

static inline void nest_end(struct message *message, uint8_t *nest)
{
	uint16_t length;

	if (!nest)
		return;
	length = (uint16_t)(message->at - nest);
	memcpy(nest + offsetof(struct nlattr, nla_len), &length, sizeof(length));
}

/*
 * One direction's tuple (CTA_TUPLE_ORIG, CTA_EXPECT_TUPLE ...); `zone` 0: none of its own.  In
 * convert_write.c.
 */
void message_put_tuple(struct message *message, uint16_t type, uint8_t family, uint8_t protocol,
		       const struct flow_tuple *tuple, uint16_t zone);

#endif
