/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of record.h share: record_encode.c writes records, record.c reads them. */
#ifndef PROTO_RECORD_FORMAT_H
#define PROTO_RECORD_FORMAT_H

#include "proto/flow.h"

enum record_format {
	SHAPE_CLASS = 0x0f,
	SHAPE_IPV6 = 1 << 4,
	SHAPE_ZONE = 1 << 5,
	SHAPE_UNUSED = 0xc0,
	CLASS_OTHER = 15,

	PART_REPLY_SRC = 1 << 0,
	PART_REPLY_DST = 1 << 1,
	PART_REPLY_SPORT = 1 << 2,
	PART_REPLY_DPORT = 1 << 3,
	PART_MARK = 1 << 4,
	PART_STATE = 1 << 5,
	PART_ZONE_ORIGINAL = 1 << 6,
	PART_ATTRIBUTES = 1 << 7,

	TIMEOUT_SIZE = 4,
	LONG_LENGTH = 0x80, /* bit of the first length byte: there is a second one */
};

enum { RECORD_CLASSES = 8 };

/* The protocol of each class below RECORD_CLASSES. */
extern const uint8_t record_class_protocols[RECORD_CLASSES];

/* The class of a protocol; CLASS_OTHER if it has none of its own. */
uint8_t record_class_of(uint8_t protocol);

/* PART_REPLY_*: which parts of the reply tuple differ from the mirrored original. */
uint8_t record_reply_parts(const struct flow *flow);

/* For attributes: all zero says nothing. */
bool record_is_zero(const void *bytes, size_t length);

#endif
