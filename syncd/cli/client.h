/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks the daemon one question over its control socket, and hands on what it answers.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "syncd/cli/cli.h"
#include "syncd/control/message.h"

enum { CLIENT_ARGUMENTS_MAX = 4, CLIENT_MESSAGE_MAX = 512 };

enum client_outcome {
	CLIENT_ANSWERED,  /* up to the RESULT */
	CLIENT_NO_DAEMON, /* nobody listens, or nobody answers */
	CLIENT_BROKEN,    /* an answer that is cut short or makes no sense; or the receiver had enough */
	CLIENT_STOPPED,   /* stop_fd became readable */
};

struct client_question {
	const char *verb;
	struct {
		const char *name, *value; /* NULL name: no more; NULL value: left out */
	} argument[CLIENT_ARGUMENTS_MAX];
	unsigned patience_s; /* how long the daemon may be silent; 0: CLIENT_PATIENCE_S */
	int stop_fd;         /* when it can be read, nothing is waited for any more; 0: none */
	/* Called for each RECORDS, EVENTS, JSON and TEXT; false: enough.  PROGRESS is shown by the client
	 * itself. */
	bool (*receive)(void *context, enum message_type type, const uint8_t *payload, size_t length);
	void *context;
};

enum { CLIENT_PATIENCE_S = 10, CLIENT_PATIENCE_LONG_S = 60, CLIENT_PATIENCE_ENDLESS_S = INT32_MAX / 1000 };

struct client_answer {
	enum client_outcome outcome;
	int code;                         /* CLIENT_ANSWERED: from the RESULT */
	char message[CLIENT_MESSAGE_MAX]; /* the RESULT's; else what went wrong, in words */
};

/* Asks, and fills *answer; says nothing itself but progress on a terminal. */
void client_ask(const struct cli *cli, const struct client_question *question, struct client_answer *answer);

/* The exit code for an answer; says on standard error what stands in the way of one that is not good. */
int client_exit(const struct cli *cli, const struct client_answer *answer);

/* ---- keeping what comes ---- */

/* All JSON or TEXT of an answer, one after the other; `text` is terminated, and NULL when there was none. */
struct client_text {
	char *text;
	size_t length;
	bool failed; /* out of memory, or more than CLIENT_TEXT_MAX */
};
enum { CLIENT_TEXT_MAX = 64 << 20 };

struct client_reply {
	struct client_text json, text;
};

/* A receive function: its context is a struct client_reply that starts zeroed. */
bool client_keep(void *reply, enum message_type type, const uint8_t *payload, size_t length);
void client_reply_free(struct client_reply *reply);

#endif
