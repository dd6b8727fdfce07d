/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random filters and random flows on a real kernel: what the kernel leaves out of events and dumps is what
 * the evaluator would leave out, and all that can be seen by what never changes.
 */
#include "syncd/daemon/filter.h"
#include "syncd/kernel/address_set.h"
#include "syncd/kernel/watch.h"
#include "tests/unit/kernel_netns.h"
#include "tests/unit/random_flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { FLOWS = 60, ROUNDS = 60, SEEN_MAX = 8 * FLOWS };

static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_ICMP, 99};
static const uint16_t zones[] = {0, 0, 1, 9, 300};

struct seen {
	size_t count;
	enum convert_kind kinds[SEEN_MAX];
	struct flow flows[SEEN_MAX];
};

struct world {
	struct config config;
	struct filter whole, unchanging; /* the second: only what never changes in a flow's life */
	struct address_set *own;
	struct seen all, chosen;
};

static void note(void *context, enum convert_kind kind, const struct flow *flow)
{
	struct seen *seen = context;

	assert_true(seen->count < SEEN_MAX);
	seen->kinds[seen->count] = kind;
	seen->flows[seen->count++] = *flow;
}

static void note_row(void *context, const struct flow *flow)
{
	note(context, CONVERT_NEW, flow);
}

static void ignore_result(void *context, const struct flow *flow, enum commit_result result, int error)
{
	(void)context;
	(void)flow;
	(void)result;
	(void)error;
}

/* ---- flows ---- */

/* Few networks, so that prefixes meet some of the flows. */
static void random_address(struct random *random, uint8_t family, uint8_t *bytes)
{
	static const uint8_t v4[] = {10, 0, 0, 0}, v6[] = {0xfd, 0, 0, 0x10};

	memset(bytes, 0, 16);
	memcpy(bytes, family == FLOW_IPV4 ? v4 : v6, 4);
	bytes[1] = (uint8_t)random_below(random, 3);
	bytes[family == FLOW_IPV4 ? 2 : 9] = (uint8_t)(random_below(random, 4) * 64);
	bytes[family == FLOW_IPV4 ? 3 : 15] = (uint8_t)(1 + random_below(random, 200));
}

static struct flow make_flow(struct random *random, uint32_t n)
{
	struct flow flow = kernel_netns_flow(n);
	uint8_t protocol = protocols[random_below(random, sizeof(protocols))];

	flow.family = random_below(random, 3) ? FLOW_IPV4 : FLOW_IPV6;
	if (flow.family == FLOW_IPV6 && protocol == IPPROTO_ICMP)
		protocol = IPPROTO_ICMPV6;
	random_address(random, flow.family, flow.orig.src);
	random_address(random, flow.family, flow.orig.dst);
	flow.protocol = protocol;
	if (protocol != IPPROTO_TCP)
		flow.present &= ~(uint32_t)FLOW_HAS_TCP;
	flow.orig.sport = (uint16_t)(1000 + n);
	flow.orig.dport = 80;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 || protocol == 99)
		flow.orig.sport = flow.orig.dport = 0;
	flow.reply = flow.orig;
	memcpy(flow.reply.src, flow.orig.dst, 16);
	memcpy(flow.reply.dst, flow.orig.src, 16);
	flow.reply.sport = flow.orig.dport;
	flow.reply.dport = flow.orig.sport;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
		flow.orig.icmp_type = protocol == IPPROTO_ICMP ? 8 : 128;
		flow.reply.icmp_type = protocol == IPPROTO_ICMP ? 0 : 129;
		flow.orig.icmp_id = flow.reply.icmp_id = (uint16_t)n;
	}
	flow.zone = zones[random_below(random, sizeof(zones) / sizeof(zones[0]))];
	if (flow.zone && !random_below(random, 3))
		flow.zone_scope = FLOW_ZONE_ORIGINAL;
	if (random_below(random, 2)) {
		flow.mark = random_below(random, 4);
		flow.present |= FLOW_HAS_MARK;
	}
	return flow;
}

/* ---- filters ---- */

static void random_prefix(struct random *random, struct config_prefix *prefix)
{
	uint8_t family = random_below(random, 3) ? FLOW_IPV4 : FLOW_IPV6, bytes[16];
	unsigned bits = family == FLOW_IPV4 ? 32 : 128;

	random_address(random, family, bytes);
	memset(prefix, 0, sizeof(*prefix));
	prefix->length =
	    random_below(random, 4) ? bits / 8 * random_below(random, 9) : random_below(random, bits + 1);
	prefix->address.family = family == FLOW_IPV4 ? AF_INET : AF_INET6;
	for (unsigned bit = prefix->length; bit < bits; bit++)
		bytes[bit / 8] = (uint8_t)(bytes[bit / 8] & ~(0x80u >> bit % 8));
	memcpy(&prefix->address.v6, bytes, bits / 8);
}

static void random_match(struct random *random, struct config_match *match)
{
	memset(match, 0, sizeof(*match));
	for (uint32_t i = random_below(random, 4); i > 0; i--) {
		uint8_t protocol = protocols[random_below(random, sizeof(protocols))];

		match->protocols[protocol / 8] |= (uint8_t)(1u << protocol % 8);
	}
	match->zone_count = random_below(random, 3) ? 0 : 1 + random_below(random, 2);
	for (size_t i = 0; i < match->zone_count; i++)
		match->zone[i] = zones[random_below(random, sizeof(zones) / sizeof(zones[0]))];
	match->address_count = random_below(random, 2) ? 0 : 1 + random_below(random, 4);
	for (size_t i = 0; i < match->address_count; i++)
		random_prefix(random, &match->address[i]);
	match->mark_count = random_below(random, 4) ? 0 : 1;
	match->mark[0] = (struct config_mark){.value = random_below(random, 4), .mask = 3};
}

static void configure(struct world *world, struct random *random)
{
	static const struct config_match nothing;

	world->config.filter.ignore_local = false;
	world->config.filter.accept = world->config.filter.ignore = nothing;
	if (random_below(random, 3))
		random_match(random, &world->config.filter.accept);
	if (random_below(random, 3))
		random_match(random, &world->config.filter.ignore);
	filter_configure(&world->whole, &world->config, world->own);
	world->config.filter.accept.mark_count = world->config.filter.ignore.mark_count = 0;
	filter_configure(&world->unchanging, &world->config, world->own);
}

/* ---- the tests ---- */

static struct world *open_world(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	config_set_defaults(&world->config);
	world->own = address_set_new();
	assert_non_null(world->own);
	return world;
}

static void close_world(struct world *world)
{
	address_set_free(world->own);
	free(world);
}

static void read_events(struct watch *watch, struct seen *seen)
{
	seen->count = 0;
	while (watch_read(watch, 1000, note, seen) > 0)
		;
}

/* All of them are made, changed, and ended. */
static void live(struct kernel_netns *k, const struct flow *flows)
{
	struct commit_options options = {0};

	for (unsigned i = 0; i < FLOWS; i++)
		commit_flow(k->commit, &flows[i], 100, &options, ignore_result, NULL);
	commit_flush(k->commit);
	for (unsigned i = 0; i < FLOWS; i++)
		commit_delete(k->commit, &flows[i], ignore_result, NULL);
	commit_flush(k->commit);
}

static void assert_same_events(const struct world *world, unsigned round)
{
	size_t at = 0;

	for (size_t i = 0; i < world->all.count; i++) {
		const struct flow *flow = &world->all.flows[i];
		bool is_told = at < world->chosen.count && world->chosen.kinds[at] == world->all.kinds[i] &&
			       flow_key_equals(&world->chosen.flows[at], flow);
		bool is_wanted = filter_accepts(&world->unchanging, flow);

		if (is_told != is_wanted) {
			char text[FLOW_TEXT_SIZE];

			print_message("round %u, event %zu: told %d, wanted %d: %s\n", round, i, is_told,
				      is_wanted, flow_key_print(flow, text));
		}
		assert_int_equal(is_told, is_wanted);
		if (filter_accepts(&world->whole, flow))
			assert_true(is_told);
		at += is_told;
	}
	assert_int_equal(at, world->chosen.count);
}

static void the_kernel_tells_just_the_events_that_the_evaluator_lets_pass(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct watch_options options = {.buffer = 8 << 20, .buffer_max = 8 << 20};
	struct random random = {7};
	struct world *world = open_world();
	struct watch *all, *chosen;
	size_t told = 0, left_out = 0;

	assert_int_equal(watch_open(&all, &options), 0);
	assert_int_equal(watch_open(&chosen, &options), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct event_filter filter;
		struct flow flows[FLOWS];

		configure(world, &random);
		filter_for_events(&world->whole, &filter);
		assert_int_equal(watch_set_filter(chosen, &filter), 0);
		for (unsigned i = 0; i < FLOWS; i++)
			flows[i] = make_flow(&random, i);
		live(k, flows);
		read_events(all, &world->all);
		read_events(chosen, &world->chosen);
		assert_true(world->all.count > FLOWS); /* made, and ended */
		assert_same_events(world, round);
		told += world->chosen.count;
		left_out += world->all.count - world->chosen.count;
	}
	assert_true(told > 500 && left_out > 500);
	watch_close(all);
	watch_close(chosen);
	close_world(world);
}

static void dump(struct kernel_netns *k, const struct audit_filter *filter, struct seen *seen)
{
	int progress;

	seen->count = 0;
	assert_int_equal(audit_dump_start(k->audit, filter), 0);
	do
		progress = audit_dump_read(k->audit, 1000, note_row, seen);
	while (progress == AUDIT_MORE);
	assert_int_equal(progress, AUDIT_DONE);
}

static void a_chosen_dump_has_all_that_the_evaluator_lets_pass(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct commit_options options = {0};
	struct random random = {11};
	struct world *world = open_world();
	size_t left_out = 0;

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow flow = make_flow(&random, i);

		commit_flow(k->commit, &flow, 100, &options, ignore_result, NULL);
	}
	commit_flush(k->commit);
	for (unsigned round = 0; round < 5 * ROUNDS; round++) {
		struct audit_filter filter;
		size_t wanted = 0, got = 0;

		configure(world, &random);
		if (!filter_for_dump(&world->whole, &filter))
			continue;
		dump(k, NULL, &world->all);
		dump(k, &filter, &world->chosen);
		for (size_t i = 0; i < world->all.count; i++)
			wanted += filter_accepts(&world->whole, &world->all.flows[i]);
		for (size_t i = 0; i < world->chosen.count; i++)
			got += filter_accepts(&world->whole, &world->chosen.flows[i]);
		assert_int_equal(got, wanted);
		left_out += world->all.count - world->chosen.count;
	}
	assert_true(left_out > 500);
	close_world(world);
}

/* As many as the configuration takes: more than a program has room for. */
static void a_filter_that_does_not_fit_leaves_the_addresses_to_the_evaluator(void **state)
{
	struct sock_filter *code = calloc(EVENT_FILTER_CODE_MAX, sizeof(*code));
	struct event_filter *filter = calloc(1, sizeof(*filter));
	size_t short_length, length;
	(void)state;

	filter->accept.protocols[IPPROTO_TCP / 8] = 1u << IPPROTO_TCP % 8;
	short_length = event_filter_build(filter, NULL, 0, code);
	filter->ignore.prefix_count = filter->accept.prefix_count = EVENT_FILTER_PREFIXES_MAX;
	for (size_t i = 0; i < EVENT_FILTER_PREFIXES_MAX; i++)
		filter->accept.prefix[i] = filter->ignore.prefix[i] =
		    (struct event_prefix){.family = AF_INET6, .length = 128};
	length = event_filter_build(filter, NULL, 0, code);
	assert_int_equal(length, short_length);
	filter->accept.prefix_count = 0;
	filter->ignore.prefix_count = 40;
	length = event_filter_build(filter, NULL, 0, code);
	assert_in_range(length, short_length + 1000, EVENT_FILTER_CODE_MAX);
	free(filter);
	free(code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(the_kernel_tells_just_the_events_that_the_evaluator_lets_pass),
	    NETNS_TEST(a_chosen_dump_has_all_that_the_evaluator_lets_pass),
	    cmocka_unit_test(a_filter_that_does_not_fit_leaves_the_addresses_to_the_evaluator),
	};
	return cmocka_run_group_tests(tests, kernel_netns_set_up, kernel_netns_tear_down);
}
