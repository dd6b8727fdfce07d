/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/frame.h"

#include <errno.h>
#include <string.h>

/* a record's first byte is its length, which is never below this: smaller values tell what else an entry is
 */
enum { ENTRY_DESTROY = 1, ENTRY_WITHDRAW = 2, RECORD_LENGTH_MIN = 3 };

const char *frame_role_name(enum frame_role role)
{
	static const char *const names[FRAME_ROLES] = {"init", "primary", "backup", "fault"};

	return (unsigned)role < FRAME_ROLES ? names[role] : "unknown";
}

/* ---- clear header ---- */

enum frame_verdict frame_header_read(const uint8_t *bytes, size_t length, struct frame_header *header)
{
	struct reader r = reader_over(bytes, length);

	if (length < FRAME_OVERHEAD)
		return FRAME_TOO_SHORT;
	if (reader_u32(&r) != FRAME_MAGIC)
		return FRAME_BAD_MAGIC;
	header->version = reader_u8(&r);
	header->cipher = reader_u8(&r);
	header->node_id = reader_u16(&r);
	header->key_id = reader_u32(&r);
	reader_bytes(&r, header->session.bytes, sizeof(header->session.bytes));
	header->salt = reader_u32(&r);
	header->packet_number = reader_u64(&r);
	if (header->version != FRAME_VERSION)
		return FRAME_OTHER_VERSION;
	if (header->cipher != SEAL_AES_256_GCM && header->cipher != SEAL_CHACHA20_POLY1305)
		return FRAME_MALFORMED;
	if (!header->node_id || !header->packet_number || length > FRAME_PAYLOAD_MAX)
		return FRAME_MALFORMED;
	return FRAME_GOOD;
}

void frame_header_write(struct writer *w, const struct frame_header *header)
{
	writer_u32(w, FRAME_MAGIC);
	writer_u8(w, header->version);
	writer_u8(w, header->cipher);
	writer_u16(w, header->node_id);
	writer_u32(w, header->key_id);
	writer_bytes(w, header->session.bytes, sizeof(header->session.bytes));
	writer_u32(w, header->salt);
	writer_u64(w, header->packet_number);
}

void frame_nonce(const struct frame_header *header, uint8_t nonce[SEAL_NONCE_SIZE])
{
	struct writer w = writer_over(nonce, SEAL_NONCE_SIZE);

	writer_u32(&w, header->salt);
	writer_u64(&w, header->packet_number);
}

/* ---- message header ---- */

static uint8_t *message_begin(struct writer *w)
{
	return writer_reserve(w, FRAME_MESSAGE_HEADER_SIZE);
}

static void message_end(struct writer *w, uint8_t *start, enum frame_type type)
{
	struct writer header;

	if (w->failed || !start)
		return;
	header = writer_over(start, FRAME_MESSAGE_HEADER_SIZE);
	writer_u8(&header, (uint8_t)type);
	writer_u16(&header, (uint16_t)(w->at - start - FRAME_MESSAGE_HEADER_SIZE));
}

/* ---- STATUS ---- */

/* Versions are written as varints, the later ones as distances: sixteen nodes' blocks must fit one datagram.
 */
enum { PEER_SIZE = 56, HOLE_SIZE_MAX = 20 }; /* without the varints; of one */

static void peer_write(struct writer *w, const struct frame_peer *peer)
{
	uint64_t at = peer->applied;

	writer_u16(w, peer->node_id);
	writer_u8(w, peer->flags);
	writer_bytes(w, peer->session.bytes, sizeof(peer->session.bytes));
	writer_u64(w, peer->challenge);
	writer_u64(w, peer->echo);
	writer_u32(w, peer->window);
	writer_u32(w, peer->full_id);
	writer_u64(w, peer->stamp);
	writer_u32(w, peer->held_us);
	writer_varint(w, peer->applied);
	writer_varint(w, peer->proven);
	writer_u8(w, peer->holes_count);
	for (unsigned i = 0; i < peer->holes_count; i++) {
		writer_varint(w, peer->holes[i].from - at);
		writer_varint(w, peer->holes[i].to - peer->holes[i].from);
		at = peer->holes[i].to;
	}
}

static size_t varint_size(uint64_t value)
{
	size_t size = 1;

	while (value >>= 7)
		size++;
	return size;
}

static size_t peer_size(const struct frame_peer *peer)
{
	return PEER_SIZE + varint_size(peer->applied) + varint_size(peer->proven);
}

/* Writes as many as fit, and leaves a byte for the number of claims; holes get what the peers leave over. */
static unsigned peers_write(struct writer *w, const struct frame_status *s)
{
	uint8_t *count = writer_reserve(w, 1);
	size_t needed = 1;
	unsigned written = 0;

	for (unsigned i = 0; i < s->peers_count; i++)
		needed += peer_size(&s->peers[i]);
	for (unsigned i = 0; i < s->peers_count && !w->failed; i++) {
		struct frame_peer peer = s->peers[i];

		if (writer_room(w) < peer_size(&peer) + 1)
			break;
		if (writer_room(w) < needed + peer.holes_count * HOLE_SIZE_MAX)
			peer.holes_count = 0;
		needed -= peer_size(&peer);
		peer_write(w, &peer);
		written++;
	}
	if (count)
		*count = (uint8_t)written;
	return written;
}

static int holes_read(struct reader *r, struct frame_peer *peer)
{
	uint64_t at = peer->applied;

	peer->holes_count = reader_u8(r);
	if (peer->holes_count > FRAME_HOLES_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < peer->holes_count; i++) {
		uint64_t from = reader_varint(r), length = reader_varint(r);

		if (!length || from > UINT64_MAX - at || length > UINT64_MAX - at - from)
			return -EINVAL;
		peer->holes[i].from = at + from;
		peer->holes[i].to = at = at + from + length;
	}
	return 0;
}

static int peer_read(struct reader *r, struct frame_peer *peer)
{
	peer->node_id = reader_u16(r);
	peer->flags = reader_u8(r);
	reader_bytes(r, peer->session.bytes, sizeof(peer->session.bytes));
	peer->challenge = reader_u64(r);
	peer->echo = reader_u64(r);
	peer->window = reader_u32(r);
	peer->full_id = reader_u32(r);
	peer->stamp = reader_u64(r);
	peer->held_us = reader_u32(r);
	peer->applied = reader_varint(r);
	peer->proven = reader_varint(r);
	return holes_read(r, peer);
}

enum { CLAIM_SIZE = 2 + SEAL_SESSION_SIZE + 8 };

static void claims_write(struct writer *w, const struct frame_status *status)
{
	size_t fit = writer_room(w) ? (writer_room(w) - 1) / CLAIM_SIZE : 0;
	uint8_t count = status->claims_count < fit ? status->claims_count : (uint8_t)fit;

	writer_u8(w, count);
	for (unsigned i = 0; i < count; i++) {
		writer_u16(w, status->claims[i].node_id);
		writer_bytes(w, status->claims[i].session.bytes, SEAL_SESSION_SIZE);
		writer_u64(w, status->claims[i].version);
	}
}

unsigned frame_status_write(struct writer *w, const struct frame_status *s)
{
	unsigned peers;

	uint8_t *start = message_begin(w);
	uint8_t software = (uint8_t)strnlen(s->software, FRAME_SOFTWARE_SIZE - 1);

	writer_u8(w, s->role);
	writer_u8(w, s->flags);
	writer_u32(w, s->term);
	writer_bytes(w, s->instance.boot_id, sizeof(s->instance.boot_id));
	writer_u64(w, s->instance.netns_cookie);
	writer_u64(w, s->newest);
	writer_u64(w, s->horizon);
	writer_u32(w, s->count);
	writer_u64(w, s->digest);
	writer_u64(w, s->frozen_at);
	writer_u64(w, s->stamp);
	writer_u32(w, s->heartbeat_us);
	writer_u32(w, s->conntrack_max);
	writer_u32(w, s->conntrack_buckets);
	writer_u32(w, s->filters);
	writer_u8(w, software);
	writer_bytes(w, s->software, software);
	peers = peers_write(w, s);
	claims_write(w, s);
	message_end(w, start, FRAME_STATUS);
	return peers;
}

static int claims_read(struct reader *r, struct frame_status *s)
{
	s->claims_count = reader_u8(r);
	if (s->claims_count > FRAME_PEERS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < s->claims_count; i++) {
		s->claims[i].node_id = reader_u16(r);
		reader_bytes(r, s->claims[i].session.bytes, SEAL_SESSION_SIZE);
		s->claims[i].version = reader_u64(r);
	}
	return 0;
}

int frame_status_read(struct reader r, struct frame_status *s)
{
	size_t software;

	memset(s, 0, sizeof(*s));
	s->role = reader_u8(&r);
	s->flags = reader_u8(&r);
	s->term = reader_u32(&r);
	reader_bytes(&r, s->instance.boot_id, sizeof(s->instance.boot_id));
	s->instance.netns_cookie = reader_u64(&r);
	s->newest = reader_u64(&r);
	s->horizon = reader_u64(&r);
	s->count = reader_u32(&r);
	s->digest = reader_u64(&r);
	s->frozen_at = reader_u64(&r);
	s->stamp = reader_u64(&r);
	s->heartbeat_us = reader_u32(&r);
	s->conntrack_max = reader_u32(&r);
	s->conntrack_buckets = reader_u32(&r);
	s->filters = reader_u32(&r);
	software = reader_u8(&r);
	if (software >= FRAME_SOFTWARE_SIZE)
		return -EINVAL;
	reader_bytes(&r, s->software, software);
	for (size_t i = 0; i < software; i++)
		if (s->software[i] < 0x20 || s->software[i] > 0x7e)
			s->software[i] = '?';
	s->peers_count = reader_u8(&r);
	if (s->peers_count > FRAME_PEERS_MAX + 1)
		return -EINVAL;
	for (unsigned i = 0; i < s->peers_count; i++)
		if (peer_read(&r, &s->peers[i]))
			return -EINVAL;
	if (claims_read(&r, s))
		return -EINVAL;
	if (r.failed || s->role >= FRAME_ROLES || s->horizon > s->newest)
		return -EINVAL;
	return 0;
}

/* ---- DATA ---- */

int frame_data_read(struct reader r, struct frame_data *d)
{
	uint64_t to_delta, asof_delta;

	memset(d, 0, sizeof(*d));
	d->flags = reader_u8(&r);
	d->from = reader_varint(&r);
	to_delta = reader_varint(&r);
	asof_delta = reader_varint(&r);
	if (d->flags & FRAME_DATA_FULL)
		d->full_id = reader_u32(&r);
	if (d->flags & FRAME_DATA_TAIL) {
		d->count = reader_u32(&r);
		d->digest = reader_u64(&r);
	}
	/* unknown flags may mean fields that we would take for entries */
	if (r.failed || d->flags & ~(FRAME_DATA_FULL | FRAME_DATA_TAIL))
		return -EINVAL;
	if (to_delta > UINT64_MAX - d->from || asof_delta > UINT64_MAX - d->from - to_delta)
		return -EINVAL;
	d->to = d->from + to_delta;
	d->asof = d->to + asof_delta;
	if (d->flags & FRAME_DATA_TAIL && d->to != d->asof)
		return -EINVAL;
	d->entries = r;
	return 0;
}

int frame_entry_read(struct reader *entries, struct frame_entry *entry)
{
	size_t left = reader_left(entries), length;
	const uint8_t *at = entries->at;

	if (entries->failed)
		return -EINVAL;
	if (!left)
		return 0;
	if (at[0] == ENTRY_DESTROY || at[0] == ENTRY_WITHDRAW) {
		length = record_check_key(at + 1, left - 1);
		if (!length)
			return -EINVAL;
		entry->kind = at[0] == ENTRY_DESTROY ? FRAME_ENTRY_DESTROY : FRAME_ENTRY_WITHDRAW;
		entry->record = NULL;
		entry->key = (struct record_key){at + 1, length};
		entry->verdict = RECORD_GOOD;
		reader_skip(entries, length + 1);
		return 1;
	}
	entry->kind = FRAME_ENTRY_UPSERT;
	entry->verdict = record_check(at, left, &length);
	if (entry->verdict == RECORD_MALFORMED)
		return -EINVAL;
	entry->record = at;
	entry->key = record_key(at);
	reader_skip(entries, length);
	return 1;
}

bool frame_data_begin(struct frame_data_writer *d, struct writer *w)
{
	if (w->failed || writer_room(w) < FRAME_DATA_HEADER_MAX)
		return false;
	d->w = w;
	d->header_size = FRAME_DATA_HEADER_MAX;
	d->header = writer_reserve(w, d->header_size);
	return true;
}

bool frame_data_put_record(struct frame_data_writer *d, const uint8_t *record)
{
	size_t length = record_length(record);

	if (writer_room(d->w) < length)
		return false;
	writer_bytes(d->w, record, length);
	return true;
}

bool frame_data_put_key(struct frame_data_writer *d, enum frame_entry_kind kind, struct record_key key)
{
	if (writer_room(d->w) < key.length + 1)
		return false;
	writer_u8(d->w, kind == FRAME_ENTRY_DESTROY ? ENTRY_DESTROY : ENTRY_WITHDRAW);
	writer_bytes(d->w, key.bytes, key.length);
	return true;
}

/* The range is known only when the entries are in: the header is written into its room, and the entries close
 * up. */
void frame_data_end(struct frame_data_writer *d, const struct frame_data *data)
{
	uint8_t *entries = d->header + d->header_size;
	size_t length = (size_t)(d->w->at - entries);
	struct writer h = writer_over(d->header, d->header_size);
	uint8_t *start = message_begin(&h);

	writer_u8(&h, data->flags);
	writer_varint(&h, data->from);
	writer_varint(&h, data->to - data->from);
	writer_varint(&h, data->asof - data->to);
	if (data->flags & FRAME_DATA_FULL)
		writer_u32(&h, data->full_id);
	if (data->flags & FRAME_DATA_TAIL) {
		writer_u32(&h, data->count);
		writer_u64(&h, data->digest);
	}
	memmove(h.at, entries, length);
	d->w->at = h.at + length;
	message_end(d->w, start, FRAME_DATA);
}
