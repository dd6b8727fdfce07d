/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a commit does where the kernel can't have a flow as it was: masters, labels, and windows that are to
 * be checked. */
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"
#include "tests/unit/kernel_netns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

static bool has_netns;
static struct audit *audit;
static struct commit *commit;

static const struct commit_options fence_open = {.tcp_liberal = true};
static const struct commit_options fence_closed = {.fence_closed = true, .tcp_liberal = true};

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

static struct ends write_one(const struct flow *flow, const struct commit_options *options)
{
	struct ends ends = {0};

	commit_flow(commit, flow, 600, options, note, &ends);
	commit_flush(commit, options, note, &ends);
	assert_int_equal(ends.count, 1);
	return ends;
}

static struct flow shown(const struct flow *key)
{
	struct flow flow;

	assert_int_equal(audit_get(audit, key, &flow), 0);
	return flow;
}

static void a_flow_whose_master_is_missing_lives_without_it(void **state)
{
	struct flow master = kernel_netns_flow(1), related = kernel_netns_flow(2);
	struct ends ends;

	(void)state;
	if (!has_netns)
		skip();
	related.present |= FLOW_HAS_MASTER;
	related.status |= FLOW_STATUS_EXPECTED;
	related.master = master.orig;
	related.master_protocol = PROTOCOL_TCP;
	ends = write_one(&related, &fence_open);
	assert_int_equal(ends.results[COMMIT_NO_MASTER], 1);
	assert_false(ends.last.present & FLOW_HAS_MASTER);
	assert_int_equal(shown(&related).status, ends.last.status);
	assert_false(ends.last.status & FLOW_STATUS_EXPECTED);
}

static void labels_that_the_kernel_left_out_are_told(void **state)
{
	struct ends ends = {0};

	(void)state;
	if (!has_netns)
		skip();
	kernel_netns_run("nft flush ruleset");
	for (unsigned n = 0; n < 700; n++) { /* several batches; every third flow has labels */
		struct flow flow = kernel_netns_flow(n);

		flow.present |= FLOW_HAS_LABELS;
		flow.labels[3] = n % 3 ? 0 : 0x40;
		commit_flow(commit, &flow, 600, &fence_open, note, &ends);
	}
	commit_flush(commit, &fence_open, note, &ends);
	assert_int_equal(ends.results[COMMIT_NO_LABELS], 234);
	assert_int_equal(ends.results[COMMIT_CREATED], 466);
	assert_false(ends.last.labels[3]);
}

static void labels_that_a_rule_uses_come_with_their_flows(void **state)
{
	struct flow flow = kernel_netns_flow(1);
	struct ends ends;

	(void)state;
	if (!has_netns)
		skip();
	kernel_netns_run(
	    "nft -f - <<'END'\n"
	    "table inet labels {\n"
	    "	chain out { type filter hook output priority 0; ip daddr 255.255.255.254 ct label set 100; }\n"
	    "}\n"
	    "END");
	flow.present |= FLOW_HAS_LABELS;
	flow.labels[15] = 0x80;
	ends = write_one(&flow, &fence_open);
	assert_int_equal(ends.results[COMMIT_CREATED], 1);
	assert_int_equal(shown(&flow).labels[15], 0x80);
	kernel_netns_run("nft flush ruleset");
}

/* tcp-window = strict: what is here since an earlier time as primary must not be measured by its old windows.
 */
static void windows_to_be_checked_are_forgotten_with_their_flow(void **state)
{
	const struct commit_options strict = {.fence_closed = true, .has_old = true};
	const struct commit_options strict_open = {.has_old = true}, strict_again = {.fence_closed = true};
	struct flow flow = kernel_netns_flow(1), ahead;
	struct ends ends;

	(void)state;
	if (!has_netns)
		skip();
	ends = write_one(&flow, &strict);
	assert_int_equal(ends.results[COMMIT_CREATED], 1);
	assert_false(shown(&flow).tcp.flags[0] & FLOW_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(write_one(&flow, &strict_again).results[COMMIT_KEPT], 1);
	ends = write_one(&flow, &strict);
	assert_int_equal(ends.results[COMMIT_REPLACED], 1);
	assert_false(shown(&flow).tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);

	/* a state that has gone further here is not taken back */
	ahead = flow;
	ahead.tcp.state = FLOW_TCP_FIN_WAIT;
	assert_int_equal(write_one(&ahead, &strict_again).results[COMMIT_UPDATED], 1);
	assert_int_equal(write_one(&flow, &strict).results[COMMIT_REPLACED], 1);
	assert_int_equal(shown(&flow).tcp.state, FLOW_TCP_FIN_WAIT);

	/* with the fence open a packet could come while it is gone */
	ends = write_one(&flow, &strict_open);
	assert_int_equal(ends.results[COMMIT_UPDATED], 1);
	assert_true(ends.last.tcp.flags[0] & ends.last.tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
	assert_true(shown(&flow).tcp.flags[0] & shown(&flow).tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(write_one(&flow, &fence_closed).results[COMMIT_KEPT], 1);
}

static int flush(void **state)
{
	(void)state;
	if (has_netns)
		kernel_netns_flush();
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	has_netns = kernel_netns_enter();
	if (!has_netns)
		return 0;
	return audit_open(&audit) || commit_open(&commit) ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	audit_close(audit);
	commit_close(commit);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_flow_whose_master_is_missing_lives_without_it, flush),
	    cmocka_unit_test_setup(labels_that_the_kernel_left_out_are_told, flush),
	    cmocka_unit_test_setup(labels_that_a_rule_uses_come_with_their_flows, flush),
	    cmocka_unit_test_setup(windows_to_be_checked_are_forgotten_with_their_flow, flush),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
