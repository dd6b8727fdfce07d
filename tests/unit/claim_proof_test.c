/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is dropped or withdrawn for a claim is in the claimant's table as it is held here, not just announced.
 */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, C, SECOND_US = 1000000, STATUS_BYTES = 450 };

static struct cluster *trio(void)
{
	struct cluster *c = cluster_new(3, 5);

	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, 200);
	cluster_run_us(c, SECOND_US);
	return c;
}

/* Heartbeats come, and what B's table gets is lost. */
static bool only_statuses_of_b(void *context, struct cluster_packet *packet)
{
	(void)context;
	return packet->from != B || packet->length < STATUS_BYTES;
}

/* B's last proof at C is of before its takeover, and counts for two heartbeats. */
static void a_copy_is_kept_until_what_was_taken_over_has_come_from_the_claimant(void **state)
{
	struct cluster *c = trio();

	(void)state;
	cluster_stop(c, A);
	cluster_run_us(c, 2 * SECOND_US);
	c->tamper = only_statuses_of_b;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3 * SECOND_US);
	assert_int_equal(cluster_peer_view(c, C, B).role, FRAME_ROLE_PRIMARY);
	assert_int_equal(cluster_held(c, C, A), 200);
	c->tamper = NULL;
	cluster_run_us(c, 3 * SECOND_US);
	assert_int_equal(cluster_held(c, C, B), 200);
	assert_int_equal(cluster_held(c, C, A), 0);
	cluster_free(c);
}

static void nor_does_its_owner_withdraw_before(void **state)
{
	struct cluster *c = trio();

	(void)state;
	c->tamper = only_statuses_of_b;
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_role(c, A, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 3 * SECOND_US);
	assert_string_equal(cluster_view(c, A).handover, "frozen");
	assert_int_equal(cluster_kernel_count(c, A), 200);
	c->tamper = NULL;
	cluster_run_us(c, 3 * SECOND_US);
	assert_int_equal(cluster_kernel_count(c, A), 0);
	assert_int_equal(cluster_held(c, A, B), 200);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_copy_is_kept_until_what_was_taken_over_has_come_from_the_claimant),
	    cmocka_unit_test(nor_does_its_owner_withdraw_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
