/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carries out role changes and commits: one at a time, in the order of the requests, each idempotent, each
 * answering with what it did.
 *
 * primary: the fence stays closed, the peers' flows go into the kernel in slices, then the role changes, then
 * the fence opens.  backup, fault: the role changes, then the fence closes.  commit: the first half of
 * primary.
 */
#ifndef DAEMON_TRANSITION_H
#define DAEMON_TRANSITION_H

#include "syncd/daemon/control.h"
#include "syncd/daemon/drive.h"
#include "syncd/daemon/guard.h"
#include "syncd/kernel/commit.h"

struct transition;

enum { TRANSITION_WAITING_MAX = 64 };

/* All borrowed; they must outlive the transition. */
struct transition_parts {
	struct loop *loop;
	struct log *log;
	const struct config *config; /* read at each transition: a reload changes it in place */
	struct drive *drive;
	struct guard *guard;
	struct commit *commit;
	const struct filter *filter;
	void (*role_changed)(void *context); /* to write the state file, and look at the guard's deadline */
	void *context;
};

int transition_open(struct transition **transition, const struct transition_parts *parts);
void transition_close(struct transition *transition); /* NULL is fine */

enum transition_kind { TRANSITION_PRIMARY, TRANSITION_BACKUP, TRANSITION_FAULT, TRANSITION_COMMIT };

/* Queues a request; the client is answered (PROGRESS, JSON, RESULT) when it is done.  NULL: nobody waits for
 * it. */
void transition_request(struct transition *transition, enum transition_kind kind,
			struct control_client *client);

/* At start: takes a role without a commit, for the kernel has its flows already. */
void transition_resume(struct transition *transition, enum frame_role role);

bool transition_is_running(const struct transition *transition);

/* The role that is asked for: of the newest request that waits or runs; `current` if there is none. */
enum frame_role transition_wanted_role(const struct transition *transition, enum frame_role current);

#endif
