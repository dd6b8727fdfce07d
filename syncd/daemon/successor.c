/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/successor.h"

#include "proto/snapshot.h"
#include "syncd/daemon/clock.h"
#include "syncd/daemon/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PATH_SIZE = CONFIG_SOCKET_SIZE + 32,
	SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
};

static const char store_name[] = "twintrack-tables";

static void file_path(const struct daemon *daemon, const char *suffix, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s%s", daemon->config.control.socket, suffix);
}

/* ---- leaving ---- */

static int write_all(void *context, const uint8_t *bytes, size_t length)
{
	const int *fd = context;
	while (length > 0) {
		ssize_t written = write(*fd, bytes, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_to(const struct daemon *daemon, int fd, struct snapshot_report *report)
{
	return snapshot_write(drive_node(daemon->drive), clock_now(), write_all, &fd, report);
}

/* 0: it was handed over; -ENOENT: there is no store. */
static int leave_in_store(const struct daemon *daemon, struct snapshot_report *report)
{
	if (!supervise_has_store())
		return -ENOENT;
	int fd = memfd_create(store_name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int error = write_to(daemon, fd, report);
	if (error == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		error = -errno;
	if (error == 0 && !supervise_store(fd, store_name))
		error = -ENOENT;
	close(fd);
	return error;
}

/* In one piece or not at all: a start that comes meanwhile must not find half of it. */
static int leave_in_file(const struct daemon *daemon, struct snapshot_report *report)
{
	char path[PATH_SIZE], temporary[PATH_SIZE];
	file_path(daemon, ".tables", path);
	file_path(daemon, ".tables.new", temporary);
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int error = write_to(daemon, fd, report);
	if (close(fd) < 0 && error == 0)
		error = -errno;
	if (error == 0 && rename(temporary, path) < 0)
		error = -errno;
	if (error < 0)
		unlink(temporary);
	return error;
}

/*
 * In both places: whether the manager keeps a descriptor it doesn't say (its unit may have no store, or a
 * full one), and a stopped service's it drops.
 */
void successor_leave(struct daemon *daemon)
{
	struct snapshot_report filed, stored;
	if (!snapshot_has_content(drive_node(daemon->drive)))
		return;
	int in_file = leave_in_file(daemon, &filed);
	int in_store = leave_in_store(daemon, &stored);
	if (in_file == 0 || in_store == 0)
		log_write(daemon->log, LOG_NOTICE, "left",
			  "%zu flows of %u tables of peers are kept for the next start",
			  in_file == 0 ? filed.flows : stored.flows,
			  in_file == 0 ? filed.tables : stored.tables);
	if (in_file < 0)
		log_write(
		    daemon->log, in_store == 0 ? LOG_WARNING : LOG_ERR, "not-left",
		    "what is held for the peers could not be kept in %s.tables for the next start: %s; %s",
		    daemon->config.control.socket, strerror(-in_file),
		    in_store == 0 ? "it rests with the service manager alone, if its unit has a store"
				  : "peers that live send it again, of others it is lost");
}

/* ---- taking ---- */

/* The file that was left; -1: there is none.  It is removed. */
static int open_file(struct daemon *daemon)
{
	char path[PATH_SIZE];
	file_path(daemon, ".tables", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno != ENOENT)
		log_write(daemon->log, LOG_WARNING, "not-taken", "%s can't be read: %s", path,
			  strerror(errno));
	unlink(path);
	return fd;
}

/* Bytes that change, or shrink, while they are read would be no snapshot. */
static int check_file(int fd, bool is_stored, size_t *length)
{
	struct stat found;
	if (fstat(fd, &found) < 0)
		return -errno;
	if (!S_ISREG(found.st_mode) || found.st_size <= 0)
		return -EINVAL;
	if (is_stored ? (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS : found.st_uid != geteuid())
		return -EPERM;
	*length = (size_t)found.st_size;
	return 0;
}

static const char *reason(int error)
{
	switch (error) {
	case -EINVAL:
		return "it is damaged";
	case -EPROTONOSUPPORT:
		return "it is of another version of twintrackd";
	case -ESTALE:
		return "it is of another node or another boot";
	case -EPERM:
		return "somebody else could have written it";
	default:
		return strerror(-error);
	}
}

/* True: it is taken over.  Closes the descriptor. */
static bool take(struct daemon *daemon, int fd, bool is_stored)
{
	struct snapshot_report report = {0};
	size_t length = 0;
	int error = check_file(fd, is_stored, &length);
	void *bytes = error == 0 ? mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	if (error == 0 && bytes == MAP_FAILED)
		error = -errno;
	if (error == 0)
		error = drive_restore(daemon->drive, bytes, length, &report);
	if (bytes != MAP_FAILED)
		munmap(bytes, length);
	close(fd);
	if (error < 0)
		log_write(
		    daemon->log, LOG_WARNING, "not-taken",
		    "what the daemon before us left %s is passed over: %s; peers that live send theirs again",
		    is_stored ? "with the service manager" : "in a file", reason(error));
	else
		log_write(daemon->log, LOG_NOTICE, "taken",
			  "%zu flows of %u tables of peers are taken over from the daemon before",
			  report.flows, report.tables);
	return error == 0;
}

/* The file is never older than what the store has: each start removes it, and each end that leaves something
 * makes it anew. */
void successor_take(struct daemon *daemon)
{
	int file = open_file(daemon), stored = supervise_take_stored(store_name);
	bool taken = file >= 0 && take(daemon, file, false);
	if (stored >= 0 && taken)
		close(stored);
	else if (stored >= 0)
		take(daemon, stored, true);
}
