/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many requests at once: each has its own end.  Deletions and the flush. */
#include "syncd/kernel/timeouts.h"
#include "tests/unit/commit_ground.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>

/* What became of many flows, by their number. */
enum { MANY = 3000 };
struct ends {
	unsigned next;
	uint8_t results[MANY];
	unsigned count[COMMIT_RESULTS];
};

static void note_many(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct ends *ends = context;

	(void)flow;
	(void)error;
	if (ends->next < MANY)
		ends->results[ends->next] = (uint8_t)result;
	ends->next++;
	ends->count[result]++;
}

/* What is prepared for flow n of a mixed batch, and how it must end. */
static enum commit_result prepare(struct kernel_netns *k, unsigned n, struct flow *flow, uint32_t *timeout_s)
{
	*flow = commit_with_nat(kernel_netns_flow(n), 7);
	*timeout_s = 600;
	switch (n % 9) {
	case 1:
		commit_assert_ends(k, flow, &commit_fence_open, COMMIT_CREATED);
		*timeout_s = 500;
		return COMMIT_KEPT;
	case 2:
		flow->tcp.state = FLOW_TCP_SYN_RECV;
		commit_assert_ends(k, flow, &commit_fence_open, COMMIT_CREATED);
		flow->tcp.state = FLOW_TCP_ESTABLISHED;
		return COMMIT_UPDATED;
	case 3:
		commit_assert_ends(k, flow, &commit_fence_open, COMMIT_CREATED);
		*flow = commit_with_nat(*flow, 8);
		return COMMIT_CLASH;
	case 4:
		flow->status = 0;
		commit_assert_ends(k, flow, &commit_fence_open, COMMIT_CREATED);
		*flow = commit_with_nat(*flow, 8);
		return COMMIT_REPLACED;
	case 5:
		flow->family = 77;
		return COMMIT_REFUSED;
	case 6:
		flow->present |= FLOW_HAS_MASTER;
		flow->master_protocol = PROTOCOL_UDP;
		return COMMIT_NO_MASTER;
	case 7:
		*timeout_s = 0;
		return COMMIT_EXPIRED;
	}
	return COMMIT_CREATED;
}

static void each_flow_of_a_mixed_batch_ends_as_it_must(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow *flows = calloc(MANY, sizeof(*flows));
	uint32_t *timeouts_s = calloc(MANY, sizeof(*timeouts_s));
	uint8_t *expected = calloc(MANY, sizeof(*expected));
	struct ends *ends = calloc(1, sizeof(*ends));
	unsigned expired = 0, next = 0;

	for (unsigned n = 0; n < MANY; n++)
		expected[n] = (uint8_t)prepare(k, n, &flows[n], &timeouts_s[n]);
	for (unsigned n = 0; n < MANY; n++) {
		if (!timeouts_s[n]) { /* told at once, so out of order */
			expired++;
			continue;
		}
		commit_flow(k->commit, &flows[n], timeouts_s[n], &commit_fence_open, note_many, ends);
	}
	commit_flush(k->commit);
	assert_int_equal(ends->next, MANY - expired);
	for (unsigned n = 0; n < MANY; n++)
		if (timeouts_s[n])
			assert_string_equal(commit_result_name(ends->results[next++]),
					    commit_result_name(expected[n]));
	free(flows);
	free(timeouts_s);
	free(expected);
	free(ends);
}

/* How often each flow, by its port, was told ahead; and the done that was not. */
struct told {
	uint8_t ahead[MANY];
	unsigned done, done_untold;
};

static void note_ahead(void *context, const struct flow *flow)
{
	((struct told *)context)->ahead[flow->orig.sport % MANY]++;
}

static void note_told(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct told *told = context;

	(void)result;
	(void)error;
	told->done++;
	told->done_untold += told->ahead[flow->orig.sport % MANY] != 1;
}

static void each_flow_is_told_once_ahead_of_its_end_but_no_deletion_is(void **state)
{
	enum { FLOWS = 300 };
	struct kernel_netns *k = kernel_netns_need(state);
	const struct commit_options options = {.ahead = note_ahead};
	struct told *told = calloc(1, sizeof(*told)), *deletions = calloc(1, sizeof(*deletions));
	struct flow flow;

	for (unsigned n = 0; n < FLOWS; n++) {
		flow = kernel_netns_flow(n);
		flow.orig.sport = flow.reply.dport = (uint16_t)n;
		commit_flow(k->commit, &flow, 600, &options, note_told, told);
	}
	commit_flush(k->commit);
	assert_int_equal(told->done, FLOWS);
	assert_int_equal(told->done_untold, 0);
	commit_delete(k->commit, &flow, note_told, deletions);
	commit_flush(k->commit);
	assert_int_equal(deletions->done_untold, 1);
	free(told);
	free(deletions);
}

static void deletions_are_told_apart(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), absent = kernel_netns_flow(2);
	struct ends ends = {0};

	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	commit_delete(k->commit, &absent, note_many, &ends);
	commit_delete(k->commit, &flow, note_many, &ends);
	commit_delete(k->commit, &flow, note_many, &ends);
	commit_flush(k->commit);
	assert_int_equal(ends.results[0], COMMIT_KEPT);
	assert_int_equal(ends.results[1], COMMIT_CREATED);
	assert_int_equal(ends.results[2], COMMIT_KEPT);
	kernel_netns_assert_absent(k, &flow);
}

static void a_deletion_takes_the_id_as_a_hint(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), shown;
	struct ends ends = {0};

	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	shown = kernel_netns_read(k, &flow);
	commit_delete(k->commit, &shown, note_many, &ends);
	commit_flush(k->commit);
	assert_int_equal(ends.results[0], COMMIT_CREATED);
	kernel_netns_assert_absent(k, &flow);
	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	shown.id++;
	commit_delete(k->commit, &shown, note_many, &ends);
	commit_flush(k->commit);
	assert_int_equal(ends.results[1], COMMIT_CREATED);
	kernel_netns_assert_absent(k, &flow);
}

static void a_deletion_takes_no_flow_whose_reply_the_key_is(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), reversed = kernel_netns_flow(1);
	struct ends ends = {0};

	reversed.orig = flow.reply;
	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	commit_delete(k->commit, &reversed, note_many, &ends);
	commit_flush(k->commit);
	assert_int_equal(ends.results[0], COMMIT_KEPT);
	(void)kernel_netns_read(k, &flow);
}

/* Without the right, each flow says so, and nothing is taken for done. */
static void without_the_capability_all_is_refused(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct ends ends = {0};

	assert_int_equal(seteuid(65534), 0);
	for (unsigned n = 0; n < 300; n++) {
		struct flow flow = kernel_netns_flow(n);

		commit_flow(k->commit, &flow, 600, &commit_fence_open, note_many, &ends);
	}
	commit_flush(k->commit);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(ends.count[COMMIT_REFUSED], 300);
	kernel_netns_assert_absent(k, &(struct flow[]){kernel_netns_flow(7)}[0]);
	commit_assert_ends(k, &(struct flow[]){kernel_netns_flow(7)}[0], &commit_fence_open, COMMIT_CREATED);
}

static void a_flush_empties_all_zones(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), zoned = kernel_netns_flow(1);

	zoned.zone = 4;
	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
	commit_assert_ends(k, &zoned, &commit_fence_open, COMMIT_CREATED);
	assert_int_equal(commit_flush_kernel(k->commit), 0);
	kernel_netns_assert_absent(k, &flow);
	kernel_netns_assert_absent(k, &zoned);
	commit_assert_ends(k, &flow, &commit_fence_open, COMMIT_CREATED);
}

/* Fills this namespace up to the host's limit, which stays as it is. */
static void a_full_table_is_told(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	long limit = limit_read(LIMIT_MAX);
	struct ends ends = {0};

	if (limit > 600000) {
		print_message("skipped: nf_conntrack_max is %ld\n", limit);
		skip();
	}
	for (unsigned n = 0; n < (unsigned)limit + 100; n++) {
		struct flow flow = kernel_netns_flow(n);

		commit_flow(k->commit, &flow, 600, &commit_fence_open, note_many, &ends);
	}
	commit_flush(k->commit);
	if (limit_read(LIMIT_MAX) != limit) {
		print_message("skipped: nf_conntrack_max was changed meanwhile\n");
		skip();
	}
	assert_in_range(ends.count[COMMIT_TABLE_FULL], 90, 100);
	assert_int_equal(ends.count[COMMIT_TABLE_FULL] + ends.count[COMMIT_CREATED], limit + 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(each_flow_of_a_mixed_batch_ends_as_it_must),
	    NETNS_TEST(each_flow_is_told_once_ahead_of_its_end_but_no_deletion_is),
	    NETNS_TEST(deletions_are_told_apart),
	    NETNS_TEST(a_deletion_takes_the_id_as_a_hint),
	    NETNS_TEST(a_deletion_takes_no_flow_whose_reply_the_key_is),
	    NETNS_TEST(without_the_capability_all_is_refused),
	    NETNS_TEST(a_flush_empties_all_zones),
	    NETNS_TEST(a_full_table_is_told),
	};

	return cmocka_run_group_tests_name("commit_batch", tests, kernel_netns_set_up,
					   kernel_netns_tear_down);
}
