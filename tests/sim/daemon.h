/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What twintrackd does between the node and its kernel (syncd/daemon/drive, auditor, takeover, transition):
 * the part of the simulator to widen when the daemon learns something new.
 */
#ifndef SIM_DAEMON_H
#define SIM_DAEMON_H

#include "tests/sim/host.h"

/* Makes the host's node.  0 or a negative errno. */
int daemon_create(struct host *host);

/* Gives an event to the node, with the time; then looks at the invariants. */
void daemon_step(struct host *host, struct node_event *event);

/* Reads at most that many events of the kernel. */
void daemon_read_events(struct host *host, unsigned budget);

/* Go on with what is under way, and due. */
void daemon_run_gets(struct host *host);
void daemon_run_audit(struct host *host);
void daemon_run_takeover(struct host *host);

/* A transition; `primary` begins by committing what the peers' tables hold. */
void daemon_change_role(struct host *host, enum frame_role role);

#endif
