/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/hostile.h"

#include <assert.h>
#include <string.h>

enum { HEARTBEAT_US = 100000 };

/* ---- hearing ---- */

static void hear_status(struct hostile *h, unsigned from, const struct frame_header *header,
			struct reader body)
{
	struct frame_status *status = &h->heard[from].status;

	assert(!frame_status_read(body, status));
	h->heard[from].session = header->session;
	h->heard[from].heard = h->cluster->now;
	for (unsigned i = 0; i < status->peers_count; i++)
		if (status->peers[i].node_id == h->id &&
		    !memcmp(&status->peers[i].session, &h->session, sizeof(h->session)))
			h->heard[from].about_us = status->peers[i];
}

static void hear(struct hostile *h, const struct cluster_packet *packet)
{
	uint8_t plain[FRAME_PAYLOAD_MAX], nonce[SEAL_NONCE_SIZE];
	struct frame_header header;
	struct seal *seal;
	struct reader r;

	if (frame_header_read(packet->bytes, packet->length, &header) != FRAME_GOOD ||
	    header.key_id != seal_key_id(h->key))
		return;
	seal = seal_create(h->key, header.cipher, FRAME_VERSION, header.node_id, &header.session);
	assert(seal);
	frame_nonce(&header, nonce);
	if (!seal_open(seal, nonce, packet->bytes, FRAME_HEADER_SIZE, packet->bytes + FRAME_HEADER_SIZE,
		       packet->length - FRAME_HEADER_SIZE, plain)) {
		r = reader_over(plain, packet->length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE);
		reader_skip(&r, FRAME_INNER_SIZE);
		while (reader_left(&r)) {
			uint8_t type = reader_u8(&r);
			struct reader body = reader_sub(&r, reader_u16(&r));

			if (type == FRAME_STATUS)
				hear_status(h, packet->from, &header, body);
		}
	}
	seal_destroy(seal);
}

/* What goes to the group reaches node 0 or 1 as well: it is heard from those copies. */
static bool overhear(void *context, struct cluster_packet *packet)
{
	struct hostile *h = context;

	if (packet->to == h->index) {
		h->heard_datagrams++;
		h->heard_bytes += packet->length;
	}
	hear(h, packet);
	return packet->to != h->index;
}

/* ---- saying ---- */

void hostile_say(struct hostile *h, unsigned to, const uint8_t *messages, size_t length)
{
	uint8_t bytes[FRAME_PAYLOAD_MAX], nonce[SEAL_NONCE_SIZE];
	struct writer w = writer_over(bytes, sizeof(bytes) - SEAL_TAG_SIZE);
	struct frame_header header = {FRAME_VERSION,       SEAL_AES_256_GCM, h->id,
				      seal_key_id(h->key), h->session,       (uint32_t)h->packet_number,
				      ++h->packet_number};

	frame_header_write(&w, &header);
	writer_u16(&w, 0);
	writer_u32(&w, ++h->counter);
	writer_bytes(&w, messages, length);
	frame_nonce(&header, nonce);
	assert(!w.failed && !seal_close(h->seal, nonce, bytes, FRAME_HEADER_SIZE, bytes + FRAME_HEADER_SIZE,
					FRAME_INNER_SIZE + length));
	cluster_inject(h->cluster, h->index, to, bytes, FRAME_OVERHEAD + length);
}

void hostile_message(struct hostile *h, unsigned to, uint8_t type, const uint8_t *body, size_t length)
{
	uint8_t bytes[FRAME_PAYLOAD_MAX - FRAME_OVERHEAD];
	struct writer w = writer_over(bytes, sizeof(bytes));

	writer_u8(&w, type);
	writer_u16(&w, (uint16_t)length);
	writer_bytes(&w, body, length);
	assert(!w.failed);
	hostile_say(h, to, bytes, writer_length(&w));
}

void hostile_data(struct hostile *h, unsigned to, const struct frame_data *data, const uint8_t *entries,
		  size_t length)
{
	uint8_t bytes[FRAME_PAYLOAD_MAX - FRAME_OVERHEAD];
	struct writer w = writer_over(bytes, sizeof(bytes));
	struct frame_data_writer d;

	frame_data_begin(&d, &w);
	writer_bytes(&w, entries, length);
	assert(!w.failed);
	frame_data_end(&d, data);
	hostile_say(h, to, bytes, writer_length(&w));
}

void hostile_beat(struct hostile *h)
{
	struct frame_status status = h->status;
	struct frame_peer model = status.peers[0];
	uint8_t bytes[FRAME_PAYLOAD_MAX - FRAME_OVERHEAD];

	status.stamp = (uint64_t)h->cluster->now.us;
	status.heartbeat_us = HEARTBEAT_US;
	status.peers_count = (uint8_t)h->cluster->count;
	for (unsigned i = 0; i < h->cluster->count; i++) {
		struct frame_peer *about = &status.peers[i];

		*about = model;
		about->node_id = h->cluster->nodes[i].config.id;
		about->session = h->heard[i].session;
		about->challenge = 77 + i;
		about->echo = h->heard[i].about_us.challenge;
		about->stamp = h->heard[i].status.stamp;
		about->held_us = (uint32_t)(h->cluster->now.us - h->heard[i].heard.us);
	}
	for (unsigned i = 0; i < h->cluster->count; i++) {
		struct writer w = writer_over(bytes, sizeof(bytes));

		frame_status_write(&w, &status);
		assert(!w.failed);
		hostile_say(h, i, bytes, writer_length(&w));
	}
}

void hostile_run_us(struct hostile *h, int64_t us)
{
	for (; us > 0; us -= HEARTBEAT_US) {
		if (!h->quiet)
			hostile_beat(h);
		cluster_run_us(h->cluster, us < HEARTBEAT_US ? us : HEARTBEAT_US);
	}
}

/* ---- life ---- */

void hostile_restart(struct hostile *h)
{
	for (size_t i = 0; i < sizeof(h->session.bytes); i++)
		h->session.bytes[i] = (uint8_t)cluster_random(h->cluster);
	seal_destroy(h->seal);
	h->seal = seal_create(h->key, SEAL_AES_256_GCM, FRAME_VERSION, h->id, &h->session);
	assert(h->seal);
	h->packet_number = 0;
	h->counter = 0;
	for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++)
		h->heard[i].about_us = (struct frame_peer){0};
}

void hostile_join(struct hostile *h, struct cluster *c, uint16_t id)
{
	memset(h, 0, sizeof(*h));
	h->cluster = c;
	h->index = c->count;
	h->id = id;
	memcpy(h->key, c->nodes[0].config.ring.keys[0].key, sizeof(h->key));
	h->status.role = FRAME_ROLE_BACKUP;
	h->status.flags = FRAME_STATUS_COMPLETE;
	h->status.peers[0].flags = FRAME_PEER_CURRENT;
	h->status.peers[0].window = 1 << 20;
	c->tamper = overhear;
	c->tamper_context = h;
	hostile_restart(h);
}

void hostile_leave(struct hostile *h)
{
	seal_destroy(h->seal);
	h->cluster->tamper = NULL;
}

struct node_peer_view hostile_view(struct hostile *h, unsigned index)
{
	struct node_peer_view view = {0};
	struct node_view whole;

	node_view(h->cluster->nodes[index].node, h->cluster->now, &whole);
	for (unsigned i = 0; i < whole.peers; i++) {
		node_peer_view(h->cluster->nodes[index].node, h->cluster->now, i, &view);
		if (view.id == h->id)
			return view;
	}
	return (struct node_peer_view){0};
}
