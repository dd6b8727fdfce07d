// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many TCP connections that keep talking, and a verdict on which of them survived a cut.
 *
 *   traffic serve   --address A --port P [--ports N] [--interval MS] [--verdict S] [--duration S]
 *   traffic connect --address A --port P [--ports N] --count N [--speak client|server|half] [--from A]...
 *                   [--rate N] [--interval MS] [--verdict S] [--duration S]
 *
 * On each connection one end is the speaker: it sends a numbered message every interval, and the other end
 * answers it. Only the speaker judges a connection, so that the sums of both processes count each connection
 * once.
 *
 * Signals: USR1 marks the cut; USR2 prints a summary; TERM and INT print a summary and end. Standard output
 * carries one JSON object a line: {"event":"ready"|"marked"|"decided"|"summary", ...}. "decided" comes by
 * itself as soon as the fate of every connection since the mark is known: an answer to a message that was
 * sent after the mark came (alive), an error (killed), or nothing within --verdict seconds (hung, which
 * counts as killed).
 */
#include "traffic.h"
#include "tool.h"
#include "traffic_verdict.h"

#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTING_MAX = 256, EVENTS = 512 };
enum { TAG_SIGNAL = UINT32_MAX, TAG_LISTEN = UINT32_MAX - 1 };

static enum fate fate_from_errno(int error)
{
	switch (error) {
	case ECONNRESET:
	case EPIPE:
		return FATE_RESET;
	case ETIMEDOUT:
		return FATE_TIMEOUT;
	case ECONNREFUSED:
		return FATE_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return FATE_UNREACHABLE;
	default:
		return FATE_OTHER;
	}
}

/* A connection counts for the verdict when this end speaks on it and it was open at the mark. */
static bool connection_is_judged(const struct connection *connection)
{
	return connection->speaks && connection->was_open;
}

static void connection_end(struct traffic *traffic, struct connection *connection, enum fate fate)
{
	if (connection->fate == FATE_CONNECTING)
		traffic->connecting--;
	if (traffic->mark_ns && connection_is_judged(connection) && !connection->is_proven &&
	    traffic->undecided)
		traffic->undecided--;
	connection->fate = fate;
	close(connection->fd);
	connection->fd = -1;
	traffic->dead++;
}

static void connection_watch(struct traffic *traffic, struct connection *connection, int operation,
			     uint32_t events)
{
	struct epoll_event event = {.events = events,
				    .data.u32 = (uint32_t)(connection - traffic->connections)};

	if (epoll_ctl(traffic->epoll, operation, connection->fd, &event) < 0)
		tool_die("epoll_ctl: %s", strerror(errno));
}

/* Sends length bytes, or keeps what the socket does not take; a message that finds one waiting is left out.
 */
static void connection_send(struct traffic *traffic, struct connection *connection,
			    const struct message *message)
{
	ssize_t sent;

	if (connection->out_length)
		return;
	sent = send(connection->fd, message, sizeof(*message), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		connection_end(traffic, connection, fate_from_errno(errno));
		return;
	}
	if (sent < 0)
		sent = 0;
	if ((size_t)sent < sizeof(*message)) {
		memcpy(connection->out, message, sizeof(*message));
		connection->out_length = (uint8_t)(sizeof(*message) - (size_t)sent);
		connection_watch(traffic, connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	}
}

static void connection_flush(struct traffic *traffic, struct connection *connection)
{
	const uint8_t *rest = connection->out + sizeof(connection->out) - connection->out_length;
	ssize_t sent = send(connection->fd, rest, connection->out_length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			connection_end(traffic, connection, fate_from_errno(errno));
		return;
	}
	connection->out_length = (uint8_t)(connection->out_length - sent);
	if (!connection->out_length)
		connection_watch(traffic, connection, EPOLL_CTL_MOD, EPOLLIN);
}

/* An exchange is complete: what was sent has been answered. */
static void connection_exchange(struct traffic *traffic, struct connection *connection, uint64_t number)
{
	int64_t now_ns = tool_now_ns();
	int64_t wait_ns = now_ns - connection->last_ns;

	if (wait_ns > connection->longest_ns)
		connection->longest_ns = wait_ns;
	connection->last_ns = now_ns;
	if (traffic->mark_ns && connection_is_judged(connection) && !connection->is_proven &&
	    number > connection->sent_at_mark && now_ns <= traffic->mark_ns + traffic->verdict_ns) {
		connection->is_proven = true;
		traffic->undecided--;
	}
}

static void connection_receive(struct traffic *traffic, struct connection *connection,
			       const struct message *message)
{
	struct message answer = {.type = MESSAGE_PONG, .index = message->index, .number = message->number};

	if (message->type == MESSAGE_HELLO) {
		connection->index = message->index;
		connection->speaks = message->number == SPEAKER_SERVER;
		return;
	}
	if (!connection->has_talked) {
		connection->has_talked = true;
		traffic->talking++;
	}
	if (message->type == MESSAGE_PONG)
		connection_exchange(traffic, connection, message->number);
	else
		connection_send(traffic, connection, &answer);
}

static void connection_read(struct traffic *traffic, struct connection *connection)
{
	uint8_t buffer[64 * sizeof(struct message)];
	struct message message;
	size_t length = connection->in_length, at = 0;
	ssize_t got;

	memcpy(buffer, connection->in, length);
	got = recv(connection->fd, buffer + length, sizeof(buffer) - length, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		connection_end(traffic, connection, got ? fate_from_errno(errno) : FATE_CLOSED);
		return;
	}
	length += (size_t)got;
	for (; length - at >= sizeof(message) && connection->fd >= 0; at += sizeof(message)) {
		memcpy(&message, buffer + at, sizeof(message));
		connection_receive(traffic, connection, &message);
	}
	connection->in_length = (uint8_t)((length - at) % sizeof(message));
	memcpy(connection->in, buffer + at, connection->in_length);
}

static struct connection *traffic_add(struct traffic *traffic, int fd, enum fate fate)
{
	struct connection *connection = &traffic->connections[traffic->count++];
	int one = 1;

	memset(connection, 0, sizeof(*connection));
	connection->fd = fd;
	connection->fate = fate;
	connection->was_opened = fate == FATE_OPEN;
	connection->last_ns = tool_now_ns();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	connection_watch(traffic, connection, EPOLL_CTL_ADD,
			 fate == FATE_OPEN ? EPOLLIN : EPOLLIN | EPOLLOUT);
	return connection;
}

static void traffic_accept(struct traffic *traffic, int listener)
{
	int fd;

	while (traffic->count < CONNECTIONS_MAX) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		traffic_add(traffic, fd, FATE_OPEN);
	}
}

static void traffic_connect_one(struct traffic *traffic)
{
	struct sockaddr_storage to, from;
	uint32_t index = traffic->count;
	socklen_t length =
	    tool_address(traffic->address, (uint16_t)(traffic->port + index % traffic->ports), &to);
	struct connection *connection;
	int one = 1, fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		tool_die("socket: %s", strerror(errno));
	if (traffic->source_count) {
		socklen_t size = tool_address(traffic->sources[index % traffic->source_count], 0, &from);

		/* the port is chosen at connect, so that one port serves several destinations (ip(7)) */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&from, size) < 0)
			tool_die("bind: %s", strerror(errno));
	}
	if (connect(fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS)
		tool_die("connect: %s", strerror(errno));
	connection = traffic_add(traffic, fd, FATE_CONNECTING);
	connection->index = index;
	/* spread evenly, whatever the share is */
	connection->speaks = (index * traffic->speak_percent) % 100 + traffic->speak_percent < 100;
	traffic->connecting++;
}

static void traffic_connect_due(struct traffic *traffic, int64_t now_ns)
{
	while (traffic->is_client && traffic->count < traffic->wanted &&
	       traffic->connecting < CONNECTING_MAX && traffic->next_connect_ns <= now_ns) {
		traffic_connect_one(traffic);
		traffic->next_connect_ns += 1000000000 / traffic->rate;
	}
}

static void connection_connected(struct traffic *traffic, struct connection *connection)
{
	struct message hello = {.type = MESSAGE_HELLO, .index = connection->index};
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error) {
		connection_end(traffic, connection, fate_from_errno(error));
		return;
	}
	traffic->connecting--;
	connection->fate = FATE_OPEN;
	connection->was_opened = true;
	hello.number = connection->speaks ? SPEAKER_CLIENT : SPEAKER_SERVER;
	connection_watch(traffic, connection, EPOLL_CTL_MOD, EPOLLIN);
	connection_send(traffic, connection, &hello);
}

static void connection_event(struct traffic *traffic, struct connection *connection, uint32_t events)
{
	if (connection->fd < 0)
		return;
	if (connection->fate == FATE_CONNECTING) {
		connection_connected(traffic, connection);
		return;
	}
	if ((events & EPOLLOUT) && connection->out_length)
		connection_flush(traffic, connection);
	if (connection->fd >= 0 && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		connection_read(traffic, connection);
}

/* Speaks on each connection once an interval, spread evenly over it. */
static void traffic_speak(struct traffic *traffic, int64_t now_ns)
{
	struct connection *connection;
	struct message message = {.type = MESSAGE_PING};

	if (!traffic->count || traffic->turn_ns < now_ns - traffic->interval_ns)
		traffic->turn_ns = now_ns;
	while (traffic->count && traffic->turn_ns <= now_ns) {
		traffic->cursor = (traffic->cursor + 1) % traffic->count;
		traffic->turn_ns += traffic->interval_ns / traffic->count + 1;
		connection = &traffic->connections[traffic->cursor];
		if (connection->fate != FATE_OPEN || !connection->speaks || connection->out_length)
			continue;
		message.index = connection->index;
		message.number = ++connection->sent;
		connection_send(traffic, connection, &message);
	}
}

static void traffic_mark(struct traffic *traffic)
{
	uint32_t i;

	traffic->mark_ns = tool_now_ns();
	traffic->is_decided = false;
	traffic->undecided = 0;
	for (i = 0; i < traffic->count; i++) {
		struct connection *connection = &traffic->connections[i];

		connection->was_open = connection->fate == FATE_OPEN;
		connection->is_proven = false;
		connection->sent_at_mark = connection->sent;
		connection->longest_ns = 0;
		traffic->undecided += connection_is_judged(connection);
	}
	printf("{\"event\":\"marked\",\"speaking\":%u}\n", traffic->undecided);
	fflush(stdout);
}

static void traffic_signal(struct traffic *traffic)
{
	struct signalfd_siginfo info;

	if (read(traffic->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		traffic_mark(traffic);
	else if (info.ssi_signo == SIGUSR2)
		traffic_report(traffic, "summary");
	else
		traffic->is_over = true;
}

/* Says once that all is set up, and once for each mark that every fate is known. */
static void traffic_announce(struct traffic *traffic, int64_t now_ns)
{
	if (traffic->is_client && !traffic->is_ready && traffic->count == traffic->wanted &&
	    traffic->talking + traffic->dead >= traffic->wanted) {
		traffic->is_ready = true;
		traffic_report(traffic, "ready");
	}
	if (traffic->mark_ns && !traffic->is_decided &&
	    (!traffic->undecided || now_ns > traffic->mark_ns + traffic->verdict_ns)) {
		traffic->is_decided = true;
		traffic_report(traffic, "decided");
	}
	if (traffic->end_ns && now_ns > traffic->end_ns)
		traffic->is_over = true;
}

static void traffic_run(struct traffic *traffic)
{
	struct epoll_event events[EVENTS];
	int64_t now_ns;
	int i, count;

	while (!traffic->is_over) {
		count = epoll_wait(traffic->epoll, events, EVENTS, traffic->count ? 1 : 20);
		for (i = 0; i < count; i++) {
			uint32_t tag = events[i].data.u32;

			if (tag == TAG_SIGNAL)
				traffic_signal(traffic);
			else if (tag > TAG_LISTEN - PORTS_MAX)
				traffic_accept(traffic, traffic->listeners[TAG_LISTEN - tag]);
			else
				connection_event(traffic, &traffic->connections[tag], events[i].events);
		}
		now_ns = tool_now_ns();
		traffic_connect_due(traffic, now_ns);
		traffic_speak(traffic, now_ns);
		traffic_announce(traffic, now_ns);
	}
	traffic_report(traffic, "summary");
}

static void traffic_listen(struct traffic *traffic)
{
	struct sockaddr_storage address;
	struct epoll_event event = {.events = EPOLLIN};
	uint32_t i;
	int one = 1;

	for (i = 0; i < traffic->ports; i++) {
		socklen_t length = tool_address(traffic->address, (uint16_t)(traffic->port + i), &address);
		int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd < 0)
			tool_die("socket: %s", strerror(errno));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0)
			tool_die("%s port %u: %s", traffic->address, traffic->port + i, strerror(errno));
		traffic->listeners[i] = fd;
		event.data.u32 = TAG_LISTEN - i;
		if (epoll_ctl(traffic->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			tool_die("epoll_ctl: %s", strerror(errno));
	}
	traffic_report(traffic, "ready");
}

static void traffic_prepare(struct traffic *traffic)
{
	struct rlimit files;
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = TAG_SIGNAL};
	sigset_t set;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	traffic->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	traffic->epoll = epoll_create1(EPOLL_CLOEXEC);
	traffic->connections = calloc(CONNECTIONS_MAX, sizeof(*traffic->connections));
	if (traffic->signals < 0 || traffic->epoll < 0 || !traffic->connections ||
	    epoll_ctl(traffic->epoll, EPOLL_CTL_ADD, traffic->signals, &event) < 0)
		tool_die("set-up: %s", strerror(errno));
	traffic->turn_ns = traffic->next_connect_ns = tool_now_ns();
}

static uint32_t speak_percent(const char *text)
{
	if (!strcmp(text, "client"))
		return 0;
	if (!strcmp(text, "server"))
		return 100;
	if (!strcmp(text, "half"))
		return 50;
	return (uint32_t)tool_number("speak", text, 0, 100);
}

static void traffic_option(struct traffic *traffic, int option)
{
	switch (option) {
	case 'a':
		traffic->address = optarg;
		break;
	case 'p':
		traffic->port = (uint16_t)tool_number("port", optarg, 1, 65535);
		break;
	case 'P':
		traffic->ports = (uint32_t)tool_number("ports", optarg, 1, PORTS_MAX);
		break;
	case 'c':
		traffic->wanted = (uint32_t)tool_number("count", optarg, 1, CONNECTIONS_MAX);
		break;
	case 's':
		traffic->speak_percent = speak_percent(optarg);
		break;
	case 'f':
		if (traffic->source_count == SOURCES_MAX)
			tool_die("--from: at most %d", SOURCES_MAX);
		traffic->sources[traffic->source_count++] = optarg;
		break;
	case 'r':
		traffic->rate = (uint32_t)tool_number("rate", optarg, 1, 1000000);
		break;
	case 'i':
		traffic->interval_ns = (int64_t)tool_number("interval", optarg, 1, 3600000) * 1000000;
		break;
	case 'v':
		traffic->verdict_ns = (int64_t)tool_number("verdict", optarg, 1, 3600) * 1000000000;
		break;
	case 'd':
		traffic->end_ns =
		    tool_now_ns() + (int64_t)tool_number("duration", optarg, 1, 86400) * 1000000000;
		break;
	default:
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"address", 1, NULL, 'a'},
						{"port", 1, NULL, 'p'},
						{"ports", 1, NULL, 'P'},
						{"count", 1, NULL, 'c'},
						{"speak", 1, NULL, 's'},
						{"from", 1, NULL, 'f'},
						{"rate", 1, NULL, 'r'},
						{"interval", 1, NULL, 'i'},
						{"verdict", 1, NULL, 'v'},
						{"duration", 1, NULL, 'd'},
						{0}};
	struct traffic traffic = {.ports = 1,
				  .rate = 4000,
				  .speak_percent = 50,
				  .interval_ns = 200000000,
				  .verdict_ns = 30000000000,
				  .end_ns = tool_now_ns() + 600000000000};
	int option;

	if (argc < 2 || (strcmp(argv[1], "serve") && strcmp(argv[1], "connect")))
		tool_die("usage: traffic serve|connect --address A --port P [options]");
	traffic.is_client = !strcmp(argv[1], "connect");
	optind = 2;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		traffic_option(&traffic, option);
	if (!traffic.address || !traffic.port || (traffic.is_client && !traffic.wanted))
		tool_die("--address and --port are needed, and --count to connect");
	traffic_prepare(&traffic);
	if (!traffic.is_client)
		traffic_listen(&traffic);
	traffic_run(&traffic);
	free(traffic.connections);
	return 0;
}
