/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/commit.h"
#include "syncd/kernel/watch.h"
#include "tests/unit/kernel_netns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

enum { SEEN_MAX = 16 };

/* What a test was told. */
struct seen {
	unsigned count;
	enum convert_kind kinds[SEEN_MAX];
	struct flow flows[SEEN_MAX];
};

static bool has_netns;
static struct commit *commit;

static void note(void *context, enum convert_kind kind, const struct flow *flow)
{
	struct seen *seen = context;

	if (seen->count < SEEN_MAX) {
		seen->kinds[seen->count] = kind;
		seen->flows[seen->count] = *flow;
	}
	seen->count++;
}

static void ignore(void *context, const struct flow *flow, enum commit_result result, int error)
{
	(void)context;
	(void)flow;
	(void)result;
	(void)error;
}

static void create(struct commit *by, const struct flow *flow)
{
	struct commit_options options = {0};

	commit_flow(by, flow, flow->timeout_s, &options, ignore, NULL);
	commit_flush(by);
}

static void destroy(struct commit *by, const struct flow *flow)
{
	commit_delete(by, flow, ignore, NULL);
	commit_flush(by);
}

static struct watch *open_watch(size_t buffer, size_t buffer_max, const struct commit *not_of)
{
	struct watch_options options = {.buffer = buffer, .buffer_max = buffer_max};
	struct watch *watch;

	if (not_of)
		options.own_ports_count = commit_ports(not_of, options.own_ports, WATCH_OWN_PORTS_MAX);
	assert_int_equal(watch_open(&watch, &options), 0);
	return watch;
}

static void read_all(struct watch *watch, struct seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	while (!watch_is_drained(watch)) {
		int got = watch_read(watch, 1000, note, seen);

		assert_true(got > 0 || (got == -ENOBUFS && !watch_is_congested(watch)));
	}
	assert_int_equal(watch_read(watch, 1000, note, seen), 0);
}

static void without_the_wish_for_new_flows_only_those_are_left_out(void **state)
{
	struct flow before = kernel_netns_flow(1), meanwhile = kernel_netns_flow(2),
		    after = kernel_netns_flow(3);
	struct watch *watch;
	struct seen seen;

	(void)state;
	if (!has_netns)
		skip();
	watch = open_watch(1 << 20, 1 << 20, NULL);
	create(commit, &before);
	assert_int_equal(watch_want_new(watch, false), 0);
	create(commit, &meanwhile);
	destroy(commit, &before);
	destroy(commit, &meanwhile);
	assert_int_equal(watch_want_new(watch, true), 0);
	create(commit, &after);
	read_all(watch, &seen);
	assert_int_equal(seen.count, 4);
	assert_true(seen.kinds[0] == CONVERT_NEW && flow_key_equals(&seen.flows[0], &before));
	assert_true(seen.kinds[1] == CONVERT_DESTROY && flow_key_equals(&seen.flows[1], &before));
	assert_true(seen.kinds[2] == CONVERT_DESTROY && flow_key_equals(&seen.flows[2], &meanwhile));
	assert_true(seen.kinds[3] == CONVERT_NEW && flow_key_equals(&seen.flows[3], &after));
	destroy(commit, &after);
	watch_close(watch);
}

static void new_update_and_destroy_arrive_with_their_content(void **state)
{
	struct flow flow = kernel_netns_flow(1);
	struct watch *watch;
	struct seen seen;

	(void)state;
	if (!has_netns)
		skip();
	watch = open_watch(1 << 20, 1 << 20, NULL);
	flow.zone = 9;
	flow.reply.dst[0] = 99;
	flow.tcp.state = FLOW_TCP_SYN_RECV;
	flow.status = FLOW_STATUS_SEEN_REPLY;
	create(commit, &flow);
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	flow.status |= FLOW_STATUS_ASSURED;
	flow.mark = 77;
	flow.present |= FLOW_HAS_MARK;
	create(commit, &flow); /* known: brought forward */
	destroy(commit, &flow);
	read_all(watch, &seen);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.kinds[0], CONVERT_NEW);
	assert_int_equal(seen.kinds[1], CONVERT_UPDATE);
	assert_int_equal(seen.kinds[2], CONVERT_DESTROY);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(flow_key_equals(&seen.flows[i], &flow));
		assert_true(flow_nat_equals(&seen.flows[i], &flow));
		assert_true(seen.flows[i].present & FLOW_HAS_ID);
	}
	assert_int_equal(seen.flows[0].tcp.state, FLOW_TCP_SYN_RECV);
	assert_true(seen.flows[0].status & FLOW_STATUS_SRC_NAT);
	assert_false(seen.flows[0].status & FLOW_STATUS_ASSURED);
	assert_int_equal(seen.flows[1].tcp.state, FLOW_TCP_ESTABLISHED);
	assert_true(seen.flows[1].status & FLOW_STATUS_ASSURED);
	assert_int_equal(seen.flows[1].mark, 77);
	for (unsigned kind = 0; kind < 3; kind++)
		assert_int_equal(watch_statistics(watch)->events[kind], 1);
	assert_int_equal(watch_statistics(watch)->malformed, 0);
	watch_close(watch);
}

static void own_requests_make_no_event_and_others_do(void **state)
{
	struct flow own = kernel_netns_flow(2), others = kernel_netns_flow(3);
	struct commit *other;
	struct watch *watch;
	struct seen seen;

	(void)state;
	if (!has_netns)
		skip();
	assert_int_equal(commit_open(&other), 0);
	watch = open_watch(1 << 20, 1 << 20, commit);
	create(commit, &own);
	create(other, &others);
	destroy(commit, &own);
	destroy(other, &others);
	read_all(watch, &seen);
	assert_int_equal(seen.count, 2);
	assert_true(flow_key_equals(&seen.flows[0], &others));
	assert_true(flow_key_equals(&seen.flows[1], &others));
	watch_close(watch);
	commit_close(other);
}

static void packets_make_events(void **state)
{
	struct watch *watch;
	struct seen seen;

	(void)state;
	if (!has_netns)
		skip();
	watch = open_watch(1 << 20, 1 << 20, NULL);
	kernel_netns_run("ping -q -c 1 -W 1 127.0.0.1 >/dev/null && ping -q -c 1 -W 1 ::1 >/dev/null");
	read_all(watch, &seen);
	assert_true(seen.count >= 2);
	assert_int_equal(seen.kinds[0], CONVERT_NEW);
	assert_int_equal(seen.flows[0].protocol, PROTOCOL_ICMP);
	assert_int_equal(seen.flows[0].orig.icmp_type, 8);
	assert_int_equal(seen.flows[0].reply.icmp_type, 0);
	watch_close(watch);
	kernel_netns_flush();
}

static void an_overrun_is_told_once_and_the_buffer_grows(void **state)
{
	enum { BURST = 50000, BUFFER = 64 * 1024 };
	const struct commit_options options = {0};
	struct watch *watch;
	struct seen seen = {0};
	size_t before;

	(void)state;
	if (!has_netns)
		skip();
	watch = open_watch(BUFFER, 3 * BUFFER, NULL);
	before = watch_statistics(watch)->buffer;
	for (unsigned n = 0; n < BURST; n++) {
		struct flow flow = kernel_netns_flow(n);

		commit_flow(commit, &flow, 600, &options, ignore, NULL);
	}
	commit_flush(commit);
	assert_int_equal(watch_read(watch, BURST, note, &seen), -ENOBUFS);
	assert_int_equal(watch_statistics(watch)->overruns, 1);
	assert_int_equal(watch_statistics(watch)->buffer, 2 * before);
	assert_true(watch_is_congested(watch));
	assert_int_equal(watch_read(watch, 1, note, &seen), 1);
	assert_int_equal(watch_read(watch, BURST, note, &seen), -ENOBUFS); /* the end of it */
	assert_true(watch_is_drained(watch) && !watch_is_congested(watch));
	assert_true(seen.count > 0 && seen.count < BURST);
	assert_int_equal(watch_read(watch, BURST, note, &seen), 0);
	assert_int_equal(watch_statistics(watch)->overruns, 1);

	create(commit, &(struct flow){0}); /* refused, and no event */
	seen.count = 0;
	kernel_netns_flush(); /* destroys of all: the next overrun */
	assert_int_equal(watch_read(watch, BURST, note, &seen), -ENOBUFS);
	assert_int_equal(watch_statistics(watch)->buffer, 3 * before); /* the limit, not four times */
	read_all(watch, &seen);
	watch_close(watch);
}

static void a_large_buffer_loses_nothing(void **state)
{
	enum { BURST = 20000 };
	const struct commit_options options = {0};
	struct watch *watch;
	struct seen seen;

	(void)state;
	if (!has_netns)
		skip();
	watch = open_watch(1 << 16, 1 << 26, NULL);
	assert_int_equal(watch_set_buffer(watch, 1 << 25, 1 << 26), 0);
	for (unsigned n = 0; n < BURST; n++) {
		struct flow flow = kernel_netns_flow(n);

		commit_flow(commit, &flow, 600, &options, ignore, NULL);
	}
	commit_flush(commit);
	read_all(watch, &seen);
	assert_int_equal(seen.count, BURST);
	assert_int_equal(watch_statistics(watch)->overruns, 0);
	watch_close(watch);
	kernel_netns_flush();
}

static void a_budget_is_kept(void **state)
{
	struct watch *watch;
	struct seen seen = {0};

	(void)state;
	if (!has_netns)
		skip();
	watch = open_watch(1 << 20, 1 << 20, NULL);
	for (unsigned n = 0; n < 100; n++) {
		struct flow flow = kernel_netns_flow(n);

		create(commit, &flow);
	}
	assert_int_equal(watch_read(watch, 70, note, &seen), 70);
	assert_int_equal(seen.count, 70);
	assert_int_equal(watch_read(watch, 70, note, &seen), 30);
	watch_close(watch);
	kernel_netns_flush();
}

static int set_up(void **state)
{
	(void)state;
	has_netns = kernel_netns_enter();
	return has_netns ? commit_open(&commit) : 0;
}

static int tear_down(void **state)
{
	(void)state;
	commit_close(commit);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(new_update_and_destroy_arrive_with_their_content),
	    cmocka_unit_test(without_the_wish_for_new_flows_only_those_are_left_out),
	    cmocka_unit_test(own_requests_make_no_event_and_others_do),
	    cmocka_unit_test(packets_make_events),
	    cmocka_unit_test(an_overrun_is_told_once_and_the_buffer_grows),
	    cmocka_unit_test(a_large_buffer_loses_nothing),
	    cmocka_unit_test(a_budget_is_kept),
	};

	return cmocka_run_group_tests_name("watch", tests, set_up, tear_down);
}
