/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* the clock that the log asks takes no context, so the test's time is here */
static struct monotime test_now;

static struct monotime tell_time(void)
{
	return test_now;
}

struct lines {
	unsigned count;
	int level;
	char id[40], text[700];
};

static void keep(void *context, int level, const char *id, const char *text)
{
	struct lines *lines = context;
	lines->count++;
	lines->level = level;
	snprintf(lines->id, sizeof(lines->id), "%s", id);
	snprintf(lines->text, sizeof(lines->text), "%s", text);
}

static struct log *open_log(struct lines *lines)
{
	struct config_log_target target = {.destination = CONFIG_LOG_STDERR};
	memset(lines, 0, sizeof(*lines));
	test_now = monotime_from_s(1000);
	struct log *log = log_open(LOG_INFO, target, tell_time);
	assert_non_null(log);
	log_set_output(log, keep, lines);
	return log;
}

static void a_message_is_written_once_a_second_and_the_rest_is_counted(void **state)
{
	struct lines lines;
	struct log *log = open_log(&lines);
	(void)state;
	for (int i = 0; i < 100; i++) {
		log_write(log, LOG_WARNING, "flood", "line %d", i);
		test_now.us += 1000;
	}
	assert_int_equal(lines.count, 1);
	assert_string_equal(lines.text, "line 0");
	struct monotime next = log_tick(log, test_now);
	assert_int_equal(lines.count, 1);
	assert_int_equal(next.us, monotime_from_s(1001).us);
	test_now = next;
	log_tick(log, test_now);
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.text, "line 99 (901 ms ago) (and 98 more like this before it)");
	assert_int_equal(lines.level, LOG_WARNING);
	assert_int_equal(log_suppressed(log), 98);
	assert_int_equal(log_tick(log, test_now).us, MONOTIME_NEVER.us);
	log_close(log);
}

static void messages_of_different_ids_do_not_hold_each_other_up(void **state)
{
	struct lines lines;
	struct log *log = open_log(&lines);
	(void)state;
	log_write(log, LOG_ERR, "one", "a");
	log_write(log, LOG_ERR, "two", "b");
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.id, "two");
	log_close(log);
}

static void levels_below_the_chosen_one_are_not_written(void **state)
{
	struct lines lines;
	struct config_log_target target = {.destination = CONFIG_LOG_STDERR};
	struct log *log = open_log(&lines);
	(void)state;
	log_write(log, LOG_DEBUG, "detail", "x");
	assert_int_equal(lines.count, 0);
	log_configure(log, LOG_DEBUG, target);
	log_write(log, LOG_DEBUG, "detail", "x");
	assert_int_equal(lines.count, 1);
	log_close(log);
}

static void what_is_held_back_is_written_at_the_end(void **state)
{
	struct lines lines;
	struct log *log = open_log(&lines);
	(void)state;
	log_write(log, LOG_NOTICE, "role", "first");
	log_write(log, LOG_NOTICE, "role", "last");
	log_close(log);
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.text, "last");
}

static void more_ids_than_there_is_room_for_are_still_written(void **state)
{
	struct lines lines;
	struct log *log = open_log(&lines);
	(void)state;
	for (int i = 0; i < 3 * LOG_IDS_MAX; i++) {
		char id[16];
		snprintf(id, sizeof(id), "id-%d", i);
		log_write(log, LOG_NOTICE, id, "x");
		test_now.us += 10;
	}
	assert_int_equal(lines.count, 3 * LOG_IDS_MAX);
	log_close(log);
}

static void a_long_message_is_cut(void **state)
{
	struct lines lines;
	char text[2 * LOG_TEXT_SIZE];
	struct log *log = open_log(&lines);
	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_write(log, LOG_NOTICE, "long", "%s", text);
	assert_int_equal(strlen(lines.text), LOG_TEXT_SIZE - 1);
	log_close(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_is_written_once_a_second_and_the_rest_is_counted),
	    cmocka_unit_test(messages_of_different_ids_do_not_hold_each_other_up),
	    cmocka_unit_test(levels_below_the_chosen_one_are_not_written),
	    cmocka_unit_test(what_is_held_back_is_written_at_the_end),
	    cmocka_unit_test(more_ids_than_there_is_room_for_are_still_written),
	    cmocka_unit_test(a_long_message_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
