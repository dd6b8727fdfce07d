/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/kernel_netns.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void kernel_netns_run(const char *format, ...)
{
	char command[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

bool kernel_netns_enter(void)
{
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root for a network namespace\n");
		return false;
	}
	if (unshare(CLONE_NEWNET)) {
		perror("skipped: unshare(CLONE_NEWNET)");
		return false;
	}
	kernel_netns_run("ip link set lo up");
	kernel_netns_run(
	    "nft -f - <<'END'\n"
	    "table inet track {\n"
	    "	chain in { type filter hook input priority 0; ct state new accept; }\n"
	    "	chain out { type filter hook output priority 0; ip daddr 255.255.255.254 ct label set 100; }\n"
	    "	chain nat { type nat hook postrouting priority 100; }\n"
	    "}\n"
	    "END");
	return true;
}

int kernel_netns_request(const void *message, size_t length)
{
	const struct nlmsghdr *request = message;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	_Alignas(8) uint8_t answer[4096];
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	int error = -EIO, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || sendto(fd, message, length, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0 ||
	    recv(fd, answer, sizeof(answer), MSG_DONTWAIT) < (ssize_t)sizeof(*header)) {
		perror("netlink request");
		abort();
	}
	if (header->nlmsg_type == NLMSG_ERROR && header->nlmsg_seq == request->nlmsg_seq)
		error = ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
	close(fd);
	return error;
}

void kernel_netns_flush(void)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg nfgen;
	} request = {.header = {.nlmsg_len = sizeof(request),
				.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};

	if (kernel_netns_request(&request, sizeof(request)))
		abort();
}

int kernel_netns_set_up(void **state)
{
	struct kernel_netns *k;

	*state = NULL;
	if (!kernel_netns_enter())
		return 0;
	k = calloc(1, sizeof(*k));
	*state = k;
	return !k || audit_open(&k->audit) || commit_open(&k->commit) ? -1 : 0;
}

int kernel_netns_tear_down(void **state)
{
	struct kernel_netns *k = *state;

	if (!k)
		return 0;
	kernel_netns_flush();
	audit_close(k->audit);
	commit_close(k->commit);
	free(k);
	return 0;
}

int kernel_netns_set_up_test(void **state)
{
	if (*state)
		kernel_netns_flush();
	return 0;
}

struct kernel_netns *kernel_netns_need(void **state)
{
	if (!*state)
		skip();
	return *state;
}

struct flow kernel_netns_read(struct kernel_netns *k, const struct flow *key)
{
	struct flow flow;

	assert_int_equal(audit_get(k->audit, key, &flow), 0);
	return flow;
}

void kernel_netns_assert_absent(struct kernel_netns *k, const struct flow *key)
{
	struct flow flow;

	assert_int_equal(audit_get(k->audit, key, &flow), -ENOENT);
}

struct flow kernel_netns_flow(uint32_t n)
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
	    .timeout_s = 3600,
	    .tcp = {.state = FLOW_TCP_ESTABLISHED},
	};

	flow.reply = flow_tuple_mirror(&flow.orig, flow.protocol);
	return flow;
}
