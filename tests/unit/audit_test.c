/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/timeouts.h"
#include "tests/unit/kernel_netns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

enum { FLOWS = 30000 };

static int host_netns;

static void count_done(void *context, const struct flow *flow, enum commit_result result, int error)
{
	unsigned *in_kernel = context;

	(void)flow;
	*in_kernel += commit_is_in_kernel(result, error);
}

static void create_flows(struct kernel_netns *k, unsigned count)
{
	const struct commit_options options = {0};
	unsigned created = 0;

	for (unsigned n = 0; n < count; n++) {
		struct flow flow = kernel_netns_flow(n);

		commit_flow(k->commit, &flow, 600, &options, count_done, &created);
	}
	commit_flush(k->commit);
	assert_int_equal(created, count);
}

/* Which of the flows a dump named, and how often. */
struct rows {
	unsigned times[FLOWS];
	unsigned strangers;
};

static void note_row(void *context, const struct flow *flow)
{
	struct rows *rows = context;
	unsigned n = (unsigned)flow->orig.src[1] << 16 | (unsigned)flow->orig.src[2] << 8 | flow->orig.src[3];
	struct flow expected = kernel_netns_flow(n);

	if (n < FLOWS && flow_key_equals(flow, &expected) && flow_nat_equals(flow, &expected) &&
	    flow->tcp.state == expected.tcp.state && flow->status == expected.status)
		rows->times[n]++;
	else
		rows->strangers++;
}

static void a_dump_is_what_was_created(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct rows *rows = calloc(1, sizeof(*rows));
	unsigned slices = 0;
	int progress;

	assert_int_equal(audit_dump_read(k->audit, 100, note_row, rows), AUDIT_IDLE);
	create_flows(k, FLOWS);
	for (unsigned pass = 0; pass < 2; pass++) {
		memset(rows, 0, sizeof(*rows));
		assert_int_equal(audit_dump_start(k->audit, NULL), 0);
		assert_int_equal(audit_dump_start(k->audit, NULL), -EBUSY);
		do {
			struct pollfd entry = {.fd = audit_fd(k->audit), .events = POLLIN};

			assert_int_equal(poll(&entry, 1, 0), 1);
			progress = audit_dump_read(k->audit, 500, note_row, rows);
			slices++;
		} while (progress == AUDIT_MORE);
		assert_int_equal(progress, AUDIT_DONE);
		assert_int_equal(rows->strangers, 0);
		for (unsigned n = 0; n < FLOWS; n++)
			assert_int_equal(rows->times[n], 1);
	}
	assert_in_range(slices, 2 * FLOWS / 700, 2 * FLOWS / 400);
	free(rows);
}

/* The last rows that were told ahead, and how many of all have had their turn. */
struct ahead {
	struct flow told[AUDIT_AHEAD];
	unsigned told_count, turn_count;
};

static void note_ahead(void *context, const struct flow *flow)
{
	struct ahead *ahead = context;

	assert_true(ahead->told_count - ahead->turn_count < AUDIT_AHEAD);
	ahead->told[ahead->told_count++ % AUDIT_AHEAD] = *flow;
}

static void note_turn(void *context, const struct flow *flow)
{
	struct ahead *ahead = context;

	assert_true(ahead->turn_count < ahead->told_count);
	assert_true(flow_key_equals(flow, &ahead->told[ahead->turn_count++ % AUDIT_AHEAD]));
}

static void each_row_is_told_ahead_and_has_its_turn_in_that_order(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	const unsigned counts[] = {1, AUDIT_AHEAD, AUDIT_AHEAD + 1, FLOWS};
	int progress;

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct ahead ahead = {.told_count = 0};
		unsigned count = counts[i];

		assert_int_equal(commit_flush_kernel(k->commit), 0);
		create_flows(k, count);
		audit_tell_ahead(k->audit, note_ahead);
		assert_int_equal(audit_dump_start(k->audit, NULL), 0);
		do
			progress = audit_dump_read(k->audit, 500, note_turn, &ahead);
		while (progress == AUDIT_MORE);
		assert_int_equal(progress, AUDIT_DONE);
		assert_int_equal(ahead.turn_count, count);
		assert_int_equal(ahead.told_count, count);
	}
	audit_tell_ahead(k->audit, NULL);
}

static void a_cancelled_dump_does_not_meet_the_next(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct rows *rows = calloc(1, sizeof(*rows));
	struct flow flow = kernel_netns_flow(5), found;
	int progress;

	create_flows(k, FLOWS);
	assert_int_equal(audit_dump_start(k->audit, NULL), 0);
	assert_int_equal(audit_dump_read(k->audit, 1000, note_row, rows), AUDIT_MORE);
	assert_int_equal(audit_get(k->audit, &flow, &found), 0); /* during a dump, too */
	audit_dump_cancel(k->audit);
	assert_int_equal(audit_dump_read(k->audit, 1000, note_row, rows), AUDIT_IDLE);
	memset(rows, 0, sizeof(*rows));
	assert_int_equal(audit_dump_start(k->audit, NULL), 0);
	do
		progress = audit_dump_read(k->audit, 100000, note_row, rows);
	while (progress == AUDIT_MORE);
	assert_int_equal(progress, AUDIT_DONE);
	for (unsigned n = 0; n < FLOWS; n++)
		assert_int_equal(rows->times[n], 1);
	free(rows);
}

/* Sets the number of buckets, which only the host's namespace may; false if it can't. */
static bool set_hashsize(unsigned size)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	bool ok = !setns(host_netns, CLONE_NEWNET);
	FILE *file = fopen("/sys/module/nf_conntrack/parameters/hashsize", "we");

	if (!file || fprintf(file, "%u", size) < 0)
		ok = false;
	if (file && fclose(file))
		ok = false;
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	close(own);
	return ok;
}

static void a_dump_while_the_table_is_resized_is_interrupted(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct rows *rows = calloc(1, sizeof(*rows));
	long buckets = limit_read(LIMIT_BUCKETS);
	int progress;

	create_flows(k, FLOWS);
	assert_int_equal(audit_dump_start(k->audit, NULL), 0);
	assert_int_equal(audit_dump_read(k->audit, 1000, note_row, rows), AUDIT_MORE);
	if (set_hashsize((unsigned)buckets + 512)) {
		do
			progress = audit_dump_read(k->audit, 1000, note_row, rows);
		while (progress == AUDIT_MORE);
		assert_true(set_hashsize((unsigned)buckets)); /* host-wide: before anything can fail */
		assert_int_equal(limit_read(LIMIT_BUCKETS), buckets);
		assert_int_equal(progress, AUDIT_INTERRUPTED);
	} else {
		print_message("the table can't be resized from here\n");
		audit_dump_cancel(k->audit);
	}
	free(rows);
}

static void an_empty_table_is_a_dump_without_rows(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct rows *rows = calloc(1, sizeof(*rows));

	assert_int_equal(audit_dump_start(k->audit, NULL), 0);
	assert_int_equal(audit_dump_read(k->audit, 10, note_row, rows), AUDIT_DONE);
	assert_int_equal(rows->strangers, 0);
	free(rows);
}

static void a_get_finds_the_flow_by_its_key_alone(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);
	struct flow flow = kernel_netns_flow(1), found, mirrored;

	assert_int_equal(audit_get(k->audit, &flow, &found), -ENOENT);
	create_flows(k, 2);
	assert_int_equal(audit_get(k->audit, &flow, &found), 0);
	assert_true(flow_key_equals(&flow, &found));
	assert_int_equal(found.tcp.state, FLOW_TCP_ESTABLISHED);
	flow.zone = 3;
	assert_int_equal(audit_get(k->audit, &flow, &found), -ENOENT);
	mirrored = kernel_netns_flow(1); /* the kernel would show the flow whose reply this is */
	mirrored.orig = kernel_netns_flow(1).reply;
	assert_int_equal(audit_get(k->audit, &mirrored, &found), -ENOENT);
	mirrored.family = 99;
	assert_int_equal(audit_get(k->audit, &mirrored, &found), -EINVAL);
}

static int set_up(void **state)
{
	host_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return kernel_netns_set_up(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(a_dump_is_what_was_created),
	    NETNS_TEST(each_row_is_told_ahead_and_has_its_turn_in_that_order),
	    NETNS_TEST(a_cancelled_dump_does_not_meet_the_next),
	    NETNS_TEST(a_dump_while_the_table_is_resized_is_interrupted),
	    NETNS_TEST(an_empty_table_is_a_dump_without_rows),
	    NETNS_TEST(a_get_finds_the_flow_by_its_key_alone),
	};

	return cmocka_run_group_tests_name("audit", tests, set_up, kernel_netns_tear_down);
}
