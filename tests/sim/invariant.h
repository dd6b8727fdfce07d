/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must always hold:
 *
 *  (a) when faults stop, every pair becomes equal, says so, and each internal table equals its kernel;
 *  (b) in_sync is claimed only of a copy that equalled the owner's table at a version that was its newest
 *      less than two heartbeats before;
 *  (c) what was destroyed at its owner is in no table of a peer that has applied that version;
 *  (d) applied never goes back within a session;
 *  (e) memory stays within its limits;
 *  (f) to an address of no fresh peer go no more bytes than came from it;
 *  (g) nothing but a holder of the key, now, changes a table or becomes current;
 *  (h) a takeover commits all that was replicated and nothing that had ended, and what is held for a node
 *      outlives its daemon;
 *  (i) a heartbeat is late for no table's size: a step's work is bounded.
 *
 * and of copies, in warm mode (warm.c):
 *
 *  (j) nothing that is done to them touches a connection of the host itself;
 *  (k) none runs out while its owner lives and is in step;
 *  (l) none is given more time than its flow has since its owner was last alive;
 *  (h) after a takeover the kernel has all that was held when it began;
 *  (a) at rest the kernel has a copy of all that live peers name, and none that nobody names.
 *
 * Called by host, daemon and world at the moments that the names tell; what does not hold is told to
 * world_fail().
 */
#ifndef SIM_INVARIANT_H
#define SIM_INVARIANT_H

#include "tests/sim/host.h"

struct invariants;

struct invariants *invariant_create(void);
void invariant_destroy(struct invariants *invariants);
/* When the world's hosts are made.  0 or -ENOMEM. */
int invariant_init(struct world *world);

void invariant_after_start(struct host *host);
void invariant_before_end(struct host *host); /* of its daemon */
void invariant_before_power_off(struct host *host);
void invariant_before_power_on(struct host *host);
void invariant_on_flush(struct host *host);
void invariant_before_step(struct host *host, const struct node_event *event);
void invariant_after_step(struct host *host, const struct node_event *event);
void invariant_after_turn(struct host *host);
void invariant_before_pause(struct host *host);
void invariant_on_send(struct host *host, unsigned link, int to, const uint8_t *bytes, size_t length);
void invariant_before_takeover(struct host *host);
void invariant_on_commit(struct host *host, uint16_t owner, uint32_t number, enum kernel_result result);
void invariant_after_takeover(struct host *host);
void invariant_on_withdrawal(struct host *host, uint32_t number);

/* Whether that flow of that host, whose last packet passed there then, is in another kernel too, has ended
 * there since, or came there too late. */
bool invariant_is_elsewhere(const struct host *host, uint32_t number, int64_t lived_us);

/* The table's live entry of that connection; NULL: none. */
const struct table_entry *invariant_find(const struct table *table, uint32_t number);

/* (a), now; `fail` (or NULL) is told what is missing. */
bool invariant_all_is_equal(struct world *world, void (*fail)(struct world *, const char *, ...));

#endif
