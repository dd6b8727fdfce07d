/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who else may read a key has it: only the owner may, or the daemon's own group, and nobody may write it but
 * the owner. */
static int check_mode(const char *path, const struct stat *found, char *why, size_t size)
{
	if (!S_ISREG(found->st_mode)) {
		snprintf(why, size, "key file %s: it is no regular file", path);
		return -EINVAL;
	}
	if (found->st_uid != 0 && found->st_uid != geteuid()) {
		snprintf(why, size,
			 "key file %s: it must belong to root or to the daemon's user (chown root %s)", path,
			 path);
		return -EPERM;
	}
	unsigned mode = found->st_mode & 07777;
	bool group_reads = mode == 0640 && found->st_gid == getegid();
	if (mode == 0600 || mode == 0400 || group_reads)
		return 0;
	snprintf(
	    why, size,
	    "key file %s: its mode is %04o; it must be 0600, or 0640 with the daemon's group (chmod 0600 %s)",
	    path, mode, path);
	return -EPERM;
}

static int read_key(const char *path, uint8_t key[SEAL_KEY_SIZE], char *why, size_t size)
{
	uint8_t bytes[SEAL_KEY_SIZE + 1];
	struct stat found;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		int error = -errno;
		snprintf(why, size, "key file %s: %s%s", path, strerror(-error),
			 error == -ENOENT ? "; make one with `twintrack genkey` and give it to all nodes"
					  : "");
		return error;
	}
	int error = fstat(fd, &found) < 0 ? -errno : check_mode(path, &found, why, size);
	if (error == 0) {
		ssize_t length = read(fd, bytes, sizeof(bytes));
		if (length != SEAL_KEY_SIZE) {
			snprintf(
			    why, size,
			    "key file %s: it must hold exactly %d bytes; make one with `twintrack genkey`",
			    path, SEAL_KEY_SIZE);
			error = -EINVAL;
		}
	}
	close(fd);
	memcpy(key, bytes, SEAL_KEY_SIZE);
	explicit_bzero(bytes, sizeof(bytes));
	return error;
}

static int add_key(const char *path, struct seal_ring *ring, char *why, size_t size)
{
	uint8_t key[SEAL_KEY_SIZE];
	int error = read_key(path, key, why, size);
	if (error == 0) {
		error = seal_ring_add(ring, key);
		if (error == -EEXIST) /* named twice, or the same key under two names, as happens when a key
					 is rolled over */
			error = 0;
		if (error < 0)
			snprintf(why, size, "key file %s: there are too many keys", path);
	}
	explicit_bzero(key, sizeof(key));
	return error;
}

int keys_read(const struct config *config, struct seal_ring *ring, char *why, size_t size)
{
	memset(ring, 0, sizeof(*ring));
	int error = add_key(config->sync.key_file, ring, why, size);
	for (size_t i = 0; error == 0 && i < config->sync.accept_key_file_count; i++)
		error = add_key(config->sync.accept_key_file[i], ring, why, size);
	if (error < 0)
		seal_ring_wipe(ring);
	return error;
}
