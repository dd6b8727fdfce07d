/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/control/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 160, LINE_SIZE = 128 };

static const char first_line[] = "twintrack-state 1\n";

int state_read_boot_id(char boot_id[STATE_BOOT_ID_SIZE])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t length = read(fd, boot_id, STATE_BOOT_ID_SIZE - 1);
	int error = length == STATE_BOOT_ID_SIZE - 1 ? 0 : length < 0 ? -errno : -EIO;
	close(fd);
	boot_id[STATE_BOOT_ID_SIZE - 1] = '\0';
	return error;
}

static int make_path(const char *socket, const char *suffix, char path[PATH_SIZE])
{
	int length = snprintf(path, PATH_SIZE, "%s%s", socket, suffix);
	return length < 0 || length >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

static bool parse_role(const char *text, enum frame_role *role)
{
	for (unsigned i = 0; i < FRAME_ROLES; i++) {
		if (strcmp(text, frame_role_name((enum frame_role)i)) == 0) {
			*role = (enum frame_role)i;
			return true;
		}
	}
	return false;
}

static bool parse_address(const char *text, struct state *state)
{
	if (state->address_count == STATE_ADDRESSES_MAX)
		return true;
	struct state_address *address = &state->addresses[state->address_count];
	memset(address, 0, sizeof(*address));
	address->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(address->family, text, address->bytes) != 1)
		return false;
	state->address_count++;
	return true;
}

/* One "name value"; false if it is damaged. */
static bool parse_line(char *line, struct state *state)
{
	char *newline = strchr(line, '\n');
	char *value = strchr(line, ' ');
	if (newline == NULL || value == NULL)
		return false;
	*newline = '\0';
	*value++ = '\0';
	if (strcmp(line, "boot") == 0) {
		snprintf(state->boot_id, sizeof(state->boot_id), "%.*s", STATE_BOOT_ID_SIZE - 1, value);
		return true;
	}
	if (strcmp(line, "role") == 0)
		return parse_role(value, &state->role);
	if (strcmp(line, "reached") == 0)
		return parse_role(value, &state->reached);
	if (strcmp(line, "term") == 0)
		return sscanf(value, "%" SCNu32, &state->term) == 1;
	if (strcmp(line, "own-term") == 0)
		return sscanf(value, "%" SCNu32, &state->own_term) == 1;
	if (strcmp(line, "netns") == 0)
		return sscanf(value, "%" SCNu64, &state->netns_cookie) == 1;
	if (strcmp(line, "leftovers") == 0) {
		state->leftovers = strcmp(value, "yes") == 0;
		return true;
	}
	if (strcmp(line, "addresses") == 0) {
		state->has_addresses = true;
		return true;
	}
	if (strcmp(line, "own") == 0)
		return parse_address(value, state);
	return true;
}

static int parse_file(FILE *file, struct state *state)
{
	char line[LINE_SIZE];
	if (fgets(line, sizeof(line), file) == NULL || strcmp(line, first_line) != 0)
		return -EINVAL;
	while (fgets(line, sizeof(line), file) != NULL)
		if (!parse_line(line, state))
			return -EINVAL;
	return ferror(file) ? -EIO : 0;
}

int state_read(const char *socket, struct state *state)
{
	char path[PATH_SIZE];
	struct state found = {.role = FRAME_ROLE_INIT};
	memset(state, 0, sizeof(*state));
	int error = state_read_boot_id(state->boot_id);
	if (error == 0)
		error = make_path(socket, ".state", path);
	if (error < 0)
		return error;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	if (file == NULL) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	error = parse_file(file, &found);
	fclose(file);
	if (error < 0)
		return error;
	if (strcmp(found.boot_id, state->boot_id) == 0)
		*state = found;
	else
		state->term = found.term;
	return 0;
}

void state_forget_kernel(struct state *state)
{
	state->reached = FRAME_ROLE_INIT;
	state->own_term = 0;
	state->leftovers = false;
	state->has_addresses = false;
	state->address_count = 0;
}

static void print_state(FILE *file, const struct state *state)
{
	fprintf(file, "%sboot %s\nrole %s\nreached %s\n", first_line, state->boot_id,
		frame_role_name(state->role), frame_role_name(state->reached));
	fprintf(file, "term %" PRIu32 "\nown-term %" PRIu32 "\nleftovers %s\nnetns %" PRIu64 "\n",
		state->term, state->own_term, state->leftovers ? "yes" : "no", state->netns_cookie);
	if (!state->has_addresses)
		return;
	fprintf(file, "addresses %zu\n", state->address_count);
	for (size_t i = 0; i < state->address_count; i++) {
		char text[INET6_ADDRSTRLEN];
		inet_ntop(state->addresses[i].family, state->addresses[i].bytes, text, sizeof(text));
		fprintf(file, "own %s\n", text);
	}
}

int state_make_directory(const char *socket)
{
	char path[PATH_SIZE];
	int error = make_path(socket, "", path);
	if (error < 0)
		return error;
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* The command runs as root, the daemon perhaps not: what the former writes, the latter must be able to read.
 */
static void give_to_owner_of_directory(int fd, const char *socket)
{
	char path[PATH_SIZE];
	struct stat found;
	if (geteuid() != 0 || make_path(socket, "", path) < 0)
		return;
	char *slash = strrchr(path, '/');
	if (slash == NULL)
		return;
	slash[slash == path ? 1 : 0] = '\0';
	if (stat(path, &found) < 0 || (found.st_uid == 0 && found.st_gid == 0))
		return;
	if (fchown(fd, found.st_uid, found.st_gid) < 0)
		return; /* it stays root's: the daemon says that it can't read it */
}

/* To a file beside it, which then takes its name. */
static int replace_file(const char *socket, const char *path, const char *text, size_t length)
{
	char temporary[PATH_SIZE];
	int error = make_path(socket, ".state.XXXXXX", temporary);
	if (error < 0)
		return error;
	int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	give_to_owner_of_directory(fd, socket);
	/* no fsync: it is for this boot alone, and a rename is atomic to whoever reads it in this boot */
	ssize_t written = write(fd, text, length);
	error = written < 0 ? -errno : (size_t)written < length ? -ENOSPC : 0;
	if (close(fd) < 0 && error == 0)
		error = -errno;
	if (error == 0 && rename(temporary, path) < 0)
		error = -errno;
	if (error < 0)
		unlink(temporary);
	return error;
}

/*
 * Where there is no room for a second file, the old one's room is written over: a role of before must not
 * come back at the next start.  fallocate() takes what is missing first, and changes nothing if that fails.
 */
static int overwrite_file(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int error = 0;
	if (fd < 0)
		return -errno;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)length) < 0)
		error = -errno;
	else if (pwrite(fd, text, length, 0) != (ssize_t)length)
		error = errno != 0 ? -errno : -EIO;
	else if (ftruncate(fd, (off_t)length) < 0)
		error = -errno;
	close(fd);
	return error;
}

int state_write(const char *socket, const struct state *state)
{
	char path[PATH_SIZE], *text = NULL;
	size_t length = 0;
	int error = make_path(socket, ".state", path);
	if (error == 0)
		error = state_make_directory(socket);
	if (error < 0)
		return error;
	FILE *memory = open_memstream(&text, &length);
	if (memory == NULL)
		return -errno;
	print_state(memory, state);
	if (fclose(memory) != 0 || text == NULL) {
		free(text);
		return -ENOMEM;
	}
	error = replace_file(socket, path, text, length);
	if ((error == -ENOSPC || error == -EDQUOT) && overwrite_file(path, text, length) == 0)
		error = 0;
	free(text);
	return error;
}

int state_write_role(const char *socket, enum frame_role role)
{
	struct state state;
	int error = state_read(socket, &state);
	if (error < 0 && error != -ENOENT && error != -EINVAL)
		return error;
	state.role = role;
	return state_write(socket, &state);
}
