/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients that listen for what happens to the internal table or to external ones.  Nobody waits for them:
 * each has a bounded queue, and what doesn't fit is counted and told as lost.
 */
#ifndef DAEMON_SUBSCRIBE_H
#define DAEMON_SUBSCRIBE_H

#include "syncd/daemon/control.h"
#include "syncd/daemon/drive.h"
#include "syncd/daemon/dump.h"

struct subscribers;

enum {
	SUBSCRIBERS_MAX = 16,
	SUBSCRIBER_QUEUE = 1 << 19, /* bytes, beside what the control socket queues (CONTROL_ROOM) */
};

/* The drive must outlive it.  0 or -ENOMEM. */
int subscribers_open(struct subscribers **subscribers, struct drive *drive);
/* After the control socket was closed, and with it all clients; NULL is fine. */
void subscribers_close(struct subscribers *subscribers);

/* Answers the client with EVENTS, until it goes.  `peer`: whose external table; 0: all. */
void subscribe_start(struct control_client *client, struct subscribers *subscribers, enum dump_table table,
		     uint16_t peer);

#endif
