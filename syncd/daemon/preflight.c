/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/preflight.h"

#include "syncd/control/state.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int preflight_check_capability(char *why, size_t size)
{
	if (capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return 0;
	snprintf(why, size,
		 "CAP_NET_ADMIN is missing: run it as root, or give it that capability (systemd: "
		 "AmbientCapabilities=CAP_NET_ADMIN)");
	return -EPERM;
}

static int find_group(const char *key, const char *name, bool is_needed, gid_t *group, char *why, size_t size)
{
	const struct group *found = getgrnam(name);
	*group = found != NULL ? found->gr_gid : (gid_t)-1;
	if (found != NULL || !is_needed)
		return 0;
	snprintf(why, size,
		 "[control] %s: there is no group `%s`; create it (groupadd --system %s) or correct the name",
		 key, name, name);
	return -ENOENT;
}

int preflight_find_group(const struct config *config, gid_t *group, char *why, size_t size)
{
	return find_group("group", config->control.group, config->control.group_is_given, group, why, size);
}

int preflight_find_reader_group(const struct config *config, gid_t *group, char *why, size_t size)
{
	*group = (gid_t)-1;
	if (config->control.reader_group[0] == '\0')
		return 0;
	return find_group("reader-group", config->control.reader_group, true, group, why, size);
}

int preflight_set_scheduler(const struct config *config, char *why, size_t size)
{
	const struct config_scheduler *wanted = &config->process.scheduler;
	struct sched_param parameter = {.sched_priority = wanted->priority};
	if (wanted->policy == CONFIG_SCHEDULER_OTHER)
		return 0;
	int policy = wanted->policy == CONFIG_SCHEDULER_RR ? SCHED_RR : SCHED_FIFO;
	if (sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &parameter) == 0)
		return 0;
	int error = -errno;
	snprintf(why, size, "[process] scheduler: %s; give it CAP_SYS_NICE, or set `scheduler = other`",
		 strerror(-error));
	return error;
}

int preflight_read_instance(struct frame_kernel_instance *instance, char *why, size_t size)
{
	char text[STATE_BOOT_ID_SIZE];
	socklen_t length = sizeof(instance->netns_cookie);
	int error = state_read_boot_id(text), fd = -1;
	size_t digits = 0;
	memset(instance, 0, sizeof(*instance));
	for (const char *at = text; error == 0 && *at != '\0' && digits < 32; at++) {
		if (*at == '-')
			continue;
		unsigned digit = (unsigned)(*at <= '9' ? *at - '0' : *at - 'a' + 10) & 15;
		instance->boot_id[digits / 2] =
		    (uint8_t)((unsigned)instance->boot_id[digits / 2] << 4 | digit);
		digits++;
	}
	if (error == 0 && (fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		error = -errno;
	if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &instance->netns_cookie, &length) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	if (error < 0)
		snprintf(
		    why, size,
		    "can't tell which kernel this is (boot_id, SO_NETNS_COOKIE): %s; Linux 5.15 or later is needed",
		    strerror(-error));
	return error;
}
