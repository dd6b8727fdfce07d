/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What daemon and command say to each other over the control socket (UNIX, stream).  A client sends one
 * REQUEST for each connection; the daemon answers with any number of RECORDS, JSON, TEXT and PROGRESS, and
 * one RESULT, then closes.
 *
 *    +-----------------------+--------+-------------------------
 *    | length (4, of payload)| type(1)| payload
 *    +-----------------------+--------+-------------------------
 *
 * REQUEST: verb, NUL, then any number of "name=value", each ended by NUL.
 * RECORDS: any number of: node id (2; 0: the internal table), kernel's id (4; 0: unknown), record
 * (proto/record.h).  EVENTS: any number of: kind (1, enum message_event), then as in RECORDS node id, id and
 * record (of a flow that has gone: as it was); of EMPTIED and LOST without a record, and with LOST, the id
 * counts the events that the client was too slow for. JSON, TEXT, PROGRESS: UTF-8, not terminated.  PROGRESS
 * is one line for a person at a terminal. RESULT: exit code for the command (1), then a message (empty:
 * nothing to say), UTF-8.
 *
 * A client that listens for events (verb "events") is answered until it closes the connection.
 *
 * Requests, what they take, and who may ask them (readers: R, administrators: A):
 *   status R (JSON) | health R strict=1 (TEXT, RESULT) | dump R
 * table=internal|external|internal-expect|external-expect peer=N (RECORDS) | events R table=internal|external
 * peer=N (EVENTS) | count R (as dump; TEXT) verify R (PROGRESS, TEXT) | metrics R (TEXT) | primary A |
 * backup A | fault A | commit A (PROGRESS, JSON) resync A peer=N | flush A table=internal|external|kernel |
 * reload A (TEXT)
 */
#ifndef CONTROL_MESSAGE_H
#define CONTROL_MESSAGE_H

#include "proto/buf.h"

enum message_type {
	MESSAGE_REQUEST = 1,
	MESSAGE_RECORDS,
	MESSAGE_JSON,
	MESSAGE_TEXT,
	MESSAGE_PROGRESS,
	MESSAGE_RESULT,
	MESSAGE_EVENTS,
	MESSAGE_TYPES_END,
};

enum message_event {
	MESSAGE_EVENT_NEW = 1,
	MESSAGE_EVENT_UPDATE,
	MESSAGE_EVENT_DESTROY,
	MESSAGE_EVENT_EMPTIED, /* the table, by an operator or because it was committed */
	MESSAGE_EVENT_LOST,
};

enum {
	MESSAGE_HEADER_SIZE = 5,
	MESSAGE_REQUEST_MAX = 4096, /* a client that sends more is cut off */
	MESSAGE_PAYLOAD_MAX = 1 << 20,
	MESSAGE_ARGUMENTS_MAX = 16,
};

struct message_request {
	const char *verb; /* all strings lie in the payload, which must outlive this */
	size_t arguments;
	struct {
		const char *name; /* ends at the '=', not at a NUL */
		const char *value;
	} argument[MESSAGE_ARGUMENTS_MAX];
};

/* Writes the header of a message whose payload has `length` bytes. */
void message_write_header(struct writer *w, enum message_type type, size_t length);

/* Reads a header: 0, or -EINVAL for an unknown type or more than MESSAGE_PAYLOAD_MAX. */
int message_read_header(const uint8_t header[MESSAGE_HEADER_SIZE], enum message_type *type, size_t *length);

/* Parses a REQUEST's payload, for bytes from a stranger.  0 or -EINVAL. */
int message_parse_request(const uint8_t *payload, size_t length, struct message_request *request);

/* The value of an argument, or NULL. */
const char *message_argument(const struct message_request *request, const char *name);

#endif
