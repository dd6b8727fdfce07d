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

/* 0: it is in the store; -ENOENT: there is no store. */
static int leave_in_store(const struct daemon *daemon, struct snapshot_report *report)
{
	if (!supervise_has_manager())
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

void successor_leave(struct daemon *daemon)
{
	struct snapshot_report report;
	if (!snapshot_has_content(drive_node(daemon->drive)))
		return;
	int error = leave_in_store(daemon, &report);
	if (error == -ENOENT)
		error = leave_in_file(daemon, &report);
	if (error < 0)
		log_write(
		    daemon->log, LOG_ERR, "not-left",
		    "what is held for the peers could not be kept for the next start: %s; peers that live "
		    "send it again, of others it is lost",
		    strerror(-error));
	else
		log_write(daemon->log, LOG_NOTICE, "left",
			  "%zu flows of %u tables of peers are kept for the next start", report.flows,
			  report.tables);
}

/* ---- taking ---- */

/* From the store, or from the file; -1: nothing was left.  It is removed from there. */
static int find(struct daemon *daemon, bool *is_stored)
{
	char path[PATH_SIZE];
	int fd = supervise_take_stored(store_name);
	*is_stored = fd >= 0;
	file_path(daemon, ".tables", path);
	if (fd >= 0) {
		unlink(path); /* older than what the store had */
		return fd;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
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

void successor_take(struct daemon *daemon)
{
	struct snapshot_report report = {0};
	size_t length = 0;
	bool is_stored;
	int fd = find(daemon, &is_stored);
	if (fd < 0)
		return;
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
		    "what the daemon before us left is passed over: %s; peers that live send theirs again",
		    reason(error));
	else
		log_write(daemon->log, LOG_NOTICE, "taken",
			  "%zu flows of %u tables of peers are taken over from the daemon before",
			  report.flows, report.tables);
}
