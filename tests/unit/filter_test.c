/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/filter.h"
#include "syncd/kernel/address_set.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct config config;
	struct address_set *own;
	struct filter filter;
};

static void set_up(struct world *world, bool ignore_local)
{
	struct address address = {.prefix = {.family = AF_INET, .length = 24}, .ifindex = 2};
	memset(world, 0, sizeof(*world));
	config_set_defaults(&world->config);
	world->config.filter.ignore_local = ignore_local;
	world->config.link_count = 2;
	world->config.links[0].group.family = AF_INET;
	inet_pton(AF_INET, "239.192.55.1", &world->config.links[0].group.v4);
	world->config.links[1].group.family = AF_INET6;
	inet_pton(AF_INET6, "ff05::55", &world->config.links[1].group.v6);
	world->own = address_set_new();
	assert_non_null(world->own);
	inet_pton(AF_INET, "192.0.2.1", address.prefix.bytes);
	assert_int_equal(address_set_put(world->own, &address), ADDRESS_PUT_NEW);
	filter_configure(&world->filter, &world->config, world->own);
}

/* What the filter says of a flow from src, whose answers come from reply_src. */
static bool accepts(const struct world *world, const char *src, const char *reply_src)
{
	struct flow flow;
	memset(&flow, 0, sizeof(flow));
	flow.family = strchr(src, ':') != NULL ? AF_INET6 : AF_INET;
	flow.present = FLOW_HAS_REPLY;
	inet_pton(flow.family, src, flow.orig.src);
	inet_pton(flow.family, reply_src, flow.reply.src);
	return filter_accepts(&world->filter, &flow);
}

static void what_passes_is_replicated_and_the_host_s_own_is_not(void **state)
{
	struct world world;
	(void)state;
	set_up(&world, true);
	assert_true(accepts(&world, "10.0.0.1", "10.0.0.2"));
	assert_true(accepts(&world, "2001:db8::1", "2001:db8::2"));
	assert_false(accepts(&world, "192.0.2.1", "10.0.0.2"));
	assert_false(accepts(&world, "10.0.0.1", "192.0.2.1"));
	address_set_free(world.own);
}

static void the_sync_traffic_of_the_peers_is_the_host_s_own(void **state)
{
	struct world world;
	(void)state;
	set_up(&world, true);
	assert_false(accepts(&world, "192.0.2.2", "239.192.55.1"));
	assert_false(accepts(&world, "2001:db8::2", "ff05::55"));
	assert_true(accepts(&world, "192.0.2.2", "239.192.55.2"));
	assert_true(accepts(&world, "2001:db8::2", "ff05::56"));
	address_set_free(world.own);
}

static void what_no_router_forwards_is_the_host_s_own(void **state)
{
	static const char *const groups[] = {"224.0.0.18", "224.0.0.251", "255.255.255.255"};
	struct world world;
	(void)state;
	set_up(&world, true);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		assert_false(accepts(&world, "192.0.2.2", groups[i]));
	assert_true(accepts(&world, "192.0.2.2", "224.0.1.18"));
	assert_false(accepts(&world, "fe80::2", "ff02::12"));
	assert_false(accepts(&world, "fe80::2", "ff12::12"));
	assert_true(accepts(&world, "2001:db8::2", "ff05::12"));
	address_set_free(world.own);
}

static void without_ignore_local_all_is_replicated(void **state)
{
	struct world world;
	(void)state;
	set_up(&world, false);
	assert_true(accepts(&world, "192.0.2.1", "10.0.0.2"));
	assert_true(accepts(&world, "192.0.2.2", "239.192.55.1"));
	assert_true(accepts(&world, "192.0.2.2", "224.0.0.18"));
	assert_int_not_equal(filter_hash(&world.filter), 0);
	address_set_free(world.own);
}

/* ---- accept and ignore ---- */

static void configure(struct world *world, const char *lines)
{
	char text[1024];
	struct config_errors *errors = calloc(1, sizeof(*errors));
	snprintf(text, sizeof(text),
		 "[node]\nid = 1\n[sync]\nkey-file = /k\n[link sync0]\ngroup = 239.1.2.3\n[filter]\n%s",
		 lines);
	assert_non_null(errors);
	assert_int_equal(config_load_memory(text, strlen(text), "test", &world->config, errors), 0);
	free(errors);
	filter_configure(&world->filter, &world->config, world->own);
}

static struct flow tcp_flow(void)
{
	struct flow flow;
	memset(&flow, 0, sizeof(flow));
	flow.family = FLOW_IPV4;
	flow.protocol = 6;
	flow.present = FLOW_HAS_REPLY | FLOW_HAS_TCP | FLOW_HAS_MARK;
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	inet_pton(AF_INET, "10.1.0.1", flow.orig.src);
	inet_pton(AF_INET, "198.51.100.2", flow.orig.dst);
	inet_pton(AF_INET, "198.51.100.2", flow.reply.src);
	inet_pton(AF_INET, "203.0.113.1", flow.reply.dst); /* SNAT */
	return flow;
}

struct case_of {
	const char *lines;
	bool accepts; /* the flow above, with mark 0x107 and zone 3 */
};

static void each_key_accepts_or_ignores_by_what_it_names(void **state)
{
	static const struct case_of cases[] = {
	    {"", true},
	    {"protocols = tcp", true},
	    {"protocols = udp icmp", false},
	    {"ignore-protocols = 6", false},
	    {"ignore-protocols = udp", true},
	    {"accept-address = 10.0.0.0/8", true},
	    {"accept-address = 10.0.0.0/16", false},
	    {"accept-address = 10.0.0.0/15", true},
	    {"accept-address = 203.0.113.1", true},
	    {"accept-address = 198.51.100.2", true},
	    {"accept-address = 2001:db8::/32", false},
	    {"accept-address = 192.0.2.0/24\naccept-address = 10.1.0.0/24", true},
	    {"ignore-address = 203.0.113.0/31", false},
	    {"ignore-address = 203.0.113.2/31", true},
	    {"accept-address = 10.0.0.0/8\nignore-address = 10.1.0.1", false},
	    {"tcp-states = established fin-wait", true},
	    {"tcp-states = syn-sent", false},
	    {"ignore-tcp-states = established", false},
	    {"ignore-tcp-states = close", true},
	    {"accept-zone = 3", true},
	    {"accept-zone = 0\naccept-zone = 4", false},
	    {"ignore-zone = 3", false},
	    {"ignore-zone = 0", true},
	    {"accept-mark = 0x107", true},
	    {"accept-mark = 7", false},
	    {"accept-mark = 7/0xff", true},
	    {"ignore-mark = 0x100/0xff00", false},
	    {"ignore-mark = 0x200/0xff00", true},
	    {"protocols = tcp\naccept-zone = 3\naccept-mark = 0/0\nignore-address = 10.9.0.0/16", true},
	};
	struct world world;
	struct flow flow = tcp_flow();
	(void)state;
	set_up(&world, true);
	flow.zone = 3;
	flow.mark = 0x107;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		configure(&world, cases[i].lines);
		if (filter_accepts(&world.filter, &flow) != cases[i].accepts)
			fail_msg("%s: accepted is to be %d", cases[i].lines, cases[i].accepts);
	}
	address_set_free(world.own);
}

static void states_are_of_tcp_alone_and_an_offloaded_flow_is_established(void **state)
{
	struct world world;
	struct flow flow = tcp_flow();
	(void)state;
	set_up(&world, true);
	configure(&world, "tcp-states = established");
	flow.present &= ~(uint32_t)FLOW_HAS_TCP;
	assert_true(filter_accepts(&world.filter, &flow));
	flow.protocol = 17;
	assert_true(filter_accepts(&world.filter, &flow));
	configure(&world, "tcp-states = syn-sent");
	assert_true(filter_accepts(&world.filter, &flow));
	flow.protocol = 6;
	assert_false(filter_accepts(&world.filter, &flow));
	address_set_free(world.own);
}

static void a_part_of_a_flow_is_kept_out_only_by_what_it_tells(void **state)
{
	struct world world;
	struct flow part = tcp_flow();
	(void)state;
	set_up(&world, true);
	configure(&world, "tcp-states = established\naccept-mark = 7\nprotocols = tcp");
	part.present = FLOW_HAS_REPLY;
	assert_true(filter_may_accept(&world.filter, &part));
	part.present |= FLOW_HAS_TCP;
	part.tcp.state = FLOW_TCP_SYN_SENT;
	assert_false(filter_may_accept(&world.filter, &part));
	part.tcp.state = FLOW_TCP_ESTABLISHED;
	assert_true(filter_may_accept(&world.filter, &part));
	part.present |= FLOW_HAS_MARK;
	assert_false(filter_may_accept(&world.filter, &part));
	part.protocol = 17;
	part.present = FLOW_HAS_REPLY;
	assert_false(filter_may_accept(&world.filter, &part));
	address_set_free(world.own);
}

static uint32_t hash_of(struct world *world, const char *lines)
{
	configure(world, lines);
	return filter_hash(&world->filter);
}

static void equal_filters_have_equal_hashes_in_any_order_of_lines(void **state)
{
	struct world world;
	(void)state;
	set_up(&world, true);
	assert_int_equal(hash_of(&world, ""), 0);
	assert_int_equal(
	    hash_of(&world, "accept-address = 10.0.0.0/8\nprotocols = tcp udp\naccept-address = 10.0.0.1"),
	    hash_of(&world, "protocols = udp tcp\naccept-address = 10.0.0.1\naccept-address = 10.0.0.0/8"));
	assert_int_not_equal(hash_of(&world, "accept-address = 10.0.0.0/8"), 0);
	assert_int_not_equal(hash_of(&world, "accept-address = 10.0.0.0/8"),
			     hash_of(&world, "ignore-address = 10.0.0.0/8"));
	assert_int_not_equal(hash_of(&world, "accept-zone = 1"), hash_of(&world, "accept-zone = 2"));
	assert_int_not_equal(hash_of(&world, "ignore-local = no"), 0);
	address_set_free(world.own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_passes_is_replicated_and_the_host_s_own_is_not),
	    cmocka_unit_test(the_sync_traffic_of_the_peers_is_the_host_s_own),
	    cmocka_unit_test(what_no_router_forwards_is_the_host_s_own),
	    cmocka_unit_test(without_ignore_local_all_is_replicated),
	    cmocka_unit_test(each_key_accepts_or_ignores_by_what_it_names),
	    cmocka_unit_test(states_are_of_tcp_alone_and_an_offloaded_flow_is_established),
	    cmocka_unit_test(a_part_of_a_flow_is_kept_out_only_by_what_it_tells),
	    cmocka_unit_test(equal_filters_have_equal_hashes_in_any_order_of_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
