/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a commit may create and replace: where another flow is in the way, and where it may only touch what is
 * there. */
#include "tests/unit/commit_ground.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void another_nat_clashes_unless_it_may_be_replaced(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow one = commit_with_nat(kernel_netns_flow(1), 1),
		    two = commit_with_nat(kernel_netns_flow(1), 2);

	commit_assert_ends(k, &one, &commit_fence_open, COMMIT_CREATED);
	commit_assert_ends(k, &two, &commit_fence_open, COMMIT_CLASH);
	assert_true(flow_nat_equals(&one, &(struct flow){0}) == false);
	assert_true(flow_nat_equals(&(struct flow[]){kernel_netns_read(k, &one)}[0], &one));
	commit_assert_ends(k, &two, &commit_fence_closed, COMMIT_REPLACED);
	assert_true(flow_nat_equals(&(struct flow[]){kernel_netns_read(k, &one)}[0], &two));
	kernel_netns_flush();
	one.status = FLOW_STATUS_SEEN_REPLY; /* not assured: it goes */
	commit_assert_ends(k, &one, &commit_fence_open, COMMIT_CREATED);
	commit_assert_ends(k, &two, &commit_fence_open, COMMIT_REPLACED);
	assert_true(flow_nat_equals(&(struct flow[]){kernel_netns_read(k, &one)}[0], &two));
}

static void a_taken_reply_tuple_clashes_unless_it_may_be_replaced(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow one = commit_with_nat(kernel_netns_flow(1), 1),
		    two = commit_with_nat(kernel_netns_flow(2), 1);

	two.reply.dport = one.reply.dport;
	commit_assert_ends(k, &one, &commit_fence_open, COMMIT_CREATED);
	commit_assert_ends(k, &two, &commit_fence_open, COMMIT_CLASH);
	kernel_netns_assert_absent(k, &two);
	commit_assert_ends(k, &two, &commit_fence_closed, COMMIT_REPLACED);
	kernel_netns_assert_absent(k, &one);
	kernel_netns_flush();
	one.status = 0;
	commit_assert_ends(k, &one, &commit_fence_open, COMMIT_CREATED);
	commit_assert_ends(k, &two, &commit_fence_open, COMMIT_REPLACED);
	kernel_netns_assert_absent(k, &one);
	(void)kernel_netns_read(k, &two);
}

static void an_original_tuple_that_is_anothers_reply_clashes(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow one = kernel_netns_flow(1), two = one;

	two.orig = one.reply;
	two.reply = one.orig;
	commit_assert_ends(k, &one, &commit_fence_open, COMMIT_CREATED);
	commit_assert_ends(k, &two, &commit_fence_open, COMMIT_CLASH);
	commit_assert_ends(k, &two, &commit_fence_closed, COMMIT_REPLACED);
	kernel_netns_assert_absent(k, &one);
}

static const struct commit_options existing_only = {
    .fence_closed = true, .tcp_liberal = true, .existing_only = true};

/* What a takeover does with flows of an earlier time as primary. */
static void existing_only_brings_forward_and_creates_nothing(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), other = kernel_netns_flow(2);
	struct commit_end end;

	flow.tcp.state = FLOW_TCP_SYN_SENT;
	flow.status = 0;
	assert_int_equal(commit_write_one(k, &flow, 120, &commit_fence_open).result, COMMIT_CREATED);
	flow = kernel_netns_flow(1);
	end = commit_write_one(k, &flow, 600, &existing_only);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(end.flow.tcp.state, FLOW_TCP_ESTABLISHED);
	commit_assert_told_the_truth(k, &end);
	assert_true(kernel_netns_read(k, &flow).tcp.flags[0] & FLOW_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(commit_write_one(k, &flow, 600, &existing_only).result, COMMIT_KEPT);
	end = commit_write_one(k, &other, 600, &existing_only);
	assert_int_equal(end.result, COMMIT_EXPIRED);
	assert_int_equal(end.error, 0);
	kernel_netns_assert_absent(k, &other);
}

static void existing_only_replaces_nothing_even_behind_a_closed_fence(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = commit_with_nat(kernel_netns_flow(1), 1),
		    translated = commit_with_nat(kernel_netns_flow(1), 2);
	struct flow clashing = commit_with_nat(kernel_netns_flow(2), 1);

	assert_int_equal(commit_write_one(k, &flow, 600, &commit_fence_open).result, COMMIT_CREATED);
	assert_int_equal(commit_write_one(k, &translated, 600, &existing_only).result, COMMIT_CLASH);
	assert_int_equal(commit_write_one(k, &clashing, 600, &existing_only).result, COMMIT_EXPIRED);
	kernel_netns_assert_absent(k, &clashing);
	flow = kernel_netns_read(k, &flow);
	assert_false(flow_nat_equals(&flow, &translated));
	assert_false(flow.tcp.flags[0] & FLOW_TCP_FLAG_BE_LIBERAL); /* it was not touched at all */
}

static void existing_only_settles_each_of_a_mixed_batch(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flows[3] = {kernel_netns_flow(1), kernel_netns_flow(2), kernel_netns_flow(3)};
	struct commit_end end = {0};

	assert_int_equal(commit_write_one(k, &flows[1], 600, &commit_fence_open).result, COMMIT_CREATED);
	for (unsigned i = 0; i < 3; i++)
		commit_flow(k->commit, &flows[i], 600, &existing_only, commit_note_end, &end);
	commit_flush(k->commit);
	assert_int_equal(end.count, 3);
	kernel_netns_assert_absent(k, &flows[0]);
	kernel_netns_assert_absent(k, &flows[2]);
	assert_true(kernel_netns_read(k, &flows[1]).tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(another_nat_clashes_unless_it_may_be_replaced),
	    NETNS_TEST(a_taken_reply_tuple_clashes_unless_it_may_be_replaced),
	    NETNS_TEST(an_original_tuple_that_is_anothers_reply_clashes),
	    NETNS_TEST(existing_only_brings_forward_and_creates_nothing),
	    NETNS_TEST(existing_only_replaces_nothing_even_behind_a_closed_fence),
	    NETNS_TEST(existing_only_settles_each_of_a_mixed_batch),
	};

	return cmocka_run_group_tests_name("commit_replace", tests, kernel_netns_set_up,
					   kernel_netns_tear_down);
}
