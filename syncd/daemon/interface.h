/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of network interfaces, followed through libnfnetlink's interface table.  That library is
 * deprecated upstream: interface.c alone may call it.
 */
#ifndef DAEMON_INTERFACE_H
#define DAEMON_INTERFACE_H

#include <stdbool.h>
#include <stdint.h>

struct interface_watch;

struct interface_state {
	unsigned index; /* 0: there is no such interface */
	bool is_up;     /* administratively; a link without carrier counts as up */
	bool has_carrier;
	bool is_loopback;
	uint32_t mtu;
};

/* Subscribes to changes.  0 or a negative errno. */
int interface_watch_open(struct interface_watch **watch);
void interface_watch_close(struct interface_watch *watch); /* NULL is fine */
int interface_watch_fd(const struct interface_watch *watch);

/* Takes in what has changed, without blocking.  0 or a negative errno. */
int interface_watch_read(struct interface_watch *watch);

/* What is known of an interface now. */
struct interface_state interface_state(const struct interface_watch *watch, const char *name);

#endif
