/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/outbox.h"

#include <errno.h>
#include <string.h>

int outbox_rekey(struct outbox *outbox, const struct node_config *config)
{
	struct seal *seal = seal_create(config->ring.keys[0].key, config->cipher, FRAME_VERSION, config->id,
					&outbox->session);

	if (!seal)
		return -ENOMEM;
	seal_destroy(outbox->seal);
	outbox->seal = seal;
	outbox->key_id = config->ring.keys[0].id;
	outbox->cipher = config->cipher;
	return 0;
}

int outbox_start_session(struct outbox *outbox, const struct node_config *config,
			 const struct node_sink *sink)
{
	struct seal_session_id before = outbox->session;

	sink->random(sink->context, outbox->session.bytes, sizeof(outbox->session.bytes));
	if (outbox_rekey(outbox, config)) {
		outbox->session = before;
		return -ENOMEM;
	}
	outbox->packet_number = 0;
	outbox->group_counter = 0;
	outbox->salt_is_fresh = false;
	outbox->batches_count = 0;
	return 0;
}

void outbox_finish(struct outbox *outbox)
{
	seal_destroy(outbox->seal);
	outbox->seal = NULL;
}

void outbox_new_batch(struct outbox *outbox)
{
	outbox->salt_is_fresh = false;
}

/*
 * A machine restored from a snapshot, or cloned, goes on with the same session, key and packet numbers.  A
 * salt drawn anew for each batch keeps the nonces apart all the same (GCM breaks when one repeats).
 */
static void outbox_draw_salt(struct outbox *outbox, const struct node_sink *sink)
{
	size_t i = outbox->batches_count++ % OUTBOX_BATCHES;

	sink->random(sink->context, &outbox->salt, sizeof(outbox->salt));
	outbox->batches[i].first = outbox->packet_number + 1;
	outbox->batches[i].salt = outbox->salt;
	outbox->salt_is_fresh = true;
}

struct writer *outbox_open(struct outbox *outbox, const struct node_config *config)
{
	outbox->writer = writer_over(outbox->buffer, config->payload_max - SEAL_TAG_SIZE);
	writer_reserve(&outbox->writer, FRAME_HEADER_SIZE + FRAME_INNER_SIZE);
	return &outbox->writer;
}

static void outbox_write_inner(struct outbox *outbox, const struct outbox_destination *to)
{
	struct writer w = writer_over(outbox->buffer + FRAME_HEADER_SIZE, FRAME_INNER_SIZE);

	writer_u16(&w, to ? to->node_id : 0);
	writer_u32(&w, to ? ++*to->counter : ++outbox->group_counter);
}

size_t outbox_send(struct outbox *outbox, const struct node_config *config, const struct node_sink *sink,
		   const struct outbox_destination *to)
{
	size_t inner = writer_length(&outbox->writer) - FRAME_HEADER_SIZE, length;
	struct frame_header header;
	struct writer w = writer_over(outbox->buffer, FRAME_HEADER_SIZE);
	uint8_t nonce[SEAL_NONCE_SIZE];

	if (!outbox->salt_is_fresh)
		outbox_draw_salt(outbox, sink);
	header = (struct frame_header){FRAME_VERSION,          (uint8_t)outbox->cipher, config->id,
				       outbox->key_id,         outbox->session,         outbox->salt,
				       ++outbox->packet_number};
	frame_header_write(&w, &header);
	outbox_write_inner(outbox, to);
	frame_nonce(&header, nonce);
	if (outbox->writer.failed || seal_close(outbox->seal, nonce, outbox->buffer, FRAME_HEADER_SIZE,
						outbox->buffer + FRAME_HEADER_SIZE, inner))
		return 0;
	length = FRAME_HEADER_SIZE + inner + SEAL_TAG_SIZE;
	for (unsigned link = 0; link < config->links; link++) {
		if (to && !to->endpoints[link].length)
			continue;
		sink->send(sink->context, link, to ? &to->endpoints[link] : NULL, outbox->buffer, length);
		outbox->datagrams++;
		outbox->bytes += length;
	}
	return length;
}

bool outbox_sent(const struct outbox *outbox, uint64_t packet_number, uint32_t salt)
{
	size_t kept = outbox->batches_count < OUTBOX_BATCHES ? outbox->batches_count : OUTBOX_BATCHES;

	if (packet_number > outbox->packet_number)
		return false;
	for (size_t back = 1; back <= kept; back++) {
		size_t i = (outbox->batches_count - back) % OUTBOX_BATCHES;

		if (outbox->batches[i].first <= packet_number)
			return outbox->batches[i].salt == salt;
	}
	return true; /* too long ago to tell */
}
