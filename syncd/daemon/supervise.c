/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/supervise.h"

#ifdef HAVE_LIBSYSTEMD
#include <inttypes.h>
#include <systemd/sd-daemon.h>
#include <time.h>

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
#endif
