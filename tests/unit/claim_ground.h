/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of claims have in common: A had the traffic, B takes over, and A's daemon is restarted. */
#ifndef TESTS_CLAIM_GROUND_H
#define TESTS_CLAIM_GROUND_H

#include "tests/unit/cluster.h"

enum { A, B, C };

/* Connections number 0 to CLAIM_OLD - 1 are from before; those that begin later count from CLAIM_FIRST_NEW.
 */
enum { CLAIM_OLD = 100, CLAIM_NEW = 50, CLAIM_FIRST_NEW = 1000 };

/* Two nodes, or that many: A is primary, with the old connections, which the others have, too.  Goes with
 * cluster_free(). */
struct cluster *claim_start(void);
struct cluster *claim_start_many(unsigned nodes);

/* A's daemon, as primary of its first term, as its state file has it; its kernel has all that it had. */
void claim_restart(struct cluster *c);

/* It asks for that role, and finds nothing to take over: as the daemon does that goes on in its term. */
void claim_say_role(struct cluster *c, unsigned index, enum frame_role role);

/* A's daemon, which is told no role, and is caught up by all. */
void claim_restart_without_role(struct cluster *c);

/* A is out of sight, by its end or by that of the link between them: B takes over, and drops its copy of A as
 * committed. */
void claim_take_over_and_drop(struct cluster *c);

/* B gives the role away and takes it back. */
void claim_give_away_and_take_back(struct cluster *c);

/* `count` connections from number `first` on end in the kernel of that node, by their own doing. */
void claim_close(struct cluster *c, unsigned index, uint32_t first, uint32_t count);

/* How many of these that node's kernel has. */
uint32_t claim_in_kernel(struct cluster *c, unsigned index, uint32_t first, uint32_t count);

/* To be cluster.tamper: A's heartbeats pass, its flows do not. */
bool claim_drop_what_is_long(void *context, struct cluster_packet *packet);

/* Of what was removed from its own table that node knows nothing any more. */
void claim_forget_removals(struct cluster *c, unsigned index);

#endif
