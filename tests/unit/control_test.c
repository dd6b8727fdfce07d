/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's server in a thread, and clients that behave and misbehave. */
#include "syncd/daemon/clock.h"
#include "syncd/daemon/control.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { STREAM_PIECES = 64, PIECE_SIZE = 64 << 10 };

struct world {
	char directory[40], path[80];
	struct loop *loop;
	struct log *log;
	struct control *control;
	pthread_t thread;
	bool runs;
};

static void no_log(void *context, int level, const char *id, const char *text)
{
	(void)context, (void)level, (void)id, (void)text;
}

struct stream {
	unsigned pieces;
};

static void more(void *context, struct control_client *client)
{
	static const uint8_t piece[PIECE_SIZE];
	struct stream *stream = context;
	control_send(client, MESSAGE_RECORDS, piece, sizeof(piece));
	if (++stream->pieces == STREAM_PIECES)
		control_finish(client, 0, "all sent");
}

static void gone(void *context, struct control_client *client)
{
	(void)client;
	free(context);
}

static void handle(void *context, struct control_client *client, const struct message_request *request)
{
	struct world *world = context;
	if (strcmp(request->verb, "echo") == 0) {
		const char *text = message_argument(request, "text");
		control_print(client, MESSAGE_TEXT, "%s", text != NULL ? text : "");
		control_finish(client, 7, "done");
	} else if (strcmp(request->verb, "stream") == 0) {
		control_set_stream(client, more, gone, calloc(1, sizeof(struct stream)));
	} else if (strcmp(request->verb, "flood") == 0) {
		static const uint8_t large[1 << 20];
		for (unsigned i = 0; i < 8; i++)
			control_send(client, MESSAGE_TEXT, large, sizeof(large));
		control_finish(client, 0, "%s", "");
	} else if (strcmp(request->verb, "wait") == 0) {
		control_set_stream(client, more, gone, calloc(1, sizeof(struct stream)));
		control_wait(client, monotime_add(clock_now(), monotime_from_ms(100)));
	} else if (strcmp(request->verb, "stop") == 0) {
		loop_stop(world->loop);
	}
}

static void *serve(void *context)
{
	struct world *world = context;
	loop_run(world->loop);
	return NULL;
}

static int make_world_for(gid_t group, void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct config_log_target target = {.destination = CONFIG_LOG_STDERR};
	strcpy(world->directory, "/tmp/twintrack-control-XXXXXX");
	if (mkdtemp(world->directory) == NULL || loop_open(&world->loop) < 0)
		return -1;
	snprintf(world->path, sizeof(world->path), "%s/s", world->directory);
	world->log = log_open(LOG_DEBUG, target, clock_now);
	log_set_output(world->log, no_log, NULL);
	if (control_open(&world->control, world->path, group) < 0 ||
	    control_serve(world->control, world->loop, world->log, handle, world) < 0)
		return -1;
	world->runs = pthread_create(&world->thread, NULL, serve, world) == 0;
	*state = world;
	return world->runs ? 0 : -1;
}

static int make_world(void **state)
{
	return make_world_for((gid_t)-1, state);
}

static int make_world_of_administrators(void **state)
{
	return make_world_for(getgid(), state);
}

static int connect_to(const struct world *world)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 20};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_request(int fd, const char *payload, size_t length)
{
	uint8_t header[MESSAGE_HEADER_SIZE];
	struct writer w = writer_over(header, sizeof(header));
	message_write_header(&w, MESSAGE_REQUEST, length);
	assert_int_equal(send(fd, header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
	assert_int_equal(send(fd, payload, length, MSG_NOSIGNAL), length);
}

static int ask(const struct world *world, const char *payload, size_t length)
{
	int fd = connect_to(world);
	send_request(fd, payload, length);
	return fd;
}

#define ASK(world, text) ask(world, text, sizeof(text))

/* Reads `length` bytes; false at the end of the stream. */
static bool read_whole(int fd, uint8_t *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = recv(fd, bytes + done, length - done, 0);
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

/* Reads a message; 0: the connection was closed. */
static enum message_type read_message(int fd, uint8_t *payload, size_t *length)
{
	uint8_t header[MESSAGE_HEADER_SIZE];
	enum message_type type;
	if (!read_whole(fd, header, sizeof(header)))
		return 0;
	assert_int_equal(message_read_header(header, &type, length), 0);
	assert_true(read_whole(fd, payload, *length));
	return type;
}

static int end_world(void **state)
{
	struct world *world = *state;
	char byte;
	int fd = ASK(world, "stop");
	pthread_join(world->thread, NULL);
	control_close(world->control);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
	assert_int_equal(access(world->path, F_OK), -1);
	loop_close(world->loop);
	log_close(world->log);
	rmdir(world->directory);
	free(world);
	return 0;
}

static void expect_echo(const struct world *world)
{
	uint8_t *payload = malloc(MESSAGE_PAYLOAD_MAX);
	size_t length;
	int fd = ASK(world, "echo\0text=hello");
	assert_int_equal(read_message(fd, payload, &length), MESSAGE_TEXT);
	assert_int_equal(length, 5);
	assert_memory_equal(payload, "hello", 5);
	assert_int_equal(read_message(fd, payload, &length), MESSAGE_RESULT);
	assert_int_equal(payload[0], 7);
	assert_int_equal(read_message(fd, payload, &length), 0);
	close(fd);
	free(payload);
}

static void a_request_is_answered_and_the_connection_closed(void **state)
{
	expect_echo(*state);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char request[] = "\0\0\0\5\1echo";
	uint8_t payload[64];
	size_t length;
	int fd = connect_to(*state);
	for (size_t i = 0; i < sizeof(request); i++)
		assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
	assert_int_equal(read_message(fd, payload, &length), MESSAGE_TEXT);
	assert_int_equal(read_message(fd, payload, &length), MESSAGE_RESULT);
	close(fd);
}

static void expect_refusal(const struct world *world, const void *bytes, size_t size)
{
	uint8_t payload[256];
	size_t length;
	int fd = connect_to(world);
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
	assert_int_equal(read_message(fd, payload, &length), MESSAGE_RESULT);
	assert_int_equal(payload[0], 2);
	close(fd);
}

static void what_is_no_request_is_refused(void **state)
{
	expect_refusal(*state, "GET / HTTP/1.1\r\n\r\n", 18);
	expect_refusal(*state, "\0\0\0\4\3echo", 9);   /* another type of message */
	expect_refusal(*state, "\0\0\0\4\1echo", 9);   /* not terminated */
	expect_refusal(*state, "\0\0\x20\0\1echo", 9); /* larger than a request may be */
	expect_refusal(*state, "\xff\xff\xff\xff\1", 5);
	expect_echo(*state);
}

static void a_stream_is_sent_whole_however_slowly_it_is_read(void **state)
{
	uint8_t *payload = malloc(MESSAGE_PAYLOAD_MAX);
	size_t length, total = 0;
	int fd = ASK(*state, "stream");
	enum message_type type;
	while ((type = read_message(fd, payload, &length)) == MESSAGE_RECORDS) {
		total += length;
		if (total % (8 * PIECE_SIZE) == 0)
			expect_echo(*state); /* others are served meanwhile */
	}
	assert_int_equal(type, MESSAGE_RESULT);
	assert_int_equal(total, (size_t)STREAM_PIECES * PIECE_SIZE);
	close(fd);
	free(payload);
}

static void clients_that_stop_reading_hold_up_nobody(void **state)
{
	int stalled[CONTROL_OF_USER_MAX - 1];
	for (unsigned i = 0; i < CONTROL_OF_USER_MAX - 1; i++)
		stalled[i] = ASK(*state, "stream");
	for (unsigned i = 0; i < CONTROL_OF_USER_MAX - 1; i++)
		expect_echo(*state);
	for (unsigned i = 0; i < CONTROL_OF_USER_MAX - 1; i++)
		close(stalled[i]);
	expect_echo(*state);
}

static void an_answer_beyond_the_queue_is_cut_off(void **state)
{
	uint8_t *payload = malloc(MESSAGE_PAYLOAD_MAX);
	uint8_t header[MESSAGE_HEADER_SIZE];
	int fd = ASK(*state, "flood");
	assert_false(read_whole(fd, header, sizeof(header)) && read_whole(fd, payload, MESSAGE_PAYLOAD_MAX) &&
		     read_whole(fd, header, sizeof(header)) && read_whole(fd, payload, MESSAGE_PAYLOAD_MAX));
	close(fd);
	expect_echo(*state);
	free(payload);
}

static void a_client_that_leaves_in_the_middle_is_forgotten(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < 200; i++)
		close(ASK(world, "stream"));
	expect_echo(world);
}

static void a_stream_that_waits_goes_on_by_itself(void **state)
{
	uint8_t *payload = malloc(MESSAGE_PAYLOAD_MAX);
	size_t length;
	struct monotime before = clock_now();
	int fd = ASK(*state, "wait");
	assert_int_equal(read_message(fd, payload, &length), MESSAGE_RECORDS);
	assert_true(monotime_sub(clock_now(), before).us >= 100000);
	close(fd);
	free(payload);
}

static void crowd(const struct world *world, int *connections, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		connections[i] = connect_to(world);
}

/* How many of them were turned away within `wait_us` for each. */
static unsigned turned_away(const int *connections, unsigned count, long wait_us)
{
	struct timeval wait = {.tv_usec = wait_us};
	unsigned cut = 0;
	for (unsigned i = 0; i < count; i++) {
		char byte;
		setsockopt(connections[i], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		cut += recv(connections[i], &byte, 1, 0) == 0;
	}
	return cut;
}

static void leave(const int *connections, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(connections[i]);
}

static void there_is_a_bound_to_the_number_of_clients(void **state)
{
	enum { COUNT = CONTROL_CLIENTS_MAX + 10 };
	int idle[COUNT];
	crowd(*state, idle, COUNT);
	/* who isn't root has fewer places */
	assert_int_equal(turned_away(idle, COUNT, 20000),
			 COUNT - (getuid() == 0 ? CONTROL_CLIENTS_MAX : CONTROL_OF_USER_MAX));
	leave(idle, COUNT);
	expect_echo(*state);
}

/* This thread connects as that user from now on; the C library's call would change the server's, too. */
static void become(uid_t uid)
{
	assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
}

/*
 * USERS users take what they get; returns how many were turned away of COUNT connections each.  Connections
 * are taken in their order, so once root, who came last, is answered all others have had their answer.
 */
enum { USERS = 5, COUNT = CONTROL_OF_USER_MAX + 5 };
static unsigned crowd_of_users(const struct world *world, int idle[USERS][COUNT])
{
	unsigned cut = 0;
	chmod(world->directory, 0755);
	for (unsigned user = 0; user < USERS; user++) {
		become(1001 + user);
		crowd(world, idle[user], COUNT);
		become(0);
		expect_echo(world);
		cut += turned_away(idle[user], COUNT, 1);
	}
	return cut;
}

static void one_user_cannot_take_the_places_of_others(void **state)
{
	struct world *world = *state;
	int idle[USERS][COUNT];
	if (getuid() != 0)
		skip();
	assert_int_equal(crowd_of_users(world, idle), USERS * COUNT - CONTROL_READERS_MAX);
	assert_int_equal(turned_away(idle[0], COUNT, 1), COUNT - CONTROL_OF_USER_MAX);
	assert_int_equal(turned_away(idle[1], COUNT, 1), COUNT - CONTROL_OF_USER_MAX);
	leave(idle[0], USERS * COUNT);
	expect_echo(world);
	become(1001);
	expect_echo(world);
	become(0);
}

static void root_gets_through_a_crowd_of_administrators(void **state)
{
	struct world *world = *state;
	int idle[USERS][COUNT];
	if (getuid() != 0)
		skip();
	assert_int_equal(crowd_of_users(world, idle), USERS * COUNT - CONTROL_NOT_ROOT_MAX);
	int own[CONTROL_CLIENTS_MAX - CONTROL_NOT_ROOT_MAX - 1];
	crowd(world, own, sizeof(own) / sizeof(own[0]));
	expect_echo(world);
	leave(own, sizeof(own) / sizeof(own[0]));
	leave(idle[0], USERS * COUNT);
}

static void a_socket_that_is_served_is_not_taken_away(void **state)
{
	struct world *world = *state;
	struct control *second;
	assert_int_equal(control_probe(world->path), -EADDRINUSE);
	assert_int_equal(control_open(&second, world->path, (gid_t)-1), -EADDRINUSE);
	expect_echo(world);
}

static void a_socket_that_nobody_serves_is_replaced(void **state)
{
	char path[] = "/tmp/twintrack-stale-XXXXXX";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct control *control;
	(void)state;
	close(mkstemp(path));
	unlink(path);
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* as after kill -9: the file stays */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(control_open(&control, path, (gid_t)-1), 0);
	control_close(control);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	char path[] = "/tmp/twintrack-file-XXXXXX";
	struct control *control;
	(void)state;
	close(mkstemp(path));
	assert_int_equal(control_open(&control, path, (gid_t)-1), -EEXIST);
	assert_int_equal(unlink(path), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_request_is_answered_and_the_connection_closed),
	    TEST(a_request_may_come_byte_by_byte),
	    TEST(what_is_no_request_is_refused),
	    TEST(a_stream_is_sent_whole_however_slowly_it_is_read),
	    TEST(clients_that_stop_reading_hold_up_nobody),
	    TEST(an_answer_beyond_the_queue_is_cut_off),
	    TEST(a_client_that_leaves_in_the_middle_is_forgotten),
	    TEST(a_stream_that_waits_goes_on_by_itself),
	    TEST(there_is_a_bound_to_the_number_of_clients),
	    TEST(one_user_cannot_take_the_places_of_others),
	    cmocka_unit_test_setup_teardown(root_gets_through_a_crowd_of_administrators,
					    make_world_of_administrators, end_world),
	    TEST(a_socket_that_is_served_is_not_taken_away),
	    cmocka_unit_test(a_socket_that_nobody_serves_is_replaced),
	    cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
