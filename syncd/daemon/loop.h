/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: epoll, signals, timers, and slices.  A slice is a bounded
 * piece of long work (an audit, a commit); between two of them all that waits is looked at, so a heartbeat is
 * never late by more than a slice or two.  Callbacks may add and remove sources, timers and slices, their own
 * included.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "proto/monotime.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;

/* How long a slice should take, at most. */
enum { LOOP_SLICE_US = 2000 };

/* 0 or a negative errno. */
int loop_open(struct loop **loop);
void loop_close(struct loop *loop);

/* `events` are EPOLLIN, EPOLLOUT ... */
typedef void loop_ready(void *context, uint32_t events);
/* The descriptor stays the caller's, who removes the source before closing it.  0 or a negative errno. */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_ready *ready, void *context,
	     struct loop_source **source);
int loop_modify(struct loop_source *source, uint32_t events);
void loop_remove(struct loop_source *source); /* NULL is fine */

/* Plain data, the caller's; must stay in place while it is added. */
struct loop_timer {
	struct monotime deadline; /* MONOTIME_NEVER: off.  Set it at any time, also from the callback */
	void (*expired)(void *context, struct monotime now);
	void *context;
	/* So much later it may run, together with what else wakes the loop up: each waking costs more than
	 * most timers' work. */
	int64_t patience_us;
	bool unsettled; /* it may run while what a slice left to a thread goes on (loop_slice.settle) */
	struct loop_timer *next;
};
void loop_add_timer(struct loop *loop, struct loop_timer *timer);

struct loop_slice {
	bool active; /* set it to have `run` called; `run` clears it when there is no more to do */
	void (*run)(void *context, struct monotime until); /* returns soon after `until` */
	/* NULL; or what run() leaves to a thread goes on until this is called, which is before any other
	 * callback but that of a timer that says so: nothing else ever sees it half done. */
	void (*settle)(void *context);
	void *context;
	struct loop_slice *next;
};
void loop_add_slice(struct loop *loop, struct loop_slice *slice);

/* Blocks these signals and has them told instead.  `signals` ends with 0.  0 or a negative errno. */
int loop_add_signals(struct loop *loop, const int *signals, void (*caught)(void *context, int signal),
		     void *context);

/* Runs until loop_stop().  0, or a negative errno when epoll fails. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Looks at no descriptor before `until`, so that what comes meanwhile is one piece of work; timers and slices
 * run all the same. */
void loop_rest(struct loop *loop, struct monotime until);

/* How long one turn took at most, waiting apart: no heartbeat was later than that because of us. */
struct monotime loop_longest_turn(const struct loop *loop);

#endif
