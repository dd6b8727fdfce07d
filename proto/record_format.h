/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of record.h share: record_encode.c writes records, record.c reads them. */
#ifndef PROTO_RECORD_FORMAT_H
#define PROTO_RECORD_FORMAT_H

#include "proto/record.h"

enum record_format {
	SHAPE_CLASS = 0x0f,
	SHAPE_IPV6 = 1 << 4,
	SHAPE_ZONE = 1 << 5,
	SHAPE_EXPECT = 1 << 6, /* not a flow: an expectation */
	SHAPE_UNUSED = 1 << 7,
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

struct reader;
struct writer;

/* The key of a flow, of its master, or of an expectation, but for the tuple. */
struct key_fields {
	uint8_t family, protocol;
	uint16_t zone;
	bool is_expect;
};

void record_read_key(struct reader *r, struct key_fields *key, struct flow_tuple *tuple);
void record_write_key(struct writer *w, const struct key_fields *key, const struct flow_tuple *tuple);

/* A helper's name: the whole of the reader, 1 to FLOW_HELPER_SIZE - 1 bytes, none of them zero. */
void record_read_name(struct reader *r, char *name, size_t size);
void record_write_attribute(struct writer *w, uint8_t type, const void *bytes, size_t length);

/* Reads what follows the length of an expectation's record (record_expect.c). */
struct expect;
enum record_verdict record_read_expect(struct reader *r, struct expect *expect);

/* Puts the length before what a writer wrote from record + 1 on; returns the record's, 0 if that failed. */
size_t record_finish(const struct writer *w, uint8_t record[RECORD_MAX]);

/* Fails the reader: what was read isn't canonical. */
void record_require(struct reader *r, bool is_good);

/* The protocol of each class below RECORD_CLASSES. */
extern const uint8_t record_class_protocols[RECORD_CLASSES];

/* The class of a protocol; CLASS_OTHER if it has none of its own. */
uint8_t record_class_of(uint8_t protocol);

/* PART_REPLY_*: which parts of the reply tuple differ from the mirrored original. */
uint8_t record_reply_parts(const struct flow *flow);

/* For attributes: all zero says nothing. */
bool record_is_zero(const void *bytes, size_t length);

#endif
