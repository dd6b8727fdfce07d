/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/control/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_ROOM = 100 };

/* A directory of its own for each test; *state is the socket's path in it. */
static int make_place(void **state)
{
	char *path = malloc(PATH_ROOM);
	snprintf(path, PATH_ROOM, "/tmp/twintrack-state-XXXXXX");
	if (mkdtemp(path) == NULL)
		return -1;
	strcat(path, "/deeper/control.sock");
	*state = path;
	return 0;
}

static int remove_place(void **state)
{
	char command[PATH_ROOM + 32];
	char *path = *state;
	*strstr(path, "/deeper") = '\0';
	snprintf(command, sizeof(command), "rm -rf %s", path);
	int result = system(command);
	free(path);
	return result;
}

static int unmount_and_remove(void **state)
{
	char directory[PATH_ROOM];
	snprintf(directory, sizeof(directory), "%s", (char *)*state);
	*strrchr(directory, '/') = '\0';
	umount2(directory, MNT_DETACH);
	return remove_place(state);
}

static void write_text(const char *socket, const char *text)
{
	char path[PATH_ROOM + 16];
	assert_int_equal(state_make_directory(socket), 0);
	snprintf(path, sizeof(path), "%s.state", socket);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static struct state example(void)
{
	struct state state;
	memset(&state, 0, sizeof(state));
	assert_int_equal(state_read_boot_id(state.boot_id), 0);
	state.role = FRAME_ROLE_PRIMARY;
	state.reached = FRAME_ROLE_BACKUP;
	state.term = 4000000000u;
	state.own_term = 3999999999u;
	state.leftovers = true;
	state.netns_cookie = 0x8000000000000001u;
	state.has_addresses = true;
	state.address_count = 2;
	state.addresses[0].family = AF_INET;
	inet_pton(AF_INET, "192.0.2.1", state.addresses[0].bytes);
	state.addresses[1].family = AF_INET6;
	inet_pton(AF_INET6, "2001:db8::1", state.addresses[1].bytes);
	return state;
}

static void what_was_written_is_read_again(void **place)
{
	struct state written = example(), read;
	assert_int_equal(state_write(*place, &written), 0);
	assert_int_equal(state_read(*place, &read), 0);
	assert_memory_equal(&read, &written, sizeof(read));
}

static void nobody_else_may_read_the_file(void **place)
{
	struct state written = example();
	char path[PATH_ROOM + 16];
	struct stat found;
	assert_int_equal(state_write(*place, &written), 0);
	snprintf(path, sizeof(path), "%s.state", (char *)*place);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0600);
}

static void without_a_file_there_is_no_role(void **place)
{
	struct state read;
	assert_int_equal(state_read(*place, &read), -ENOENT);
	assert_int_equal(read.role, FRAME_ROLE_INIT);
	assert_int_equal(read.term, 0);
	assert_int_equal(strlen(read.boot_id), STATE_BOOT_ID_SIZE - 1);
}

static void another_boot_keeps_the_term_and_forgets_the_role(void **place)
{
	struct state written = example(), read;
	written.boot_id[0] = written.boot_id[0] == '0' ? '1' : '0';
	assert_int_equal(state_write(*place, &written), 0);
	assert_int_equal(state_read(*place, &read), 0);
	assert_int_equal(read.role, FRAME_ROLE_INIT);
	assert_int_equal(read.term, written.term);
	assert_int_equal(read.reached, FRAME_ROLE_INIT);
	assert_int_equal(read.own_term, 0);
	assert_false(read.leftovers);
	assert_false(read.has_addresses);
}

static void another_kernel_keeps_what_is_wanted(void **place)
{
	struct state state = example();
	(void)place;
	state_forget_kernel(&state);
	assert_int_equal(state.role, FRAME_ROLE_PRIMARY);
	assert_int_equal(state.reached, FRAME_ROLE_INIT);
	assert_int_equal(state.term, 4000000000u);
	assert_int_equal(state.own_term, 0);
	assert_false(state.leftovers);
	assert_int_equal(state.address_count, 0);
}

static void a_wanted_role_changes_nothing_else(void **place)
{
	struct state written = example(), read;
	assert_int_equal(state_write(*place, &written), 0);
	assert_int_equal(state_write_role(*place, FRAME_ROLE_BACKUP), 0);
	assert_int_equal(state_read(*place, &read), 0);
	assert_int_equal(read.role, FRAME_ROLE_BACKUP);
	assert_int_equal(read.reached, written.reached);
	assert_int_equal(read.term, written.term);
	assert_int_equal(read.own_term, written.own_term);
	assert_true(read.leftovers);
	assert_int_equal(read.address_count, 2);
}

static void a_wanted_role_is_kept_though_no_daemon_ever_ran(void **place)
{
	struct state read;
	assert_int_equal(state_write_role(*place, FRAME_ROLE_FAULT), 0);
	assert_int_equal(state_read(*place, &read), 0);
	assert_int_equal(read.role, FRAME_ROLE_FAULT);
	assert_false(read.has_addresses);
}

static void a_damaged_file_is_no_state(void **place)
{
	static const char *const texts[] = {
	    "",
	    "something else\n",
	    "twintrack-state 1\nrole king\n",
	    "twintrack-state 1\nterm x\n",
	    "twintrack-state 1\nreached knight\n",
	    "twintrack-state 1\nown-term x\n",
	    "twintrack-state 1\nown 300.1.1.1\n",
	    "twintrack-state 1\nrole primary",
	    "twintrack-state 1\nrole\n",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct state read;
		write_text(*place, texts[i]);
		assert_int_equal(state_read(*place, &read), -EINVAL);
		assert_int_equal(read.role, FRAME_ROLE_INIT);
	}
}

static void names_of_a_later_version_are_left_out(void **place)
{
	struct state read;
	char text[160], boot_id[STATE_BOOT_ID_SIZE];
	assert_int_equal(state_read_boot_id(boot_id), 0);
	snprintf(text, sizeof(text), "twintrack-state 1\nboot %s\nfuture thing\nrole backup\n", boot_id);
	write_text(*place, text);
	assert_int_equal(state_read(*place, &read), 0);
	assert_int_equal(read.role, FRAME_ROLE_BACKUP);
}

static void no_temporary_file_is_left(void **place)
{
	struct state written = example();
	char command[PATH_ROOM + 64];
	for (int i = 0; i < 3; i++)
		assert_int_equal(state_write(*place, &written), 0);
	snprintf(command, sizeof(command), "test $(ls $(dirname %s) | wc -l) = 1", (char *)*place);
	assert_int_equal(system(command), 0);
}

/* A file system of 16 kB in the place of the directory, in a mount namespace of our own; false: not allowed.
 */
static bool make_small_file_system(const char *socket)
{
	char directory[PATH_ROOM];
	snprintf(directory, sizeof(directory), "%s", socket);
	*strrchr(directory, '/') = '\0';
	assert_int_equal(state_make_directory(socket), 0);
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", directory, "tmpfs", 0, "size=16k") == 0;
}

static void fill_file_system(const char *socket)
{
	static const char bytes[4096];
	char path[PATH_ROOM + 16];
	snprintf(path, sizeof(path), "%s.filler", socket);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	while (fwrite(bytes, 1, sizeof(bytes), file) == sizeof(bytes))
		;
	assert_int_equal(errno, ENOSPC);
	fclose(file);
}

/* Else a daemon that is killed then would go on in the role of before. */
static void a_full_disk_keeps_no_role_from_being_written(void **place)
{
	struct state written = example(), read;
	if (!make_small_file_system(*place))
		skip();
	assert_int_equal(state_write(*place, &written), 0);
	fill_file_system(*place);
	written.role = FRAME_ROLE_BACKUP;
	written.term = 5;
	assert_int_equal(state_write(*place, &written), 0);
	assert_int_equal(state_write_role(*place, FRAME_ROLE_FAULT), 0);
	assert_int_equal(state_read(*place, &read), 0);
	assert_int_equal(read.role, FRAME_ROLE_FAULT);
	assert_int_equal(read.term, 5);
	assert_int_equal(read.address_count, written.address_count);
}

static void what_does_not_fit_on_a_full_disk_leaves_the_old_file_whole(void **place)
{
	struct state written = example(), read;
	if (!make_small_file_system(*place))
		skip();
	assert_int_equal(state_write(*place, &written), 0);
	fill_file_system(*place);
	written.role = FRAME_ROLE_BACKUP;
	written.address_count = STATE_ADDRESSES_MAX;
	for (unsigned i = 0; i < STATE_ADDRESSES_MAX; i++)
		written.addresses[i] = (struct state_address){.family = AF_INET6, .bytes = {0xfd, [15] = 1}};
	assert_int_equal(state_write(*place, &written), -ENOSPC);
	assert_int_equal(state_read(*place, &read), 0);
	assert_int_equal(read.role, FRAME_ROLE_PRIMARY);
}

static void a_full_disk_without_a_file_is_told(void **place)
{
	struct state written = example();
	if (!make_small_file_system(*place))
		skip();
	fill_file_system(*place);
	assert_int_equal(state_write(*place, &written), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_written_is_read_again, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(nobody_else_may_read_the_file, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(without_a_file_there_is_no_role, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(another_boot_keeps_the_term_and_forgets_the_role, make_place,
					    remove_place),
	    cmocka_unit_test(another_kernel_keeps_what_is_wanted),
	    cmocka_unit_test_setup_teardown(a_wanted_role_changes_nothing_else, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(a_wanted_role_is_kept_though_no_daemon_ever_ran, make_place,
					    remove_place),
	    cmocka_unit_test_setup_teardown(a_damaged_file_is_no_state, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(names_of_a_later_version_are_left_out, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(no_temporary_file_is_left, make_place, remove_place),
	    cmocka_unit_test_setup_teardown(a_full_disk_keeps_no_role_from_being_written, make_place,
					    unmount_and_remove),
	    cmocka_unit_test_setup_teardown(what_does_not_fit_on_a_full_disk_leaves_the_old_file_whole,
					    make_place, unmount_and_remove),
	    cmocka_unit_test_setup_teardown(a_full_disk_without_a_file_is_told, make_place,
					    unmount_and_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
