/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/guard.h"
#include "syncd/kernel/address_set.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A fence that only notes what it is told. */
struct world {
	struct config config;
	struct guard guard;
	struct address_set *addresses;
	struct log *log;
	struct monotime now;
	bool is_closed, passes_known;
	int pass_known_error, close_error, refresh_error, check_result;
	unsigned asked_who_waits, closes, opens, refreshes, checks, sets, errors_logged;
	char last_log[700];
};

static int do_close(void *context)
{
	struct world *world = context;
	world->closes++;
	world->is_closed = world->close_error == 0;
	world->passes_known = false;
	return world->close_error;
}

static int do_refresh(void *context)
{
	struct world *world = context;
	world->refreshes++;
	return world->refresh_error;
}

static int do_pass_known(void *context)
{
	struct world *world = context;
	world->passes_known = world->pass_known_error == 0;
	return world->pass_known_error;
}

static int do_take_waiting(void *context, fence_waits *told, void *told_context)
{
	struct world *world = context;
	const struct fence_waiting waiting = {.protocol = PROTOCOL_TCP};
	world->asked_who_waits++;
	told(told_context, &waiting);
	return 0;
}

static int do_open(void *context)
{
	struct world *world = context;
	world->opens++;
	world->is_closed = false;
	return 0;
}

static int do_set_own(void *context)
{
	struct world *world = context;
	world->sets++;
	return 0;
}

static int do_check(void *context)
{
	struct world *world = context;
	world->checks++;
	return world->check_result;
}

/* Interface 7 is a sync link. */
static bool do_passes(void *context, uint32_t ifindex)
{
	(void)context;
	return ifindex == 7;
}

static struct monotime no_time(void)
{
	return monotime_from_us(0);
}

static void keep_log(void *context, int level, const char *id, const char *text)
{
	struct world *world = context;
	(void)text;
	if (level == LOG_ERR)
		world->errors_logged++;
	strncpy(world->last_log, id, sizeof(world->last_log) - 1);
}

static void start_guard(struct world *world)
{
	struct guard_driver driver = {.context = world,
				      .close = do_close,
				      .refresh = do_refresh,
				      .pass_known = do_pass_known,
				      .take_waiting = do_take_waiting,
				      .open = do_open,
				      .set_own = do_set_own,
				      .check = do_check,
				      .passes = do_passes};
	guard_start(&world->guard, &world->config, world->addresses, &driver, world->log);
}

static int make_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct config_log_target target = {.destination = CONFIG_LOG_STDERR};
	config_set_defaults(&world->config);
	world->config.fence.enable = true;
	world->addresses = address_set_new();
	world->log = log_open(LOG_DEBUG, target, no_time);
	log_set_output(world->log, keep_log, world);
	world->now = monotime_from_s(100);
	start_guard(world);
	*state = world;
	return 0;
}

static int end_world(void **state)
{
	struct world *world = *state;
	log_close(world->log);
	address_set_free(world->addresses);
	free(world);
	return 0;
}

static struct address make_address(const char *text)
{
	struct address address;
	memset(&address, 0, sizeof(address));
	address.prefix.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	address.prefix.length = 24;
	address.ifindex = 2;
	inet_pton(address.prefix.family, text, address.prefix.bytes);
	memcpy(address.remote, address.prefix.bytes, 16);
	return address;
}

static void add_address(struct world *world, const char *text)
{
	struct address address = make_address(text);
	address_set_put(world->addresses, &address);
	guard_address_changed(&world->guard, ADDRESS_ADDED, &address, world->now);
}

static void remove_address(struct world *world, const char *text)
{
	struct address address = make_address(text);
	address_set_remove(world->addresses, &address);
	guard_address_changed(&world->guard, ADDRESS_REMOVED, &address, world->now);
}

static bool is_virtual(const struct world *world, const char *text)
{
	struct address address = make_address(text);
	return guard_is_virtual(&world->guard, address.prefix.family, address.prefix.bytes);
}

/* Lets time pass, calling the guard at each of its deadlines. */
static void pass(struct world *world, int64_t ms)
{
	struct monotime end = monotime_add(world->now, monotime_from_ms(ms));
	for (unsigned i = 0; i < 10000; i++) {
		struct monotime next = guard_deadline(&world->guard);
		if (monotime_is_before(end, next))
			break;
		world->now = monotime_max(world->now, next);
		guard_time(&world->guard, world->now);
	}
	world->now = end;
}

static void set_role(struct world *world, enum frame_role role)
{
	guard_set_role(&world->guard, role, world->now);
}

static void it_closes_for_backup_and_fault_and_opens_for_primary(void **state)
{
	struct world *world = *state;
	assert_false(world->is_closed);
	set_role(world, FRAME_ROLE_BACKUP);
	assert_true(world->is_closed);
	assert_true(guard_is_armed(&world->guard));
	set_role(world, FRAME_ROLE_FAULT);
	assert_true(world->is_closed);
	assert_int_equal(world->closes, 1);
	set_role(world, FRAME_ROLE_PRIMARY);
	assert_false(world->is_closed);
	set_role(world, FRAME_ROLE_INIT);
	assert_false(world->is_closed);
}

static void it_does_nothing_when_it_is_not_enabled_or_in_active_active_mode(void **state)
{
	struct world *world = *state;
	world->config.fence.enable = false;
	start_guard(world);
	set_role(world, FRAME_ROLE_BACKUP);
	assert_int_equal(world->closes, 0);
	world->config.fence.enable = true;
	world->config.node.mode = CONFIG_MODE_ACTIVE_ACTIVE;
	start_guard(world);
	set_role(world, FRAME_ROLE_BACKUP);
	assert_int_equal(world->closes, 0);
	assert_int_equal(world->guard.state, GUARD_DISABLED);
	assert_int_equal(guard_deadline(&world->guard).us, MONOTIME_NEVER.us);
}

static void it_is_refreshed_well_within_its_timeout_and_checked(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	pass(world, 30000);
	assert_in_range(world->refreshes, 29, 31); /* every timeout / 3 = 1 s */
	assert_in_range(world->checks, 29, 31);
}

static void it_opens_when_an_address_arrives_and_no_primary_follows(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	pass(world, 5000);
	add_address(world, "198.51.100.1");
	assert_true(is_virtual(world, "198.51.100.1"));
	pass(world, 9900);
	assert_true(world->is_closed);
	pass(world, 200);
	assert_false(world->is_closed);
	assert_int_equal(world->guard.state, GUARD_GAVE_UP);
	assert_int_equal(world->errors_logged, 1);
	assert_string_equal(world->last_log, "fence-gave-up");
	pass(world, 60000);
	assert_false(world->is_closed);
	remove_address(world, "198.51.100.1");
	assert_true(world->is_closed);
	assert_int_equal(world->guard.state, GUARD_CLOSED);
}

static void it_stays_closed_while_a_takeover_runs_however_long(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	add_address(world, "198.51.100.1");
	pass(world, 9000);
	guard_set_taking_over(&world->guard, true, world->now);
	pass(world, 60000);
	assert_true(world->is_closed);
	set_role(world, FRAME_ROLE_PRIMARY);
	guard_set_taking_over(&world->guard, false, world->now);
	assert_false(world->is_closed);
	assert_int_equal(world->errors_logged, 0);
}

static void count_waiting(void *context, const struct fence_waiting *waiting)
{
	*(unsigned *)context += waiting->protocol == PROTOCOL_TCP;
}

static void in_a_takeover_known_flows_may_pass_until_it_opens(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	unsigned told = 0;
	guard_pass_known(&world->guard);
	guard_take_waiting(&world->guard, count_waiting, &told);
	assert_false(world->passes_known); /* no takeover runs */
	guard_set_taking_over(&world->guard, true, world->now);
	guard_pass_known(&world->guard);
	assert_true(world->passes_known && world->is_closed && guard_is_armed(&world->guard));
	guard_take_waiting(&world->guard, count_waiting, &told);
	assert_int_equal(told, 1);
	pass(world, 60000);
	set_role(world, FRAME_ROLE_PRIMARY);
	guard_set_taking_over(&world->guard, false, world->now);
	assert_false(world->is_closed);
	assert_int_equal(world->closes, 1);
	guard_pass_known(&world->guard);
	guard_take_waiting(&world->guard, count_waiting, &told);
	assert_int_equal(world->opens, 1);
	assert_int_equal(world->asked_who_waits, 1);
}

static void after_a_takeover_that_failed_it_is_closed_to_all_again(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	guard_set_taking_over(&world->guard, true, world->now);
	guard_pass_known(&world->guard);
	guard_set_taking_over(&world->guard, false, world->now);
	assert_true(world->is_closed && !world->passes_known);
	assert_int_equal(world->closes, 2);
}

static void a_kernel_that_cannot_tell_known_flows_keeps_it_closed(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	guard_set_taking_over(&world->guard, true, world->now);
	world->pass_known_error = -EOPNOTSUPP;
	guard_pass_known(&world->guard);
	assert_true(world->is_closed && guard_is_armed(&world->guard));
	assert_string_equal(world->last_log, "fence-strict");
	assert_int_equal(world->errors_logged, 0);
}

static void after_a_takeover_that_failed_it_waits_anew(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	add_address(world, "198.51.100.1");
	pass(world, 9000);
	guard_set_taking_over(&world->guard, true, world->now);
	pass(world, 9000);
	guard_set_taking_over(&world->guard, false, world->now);
	pass(world, 9900);
	assert_true(world->is_closed);
	pass(world, 200);
	assert_int_equal(world->guard.state, GUARD_GAVE_UP);
}

static void what_was_here_before_is_not_virtual(void **state)
{
	struct world *world = *state;
	add_address(world, "192.0.2.1");
	set_role(world, FRAME_ROLE_BACKUP);
	assert_false(is_virtual(world, "192.0.2.1"));
	pass(world, 60000);
	assert_true(world->is_closed);
}

static void what_is_finite_or_made_by_the_kernel_is_not_virtual(void **state)
{
	struct world *world = *state;
	struct address address = make_address("192.0.2.77");
	set_role(world, FRAME_ROLE_BACKUP);
	address.is_finite = true;
	address_set_put(world->addresses, &address);
	guard_address_changed(&world->guard, ADDRESS_ADDED, &address, world->now);
	assert_false(is_virtual(world, "192.0.2.77"));
	assert_int_equal(world->sets, 1);
}

static void add_address_on(struct world *world, const char *text, uint32_t ifindex)
{
	struct address address = make_address(text);
	address.ifindex = ifindex;
	address_set_put(world->addresses, &address);
	guard_address_changed(&world->guard, ADDRESS_ADDED, &address, world->now);
}

static void what_another_interface_bears_already_is_not_virtual(void **state)
{
	struct world *world = *state;
	add_address(world, "192.0.2.1");
	set_role(world, FRAME_ROLE_BACKUP);
	add_address_on(world, "192.0.2.1", 3);
	assert_false(is_virtual(world, "192.0.2.1"));
	add_address(world, "198.51.100.1");
	add_address_on(world, "198.51.100.1", 3);
	assert_true(is_virtual(world, "198.51.100.1"));
}

static void the_first_address_of_a_late_sync_link_is_not_virtual_but_a_second_one_is(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	add_address_on(world, "fe80::7", 7); /* without a maker, by luck of an old kernel */
	add_address_on(world, "10.0.0.1", 7);
	add_address_on(world, "2001:db8::1", 7);
	assert_false(is_virtual(world, "fe80::7") || is_virtual(world, "10.0.0.1") ||
		     is_virtual(world, "2001:db8::1"));
	pass(world, 60000);
	assert_true(world->is_closed);
	add_address_on(world, "10.0.0.100", 7);
	add_address_on(world, "2001:db8::100", 7);
	assert_true(is_virtual(world, "10.0.0.100") && is_virtual(world, "2001:db8::100"));
}

static void an_address_that_left_and_came_back_while_primary_is_our_own(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	add_address(world, "198.51.100.1");
	set_role(world, FRAME_ROLE_PRIMARY);
	assert_true(is_virtual(world, "198.51.100.1"));
	remove_address(world, "198.51.100.1");
	add_address(world, "198.51.100.1");
	assert_false(is_virtual(world, "198.51.100.1"));
}

static void configured_addresses_are_virtual_and_none_is_learnt(void **state)
{
	struct world *world = *state;
	world->config.fence.address_count = 2;
	world->config.fence.address[0].address.family = AF_INET;
	inet_pton(AF_INET, "198.51.100.8", &world->config.fence.address[0].address.v4);
	world->config.fence.address[0].length = 29;
	world->config.fence.address[1].address.family = AF_INET6;
	inet_pton(AF_INET6, "2001:db8::", &world->config.fence.address[1].address.v6);
	world->config.fence.address[1].length = 64;
	start_guard(world);
	set_role(world, FRAME_ROLE_BACKUP);
	assert_false(guard_learns(&world->guard));
	assert_true(is_virtual(world, "198.51.100.15"));
	assert_false(is_virtual(world, "198.51.100.16"));
	assert_true(is_virtual(world, "2001:db8::1"));
	assert_false(is_virtual(world, "2001:db8:0:1::1"));
	add_address(world, "192.0.2.9");
	assert_false(is_virtual(world, "192.0.2.9"));
	add_address(world, "198.51.100.9");
	pass(world, 10100);
	assert_int_equal(world->guard.state, GUARD_GAVE_UP);
}

static void addresses_that_came_while_the_daemon_was_down_are_virtual(void **state)
{
	struct world *world = *state;
	struct state *saved = calloc(1, sizeof(*saved));
	struct address own = make_address("192.0.2.1"), vip = make_address("198.51.100.1");
	address_set_put(world->addresses, &own);
	address_set_put(world->addresses, &vip);
	saved->role = FRAME_ROLE_BACKUP;
	saved->has_addresses = true;
	saved->address_count = 1;
	saved->addresses[0].family = AF_INET;
	memcpy(saved->addresses[0].bytes, own.prefix.bytes, 16);
	guard_resume(&world->guard, saved, saved->role);
	set_role(world, FRAME_ROLE_BACKUP);
	assert_true(is_virtual(world, "198.51.100.1"));
	assert_false(is_virtual(world, "192.0.2.1"));
	pass(world, 10100);
	assert_int_equal(world->guard.state, GUARD_GAVE_UP);
	free(saved);
}

static void a_fence_that_cannot_be_closed_is_tried_again_every_second(void **state)
{
	struct world *world = *state;
	world->close_error = -EPERM;
	set_role(world, FRAME_ROLE_BACKUP);
	assert_int_equal(world->guard.state, GUARD_FAILED);
	assert_false(guard_is_armed(&world->guard));
	pass(world, 3500);
	assert_int_equal(world->closes, 4);
	world->close_error = 0;
	pass(world, 1000);
	assert_true(guard_is_armed(&world->guard));
}

static void a_check_that_fails_closes_it_anew_and_a_repair_is_counted(void **state)
{
	struct world *world = *state;
	set_role(world, FRAME_ROLE_BACKUP);
	world->check_result = 1;
	pass(world, 1000);
	assert_int_equal(world->guard.repaired_count, 1);
	world->check_result = -ENOENT;
	unsigned closes = world->closes;
	pass(world, 1000);
	assert_int_equal(world->closes, closes + 1);
}

static void own_addresses_leave_out_the_virtual_ones(void **state)
{
	struct world *world = *state;
	struct address_prefix own[4];
	add_address(world, "192.0.2.1");
	set_role(world, FRAME_ROLE_BACKUP);
	add_address(world, "198.51.100.1");
	assert_int_equal(guard_own(&world->guard, own, 4), 1);
	assert_int_equal(own[0].length, 32);
	assert_int_equal(guard_own(&world->guard, own, 0), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(it_closes_for_backup_and_fault_and_opens_for_primary),
	    TEST(it_does_nothing_when_it_is_not_enabled_or_in_active_active_mode),
	    TEST(it_is_refreshed_well_within_its_timeout_and_checked),
	    TEST(it_opens_when_an_address_arrives_and_no_primary_follows),
	    TEST(it_stays_closed_while_a_takeover_runs_however_long),
	    TEST(in_a_takeover_known_flows_may_pass_until_it_opens),
	    TEST(after_a_takeover_that_failed_it_is_closed_to_all_again),
	    TEST(a_kernel_that_cannot_tell_known_flows_keeps_it_closed),
	    TEST(after_a_takeover_that_failed_it_waits_anew),
	    TEST(what_was_here_before_is_not_virtual),
	    TEST(what_is_finite_or_made_by_the_kernel_is_not_virtual),
	    TEST(what_another_interface_bears_already_is_not_virtual),
	    TEST(the_first_address_of_a_late_sync_link_is_not_virtual_but_a_second_one_is),
	    TEST(an_address_that_left_and_came_back_while_primary_is_our_own),
	    TEST(configured_addresses_are_virtual_and_none_is_learnt),
	    TEST(addresses_that_came_while_the_daemon_was_down_are_virtual),
	    TEST(a_fence_that_cannot_be_closed_is_tried_again_every_second),
	    TEST(a_check_that_fails_closes_it_anew_and_a_repair_is_counted),
	    TEST(own_addresses_leave_out_the_virtual_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
