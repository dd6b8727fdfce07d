/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/filter.h"
#include "syncd/kernel/address_set.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_passes_is_replicated_and_the_host_s_own_is_not),
	    cmocka_unit_test(the_sync_traffic_of_the_peers_is_the_host_s_own),
	    cmocka_unit_test(what_no_router_forwards_is_the_host_s_own),
	    cmocka_unit_test(without_ignore_local_all_is_replicated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
