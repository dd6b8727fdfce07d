/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a message is one datagram of fields.
 * Never blocks: a journal that takes nothing at the moment is no reason to hold up the daemon.
 */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include "conf/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a message is about, as far as it can be looked for. */
struct log_subject {
	unsigned peer;                    /* node id; 0: none */
	char link[CONFIG_INTERFACE_SIZE]; /* "": none */
	bool has_client;                  /* who asked, over the control socket */
	uid_t uid;
	pid_t pid;
};

struct journal_entry {
	int level;             /* syslog's */
	const char *id, *text; /* without control characters */
	unsigned node;         /* ours; 0: unknown */
	struct log_subject subject;
	uint64_t held; /* messages that this one stands for besides itself */
};

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { JOURNAL_ENTRY_MAX = 2048, JOURNAL_ID_SIZE = 33 };

/*
 * MESSAGE_ID: 128 bits as hexadecimal digits, the same for ever for one id; of an id that ends with the
 * link's name, for what stands before ("link-sync0": "link").
 */
void journal_message_id(const struct journal_entry *entry, char text[JOURNAL_ID_SIZE]);

/* The fields; returns their length, at most JOURNAL_ENTRY_MAX. */
size_t journal_format(const struct journal_entry *entry, char fields[JOURNAL_ENTRY_MAX]);

/* A socket to send with, or a negative errno. */
int journal_open(void);

/* 0, or a negative errno: nobody listens at `path`, or it takes nothing now. */
int journal_send(int fd, const char *path, const struct journal_entry *entry);

/* Whether that descriptor is the stream that the service manager made to the journal ($JOURNAL_STREAM,
 * systemd.exec(5)). */
bool journal_is_stream(int fd);

#endif
