/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What our netlink modules cost above the kernel's own part: each line shows a bare loop, our module, and the
 * ratio, in nanoseconds of CPU time a flow (least of --rounds).  Runs in a network namespace of its own;
 * needs root.
 *
 *   kernelbench [--flows N] [--rounds N]
 */
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"
#include "syncd/kernel/timeouts.h"
#include "syncd/kernel/watch.h"
#include "tests/tools/tool.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 256, BUFFER = 128 * 1024, EVENT_BUFFER = 256 * 1024 * 1024 };

static _Alignas(8) uint8_t bytes[BUFFER];

static struct flow flow_number(uint32_t n)
{
	struct flow flow = {
	    .present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_TCP,
	    .family = FLOW_IPV4,
	    .protocol = PROTOCOL_TCP,
	    .orig = {.src = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n},
		     .dst = {198, 51, 100, 2},
		     .sport = (uint16_t)(1024 + n % 50000),
		     .dport = 80},
	    .status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_CONFIRMED,
	    .tcp = {.state = FLOW_TCP_ESTABLISHED},
	};

	flow.reply = flow_tuple_mirror(&flow.orig, flow.protocol);
	return flow;
}

static int open_netlink(void)
{
	const int size = EVENT_BUFFER, on = 1;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)))
		tool_die("netlink socket: %s", strerror(errno));
	return fd;
}

static void send_bytes(int fd, const void *from, size_t length)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (sendto(fd, from, length, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		tool_die("send: %s", strerror(errno));
}

/* The messages are written outside of the clock: what is left is the kernel. */
static int64_t bare_create(uint32_t flows)
{
	const struct convert_options options = {.timeout_s = 3600};
	int fd = open_netlink();
	int64_t spent_ns = 0, start_ns;

	for (uint32_t n = 0; n < flows;) {
		size_t length = 0;
		struct nlmsghdr *last = NULL;
		uint8_t answer[256];

		for (unsigned i = 0; i < BATCH && n < flows; i++, n++) {
			struct flow flow = flow_number(n);

			last = (struct nlmsghdr *)(bytes + length);
			length +=
			    (size_t)convert_to_message(&flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW,
						       NLM_F_CREATE | NLM_F_EXCL, n, last, BUFFER - length);
		}
		last->nlmsg_flags |= NLM_F_ACK;
		start_ns = tool_cpu_ns();
		send_bytes(fd, bytes, length);
		if (recv(fd, answer, sizeof(answer), 0) < 0 ||
		    ((struct nlmsghdr *)answer)->nlmsg_seq != n - 1)
			tool_die("a create failed");
		spent_ns += tool_cpu_ns() - start_ns;
	}
	close(fd);
	return spent_ns;
}

static void count_end(void *context, const struct flow *flow, enum commit_result result, int error)
{
	uint32_t *count = context;

	(void)flow;
	(void)error;
	*count += result == COMMIT_CREATED;
}

static int64_t our_create(uint32_t flows)
{
	const struct commit_options options = {.tcp_liberal = true};
	struct commit *commit;
	uint32_t created = 0;
	int64_t start_ns;

	if (commit_open(&commit))
		tool_die("commit_open failed");
	start_ns = tool_cpu_ns();
	for (uint32_t n = 0; n < flows; n++) {
		struct flow flow = flow_number(n);

		commit_flow(commit, &flow, 3600, &options, count_end, &created);
	}
	commit_flush(commit);
	start_ns = tool_cpu_ns() - start_ns;
	if (created != flows)
		tool_die("%u of %u created", created, flows);
	commit_close(commit);
	return start_ns;
}

/* All are there already: each is read and compared. */
static int64_t our_exists(uint32_t flows)
{
	const struct commit_options options = {.tcp_liberal = true};
	struct commit *commit;
	uint32_t created = 0;
	int64_t start_ns;

	if (commit_open(&commit))
		tool_die("commit_open failed");
	start_ns = tool_cpu_ns();
	for (uint32_t n = 0; n < flows; n++) {
		struct flow flow = flow_number(n);

		commit_flow(commit, &flow, 600, &options, count_end, &created);
	}
	commit_flush(commit);
	start_ns = tool_cpu_ns() - start_ns;
	if (created)
		tool_die("%u of %u created", created, flows);
	commit_close(commit);
	return start_ns;
}

static int64_t our_delete(uint32_t flows)
{
	struct commit *commit;
	uint32_t deleted = 0;
	int64_t start_ns;

	if (commit_open(&commit))
		tool_die("commit_open failed");
	start_ns = tool_cpu_ns();
	for (uint32_t n = 0; n < flows; n++) {
		struct flow flow = flow_number(n);

		commit_delete(commit, &flow, count_end, &deleted);
	}
	commit_flush(commit);
	start_ns = tool_cpu_ns() - start_ns;
	if (deleted != flows)
		tool_die("%u of %u deleted", deleted, flows);
	commit_close(commit);
	return start_ns;
}

static int64_t bare_dump(uint32_t flows)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg nfgen;
	} request = {.header = {.nlmsg_len = sizeof(request),
				.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	int fd = open_netlink();
	int64_t start_ns = tool_cpu_ns();

	(void)flows;
	send_bytes(fd, &request, sizeof(request));
	for (;;) {
		ssize_t length = recv(fd, bytes, sizeof(bytes), 0);

		if (length < 0)
			tool_die("dump: %s", strerror(errno));
		if (((struct nlmsghdr *)bytes)->nlmsg_type == NLMSG_DONE || length < 200)
			break;
	}
	start_ns = tool_cpu_ns() - start_ns;
	close(fd);
	return start_ns;
}

static void count_row(void *context, const struct flow *flow)
{
	(void)flow;
	++*(uint32_t *)context;
}

static int64_t our_dump(uint32_t flows)
{
	struct audit *audit;
	uint32_t rows = 0;
	int64_t start_ns = tool_cpu_ns();

	if (audit_open(&audit) || audit_dump_start(audit, NULL))
		tool_die("the dump did not start");
	while (audit_dump_read(audit, 1000, count_row, &rows) == AUDIT_MORE)
		;
	start_ns = tool_cpu_ns() - start_ns;
	if (rows != flows)
		tool_die("%u rows of %u", rows, flows);
	audit_close(audit);
	return start_ns;
}

static void count_event(void *context, enum convert_kind kind, const struct flow *flow)
{
	(void)kind;
	(void)flow;
	++*(uint32_t *)context;
}

/* The events of a burst wait in the buffer; reading them is what counts. */
static int64_t our_events(uint32_t flows)
{
	const struct watch_options options = {.buffer = EVENT_BUFFER, .buffer_max = EVENT_BUFFER};
	struct watch *watch;
	uint32_t events = 0;
	int64_t start_ns;

	if (watch_open(&watch, &options))
		tool_die("watch_open failed");
	our_create(flows);
	start_ns = tool_cpu_ns();
	while (events < flows)
		if (watch_read(watch, 1000, count_event, &events) <= 0)
			tool_die("%u events of %u: use fewer flows", events, flows);
	start_ns = tool_cpu_ns() - start_ns;
	watch_close(watch);
	return start_ns;
}

static int64_t bare_events(uint32_t flows)
{
	const int group = NFNLGRP_CONNTRACK_NEW;
	int fd = open_netlink();
	int64_t start_ns;

	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		tool_die("joining: %s", strerror(errno));
	our_create(flows);
	start_ns = tool_cpu_ns();
	for (uint32_t n = 0; n < flows; n++)
		if (recv(fd, bytes, 2048, MSG_DONTWAIT) < 0)
			tool_die("%u events of %u: use fewer flows", n, flows);
	start_ns = tool_cpu_ns() - start_ns;
	close(fd);
	return start_ns;
}

static void flush(void)
{
	struct commit *commit;

	if (commit_open(&commit) || commit_flush_kernel(commit))
		tool_die("flush failed");
	commit_close(commit);
}

typedef int64_t measure(uint32_t flows);

/* The least of some rounds, nanoseconds a flow. */
static double least(measure *run, uint32_t flows, unsigned rounds, bool is_filled)
{
	double best = 0;

	for (unsigned i = 0; i < rounds; i++) {
		double each;

		flush();
		if (is_filled)
			our_create(flows);
		each = (double)run(flows) / flows;
		if (!i || each < best)
			best = each;
	}
	flush();
	return best;
}

int main(int argc, char **argv)
{
	const struct {
		const char *name;
		measure *bare, *ours;
		bool is_filled;
	} lines[] = {
	    {"create", bare_create, our_create, false}, {"dump", bare_dump, our_dump, true},
	    {"events", bare_events, our_events, false}, {"exists", NULL, our_exists, true},
	    {"delete", NULL, our_delete, true},
	};
	uint32_t flows = 100000;
	unsigned rounds = 3;

	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && !strcmp(argv[i], "--flows"))
			flows = (uint32_t)tool_number("flows", argv[i + 1], 1, 16000000);
		else if (i + 1 < argc && !strcmp(argv[i], "--rounds"))
			rounds = (unsigned)tool_number("rounds", argv[i + 1], 1, 100);
		else
			tool_die("kernelbench [--flows N] [--rounds N]");
	}
	if (unshare(CLONE_NEWNET))
		tool_die("a network namespace: %s", strerror(errno));
	if ((long)flows > limit_read(LIMIT_MAX))
		tool_die("nf_conntrack_max is %ld", limit_read(LIMIT_MAX));
	printf("%-8s %10s %10s %6s   ns of CPU a flow, %u flows\n", "", "bare", "ours", "ratio", flows);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		double bare = lines[i].bare ? least(lines[i].bare, flows, rounds, lines[i].is_filled) : 0;
		double ours = least(lines[i].ours, flows, rounds, lines[i].is_filled);

		if (lines[i].bare)
			printf("%-8s %10.0f %10.0f %6.2f\n", lines[i].name, bare, ours, ours / bare);
		else
			printf("%-8s %10s %10.0f\n", lines[i].name, "", ours);
		fflush(stdout);
	}
	return 0;
}
