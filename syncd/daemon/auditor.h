/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Audit passes: when one begins, how fast it goes, and the single flows that the node wants read.  A pass at
 * start, after lost events, or that was asked for goes at full speed; the regular ones are spread, so that
 * what no event told is found within an interval.
 *
 * After a takeover of a large table users' packets wait for the processor, and a pass proves nothing to them:
 * none goes on for some seconds, nor before the last copy of warm mode is adopted, and for some more none
 * goes at full speed.
 */
#ifndef DAEMON_AUDITOR_H
#define DAEMON_AUDITOR_H

#include "syncd/daemon/drive.h"

/* the node asks for 512 flows at most before it is answered (LOCAL_ASKED_MAX) */
enum { AUDITOR_GETS_MAX = 1024 };

struct auditor {
	struct drive *drive;
	struct log *log;
	struct audit *audit;
	const struct filter *filter;
	struct expectations *expectations;
	struct loop_slice slice;     /* of the pass */
	struct loop_slice get_slice; /* of the queue of GETs */
	struct loop_timer timer;     /* next slice of a spread pass, or the next pass */
	struct loop_timer get_timer; /* after a GET that failed */
	struct monotime interval, pause, begun, opened;
	struct monotime held_until, gentle_until; /* after a takeover */
	bool runs, fast;
	bool wanted; /* another pass at full speed */
	bool again;  /* another one, spread: rows that the running one has passed by are to be looked at again
		      */
	/* rows that the filter keeps out are wanted: after it has changed they are flows that are known */
	bool wants_all, reads_all;
	bool no_dump_filter; /* the kernel doesn't know it */
	unsigned repeats;    /* passes in a row that were interrupted */
	unsigned get_first, get_count;
	struct flow gets[AUDITOR_GETS_MAX];
	struct drive_statistics statistics;
};

/* Begins with a pass at once. */
void auditor_start(struct auditor *auditor, struct drive *drive, const struct drive_parts *parts,
		   struct monotime interval);
void auditor_audit_now(struct auditor *auditor);
void auditor_audit_soon(struct auditor *auditor);
/* A takeover is over, and users' packets come first. */
void auditor_give_way(struct auditor *auditor);
/* The next whole pass looks at all flows, not only at those that the kernel chooses by the filter. */
void auditor_filter_changed(struct auditor *auditor);
void auditor_get(struct auditor *auditor, const struct flow *key);
void auditor_set_interval(struct auditor *auditor, struct monotime interval);

#endif
