/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/events.h"
#include "syncd/cli/conntrack/expect.h"
#include "syncd/cli/conntrack/filter.h"
#include "syncd/cli/conntrack/show.h"
#include "syncd/kernel/convert.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
	RECEIVE_BYTES = 64 * 1024,
	ROUND_MAX = 4096, /* events between two looks at the signals */
	LOSS_PAUSE_S = 1,
};

struct listening {
	const struct cli *cli;
	const struct request *request;
	struct show *show;
	struct mnl_socket *socket;
	int signals;
	unsigned long long losses;
	struct events_loss loss;
	char process[32];
	uint32_t process_port;
	_Alignas(8) uint8_t bytes[RECEIVE_BYTES];
};

static unsigned groups_of(const struct request *request)
{
	static const unsigned flow_bits[] = {1u << (NFNLGRP_CONNTRACK_NEW - 1),
					     1u << (NFNLGRP_CONNTRACK_UPDATE - 1),
					     1u << (NFNLGRP_CONNTRACK_DESTROY - 1)};
	static const unsigned expect_bits[] = {1u << (NFNLGRP_CONNTRACK_EXP_NEW - 1),
					       1u << (NFNLGRP_CONNTRACK_EXP_UPDATE - 1),
					       1u << (NFNLGRP_CONNTRACK_EXP_DESTROY - 1)};
	const unsigned *bits = request_is_about_expectations(request) ? expect_bits : flow_bits;
	unsigned events = request->events ? request->events : EVENT_ALL, groups = 0;

	for (unsigned i = 0; i < 3; i++)
		if (events >> i & 1)
			groups |= bits[i];
	return groups;
}

/* What was asked for; without the capability for more, what the system grants.  Returns the kernel's figure.
 */
static int set_buffer(int fd, uint32_t asked)
{
	const int bytes = (int)asked;
	int granted = 0;
	socklen_t length = sizeof(granted);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length);
	return granted;
}

static int open_socket(struct listening *listening)
{
	const struct request *request = listening->request;
	int error;

	listening->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!listening->socket)
		return -errno;
	if (request_has(request, OPTION_BUFFER_SIZE))
		fprintf(stderr, "NOTICE: Netlink socket buffer size has been set to %d bytes.\n",
			set_buffer(mnl_socket_get_fd(listening->socket), request->buffer_size));
	if (mnl_socket_bind(listening->socket, groups_of(request), MNL_SOCKET_AUTOPID) == 0)
		return 0;
	error = -errno;
	mnl_socket_close(listening->socket);
	return error;
}

/* A process's first netlink socket bears its pid as its port (netlink_autobind()); others have none to show.
 */
static const char *find_process(struct listening *listening, uint32_t port)
{
	char path[64];
	FILE *file;

	if (!port)
		return NULL;
	if (port != listening->process_port) {
		listening->process_port = port;
		listening->process[0] = 0;
		snprintf(path, sizeof(path), "/proc/%u/comm", port);
		file = fopen(path, "re");
		if (file && fgets(listening->process, sizeof(listening->process), file))
			listening->process[strcspn(listening->process, "\n")] = 0;
		if (file)
			fclose(file);
	}
	return listening->process[0] ? listening->process : NULL;
}

static void take_flow(struct listening *listening, const struct nlmsghdr *message, struct format_event *event)
{
	static const enum format_event_kind kinds[] = {[CONVERT_NEW] = FORMAT_EVENT_NEW,
						       [CONVERT_UPDATE] = FORMAT_EVENT_UPDATE,
						       [CONVERT_DESTROY] = FORMAT_EVENT_DESTROY};
	enum convert_kind kind;
	struct flow flow;

	if (convert_from_message(message, &flow, &kind) || !filter_matches(listening->request, &flow))
		return;
	event->kind = kinds[kind];
	event->process = find_process(listening, event->port);
	show_flow(listening->show, &flow);
}

static void take_expectation(struct listening *listening, const struct nlmsghdr *message,
			     struct format_event *event)
{
	struct expectation expectation;

	if (expectation_read(message, &expectation))
		return;
	event->kind = (message->nlmsg_type & 0xff) == IPCTNL_MSG_EXP_DELETE ? FORMAT_EVENT_DESTROY
		      : message->nlmsg_flags & NLM_F_CREATE                 ? FORMAT_EVENT_NEW
									    : FORMAT_EVENT_UPDATE;
	event->process = find_process(listening, event->port);
	expect_format(listening->request)->row(&listening->show->dump, &expectation);
	listening->show->flows++;
}

static void take_message(struct listening *listening, const struct nlmsghdr *message)
{
	struct show *show = listening->show;
	struct format_event event = {.port = message->nlmsg_pid};
	struct timeval now;

	gettimeofday(&now, NULL);
	event.time_s = now.tv_sec;
	event.time_us = (uint32_t)now.tv_usec;
	show->dump.now_s = now.tv_sec;
	show->dump.event = &event;
	if (message->nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK)
		take_flow(listening, message, &event);
	else
		take_expectation(listening, message, &event);
	show->dump.event = NULL;
}

bool events_loss_is_due(struct events_loss *loss, unsigned long long lost, bool at_end)
{
	time_t now = time(NULL);

	if (lost == loss->told || (!at_end && now - loss->time < LOSS_PAUSE_S))
		return false;
	loss->told = lost;
	loss->time = now;
	return true;
}

static void tell_losses(struct listening *listening, bool at_end)
{
	if (!events_loss_is_due(&listening->loss, listening->losses, at_end))
		return;
	fprintf(
	    stderr,
	    "WARNING: events were lost %llu times (ENOBUFS): the socket's buffer is too small; see --buffer-size.\n",
	    listening->losses);
}

/* Reads what is there.  0, or the negative errno that ends the run. */
static int receive(struct listening *listening)
{
	for (unsigned i = 0; i < ROUND_MAX; i++) {
		ssize_t length =
		    mnl_socket_recvfrom(listening->socket, listening->bytes, sizeof(listening->bytes));
		const struct nlmsghdr *message = (const struct nlmsghdr *)listening->bytes;
		int left = (int)length;

		if (length < 0 && errno == ENOBUFS) {
			listening->losses++;
			continue;
		}
		if (length < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
			take_message(listening, message);
	}
	return 0;
}

/* 0 after a signal or when nobody reads, or a negative errno. */
static int listen_on(struct listening *listening)
{
	struct pollfd fds[] = {{.fd = mnl_socket_get_fd(listening->socket), .events = POLLIN},
			       {.fd = listening->signals, .events = POLLIN}};
	int error = 0;

	while (!error && !listening->show->output.error) {
		bool owes = listening->losses != listening->loss.told;

		if (poll(fds, 2, owes ? LOSS_PAUSE_S * 1000 : -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return 0;
		error = receive(listening);
		/* each round reaches the reader: a line is not held back for the next */
		output_flush(&listening->show->output);
		tell_losses(listening, false);
	}
	return error;
}

int events_open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int end_output(struct listening *listening)
{
	const struct expectation_format *format = expect_format(listening->request);
	struct show *show = listening->show;

	if (!request_is_about_expectations(listening->request))
		return show_end(show, listening->cli, CLI_DONE);
	if (format->end)
		format->end(&show->dump);
	return show_flush(show, listening->cli, CLI_DONE);
}

static int run(struct listening *listening, struct labels *labels)
{
	const struct cli *cli = listening->cli;
	int error, code;

	listening->signals = events_open_signals();
	error = listening->signals < 0 ? -errno : open_socket(listening);
	if (error) {
		request_say(cli, "listening for events failed: %s%s", strerror(-error),
			    error == -EPERM ? " (root, or CAP_NET_ADMIN, is needed)" : "");
		return CLI_FAILED;
	}
	show_start(listening->show, cli, listening->request, labels);
	error = listen_on(listening);
	code = end_output(listening);
	tell_losses(listening, true);
	if (error) {
		request_say(cli, "receiving events failed: %s", strerror(-error));
		code = CLI_FAILED;
	}
	request_say(cli, "%llu %s events have been shown.", listening->show->flows,
		    request_is_about_expectations(listening->request) ? "expectation" : "flow");
	mnl_socket_close(listening->socket);
	close(listening->signals);
	return code;
}

int events_run(const struct cli *cli, const struct request *request, struct labels *labels)
{
	struct listening *listening = calloc(1, sizeof(*listening));
	int code = CLI_FAILED;

	if (listening) {
		listening->cli = cli;
		listening->request = request;
		listening->show = malloc(sizeof(*listening->show));
	}
	if (listening && listening->show)
		code = run(listening, labels);
	else
		request_say(cli, "out of memory");
	if (listening)
		free(listening->show);
	free(listening);
	return code;
}
