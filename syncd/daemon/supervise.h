/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service manager (systemd's sd_notify protocol).  Without one, or built without libsystemd, all of it
 * does nothing.
 */
#ifndef DAEMON_SUPERVISE_H
#define DAEMON_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

void supervise_ready(const char *status);
void supervise_reloading(void);
void supervise_stopping(void);
/* Feeds the watchdog, and shows one line of status. */
void supervise_alive(const char *status);
/* The watchdog's time; 0: there is none. */
uint64_t supervise_watchdog_us(void);

/* The manager may keep descriptors.  Since systemd 254 it says how many ($FDSTORE, systemd.exec(5)); before,
 * only that there is a manager is known. */
bool supervise_has_store(void);

/* Hands a descriptor to the manager's store under that name, until the next start.  True: it was told, which
 * doesn't prove that it is kept (sd_pid_notify_with_fds(3)); the caller closes its own. */
bool supervise_store(int fd, const char *name);
/* Takes that name out of what this start was given, and out of the store; -1: there is none.  To be called
 * once: what bears another name is closed. */
int supervise_take_stored(const char *name);

#endif
