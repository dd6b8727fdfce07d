/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs of the control socket (syncd/control/message.h): who may ask them, and what answers them.
 */
#ifndef DAEMON_REQUESTS_H
#define DAEMON_REQUESTS_H

#include "syncd/daemon/control.h"

/* `context` is the struct daemon. */
control_handler requests_handle;

#endif
