/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the service manager is told (sd_notify(3)).  Without libsystemd, or outside of systemd, nothing
 * happens.
 */
#ifndef DAEMON_SUPERVISE_H
#define DAEMON_SUPERVISE_H

#include <stdint.h>

void supervise_ready(const char *status);
void supervise_reloading(void);
void supervise_stopping(void);
/* One line for `systemctl status`, and a sign of life. */
void supervise_alive(const char *status);
/* Microseconds within which signs of life are wanted; 0: none are. */
uint64_t supervise_watchdog_us(void);

#endif
