/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "conf/config.h"

/* The least that is valid. */
#define VALID "[node]\nid = 1\n[sync]\nkey-file = /k\n[link a]\ngroup = 239.1.2.3\n"

static struct config config;

/* Loads text that must be right. */
static const struct config *loaded(const char *text)
{
	struct config_errors errors;

	if (config_load_memory(text, strlen(text), "test", &config, &errors) != 0) {
		config_errors_print(&errors, stderr);
		fail_msg("refused: %s", text);
	}
	return &config;
}

/* Loads a valid file with one section more. */
static const struct config *loaded_with(const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s\n", VALID, more);
	return loaded(text);
}

static void note_change(void *context, const struct config_change *change)
{
	char *list = context;
	size_t used = strlen(list);

	snprintf(list + used, 2048 - used, "%s%s%s%s ", change->section, change->key != NULL ? "." : "",
		 change->key != NULL ? change->key : "", change->is_reloadable ? "" : "!");
}

static void equal_configurations_have_no_differences(void **state)
{
	char changes[2048] = "";
	struct config first = *loaded(VALID);

	(void)state;
	loaded("# other text, same meaning\n" VALID "port = 9788\n[log]\nlevel = info\n");
	assert_int_equal(config_diff(&first, &config, note_change, changes), 0);
	assert_string_equal(changes, "");
}

static void links_in_another_order_are_no_difference(void **state)
{
	char changes[2048] = "";
	struct config first = *loaded(VALID "[link b]\ngroup = 239.1.2.4\n");

	(void)state;
	loaded("[link b]\ngroup = 239.1.2.4\n" VALID);
	assert_int_equal(config_diff(&first, &config, note_change, changes), 0);
}

static const char *const everything_changed =
    "[node]\nid = 2\nmode = active-active\n[sync]\nkey-file = /k2\naccept-key-file = /k\n"
    "cipher = chacha20-poly1305\nheartbeat = 100ms\npeer-timeout = 2s\n"
    "[link a]\ngroup = 239.1.2.4\nport = 1\naddress = 192.0.2.1\nmtu = 1400\n"
    "send-buffer = 1M\nreceive-buffer = 1M\n[link new]\npeer = 192.0.2.2\n"
    "[kernel]\nevent-buffer = 1M\nevent-buffer-max = 2M\naudit-interval = 5s\n[table]\nmax-flows = 9\n"
    "[filter]\nignore-local = no\n[commit]\ntimeout = 5\n[fence]\ntimeout = 2s\nmax-wait = 2s\n"
    "address = 192.0.2.9\naccept-interface = e\n[control]\nsocket = /s\ngroup = g\nreader-group = r\n"
    "[process]\nscheduler = rr:1\nuser = u\nsandbox = no\n[log]\nlevel = debug\ntarget = syslog\n";

static void every_change_is_named_and_known_as_reloadable_or_not(void **state)
{
	char changes[2048] = "";
	struct config before = *loaded(VALID "[link old]\ngroup = 239.1.2.5\n");

	(void)state;
	loaded(everything_changed);
	assert_int_equal(config_diff(&before, &config, note_change, changes), 33);
	assert_string_equal(changes,
			    "node.id! node.mode! sync.key-file sync.accept-key-file sync.cipher! "
			    "sync.heartbeat sync.peer-timeout link a.group! link a.port! link a.address! "
			    "link a.mtu! link a.send-buffer! link a.receive-buffer! link old! link new! "
			    "kernel.event-buffer! kernel.event-buffer-max! kernel.audit-interval "
			    "table.max-flows filter.ignore-local commit.timeout fence.timeout "
			    "fence.max-wait fence.address fence.accept-interface control.socket! "
			    "control.group! control.reader-group! process.scheduler! process.user! "
			    "process.sandbox! log.level log.target ");
}

static void turning_the_fence_on_needs_a_restart(void **state)
{
	char changes[2048] = "";
	struct config before = *loaded(VALID);

	(void)state;
	loaded_with("[fence]\nenable = yes");
	assert_int_equal(config_diff(&before, &config, note_change, changes), 1);
	assert_string_equal(changes, "fence.enable! ");
	config_merge_reload(&before, &config);
	assert_false(before.fence.enable);
}

static void a_list_that_shrinks_or_changes_in_place_is_a_difference(void **state)
{
	char changes[2048] = "";
	struct config before = *loaded_with("[fence]\naddress = 192.0.2.1\naddress = 192.0.2.2\n"
					    "accept-interface = a\naccept-interface = b");

	(void)state;
	loaded_with("[fence]\naddress = 192.0.2.1\naccept-interface = a\naccept-interface = c");
	assert_int_equal(config_diff(&before, &config, note_change, changes), 2);
	assert_string_equal(changes, "fence.address fence.accept-interface ");
	config_merge_reload(&before, &config);
	assert_memory_equal(&before, &config, sizeof(before));
}

static void a_reload_takes_what_it_may_and_keeps_the_rest(void **state)
{
	char changes[2048] = "";
	struct config running = *loaded(VALID), before = running;

	(void)state;
	loaded(everything_changed);
	config_merge_reload(&running, &config);
	config_diff(&before, &running, note_change, changes);
	assert_string_equal(changes,
			    "sync.key-file sync.accept-key-file sync.heartbeat sync.peer-timeout "
			    "kernel.audit-interval table.max-flows filter.ignore-local commit.timeout "
			    "fence.timeout fence.max-wait fence.address fence.accept-interface log.level "
			    "log.target ");
	assert_string_equal(running.sync.key_file, "/k2");
	assert_int_equal(running.sync.heartbeat_us, 100000);
	assert_int_equal(running.fence.address_count, 1);
	assert_int_equal(running.node.id, 1);
	assert_int_equal(running.link_count, 1);
	assert_int_equal(running.links[0].port, 9788);
	/* what is left needs a restart, all of it */
	changes[0] = '\0';
	config_diff(&running, &config, note_change, changes);
	for (char *end = strchr(changes, '!'), *at = changes; *at != '\0';
	     at = end + 2, end = strchr(at, '!'))
		assert_true(end != NULL && end[1] == ' ');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_configurations_have_no_differences),
	    cmocka_unit_test(links_in_another_order_are_no_difference),
	    cmocka_unit_test(every_change_is_named_and_known_as_reloadable_or_not),
	    cmocka_unit_test(turning_the_fence_on_needs_a_restart),
	    cmocka_unit_test(a_list_that_shrinks_or_changes_in_place_is_a_difference),
	    cmocka_unit_test(a_reload_takes_what_it_may_and_keeps_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
