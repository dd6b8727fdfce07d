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

/* `count` connections from number `first` on end in the kernel of that node, by their own doing. */
void claim_close(struct cluster *c, unsigned index, uint32_t first, uint32_t count);

/* How many of these that node's kernel has. */
uint32_t claim_in_kernel(struct cluster *c, unsigned index, uint32_t first, uint32_t count);

/* To be cluster.tamper: A's heartbeats pass, its flows do not. */
bool claim_drop_what_is_long(void *context, struct cluster_packet *packet);

/* Of what was removed from its own table that node knows nothing any more. */
void claim_forget_removals(struct cluster *c, unsigned index);

#endif
