/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

/* ---- the journal ---- */

struct journal {
	char directory[40], path[60], got[JOURNAL_ENTRY_MAX + 1];
	int fd;
};

static int make_journal(void **state)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(journal->directory, "/tmp/twintrack-journal-XXXXXX");
	if (mkdtemp(journal->directory) == NULL)
		return -1;
	snprintf(journal->path, sizeof(journal->path), "%s/socket", journal->directory);
	strcpy(address.sun_path, journal->path);
	journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	*state = journal;
	return bind(journal->fd, (struct sockaddr *)&address, sizeof(address));
}

static int end_journal(void **state)
{
	struct journal *journal = *state;
	close(journal->fd);
	unlink(journal->path);
	rmdir(journal->directory);
	free(journal);
	return 0;
}

/* The next datagram; "" when there is none. */
static const char *receive(struct journal *journal)
{
	ssize_t length = recv(journal->fd, journal->got, JOURNAL_ENTRY_MAX, 0);
	journal->got[length < 0 ? 0 : length] = '\0';
	return journal->got;
}

static struct log *open_journal_log(struct journal *journal, enum config_log_destination destination)
{
	struct config_log_target target = {.destination = destination};
	test_now = monotime_from_s(1000);
	struct log *log = log_open(LOG_INFO, target, tell_time);
	assert_non_null(log);
	log_set_journal(log, journal->path);
	log_set_node(log, 7);
	return log;
}

static void a_message_to_the_journal_has_fields(void **state)
{
	struct log *log = open_journal_log(*state, CONFIG_LOG_JOURNAL);
	struct log_subject link = {.link = "sync0"}, peer = {.peer = 3},
			   root = {.has_client = true, .pid = 5};
	log_write(log, LOG_NOTICE, "start", "here\nPRIORITY=0 \x1b[31mwe are");
	assert_string_equal(receive(*state),
			    "MESSAGE=here PRIORITY=0  [31mwe are\nPRIORITY=5\nSYSLOG_IDENTIFIER=twintrackd\n"
			    "MESSAGE_ID=bdf1b0d85572ac9dd68e5da4486a1a3a\nTWINTRACK_MESSAGE=start\n"
			    "TWINTRACK_NODE=7\n");
	log_write_about(log, LOG_WARNING, "peer-gone", &peer, "node %d is silent", 3);
	assert_non_null(strstr(receive(*state), "\nTWINTRACK_PEER=3\n"));
	log_write_about(log, LOG_WARNING, "link-sync0", &link, "down");
	assert_non_null(strstr(receive(*state), "\nTWINTRACK_LINK=sync0\n"));
	log_write_about(log, LOG_NOTICE, "asked-primary", &root, "asked");
	assert_non_null(strstr(receive(*state), "\nTWINTRACK_CLIENT_UID=0\nTWINTRACK_CLIENT_PID=5\n"));
	log_close(log);
}

static void what_was_held_back_keeps_its_fields_and_is_counted(void **state)
{
	struct log *log = open_journal_log(*state, CONFIG_LOG_JOURNAL);
	for (unsigned i = 1; i <= 4; i++) {
		struct log_subject peer = {.peer = i};
		log_write_about(log, LOG_NOTICE, "peer-alive", &peer, "node %u is alive", i);
	}
	assert_non_null(strstr(receive(*state), "\nTWINTRACK_PEER=1\n"));
	assert_string_equal(receive(*state), "");
	log_close(log);
	assert_non_null(strstr(receive(*state), "\nTWINTRACK_PEER=4\nTWINTRACK_HELD_BACK=2\n"));
}

static void the_message_id_is_that_of_the_kind_and_stays(void **state)
{
	char one[JOURNAL_ID_SIZE], other[JOURNAL_ID_SIZE];
	(void)state;
	struct journal_entry entry = {.id = "link-sync0", .subject = {.link = "sync0"}};
	journal_message_id(&entry, one);
	journal_message_id(&(struct journal_entry){.id = "link-eth12", .subject = {.link = "eth12"}}, other);
	assert_string_equal(one, other);
	assert_string_equal(one, "39def4073c9e4b2ed525aa0471e89739");
	journal_message_id(&(struct journal_entry){.id = "link-address-sync0", .subject = {.link = "sync0"}},
			   other);
	assert_string_not_equal(one, other);
}

/* Sends stderr into a file while `log` writes one line; returns what came there. */
static void write_with_stderr(const char *path, struct log **log, struct journal *journal, char *text,
			      size_t size)
{
	struct stat found;
	char stream[48];
	int saved = dup(STDERR_FILENO), file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(file >= 0 && fstat(file, &found) == 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)found.st_dev, (uintmax_t)found.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(file, STDERR_FILENO);
	*log = open_journal_log(journal, CONFIG_LOG_STDERR);
	log_write(*log, LOG_NOTICE, "start", "here");
	dup2(saved, STDERR_FILENO);
	close(saved);
	unsetenv("JOURNAL_STREAM");
	ssize_t length = pread(file, text, size - 1, 0);
	text[length < 0 ? 0 : length] = '\0';
	close(file);
	unlink(path);
}

static void a_stderr_that_is_the_journals_stream_is_as_good(void **state)
{
	struct journal *journal = *state;
	struct log *log;
	char path[80], text[200];
	snprintf(path, sizeof(path), "%s/stderr", journal->directory);
	write_with_stderr(path, &log, journal, text, sizeof(text));
	log_close(log);
	assert_non_null(strstr(receive(journal), "\nTWINTRACK_MESSAGE=start\n"));
	assert_string_equal(text, "");
	unlink(journal->path); /* nobody listens any more */
	write_with_stderr(path, &log, journal, text, sizeof(text));
	log_close(log);
	assert_string_equal(text, "notice: here [start]\n");
}

/* A journal that hangs: its queue is full, and the daemon goes on. */
static void a_journal_that_takes_nothing_holds_up_nobody(void **state)
{
	struct log *log = open_journal_log(*state, CONFIG_LOG_JOURNAL);
	int null = open("/dev/null", O_WRONLY), saved = dup(STDERR_FILENO);
	dup2(null, STDERR_FILENO);
	for (unsigned i = 0; i < 2000; i++) {
		log_write(log, LOG_NOTICE, "many", "line %u", i);
		test_now.us += 1000000;
	}
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	assert_non_null(strstr(receive(*state), "MESSAGE=line 0\n"));
	log_close(log);
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, make_journal, end_journal)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_is_written_once_a_second_and_the_rest_is_counted),
	    cmocka_unit_test(messages_of_different_ids_do_not_hold_each_other_up),
	    cmocka_unit_test(levels_below_the_chosen_one_are_not_written),
	    cmocka_unit_test(what_is_held_back_is_written_at_the_end),
	    cmocka_unit_test(more_ids_than_there_is_room_for_are_still_written),
	    cmocka_unit_test(a_long_message_is_cut),
	    JOURNAL_TEST(a_message_to_the_journal_has_fields),
	    JOURNAL_TEST(what_was_held_back_keeps_its_fields_and_is_counted),
	    cmocka_unit_test(the_message_id_is_that_of_the_kind_and_stays),
	    JOURNAL_TEST(a_stderr_that_is_the_journals_stream_is_as_good),
	    JOURNAL_TEST(a_journal_that_takes_nothing_holds_up_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
