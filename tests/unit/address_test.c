/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's own addresses, against the kernel's rtnetlink in a namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "syncd/kernel/address.h"
#include "syncd/kernel/address_set.h"
#include "tests/unit/netns_helper.h"

struct heard {
	int added, removed, altered;
	struct address latest;
};

struct ground {
	int home, netns, peer;
	struct address_watch *watch;
	struct heard heard;
};

static void hear(void *context, enum address_change change, const struct address *address)
{
	struct heard *heard = context;

	heard->added += change == ADDRESS_ADDED;
	heard->removed += change == ADDRESS_REMOVED;
	heard->altered += change == ADDRESS_ALTERED;
	heard->latest = *address;
}

static int set_up(void **state)
{
	static struct ground ground;

	*state = NULL;
	if (!netns_is_possible())
		return 0;
	ground = (struct ground){.netns = netns_create(), .peer = netns_create()};
	netns_join(ground.netns, "veth0", ground.peer, "veth1");
	netns_run(ground.netns,
		  "sysctl -qw net.ipv6.conf.veth0.accept_dad=0; ip addr add 192.0.2.1/24 dev veth0; "
		  "ip addr add 2001:db8::1/64 dev veth0 nodad");
	netns_enter(ground.netns);
	assert_int_equal(address_watch_open(&ground.watch, hear, &ground.heard), 0);
	*state = &ground;
	return 0;
}

static int tear_down(void **state)
{
	struct ground *ground = *state;

	if (!ground)
		return 0;
	address_watch_close(ground->watch);
	close(ground->netns);
	close(ground->peer);
	return 0;
}

static struct ground *need(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static bool is_own(const struct ground *ground, const char *text)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	uint8_t bytes[16] = {0};

	assert_int_equal(inet_pton(family, text, bytes), 1);
	return address_set_contains(address_watch_set(ground->watch), (uint8_t)family, bytes);
}

/* Reads until the address has come, or gone. */
static void read_until(struct ground *ground, const char *text, bool is_there)
{
	struct pollfd waiting = {.fd = address_watch_fd(ground->watch), .events = POLLIN};

	while (is_own(ground, text) != is_there) {
		assert_int_equal(poll(&waiting, 1, 5000), 1);
		assert_true(address_watch_read(ground->watch) >= 0);
	}
}

static void the_first_dump_holds_what_was_there_without_a_callback(void **state)
{
	struct ground *ground = need(state);

	assert_true(is_own(ground, "192.0.2.1"));
	assert_true(is_own(ground, "2001:db8::1"));
	assert_false(is_own(ground, "192.0.2.2"));
	assert_false(is_own(ground, "2001:db8::2"));
	assert_false(is_own(ground, "::"));
	assert_int_equal(ground->heard.added, 0);
}

static void loopback_is_always_own(void **state)
{
	struct ground *ground = need(state);

	netns_run(ground->netns, "ip addr flush dev lo");
	read_until(ground, "127.0.0.1", true);
	assert_true(is_own(ground, "127.0.0.1"));
	assert_true(is_own(ground, "127.9.8.7"));
	assert_true(is_own(ground, "::1"));
	assert_false(
	    address_set_contains(address_watch_set(ground->watch), AF_UNIX, (const uint8_t[16]){127}));
}

static void an_address_that_comes_and_goes_is_reported_with_its_attributes(void **state)
{
	struct ground *ground = need(state);
	uint64_t generation = address_watch_generation(ground->watch);

	netns_run(ground->netns, "ip addr add 198.51.100.7/28 dev veth0");
	read_until(ground, "198.51.100.7", true);
	assert_int_equal(ground->heard.added, 1);
	assert_int_equal(ground->heard.latest.prefix.family, AF_INET);
	assert_int_equal(ground->heard.latest.prefix.length, 28);
	assert_true(ground->heard.latest.flags & IFA_F_PERMANENT);
	assert_true(ground->heard.latest.ifindex > 1);
	assert_true(address_may_be_virtual(&ground->heard.latest));
	assert_int_equal(address_watch_generation(ground->watch), generation + 1);

	netns_run(ground->netns, "ip addr del 198.51.100.7/28 dev veth0");
	read_until(ground, "198.51.100.7", false);
	assert_int_equal(ground->heard.removed, 1);
	assert_int_equal(address_watch_generation(ground->watch), generation + 2);
	assert_int_equal(address_watch_read(ground->watch), 0);
}

static void a_finite_lifetime_and_a_change_of_it_are_told(void **state)
{
	struct ground *ground = need(state);
	uint64_t generation;

	netns_run(ground->netns,
		  "ip addr add 2001:db8::77/128 dev veth0 valid_lft 600 preferred_lft 600 nodad");
	read_until(ground, "2001:db8::77", true);
	assert_true(ground->heard.latest.is_finite);
	assert_false(address_may_be_virtual(&ground->heard.latest));
	generation = address_watch_generation(ground->watch);
	netns_run(ground->netns,
		  "ip addr change 2001:db8::77/128 dev veth0 valid_lft forever preferred_lft forever");
	while (ground->heard.altered == 0)
		assert_true(address_watch_read(ground->watch) >= 0);
	assert_false(ground->heard.latest.is_finite);
	assert_true(address_may_be_virtual(&ground->heard.latest));
	assert_int_equal(address_watch_generation(ground->watch), generation);
}

static void find_link_local(void *context, const struct address *address)
{
	int *found = context;

	if (address->prefix.family == AF_INET6 && address->prefix.bytes[0] == 0xfe) {
		(*found)++;
		assert_false(address_may_be_virtual(address));
	}
}

static void the_kernels_own_link_local_address_is_never_virtual(void **state)
{
	struct ground *ground = need(state);
	int found = 0;

	address_set_walk(address_watch_set(ground->watch), find_link_local, &found);
	assert_true(found >= 1);
}

static void an_address_on_two_interfaces_stays_own_until_the_last_is_gone(void **state)
{
	struct ground *ground = need(state);
	size_t count = address_set_count(address_watch_set(ground->watch));

	netns_run(ground->netns, "ip addr add 192.0.2.1/32 dev lo");
	while (address_set_count(address_watch_set(ground->watch)) != count + 1)
		assert_true(address_watch_read(ground->watch) >= 0);
	netns_run(ground->netns, "ip addr del 192.0.2.1/24 dev veth0");
	while (address_set_count(address_watch_set(ground->watch)) != count)
		assert_true(address_watch_read(ground->watch) >= 0);
	assert_true(is_own(ground, "192.0.2.1"));
	netns_run(ground->netns, "ip addr del 192.0.2.1/32 dev lo");
	read_until(ground, "192.0.2.1", false);
}

static void of_a_point_to_point_address_only_the_near_end_is_own(void **state)
{
	struct ground *ground = need(state);

	netns_run(ground->netns, "ip addr add 10.66.0.1 peer 10.66.0.2/32 dev veth0; "
				 "ip addr add 2001:db8:66::1 peer 2001:db8:66::2/128 dev veth0 nodad");
	read_until(ground, "10.66.0.1", true);
	read_until(ground, "2001:db8:66::1", true);
	assert_false(is_own(ground, "10.66.0.2"));
	assert_false(is_own(ground, "2001:db8:66::2"));
	netns_run(ground->netns, "ip addr add 10.66.0.1 peer 10.66.0.3/32 dev veth0; "
				 "ip addr del 10.66.0.1 peer 10.66.0.2/32 dev veth0");
	while (ground->heard.removed == 0)
		assert_true(address_watch_read(ground->watch) >= 0);
	assert_true(is_own(ground, "10.66.0.1"));
}

static void an_interface_takes_its_addresses_along(void **state)
{
	struct ground *ground = need(state);

	netns_run(ground->netns, "ip link del veth0");
	read_until(ground, "192.0.2.1", false);
	read_until(ground, "2001:db8::1", false);
}

/* Two interfaces' worth of changes that nobody reads, until the queue is full; then one read must find them
 * all. */
static void lost_events_are_made_up_for_by_a_dump(void **state)
{
	struct ground *ground = need(state);
	struct pollfd waiting = {.fd = address_watch_fd(ground->watch), .events = POLLIN};
	int small = 1;

	assert_int_equal(setsockopt(waiting.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	netns_run(ground->netns,
		  "for i in $(seq 1 200); do echo addr add 10.77.0.$i/32 dev veth0; done | ip -batch -; "
		  "ip addr del 192.0.2.1/24 dev veth0");
	assert_int_equal(poll(&waiting, 1, 5000), 1);
	for (int i = 0; i < 20 && address_watch_resyncs(ground->watch) == 0; i++)
		assert_true(address_watch_read(ground->watch) >= 0);
	assert_int_equal(address_watch_resyncs(ground->watch), 1);
	assert_true(is_own(ground, "10.77.0.1"));
	assert_true(is_own(ground, "10.77.0.200"));
	assert_false(is_own(ground, "192.0.2.1"));
	assert_int_equal(ground->heard.added, 200);
	assert_int_equal(ground->heard.removed, 1);
}

static void many_addresses_are_found_each(void **state)
{
	struct address_set *set = address_set_new();
	struct address address = {.prefix = {.family = AF_INET, .length = 32}, .ifindex = 2};

	(void)state;
	assert_non_null(set);
	for (uint32_t i = 0; i < ADDRESS_MAX; i++) {
		memcpy(address.prefix.bytes, &i, sizeof(i));
		assert_int_equal(address_set_put(set, &address), ADDRESS_PUT_NEW);
		assert_int_equal(address_set_put(set, &address), ADDRESS_PUT_SAME);
	}
	address.ifindex++;
	assert_int_equal(address_set_put(set, &address), -ENOSPC);
	address.ifindex--;
	assert_true(address_set_contains(set, AF_INET, address.prefix.bytes));
	address_set_unmark(set);
	assert_int_equal(address_set_put(set, &address), ADDRESS_PUT_SAME);
	struct address gone;
	size_t swept = 0;
	while (address_set_take_unseen(set, &gone))
		swept++;
	assert_int_equal(swept, ADDRESS_MAX - 1);
	assert_true(address_set_contains(set, AF_INET, address.prefix.bytes));
	assert_int_equal(address_set_count(set), 1);
	address_set_free(set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_first_dump_holds_what_was_there_without_a_callback),
	    TEST(loopback_is_always_own),
	    TEST(an_address_that_comes_and_goes_is_reported_with_its_attributes),
	    TEST(a_finite_lifetime_and_a_change_of_it_are_told),
	    TEST(the_kernels_own_link_local_address_is_never_virtual),
	    TEST(an_address_on_two_interfaces_stays_own_until_the_last_is_gone),
	    TEST(of_a_point_to_point_address_only_the_near_end_is_own),
	    TEST(an_interface_takes_its_addresses_along),
	    TEST(lost_events_are_made_up_for_by_a_dump),
	    cmocka_unit_test(many_addresses_are_found_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
