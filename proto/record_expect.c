/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of expectations: both halves of what record.h says of them. */
#include "proto/buf.h"
#include "proto/record.h"
#include "proto/record_format.h"

#include <string.h>

/* ---- writing ---- */

static struct key_fields key_of(const struct expect *expect)
{
	return (struct key_fields){expect->family, expect->protocol, expect->zone, true};
}

static void write_name(struct writer *w, uint8_t type, const char *name, size_t size)
{
	if (*name)
		record_write_attribute(w, type, name, strnlen(name, size - 1));
}

static void write_master(struct writer *w, const struct expect *expect)
{
	const struct key_fields fields = {expect->family, expect->master_protocol, expect->zone, false};
	uint8_t key[RECORD_KEY_MAX];
	struct writer k = writer_over(key, sizeof(key));

	record_write_key(&k, &fields, &expect->master);
	w->failed |= k.failed;
	record_write_attribute(w, RECORD_MASTER, key, writer_length(&k));
}

static bool has_mask(const struct expect *expect)
{
	return expect->mask_sport || !record_is_zero(expect->mask_src, flow_address_size(expect->family));
}

static void write_value(struct writer *w, const struct expect *expect)
{
	size_t size = flow_address_size(expect->family);

	writer_u8(w, 0); /* incarnation: to create one that is there is to refresh it */
	writer_u8(w, expect->flags);
	writer_u8(w, expect->class);
	write_name(w, RECORD_HELPER, expect->helper, sizeof(expect->helper));
	write_master(w, expect);
	if (has_mask(expect)) {
		writer_u8(w, RECORD_MASK);
		writer_u8(w, (uint8_t)(size + 2));
		writer_bytes(w, expect->mask_src, size);
		writer_u16(w, expect->mask_sport);
	}
	write_name(w, RECORD_FUNCTION, expect->function, sizeof(expect->function));
	if (expect->has_nat) {
		writer_u8(w, RECORD_NAT);
		writer_u8(w, (uint8_t)(size + 3));
		writer_u8(w, expect->nat_direction);
		writer_bytes(w, expect->nat_address, size);
		writer_u16(w, expect->nat_port);
	}
	writer_bytes(w, expect->extra, expect->extra_length);
}

size_t record_encode_expect(const struct expect *expect, uint8_t record[RECORD_MAX])
{
	struct writer w = writer_over(record + 1, RECORD_MAX - 1);
	struct key_fields key = key_of(expect);

	if (expect->extra_length > FLOW_EXTRA_MAX || !expect->master_protocol ||
	    (expect->has_nat && expect->nat_direction > 1))
		return 0;
	writer_u32(&w, expect->timeout_s);
	record_write_key(&w, &key, &expect->tuple);
	write_value(&w, expect);
	return record_finish(&w, record);
}

size_t record_encode_expect_key(const struct expect *expect, uint8_t key[RECORD_KEY_MAX])
{
	struct writer w = writer_over(key, RECORD_KEY_MAX);
	struct key_fields fields = key_of(expect);

	record_write_key(&w, &fields, &expect->tuple);
	return w.failed ? 0 : writer_length(&w);
}

/* ---- reading: what isn't canonical fails the reader ---- */

static void read_master(struct reader *r, struct expect *expect)
{
	struct key_fields key;

	record_read_key(r, &key, &expect->master);
	record_require(r, key.family == expect->family && key.zone == expect->zone && !key.is_expect);
	expect->master_protocol = key.protocol;
}

static void read_mask(struct reader *r, struct expect *expect)
{
	reader_bytes(r, expect->mask_src, flow_address_size(expect->family));
	expect->mask_sport = reader_u16(r);
	record_require(r, has_mask(expect));
}

static void read_nat(struct reader *r, struct expect *expect)
{
	expect->has_nat = true;
	expect->nat_direction = reader_u8(r);
	reader_bytes(r, expect->nat_address, flow_address_size(expect->family));
	expect->nat_port = reader_u16(r);
	record_require(r, expect->nat_direction <= 1);
}

/* False if the type isn't known. */
static bool read_known(struct reader *r, uint8_t type, struct expect *expect)
{
	switch (type) {
	case RECORD_HELPER:
		record_read_name(r, expect->helper, sizeof(expect->helper));
		return true;
	case RECORD_MASTER:
		read_master(r, expect);
		return true;
	case RECORD_MASK:
		read_mask(r, expect);
		return true;
	case RECORD_FUNCTION:
		record_read_name(r, expect->function, sizeof(expect->function));
		return true;
	case RECORD_NAT:
		read_nat(r, expect);
		return true;
	}
	return false;
}

/* Reads one attribute; false: it could be neither understood nor kept. */
static bool read_attribute(struct reader *r, unsigned *last, struct expect *expect)
{
	const uint8_t *start = r->at;
	uint8_t type = reader_u8(r), length = reader_u8(r);
	struct reader value = reader_sub(r, length);
	size_t taken = (size_t)length + 2;

	record_require(r, type > *last);
	*last = type;
	if (r->failed)
		return true;
	if (read_known(&value, type, expect)) {
		record_require(r, reader_is_done(&value));
		return true;
	}
	if (!(type & RECORD_SKIPPABLE) || expect->extra_length + taken > FLOW_EXTRA_MAX)
		return false;
	memcpy(expect->extra + expect->extra_length, start, taken);
	expect->extra_length = (uint16_t)(expect->extra_length + taken);
	return true;
}

enum record_verdict record_read_expect(struct reader *r, struct expect *expect)
{
	bool is_compatible = true;
	struct key_fields key;
	unsigned last = 0;

	memset(expect, 0, sizeof(*expect));
	expect->timeout_s = reader_u32(r);
	record_read_key(r, &key, &expect->tuple);
	record_require(r, key.is_expect && reader_u8(r) == 0);
	expect->family = key.family;
	expect->protocol = key.protocol;
	expect->zone = key.zone;
	expect->flags = reader_u8(r);
	expect->class = reader_u8(r);
	while (reader_left(r))
		is_compatible &= read_attribute(r, &last, expect);
	/* a master's number tells whether one was read: of protocol 0 (a hop-by-hop header) the kernel tracks
	 * none */
	record_require(r, expect->master_protocol != 0);
	if (!reader_is_done(r))
		return RECORD_MALFORMED;
	return is_compatible ? RECORD_GOOD : RECORD_INCOMPATIBLE;
}
