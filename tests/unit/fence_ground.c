/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/fence_ground.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT 5000

struct monotime ground_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return monotime_from_us((int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000);
}

/* ---- sockets ---- */

socklen_t ground_address(const char *text, struct sockaddr_storage *storage)
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

int ground_socket(int netns, int home, int family, int type)
{
	netns_enter(netns);
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	netns_enter(home);
	assert_true(fd >= 0);
	return fd;
}

static int open_receiver(const struct ground *ground, int netns)
{
	int fd = ground_socket(netns, ground->node, AF_INET6, SOCK_DGRAM), off = 0;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};

	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	return fd;
}

/* From the client, through its interface c0 when the destination is a group. */
void ground_send(const struct ground *ground, const char *to, uint64_t number)
{
	struct sockaddr_storage storage;
	socklen_t size = ground_address(to, &storage);
	int fd = ground_socket(ground->client, ground->node, storage.ss_family, SOCK_DGRAM), on = 1;

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

bool ground_has_received(int fd, uint64_t number, int wait_ms)
{
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	uint64_t seen = 0;

	while (poll(&waiting, 1, wait_ms) == 1)
		if (recv(fd, &seen, sizeof(seen), 0) == sizeof(seen) && seen == number)
			return true;
	return false;
}

uint64_t ground_number(void)
{
	return (uint64_t)ground_now().us;
}

uint64_t ground_drops(struct fence *fence)
{
	struct fence_counters counters;

	assert_int_equal(fence_read_counters(fence, &counters), 0);
	return counters.virtual_packets + counters.forward_packets;
}

/* Sent once: neighbour resolution included, it has to be there within the time. */
void assert_passes(const struct ground *ground, const char *to)
{
	uint64_t number = ground_number();

	ground_send(ground, to, number);
	if (!ground_has_received(strstr(to, ".2.2") || strstr(to, ":2::2") ? ground->at_server
									   : ground->at_node,
				 number, 5000))
		fail_msg("a packet to %s did not arrive", to);
}

/* It was dropped when the fence counted it: that is waited for, not some time. */
void assert_dropped_by(const struct ground *ground, struct fence *fence, const char *to)
{
	uint64_t number = ground_number(), before = ground_drops(fence);
	struct monotime deadline = monotime_add(ground_now(), monotime_from_s(5));

	ground_send(ground, to, number);
	while (ground_drops(fence) == before)
		if (monotime_is_before(deadline, ground_now()))
			fail_msg("a packet to %s was not counted as dropped", to);
	assert_false(ground_has_received(ground->at_node, number, 0));
	assert_false(ground_has_received(ground->at_server, number, 0));
}

void assert_dropped(const struct ground *ground, const char *to)
{
	assert_dropped_by(ground, ground->fence, to);
}

struct address_prefix ground_prefix(const char *text, uint8_t length)
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
	for (int i = 0; i < 3;
	     i++) /* no duplicate address detection: the first packet need not wait for it */
		netns_run((int[]){ground->client, ground->node, ground->server}[i],
			  "sysctl -qw net.ipv6.conf.default.accept_dad=0");
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

int ground_set_up(void **state)
{
	static struct ground ground;
	struct address_prefix addresses[] = {{0}, {0}};
	char error[256] = "";

	*state = NULL;
	if (!netns_is_possible())
		return 0;
	lay_out(&ground);
	if (fence_create(&ground.fence, NODE_ID, GROUND_TIMEOUT, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	addresses[0] = ground_prefix(VIRTUAL4, 32);
	addresses[1] = ground_prefix(VIRTUAL6, 128);
	assert_int_equal(fence_set_addresses(ground.fence, addresses, 2), 0);
	*state = &ground;
	return 0;
}

int ground_tear_down(void **state)
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

struct ground *ground_need(void **state)
{
	if (!*state)
		skip();
	return *state;
}

struct ground *ground_need_armed(void **state)
{
	struct ground *ground = ground_need(state);
	struct monotime start = ground_now(), next;

	assert_int_equal(fence_arm(ground->fence, start, &next), 0);
	assert_int_equal(next.us, start.us + GROUND_TIMEOUT.us / 3);
	assert_true(fence_is_armed(ground->fence, start));
	return ground;
}

void assert_all_pass(const struct ground *ground)
{
	assert_passes(ground, VIRTUAL4);
	assert_passes(ground, VIRTUAL6);
	assert_passes(ground, OWN4);
	assert_passes(ground, SERVER4);
	assert_passes(ground, SERVER6);
}

struct fence *ground_create_beside(uint16_t node_id, struct monotime life)
{
	struct address_prefix virtual = ground_prefix(VIRTUAL4, 32);
	struct fence *fence = NULL;
	char error[256] = "";

	if (fence_create(&fence, node_id, life, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(fence_set_addresses(fence, &virtual, 1), 0);
	return fence;
}

void ground_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
