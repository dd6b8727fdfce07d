/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's control server with a client that sends anything, in pieces, and goes away.  The first byte is
 * the size of the pieces.
 */
#include "syncd/daemon/clock.h"
#include "syncd/daemon/control.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATH_ROOM = 100, INPUT_MAX = 16 << 10, IDLE_TURNS_MAX = 100000 };

struct server {
	struct loop *loop;
	struct control *control;
	struct loop_slice slice;
	const uint8_t *bytes;
	size_t length, piece;
	int client;
	bool closed;
	unsigned handled, turns, answers;
};

static void no_log(void *context, int level, const char *id, const char *text)
{
	(void)context, (void)level, (void)id, (void)text;
}

static void handle(void *context, struct control_client *client, const struct message_request *request)
{
	struct server *server = context;

	FUZZ_REQUIRE(++server->handled == 1); /* one request a connection */
	FUZZ_REQUIRE(*request->verb && strlen(request->verb) < MESSAGE_REQUEST_MAX);
	for (size_t i = 0; i < request->arguments; i++)
		control_print(client, MESSAGE_TEXT, "%s", request->argument[i].value);
	control_finish(client, 0, "%s", request->verb);
}

/* What is answered is well-formed messages; it may be cut off, for the client has gone. */
static void read_answers(struct server *server)
{
	static const size_t room = 64 << 10;
	uint8_t *bytes = malloc(room);
	ssize_t got = recv(server->client, bytes, room, MSG_DONTWAIT);
	size_t at = 0, length = got > 0 ? (size_t)got : 0, payload;
	enum message_type type;

	while (length - at >= MESSAGE_HEADER_SIZE) {
		FUZZ_REQUIRE(message_read_header(bytes + at, &type, &payload) == 0);
		FUZZ_REQUIRE(type == MESSAGE_TEXT || type == MESSAGE_RESULT);
		at += MESSAGE_HEADER_SIZE + payload;
		server->answers++;
		if (at > length)
			break;
	}
	free(bytes);
}

/* A turn of the client: a piece, or its end; when the server has let go of it, the loop ends. */
static void turn(void *context, struct monotime until)
{
	struct server *server = context;
	size_t piece = server->length < server->piece ? server->length : server->piece;

	(void)until;
	FUZZ_REQUIRE(server->turns++ < IDLE_TURNS_MAX);
	FUZZ_REQUIRE(control_clients(server->control) <= 1);
	if (piece && send(server->client, server->bytes, piece, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		server->length = piece = 0; /* it was cut off, as it may be */
	server->bytes += piece;
	server->length -= piece;
	if (server->length)
		return;
	if (!server->closed)
		shutdown(server->client, SHUT_WR);
	else if (!control_clients(server->control))
		loop_stop(server->loop);
	server->closed = true;
}

static void run(struct server *server, const char *path)
{
	struct config_log_target target = {.destination = CONFIG_LOG_STDERR};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct log *log = log_open(LOG_DEBUG, target, clock_now);

	FUZZ_REQUIRE(log && loop_open(&server->loop) == 0);
	log_set_output(log, no_log, NULL);
	FUZZ_REQUIRE(control_open(&server->control, path, (gid_t)-1) == 0);
	FUZZ_REQUIRE(control_serve(server->control, server->loop, log, handle, server) == 0);
	server->slice = (struct loop_slice){.active = true, .run = turn, .context = server};
	loop_add_slice(server->loop, &server->slice);
	server->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	FUZZ_REQUIRE(connect(server->client, (struct sockaddr *)&address, sizeof(address)) == 0);
	FUZZ_REQUIRE(loop_run(server->loop) == 0);
	read_answers(server);
	close(server->client);
	control_close(server->control);
	loop_close(server->loop);
	log_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char folder[] = "/dev/shm/twintrack-fuzz-XXXXXX", path[PATH_ROOM];
	struct server server = {.piece = length ? bytes[0] * (size_t)16 + 1 : 1};
	uint8_t *copy;

	if (!length || length > INPUT_MAX)
		return 0;
	FUZZ_REQUIRE(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	copy = fuzz_copy(bytes + 1, length - 1);
	server.bytes = copy;
	server.length = length - 1;
	run(&server, path);
	free(copy);
	FUZZ_REQUIRE(rmdir(folder) == 0); /* the socket file is gone */
	return 0;
}
