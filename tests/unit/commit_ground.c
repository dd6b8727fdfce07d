/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/commit_ground.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const struct commit_options commit_fence_open, commit_fence_closed = {.fence_closed = true};

void commit_note_end(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct commit_end *end = context;

	end->count++;
	end->result = result;
	end->error = error;
	end->flow = *flow;
}

struct commit_end commit_write_one(struct kernel_netns *k, const struct flow *flow, uint32_t timeout_s,
				   const struct commit_options *options)
{
	struct commit_end end = {0};

	commit_flow(k->commit, flow, timeout_s, options, commit_note_end, &end);
	commit_flush(k->commit);
	assert_int_equal(end.count, 1);
	return end;
}

void commit_assert_ends(struct kernel_netns *k, const struct flow *flow, const struct commit_options *options,
			enum commit_result result)
{
	struct commit_end end = commit_write_one(k, flow, 600, options);

	assert_string_equal(commit_result_name(end.result), commit_result_name(result));
}

void commit_assert_told_the_truth(struct kernel_netns *k, const struct commit_end *end)
{
	struct flow shown = kernel_netns_read(k, &end->flow);

	assert_true(commit_is_in_kernel(end->result, end->error));
	assert_true(flow_nat_equals(&shown, &end->flow));
	assert_int_equal(shown.status, end->flow.status);
	assert_int_equal(shown.mark, end->flow.mark);
	assert_int_equal(shown.tcp.state, end->flow.tcp.state);
	assert_memory_equal(shown.tcp.flags, end->flow.tcp.flags, 2);
	assert_memory_equal(shown.tcp.wscale, end->flow.tcp.wscale, 2);
	assert_memory_equal(shown.labels, end->flow.labels, FLOW_LABELS_SIZE);
	assert_in_range(shown.timeout_s, end->flow.timeout_s - 2, end->flow.timeout_s);
}

struct flow commit_with_nat(struct flow flow, uint8_t address)
{
	flow.reply.dst[0] = 203;
	flow.reply.dst[1] = 0;
	flow.reply.dst[2] = 113;
	flow.reply.dst[3] = address;
	return flow;
}
