/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carries out role changes and commits: one at a time, in the order of the requests, each idempotent, each
 * answering with what it did.
 *
 * primary: the fence stays closed, the peers' flows go into the kernel in slices, then the role changes, then
 * the fence opens.  backup, fault: the role changes, then the fence closes.  commit: the first half of
 * primary.
 *
 * The last word counts: a `backup` or `fault` that comes while a `primary` or `commit` runs or waits has it
 * broken off at its next slice, and answered as failed, with what it had done; what it had committed is given
 * back as leftovers.
 *
 * A `primary` in the first moments of a daemon waits until those who live can have been heard: else it would
 * find nothing to commit, and nobody to follow.
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
	struct expectations *expectations;
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

/* At start: a `primary` was asked for, and not reached.  Takes over once the peers' tables are here and
 * proven, or nobody is heard; after some seconds with what there is. */
void transition_resume_takeover(struct transition *transition);

/* Primary all the time, while another node was primary too and has given way: takes what it has.  To be
 * called now and then. */
void transition_retake_if_needed(struct transition *transition);

bool transition_is_running(const struct transition *transition);

/* True while flows are being committed. */
bool transition_commits(const struct transition *transition);

/* The role that was asked for last, whether it is reached or not. */
enum frame_role transition_wanted_role(const struct transition *transition);
void transition_set_wanted_role(struct transition *transition, enum frame_role role);

#endif
