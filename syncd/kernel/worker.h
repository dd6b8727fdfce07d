/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that carries out pieces of work, one after the other, in the order in which they are handed over.
 * A piece, and what its work needs besides, is the thread's from then until it is taken back; they share
 * nothing else.  All calls are for one thread, the one that started it.
 */
#ifndef KERNEL_WORKER_H
#define KERNEL_WORKER_H

struct worker;

enum { WORKER_PIECES_MAX = 16 };

/* Called in the thread.  `context` is worker_start()'s. */
typedef void worker_work(void *context, void *piece);

/*
 * Starts the thread, which takes no signals, and sleeps while there is nothing to do.  `name`: what is shown
 * of it, at most 15 bytes.  0, or a negative errno (-EAGAIN: a limit of threads or memory).
 */
int worker_start(struct worker **worker, const char *name, worker_work *work, void *context);

/* Ends the thread when all that was handed over is done, which is not taken back then.  NULL is fine. */
void worker_end(struct worker *worker);

/* Hands a piece over, which is not NULL; at most WORKER_PIECES_MAX may be out at once. */
void worker_hand(struct worker *worker, void *piece);

/* Waits until at most `left` of what was handed over is not done yet. */
void worker_wait(struct worker *worker, unsigned left);

/* Takes the oldest piece back if it is done; else NULL.  Never waits. */
void *worker_take(struct worker *worker);

#endif
