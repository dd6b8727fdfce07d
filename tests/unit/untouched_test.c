/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/untouched.h"

#include "proto/record.h"
#include "syncd/kernel/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { COMMITTED_S = 432000, S = 1000000 };

/* The owner's flow, our record of what was committed of it, and what our kernel shows. */
struct case_ {
	struct flow last, kernel;
	uint8_t ours[RECORD_MAX];
};

static struct case_ example(void)
{
	struct case_ c;
	struct convert_options options = {.tcp_liberal = true, .timeout_s = COMMITTED_S};
	memset(&c, 0, sizeof(c));
	c.last.family = FLOW_IPV4;
	c.last.protocol = PROTOCOL_TCP;
	memcpy(c.last.orig.src, (uint8_t[]){192, 0, 2, 1}, 4);
	memcpy(c.last.orig.dst, (uint8_t[]){198, 51, 100, 2}, 4);
	c.last.orig.sport = 1024;
	c.last.orig.dport = 80;
	c.last.reply = flow_tuple_mirror(&c.last.orig, PROTOCOL_TCP);
	c.last.reply.dst[3] = 9;
	c.last.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_TCP;
	c.last.status = FLOW_STATUS_CONFIRMED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED |
			FLOW_STATUS_SRC_NAT | FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;
	c.last.tcp.state = FLOW_TCP_ESTABLISHED;
	c.last.tcp.flags[0] = c.last.tcp.flags[1] = FLOW_TCP_FLAG_WINDOW_SCALE;
	c.last.tcp.wscale[0] = c.last.tcp.wscale[1] = 7;
	c.last.timeout_s = 431000;
	c.last.incarnation = 5;
	c.kernel = c.last;
	convert_as_created(&c.kernel, &options);
	c.kernel.incarnation = 0;
	assert_true(record_encode(&c.kernel, c.ours) > 0);
	return c;
}

static bool judge(const struct case_ *c, int64_t since_s)
{
	struct convert_options committed = {.tcp_liberal = true, .timeout_s = COMMITTED_S};

	return untouched_since_commit(&c->last, c->ours, &c->kernel, &committed, since_s * S);
}

static void what_was_committed_and_left_alone_is_untouched(void **state)
{
	struct case_ c = example();
	(void)state;
	c.kernel.timeout_s = COMMITTED_S - 10;
	assert_true(judge(&c, 10));
	c.kernel.timeout_s = COMMITTED_S - 30;
	assert_true(judge(&c, 10)); /* it was committed before that */
}

static void a_refreshed_timeout_tells_of_a_packet(void **state)
{
	struct case_ c = example();
	(void)state;
	c.kernel.timeout_s = COMMITTED_S - 10 + UNTOUCHED_SLACK_S;
	assert_true(judge(&c, 10));
	c.kernel.timeout_s++;
	assert_false(judge(&c, 10));
}

static void another_state_in_our_table_tells_of_a_packet(void **state)
{
	struct case_ c = example();
	struct flow ours;
	(void)state;
	record_decode(c.ours, &ours);
	ours.tcp.state = FLOW_TCP_FIN_WAIT;
	record_encode(&ours, c.ours);
	c.kernel.timeout_s = 1;
	assert_false(judge(&c, 10));
}

static void a_kernel_that_is_further_tells_of_a_packet_whose_event_waits(void **state)
{
	struct case_ c = example();
	(void)state;
	c.kernel.tcp.state = FLOW_TCP_FIN_WAIT;
	c.kernel.timeout_s = 1;
	assert_false(judge(&c, 10));
}

static void another_flow_under_the_key_is_not_the_one(void **state)
{
	struct case_ c = example();
	(void)state;
	c.kernel.timeout_s = 1;
	c.kernel.reply.dst[3]++;
	assert_false(judge(&c, 10));
}

static void an_offloaded_flow_is_in_use(void **state)
{
	struct case_ c = example();
	(void)state;
	c.kernel.timeout_s = 1;
	c.kernel.status |= FLOW_STATUS_OFFLOAD;
	assert_false(judge(&c, 10));
}

static void a_mark_of_its_own_tells_of_a_ruleset_that_saw_it(void **state)
{
	struct case_ c = example();
	struct flow ours;
	(void)state;
	record_decode(c.ours, &ours);
	ours.present |= FLOW_HAS_MARK;
	ours.mark = 7;
	record_encode(&ours, c.ours);
	c.kernel.timeout_s = 1;
	assert_false(judge(&c, 10));
	c.last.present |= FLOW_HAS_MARK;
	c.last.mark = 7;
	assert_true(judge(&c, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_committed_and_left_alone_is_untouched),
	    cmocka_unit_test(a_refreshed_timeout_tells_of_a_packet),
	    cmocka_unit_test(another_state_in_our_table_tells_of_a_packet),
	    cmocka_unit_test(a_kernel_that_is_further_tells_of_a_packet_whose_event_waits),
	    cmocka_unit_test(another_flow_under_the_key_is_not_the_one),
	    cmocka_unit_test(an_offloaded_flow_is_in_use),
	    cmocka_unit_test(a_mark_of_its_own_tells_of_a_ruleset_that_saw_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
