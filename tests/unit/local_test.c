/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/local.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cluster.h"

enum { LIMIT = 2000 };

struct bench {
	struct local local;
	struct flow asked[LOCAL_ASKED_MAX + 1];
	unsigned asked_count;
};

static void note_get(void *context, const struct flow *key)
{
	struct bench *b = context;

	assert_in_range(b->asked_count, 0, LOCAL_ASKED_MAX - 1);
	b->asked[b->asked_count++] = *key;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	local_init(&b->local, table_create(LIMIT, 1000, 1), 2, note_get, b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	local_destroy(&b->local);
	free(b);
	return 0;
}

static struct flow flow_with(uint32_t i, uint32_t id, uint32_t mark)
{
	struct flow f = cluster_flow(i);

	f.present |= FLOW_HAS_ID;
	f.id = id;
	f.mark = mark;
	return f;
}

static const struct table_entry *known(const struct bench *b, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	const struct table_entry *entry =
	    table_find(b->local.table, (struct record_key){key, record_encode_key(flow, key)});

	return entry && !(entry->flags & TABLE_ENTRY_TOMBSTONE) ? entry : NULL;
}

static uint32_t mark_of(const struct bench *b, const struct flow *flow)
{
	struct flow f;

	assert_non_null(known(b, flow));
	record_decode(known(b, flow)->bytes, &f);
	return f.mark;
}

static void finish_pass(struct bench *b)
{
	local_audit_end(&b->local, true);
	while (local_sweep_is_due(&b->local))
		local_sweep(&b->local);
}

static void first_pass(struct bench *b, const struct flow *rows, unsigned count)
{
	local_audit_begin(&b->local);
	for (unsigned i = 0; i < count; i++)
		local_audit_row(&b->local, &rows[i]);
	finish_pass(b);
	assert_true(b->local.complete);
	assert_int_equal(b->asked_count, 0);
}

static void a_row_older_than_an_event_does_not_override_it(void **state)
{
	struct bench *b = *state;
	struct flow old = flow_with(1, 10, 1), new = flow_with(1, 10, 2);

	local_audit_begin(&b->local);
	local_flow_new(&b->local, &new);
	local_audit_row(&b->local, &old);
	assert_int_equal(mark_of(b, &new), 2);
}

static void a_row_of_a_flow_that_ended_during_the_pass_does_not_bring_it_back(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	local_audit_begin(&b->local);
	local_flow_destroyed(&b->local, &f);
	local_audit_row(&b->local, &f);
	assert_null(known(b, &f));
	finish_pass(b);
	assert_true(b->local.complete);
	assert_null(known(b, &f));
}

static void a_lost_destroy_is_found_by_the_next_pass_and_confirmed(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	first_pass(b, &f, 1);
	local_audit_begin(&b->local);
	finish_pass(b);
	assert_int_equal(b->asked_count, 1);
	assert_non_null(known(b, &f));
	assert_false(local_sweep_is_due(&b->local)); /* nothing to do until the answer is here */
	local_get_reply(&b->local, &f, false);
	assert_null(known(b, &f));
	assert_int_equal(b->local.corrections, 1);
	assert_true(local_sweep_is_due(&b->local));
	local_sweep(&b->local);
	assert_false(b->local.sweeps);
}

static void a_flow_that_a_pass_missed_stays_if_the_kernel_has_it(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	first_pass(b, &f, 1);
	local_audit_begin(&b->local);
	finish_pass(b);
	local_get_reply(&b->local, &f, true);
	local_sweep(&b->local);
	assert_non_null(known(b, &f));
	assert_int_equal(b->local.corrections, 0);
}

static void a_late_destroy_does_not_kill_the_new_flow(void **state)
{
	struct bench *b = *state;
	struct flow old = flow_with(1, 10, 1), new = flow_with(1, 11, 1);

	local_flow_new(&b->local, &old);
	local_flow_new(&b->local, &new);
	assert_int_equal(known(b, &new)->incarnation, 1);
	local_flow_destroyed(&b->local, &old);
	assert_non_null(known(b, &new));
	assert_int_equal(b->asked_count, 1); /* the kernel decides */
	local_get_reply(&b->local, &new, true);
	assert_non_null(known(b, &new));
	local_flow_destroyed(&b->local, &new);
	assert_null(known(b, &new));
}

static void a_reused_id_after_a_destroy_is_another_incarnation(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	local_flow_new(&b->local, &f);
	((struct table_entry *)(uintptr_t)known(b, &f))->flags |= TABLE_ENTRY_EXPOSED;
	local_flow_destroyed(&b->local, &f);
	local_flow_new(&b->local, &f);
	assert_int_equal(known(b, &f)->incarnation, 1);
}

static void a_row_and_its_event_are_one_incarnation(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	first_pass(b, &f, 1);
	local_flow_new(&b->local, &f); /* it was in the socket while the dump ran */
	assert_int_equal(known(b, &f)->incarnation, 0);
	assert_int_equal(table_newest(b->local.table), 1);
}

static void an_update_of_an_unknown_flow_asks_for_the_whole(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	local_flow_update(&b->local, &f);
	assert_null(known(b, &f));
	assert_int_equal(b->asked_count, 1);
	local_get_reply(&b->local, &f, true);
	assert_non_null(known(b, &f));
}

static void an_interrupted_dump_proves_nothing(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	local_audit_begin(&b->local);
	local_audit_row(&b->local, &f);
	local_audit_end(&b->local, false);
	assert_false(b->local.complete);
	assert_false(b->local.sweeps);
	assert_non_null(known(b, &f));
}

static void an_overrun_during_a_pass_taints_it(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	first_pass(b, &f, 1);
	local_audit_begin(&b->local);
	local_overrun(&b->local, true);
	finish_pass(b);
	assert_true(b->local.suspect);
	assert_int_equal(b->asked_count, 0);
	first_pass(b, &f, 1);
	assert_false(b->local.suspect);
}

static void only_a_pass_that_began_after_the_end_of_an_overrun_proves_anything(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1), lost = flow_with(2, 11, 1);

	first_pass(b, &f, 1);
	local_overrun(&b->local, false);
	first_pass(b, &f, 1); /* whole before the end */
	assert_true(b->local.suspect);
	local_audit_begin(&b->local); /* begun before the end */
	local_audit_row(&b->local, &f);
	local_overrun(&b->local, true);
	finish_pass(b);
	assert_true(b->local.suspect);
	local_audit_begin(&b->local);
	local_audit_row(&b->local, &f);
	local_audit_row(&b->local, &lost);
	finish_pass(b);
	assert_false(b->local.suspect);
	assert_non_null(known(b, &lost));
	assert_int_equal(b->local.overruns, 1);
}

static void what_is_not_heard_is_suspect_until_a_pass_that_began_after_it_is_heard_again(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1), unheard = flow_with(2, 11, 1);

	first_pass(b, &f, 1);
	local_set_deaf(&b->local, true);
	assert_true(b->local.suspect);
	first_pass(b, &f, 1);
	assert_true(b->local.suspect);
	local_audit_begin(&b->local);
	local_audit_row(&b->local, &f);
	local_set_deaf(&b->local, false);
	finish_pass(b);
	assert_true(b->local.suspect);
	local_audit_begin(&b->local);
	local_audit_row(&b->local, &f);
	local_audit_row(&b->local, &unheard);
	finish_pass(b);
	assert_false(b->local.suspect);
	assert_non_null(known(b, &unheard));
	assert_int_equal(b->local.overruns, 0);
}

static void an_overrun_while_the_end_is_confirmed_keeps_it_suspect(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	first_pass(b, &f, 1);
	local_audit_begin(&b->local);
	finish_pass(b);
	local_overrun(&b->local, true);
	local_get_reply(&b->local, &f, true);
	local_sweep(&b->local);
	assert_true(b->local.suspect);
}

static void a_flush_during_a_pass_makes_the_next_the_first(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	first_pass(b, &f, 1);
	local_audit_begin(&b->local);
	local_audit_row(&b->local, &f);
	local_flush(&b->local);
	finish_pass(b);
	assert_false(b->local.complete);
	first_pass(b, &f, 1);
	assert_non_null(known(b, &f));
}

static void flows_beyond_the_limit_are_counted_and_named_until_a_pass_fits(void **state)
{
	struct bench *b = *state;
	struct flow f;

	local_audit_begin(&b->local);
	for (uint32_t i = 0; i < LIMIT + 5; i++) {
		f = flow_with(i, i + 1, 0);
		local_audit_row(&b->local, &f);
	}
	finish_pass(b);
	assert_true(b->local.complete);
	assert_true(b->local.refused);
	assert_int_equal(b->local.flows_refused, 5);
	for (uint32_t i = 0; i < 10; i++) {
		f = flow_with(i, i + 1, 0);
		local_flow_destroyed(&b->local, &f);
	}
	local_audit_begin(&b->local);
	for (uint32_t i = 10; i < LIMIT + 5; i++) {
		f = flow_with(i, i + 1, 0);
		local_audit_row(&b->local, &f);
	}
	while (b->asked_count) /* in steady times an addition is confirmed first */
		local_get_reply(&b->local, &b->asked[--b->asked_count], true);
	finish_pass(b);
	assert_false(b->local.refused);
	assert_int_equal(table_count(b->local.table), LIMIT - 5);
}

static void more_than_can_be_asked_about_waits_its_turn(void **state)
{
	struct bench *b = *state;
	unsigned gone = 0;

	local_audit_begin(&b->local);
	for (uint32_t i = 0; i < LIMIT; i++) {
		struct flow f = flow_with(i, i + 1, 0);

		local_audit_row(&b->local, &f);
	}
	finish_pass(b);
	local_audit_begin(&b->local);
	finish_pass(b);
	while (b->local.sweeps) {
		assert_in_range(b->asked_count, 1, LOCAL_ASKED_MAX);
		while (b->asked_count) {
			local_get_reply(&b->local, &b->asked[--b->asked_count], false);
			gone++;
		}
		while (local_sweep_is_due(&b->local))
			local_sweep(&b->local);
	}
	assert_int_equal(gone, LIMIT);
	assert_int_equal(table_count(b->local.table), 0);
}

static void a_pass_that_finds_more_than_can_be_asked_about_takes_them_all(void **state)
{
	struct bench *b = *state;

	first_pass(b, NULL, 0);
	local_audit_begin(&b->local);
	for (uint32_t i = 0; i < LIMIT; i++) {
		struct flow f = flow_with(i, i + 1, 0);

		local_audit_row(&b->local, &f);
	}
	assert_int_equal(b->asked_count, LOCAL_ASKED_MAX);
	while (b->asked_count)
		local_get_reply(&b->local, &b->asked[--b->asked_count], true);
	finish_pass(b);
	assert_int_equal(table_count(b->local.table), LIMIT);
	assert_int_equal(b->local.corrections, LIMIT);
}

static void a_pass_after_an_overrun_that_could_not_ask_for_all_is_not_clean(void **state)
{
	struct bench *b = *state;

	first_pass(b, NULL, 0);
	local_overrun(&b->local, true);
	local_audit_begin(&b->local);
	b->local.noted.overflowed = true; /* so many were destroyed meanwhile: each row must be confirmed */
	for (uint32_t i = 0; i < LOCAL_ASKED_MAX + 1; i++) {
		struct flow f = flow_with(i, i + 1, 0);

		local_audit_row(&b->local, &f);
	}
	while (b->asked_count)
		local_get_reply(&b->local, &b->asked[--b->asked_count], true);
	finish_pass(b);
	assert_true(b->local.suspect);
}

static void what_we_committed_is_ours_at_once(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	f.incarnation = 9; /* the owner's count, not ours */
	local_flow_committed(&b->local, &f);
	assert_int_equal(known(b, &f)->incarnation, 0);
	assert_int_equal(table_newest(b->local.table), 1);
}

/* What we create is known before the events that wait in the socket, and ids repeat. */
static void a_late_destroy_of_the_same_id_does_not_kill_what_we_committed(void **state)
{
	struct bench *b = *state;
	struct flow old = flow_with(1, 10, 1), ours = flow_with(1, 10, 2), created = cluster_flow(1);

	local_flow_new(&b->local, &old);
	local_flow_committed(&b->local, &created); /* the kernel does not tell its id */
	local_flow_destroyed(&b->local, &old);
	assert_non_null(known(b, &ours));
	assert_int_equal(b->asked_count, 1);
	local_get_reply(&b->local, &ours, true);
	assert_int_equal(mark_of(b, &ours), 2);
	local_flow_destroyed(&b->local, &ours);
	assert_non_null(known(b, &ours));
	local_get_reply(&b->local, &ours, false);
	assert_null(known(b, &ours));
}

static void what_we_committed_ends_by_an_event_which_is_no_correction(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	first_pass(b, NULL, 0);
	local_flow_committed(&b->local, &f);
	local_flow_destroyed(&b->local, &f);
	local_get_reply(&b->local, &f, false);
	assert_null(known(b, &f));
	assert_int_equal(b->local.corrections, 0);
}

static void a_new_one_under_its_key_puts_the_destroy_in_order(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	local_flow_committed(&b->local, &f);
	local_flow_new(&b->local, &f);
	local_flow_destroyed(&b->local, &f);
	assert_null(known(b, &f));
	assert_int_equal(b->asked_count, 0);
}

/* The flow before had both under way when ours took its place. */
static void an_update_and_a_destroy_that_are_late_do_not_kill_what_we_committed(void **state)
{
	struct bench *b = *state;
	struct flow old = flow_with(1, 10, 1), ours = flow_with(1, 10, 2), created = cluster_flow(1);

	local_flow_new(&b->local, &old);
	created.mark = 2;
	local_flow_committed(&b->local, &created);
	local_flow_update(&b->local, &old);
	local_flow_destroyed(&b->local, &old);
	assert_non_null(known(b, &ours));
	local_get_reply(&b->local, &b->asked[0], false); /* had it gone, that would be so */
	assert_null(known(b, &ours));
	local_flow_committed(&b->local, &created);
	local_flow_update(&b->local, &old);
	local_flow_destroyed(&b->local, &old);
	local_get_reply(&b->local, &ours, true);
	assert_int_equal(mark_of(b, &ours), 2);
}

static void more_ends_than_can_be_asked_about_are_believed(void **state)
{
	struct bench *b = *state;

	for (uint32_t i = 0; i < LOCAL_ASKED_MAX + 10; i++) {
		struct flow f = flow_with(i, i + 1, 0);

		local_flow_committed(&b->local, &f);
	}
	for (uint32_t i = 0; i < LOCAL_ASKED_MAX + 10; i++) {
		struct flow f = flow_with(i, i + 1, 0);

		local_flow_destroyed(&b->local, &f);
	}
	assert_int_equal(b->asked_count, LOCAL_ASKED_MAX);
	assert_int_equal(table_count(b->local.table), LOCAL_ASKED_MAX);
	while (b->asked_count)
		local_get_reply(&b->local, &b->asked[--b->asked_count], false);
	assert_int_equal(table_count(b->local.table), 0);
}

static void passes_without_a_pause_let_a_table_become_complete(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1);

	for (unsigned pass = 0; pass < 3; pass++) {
		local_audit_begin(&b->local);
		local_audit_row(&b->local, &f);
		local_audit_end(&b->local, true);
		local_audit_begin(&b->local); /* the next, before time was found for the sweep */
		local_sweep(&b->local);
		local_audit_row(&b->local, &f);
		local_audit_end(&b->local, true);
	}
	assert_true(b->local.complete);
}

static void a_sweep_that_is_never_answered_gives_way_to_a_pass(void **state)
{
	struct bench *b = *state;
	struct flow f = flow_with(1, 10, 1), gone = flow_with(2, 11, 1), rows[] = {f, gone};

	first_pass(b, rows, 2);
	local_audit_begin(&b->local);
	local_audit_row(&b->local, &f);
	local_audit_end(&b->local, true);
	local_sweep(&b->local); /* asks for the other, and hears nothing */
	assert_int_equal(b->asked_count, 1);
	local_audit_begin(&b->local);
	assert_false(b->local.pass_runs);
	local_audit_begin(&b->local);
	assert_true(b->local.pass_runs);
}

int main(void)
{
#define promise(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    promise(a_row_older_than_an_event_does_not_override_it),
	    promise(a_row_of_a_flow_that_ended_during_the_pass_does_not_bring_it_back),
	    promise(a_lost_destroy_is_found_by_the_next_pass_and_confirmed),
	    promise(a_flow_that_a_pass_missed_stays_if_the_kernel_has_it),
	    promise(a_late_destroy_does_not_kill_the_new_flow),
	    promise(a_reused_id_after_a_destroy_is_another_incarnation),
	    promise(a_row_and_its_event_are_one_incarnation),
	    promise(an_update_of_an_unknown_flow_asks_for_the_whole),
	    promise(an_interrupted_dump_proves_nothing),
	    promise(an_overrun_during_a_pass_taints_it),
	    promise(only_a_pass_that_began_after_the_end_of_an_overrun_proves_anything),
	    promise(what_is_not_heard_is_suspect_until_a_pass_that_began_after_it_is_heard_again),
	    promise(an_overrun_while_the_end_is_confirmed_keeps_it_suspect),
	    promise(a_flush_during_a_pass_makes_the_next_the_first),
	    promise(flows_beyond_the_limit_are_counted_and_named_until_a_pass_fits),
	    promise(more_than_can_be_asked_about_waits_its_turn),
	    promise(a_pass_that_finds_more_than_can_be_asked_about_takes_them_all),
	    promise(a_pass_after_an_overrun_that_could_not_ask_for_all_is_not_clean),
	    promise(what_we_committed_is_ours_at_once),
	    promise(a_late_destroy_of_the_same_id_does_not_kill_what_we_committed),
	    promise(what_we_committed_ends_by_an_event_which_is_no_correction),
	    promise(a_new_one_under_its_key_puts_the_destroy_in_order),
	    promise(an_update_and_a_destroy_that_are_late_do_not_kill_what_we_committed),
	    promise(more_ends_than_can_be_asked_about_are_believed),
	    cmocka_unit_test_setup_teardown(passes_without_a_pause_let_a_table_become_complete, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_sweep_that_is_never_answered_gives_way_to_a_pass, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
