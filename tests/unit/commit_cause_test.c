/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a commit does where the kernel can't have a flow as it was: masters, helpers, labels, and windows that
 * are to be checked. */
#include "tests/unit/commit_ground.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct commit_options liberal_open = {.tcp_liberal = true};
static const struct commit_options liberal_closed = {.fence_closed = true, .tcp_liberal = true};

struct ends {
	unsigned count, results[COMMIT_RESULTS];
	struct flow last;
};

static void note(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct ends *ends = context;

	assert_true(error == 0);
	ends->count++;
	ends->results[result]++;
	ends->last = *flow;
}

static struct ends write_one(struct kernel_netns *k, const struct flow *flow,
			     const struct commit_options *options)
{
	struct ends ends = {0};

	commit_flow(k->commit, flow, 600, options, note, &ends);
	commit_flush(k->commit);
	assert_int_equal(ends.count, 1);
	return ends;
}

static void a_flow_whose_master_is_missing_lives_without_it(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow master = kernel_netns_flow(1), related = kernel_netns_flow(2);
	struct ends ends;

	related.present |= FLOW_HAS_MASTER;
	related.status |= FLOW_STATUS_EXPECTED;
	related.master = master.orig;
	related.master_protocol = PROTOCOL_TCP;
	ends = write_one(k, &related, &liberal_open);
	assert_int_equal(ends.results[COMMIT_NO_MASTER], 1);
	assert_false(ends.last.present & FLOW_HAS_MASTER);
	assert_int_equal(kernel_netns_read(k, &related).status, ends.last.status);
	assert_false(ends.last.status & FLOW_STATUS_EXPECTED);
}

/* What is told of it is what the next node is given: without its status bits that one would translate
 * nothing. */
static void a_flow_that_was_brought_forward_is_told_with_its_nat(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = commit_with_nat(kernel_netns_flow(77), 1);
	struct commit_end end = {0};

	flow.tcp.state = FLOW_TCP_SYN_RECV;
	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	commit_flow(k->commit, &flow, 600, &commit_fence_open, commit_note_end, &end);
	commit_flush(k->commit);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_true(end.flow.status & FLOW_STATUS_SRC_NAT_DONE);
	commit_assert_told_the_truth(k, &end);
}

static void masters_come_before_their_flows_in_one_batch(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow master = kernel_netns_flow(1), related = kernel_netns_flow(2);
	struct commit_end end = {0};

	related.present |= FLOW_HAS_MASTER;
	related.master = master.orig;
	related.master_protocol = PROTOCOL_TCP;
	commit_flow(k->commit, &master, 600, &commit_fence_open, commit_note_end, &end);
	commit_flow(k->commit, &related, 600, &commit_fence_open, commit_note_end, &end);
	commit_flush(k->commit);
	assert_int_equal(end.count, 2);
	assert_int_equal(end.result, COMMIT_CREATED);
	commit_assert_told_the_truth(k, &end);
}

static void a_flow_waits_for_its_master_that_must_replace_another(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow stale = commit_with_nat(kernel_netns_flow(1), 1),
		    master = commit_with_nat(kernel_netns_flow(5), 1);
	struct flow related = kernel_netns_flow(2);
	struct commit_end end = {0};

	master.reply.dport = stale.reply.dport;
	commit_assert_ends(k, &stale, &commit_fence_open, COMMIT_CREATED);
	related.present |= FLOW_HAS_MASTER;
	related.master = master.orig;
	related.master_protocol = PROTOCOL_TCP;
	commit_flow(k->commit, &master, 600, &commit_fence_closed, commit_note_end, &end);
	commit_flow(k->commit, &related, 600, &commit_fence_closed, commit_note_end, &end);
	commit_flush(k->commit);
	assert_int_equal(end.result, COMMIT_CREATED);
	commit_assert_told_the_truth(k, &end);
}

static void a_flow_is_created_without_a_helper_that_is_missing(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1);
	struct commit_end end;

	flow.present |= FLOW_HAS_HELPER;
	strcpy(flow.helper, "no-such-helper");
	end = commit_write_one(k, &flow, 600, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_NO_HELPER);
	assert_int_equal(end.error, 0);
	commit_assert_told_the_truth(k, &end);
}

static void labels_that_the_kernel_left_out_are_told(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct ends ends = {0};

	kernel_netns_run("nft flush ruleset");
	for (unsigned n = 0; n < 700; n++) { /* several batches; every third flow has labels */
		struct flow flow = kernel_netns_flow(n);

		flow.present |= FLOW_HAS_LABELS;
		flow.labels[3] = n % 3 ? 0 : 0x40;
		commit_flow(k->commit, &flow, 600, &liberal_open, note, &ends);
	}
	commit_flush(k->commit);
	assert_int_equal(ends.results[COMMIT_NO_LABELS], 234);
	assert_int_equal(ends.results[COMMIT_CREATED], 466);
	assert_false(ends.last.labels[3]);
}

static void labels_without_a_rule_that_uses_them_do_not_hinder(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1);
	struct commit_end end;

	kernel_netns_run("nft flush ruleset");
	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	flow.present |= FLOW_HAS_LABELS;
	flow.labels[0] = 1;
	end = commit_write_one(k, &flow, 5000, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_NO_LABELS);
	commit_assert_told_the_truth(k, &end);
}

static void labels_that_a_rule_uses_come_with_their_flows(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1);
	struct ends ends;

	kernel_netns_run(
	    "nft -f - <<'END'\n"
	    "table inet labels {\n"
	    "	chain out { type filter hook output priority 0; ip daddr 255.255.255.254 ct label set 100; }\n"
	    "}\n"
	    "END");
	flow.present |= FLOW_HAS_LABELS;
	flow.labels[15] = 0x80;
	ends = write_one(k, &flow, &liberal_open);
	assert_int_equal(ends.results[COMMIT_CREATED], 1);
	assert_int_equal(kernel_netns_read(k, &flow).labels[15], 0x80);
	kernel_netns_run("nft flush ruleset");
}

/* tcp-window = strict: what is here since an earlier time as primary must not be measured by its old windows.
 */
static void windows_to_be_checked_are_forgotten_with_their_flow(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	const struct commit_options strict = {.fence_closed = true, .has_old = true};
	const struct commit_options strict_open = {.has_old = true}, strict_again = {.fence_closed = true};
	struct flow flow = kernel_netns_flow(1), ahead;
	struct ends ends;

	ends = write_one(k, &flow, &strict);
	assert_int_equal(ends.results[COMMIT_CREATED], 1);
	assert_false(kernel_netns_read(k, &flow).tcp.flags[0] & FLOW_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(write_one(k, &flow, &strict_again).results[COMMIT_KEPT], 1);
	ends = write_one(k, &flow, &strict);
	assert_int_equal(ends.results[COMMIT_REPLACED], 1);
	assert_false(kernel_netns_read(k, &flow).tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);

	/* a state that has gone further here is not taken back */
	ahead = flow;
	ahead.tcp.state = FLOW_TCP_FIN_WAIT;
	assert_int_equal(write_one(k, &ahead, &strict_again).results[COMMIT_UPDATED], 1);
	assert_int_equal(write_one(k, &flow, &strict).results[COMMIT_REPLACED], 1);
	assert_int_equal(kernel_netns_read(k, &flow).tcp.state, FLOW_TCP_FIN_WAIT);

	/* with the fence open a packet could come while it is gone */
	ends = write_one(k, &flow, &strict_open);
	assert_int_equal(ends.results[COMMIT_UPDATED], 1);
	assert_true(ends.last.tcp.flags[0] & ends.last.tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
	assert_true(kernel_netns_read(k, &flow).tcp.flags[0] & kernel_netns_read(k, &flow).tcp.flags[1] &
		    FLOW_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(write_one(k, &flow, &liberal_closed).results[COMMIT_KEPT], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(a_flow_whose_master_is_missing_lives_without_it),
	    NETNS_TEST(a_flow_that_was_brought_forward_is_told_with_its_nat),
	    NETNS_TEST(masters_come_before_their_flows_in_one_batch),
	    NETNS_TEST(a_flow_waits_for_its_master_that_must_replace_another),
	    NETNS_TEST(a_flow_is_created_without_a_helper_that_is_missing),
	    NETNS_TEST(labels_that_the_kernel_left_out_are_told),
	    NETNS_TEST(labels_without_a_rule_that_uses_them_do_not_hinder),
	    NETNS_TEST(labels_that_a_rule_uses_come_with_their_flows),
	    NETNS_TEST(windows_to_be_checked_are_forgotten_with_their_flow),
	};

	return cmocka_run_group_tests_name("commit_cause", tests, kernel_netns_set_up,
					   kernel_netns_tear_down);
}
