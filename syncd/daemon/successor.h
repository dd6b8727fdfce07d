/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a daemon that ends on purpose leaves to the one that starts after it: the peers' flows (snapshot.h).
 * It is a file beside the control socket, SOCKET.tables, and with a service manager that has a descriptor
 * store also a sealed memory file there.  Whoever takes it removes both, so that nothing is taken twice.
 */
#ifndef DAEMON_SUCCESSOR_H
#define DAEMON_SUCCESSOR_H

#include "syncd/daemon/daemon.h"

/* Leaves what is held; logs what, and why nothing was left. */
void successor_leave(struct daemon *daemon);

/* Takes what was left, into a node that has heard nobody yet.  What is damaged, or is not ours, is logged and
 * passed over. */
void successor_take(struct daemon *daemon);

#endif
