/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A commit whose batches a thread carries out: what is told, in which order, and when. */
#include "syncd/kernel/commit_batch.h"
#include "tests/unit/commit_ground.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 5000 };

/* The kernel's namespace, with a thread for its commit; or the test is skipped. */
static struct kernel_netns *need_background(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	int error = commit_start_thread(k->commit);

	if (error == -EOPNOTSUPP)
		skip(); /* one processor */
	assert_int_equal(error, 0);
	assert_true(commit_set_background(k->commit, true));
	return k;
}

static void end_background(struct kernel_netns *k)
{
	assert_false(commit_set_background(k->commit, false));
}

/* What was told, in its order. */
struct told {
	unsigned count;
	struct {
		uint32_t flow; /* its port */
		enum commit_result result;
	} ends[2 * MANY];
};

static void note(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct told *told = context;

	(void)error;
	assert_true(told->count < sizeof(told->ends) / sizeof(told->ends[0]));
	told->ends[told->count].flow = flow->orig.sport;
	told->ends[told->count++].result = result;
}

static void note_of_another(void *context, const struct flow *flow, enum commit_result result, int error)
{
	note(context, flow, result, error);
}

static struct flow flow_of(unsigned n)
{
	struct flow flow = kernel_netns_flow(0);

	flow.orig.sport = flow.reply.dport = (uint16_t)(n + 1);
	return flow;
}

/* Flow n of a mix, after what is in its way was made. */
static struct flow flow_in_mix(struct kernel_netns *k, unsigned n)
{
	struct flow flow = commit_with_nat(flow_of(n), 7), other = commit_with_nat(flow_of(n), 8);

	other.status = n % 4 == 2 ? 0 : other.status; /* may go */
	if (n % 4 == 1)
		commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	else if (n % 4 > 1)
		commit_assert_ends(k, &other, &commit_fence_open, COMMIT_CREATED);
	return flow;
}

static void each_flow_is_told_its_own_end_in_order(void **state)
{
	static const enum commit_result results[] = {COMMIT_CREATED, COMMIT_KEPT, COMMIT_REPLACED,
						     COMMIT_CLASH};
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow *flows = calloc(MANY, sizeof(*flows));
	struct told *told = calloc(1, sizeof(*told));

	for (unsigned n = 0; n < MANY; n++)
		flows[n] = flow_in_mix(k, n);
	need_background(state);
	for (unsigned n = 0; n < MANY; n++)
		commit_flow(k->commit, &flows[n], 500, &commit_fence_open, note, told);
	assert_true(told->count < MANY); /* the last, half full batch has not even been sent */
	assert_false(commit_is_settled(k->commit));
	commit_flush(k->commit);
	assert_true(commit_is_settled(k->commit));
	assert_int_equal(told->count, MANY);
	for (unsigned n = 0; n < MANY; n++) {
		assert_int_equal(told->ends[n].flow, n + 1);
		assert_string_equal(commit_result_name(told->ends[n].result),
				    commit_result_name(results[n % 4]));
	}
	end_background(k);
	free(flows);
	free(told);
}

/* A deletion that another part asks for while the flow is under way finds it, and its end is told after. */
static void what_others_ask_for_comes_after_what_is_under_way(void **state)
{
	enum { FLOWS = 700 };
	struct kernel_netns *k = need_background(state);
	struct told *told = calloc(1, sizeof(*told));

	for (unsigned n = 0; n < FLOWS; n++) {
		struct flow flow = flow_of(n);

		commit_flow(k->commit, &flow, 500, &commit_fence_open, note, told);
	}
	for (unsigned n = 0; n < FLOWS; n++) {
		struct flow flow = flow_of(n);

		commit_delete(k->commit, &flow, note_of_another, told);
	}
	commit_flush(k->commit);
	assert_int_equal(told->count, 2 * FLOWS);
	for (unsigned n = 0; n < 2 * FLOWS; n++) {
		assert_int_equal(told->ends[n].flow, n % FLOWS + 1);
		assert_string_equal(commit_result_name(told->ends[n].result), "created"); /* or deleted */
	}
	for (unsigned n = 0; n < FLOWS; n++)
		kernel_netns_assert_absent(k, &(struct flow[]){flow_of(n)}[0]);
	end_background(k);
	free(told);
}

static void switching_it_off_settles_all_and_it_can_be_on_again(void **state)
{
	struct kernel_netns *k = need_background(state);
	struct told *told = calloc(1, sizeof(*told));

	for (unsigned round = 0; round < 3; round++) {
		told->count = 0;
		for (unsigned n = 0; n < 600 + round; n++) {
			struct flow flow = flow_of(1000 * round + n);

			commit_flow(k->commit, &flow, 500, &commit_fence_open, note, told);
		}
		end_background(k);
		assert_int_equal(told->count, 600 + round);
		commit_assert_ends(k, &(struct flow[]){flow_of(1000 * round)}[0], &commit_fence_open,
				   COMMIT_UPDATED); /* in the foreground */
		assert_true(commit_set_background(k->commit, true));
	}
	assert_int_equal(commit_flush_kernel(k->commit), 0);
	kernel_netns_assert_absent(k, &(struct flow[]){flow_of(0)}[0]);
	end_background(k);
	free(told);
}

static void closing_in_the_middle_tells_nobody_any_more(void **state)
{
	struct kernel_netns *k = need_background(state);
	struct told *told = calloc(1, sizeof(*told));
	struct commit *commit;
	const unsigned sent = 3 * BATCH_FLOWS;
	unsigned so_far;

	end_background(k);
	assert_int_equal(commit_open(&commit), 0);
	assert_int_equal(commit_start_thread(commit), 0);
	assert_true(commit_set_background(commit, true));
	for (unsigned n = 0; n < sent + 1; n++) {
		struct flow flow = flow_of(n);

		commit_flow(commit, &flow, 500, &commit_fence_open, note, told);
	}
	so_far = told->count;
	commit_close(commit);
	assert_int_equal(told->count, so_far);
	(void)kernel_netns_read(k, &(struct flow[]){flow_of(sent - 1)}[0]); /* in the last full batch */
	kernel_netns_assert_absent(k, &(struct flow[]){flow_of(sent)}[0]);
	free(told);
}

static void without_a_thread_all_goes_on_in_the_foreground(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct told *told = calloc(1, sizeof(*told));
	struct commit *commit;

	assert_int_equal(commit_open(&commit), 0);
	assert_false(commit_set_background(commit, true));
	for (unsigned n = 0; n < BATCH_FLOWS + 1; n++) {
		struct flow flow = flow_of(n);

		commit_flow(commit, &flow, 500, &commit_fence_open, note, told);
	}
	assert_int_equal(told->count, BATCH_FLOWS); /* a full batch, at once */
	commit_flush(commit);
	assert_int_equal(told->count, BATCH_FLOWS + 1);
	(void)kernel_netns_read(k, &(struct flow[]){flow_of(BATCH_FLOWS)}[0]);
	commit_close(commit);
	free(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(without_a_thread_all_goes_on_in_the_foreground),
	    NETNS_TEST(each_flow_is_told_its_own_end_in_order),
	    NETNS_TEST(what_others_ask_for_comes_after_what_is_under_way),
	    NETNS_TEST(switching_it_off_settles_all_and_it_can_be_on_again),
	    NETNS_TEST(closing_in_the_middle_tells_nobody_any_more),
	};

	return cmocka_run_group_tests_name("commit_background", tests, kernel_netns_set_up,
					   kernel_netns_tear_down);
}
