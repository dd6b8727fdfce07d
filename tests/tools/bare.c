/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The floors: what the kernel asks of anybody who does the same work, with nothing done besides.
 *
 *   bare receive [--buffer BYTES] [--mask new,update,destroy]   reads events until SIGTERM
 *   bare dump                                                   reads the whole table once
 *
 * `flowgen` is the third floor: a bare batched creator.  Prints one JSON object: {"ready":true} once it is
 * subscribed (receive), and at the end {"events":N,"overruns":N,"cpu_ns":N} or
 * {"flows":N,"bytes":N,"seconds":S,"cpu_ns":N}.
 */
#include "tool.h"

#include <getopt.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM = 2048, DUMP_BUFFER = 1 << 17 };

static volatile sig_atomic_t is_over;

static void stop(int signal)
{
	(void)signal;
	is_over = 1;
}

static int open_socket(int buffer)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)))
		tool_die("netlink socket: %s", strerror(errno));
	return fd;
}

static void join(int fd, const char *mask)
{
	static const struct {
		const char *name;
		int group;
	} groups[] = {{"new", NFNLGRP_CONNTRACK_NEW},
		      {"update", NFNLGRP_CONNTRACK_UPDATE},
		      {"destroy", NFNLGRP_CONNTRACK_DESTROY}};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strstr(mask, groups[i].name) && setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
							       &groups[i].group, sizeof(groups[i].group)))
			tool_die("joining %s: %s", groups[i].name, strerror(errno));
}

/* As a daemon does it: woken when there is something, then batch after batch until there is nothing. */
static void receive(int buffer, const char *mask)
{
	static uint8_t datagrams[BATCH][DATAGRAM];
	static struct iovec vectors[BATCH];
	static struct mmsghdr headers[BATCH];
	struct epoll_event event = {.events = EPOLLIN};
	int fd = open_socket(buffer), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	unsigned long long events = 0, overruns = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){.iov_base = datagrams[i], .iov_len = DATAGRAM};
		headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
	}
	signal(SIGTERM, stop);
	join(fd, mask);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		tool_die("epoll: %s", strerror(errno));
	printf("{\"ready\":true}\n");
	fflush(stdout);
	while (!is_over) {
		int got = BATCH;

		if (epoll_wait(epoll_fd, &event, 1, 100) <= 0)
			continue;
		while (got == BATCH && !is_over) {
			got = recvmmsg(fd, headers, BATCH, MSG_DONTWAIT, NULL);
			events += got > 0 ? (unsigned)got : 0;
			overruns += got < 0 && errno == ENOBUFS;
		}
	}
	printf("{\"events\":%llu,\"overruns\":%llu,\"cpu_ns\":%lld}\n", events, overruns,
	       (long long)tool_cpu_ns());
}

/* True at the end of the dump. */
static bool count_rows(const uint8_t *bytes, size_t length, unsigned long long *flows)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)bytes;
	unsigned left = (unsigned)length;

	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		if (message->nlmsg_type == NLMSG_DONE)
			return true;
		if (message->nlmsg_type == NLMSG_ERROR)
			tool_die("the kernel refused the dump");
		++*flows;
	}
	return false;
}

static void dump(void)
{
	static _Alignas(8) uint8_t bytes[DUMP_BUFFER];
	struct {
		struct nlmsghdr header;
		struct nfgenmsg nfgen;
	} request = {.header = {.nlmsg_len = sizeof(request),
				.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = open_socket(1 << 20);
	unsigned long long flows = 0, total = 0;
	int64_t start_ns = tool_now_ns(), start_cpu_ns = tool_cpu_ns();
	bool done = false;

	if (sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		tool_die("asking for a dump: %s", strerror(errno));
	while (!done) {
		ssize_t length = recv(fd, bytes, sizeof(bytes), 0);

		if (length < 0)
			tool_die("dump: %s", strerror(errno));
		total += (size_t)length;
		done = count_rows(bytes, (size_t)length, &flows);
	}
	printf("{\"flows\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"cpu_ns\":%lld}\n", flows, total,
	       (double)(tool_now_ns() - start_ns) / 1e9, (long long)(tool_cpu_ns() - start_cpu_ns));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"buffer", 1, NULL, 'b'}, {"mask", 1, NULL, 'm'}, {0}};
	const char *mask = "new,update,destroy";
	int buffer = 32 << 20, option;

	if (argc < 2)
		tool_die("usage: bare receive|dump [options]");
	optind = 2;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'b')
			buffer = (int)tool_number("buffer", optarg, 1, 1 << 30);
		else if (option == 'm')
			mask = optarg;
		else
			return 2;
	}
	if (!strcmp(argv[1], "receive"))
		receive(buffer, mask);
	else if (!strcmp(argv[1], "dump"))
		dump();
	else
		tool_die("%s: receive or dump", argv[1]);
	return 0;
}
