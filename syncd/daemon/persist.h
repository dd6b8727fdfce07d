/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon keeps in the state file (syncd/control/state.h), and how it goes on from there at its
 * start:
 *
 *   wanted   reached          at start
 *   primary  primary          primary at once, without a commit: the kernel has the flows, and no packet
 * waits primary  anything else    backup (fault) with the fence closed, until the peers' tables are here;
 * then a takeover backup   primary          backup, with leftovers in the kernel to hand over other the
 * wanted role init                      no role
 *
 * The command writes the wanted role before it tells us.  So what is found there, and was not written by us,
 * stands until the request comes.
 */
#ifndef DAEMON_PERSIST_H
#define DAEMON_PERSIST_H

struct daemon;

/* Before the node is made: reads the file, and fills what the node is to know from before. */
void persist_read(struct daemon *daemon);

/* When all parts are open: takes up the role. */
void persist_resume(struct daemon *daemon);

/* Writes the file when it would differ, or could not be written the last time.  A failure is logged; nothing
 * waits for it. */
void persist_save(struct daemon *daemon);

/* After each step: saves, if the node shows something else that is to be kept.  Cheap if not. */
void persist_look(struct daemon *daemon);

#endif
