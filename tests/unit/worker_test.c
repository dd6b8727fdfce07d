/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PIECES = 5000, WINDOW = 5 };

/* Plain fields, on purpose: that the two threads never touch one at a time is what is promised. */
struct piece {
	unsigned number, done_as;
};

struct bench {
	struct worker *worker;
	unsigned done;
	sem_t gate; /* posted once for each piece that may be worked on */
	bool is_gated;
	sigset_t signals; /* that the thread has blocked */
};

static void work(void *context, void *piece)
{
	struct bench *bench = context;

	if (bench->is_gated)
		while (sem_wait(&bench->gate)) /* EINTR */
			;
	pthread_sigmask(SIG_SETMASK, NULL, &bench->signals);
	((struct piece *)piece)->done_as = ++bench->done;
}

static void start(struct bench *bench, bool is_gated)
{
	memset(bench, 0, sizeof(*bench));
	bench->is_gated = is_gated;
	assert_int_equal(sem_init(&bench->gate, 0, 0), 0);
	assert_int_equal(worker_start(&bench->worker, "test", work, bench), 0);
}

static void open_gate(struct bench *bench, unsigned pieces)
{
	while (pieces--)
		assert_int_equal(sem_post(&bench->gate), 0);
}

static void pieces_are_done_and_come_back_in_order(void **state)
{
	static struct piece pieces[PIECES];
	struct bench bench;
	struct piece *piece;
	unsigned handed = 0, taken = 0;

	(void)state;
	start(&bench, false);
	while (taken < PIECES) {
		while (handed < PIECES && handed - taken < WINDOW) {
			pieces[handed].number = handed;
			worker_hand(bench.worker, &pieces[handed++]);
		}
		worker_wait(bench.worker, handed % WINDOW);
		while ((piece = worker_take(bench.worker))) {
			assert_int_equal(piece->number, taken++);
			assert_int_equal(piece->done_as, taken);
		}
	}
	assert_null(worker_take(bench.worker));
	worker_end(bench.worker);
}

static void nothing_comes_back_before_it_is_done(void **state)
{
	struct piece pieces[2] = {{.number = 0}, {.number = 1}};
	struct bench bench;

	(void)state;
	start(&bench, true);
	worker_hand(bench.worker, &pieces[0]);
	worker_hand(bench.worker, &pieces[1]);
	assert_null(worker_take(bench.worker));
	open_gate(&bench, 1);
	worker_wait(bench.worker, 1);
	assert_ptr_equal(worker_take(bench.worker), &pieces[0]);
	assert_null(worker_take(bench.worker));
	open_gate(&bench, 1);
	worker_wait(bench.worker, 0);
	assert_ptr_equal(worker_take(bench.worker), &pieces[1]);
	worker_wait(bench.worker, 0); /* for nothing */
	worker_end(bench.worker);
}

static void as_many_as_fit_may_be_out(void **state)
{
	struct piece pieces[WORKER_PIECES_MAX];
	struct bench bench;

	(void)state;
	start(&bench, true);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < WORKER_PIECES_MAX; i++)
			worker_hand(bench.worker, &pieces[i]);
		open_gate(&bench, WORKER_PIECES_MAX);
		worker_wait(bench.worker, 0);
		for (unsigned i = 0; i < WORKER_PIECES_MAX; i++)
			assert_ptr_equal(worker_take(bench.worker), &pieces[i]);
	}
	worker_end(bench.worker);
}

/* In the middle of its work, with more that waits. */
static void ending_waits_until_all_is_done(void **state)
{
	struct piece pieces[3] = {{.number = 0}};
	struct bench bench;

	(void)state;
	start(&bench, true);
	for (unsigned i = 0; i < 3; i++)
		worker_hand(bench.worker, &pieces[i]);
	open_gate(&bench, 3);
	worker_end(bench.worker);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pieces[i].done_as, i + 1);
	start(&bench, false);
	worker_end(bench.worker); /* without any work */
	worker_end(NULL);
}

static void signals_are_not_for_it(void **state)
{
	struct piece piece = {.number = 0};
	struct bench bench;
	sigset_t before, after;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	start(&bench, false);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	worker_hand(bench.worker, &piece);
	worker_wait(bench.worker, 0);
	worker_end(bench.worker);
	assert_int_equal(sigismember(&bench.signals, SIGTERM), 1);
	assert_int_equal(sigismember(&bench.signals, SIGHUP), 1);
	assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

/* Exits with what worker_start() returns where no thread may be had. */
static void start_without_threads(void)
{
	struct rlimit none = {0, 0};
	struct bench bench;

	if (getuid() == 0 && setresuid(65534, 65534, 65534) < 0) /* root has no such limit */
		_exit(0);
	if (setrlimit(RLIMIT_NPROC, &none) < 0)
		_exit(0);
	_exit(-worker_start(&bench.worker, "test", work, &bench));
}

static void a_limit_of_threads_is_told(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		start_without_threads();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_limit_of_threads_is_told), /* first: it forks */
	    cmocka_unit_test(pieces_are_done_and_come_back_in_order),
	    cmocka_unit_test(nothing_comes_back_before_it_is_done),
	    cmocka_unit_test(as_many_as_fit_may_be_out),
	    cmocka_unit_test(ending_waits_until_all_is_done),
	    cmocka_unit_test(signals_are_not_for_it),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
