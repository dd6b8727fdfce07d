/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* One connection.  The buffer holds the largest message that there may be. */
struct client {
	int fd;
	bool shows_progress, has_progress; /* standard error is a terminal; a line stands on it */
	int patience_ms;                   /* at least CLIENT_PATIENCE_ENDLESS_S: no end */
	int stop_fd;
	bool heard;        /* the daemon has sent a byte */
	size_t start, end; /* what was read and not yet taken */
	uint8_t bytes[MESSAGE_HEADER_SIZE + MESSAGE_PAYLOAD_MAX];
};

__attribute__((format(printf, 3, 4))) static void fail(struct client_answer *answer,
						       enum client_outcome outcome, const char *format, ...)
{
	va_list list;

	answer->outcome = outcome;
	va_start(list, format);
	vsnprintf(answer->message, sizeof(answer->message), format, list);
	va_end(list);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the socket is ready, as long as the patience lasts, whatever signals come: 0 or a negative
 * errno; -ECANCELED: told to stop. */
static int wait_for(const struct client *client, short events)
{
	bool is_endless = client->patience_ms / 1000 >= CLIENT_PATIENCE_ENDLESS_S;
	int64_t end_ms = now_ms() + client->patience_ms;

	for (;;) {
		struct pollfd fds[] = {{.fd = client->fd, .events = events},
				       {.fd = client->stop_fd, .events = POLLIN}};
		int64_t left_ms = is_endless ? -1 : end_ms - now_ms() > 0 ? end_ms - now_ms() : 0;
		int ready = poll(fds, client->stop_fd ? 2 : 1, (int)left_ms);

		if (ready > 0)
			return client->stop_fd && fds[1].revents ? -ECANCELED : 0;
		if (ready == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* A full backlog (EAGAIN) means that the daemon does not accept, and is waited for like an answer. */
static int connect_patiently(struct client *client, const struct sockaddr_un *address)
{
	struct pollfd stop = {.fd = client->stop_fd, .events = POLLIN};
	int64_t end_ms = now_ms() + client->patience_ms;

	while (connect(client->fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (now_ms() >= end_ms)
			return -ETIMEDOUT;
		if (poll(&stop, client->stop_fd ? 1 : 0, 20) > 0)
			return -ECANCELED;
	}
	return 0;
}

static bool client_connect(struct client *client, const struct cli *cli, struct client_answer *answer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error;

	if (strlen(cli->socket) >= sizeof(address.sun_path)) {
		fail(answer, CLIENT_NO_DAEMON,
		     "no daemon: the path of the socket %s is longer than %zu characters", cli->socket,
		     sizeof(address.sun_path) - 1);
		return false;
	}
	strcpy(address.sun_path, cli->socket);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd < 0) {
		fail(answer, CLIENT_BROKEN, "cannot make a socket: %s", strerror(errno));
		return false;
	}
	error = connect_patiently(client, &address);
	if (error == -EACCES || error == -EPERM)
		fail(answer, CLIENT_NO_DAEMON, "the daemon's socket %s may not be opened by this user (%s)",
		     cli->socket, strerror(-error));
	else if (error == -ECANCELED)
		fail(answer, CLIENT_STOPPED, "stopped");
	else if (error)
		fail(answer, CLIENT_NO_DAEMON, "no daemon answers on %s (%s); is twintrackd running?",
		     cli->socket, strerror(-error));
	return error == 0;
}

static bool client_send(struct client *client, const struct cli *cli, const struct client_question *question,
			struct client_answer *answer)
{
	uint8_t request[MESSAGE_HEADER_SIZE + MESSAGE_REQUEST_MAX];
	struct writer w = writer_over(request, sizeof(request));
	struct writer header = writer_over(request, MESSAGE_HEADER_SIZE);

	writer_reserve(&w, MESSAGE_HEADER_SIZE);
	writer_bytes(&w, question->verb, strlen(question->verb) + 1);
	for (size_t i = 0; i < CLIENT_ARGUMENTS_MAX && question->argument[i].name; i++) {
		if (!question->argument[i].value)
			continue;
		writer_bytes(&w, question->argument[i].name, strlen(question->argument[i].name));
		writer_u8(&w, '=');
		writer_bytes(&w, question->argument[i].value, strlen(question->argument[i].value) + 1);
	}
	message_write_header(&header, MESSAGE_REQUEST, writer_length(&w) - MESSAGE_HEADER_SIZE);
	/* it fits any socket buffer: a short write means that there is no daemon to speak to */
	if (!w.failed &&
	    send(client->fd, request, writer_length(&w), MSG_NOSIGNAL) == (ssize_t)writer_length(&w))
		return true;
	fail(answer, CLIENT_NO_DAEMON, "the daemon on %s does not take the request (%s)", cli->socket,
	     w.failed ? "it is too long" : strerror(errno));
	return false;
}

/* Has at least `length` bytes in the buffer: 0, -EPIPE when the daemon closed before, or another negative
 * errno. */
static int client_fill(struct client *client, size_t length)
{
	/* moves what is left of a message at most once for each time the buffer was full */
	if (client->start + length > sizeof(client->bytes)) {
		memmove(client->bytes, client->bytes + client->start, client->end - client->start);
		client->end -= client->start;
		client->start = 0;
	}
	while (client->end - client->start < length) {
		ssize_t got =
		    recv(client->fd, client->bytes + client->end, sizeof(client->bytes) - client->end, 0);
		int error = 0;

		if (got > 0)
			client->end += (size_t)got;
		else if (got == 0)
			error = -EPIPE;
		else if (errno == EAGAIN)
			error = wait_for(client, POLLIN);
		else if (errno != EINTR)
			error = errno == ECONNRESET ? -EPIPE : -errno;
		if (error)
			return error;
		client->heard = client->heard || got > 0;
	}
	return 0;
}

static void show_progress(struct client *client, const uint8_t *line, size_t length)
{
	if (!client->shows_progress)
		return;
	fputs("\r\033[K", stderr);
	for (size_t i = 0; i < length; i++)
		if (line[i] >= ' ' && line[i] != 0x7f)
			fputc(line[i], stderr);
	fflush(stderr);
	client->has_progress = true;
}

static void clear_progress(struct client *client)
{
	if (client->has_progress)
		fputs("\r\033[K", stderr);
	client->has_progress = false;
}

static void take_result(const uint8_t *payload, size_t length, struct client_answer *answer)
{
	size_t text = length > 0 ? length - 1 : 0;

	if (length == 0) {
		fail(answer, CLIENT_BROKEN, "the daemon's answer makes no sense (an empty result)");
		return;
	}
	if (text >= sizeof(answer->message))
		text = sizeof(answer->message) - 1;
	answer->outcome = CLIENT_ANSWERED;
	answer->code = payload[0];
	memcpy(answer->message, payload + 1, text);
	answer->message[text] = 0;
}

static void describe_error(const struct client *client, const struct cli *cli, int error,
			   struct client_answer *answer)
{
	if (error == -ECANCELED)
		fail(answer, CLIENT_STOPPED, "stopped");
	else if (!client->heard && error == -ETIMEDOUT)
		fail(answer, CLIENT_NO_DAEMON,
		     "no daemon answers on %s: it took the request and was silent for %d s", cli->socket,
		     client->patience_ms / 1000);
	else if (!client->heard)
		fail(answer, CLIENT_NO_DAEMON,
		     "no daemon answers on %s: it closed the connection without a word", cli->socket);
	else if (error == -EPIPE)
		fail(answer, CLIENT_BROKEN, "the daemon broke off in the middle of its answer");
	else if (error == -ETIMEDOUT)
		fail(answer, CLIENT_BROKEN, "the daemon fell silent in the middle of its answer (%d s)",
		     client->patience_ms / 1000);
	else
		fail(answer, CLIENT_BROKEN, "reading the daemon's answer failed: %s", strerror(-error));
}

/* Takes one message.  False at the end, with *answer filled. */
static bool client_take(struct client *client, const struct cli *cli, const struct client_question *question,
			struct client_answer *answer)
{
	enum message_type type = MESSAGE_RESULT;
	const uint8_t *payload;
	size_t length = 0;
	int error = client_fill(client, MESSAGE_HEADER_SIZE);

	if (!error && message_read_header(client->bytes + client->start, &type, &length)) {
		fail(answer, CLIENT_BROKEN, "what answers on %s does not speak as twintrackd %s does",
		     cli->socket, TWINTRACK_VERSION);
		return false;
	}
	if (!error)
		error = client_fill(client, MESSAGE_HEADER_SIZE + length);
	if (error) {
		describe_error(client, cli, error, answer);
		return false;
	}
	payload = client->bytes + client->start + MESSAGE_HEADER_SIZE;
	client->start += MESSAGE_HEADER_SIZE + length;
	if (type == MESSAGE_RESULT) {
		take_result(payload, length, answer);
		return false;
	}
	if (type == MESSAGE_PROGRESS) {
		show_progress(client, payload, length);
		return true;
	}
	if (type == MESSAGE_REQUEST || !question->receive ||
	    !question->receive(question->context, type, payload, length)) {
		fail(answer, CLIENT_BROKEN, "the daemon's answer makes no sense (message of type %d)",
		     (int)type);
		return false;
	}
	return true;
}

void client_ask(const struct cli *cli, const struct client_question *question, struct client_answer *answer)
{
	struct client *client = malloc(sizeof(*client));

	*answer = (struct client_answer){.outcome = CLIENT_BROKEN, .code = CLI_FAILED};
	if (!client) {
		fail(answer, CLIENT_BROKEN, "out of memory");
		return;
	}
	client->fd = -1;
	client->shows_progress = isatty(STDERR_FILENO);
	client->has_progress = client->heard = false;
	client->start = client->end = 0;
	client->stop_fd = question->stop_fd;
	client->patience_ms = (int)(question->patience_s ? question->patience_s : CLIENT_PATIENCE_S) * 1000;
	if (client_connect(client, cli, answer) && client_send(client, cli, question, answer))
		while (client_take(client, cli, question, answer))
			;
	clear_progress(client);
	if (client->fd >= 0)
		close(client->fd);
	free(client);
}

int client_exit(const struct cli *cli, const struct client_answer *answer)
{
	switch (answer->outcome) {
	case CLIENT_NO_DAEMON:
		cli_say(cli, "%s", answer->message);
		return CLI_NO_DAEMON;
	case CLIENT_BROKEN:
	case CLIENT_STOPPED:
		cli_say(cli, "%s", answer->message);
		return CLI_FAILED;
	case CLIENT_ANSWERED:
		break;
	}
	if (answer->code && *answer->message)
		cli_say(cli, "%s", answer->message);
	return answer->code;
}

static bool keep(struct client_text *kept, const uint8_t *payload, size_t length)
{
	char *grown =
	    length <= CLIENT_TEXT_MAX - kept->length ? realloc(kept->text, kept->length + length + 1) : NULL;

	if (!grown) {
		kept->failed = true;
		return false;
	}
	memcpy(grown + kept->length, payload, length);
	kept->text = grown;
	kept->length += length;
	grown[kept->length] = 0;
	return true;
}

bool client_keep(void *context, enum message_type type, const uint8_t *payload, size_t length)
{
	struct client_reply *reply = context;

	if (type == MESSAGE_JSON)
		return keep(&reply->json, payload, length);
	return type == MESSAGE_TEXT && keep(&reply->text, payload, length);
}

void client_reply_free(struct client_reply *reply)
{
	free(reply->json.text);
	free(reply->text.text);
	*reply = (struct client_reply){0};
}
