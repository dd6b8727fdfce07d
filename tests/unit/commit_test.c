/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a commit makes of one flow beside what the kernel has of it. */
#include "tests/unit/commit_ground.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_new_flow_is_created_and_a_known_one_kept(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1);
	struct commit_end end;

	flow.present |= FLOW_HAS_MARK | FLOW_HAS_ID;
	flow.mark = 5;
	flow.id = 0x1234;
	end = commit_write_one(k, &flow, 600, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_CREATED);
	assert_false(end.flow.present & FLOW_HAS_ID); /* another kernel's */
	commit_assert_told_the_truth(k, &end);
	end = commit_write_one(k, &flow, 300, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_KEPT);
	commit_assert_told_the_truth(k, &end);
}

static void a_flow_without_time_left_is_not_sent(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1);

	assert_int_equal(commit_write_one(k, &flow, 0, &commit_fence_open).result, COMMIT_EXPIRED);
	kernel_netns_assert_absent(k, &flow);
}

static void a_flow_behind_is_brought_forward(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1);
	struct commit_end end;

	flow.tcp.state = FLOW_TCP_SYN_SENT;
	flow.status = 0;
	assert_int_equal(commit_write_one(k, &flow, 120, &commit_fence_open).result, COMMIT_CREATED);
	flow = kernel_netns_flow(1);
	flow.tcp.flags[0] = flow.tcp.flags[1] = 1;
	flow.tcp.wscale[0] = flow.tcp.wscale[1] = 7;
	end = commit_write_one(k, &flow, 5000, &(struct commit_options){.tcp_liberal = true});
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(end.flow.tcp.state, FLOW_TCP_ESTABLISHED);
	assert_int_equal(end.flow.tcp.flags[0], 9);
	commit_assert_told_the_truth(k, &end);
	flow.tcp.state = FLOW_TCP_TIME_WAIT; /* later, with less time */
	end = commit_write_one(k, &flow, 60, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(end.flow.timeout_s, 60);
	commit_assert_told_the_truth(k, &end);
}

/* It came back to a firewall that had it before: the windows are those of its last packet there. */
static void a_known_flow_has_its_stale_windows_forgiven(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	static const enum flow_tcp_state states[] = {FLOW_TCP_ESTABLISHED, FLOW_TCP_FIN_WAIT};
	struct flow flow = kernel_netns_flow(1), shown;
	struct commit_end end;

	for (unsigned i = 0; i < 2; i++) { /* as far on as the record, and farther */
		flow.tcp.state = (uint8_t)states[i];
		assert_int_equal(commit_write_one(k, &flow, 600, &commit_fence_closed).result,
				 COMMIT_CREATED);
		flow.tcp.state = FLOW_TCP_ESTABLISHED;
		end = commit_write_one(k, &flow, 600, &(struct commit_options){.tcp_liberal = true});
		assert_int_equal(end.result, COMMIT_UPDATED);
		commit_assert_told_the_truth(k, &end);
		shown = kernel_netns_read(k, &flow);
		assert_int_equal(shown.tcp.state, states[i]);
		assert_true(shown.tcp.flags[0] & shown.tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
		assert_int_equal(
		    commit_write_one(k, &flow, 600, &(struct commit_options){.tcp_liberal = true}).result,
		    COMMIT_KEPT);
		commit_delete(k->commit, &flow, commit_note_end, &end);
		commit_flush(k->commit);
	}
}

static void a_flow_ahead_is_never_taken_back(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), before;
	struct commit_end end;

	flow.tcp.state = FLOW_TCP_FIN_WAIT;
	assert_int_equal(commit_write_one(k, &flow, 100, &commit_fence_open).result, COMMIT_CREATED);
	before = kernel_netns_read(k, &flow);
	flow = kernel_netns_flow(1);
	flow.mark = 8;
	flow.present |= FLOW_HAS_MARK;
	end = commit_write_one(k, &flow, 100000, &commit_fence_closed);
	assert_int_equal(end.result, COMMIT_KEPT);
	assert_int_equal(end.flow.tcp.state, FLOW_TCP_FIN_WAIT);
	commit_assert_told_the_truth(k, &end);
	assert_int_equal(kernel_netns_read(k, &flow).mark, before.mark);
	assert_in_range(kernel_netns_read(k, &flow).timeout_s, 98, 100);
}

static void an_equal_flow_takes_timeout_mark_and_labels(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1);
	struct commit_end end;

	assert_int_equal(commit_write_one(k, &flow, 100, &commit_fence_open).result, COMMIT_CREATED);
	end = commit_write_one(k, &flow, 9000, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	commit_assert_told_the_truth(k, &end);
	flow.present |= FLOW_HAS_MARK | FLOW_HAS_LABELS;
	flow.mark = 0x10;
	flow.labels[3] = 4;
	end = commit_write_one(k, &flow, 100, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	commit_assert_told_the_truth(k, &end);
	assert_int_equal(end.flow.mark, 0x10);
	assert_int_equal(end.flow.labels[3], 4);
	assert_true(end.flow.timeout_s > 8000); /* not shortened */
	assert_int_equal(commit_write_one(k, &flow, 100, &commit_fence_open).result, COMMIT_KEPT);
	flow.present &= ~(uint32_t)FLOW_HAS_MARK; /* its owner has taken the mark away */
	flow.mark = 0;
	end = commit_write_one(k, &flow, 100, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(kernel_netns_read(k, &flow).mark, 0);
}

static void a_fixed_timeout_and_an_expected_flow_can_be_updated(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow master = kernel_netns_flow(1), flow = kernel_netns_flow(2);
	struct commit_end end;

	flow.present |= FLOW_HAS_MASTER;
	flow.master = master.orig;
	flow.master_protocol = PROTOCOL_TCP;
	flow.status |= FLOW_STATUS_FIXED_TIMEOUT | FLOW_STATUS_EXPECTED;
	assert_int_equal(commit_write_one(k, &master, 600, &commit_fence_open).result, COMMIT_CREATED);
	assert_int_equal(commit_write_one(k, &flow, 600, &commit_fence_open).result, COMMIT_CREATED);
	flow.tcp.state = FLOW_TCP_FIN_WAIT;
	end = commit_write_one(k, &flow, 5000, &commit_fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	commit_assert_told_the_truth(k, &end);
	assert_in_range(end.flow.timeout_s, 598, 600);
}

static void what_the_kernel_cannot_have_is_refused(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), icmp = kernel_netns_flow(1);

	flow.family = 99;
	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_REFUSED);
	icmp.protocol = PROTOCOL_ICMP; /* a type that starts no flow */
	icmp.present &= ~(uint32_t)FLOW_HAS_TCP;
	icmp.orig.icmp_type = 3;
	commit_assert_ends(k, &icmp, &commit_fence_open, COMMIT_REFUSED);
}

static void results_have_names(void **state)
{
	(void)state;
	assert_string_equal(commit_result_name(COMMIT_CREATED), "created");
	assert_string_equal(commit_result_name(COMMIT_TABLE_FULL), "table-full");
	assert_string_equal(commit_result_name(COMMIT_NO_MASTER), "no-master");
	for (unsigned i = 0; i < COMMIT_RESULTS; i++)
		assert_non_null(commit_result_name((enum commit_result)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(a_new_flow_is_created_and_a_known_one_kept),
	    NETNS_TEST(a_flow_without_time_left_is_not_sent),
	    NETNS_TEST(a_flow_behind_is_brought_forward),
	    NETNS_TEST(a_known_flow_has_its_stale_windows_forgiven),
	    NETNS_TEST(a_flow_ahead_is_never_taken_back),
	    NETNS_TEST(an_equal_flow_takes_timeout_mark_and_labels),
	    NETNS_TEST(a_fixed_timeout_and_an_expected_flow_can_be_updated),
	    NETNS_TEST(what_the_kernel_cannot_have_is_refused),
	    cmocka_unit_test(results_have_names),
	};

	return cmocka_run_group_tests_name("commit", tests, kernel_netns_set_up, kernel_netns_tear_down);
}
