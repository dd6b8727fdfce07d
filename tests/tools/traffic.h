/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The traffic tool's connections, and what it knows of each: plain values, filled in by traffic.c and read by
 * traffic_verdict.h.
 */
#ifndef TESTS_TOOLS_TRAFFIC_H
#define TESTS_TOOLS_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

enum { PORTS_MAX = 64, SOURCES_MAX = 16, CONNECTIONS_MAX = 200000 };

enum message_type { MESSAGE_HELLO = 1, MESSAGE_PING, MESSAGE_PONG };

/* One message on the wire, both ends being this program on one machine. HELLO names the speaker in number. */
struct message {
	uint32_t type;
	uint32_t index;
	uint64_t number;
};

enum speaker { SPEAKER_CLIENT, SPEAKER_SERVER };
enum fate {
	FATE_CONNECTING,
	FATE_OPEN,
	FATE_RESET,
	FATE_CLOSED,
	FATE_TIMEOUT,
	FATE_REFUSED,
	FATE_UNREACHABLE,
	FATE_OTHER
};

static const char *const fate_names[] = {"connecting", "open",    "reset",       "closed",
					 "timeout",    "refused", "unreachable", "other"};

struct connection {
	int fd;
	enum fate fate;
	bool speaks;       /* this end is the speaker */
	bool has_talked;   /* at least one message arrived */
	bool was_open;     /* when the mark was set */
	bool is_proven;    /* answered, since the mark, something sent after it, in time */
	bool was_opened;   /* connected, or accepted */
	uint32_t index;    /* the client's number for it */
	uint8_t in_length; /* bytes of a message that has arrived in part */
	uint8_t out_length;
	uint64_t sent;         /* the last number sent */
	uint64_t sent_at_mark; /* what sent was at the mark */
	int64_t last_ns;       /* the last successful exchange */
	int64_t longest_ns;    /* longest wait for one since the mark */
	uint8_t in[sizeof(struct message)];
	uint8_t out[sizeof(struct message)]; /* what the socket did not take, at the end of the buffer */
};

struct traffic {
	bool is_client;
	const char *address;
	uint16_t port;
	uint32_t ports;
	const char *sources[SOURCES_MAX];
	uint32_t source_count;
	uint32_t speak_percent; /* connections of a hundred that the server speaks on */
	uint32_t wanted;        /* connections to open */
	uint32_t rate;          /* opened a second */
	int64_t interval_ns, verdict_ns, end_ns;

	int epoll, signals;
	int listeners[PORTS_MAX];
	struct connection *connections;
	uint32_t count, connecting, talking, dead;
	uint32_t cursor; /* whose turn it is to speak */
	int64_t turn_ns; /* when */
	int64_t next_connect_ns;
	int64_t mark_ns; /* 0: none set yet */
	uint32_t undecided;
	bool is_ready, is_decided, is_over;
};

#endif
