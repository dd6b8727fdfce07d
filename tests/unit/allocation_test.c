/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that runs out: each allocation of the protocol in turn fails, in a run of two nodes.  Nothing
 * crashes or leaks, nobody claims to be in sync who is not, and when memory is back all becomes equal.
 *
 * The build renames the allocators in the objects of proto/ (and the node's door in the cluster's) to those
 * below; libcrypto is given them, too.  They count, and fail, only while a node takes a step.
 */
#include "proto/snapshot.h"
#include "tests/unit/cluster.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FLOWS = 1100, RUN_MAX = 20000 };

enum failing { FAIL_NONE, FAIL_ONE, FAIL_FROM_THEN_ON };

/* What the allocators below know: there is no way to hand it to them. */
static struct {
	enum failing mode;
	bool crypto; /* libcrypto's allocations are counted, not ours */
	bool in_step;
	uint64_t fail_at; /* the number of the first to fail, from 1 */
	uint64_t made;    /* counted ones */
	uint64_t failed;
	int64_t outstanding; /* of ours: made and not freed */
} memory;

static bool fails(bool crypto)
{
	if (!memory.in_step || crypto != memory.crypto)
		return false;
	memory.made++;
	if (memory.mode == FAIL_NONE || memory.made < memory.fail_at ||
	    (memory.mode == FAIL_ONE && memory.made > memory.fail_at))
		return false;
	memory.failed++;
	return true;
}

void *failing_malloc(size_t size);
void *failing_calloc(size_t count, size_t size);
void *failing_realloc(void *old, size_t size);
void failing_free(void *old);
void stepping_node_step(struct node *node, const struct node_event *event);
int stepping_node_create(struct node **node, const struct node_config *config, const struct node_sink *sink,
			 struct monotime now);

static void *counted(void *bytes)
{
	memory.outstanding += bytes != NULL;
	return bytes;
}

void *failing_malloc(size_t size)
{
	return fails(false) ? NULL : counted(malloc(size));
}

void *failing_calloc(size_t count, size_t size)
{
	return fails(false) ? NULL : counted(calloc(count, size));
}

void *failing_realloc(void *old, size_t size)
{
	void *bytes;

	if (fails(false))
		return NULL;
	bytes = realloc(old, size);
	return old ? bytes : counted(bytes);
}

void failing_free(void *old)
{
	memory.outstanding -= old != NULL;
	free(old);
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return fails(true) ? NULL : malloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return fails(true) ? NULL : realloc(old, size);
}

static void crypto_free(void *old, const char *file, int line)
{
	(void)file, (void)line;
	free(old);
}

void stepping_node_step(struct node *node, const struct node_event *event)
{
	memory.in_step = true;
	node_step(node, event);
	memory.in_step = false;
}

/* The cluster's nodes must start: what fails is tried again, with the memory that there is then. */
int stepping_node_create(struct node **node, const struct node_config *config, const struct node_sink *sink,
			 struct monotime now)
{
	int64_t before = memory.outstanding;
	int error;

	memory.in_step = true;
	error = node_create(node, config, sink, now);
	if (error) {
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(memory.outstanding, before);
		memory.mode = FAIL_NONE;
		error = node_create(node, config, sink, now);
	}
	memory.in_step = false;
	return error;
}

/* ---- what is claimed must be so ---- */

/* In warm mode the kernel has the other's flows, too. */
static bool internal_is_kernel(struct cluster *c, unsigned index)
{
	struct cluster_node *n = &c->nodes[index];
	struct table_walk walk = table_walk_after(node_internal(n->node), 0, false);
	const struct table_entry *entry;
	size_t equal = 0;

	while ((entry = table_walk_next(&walk))) {
		struct table_entry *there;
		uint8_t record[RECORD_MAX];
		struct flow flow;

		record_decode(entry->bytes, &flow);
		flow.incarnation = 0;
		there = cluster_kernel_find(n, &flow);
		if (!there || !record_encode(&flow, record) || !record_equals(there->bytes, record))
			return false;
		equal++;
	}
	return n->config.warm || equal == table_count(n->kernel);
}

static void check_claims(struct cluster *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct node_peer_view peer = cluster_peer_view(c, i, 1 - i);
		struct node_view view;

		node_view(c->nodes[i].node, cluster_clock(c, i), &view);
		if (view.complete && !view.suspect && !view.refused && !strcmp(view.handover, "none"))
			assert_true(internal_is_kernel(c, i));
		if (peer.holds.in_sync)
			assert_true(cluster_copy_equals(c, i, 1 - i));
		if (peer.held.in_sync)
			assert_true(cluster_copy_equals(c, 1 - i, i));
	}
}

/* Nothing changes any more: after two heartbeats a claim speaks of what is. */
static void settle(struct cluster *c)
{
	cluster_run_us(c, 600000);
	for (unsigned i = 0; i < 8; i++) {
		check_claims(c);
		cluster_run_us(c, 50000);
	}
}

static bool all_is_equal(struct cluster *c)
{
	return cluster_is_in_sync(c) && internal_is_kernel(c, 0) && internal_is_kernel(c, 1);
}

/* ---- the run: whatever allocates ---- */

static void create_flows(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	cluster_flows_new_paced(c, node, first, count, 8, 400);
}

/* Records that grow need another place. */
static void grow_flows(struct cluster *c, unsigned node, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow f = cluster_flow(i);

		f.mark = i + 1;
		f.present |= FLOW_HAS_LABELS | FLOW_HAS_HELPER;
		f.labels[3] = 1;
		strcpy(f.helper, "ftp");
		cluster_flow_update(c, node, &f);
	}
}

/* An audit pass during which flows end: they are noted. */
static void audit_amid_events(struct cluster *c, unsigned node)
{
	struct node_event begin = {.type = NODE_AUDIT_BEGIN}, end = {.type = NODE_AUDIT_END};

	cluster_step(c, node, &begin);
	cluster_flows_destroy(c, node, 10, 10);
	cluster_step(c, node, &end);
	cluster_audit(c, node);
}

static void configure(struct cluster *c, unsigned index, uint8_t first_key, uint8_t second_key,
		      enum seal_cipher cipher)
{
	struct node_config *config = &c->nodes[index].config;
	struct node_event event = {.type = NODE_CONFIGURE, .config = config};
	uint8_t key[SEAL_KEY_SIZE] = {first_key, 2, 3};

	memset(&config->ring, 0, sizeof(config->ring));
	config->cipher = cipher;
	seal_ring_add(&config->ring, key);
	key[0] = second_key;
	seal_ring_add(&config->ring, key);
	cluster_step(c, index, &event);
}

static void roll_key_over(struct cluster *c)
{
	for (unsigned i = 0; i < 2; i++)
		configure(c, i, 1, 9, SEAL_AES_256_GCM);
	for (unsigned i = 0; i < 2; i++)
		configure(c, i, 9, 1, SEAL_CHACHA20_POLY1305);
	cluster_run_us(c, 300000);
}

/* Both are primary for a while, so that what one destroys the other has to note; then it gives way. */
static void hand_over(struct cluster *c)
{
	cluster_role(c, 0, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 300000);
	cluster_role(c, 1, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 100000);
	cluster_flows_destroy(c, 0, 20, 10);
	create_flows(c, 0, FLOWS, 5);
	cluster_run_us(c, 300000);
	cluster_role(c, 0, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 600000);
}

/* What the other held is the only copy of those flows: whatever fails, it is not swept. */
static void reboot(struct cluster *c)
{
	size_t held;

	cluster_stop(c, 1);
	cluster_run_us(c, 2000);
	held = cluster_held(c, 0, 1);
	cluster_reboot(c, 1);
	cluster_run_us(c, 1500000);
	if (memory.mode == FAIL_FROM_THEN_ON)
		memory.mode = FAIL_NONE;
	cluster_run_us(c, 1500000);
	assert_int_equal(cluster_orphans(c, 0, 1), held);
}

static void play(struct cluster *c)
{
	cluster_run_us(c, 700000);
	create_flows(c, 0, 0, FLOWS);
	create_flows(c, 1, 1000, 10);
	c->loss_percent = 20; /* so that frames wait for others */
	c->jitter_us = 3000;
	grow_flows(c, 0, 30, 20);
	create_flows(c, 0, FLOWS + 10, 60);
	cluster_flows_destroy(c, 0, FLOWS + 10, 60);
	cluster_run_us(c, 200000);
	c->loss_percent = 0;
	c->jitter_us = 0;
	audit_amid_events(c, 0);
	settle(c);
	roll_key_over(c);
	hand_over(c);
	settle(c);
	cluster_restart(c, 0);
	cluster_run_us(c, 1500000);
	settle(c);
	reboot(c);
	create_flows(c, 1, 2000, 10);
	settle(c);
}

/* Sessions, keys and ciphers only: what libcrypto allocates for. */
static void play_sessions(struct cluster *c)
{
	cluster_run_us(c, 500000);
	create_flows(c, 0, 0, 10);
	roll_key_over(c);
	cluster_restart(c, 1);
	cluster_run_us(c, 1500000);
	settle(c);
}

/* The other's flows go into the kernel as they come, and are there at the takeover. */
static void play_warm(struct cluster *c)
{
	for (unsigned i = 0; i < 2; i++) {
		c->nodes[i].config.warm = true;
		cluster_restart(c, i);
	}
	cluster_role(c, 0, FRAME_ROLE_PRIMARY);
	cluster_role(c, 1, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 700000);
	create_flows(c, 0, 0, 200);
	cluster_run_us(c, 500000);
	cluster_flows_destroy(c, 0, 10, 10);
	settle(c);
	cluster_role(c, 1, FRAME_ROLE_PRIMARY);
	cluster_role(c, 0, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1500000);
	settle(c);
}

/* How many allocations it made, and whether any failed. */
static uint64_t run(void (*scenario)(struct cluster *), bool crypto, enum failing mode, uint64_t fail_at)
{
	struct cluster *c;
	int64_t before = memory.outstanding;
	uint64_t made;

	memory.mode = mode;
	memory.crypto = crypto;
	memory.fail_at = fail_at;
	memory.made = memory.failed = 0;
	c = cluster_new(2, 5);
	for (unsigned i = 0; i < 2; i++)
		c->nodes[i].config.max_tombstones = 40;
	scenario(c);
	made = memory.made;
	memory.mode = FAIL_NONE; /* memory is back */
	cluster_audit(c, 0);     /* as each audit interval brings one */
	cluster_audit(c, 1);
	if (!cluster_run_until(c, all_is_equal, INT64_C(400000000)))
		fail_msg("not equal again after allocation %llu failed: %s; %s", (unsigned long long)fail_at,
			 cluster_peer_view(c, 0, 1).holds.reason, cluster_peer_view(c, 1, 0).holds.reason);
	cluster_free(c);
	assert_int_equal(memory.outstanding, before);
	return made;
}

/* Each in turn, until a run makes fewer than that. */
static uint64_t run_each(void (*scenario)(struct cluster *), bool crypto, enum failing mode)
{
	uint64_t fail_at = 1;

	while (run(scenario, crypto, mode, fail_at) >= fail_at && fail_at < RUN_MAX)
		fail_at++;
	print_message("each of %llu allocations failed in turn\n", (unsigned long long)fail_at - 1);
	assert_true(fail_at < RUN_MAX);
	return fail_at - 1;
}

static void without_failures_all_is_equal_at_once(void **state)
{
	(void)state;
	assert_true(run(play, false, FAIL_NONE, 0) > 0);
	assert_true(run(play_sessions, true, FAIL_NONE, 0) > 0);
	assert_int_equal(memory.failed, 0);
}

static void each_allocation_fails_once_and_nothing_diverges_in_silence(void **state)
{
	(void)state;
	assert_true(run_each(play, false, FAIL_ONE) > 50);
}

static void memory_that_stays_away_for_a_while_costs_no_more(void **state)
{
	(void)state;
	assert_true(run_each(play, false, FAIL_FROM_THEN_ON) > 50);
}

static void the_same_in_warm_mode(void **state)
{
	(void)state;
	assert_true(run_each(play_warm, false, FAIL_ONE) > 50);
	assert_true(run_each(play_warm, false, FAIL_FROM_THEN_ON) > 50);
}

struct bytes {
	uint8_t bytes[1 << 16];
	size_t length;
};

static int keep(void *context, const uint8_t *bytes, size_t length)
{
	struct bytes *kept = context;

	assert_true(kept->length + length <= sizeof(kept->bytes));
	memcpy(kept->bytes + kept->length, bytes, length);
	kept->length += length;
	return 0;
}

static void what_was_left_is_taken_whole_or_not_at_all(void **state)
{
	struct cluster *c;
	struct snapshot_report report;
	struct bytes kept = {.length = 0};
	int error = -ENOMEM;
	uint64_t refused = 0;

	(void)state;
	memory.mode = FAIL_NONE;
	c = cluster_new(2, 5);
	create_flows(c, 0, 0, 300);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	assert_int_equal(snapshot_write(c->nodes[1].node, cluster_clock(c, 1), keep, &kept, &report), 0);
	cluster_stop(c, 0);
	cluster_restart(c, 1);
	memory.crypto = false;
	for (uint64_t fail_at = 1; error == -ENOMEM; fail_at++) {
		memory.mode = FAIL_ONE;
		memory.fail_at = fail_at;
		memory.made = 0;
		memory.in_step = true;
		error =
		    snapshot_read(c->nodes[1].node, cluster_clock(c, 1), kept.bytes, kept.length, &report);
		memory.in_step = false;
		if (error)
			assert_int_equal(cluster_orphans(c, 1, 0), 0);
		refused += error == -ENOMEM;
	}
	memory.mode = FAIL_NONE;
	assert_int_equal(error, 0);
	assert_true(refused > 5);
	assert_int_equal(cluster_orphans(c, 1, 0), 300);
	cluster_free(c);
}

static void each_allocation_of_libcrypto_fails_once_and_sessions_are_made_all_the_same(void **state)
{
	(void)state;
	assert_true(run_each(play_sessions, true, FAIL_ONE) > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_failures_all_is_equal_at_once),
	    cmocka_unit_test(each_allocation_fails_once_and_nothing_diverges_in_silence),
	    cmocka_unit_test(memory_that_stays_away_for_a_while_costs_no_more),
	    cmocka_unit_test(the_same_in_warm_mode),
	    cmocka_unit_test(what_was_left_is_taken_whole_or_not_at_all),
	    cmocka_unit_test(each_allocation_of_libcrypto_fails_once_and_sessions_are_made_all_the_same),
	};

	/* before anything of libcrypto runs; its own first use is not part of what fails */
	if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
