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
void daemon_run_retake(struct host *host);
void daemon_run_withdrawal(struct host *host);
void daemon_run_follows(struct host *host);

/* What is left of a flow's time. */
uint32_t daemon_remaining_s(uint32_t number, const struct flow *flow, uint32_t elapsed_s);
/* Writes a flow to the kernel; `*made` is then the flow as it is there. */
enum kernel_result daemon_commit(struct host *host, const struct flow *flow, uint32_t timeout_s,
				 enum kernel_way way, struct flow *made);

/* Writes the state file, as the daemon does after each step. */
void daemon_keep_state(struct host *host);

/* A table that a takeover commits, where it is now; false: it is gone, or another has it. */
bool daemon_find_table(const struct host *host, const struct host_table *wanted,
		       struct node_table_view *found);

/* A transition; `primary` begins by committing what the peers' tables hold. */
void daemon_change_role(struct host *host, enum frame_role role);

#endif
