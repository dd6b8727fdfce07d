/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/control.h"

#include "syncd/control/state.h"
#include "syncd/daemon/clock.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_WAIT_S = 10, STALL_PATIENCE_US = 250000, PRINT_MAX = 8192, GROUPS_MAX = 1024 };

struct control_client {
	struct control *control;
	struct control_client *next;
	int fd;
	struct loop_source *source;
	struct ucred who;
	bool is_administrator, may_read, has_request, finished, broken;
	struct monotime active; /* when it last sent or took something */
	size_t input_length;
	uint8_t input[MESSAGE_HEADER_SIZE + MESSAGE_REQUEST_MAX];
	uint8_t *output; /* what waits to be sent: output[start .. start + length) */
	size_t output_size, output_start, output_length;
	control_stream *more, *gone;
	struct monotime waits_until; /* more has nothing to queue before */
	void *stream_context;
};

struct control {
	struct loop *loop;
	struct log *log;
	int fd;
	gid_t group, readers;
	bool readers_are_restricted;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device; /* the socket file that is ours */
	ino_t inode;
	struct loop_source *source;
	struct loop_timer timer, wake_timer;
	control_handler *handler;
	void *context;
	unsigned clients_count, not_root_count, readers_count;
	struct control_client *clients;
};

static int set_address(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path, strlen(path));
	return 0;
}

/* Removes a socket file that nobody listens on.  0: it is gone; -EADDRINUSE: somebody does. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat found;
	if (lstat(address->sun_path, &found) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(found.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED) /* connected, or EAGAIN: its backlog is full */
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

int control_probe(const char *path)
{
	struct sockaddr_un address;
	int error = set_address(&address, path);
	return error < 0 ? error : remove_stale(&address);
}

static int bind_and_listen(struct control *control)
{
	struct sockaddr_un address;
	struct stat found;
	int error = set_address(&address, control->path);
	if (error == 0)
		error = remove_stale(&address);
	if (error == 0)
		error = state_make_directory(control->path);
	if (error < 0)
		return error;
	if (bind(control->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* everybody may read the status; who may change something is told apart by credentials */
	if (stat(control->path, &found) < 0 || chmod(control->path, 0666) < 0 ||
	    listen(control->fd, 64) < 0) {
		error = -errno;
		unlink(control->path);
		return error;
	}
	control->device = found.st_dev;
	control->inode = found.st_ino;
	return 0;
}

int control_open(struct control **result, const char *path, gid_t group)
{
	struct control *control = calloc(1, sizeof(*control));
	if (control == NULL)
		return -ENOMEM;
	control->group = group;
	if (snprintf(control->path, sizeof(control->path), "%s", path) >= (int)sizeof(control->path)) {
		free(control);
		return -ENAMETOOLONG;
	}
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = control->fd < 0 ? -errno : bind_and_listen(control);
	if (error < 0) {
		if (control->fd >= 0)
			close(control->fd);
		free(control);
		return error;
	}
	*result = control;
	return 0;
}

static void close_client(struct control_client *client)
{
	struct control *control = client->control;
	struct control_client **at = &control->clients;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	control->clients_count--;
	control->not_root_count -= client->who.uid != 0;
	control->readers_count -= !client->is_administrator;
	if (client->gone != NULL)
		client->gone(client->stream_context, client);
	loop_remove(client->source);
	close(client->fd);
	free(client->output);
	free(client);
}

void control_close(struct control *control)
{
	struct stat found;
	if (control == NULL)
		return;
	while (control->clients != NULL)
		close_client(control->clients);
	loop_remove(control->source);
	close(control->fd);
	/* not somebody else's, who replaced it meanwhile */
	if (stat(control->path, &found) == 0 && found.st_dev == control->device &&
	    found.st_ino == control->inode)
		unlink(control->path);
	free(control);
}

static struct log_subject subject_of(const struct ucred *who)
{
	return (struct log_subject){.has_client = true, .uid = who->uid, .pid = who->pid};
}

/* ---- sending ---- */

/* Makes room for `length` more bytes; false when that is too much. */
static bool make_room(struct control_client *client, size_t length)
{
	if (client->output_length + length > CONTROL_QUEUE_MAX)
		return false;
	if (client->output_start > 0) {
		memmove(client->output, client->output + client->output_start, client->output_length);
		client->output_start = 0;
	}
	size_t size = client->output_size > 0 ? client->output_size : 4096;
	while (size < client->output_length + length)
		size *= 2;
	if (size == client->output_size)
		return true;
	uint8_t *grown = realloc(client->output, size);
	if (grown == NULL)
		return false;
	client->output = grown;
	client->output_size = size;
	return true;
}

void control_send(struct control_client *client, enum message_type type, const void *payload, size_t length)
{
	if (client->broken || client->finished)
		return;
	if (length > MESSAGE_PAYLOAD_MAX || !make_room(client, MESSAGE_HEADER_SIZE + length)) {
		client->broken = true;
		struct log_subject subject = subject_of(&client->who);
		log_write_about(
		    client->control->log, LOG_WARNING, "client-too-much", &subject,
		    "the answer to the client of pid %d is too large for its queue: it is cut off",
		    client->who.pid);
		return;
	}
	if (client->output_length == 0)
		client->active = clock_now(); /* it has had nothing to take till now, however long that was */
	struct writer w = writer_over(client->output + client->output_length, MESSAGE_HEADER_SIZE);
	message_write_header(&w, type, length);
	if (length > 0)
		memcpy(client->output + client->output_length + MESSAGE_HEADER_SIZE, payload, length);
	client->output_length += MESSAGE_HEADER_SIZE + length;
	/* told by EPOLLOUT in the next round: so no callback ever runs inside another */
	loop_modify(client->source, EPOLLIN | EPOLLOUT);
}

void control_print(struct control_client *client, enum message_type type, const char *format, ...)
{
	char text[PRINT_MAX];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length >= 0)
		control_send(client, type, text, length < PRINT_MAX ? (size_t)length : PRINT_MAX - 1);
}

void control_finish(struct control_client *client, int exit_code, const char *format, ...)
{
	char payload[1 + PRINT_MAX];
	va_list arguments;
	payload[0] = (char)exit_code;
	va_start(arguments, format);
	int length = vsnprintf(payload + 1, PRINT_MAX, format, arguments);
	va_end(arguments);
	length = length < 0 ? 0 : length < PRINT_MAX ? length : PRINT_MAX - 1;
	control_send(client, MESSAGE_RESULT, payload, 1 + (size_t)length);
	client->finished = true;
	client->more = NULL;
}

bool control_has_room(const struct control_client *client)
{
	return !client->broken && !client->finished && client->output_length < CONTROL_ROOM;
}

void control_set_stream(struct control_client *client, control_stream *more, control_stream *gone,
			void *context)
{
	client->more = more;
	client->gone = gone;
	client->stream_context = context;
	loop_modify(client->source, EPOLLIN | EPOLLOUT);
}

void control_wait(struct control_client *client, struct monotime until)
{
	struct loop_timer *timer = &client->control->wake_timer;
	client->waits_until = until;
	timer->deadline = monotime_min(timer->deadline, until);
}

void control_wake(struct control_client *client)
{
	client->waits_until = (struct monotime){0};
	loop_modify(client->source, EPOLLIN | EPOLLOUT);
}

/* Streams whose wait is over are asked again. */
static void wake(void *context, struct monotime now)
{
	struct control *control = context;
	for (struct control_client *client = control->clients; client != NULL; client = client->next) {
		if (client->more == NULL)
			continue;
		if (monotime_is_before(now, client->waits_until))
			control->wake_timer.deadline =
			    monotime_min(control->wake_timer.deadline, client->waits_until);
		else
			loop_modify(client->source, EPOLLIN | EPOLLOUT);
	}
}

static bool is_due(const struct control_client *client)
{
	return client->more != NULL && !monotime_is_before(clock_now(), client->waits_until);
}

/* Sends what the socket takes.  False: the client is gone. */
static bool send_some(struct control_client *client)
{
	while (client->output_length > 0) {
		ssize_t sent = send(client->fd, client->output + client->output_start, client->output_length,
				    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
		client->output_start += (size_t)sent;
		client->output_length -= (size_t)sent;
		client->active = clock_now();
	}
	client->output_start = 0;
	return true;
}

/* ---- receiving ---- */

static void refuse(struct control_client *client, const char *what)
{
	client->has_request = true;
	control_finish(client, 2, "%s", what);
}

static void take_request(struct control_client *client)
{
	enum message_type type;
	size_t length;
	struct message_request request;
	if (client->input_length < MESSAGE_HEADER_SIZE)
		return;
	if (message_read_header(client->input, &type, &length) < 0 || type != MESSAGE_REQUEST ||
	    length > MESSAGE_REQUEST_MAX) {
		refuse(client, "this is not a request");
		return;
	}
	if (client->input_length < MESSAGE_HEADER_SIZE + length)
		return;
	if (message_parse_request(client->input + MESSAGE_HEADER_SIZE, length, &request) < 0) {
		refuse(client, "the request is malformed");
		return;
	}
	client->has_request = true;
	client->control->handler(client->control->context, client, &request);
}

/* False: the client is gone. */
static bool receive(struct control_client *client)
{
	uint8_t rest[512];
	for (;;) {
		size_t room = sizeof(client->input) - client->input_length;
		bool ignore = client->has_request ||
			      room == 0; /* one request a connection: what follows is read and forgotten */
		ssize_t got = recv(client->fd, ignore ? rest : client->input + client->input_length,
				   ignore ? sizeof(rest) : room, MSG_DONTWAIT);
		if (got == 0)
			return false;
		if (got < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
		if (ignore)
			return client->has_request;
		client->active = clock_now();
		client->input_length += (size_t)got;
		take_request(client);
	}
}

static void serve_client(void *context, uint32_t events)
{
	struct control_client *client = context;
	if ((events & (EPOLLERR | EPOLLHUP)) || ((events & EPOLLIN) && !receive(client)) || client->broken) {
		close_client(client);
		return;
	}
	if (is_due(client) && control_has_room(client))
		client->more(client->stream_context, client);
	if (client->broken || !send_some(client) || (client->finished && client->output_length == 0)) {
		close_client(client);
		return;
	}
	bool wants_out = client->output_length > 0 || is_due(client);
	loop_modify(client->source, wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Members by their process's own groups as the kernel knows them (SO_PEERGROUPS), so no name service is
 * asked. */
static bool is_member(gid_t group, int fd, const struct ucred *who)
{
	gid_t groups[GROUPS_MAX];
	socklen_t length = sizeof(groups);
	if (group == (gid_t)-1)
		return false;
	if (who->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
		return false;
	for (size_t i = 0; i < length / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool is_administrator(const struct control *control, int fd, const struct ucred *who)
{
	return who->uid == 0 || is_member(control->group, fd, who);
}

void control_restrict_readers(struct control *control, gid_t readers)
{
	control->readers = readers;
	control->readers_are_restricted = true;
}

static unsigned clients_of(const struct control *control, uid_t uid)
{
	unsigned count = 0;
	for (const struct control_client *client = control->clients; client != NULL; client = client->next)
		count += client->who.uid == uid;
	return count;
}

static bool is_turned_away(const struct control *control, uid_t uid, bool administrator)
{
	if (control->clients_count >= CONTROL_CLIENTS_MAX)
		return true;
	if (uid == 0)
		return false;
	return control->not_root_count >= CONTROL_NOT_ROOT_MAX ||
	       (!administrator && control->readers_count >= CONTROL_READERS_MAX) ||
	       clients_of(control, uid) >= CONTROL_OF_USER_MAX;
}

static void add_client(struct control *control, int fd)
{
	struct ucred who;
	socklen_t length = sizeof(who);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0) {
		close(fd);
		return;
	}
	bool administrator = is_administrator(control, fd, &who);
	struct control_client *client = NULL;
	if (!is_turned_away(control, who.uid, administrator))
		client = calloc(1, sizeof(*client));
	if (client == NULL) {
		struct log_subject subject = subject_of(&who);
		log_write_about(
		    control->log, LOG_WARNING, "clients-full", &subject,
		    "too many clients on the control socket, %u of them of uid %u: its pid %d is turned away",
		    clients_of(control, who.uid), who.uid, who.pid);
		close(fd);
		return;
	}
	client->control = control;
	client->fd = fd;
	client->who = who;
	client->is_administrator = administrator;
	client->may_read =
	    administrator || !control->readers_are_restricted || is_member(control->readers, fd, &who);
	client->active = clock_now();
	if (loop_add(control->loop, fd, EPOLLIN, serve_client, client, &client->source) < 0) {
		close(fd);
		free(client);
		return;
	}
	client->next = control->clients;
	control->clients = client;
	control->clients_count++;
	control->not_root_count += who.uid != 0;
	control->readers_count += !administrator;
}

static void accept_clients(void *context, uint32_t events)
{
	struct control *control = context;
	(void)events;
	for (int i = 0; i < 16; i++) {
		int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		add_client(control, fd);
	}
}

/* Cuts off who sends no request, and who takes nothing of what waits for it. */
static void look_for_stalled(void *context, struct monotime now)
{
	struct control *control = context;
	for (struct control_client *client = control->clients, *next; client != NULL; client = next) {
		next = client->next;
		int64_t idle_us = monotime_sub(now, client->active).us;
		if ((!client->has_request && idle_us > REQUEST_WAIT_S * 1000000LL) ||
		    (client->output_length > 0 && idle_us > CONTROL_STALL_S * 1000000LL))
			close_client(client);
	}
	control->timer.deadline = monotime_add(now, monotime_from_s(1));
}

int control_serve(struct control *control, struct loop *loop, struct log *log, control_handler *handler,
		  void *context)
{
	control->loop = loop;
	control->log = log;
	control->handler = handler;
	control->context = context;
	control->timer = (struct loop_timer){.deadline = monotime_add(clock_now(), monotime_from_s(1)),
					     .expired = look_for_stalled,
					     .context = control,
					     .patience_us = STALL_PATIENCE_US};
	control->wake_timer =
	    (struct loop_timer){.deadline = MONOTIME_NEVER, .expired = wake, .context = control};
	loop_add_timer(loop, &control->timer);
	loop_add_timer(loop, &control->wake_timer);
	return loop_add(loop, control->fd, EPOLLIN, accept_clients, control, &control->source);
}

unsigned control_clients(const struct control *control)
{
	return control->clients_count;
}

bool control_may_read(const struct control_client *client)
{
	return client->may_read;
}

bool control_is_administrator(const struct control_client *client)
{
	return client->is_administrator;
}

struct log_subject control_subject(const struct control_client *client)
{
	return subject_of(&client->who);
}
