/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	STACK = 256 * 1024, /* address space, of which the work touches a few pages */
	NOBODY_WAITS = WORKER_PIECES_MAX,
};

struct worker {
	worker_work *work;
	void *context;
	pthread_t thread;
	unsigned taken; /* these two and `handed` count pieces, and are used modulo WORKER_PIECES_MAX */
	/* what the threads share, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t has_work, is_done;
	void *pieces[WORKER_PIECES_MAX];
	unsigned handed, done;
	unsigned awaited; /* so few left that the one who waits goes on; NOBODY_WAITS */
	bool ends;
};

static void *next_piece(struct worker *worker)
{
	void *piece = NULL;

	pthread_mutex_lock(&worker->lock);
	while (worker->done == worker->handed && !worker->ends)
		pthread_cond_wait(&worker->has_work, &worker->lock);
	if (worker->done != worker->handed)
		piece = worker->pieces[worker->done % WORKER_PIECES_MAX];
	pthread_mutex_unlock(&worker->lock);
	return piece;
}

/* A wake-up costs more than the work on many a piece: only who has waited for as much is woken. */
static void tell_done(struct worker *worker)
{
	bool is_awaited;

	pthread_mutex_lock(&worker->lock);
	worker->done++;
	is_awaited = worker->handed - worker->done == worker->awaited;
	pthread_mutex_unlock(&worker->lock);
	if (is_awaited)
		pthread_cond_signal(&worker->is_done);
}

static void *run(void *context)
{
	struct worker *worker = context;
	void *piece;

	while ((piece = next_piece(worker))) {
		worker->work(worker->context, piece);
		tell_done(worker);
	}
	return NULL;
}

/* Signals stay with the thread that asks for them: what this one starts takes none. */
static int start_thread(struct worker *worker)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int error = pthread_attr_init(&attributes);

	if (error)
		return -error;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_attr_setstacksize(&attributes, STACK);
	if (!error)
		error = pthread_create(&worker->thread, &attributes, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}

int worker_start(struct worker **result, const char *name, worker_work *work, void *context)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int error;

	if (!worker)
		return -ENOMEM;
	worker->work = work;
	worker->context = context;
	worker->awaited = NOBODY_WAITS;
	pthread_mutex_init(&worker->lock, NULL); /* the Linux ones can't fail */
	pthread_cond_init(&worker->has_work, NULL);
	pthread_cond_init(&worker->is_done, NULL);
	error = start_thread(worker);
	if (error) {
		free(worker);
		return error;
	}
	pthread_setname_np(worker->thread, name); /* only shown */
	*result = worker;
	return 0;
}

void worker_end(struct worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->ends = true;
	pthread_mutex_unlock(&worker->lock);
	pthread_cond_signal(&worker->has_work);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->has_work);
	pthread_cond_destroy(&worker->is_done);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

void worker_hand(struct worker *worker, void *piece)
{
	bool sleeps;

	pthread_mutex_lock(&worker->lock);
	sleeps = worker->done == worker->handed;
	worker->pieces[worker->handed++ % WORKER_PIECES_MAX] = piece;
	pthread_mutex_unlock(&worker->lock);
	if (sleeps)
		pthread_cond_signal(&worker->has_work);
}

void worker_wait(struct worker *worker, unsigned left)
{
	pthread_mutex_lock(&worker->lock);
	while (worker->handed - worker->done > left) {
		worker->awaited = left;
		pthread_cond_wait(&worker->is_done, &worker->lock);
	}
	worker->awaited = NOBODY_WAITS;
	pthread_mutex_unlock(&worker->lock);
}

void *worker_take(struct worker *worker)
{
	void *piece = NULL;

	pthread_mutex_lock(&worker->lock);
	if (worker->taken != worker->done)
		piece = worker->pieces[worker->taken++ % WORKER_PIECES_MAX];
	pthread_mutex_unlock(&worker->lock);
	return piece;
}
