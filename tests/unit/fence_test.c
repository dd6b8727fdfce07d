/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fence drops and what it lets pass, with real packets. */
#include "tests/unit/fence_ground.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void open_it_drops_nothing(void **state)
{
	struct ground *ground = ground_need(state);

	assert_false(fence_is_armed(ground->fence, ground_now()));
	assert_all_pass(ground);
	assert_int_equal(ground_drops(ground->fence), 0);
}

static void armed_it_drops_what_goes_to_a_virtual_address(void **state)
{
	struct ground *ground = ground_need_armed(state);
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
	struct ground *ground = ground_need_armed(state);
	struct fence_counters counters;

	assert_dropped(ground, SERVER4);
	assert_dropped(ground, SERVER6);
	assert_int_equal(fence_read_counters(ground->fence, &counters), 0);
	assert_int_equal(counters.virtual_packets, 0);
	assert_int_equal(counters.forward_packets, 2);
}

static void armed_it_passes_what_goes_to_the_hosts_other_addresses(void **state)
{
	struct ground *ground = ground_need_armed(state);

	assert_passes(ground, OWN4);
	assert_passes(ground, OWN6);
	netns_run(ground->client, "ping -q -c 1 -W 2 %s >/dev/null; ping -q -c 1 -W 2 %s >/dev/null", OWN4,
		  OWN6);
	netns_run(ground->node,
		  "ping -q -c 1 -W 2 " SERVER4 " >/dev/null; ip addr add fe80::99/64 dev n0 nodad");
	netns_run(ground->client, "ping -q -c 1 -W 2 fe80::99%%c0 >/dev/null");
	assert_int_equal(ground_drops(ground->fence), 0);
}

static void armed_it_passes_what_enters_by_loopback_or_an_accepted_interface(void **state)
{
	struct ground *ground = ground_need_armed(state);
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
	struct ground *ground = ground_need_armed(state);
	struct address_prefix whole = ground_prefix("10.9.1.0", 24);
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
	assert_int_equal(ground_drops(ground->fence), 0);
	assert_dropped(ground, OWN4);
}

/* A packet can only be dropped once its sender knows the address's neighbour entry: so discovery did work. */
static void armed_it_passes_neighbour_discovery(void **state)
{
	struct ground *ground = ground_need_armed(state);

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
	struct ground *ground = ground_need(state);

	netns_run(ground->node,
		  "nft 'add table inet t; add chain inet t c { type filter hook prerouting priority 0; }; "
		  "add rule inet t c ct state new counter'");
	assert_passes(ground, VIRTUAL4);
	netns_run(ground->node,
		  "test $(cat /proc/sys/net/netfilter/nf_conntrack_count) = 1; conntrack -F 2>/dev/null");
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_dropped(ground, VIRTUAL4);
	assert_dropped(ground, VIRTUAL6);
	assert_dropped(ground, SERVER4);
	netns_run(ground->node, "test $(cat /proc/sys/net/netfilter/nf_conntrack_count) = 0");
}

static int connect_to(const struct ground *ground, const char *to)
{
	struct sockaddr_storage storage;
	socklen_t size = ground_address(to, &storage);
	int fd = ground_socket(ground->client, ground->node, storage.ss_family, SOCK_STREAM);
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
	struct ground *ground = ground_need_armed(state);
	uint64_t before = ground_drops(ground->fence);
	int fd = connect_to(ground, VIRTUAL4);

	while (ground_drops(ground->fence) == before)
		assert_true(fence_is_armed(ground->fence, ground_now()));
	assert_int_equal(outcome_of(fd, 0), EINPROGRESS);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_int_equal(outcome_of(fd, 5000), ECONNREFUSED);
	close(fd);
}

/* An operator's saved ruleset holds the fence too: it has to be readable, for people and for nft itself. */
static void nft_lists_it_in_a_form_that_nft_takes(void **state)
{
	struct ground *ground = ground_need_armed(state);
	const char *names[] = {"sync0"};

	assert_int_equal(fence_set_interfaces(ground->fence, names, 1), 0);
	netns_run(ground->node, "nft list set inet twintrack-7 accepted | grep -q sync0 && "
				"nft list set inet twintrack-7 virtual4 | grep -qF '{ " VIRTUAL4 " }' && "
				"nft list set inet twintrack-7 virtual6 | grep -qF '{ " VIRTUAL6 " }' && "
				"nft list set inet twintrack-7 alive | grep -q 'ipv4 timeout 3s'");
	netns_run(ground->server, "nsenter --net=/proc/%d/fd/%d nft list ruleset | nft -f -", (int)getpid(),
		  ground->node);
	assert_int_equal(fence_pass_known(ground->fence, ground_now()), 0);
	netns_run(ground->node, "nft list chain inet twintrack-7 behind | grep -q 'ct status .* accept'");
	netns_run(ground->server,
		  "nft flush ruleset; nsenter --net=/proc/%d/fd/%d nft list ruleset | nft -f -",
		  (int)getpid(), ground->node);
}

/* ---- addresses ---- */

static void an_address_on_the_old_and_the_new_list_is_fenced_throughout(void **state)
{
	enum { ROUNDS = 1000 };
	struct ground *ground = ground_need_armed(state);
	struct address_prefix lists[3];
	uint64_t seen;

	lists[0] = ground_prefix("10.9.1.101", 32);
	lists[1] = ground_prefix(VIRTUAL4, 32);
	lists[2] = ground_prefix("10.9.1.99", 32);
	pid_t pid = fork();
	if (pid == 0) {
		struct sockaddr_storage storage;
		socklen_t size = ground_address(VIRTUAL4, &storage);
		int fd = ground_socket(ground->client, ground->node, AF_INET, SOCK_DGRAM);

		while (getppid() != 1)
			(void)!sendto(fd, "?", 1, 0, (struct sockaddr *)&storage, size);
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before = ground_drops(ground->fence);

		assert_int_equal(
		    fence_set_addresses(ground->fence, &lists[i % 2], i % 3 ? 2 : 3 - (size_t)(i % 2)), 0);
		while (ground_drops(ground->fence) == before)
			assert_int_equal(fence_refresh(ground->fence, ground_now(), NULL), 0);
	}
	ground_end(pid);
	assert_int_equal(recv(ground->at_node, &seen, sizeof(seen), 0), -1);
}

static void prefixes_may_overlap_touch_and_end_at_the_edge(void **state)
{
	struct ground *ground = ground_need_armed(state);
	struct address_prefix list[] = {
	    ground_prefix("10.9.1.100", 32), ground_prefix("10.9.1.96", 29),
	    ground_prefix("10.9.1.104", 29), ground_prefix("10.9.1.97", 32),
	    ground_prefix("240.0.0.0", 4),   ground_prefix("255.255.255.255", 32),
	    ground_prefix("ffff::", 16),     ground_prefix("fd09:1::100", 120),
	    ground_prefix("10.9.1.100", 32), ground_prefix("fd09:1::180", 121),
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
	list[0] = ground_prefix("0.0.0.0", 0);
	list[1] = ground_prefix("::", 0);
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
	struct ground *ground = ground_need_armed(state);
	struct address_prefix own[] = {ground_prefix(OWN4, 32), ground_prefix(OWN6, 128),
				       ground_prefix("10.9.1.120", 32)};

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
	struct ground *ground = ground_need_armed(state);
	struct address_prefix bad = ground_prefix(OWN4, 33);
	const char *too_long = "an-interface-name-too-long";

	for (size_t i = 0; i <= FENCE_ADDRESSES_MAX; i++) {
		many[i] = ground_prefix("2001:db8::", 128);
		many[i].bytes[14] = (uint8_t)(i >> 7); /* every other address: none touches the next */
		many[i].bytes[15] = (uint8_t)(i << 1);
	}
	assert_int_equal(fence_set_addresses(ground->fence, many, FENCE_ADDRESSES_MAX + 1), -E2BIG);
	assert_int_equal(fence_set_addresses(ground->fence, &bad, 1), -EINVAL);
	assert_true(strlen(fence_error(ground->fence)) > 10);
	assert_int_equal(fence_set_interfaces(ground->fence, &too_long, 1), -EINVAL);
	assert_dropped(ground, VIRTUAL4);
	many[0] = ground_prefix(VIRTUAL4, 32);
	assert_int_equal(fence_set_addresses(ground->fence, many, FENCE_ADDRESSES_MAX), 0);
	assert_dropped(ground, VIRTUAL4);
	assert_int_equal(fence_set_own_addresses(ground->fence, many, FENCE_ADDRESSES_MAX), 0);
	assert_dropped(ground, OWN4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FENCE_TEST(open_it_drops_nothing),
	    FENCE_TEST(armed_it_drops_what_goes_to_a_virtual_address),
	    FENCE_TEST(armed_it_drops_what_is_to_be_forwarded),
	    FENCE_TEST(armed_it_passes_what_goes_to_the_hosts_other_addresses),
	    FENCE_TEST(armed_it_passes_what_enters_by_loopback_or_an_accepted_interface),
	    FENCE_TEST(armed_it_passes_broadcast_and_multicast),
	    FENCE_TEST(armed_it_passes_neighbour_discovery),
	    FENCE_TEST(a_dropped_packet_leaves_no_conntrack_entry),
	    FENCE_TEST(armed_tcp_waits_instead_of_being_reset),
	    FENCE_TEST(nft_lists_it_in_a_form_that_nft_takes),
	    FENCE_TEST(an_address_on_the_old_and_the_new_list_is_fenced_throughout),
	    FENCE_TEST(prefixes_may_overlap_touch_and_end_at_the_edge),
	    FENCE_TEST(a_new_address_is_fenced_from_its_first_packet_while_learning),
	    FENCE_TEST(a_list_has_its_limit_and_a_bad_one_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
