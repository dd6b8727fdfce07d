/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"
#include "syncd/kernel/timeouts.h"
#include "tests/unit/kernel_netns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static bool has_netns;
static struct audit *audit;
static struct commit *commit;

/* The end of one flow. */
struct end {
	unsigned count;
	enum commit_result result;
	int error;
	struct flow flow;
};

static const struct commit_options fence_open, fence_closed = {.fence_closed = true};

static void note_end(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct end *end = context;

	end->count++;
	end->result = result;
	end->error = error;
	end->flow = *flow;
}

static struct end write_one(const struct flow *flow, uint32_t timeout_s, const struct commit_options *options)
{
	struct end end = {0};

	commit_flow(commit, flow, timeout_s, options, note_end, &end);
	commit_flush(commit, options, note_end, &end);
	assert_int_equal(end.count, 1);
	return end;
}

static void assert_ends(const struct flow *flow, const struct commit_options *options,
			enum commit_result result)
{
	struct end end = write_one(flow, 600, options);

	assert_string_equal(commit_result_name(end.result), commit_result_name(result));
}

static struct flow read_one(const struct flow *key)
{
	struct flow flow;

	assert_int_equal(audit_get(audit, key, &flow), 0);
	return flow;
}

static void assert_absent(const struct flow *key)
{
	struct flow flow;

	assert_int_equal(audit_get(audit, key, &flow), -ENOENT);
}

/* What `done` was told is what the kernel has. */
static void assert_told_the_truth(const struct end *end)
{
	struct flow shown = read_one(&end->flow);

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

static void a_new_flow_is_created_and_a_known_one_kept(void **state)
{
	struct flow flow = kernel_netns_flow(1);
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	flow.present |= FLOW_HAS_MARK | FLOW_HAS_ID;
	flow.mark = 5;
	flow.id = 0x1234;
	end = write_one(&flow, 600, &fence_open);
	assert_int_equal(end.result, COMMIT_CREATED);
	assert_false(end.flow.present & FLOW_HAS_ID); /* another kernel's */
	assert_told_the_truth(&end);
	end = write_one(&flow, 300, &fence_open);
	assert_int_equal(end.result, COMMIT_KEPT);
	assert_told_the_truth(&end);
}

static void a_flow_without_time_left_is_not_sent(void **state)
{
	struct flow flow = kernel_netns_flow(1);

	(void)state;
	if (!has_netns)
		skip();
	assert_int_equal(write_one(&flow, 0, &fence_open).result, COMMIT_EXPIRED);
	assert_absent(&flow);
}

static void a_flow_behind_is_brought_forward(void **state)
{
	struct flow flow = kernel_netns_flow(1);
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	flow.tcp.state = FLOW_TCP_SYN_SENT;
	flow.status = 0;
	assert_int_equal(write_one(&flow, 120, &fence_open).result, COMMIT_CREATED);
	flow = kernel_netns_flow(1);
	flow.tcp.flags[0] = flow.tcp.flags[1] = 1;
	flow.tcp.wscale[0] = flow.tcp.wscale[1] = 7;
	end = write_one(&flow, 5000, &(struct commit_options){.tcp_liberal = true});
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(end.flow.tcp.state, FLOW_TCP_ESTABLISHED);
	assert_int_equal(end.flow.tcp.flags[0], 9);
	assert_told_the_truth(&end);
	flow.tcp.state = FLOW_TCP_TIME_WAIT; /* later, with less time */
	end = write_one(&flow, 60, &fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(end.flow.timeout_s, 60);
	assert_told_the_truth(&end);
}

/* It came back to a firewall that had it before: the windows are those of its last packet there. */
static void a_known_flow_has_its_stale_windows_forgiven(void **state)
{
	static const enum flow_tcp_state states[] = {FLOW_TCP_ESTABLISHED, FLOW_TCP_FIN_WAIT};
	struct flow flow = kernel_netns_flow(1), shown;
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	for (unsigned i = 0; i < 2; i++) { /* as far on as the record, and farther */
		flow.tcp.state = (uint8_t)states[i];
		assert_int_equal(write_one(&flow, 600, &fence_closed).result, COMMIT_CREATED);
		flow.tcp.state = FLOW_TCP_ESTABLISHED;
		end = write_one(&flow, 600, &(struct commit_options){.tcp_liberal = true});
		assert_int_equal(end.result, COMMIT_UPDATED);
		assert_told_the_truth(&end);
		shown = read_one(&flow);
		assert_int_equal(shown.tcp.state, states[i]);
		assert_true(shown.tcp.flags[0] & shown.tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
		assert_int_equal(write_one(&flow, 600, &(struct commit_options){.tcp_liberal = true}).result,
				 COMMIT_KEPT);
		commit_delete(commit, &flow, note_end, &end);
		commit_flush(commit, &fence_open, note_end, &end);
	}
}

static void a_flow_ahead_is_never_taken_back(void **state)
{
	struct flow flow = kernel_netns_flow(1), before;
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	flow.tcp.state = FLOW_TCP_FIN_WAIT;
	assert_int_equal(write_one(&flow, 100, &fence_open).result, COMMIT_CREATED);
	before = read_one(&flow);
	flow = kernel_netns_flow(1);
	flow.mark = 8;
	flow.present |= FLOW_HAS_MARK;
	end = write_one(&flow, 100000, &fence_closed);
	assert_int_equal(end.result, COMMIT_KEPT);
	assert_int_equal(end.flow.tcp.state, FLOW_TCP_FIN_WAIT);
	assert_told_the_truth(&end);
	assert_int_equal(read_one(&flow).mark, before.mark);
	assert_in_range(read_one(&flow).timeout_s, 98, 100);
}

static void an_equal_flow_takes_timeout_mark_and_labels(void **state)
{
	struct flow flow = kernel_netns_flow(1);
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	assert_int_equal(write_one(&flow, 100, &fence_open).result, COMMIT_CREATED);
	end = write_one(&flow, 9000, &fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_told_the_truth(&end);
	flow.present |= FLOW_HAS_MARK | FLOW_HAS_LABELS;
	flow.mark = 0x10;
	flow.labels[3] = 4;
	end = write_one(&flow, 100, &fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_told_the_truth(&end);
	assert_int_equal(end.flow.mark, 0x10);
	assert_int_equal(end.flow.labels[3], 4);
	assert_true(end.flow.timeout_s > 8000); /* not shortened */
	assert_int_equal(write_one(&flow, 100, &fence_open).result, COMMIT_KEPT);
	flow.present &= ~(uint32_t)FLOW_HAS_MARK; /* its owner has taken the mark away */
	flow.mark = 0;
	end = write_one(&flow, 100, &fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(read_one(&flow).mark, 0);
}

static void a_fixed_timeout_and_an_expected_flow_can_be_updated(void **state)
{
	struct flow master = kernel_netns_flow(1), flow = kernel_netns_flow(2);
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	flow.present |= FLOW_HAS_MASTER;
	flow.master = master.orig;
	flow.master_protocol = PROTOCOL_TCP;
	flow.status |= FLOW_STATUS_FIXED_TIMEOUT | FLOW_STATUS_EXPECTED;
	assert_int_equal(write_one(&master, 600, &fence_open).result, COMMIT_CREATED);
	assert_int_equal(write_one(&flow, 600, &fence_open).result, COMMIT_CREATED);
	flow.tcp.state = FLOW_TCP_FIN_WAIT;
	end = write_one(&flow, 5000, &fence_open);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_told_the_truth(&end);
	assert_in_range(end.flow.timeout_s, 598, 600);
}

static struct flow with_nat(struct flow flow, uint8_t address)
{
	flow.reply.dst[0] = 203;
	flow.reply.dst[1] = 0;
	flow.reply.dst[2] = 113;
	flow.reply.dst[3] = address;
	return flow;
}

static void another_nat_clashes_unless_it_may_be_replaced(void **state)
{
	struct flow one = with_nat(kernel_netns_flow(1), 1), two = with_nat(kernel_netns_flow(1), 2);

	(void)state;
	if (!has_netns)
		skip();
	assert_ends(&one, &fence_open, COMMIT_CREATED);
	assert_ends(&two, &fence_open, COMMIT_CLASH);
	assert_true(flow_nat_equals(&one, &(struct flow){0}) == false);
	assert_true(flow_nat_equals(&(struct flow[]){read_one(&one)}[0], &one));
	assert_ends(&two, &fence_closed, COMMIT_REPLACED);
	assert_true(flow_nat_equals(&(struct flow[]){read_one(&one)}[0], &two));
	kernel_netns_flush();
	one.status = FLOW_STATUS_SEEN_REPLY; /* not assured: it goes */
	assert_ends(&one, &fence_open, COMMIT_CREATED);
	assert_ends(&two, &fence_open, COMMIT_REPLACED);
	assert_true(flow_nat_equals(&(struct flow[]){read_one(&one)}[0], &two));
}

static const struct commit_options existing_only = {
    .fence_closed = true, .tcp_liberal = true, .existing_only = true};

/* What a takeover does with flows of an earlier time as primary. */
static void existing_only_brings_forward_and_creates_nothing(void **state)
{
	struct flow flow = kernel_netns_flow(1), other = kernel_netns_flow(2);
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	flow.tcp.state = FLOW_TCP_SYN_SENT;
	flow.status = 0;
	assert_int_equal(write_one(&flow, 120, &fence_open).result, COMMIT_CREATED);
	flow = kernel_netns_flow(1);
	end = write_one(&flow, 600, &existing_only);
	assert_int_equal(end.result, COMMIT_UPDATED);
	assert_int_equal(end.flow.tcp.state, FLOW_TCP_ESTABLISHED);
	assert_told_the_truth(&end);
	assert_true(read_one(&flow).tcp.flags[0] & FLOW_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(write_one(&flow, 600, &existing_only).result, COMMIT_KEPT);
	end = write_one(&other, 600, &existing_only);
	assert_int_equal(end.result, COMMIT_EXPIRED);
	assert_int_equal(end.error, 0);
	assert_absent(&other);
}

static void existing_only_replaces_nothing_even_behind_a_closed_fence(void **state)
{
	struct flow flow = with_nat(kernel_netns_flow(1), 1), translated = with_nat(kernel_netns_flow(1), 2);
	struct flow clashing = with_nat(kernel_netns_flow(2), 1);

	(void)state;
	if (!has_netns)
		skip();
	assert_int_equal(write_one(&flow, 600, &fence_open).result, COMMIT_CREATED);
	assert_int_equal(write_one(&translated, 600, &existing_only).result, COMMIT_CLASH);
	assert_int_equal(write_one(&clashing, 600, &existing_only).result, COMMIT_EXPIRED);
	assert_absent(&clashing);
	flow = read_one(&flow);
	assert_false(flow_nat_equals(&flow, &translated));
	assert_false(flow.tcp.flags[0] & FLOW_TCP_FLAG_BE_LIBERAL); /* it was not touched at all */
}

static void existing_only_settles_each_of_a_mixed_batch(void **state)
{
	struct flow flows[3] = {kernel_netns_flow(1), kernel_netns_flow(2), kernel_netns_flow(3)};
	struct end end = {0};

	(void)state;
	if (!has_netns)
		skip();
	assert_int_equal(write_one(&flows[1], 600, &fence_open).result, COMMIT_CREATED);
	for (unsigned i = 0; i < 3; i++)
		commit_flow(commit, &flows[i], 600, &existing_only, note_end, &end);
	commit_flush(commit, &existing_only, note_end, &end);
	assert_int_equal(end.count, 3);
	assert_absent(&flows[0]);
	assert_absent(&flows[2]);
	assert_true(read_one(&flows[1]).tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
}

static void a_taken_reply_tuple_clashes_unless_it_may_be_replaced(void **state)
{
	struct flow one = with_nat(kernel_netns_flow(1), 1), two = with_nat(kernel_netns_flow(2), 1);

	(void)state;
	if (!has_netns)
		skip();
	two.reply.dport = one.reply.dport;
	assert_ends(&one, &fence_open, COMMIT_CREATED);
	assert_ends(&two, &fence_open, COMMIT_CLASH);
	assert_absent(&two);
	assert_ends(&two, &fence_closed, COMMIT_REPLACED);
	assert_absent(&one);
	kernel_netns_flush();
	one.status = 0;
	assert_ends(&one, &fence_open, COMMIT_CREATED);
	assert_ends(&two, &fence_open, COMMIT_REPLACED);
	assert_absent(&one);
	(void)read_one(&two);
}

static void an_original_tuple_that_is_anothers_reply_clashes(void **state)
{
	struct flow one = kernel_netns_flow(1), two = one;

	(void)state;
	if (!has_netns)
		skip();
	two.orig = one.reply;
	two.reply = one.orig;
	assert_ends(&one, &fence_open, COMMIT_CREATED);
	assert_ends(&two, &fence_open, COMMIT_CLASH);
	assert_ends(&two, &fence_closed, COMMIT_REPLACED);
	assert_absent(&one);
}

static void masters_come_before_their_flows_in_one_batch(void **state)
{
	struct flow master = kernel_netns_flow(1), related = kernel_netns_flow(2);
	struct end end = {0};

	(void)state;
	if (!has_netns)
		skip();
	related.present |= FLOW_HAS_MASTER;
	related.master = master.orig;
	related.master_protocol = PROTOCOL_TCP;
	commit_flow(commit, &master, 600, &fence_open, note_end, &end);
	commit_flow(commit, &related, 600, &fence_open, note_end, &end);
	commit_flush(commit, &fence_open, note_end, &end);
	assert_int_equal(end.count, 2);
	assert_int_equal(end.result, COMMIT_CREATED);
	assert_told_the_truth(&end);
}

static void a_flow_waits_for_its_master_that_must_replace_another(void **state)
{
	struct flow stale = with_nat(kernel_netns_flow(1), 1), master = with_nat(kernel_netns_flow(5), 1);
	struct flow related = kernel_netns_flow(2);
	struct end end = {0};

	(void)state;
	if (!has_netns)
		skip();
	master.reply.dport = stale.reply.dport;
	assert_ends(&stale, &fence_open, COMMIT_CREATED);
	related.present |= FLOW_HAS_MASTER;
	related.master = master.orig;
	related.master_protocol = PROTOCOL_TCP;
	commit_flow(commit, &master, 600, &fence_closed, note_end, &end);
	commit_flow(commit, &related, 600, &fence_closed, note_end, &end);
	commit_flush(commit, &fence_closed, note_end, &end);
	assert_int_equal(end.result, COMMIT_CREATED);
	assert_told_the_truth(&end);
}

static void a_flow_is_created_without_a_helper_that_is_missing(void **state)
{
	struct flow flow = kernel_netns_flow(1);
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	flow.present |= FLOW_HAS_HELPER;
	strcpy(flow.helper, "no-such-helper");
	end = write_one(&flow, 600, &fence_open);
	assert_int_equal(end.result, COMMIT_NO_HELPER);
	assert_int_equal(end.error, 0);
	assert_told_the_truth(&end);
}

static void what_the_kernel_cannot_have_is_refused(void **state)
{
	struct flow flow = kernel_netns_flow(1), icmp = kernel_netns_flow(1);

	(void)state;
	if (!has_netns)
		skip();
	flow.family = 99;
	assert_ends(&flow, &fence_open, COMMIT_REFUSED);
	icmp.protocol = PROTOCOL_ICMP; /* a type that starts no flow */
	icmp.present &= ~(uint32_t)FLOW_HAS_TCP;
	icmp.orig.icmp_type = 3;
	assert_ends(&icmp, &fence_open, COMMIT_REFUSED);
}

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
static enum commit_result prepare(unsigned n, struct flow *flow, uint32_t *timeout_s)
{
	*flow = with_nat(kernel_netns_flow(n), 7);
	*timeout_s = 600;
	switch (n % 9) {
	case 1:
		assert_ends(flow, &fence_open, COMMIT_CREATED);
		*timeout_s = 500;
		return COMMIT_KEPT;
	case 2:
		flow->tcp.state = FLOW_TCP_SYN_RECV;
		assert_ends(flow, &fence_open, COMMIT_CREATED);
		flow->tcp.state = FLOW_TCP_ESTABLISHED;
		return COMMIT_UPDATED;
	case 3:
		assert_ends(flow, &fence_open, COMMIT_CREATED);
		*flow = with_nat(*flow, 8);
		return COMMIT_CLASH;
	case 4:
		flow->status = 0;
		assert_ends(flow, &fence_open, COMMIT_CREATED);
		*flow = with_nat(*flow, 8);
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
	struct flow *flows = calloc(MANY, sizeof(*flows));
	uint32_t *timeouts_s = calloc(MANY, sizeof(*timeouts_s));
	uint8_t *expected = calloc(MANY, sizeof(*expected));
	struct ends *ends = calloc(1, sizeof(*ends));
	unsigned expired = 0, next = 0;

	(void)state;
	if (!has_netns)
		skip();
	for (unsigned n = 0; n < MANY; n++)
		expected[n] = (uint8_t)prepare(n, &flows[n], &timeouts_s[n]);
	for (unsigned n = 0; n < MANY; n++) {
		if (!timeouts_s[n]) { /* told at once, so out of order */
			expired++;
			continue;
		}
		commit_flow(commit, &flows[n], timeouts_s[n], &fence_open, note_many, ends);
	}
	commit_flush(commit, &fence_open, note_many, ends);
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

static void deletions_are_told_apart(void **state)
{
	struct flow flow = kernel_netns_flow(1), absent = kernel_netns_flow(2);
	struct ends ends = {0};

	(void)state;
	if (!has_netns)
		skip();
	assert_ends(&flow, &fence_open, COMMIT_CREATED);
	commit_delete(commit, &absent, note_many, &ends);
	commit_delete(commit, &flow, note_many, &ends);
	commit_delete(commit, &flow, note_many, &ends);
	commit_flush(commit, NULL, note_many, &ends);
	assert_int_equal(ends.results[0], COMMIT_KEPT);
	assert_int_equal(ends.results[1], COMMIT_CREATED);
	assert_int_equal(ends.results[2], COMMIT_KEPT);
	assert_absent(&flow);
}

static void a_deletion_takes_the_id_as_a_hint(void **state)
{
	struct flow flow = kernel_netns_flow(1), shown;
	struct ends ends = {0};

	(void)state;
	if (!has_netns)
		skip();
	assert_ends(&flow, &fence_open, COMMIT_CREATED);
	shown = read_one(&flow);
	commit_delete(commit, &shown, note_many, &ends);
	commit_flush(commit, NULL, note_many, &ends);
	assert_int_equal(ends.results[0], COMMIT_CREATED);
	assert_absent(&flow);
	assert_ends(&flow, &fence_open, COMMIT_CREATED);
	shown.id++;
	commit_delete(commit, &shown, note_many, &ends);
	commit_flush(commit, NULL, note_many, &ends);
	assert_int_equal(ends.results[1], COMMIT_CREATED);
	assert_absent(&flow);
}

static void a_deletion_takes_no_flow_whose_reply_the_key_is(void **state)
{
	struct flow flow = kernel_netns_flow(1), reversed = kernel_netns_flow(1);
	struct ends ends = {0};

	(void)state;
	if (!has_netns)
		skip();
	reversed.orig = flow.reply;
	assert_ends(&flow, &fence_open, COMMIT_CREATED);
	commit_delete(commit, &reversed, note_many, &ends);
	commit_flush(commit, NULL, note_many, &ends);
	assert_int_equal(ends.results[0], COMMIT_KEPT);
	(void)read_one(&flow);
}

/* Without the right, each flow says so, and nothing is taken for done. */
static void without_the_capability_all_is_refused(void **state)
{
	struct ends ends = {0};

	(void)state;
	if (!has_netns)
		skip();
	assert_int_equal(seteuid(65534), 0);
	for (unsigned n = 0; n < 300; n++) {
		struct flow flow = kernel_netns_flow(n);

		commit_flow(commit, &flow, 600, &fence_open, note_many, &ends);
	}
	commit_flush(commit, &fence_open, note_many, &ends);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(ends.count[COMMIT_REFUSED], 300);
	assert_absent(&(struct flow[]){kernel_netns_flow(7)}[0]);
	assert_ends(&(struct flow[]){kernel_netns_flow(7)}[0], &fence_open, COMMIT_CREATED);
}

static void a_flush_empties_all_zones(void **state)
{
	struct flow flow = kernel_netns_flow(1), zoned = kernel_netns_flow(1);

	(void)state;
	if (!has_netns)
		skip();
	zoned.zone = 4;
	assert_ends(&flow, &fence_open, COMMIT_CREATED);
	assert_ends(&zoned, &fence_open, COMMIT_CREATED);
	assert_int_equal(commit_flush_kernel(commit), 0);
	assert_absent(&flow);
	assert_absent(&zoned);
	assert_ends(&flow, &fence_open, COMMIT_CREATED);
}

/* A connection over lo; what is sent at one end must arrive at the other. */
static int pass_byte(int from, int to, unsigned patience_ms)
{
	const struct timeval patience = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
	char byte = 'x';

	setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(from, &byte, 1, 0) != 1)
		return -errno;
	return recv(to, &byte, 1, 0) == 1 ? 0 : -EIO;
}

static struct flow key_of(int client, struct sockaddr_in server)
{
	struct flow key = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};
	struct sockaddr_in own;
	socklen_t length = sizeof(own);

	assert_int_equal(getsockname(client, (struct sockaddr *)&own, &length), 0);
	memcpy(key.orig.src, &own.sin_addr, 4);
	memcpy(key.orig.dst, &server.sin_addr, 4);
	key.orig.sport = ntohs(own.sin_port);
	key.orig.dport = ntohs(server.sin_port);
	return key;
}

/* The flow of a live connection is taken out of the kernel and committed again: both ends go on, the server
 * first. */
static void check_connection_lives(const char *address, bool liberal)
{
	const struct commit_options options = {.fence_closed = true, .tcp_liberal = liberal};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(5555)}, to = any;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), server;
	struct end end = {0};
	struct flow flow;

	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	server = accept(listener, NULL, NULL);
	assert_int_equal(pass_byte(client, server, 3000), 0);
	flow = key_of(client, to);
	flow = read_one(&flow);
	commit_delete(commit, &flow, note_end, &end);
	commit_flush(commit, NULL, note_end, &end);
	assert_int_not_equal(pass_byte(server, client, 50), 0); /* it will be sent again */
	assert_absent(&flow);
	end = write_one(&flow, 600, &options);
	/* the kernel may have picked up the server's packet as a flow of its own, the wrong way round */
	assert_true(end.result == COMMIT_CREATED || end.result == COMMIT_REPLACED);
	assert_told_the_truth(&end);
	assert_int_equal(pass_byte(server, client, 3000), 0);
	assert_int_equal(pass_byte(client, server, 3000), 0);
	assert_int_equal(read_one(&flow).tcp.state, FLOW_TCP_ESTABLISHED);
	close(client);
	close(server);
	close(listener);
	kernel_netns_flush();
}

static void a_live_connection_goes_on_after_it_was_committed(void **state)
{
	(void)state;
	if (!has_netns)
		skip();
	/* nothing passes without its flow: no picking up from the middle */
	kernel_netns_run("nft -f - <<'END'\n"
			 "table inet strict {\n"
			 "	chain in { type filter hook input priority 10;\n"
			 "		tcp dport 5555 tcp flags != syn ct state new drop\n"
			 "		tcp sport 5555 ct state new drop\n"
			 "		ct state invalid drop\n"
			 "	}\n"
			 "	chain nat { type nat hook output priority -100;\n"
			 "		ip daddr 127.0.0.2 tcp dport 5555 dnat ip to 127.0.0.1\n"
			 "	}\n"
			 "	chain snat_out { type nat hook postrouting priority 90;\n"
			 "		ip daddr 127.0.0.3 tcp dport 5555 snat ip to 127.0.0.9:20000-20100\n"
			 "	}\n"
			 "}\n"
			 "END");
	check_connection_lives("127.0.0.1", true);
	check_connection_lives("127.0.0.1", false);
	check_connection_lives("127.0.0.2", true);
	check_connection_lives("127.0.0.2", false);
	check_connection_lives("127.0.0.3", true);
	kernel_netns_run("nft delete table inet strict");
}

static void labels_without_a_rule_that_uses_them_do_not_hinder(void **state)
{
	struct flow flow = kernel_netns_flow(1);
	struct end end;

	(void)state;
	if (!has_netns)
		skip();
	kernel_netns_run("nft flush ruleset");
	assert_ends(&flow, &fence_open, COMMIT_CREATED);
	flow.present |= FLOW_HAS_LABELS;
	flow.labels[0] = 1;
	end = write_one(&flow, 5000, &fence_open);
	assert_int_equal(end.result, COMMIT_NO_LABELS);
	assert_told_the_truth(&end);
}

/* Fills this namespace up to the host's limit, which stays as it is. */
static void a_full_table_is_told(void **state)
{
	long limit = timeouts_conntrack_max();
	struct ends ends = {0};

	(void)state;
	if (!has_netns || limit > 600000) {
		print_message("skipped: nf_conntrack_max is %ld\n", limit);
		skip();
	}
	for (unsigned n = 0; n < (unsigned)limit + 100; n++) {
		struct flow flow = kernel_netns_flow(n);

		commit_flow(commit, &flow, 600, &fence_open, note_many, &ends);
	}
	commit_flush(commit, &fence_open, note_many, &ends);
	assert_in_range(ends.count[COMMIT_TABLE_FULL], 90, 100);
	assert_int_equal(ends.count[COMMIT_TABLE_FULL] + ends.count[COMMIT_CREATED], limit + 100);
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
	return has_netns && (audit_open(&audit) || commit_open(&commit)) ? -1 : 0;
}

static int tear_down(void **state)
{
	flush(state);
	audit_close(audit);
	commit_close(commit);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_new_flow_is_created_and_a_known_one_kept, flush),
	    cmocka_unit_test_setup(a_flow_without_time_left_is_not_sent, flush),
	    cmocka_unit_test_setup(a_flow_behind_is_brought_forward, flush),
	    cmocka_unit_test_setup(a_known_flow_has_its_stale_windows_forgiven, flush),
	    cmocka_unit_test_setup(existing_only_brings_forward_and_creates_nothing, flush),
	    cmocka_unit_test_setup(existing_only_replaces_nothing_even_behind_a_closed_fence, flush),
	    cmocka_unit_test_setup(existing_only_settles_each_of_a_mixed_batch, flush),
	    cmocka_unit_test_setup(a_flow_ahead_is_never_taken_back, flush),
	    cmocka_unit_test_setup(an_equal_flow_takes_timeout_mark_and_labels, flush),
	    cmocka_unit_test_setup(a_fixed_timeout_and_an_expected_flow_can_be_updated, flush),
	    cmocka_unit_test_setup(another_nat_clashes_unless_it_may_be_replaced, flush),
	    cmocka_unit_test_setup(a_taken_reply_tuple_clashes_unless_it_may_be_replaced, flush),
	    cmocka_unit_test_setup(an_original_tuple_that_is_anothers_reply_clashes, flush),
	    cmocka_unit_test_setup(masters_come_before_their_flows_in_one_batch, flush),
	    cmocka_unit_test_setup(a_flow_waits_for_its_master_that_must_replace_another, flush),
	    cmocka_unit_test_setup(a_flow_is_created_without_a_helper_that_is_missing, flush),
	    cmocka_unit_test_setup(what_the_kernel_cannot_have_is_refused, flush),
	    cmocka_unit_test_setup(each_flow_of_a_mixed_batch_ends_as_it_must, flush),
	    cmocka_unit_test_setup(deletions_are_told_apart, flush),
	    cmocka_unit_test_setup(a_deletion_takes_the_id_as_a_hint, flush),
	    cmocka_unit_test_setup(a_deletion_takes_no_flow_whose_reply_the_key_is, flush),
	    cmocka_unit_test_setup(without_the_capability_all_is_refused, flush),
	    cmocka_unit_test_setup(a_flush_empties_all_zones, flush),
	    cmocka_unit_test_setup(a_full_table_is_told, flush),
	    cmocka_unit_test_setup(a_live_connection_goes_on_after_it_was_committed, flush),
	    cmocka_unit_test_setup(labels_without_a_rule_that_uses_them_do_not_hinder, flush),
	    cmocka_unit_test(results_have_names),
	};

	return cmocka_run_group_tests_name("commit", tests, set_up, tear_down);
}
