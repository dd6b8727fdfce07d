/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's server: takes requests (syncd/control/message.h), queues answers, never blocks, never
 * forks.  What a client may take of memory is bounded; one that stops reading is waited for, then cut off,
 * and holds up nobody.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "syncd/control/message.h"
#include "syncd/daemon/log.h"
#include "syncd/daemon/loop.h"

#include <sys/types.h>

struct control;
struct control_client;

enum {
	CONTROL_CLIENTS_MAX = 64,
	CONTROL_NOT_ROOT_MAX = 56,   /* the rest is left for root */
	CONTROL_READERS_MAX = 48,    /* the rest is left for administrators */
	CONTROL_OF_USER_MAX = 16,    /* of one user (uid) who isn't root, so that nobody takes all places */
	CONTROL_ROOM = 256 << 10,    /* a stream goes on only while no more than this is queued */
	CONTROL_QUEUE_MAX = 2 << 20, /* an answer that would queue more is cut off */
	CONTROL_STALL_S = 60,        /* a client that takes nothing for so long is cut off */
};

/*
 * A request came.  The handler answers now, or later, or by a stream; the request's strings are good for the
 * call only. A reader's request for an administrator's verb must be refused by it
 * (control_is_administrator()).
 */
typedef void control_handler(void *context, struct control_client *client,
			     const struct message_request *request);

/*
 * Whether a daemon could listen there: 0 (a socket file that nobody serves is removed); -EADDRINUSE: a live
 * daemon serves it; -EEXIST: there is something else of that name; or another negative errno.
 */
int control_probe(const char *path);

/* Binds and listens, after control_probe().  `group`: its members may do what root may; -1: root alone.  0 or
 * a negative errno. */
int control_open(struct control **control, const char *path, gid_t group);
/* From now on requests are taken.  0 or a negative errno. */
int control_serve(struct control *control, struct loop *loop, struct log *log, control_handler *handler,
		  void *context);
/* Cuts all clients off and removes the socket file; NULL is fine. */
void control_close(struct control *control);
unsigned control_clients(const struct control *control);

/* Only administrators and members of that group may read.  Without this call everybody may. */
void control_restrict_readers(struct control *control, gid_t readers);

bool control_is_administrator(const struct control_client *client);
bool control_may_read(const struct control_client *client);
/* Who it is, for the log. */
struct log_subject control_subject(const struct control_client *client);

/* Queues a message. */
void control_send(struct control_client *client, enum message_type type, const void *payload, size_t length);
__attribute__((format(printf, 3, 4))) void control_print(struct control_client *client,
							 enum message_type type, const char *format, ...);
/* Queues the RESULT; when all is sent the connection is closed. */
__attribute__((format(printf, 3, 4))) void control_finish(struct control_client *client, int exit_code,
							  const char *format, ...);

/* True when a stream should queue more. */
bool control_has_room(const struct control_client *client);

/*
 * `more` (may be NULL) is called whenever there is room, until control_finish(); it queues a bounded piece
 * each time.  `gone` is called once, when the client is closed for whatever reason: `context` is not used
 * after that, nor is the client.
 */
typedef void control_stream(void *context, struct control_client *client);
void control_set_stream(struct control_client *client, control_stream *more, control_stream *gone,
			void *context);

/* The stream has something to queue now. */
void control_wake(struct control_client *client);

/* The stream has nothing to queue before then: `more` is not called earlier. */
void control_wait(struct control_client *client, struct monotime until);

#endif
