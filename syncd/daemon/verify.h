/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The `verify` request: compares the kernel's table with the internal one, both ways, and asks for the peers'
 * proofs.
 *
 * rows      a dump of the kernel's table, each row compared with the internal one
 * internal  a walk of the internal table, for flows that the dump did not have
 * settle    what differs is read again, after the events that wait; what still differs later is reported
 * peers     live peers have some seconds to prove that copies are equal
 */
#ifndef DAEMON_VERIFY_H
#define DAEMON_VERIFY_H

#include "syncd/daemon/daemon.h"

/* Answers the client by itself: PROGRESS, TEXT, RESULT 0 (equal) or 1 (not, or too many verify). */
void verify_start(struct control_client *client, struct daemon *daemon);

#endif
