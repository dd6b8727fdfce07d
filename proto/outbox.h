/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our own session, and the way out: puts messages into datagrams, numbers and seals them.  A datagram goes
 * over every link, under one packet number.
 */
#ifndef PROTO_OUTBOX_H
#define PROTO_OUTBOX_H

#include "proto/node.h"

enum { OUTBOX_BATCHES = 1024 };

struct outbox {
	struct seal_session_id session;
	struct seal *seal;
	uint32_t key_id;
	enum seal_cipher cipher; /* of `seal`: what was asked for last may have failed */
	uint64_t packet_number;  /* last used */
	uint32_t group_counter;  /* datagrams to the group */
	uint32_t salt;
	bool salt_is_fresh; /* drawn for the batch under way */
	/* salts of the last batches, to know our own datagrams from those that a copy of this machine sent */
	struct {
		uint64_t first;
		uint32_t salt;
	} batches[OUTBOX_BATCHES];
	size_t batches_count; /* ever; the ring holds the last OUTBOX_BATCHES */
	uint64_t datagrams, bytes;
	/* the datagram under construction */
	struct writer writer;
	uint8_t buffer[FRAME_PAYLOAD_MAX];
};

/* Draws a new session and derives its key.  0, or -ENOMEM. */
int outbox_start_session(struct outbox *outbox, const struct node_config *config,
			 const struct node_sink *sink);
void outbox_finish(struct outbox *outbox);

/* Derives the sending key anew (key roll-over); the session and its numbers go on.  0 or -ENOMEM. */
int outbox_rekey(struct outbox *outbox, const struct node_config *config);

/* The next datagram begins a new batch: its salt will be drawn anew.  Once for each step of the node. */
void outbox_new_batch(struct outbox *outbox);

/* Starts a datagram; the writer takes messages, up to the links' payload. */
struct writer *outbox_open(struct outbox *outbox, const struct node_config *config);

/* What a datagram takes when there is one destination: an address on each link; NULL: the group. */
struct outbox_destination {
	uint16_t node_id;
	uint32_t *counter;                     /* of datagrams to that node; counted up here */
	const struct node_endpoint *endpoints; /* [NODE_LINKS_MAX]; those with length 0 are left out */
};

/* Seals and sends; returns its size on the wire of one link (UDP payload), 0 if it could not be sealed. */
size_t outbox_send(struct outbox *outbox, const struct node_config *config, const struct node_sink *sink,
		   const struct outbox_destination *to);

/* Whether a datagram of our own session, with this number and salt, is one that we sent. */
bool outbox_sent(const struct outbox *outbox, uint64_t packet_number, uint32_t salt);

#endif
