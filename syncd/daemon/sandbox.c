/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/sandbox.h"

#include "syncd/control/state.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- another user ---- */

/* The directory that the socket lies in, without the slash at its end. */
static void directory_of(const char *path, char directory[CONFIG_SOCKET_SIZE])
{
	snprintf(directory, CONFIG_SOCKET_SIZE, "%s", path);
	char *slash = strrchr(directory, '/');
	slash[slash == directory ? 1 : 0] = '\0';
}

/* What lies there may be exchanged for another file meanwhile, for the directory is the user's: the file that
 * was looked at is the one that is given. */
static int give_file(const struct config *config, const char *suffix, const struct passwd *user)
{
	char path[CONFIG_SOCKET_SIZE + sizeof(".tables")];
	struct stat found;
	snprintf(path, sizeof(path), "%s%s", config->control.socket, suffix);
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int error = 0;
	if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 1 &&
	    fchownat(fd, "", user->pw_uid, user->pw_gid, AT_EMPTY_PATH) < 0)
		error = -errno;
	close(fd);
	return error;
}

/*
 * A directory that we make is the user's; one that was there is another program's too, perhaps, and stays as
 * it is.  The files in it are given to the user: root's own command, or a daemon that ran as root, may have
 * written them.
 */
static int give_files(const struct config *config, const struct passwd *user, char *why, size_t size)
{
	char directory[CONFIG_SOCKET_SIZE];
	struct stat found;
	directory_of(config->control.socket, directory);
	bool is_new = stat(directory, &found) < 0 && errno == ENOENT;
	int error = state_make_directory(config->control.socket);
	if (error == 0 && is_new && chown(directory, user->pw_uid, user->pw_gid) < 0)
		error = -errno;
	if (error == 0)
		error = give_file(config, ".state", user);
	if (error == 0)
		error = give_file(config, ".tables", user);
	if (error < 0)
		snprintf(why, size, "[process] user = %s: %s can't be given to it: %s", config->process.user,
			 directory, strerror(-error));
	return error;
}

/* Root without CAP_DAC_OVERRIDE can't write everywhere either. */
static int check_files(const struct config *config, char *why, size_t size)
{
	char directory[CONFIG_SOCKET_SIZE];
	directory_of(config->control.socket, directory);
	if (access(directory, W_OK | X_OK) == 0 || errno == ENOENT)
		return 0;
	int error = -errno;
	snprintf(why, size,
		 "%s, where the control socket lies, can't be written: %s; set [process] user to its owner, "
		 "or give it to the user that the daemon runs as",
		 directory, strerror(-error));
	return error;
}

static int find_user(const struct config *config, struct passwd *user, char *why, size_t size)
{
	const struct passwd *found = getpwnam(config->process.user);
	if (found == NULL) {
		snprintf(
		    why, size,
		    "[process] user: there is no user `%s`; create it (useradd --system %s) or correct the name",
		    config->process.user, config->process.user);
		return -ENOENT;
	}
	*user = *found; /* the numbers are what we need */
	if (geteuid() == 0 || geteuid() == user->pw_uid)
		return 0;
	snprintf(why, size, "[process] user = %s: only root can become another user", config->process.user);
	return -EPERM;
}

static void keep_net_admin_only(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
}

static int become(const struct config *config, const struct passwd *user, char *why, size_t size)
{
	keep_net_admin_only();
	int result =
	    capng_change_id((int)user->pw_uid, (int)user->pw_gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	if (result == 0)
		return 0;
	snprintf(why, size, "becoming user %s failed (libcap-ng's step %d): is CAP_SETUID missing?",
		 config->process.user, result);
	return -EPERM;
}

/* The bounding set needs CAP_SETPCAP, which a container's root may lack; what can't be gained by executing is
 * as good as dropped. */
static int drop_capabilities(char *why, size_t size)
{
	bool has_setpcap = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	keep_net_admin_only();
	if (has_setpcap)
		capng_apply(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_CAPS) == 0)
		return 0;
	snprintf(why, size, "capabilities can't be dropped");
	return -EPERM;
}

int sandbox_drop_rights(const struct config *config, char *why, size_t size)
{
	struct passwd user = {0};
	int error = config->process.user[0] != '\0' ? find_user(config, &user, why, size) : 0;
	bool changes_user = user.pw_uid != 0 && geteuid() == 0;
	if (error == 0 && changes_user)
		error = give_files(config, &user, why, size);
	if (error == 0 && changes_user)
		error = become(config, &user, why, size);
	else if (error == 0 && config->process.sandbox)
		error = drop_capabilities(why, size);
	if (error == 0)
		error = check_files(config, why, size);
	if (error == 0 && config->process.sandbox && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		error = -errno;
		snprintf(why, size, "no_new_privs: %s", strerror(-error));
	}
	return error;
}
