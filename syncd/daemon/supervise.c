/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/supervise.h"

#ifdef HAVE_LIBSYSTEMD
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

void supervise_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void supervise_reloading(void)
{
	/* Type=notify-reload wants the time on CLOCK_MONOTONIC, whatever clock we use */
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void supervise_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void supervise_alive(const char *status)
{
	sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s", status);
}

uint64_t supervise_watchdog_us(void)
{
	uint64_t us = 0;
	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

bool supervise_has_store(void)
{
	const char *socket = getenv("NOTIFY_SOCKET"), *places = getenv("FDSTORE");
	return socket != NULL && *socket != '\0' && (places == NULL || strcmp(places, "0") != 0);
}

bool supervise_store(int fd, const char *name)
{
	char text[80];
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	return sd_pid_notify_with_fds(0, 0, text, &fd, 1) > 0;
}

int supervise_take_stored(const char *name)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names), found = -1;
	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		if (found < 0 && strcmp(names[i], name) == 0)
			found = fd;
		else
			close(fd);
		free(names[i]);
	}
	free(names);
	if (found >= 0)
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return found;
}
#else
void supervise_ready(const char *status)
{
	(void)status;
}

void supervise_reloading(void)
{
}

void supervise_stopping(void)
{
}

void supervise_alive(const char *status)
{
	(void)status;
}

uint64_t supervise_watchdog_us(void)
{
	return 0;
}

bool supervise_has_store(void)
{
	return false;
}

bool supervise_store(int fd, const char *name)
{
	(void)fd;
	(void)name;
	return false;
}

int supervise_take_stored(const char *name)
{
	(void)name;
	return -1;
}
#endif
