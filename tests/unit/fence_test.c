/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence against the real kernel, with real packets:
 *
 *   client --- node (the fence) --- server      10.9.1.0/24 and fd09:1::/64; 10.9.2.0/24 and fd09:2::/64
 *      \______ sync ______/                     10.9.3.0/24
 *
 * The node bears the virtual addresses 10.9.1.100 and fd09:1::100.  The node's own namespace is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "syncd/kernel/fence.h"
#include "syncd/kernel/fence_ruleset.h"
#include "tests/unit/netns_helper.h"

#define PORT     5000
#define VIRTUAL4 "10.9.1.100"
#define VIRTUAL6 "fd09:1::100"
#define OWN4     "10.9.1.1"
#define OWN6     "fd09:1::1"
#define SERVER4  "10.9.2.2"
#define SERVER6  "fd09:2::2"
#define SYNC4    "10.9.3.1"
#define NODE_ID  7

static const struct monotime timeout = {3000000};

struct ground {
	int client, node, server;
	int at_node, at_server; /* UDP sockets that receive what arrives */
	struct fence *fence;
};

static struct monotime now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return monotime_from_us((int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000);
}

/* ---- sockets ---- */

static socklen_t address_of(const char *text, struct sockaddr_storage *storage)
{
	struct sockaddr_in *four = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)storage;

	memset(storage, 0, sizeof(*storage));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(PORT);
		return sizeof(*four);
	}
	assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(PORT);
	return sizeof(*six);
}

static int open_in(int netns, int home, int family, int type)
{
	netns_enter(netns);
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	netns_enter(home);
	assert_true(fd >= 0);
	return fd;
}

static int open_receiver(const struct ground *ground, int netns)
{
	int fd = open_in(netns, ground->node, AF_INET6, SOCK_DGRAM), off = 0;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};

	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	return fd;
}

/* From the client, through its interface c0 when the destination is a group. */
static void send_probe(const struct ground *ground, const char *to, uint64_t number)
{
	struct sockaddr_storage storage;
	socklen_t size = address_of(to, &storage);
	int fd = open_in(ground->client, ground->node, storage.ss_family, SOCK_DGRAM), on = 1;

	netns_enter(ground->client);
	int index = (int)if_nametoindex("c0");
	netns_enter(ground->node);
	struct ip_mreqn group = {.imr_ifindex = index};
	if (storage.ss_family == AF_INET) {
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof(group));
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index));
	}
	assert_int_equal(sendto(fd, &number, sizeof(number), 0, (struct sockaddr *)&storage, size),
			 sizeof(number));
	close(fd);
}

static bool has_received(int fd, uint64_t number, int wait_ms)
{
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	uint64_t seen = 0;

	while (poll(&waiting, 1, wait_ms) == 1)
		if (recv(fd, &seen, sizeof(seen), 0) == sizeof(seen) && seen == number)
			return true;
	return false;
}

static uint64_t next_number(void)
{
	return (uint64_t)now().us;
}

static uint64_t drops(struct fence *fence)
{
	struct fence_counters counters;

	assert_int_equal(fence_read_counters(fence, &counters), 0);
	return counters.virtual_packets + counters.forward_packets;
}

/* Sent once: neighbour resolution included, it has to be there within the time. */
static void assert_passes(const struct ground *ground, const char *to)
{
	uint64_t number = next_number();

	send_probe(ground, to, number);
	if (!has_received(strstr(to, ".2.2") || strstr(to, ":2::2") ? ground->at_server : ground->at_node,
			  number, 5000))
		fail_msg("a packet to %s did not arrive", to);
}

/* It was dropped when the fence counted it: that is waited for, not some time. */
static void assert_dropped_by(const struct ground *ground, struct fence *fence, const char *to)
{
	uint64_t number = next_number(), before = drops(fence);
	struct monotime deadline = monotime_add(now(), monotime_from_s(5));

	send_probe(ground, to, number);
	while (drops(fence) == before)
		if (monotime_is_before(deadline, now()))
			fail_msg("a packet to %s was not counted as dropped", to);
	assert_false(has_received(ground->at_node, number, 0));
	assert_false(has_received(ground->at_server, number, 0));
}

static void assert_dropped(const struct ground *ground, const char *to)
{
	assert_dropped_by(ground, ground->fence, to);
}

static struct address_prefix prefix(const char *text, uint8_t length)
{
	struct address_prefix parsed = {.family = strchr(text, ':') ? AF_INET6 : AF_INET, .length = length};

	assert_int_equal(inet_pton(parsed.family, text, parsed.bytes), 1);
	return parsed;
}

/* ---- the ground ---- */

static void lay_out(struct ground *ground)
{
	ground->client = netns_create();
	ground->node = netns_create();
	ground->server = netns_create();
	netns_join(ground->client, "c0", ground->node, "n0");
	netns_join(ground->server, "s0", ground->node, "n1");
	netns_join(ground->client, "sync1", ground->node, "sync0");
	netns_run(ground->client, "ip addr add 10.9.1.2/24 dev c0; ip addr add fd09:1::2/64 dev c0 nodad; "
				  "ip addr add 10.9.3.2/24 dev sync1; "
				  "ip route add default via 10.9.1.1; ip -6 route add default via fd09:1::1");
	netns_run(ground->server, "ip addr add 10.9.2.2/24 dev s0; ip addr add fd09:2::2/64 dev s0 nodad; "
				  "ip route add default via 10.9.2.1; ip -6 route add default via fd09:2::1");
	netns_run(ground->node,
		  "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
		  "ip addr add 10.9.1.1/24 dev n0; ip addr add fd09:1::1/64 dev n0 nodad; "
		  "ip addr add 10.9.2.1/24 dev n1; ip addr add fd09:2::1/64 dev n1 nodad; "
		  "ip addr add 10.9.3.1/24 dev sync0; "
		  "ip addr add " VIRTUAL4 "/32 dev n0; ip addr add " VIRTUAL6 "/128 dev n0 nodad");
	netns_enter(ground->node);
	ground->at_node = open_receiver(ground, ground->node);
	ground->at_server = open_receiver(ground, ground->server);
}

static int set_up(void **state)
{
	static struct ground ground;
	struct address_prefix addresses[] = {{0}, {0}};
	char error[256] = "";

	*state = NULL;
	if (!netns_is_possible())
		return 0;
	lay_out(&ground);
	if (fence_create(&ground.fence, NODE_ID, timeout, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	addresses[0] = prefix(VIRTUAL4, 32);
	addresses[1] = prefix(VIRTUAL6, 128);
	assert_int_equal(fence_set_addresses(ground.fence, addresses, 2), 0);
	*state = &ground;
	return 0;
}

static int tear_down(void **state)
{
	struct ground *ground = *state;

	if (!ground)
		return 0;
	fence_destroy(ground->fence);
	close(ground->at_node);
	close(ground->at_server);
	close(ground->client);
	close(ground->node);
	close(ground->server);
	return 0;
}

static struct ground *need(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static struct ground *need_armed(void **state)
{
	struct ground *ground = need(state);
	struct monotime start = now(), next;

	assert_int_equal(fence_arm(ground->fence, start, &next), 0);
	assert_int_equal(next.us, start.us + timeout.us / 3);
	assert_true(fence_is_armed(ground->fence, start));
	return ground;
}

static void assert_all_pass(const struct ground *ground)
{
	assert_passes(ground, VIRTUAL4);
	assert_passes(ground, VIRTUAL6);
	assert_passes(ground, OWN4);
	assert_passes(ground, SERVER4);
	assert_passes(ground, SERVER6);
}

/* ---- what it drops and what it lets pass ---- */

static void open_it_drops_nothing(void **state)
{
	struct ground *ground = need(state);

	assert_false(fence_is_armed(ground->fence, now()));
	assert_all_pass(ground);
	assert_int_equal(drops(ground->fence), 0);
}

static void armed_it_drops_what_goes_to_a_virtual_address(void **state)
{
	struct ground *ground = need_armed(state);
	struct fence_counters counters;

	assert_dropped(ground, VIRTUAL4);
	assert_dropped(ground, VIRTUAL6);
	assert_int_equal(fence_read_counters(ground->fence, &counters), 0);
	assert_int_equal(counters.virtual_packets, 2);
	assert_int_equal(counters.forward_packets, 0);
	assert_true(counters.virtual_bytes > 2 * 36);
}

static void armed_it_drops_what_is_to_be_forwarded(void **state)
{
	struct ground *ground = need_armed(state);
	struct fence_counters counters;

	assert_dropped(ground, SERVER4);
	assert_dropped(ground, SERVER6);
	assert_int_equal(fence_read_counters(ground->fence, &counters), 0);
	assert_int_equal(counters.virtual_packets, 0);
	assert_int_equal(counters.forward_packets, 2);
}

static void armed_it_passes_what_goes_to_the_hosts_other_addresses(void **state)
{
	struct ground *ground = need_armed(state);

	assert_passes(ground, OWN4);
	assert_passes(ground, OWN6);
	netns_run(ground->client, "ping -q -c 1 -W 2 %s >/dev/null; ping -q -c 1 -W 2 %s >/dev/null", OWN4,
		  OWN6);
	netns_run(ground->node, "ping -q -c 1 -W 2 " SERVER4 " >/dev/null");
	assert_int_equal(drops(ground->fence), 0);
}

static void armed_it_passes_what_enters_by_loopback_or_an_accepted_interface(void **state)
{
	struct ground *ground = need_armed(state);
	const char *names[] = {"sync0", "absent0"};

	netns_run(ground->node, "ip addr add 10.9.3.100/32 dev sync0");
	netns_run(ground->client,
		  "ip route add 10.9.2.0/24 via 10.9.3.1; sysctl -qw net.ipv4.conf.all.rp_filter=0");
	assert_passes(ground, SYNC4);
	assert_dropped(ground, SERVER4);
	assert_int_equal(fence_set_interfaces(ground->fence, names, 2), 0);
	assert_passes(ground, SYNC4);
	assert_passes(ground, SERVER4);
	netns_run(ground->node, "ping -q -c 1 -W 2 " VIRTUAL4 " >/dev/null");
	assert_int_equal(fence_set_interfaces(ground->fence, NULL, 0), 0);
	assert_dropped(ground, SERVER4);
}

static void armed_it_passes_broadcast_and_multicast(void **state)
{
	struct ground *ground = need_armed(state);
	struct address_prefix whole = prefix("10.9.1.0", 24);
	struct ip_mreqn group = {.imr_ifindex = (int)if_nametoindex("n0")};
	struct ipv6_mreq group6 = {.ipv6mr_interface = if_nametoindex("n0")};

	inet_pton(AF_INET, "239.9.9.9", &group.imr_multiaddr);
	inet_pton(AF_INET6, "ff05::9", &group6.ipv6mr_multiaddr);
	assert_int_equal(setsockopt(ground->at_node, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group6, sizeof(group6)),
			 0);
	assert_int_equal(setsockopt(ground->at_node, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)),
			 0);
	assert_int_equal(fence_set_addresses(ground->fence, &whole, 1), 0);
	assert_passes(ground, "10.9.1.255");
	assert_passes(ground, "255.255.255.255");
	assert_passes(ground, "239.9.9.9");
	assert_passes(ground, "ff05::9");
	assert_passes(ground, "ff02::1");
	assert_int_equal(drops(ground->fence), 0);
	assert_dropped(ground, OWN4);
}

/* A packet can only be dropped once its sender knows the address's neighbour entry: so discovery did work. */
static void armed_it_passes_neighbour_discovery(void **state)
{
	struct ground *ground = need_armed(state);

	netns_run(ground->client, "ip -6 neigh flush dev c0; ip neigh flush dev c0");
	assert_dropped(ground, VIRTUAL6);
	netns_run(ground->client, "ip -6 neigh show " VIRTUAL6 " dev c0 | grep -q lladdr");
	netns_run(ground->client, "ip -6 neigh change " VIRTUAL6 " dev c0 nud probe 2>/dev/null; "
				  "for i in $(seq 1 50); do ip -6 neigh show " VIRTUAL6
				  " dev c0 | grep -q REACHABLE && exit 0; sleep 0.1; done; exit 1");
	assert_passes(ground, OWN6);
}

static void a_dropped_packet_leaves_no_conntrack_entry(void **state)
{
	struct ground *ground = need(state);

	netns_run(ground->node,
		  "nft 'add table inet t; add chain inet t c { type filter hook prerouting priority 0; }; "
		  "add rule inet t c ct state new counter'");
	assert_passes(ground, VIRTUAL4);
	netns_run(ground->node,
		  "test $(cat /proc/sys/net/netfilter/nf_conntrack_count) = 1; conntrack -F 2>/dev/null");
	assert_int_equal(fence_arm(ground->fence, now(), NULL), 0);
	assert_dropped(ground, VIRTUAL4);
	assert_dropped(ground, VIRTUAL6);
	assert_dropped(ground, SERVER4);
	netns_run(ground->node, "test $(cat /proc/sys/net/netfilter/nf_conntrack_count) = 0");
}

static int connect_to(const struct ground *ground, const char *to)
{
	struct sockaddr_storage storage;
	socklen_t size = address_of(to, &storage);
	int fd = open_in(ground->client, ground->node, storage.ss_family, SOCK_STREAM);
	int result = connect(fd, (struct sockaddr *)&storage, size);

	assert_true(result == 0 || errno == EINPROGRESS);
	return fd;
}

static int outcome_of(int fd, int wait_ms)
{
	struct pollfd waiting = {.fd = fd, .events = POLLOUT};
	int error = EINPROGRESS;
	socklen_t size = sizeof(error);

	if (poll(&waiting, 1, wait_ms) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

/* What the fence is for: where nobody listens, the kernel's answer would be a reset. */
static void armed_tcp_waits_instead_of_being_reset(void **state)
{
	struct ground *ground = need_armed(state);
	uint64_t before = drops(ground->fence);
	int fd = connect_to(ground, VIRTUAL4);

	while (drops(ground->fence) == before)
		assert_true(fence_is_armed(ground->fence, now()));
	assert_int_equal(outcome_of(fd, 0), EINPROGRESS);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_int_equal(outcome_of(fd, 5000), ECONNREFUSED);
	close(fd);
}

/* ---- opening and closing ---- */

static void opened_it_drops_nothing_more(void **state)
{
	struct ground *ground = need_armed(state);
	struct monotime next;

	assert_dropped(ground, VIRTUAL4);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_false(fence_is_armed(ground->fence, now()));
	assert_all_pass(ground);
	assert_int_equal(fence_refresh(ground->fence, now(), &next), 0);
	assert_int_equal(next.us, MONOTIME_NEVER.us);
	assert_passes(ground, VIRTUAL4);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_int_equal(fence_check(ground->fence, now(), NULL), 0);
	assert_int_equal(fence_arm(ground->fence, now(), NULL), 0);
	assert_dropped(ground, VIRTUAL4);
}

static struct fence *create_beside(uint16_t node_id, struct monotime life)
{
	struct address_prefix virtual = prefix(VIRTUAL4, 32);
	struct fence *fence = NULL;
	char error[256] = "";

	if (fence_create(&fence, node_id, life, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(fence_set_addresses(fence, &virtual, 1), 0);
	return fence;
}

/* Returns how long it took until a packet came through. */
static struct monotime wait_until_open(const struct ground *ground, struct monotime since)
{
	uint64_t number;

	do {
		assert_true(monotime_sub(now(), since).us < 10000000);
		number = next_number();
		send_probe(ground, VIRTUAL4, number);
	} while (!has_received(ground->at_node, number, 10));
	return monotime_sub(now(), since);
}

static void without_a_refresh_it_opens_and_a_refresh_closes_it_again(void **state)
{
	struct ground *ground = need(state);
	struct fence *fence = create_beside(8, monotime_from_ms(300));
	struct fence_counters counters;
	struct monotime start = now();

	assert_int_equal(fence_arm(fence, start, NULL), 0);
	assert_dropped_by(ground, fence, VIRTUAL4);
	struct monotime took = wait_until_open(ground, start);
	assert_in_range(took.us, 250000, 600000);
	assert_false(fence_is_armed(fence, now()));
	assert_int_equal(fence_refresh(fence, now(), NULL), 0);
	assert_true(fence_is_armed(fence, now()));
	assert_dropped_by(ground, fence, VIRTUAL4);
	assert_int_equal(fence_read_counters(fence, &counters), 0);
	assert_int_equal(counters.lapses, 1);
	fence_destroy(fence);
}

static void refreshed_in_time_it_stays_closed(void **state)
{
	struct ground *ground = need(state);
	struct fence *fence = create_beside(8, monotime_from_ms(300));
	struct monotime start = now(), next;

	assert_int_equal(fence_arm(fence, start, &next), 0);
	while (monotime_sub(now(), start).us < 1200000) {
		if (!monotime_is_before(now(), next))
			assert_int_equal(fence_refresh(fence, now(), &next), 0);
		assert_dropped_by(ground, fence, VIRTUAL4);
	}
	fence_destroy(fence);
}

/* ---- its owner ---- */

/* A process of its own that keeps a fence closed, as a daemon does, until it is stopped or killed. */
static pid_t start_owner(const struct ground *ground, struct monotime life)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fence *fence = create_beside(9, life);
		struct pollfd nothing = {.fd = -1};

		if (fence_arm(fence, now(), NULL) != 0 || write(ready[1], "!", 1) != 1)
			_exit(1);
		for (;;) {
			poll(&nothing, 1, (int)(life.us / 3000));
			if (fence_refresh(fence, now(), NULL) != 0 || getppid() == 1)
				_exit(1);
		}
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	netns_run(ground->node, "nft list table inet twintrack-9 >/dev/null");
	return pid;
}

static bool is_dropped_quietly(const struct ground *ground)
{
	uint64_t number = next_number();

	send_probe(ground, VIRTUAL4, number);
	return !has_received(ground->at_node, number, 100);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void when_its_owner_is_killed_it_is_gone_at_once(void **state)
{
	struct ground *ground = need(state);
	pid_t pid = start_owner(ground, monotime_from_s(60));

	assert_true(is_dropped_quietly(ground));
	end(pid);
	assert_int_not_equal(netns_try(ground->node, "nft list table inet twintrack-9"), 0);
	assert_passes(ground, VIRTUAL4);
}

static void when_its_owner_hangs_it_opens_within_the_timeout(void **state)
{
	struct ground *ground = need(state);
	pid_t pid = start_owner(ground, monotime_from_ms(600));

	for (int i = 0; i < 10; i++)
		assert_true(is_dropped_quietly(ground));
	kill(pid, SIGSTOP);
	struct monotime took = wait_until_open(ground, now());
	assert_in_range(took.us, 100000, 800000);
	kill(pid, SIGCONT);
	for (int i = 0; i < 50 && !is_dropped_quietly(ground); i++)
		;
	assert_true(is_dropped_quietly(ground));
	end(pid);
}

static void a_flush_of_the_ruleset_leaves_it_armed(void **state)
{
	struct ground *ground = need_armed(state);

	netns_run(ground->node, "nft flush ruleset");
	assert_dropped(ground, VIRTUAL4);
	assert_int_equal(fence_check(ground->fence, now(), NULL), 0);
	assert_int_not_equal(netns_try(ground->node, "nft delete table inet twintrack-%d", NODE_ID), 0);
	assert_int_not_equal(netns_try(ground->node, "nft flush set inet twintrack-%d alive", NODE_ID), 0);
}

static void a_second_instance_takes_another_name(void **state)
{
	struct ground *ground = need(state);
	struct fence *second = create_beside(NODE_ID, timeout);

	assert_string_equal(fence_table(ground->fence), "twintrack-7");
	assert_string_not_equal(fence_table(second), "twintrack-7");
	assert_int_equal(fence_arm(second, now(), NULL), 0);
	assert_dropped_by(ground, second, VIRTUAL4);
	assert_int_equal(fence_open(second), 0);
	assert_passes(ground, VIRTUAL4);
	fence_destroy(second);
}

static void a_table_that_nobody_owns_makes_way(void **state)
{
	struct ground *ground = need(state);

	netns_run(ground->node,
		  "nft 'add table inet twintrack-8; add chain inet twintrack-8 prerouting { type filter hook "
		  "prerouting priority -350; }; add rule inet twintrack-8 prerouting drop'");
	struct fence *fence = create_beside(8, timeout);
	assert_string_equal(fence_table(fence), "twintrack-8");
	assert_passes(ground, VIRTUAL4);
	assert_int_equal(fence_arm(fence, now(), NULL), 0);
	assert_dropped_by(ground, fence, VIRTUAL4);
	fence_destroy(fence);
}

static void without_the_right_it_says_so(void **state)
{
	need(state);
	pid_t pid = fork();

	if (pid == 0) {
		struct fence *fence = NULL;
		char error[256] = "";

		if (setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		int result = fence_create(&fence, 8, timeout, error, sizeof(error));
		_exit(result == -EPERM && strstr(error, "CAP_NET_ADMIN") ? 0 : 1);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* ---- addresses ---- */

static void an_address_on_the_old_and_the_new_list_is_fenced_throughout(void **state)
{
	enum { ROUNDS = 300 };
	struct ground *ground = need_armed(state);
	struct address_prefix lists[3];
	uint64_t seen;

	lists[0] = prefix("10.9.1.101", 32);
	lists[1] = prefix(VIRTUAL4, 32);
	lists[2] = prefix("10.9.1.99", 32);
	pid_t pid = fork();
	if (pid == 0) {
		struct sockaddr_storage storage;
		socklen_t size = address_of(VIRTUAL4, &storage);
		int fd = open_in(ground->client, ground->node, AF_INET, SOCK_DGRAM);

		while (getppid() != 1)
			(void)!sendto(fd, "?", 1, 0, (struct sockaddr *)&storage, size);
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before = drops(ground->fence);

		assert_int_equal(
		    fence_set_addresses(ground->fence, &lists[i % 2], i % 3 ? 2 : 3 - (size_t)(i % 2)), 0);
		while (drops(ground->fence) == before)
			assert_int_equal(fence_refresh(ground->fence, now(), NULL), 0);
	}
	end(pid);
	assert_int_equal(recv(ground->at_node, &seen, sizeof(seen), 0), -1);
}

static void prefixes_may_overlap_touch_and_end_at_the_edge(void **state)
{
	struct ground *ground = need_armed(state);
	struct address_prefix list[] = {
	    prefix("10.9.1.100", 32),   prefix("10.9.1.96", 29),    prefix("10.9.1.104", 29),
	    prefix("10.9.1.97", 32),    prefix("240.0.0.0", 4),     prefix("255.255.255.255", 32),
	    prefix("ffff::", 16),       prefix("fd09:1::100", 120), prefix("10.9.1.100", 32),
	    prefix("fd09:1::180", 121),
	};
	const char *inside[] = {"10.9.1.96", "10.9.1.100", "10.9.1.103", "10.9.1.104", "10.9.1.111"};

	netns_run(ground->node, "for i in 95 96 103 104 111 112; do ip addr add 10.9.1.$i/32 dev n0; done; "
				"for i in ff 1ff 200; do ip addr add fd09:1::$i/128 dev n0 nodad; done");
	assert_int_equal(fence_set_addresses(ground->fence, list, sizeof(list) / sizeof(list[0])), 0);
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		assert_dropped(ground, inside[i]);
	assert_dropped(ground, "fd09:1::1ff");
	assert_passes(ground, "10.9.1.95");
	assert_passes(ground, "10.9.1.112");
	assert_passes(ground, "fd09:1::ff");
	assert_passes(ground, "fd09:1::200");
	list[0] = prefix("0.0.0.0", 0);
	list[1] = prefix("::", 0);
	assert_int_equal(fence_set_addresses(ground->fence, list, sizeof(list) / sizeof(list[0])), 0);
	assert_dropped(ground, OWN4);
	assert_dropped(ground, OWN6);
	assert_int_equal(fence_set_addresses(ground->fence, NULL, 0), 0);
	assert_passes(ground, VIRTUAL4);
}

/* Learning: what was there is own; what comes is fenced from its first packet, before anyone was told of it.
 */
static void a_new_address_is_fenced_from_its_first_packet_while_learning(void **state)
{
	struct ground *ground = need_armed(state);
	struct address_prefix own[] = {prefix(OWN4, 32), prefix(OWN6, 128), prefix("10.9.1.120", 32)};

	assert_int_equal(fence_set_addresses(ground->fence, NULL, 0), 0);
	assert_int_equal(fence_set_own_addresses(ground->fence, own, 2), 0);
	assert_passes(ground, OWN4);
	assert_passes(ground, OWN6);
	assert_dropped(ground, VIRTUAL4);
	assert_dropped(ground, VIRTUAL6);
	netns_run(ground->node, "ip addr add 10.9.1.120/32 dev n0");
	assert_dropped(ground, "10.9.1.120");
	assert_int_equal(fence_set_own_addresses(ground->fence, own, 3), 0);
	assert_passes(ground, "10.9.1.120");
	assert_int_equal(fence_set_own_addresses(ground->fence, NULL, 0), 0);
	assert_passes(ground, VIRTUAL4);
}

static void a_list_has_its_limit_and_a_bad_one_changes_nothing(void **state)
{
	static struct address_prefix many[FENCE_ADDRESSES_MAX + 1];
	struct ground *ground = need_armed(state);
	struct address_prefix bad = prefix(OWN4, 33);
	const char *too_long = "an-interface-name-too-long";

	for (size_t i = 0; i <= FENCE_ADDRESSES_MAX; i++) {
		many[i] = prefix("2001:db8::", 128);
		many[i].bytes[14] = (uint8_t)(i >> 7); /* every other address: none touches the next */
		many[i].bytes[15] = (uint8_t)(i << 1);
	}
	assert_int_equal(fence_set_addresses(ground->fence, many, FENCE_ADDRESSES_MAX + 1), -E2BIG);
	assert_int_equal(fence_set_addresses(ground->fence, &bad, 1), -EINVAL);
	assert_true(strlen(fence_error(ground->fence)) > 10);
	assert_int_equal(fence_set_interfaces(ground->fence, &too_long, 1), -EINVAL);
	assert_dropped(ground, VIRTUAL4);
	many[0] = prefix(VIRTUAL4, 32);
	assert_int_equal(fence_set_addresses(ground->fence, many, FENCE_ADDRESSES_MAX), 0);
	assert_dropped(ground, VIRTUAL4);
	assert_int_equal(fence_set_own_addresses(ground->fence, many, FENCE_ADDRESSES_MAX), 0);
	assert_dropped(ground, OWN4);
}

/* ---- tampering: only its own socket may, so the test finds that and speaks through it ---- */

static int socket_of(const struct fence *fence)
{
	char path[64];

	(void)fence;
	for (int fd = 3; fd < 256; fd++) {
		int protocol = 0;
		socklen_t size = sizeof(protocol);
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		char target[64] = "";
		length = readlink(path, target, sizeof(target) - 1);
		if (length <= 0 || strncmp(target, "socket:", 7) != 0)
			continue;
		int domain = 0;
		socklen_t domain_size = sizeof(domain);
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) == 0 &&
		    domain == AF_NETLINK && getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
		    protocol == NETLINK_NETFILTER)
			return fd;
	}
	fail_msg("the fence's socket was not found");
	return -1;
}

/* One transaction with one message, sent from the owner's socket behind the fence's back. */
static void tamper(const struct fence *fence, void (*put)(struct nft_batch *batch, const char *table))
{
	struct nft_batch *batch;
	const char *refused;
	int own = socket_of(fence);
	int fd, kept = dup(own);

	/* a batch of our own whose socket is exchanged for the fence's */
	assert_int_equal(nft_batch_open(&batch), 0);
	for (fd = kept + 1; fd < 256; fd++) {
		int protocol = 0;
		socklen_t size = sizeof(protocol);

		if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
		    protocol == NETLINK_NETFILTER)
			break;
	}
	assert_true(fd < 256);
	assert_int_equal(dup2(own, fd), fd);
	nft_batch_begin(batch);
	put(batch, fence_table(fence));
	assert_int_equal(nft_batch_commit(batch, &refused), 0);
	nft_batch_close(batch);
	close(kept);
}

static void put_no_alive(struct nft_batch *batch, const char *table)
{
	fence_put_alive(batch, table, 0);
}

static void put_no_rules(struct nft_batch *batch, const char *table)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_DELRULE, 0, "rules");

	mnl_attr_put_strz(message, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, "own");
}

static void put_dormant(struct nft_batch *batch, const char *table)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_NEWTABLE, 0, "table");

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, table);
	mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_OWNER | NFT_TABLE_F_DORMANT));
}

static void assert_repaired(const struct ground *ground)
{
	const char *found = NULL;

	assert_int_equal(fence_check(ground->fence, now(), &found), 1);
	assert_non_null(found);
	assert_dropped(ground, VIRTUAL4);
	assert_dropped(ground, VIRTUAL6);
	assert_dropped(ground, SERVER4);
	assert_passes(ground, OWN4);
	assert_int_equal(fence_check(ground->fence, now(), &found), 0);
}

static void a_check_puts_back_what_was_taken_away(void **state)
{
	struct ground *ground = need_armed(state);
	struct fence_counters counters;

	assert_int_equal(fence_check(ground->fence, now(), NULL), 0);
	tamper(ground->fence, put_no_alive);
	assert_passes(ground, VIRTUAL4);
	assert_repaired(ground);
	tamper(ground->fence, put_no_rules);
	assert_repaired(ground);
	tamper(ground->fence, fence_put_removal);
	assert_passes(ground, VIRTUAL4);
	assert_repaired(ground);
	tamper(ground->fence, put_dormant);
	assert_passes(ground, VIRTUAL4);
	assert_repaired(ground);
	assert_int_equal(fence_read_counters(ground->fence, &counters), 0);
	assert_int_equal(counters.repairs, 4);
	assert_int_equal(counters.virtual_packets, 8);
	assert_int_equal(counters.forward_packets, 4);
}

static void without_its_table_every_call_still_does_its_work(void **state)
{
	struct ground *ground = need_armed(state);
	struct address_prefix address = prefix(OWN4, 32);

	tamper(ground->fence, fence_put_removal);
	assert_int_equal(fence_refresh(ground->fence, now(), NULL), 0);
	assert_dropped(ground, VIRTUAL4);
	tamper(ground->fence, fence_put_removal);
	assert_int_equal(fence_set_addresses(ground->fence, &address, 1), 0);
	assert_int_equal(fence_check(ground->fence, now(), NULL), 1);
	assert_dropped(ground, OWN4);
	assert_passes(ground, VIRTUAL4);
	tamper(ground->fence, fence_put_removal);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_passes(ground, OWN4);
	assert_int_equal(fence_arm(ground->fence, now(), NULL), 0);
	assert_dropped(ground, OWN4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(open_it_drops_nothing),
	    TEST(armed_it_drops_what_goes_to_a_virtual_address),
	    TEST(armed_it_drops_what_is_to_be_forwarded),
	    TEST(armed_it_passes_what_goes_to_the_hosts_other_addresses),
	    TEST(armed_it_passes_what_enters_by_loopback_or_an_accepted_interface),
	    TEST(armed_it_passes_broadcast_and_multicast),
	    TEST(armed_it_passes_neighbour_discovery),
	    TEST(a_dropped_packet_leaves_no_conntrack_entry),
	    TEST(armed_tcp_waits_instead_of_being_reset),
	    TEST(opened_it_drops_nothing_more),
	    TEST(without_a_refresh_it_opens_and_a_refresh_closes_it_again),
	    TEST(refreshed_in_time_it_stays_closed),
	    TEST(when_its_owner_is_killed_it_is_gone_at_once),
	    TEST(when_its_owner_hangs_it_opens_within_the_timeout),
	    TEST(a_flush_of_the_ruleset_leaves_it_armed),
	    TEST(a_second_instance_takes_another_name),
	    TEST(a_table_that_nobody_owns_makes_way),
	    TEST(without_the_right_it_says_so),
	    TEST(an_address_on_the_old_and_the_new_list_is_fenced_throughout),
	    TEST(prefixes_may_overlap_touch_and_end_at_the_edge),
	    TEST(a_new_address_is_fenced_from_its_first_packet_while_learning),
	    TEST(a_list_has_its_limit_and_a_bad_one_changes_nothing),
	    TEST(a_check_puts_back_what_was_taken_away),
	    TEST(without_its_table_every_call_still_does_its_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
