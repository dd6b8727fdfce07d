/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/snapshot.h"

#include "tests/unit/cluster.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, FLOWS = 300 };

struct bytes {
	uint8_t *at;
	size_t length;
};

static int keep(void *context, const uint8_t *bytes, size_t length)
{
	struct bytes *kept = context;

	kept->at = realloc(kept->at, kept->length + length);
	assert_non_null(kept->at);
	memcpy(kept->at + kept->length, bytes, length);
	kept->length += length;
	return 0;
}

static int refuse(void *context, const uint8_t *bytes, size_t length)
{
	(void)context;
	(void)bytes;
	(void)length;
	return -ENOSPC;
}

/* A is primary and has FLOWS flows, B has a copy of them. */
static struct cluster *start(void)
{
	struct cluster *c = cluster_new(2, 5);

	for (unsigned i = 0; i < 2; i++)
		cluster_reboot(c, i);
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_flows_new(c, A, 0, FLOWS);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
	return c;
}

static void finish(struct cluster *c, struct bytes *snapshot)
{
	cluster_free(c);
	free(snapshot->at);
}

static struct bytes write_of(struct cluster *c, unsigned index)
{
	struct bytes snapshot = {0};
	struct snapshot_report report;

	assert_int_equal(
	    snapshot_write(c->nodes[index].node, cluster_clock(c, index), keep, &snapshot, &report), 0);
	assert_int_equal(report.tables, snapshot.length > SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE);
	return snapshot;
}

static int read_into(struct cluster *c, unsigned index, const struct bytes *snapshot)
{
	struct snapshot_report report;
	int error = snapshot_read(c->nodes[index].node, cluster_clock(c, index), snapshot->at,
				  snapshot->length, &report);

	if (error)
		assert_int_equal(report.tables, 0);
	return error;
}

static size_t orphans(struct cluster *c, unsigned holder)
{
	struct node_table_view tables[NODE_TABLES_MAX];
	size_t flows = 0;

	for (unsigned i = 0, n = node_tables(c->nodes[holder].node, tables); i < n; i++)
		flows += tables[i].orphan ? table_count(tables[i].table) : 0;
	return flows;
}

static bool b_holds_nothing_twice(struct cluster *c)
{
	return cluster_is_in_sync(c) && orphans(c, B) == 0;
}

static void what_a_dead_node_left_is_taken_over_after_a_restart(void **state)
{
	struct cluster *c = start();
	struct bytes snapshot;

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	snapshot = write_of(c, B);
	cluster_restart(c, B);
	assert_int_equal(orphans(c, B), 0);
	assert_int_equal(read_into(c, B, &snapshot), 0);
	cluster_run_us(c, 60000000);
	assert_int_equal(orphans(c, B), FLOWS);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(table_count(c->nodes[B].kernel), FLOWS);
	cluster_run_us(c, 3000000);
	assert_int_equal(orphans(c, B), 0); /* claimed: not committed a second time */
	finish(c, &snapshot);
}

static void a_restart_after_a_restart_loses_nothing_either(void **state)
{
	struct cluster *c = start();
	struct bytes first, second;

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 3000000);
	first = write_of(c, B);
	cluster_restart(c, B);
	assert_int_equal(read_into(c, B, &first), 0);
	cluster_run_us(c, 1000000);
	second = write_of(c, B);
	cluster_restart(c, B);
	assert_int_equal(read_into(c, B, &second), 0);
	assert_int_equal(orphans(c, B), FLOWS);
	free(first.at);
	finish(c, &second);
}

static void what_a_live_owner_sends_again_takes_its_place(void **state)
{
	struct cluster *c = start();
	struct bytes snapshot = write_of(c, B);

	(void)state;
	cluster_restart(c, B);
	assert_int_equal(read_into(c, B, &snapshot), 0);
	assert_int_equal(orphans(c, B), FLOWS);
	assert_true(cluster_run_until(c, b_holds_nothing_twice, 20000000));
	assert_int_equal(cluster_peer_view(c, B, A).flows, FLOWS);
	finish(c, &snapshot);
}

static void an_owner_that_has_rebooted_leaves_its_flows_to_us(void **state)
{
	struct cluster *c = start();
	struct bytes snapshot = write_of(c, B);

	(void)state;
	cluster_stop(c, A);
	cluster_restart(c, B);
	assert_int_equal(read_into(c, B, &snapshot), 0);
	cluster_reboot(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 20000000));
	cluster_run_us(c, 3000000);
	assert_int_equal(orphans(c, B), FLOWS);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	assert_int_equal(table_count(c->nodes[B].kernel), FLOWS);
	finish(c, &snapshot);
}

static void a_primary_leaves_out_what_it_has_committed(void **state)
{
	struct cluster *c = start();
	struct bytes snapshot;

	(void)state;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	snapshot = write_of(c, B);
	assert_int_equal(snapshot.length, SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE);
	finish(c, &snapshot);
}

static void a_snapshot_that_is_cut_short_changes_nothing(void **state)
{
	struct cluster *c = start();
	struct bytes snapshot = write_of(c, B);

	(void)state;
	cluster_restart(c, B);
	for (size_t length = 0; length < snapshot.length; length++) {
		/* of just that size, so that a sanitizer sees what is read beyond */
		struct bytes cut = {.at = malloc(length + 1), .length = length};

		memcpy(cut.at, snapshot.at, length);
		assert_int_equal(read_into(c, B, &cut), -EINVAL);
		free(cut.at);
	}
	assert_int_equal(orphans(c, B), 0);
	snapshot.at = realloc(snapshot.at, snapshot.length + 1);
	snapshot.at[snapshot.length++] = 0;
	assert_int_equal(read_into(c, B, &snapshot), -EINVAL);
	finish(c, &snapshot);
}

/* Timeouts are outside the digest, and what only describes the owner has no sum: those bytes may differ. */
static void damaged_records_are_found(void **state)
{
	struct cluster *c = start();
	struct bytes snapshot = write_of(c, B);
	size_t first = SNAPSHOT_HEADER_SIZE + SNAPSHOT_TABLE_SIZE, found = 0, tried = 0;

	(void)state;
	cluster_restart(c, B);
	for (size_t at = first; at < snapshot.length; at++) {
		size_t in_record = (at - first) % record_length(snapshot.at + first);

		if (in_record >= 1 && in_record <= 4)
			continue;
		snapshot.at[at] ^= 0x10;
		tried++;
		found += read_into(c, B, &snapshot) == -EINVAL;
		snapshot.at[at] ^= 0x10;
	}
	assert_true(tried > 1000);
	assert_int_equal(found, tried);
	assert_int_equal(orphans(c, B), 0);
	finish(c, &snapshot);
}

static void another_format_node_boot_or_time_is_refused(void **state)
{
	static const struct {
		size_t at;
		int error;
	} bytes[] = {{0, -EINVAL}, {9, -EPROTONOSUPPORT}, {11, -ESTALE}, {12, -ESTALE}, {36, -ESTALE}};
	struct cluster *c = start();
	struct bytes snapshot = write_of(c, B);

	(void)state;
	cluster_restart(c, B);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		snapshot.at[bytes[i].at] ^= 0x40;
		assert_int_equal(read_into(c, B, &snapshot), bytes[i].error);
		snapshot.at[bytes[i].at] ^= 0x40;
	}
	c->nodes[B].config.max_flows = FLOWS - 1;
	cluster_restart(c, B);
	assert_int_equal(read_into(c, B, &snapshot), -ENOSPC);
	assert_int_equal(orphans(c, B), 0);
	finish(c, &snapshot);
}

static void a_sink_that_fails_ends_the_writing(void **state)
{
	struct cluster *c = start();
	struct snapshot_report report;
	struct bytes none = {0};

	(void)state;
	assert_int_equal(snapshot_write(c->nodes[B].node, cluster_clock(c, B), refuse, NULL, &report),
			 -ENOSPC);
	finish(c, &none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_dead_node_left_is_taken_over_after_a_restart),
	    cmocka_unit_test(a_restart_after_a_restart_loses_nothing_either),
	    cmocka_unit_test(what_a_live_owner_sends_again_takes_its_place),
	    cmocka_unit_test(an_owner_that_has_rebooted_leaves_its_flows_to_us),
	    cmocka_unit_test(a_primary_leaves_out_what_it_has_committed),
	    cmocka_unit_test(a_snapshot_that_is_cut_short_changes_nothing),
	    cmocka_unit_test(damaged_records_are_found),
	    cmocka_unit_test(another_format_node_boot_or_time_is_refused),
	    cmocka_unit_test(a_sink_that_fails_ends_the_writing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
