/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each action of a schedule does. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "tests/sim/world.h"

/* Plans an action that much later. */
void schedule_plan(struct schedule *schedule, const struct world *world, int64_t in_us, struct action action);

void fault_run(struct schedule *schedule, struct world *world, const struct action *action);

/* "kill", "power cut", ... */
const char *fault_name(enum action_kind kind);

/* A host other than that one that is powered; -1: there is none. */
int fault_other_host(struct schedule *schedule, const struct world *world, unsigned host);

#endif
