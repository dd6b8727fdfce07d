/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct handover_heir good = {.alive = true,
					  .primary = true,
					  .complete = true,
					  .outranks_us = true,
					  .term = 2,
					  .holds_in_sync = true,
					  .follows = true,
					  .knows = true,
					  .claims = true,
					  .claimed = 100,
					  .applied = 100};

static struct handover frozen_at(uint64_t version)
{
	struct handover h = {0};

	assert_true(handover_role(&h, FRAME_ROLE_BACKUP, true, true, version));
	return h;
}

static void giving_the_role_away_freezes_at_the_newest_version(void **state)
{
	struct handover h = frozen_at(100);

	(void)state;
	assert_true(handover_is_frozen(&h));
	assert_int_equal(h.v_end, 100);
	assert_false(handover_role(&h, FRAME_ROLE_FAULT, false, true, 200)); /* once is enough */
	assert_int_equal(h.v_end, 100);
}

static void a_node_that_was_never_primary_does_not_freeze(void **state)
{
	struct handover h = {0};

	(void)state;
	assert_false(handover_role(&h, FRAME_ROLE_BACKUP, false, true, 100));
	assert_false(handover_completed(&h, FRAME_ROLE_BACKUP, 100));
	assert_false(handover_is_frozen(&h));
}

static void a_table_that_is_not_complete_freezes_when_it_is(void **state)
{
	struct handover h = {.leftovers = true};

	(void)state;
	assert_false(handover_role(&h, FRAME_ROLE_BACKUP, false, false, 7));
	assert_false(handover_completed(&h, FRAME_ROLE_INIT, 7)); /* init: no deletion */
	assert_true(handover_completed(&h, FRAME_ROLE_BACKUP, 50));
	assert_int_equal(h.v_end, 50);
}

static void taking_the_role_again_ends_it(void **state)
{
	struct handover h = frozen_at(100);

	(void)state;
	assert_false(handover_role(&h, FRAME_ROLE_PRIMARY, false, true, 100));
	assert_false(handover_is_frozen(&h));
	assert_false(h.leftovers);
}

static void leftovers_go_only_when_every_condition_holds(void **state)
{
	struct handover h = frozen_at(100);
	struct handover_heir heirs[12];

	(void)state;
	for (unsigned i = 0; i < 12; i++)
		heirs[i] = good;
	heirs[1].alive = false;
	heirs[2].primary = false;
	heirs[3].complete = false;
	heirs[4].suspect = true;
	heirs[5].outranks_us = false;
	heirs[6].holds_in_sync = false;
	heirs[7].follows = false;
	heirs[8].applied = 99;
	heirs[9].claims = false;
	heirs[10].claimed = 99;
	heirs[11].knows = false;
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(handover_may_withdraw(&h, &heirs[i]), i == 0);
	handover_withdraw(&h);
	assert_true(handover_is_frozen(&h));
	assert_false(handover_may_withdraw(&h, &good)); /* under way already */
	handover_end(&h);
	assert_false(handover_is_frozen(&h));
	assert_false(h.leftovers);
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(handover_state_name(HANDOVER_NONE), "none");
	assert_string_equal(handover_state_name(HANDOVER_FROZEN), "frozen");
	assert_string_equal(handover_state_name(HANDOVER_WITHDRAWING), "withdrawing");
	assert_string_equal(handover_state_name((enum handover_state)9), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(giving_the_role_away_freezes_at_the_newest_version),
	    cmocka_unit_test(a_node_that_was_never_primary_does_not_freeze),
	    cmocka_unit_test(a_table_that_is_not_complete_freezes_when_it_is),
	    cmocka_unit_test(taking_the_role_again_ends_it),
	    cmocka_unit_test(leftovers_go_only_when_every_condition_holds),
	    cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
