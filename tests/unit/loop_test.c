/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/clock.h"
#include "syncd/daemon/loop.h"

#include <errno.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A timer that notes its turn, and the loop that the last one stops. */
struct world {
	struct loop *loop;
	struct monotime start;
	unsigned turns;
	struct mark {
		struct loop_timer timer;
		struct world *world;
		unsigned turn; /* 1: the first to run; 0: not yet */
		struct monotime at;
		bool stops;
	} marks[2];
};

static void note(void *context, struct monotime now)
{
	struct mark *mark = context;

	mark->turn = ++mark->world->turns;
	mark->at = now;
	if (mark->stops)
		loop_stop(mark->world->loop);
}

static void start(struct world *world)
{
	*world = (struct world){.turns = 0};
	assert_int_equal(loop_open(&world->loop), 0);
	world->start = clock_now();
}

static void add(struct world *world, unsigned i, int64_t after_ms, int64_t patience_ms, bool stops)
{
	struct mark *mark = &world->marks[i];

	mark->world = world;
	mark->stops = stops;
	mark->timer = (struct loop_timer){.deadline = monotime_add(world->start, monotime_from_ms(after_ms)),
					  .expired = note,
					  .context = mark,
					  .patience_us = patience_ms * 1000};
	loop_add_timer(world->loop, &mark->timer);
}

static int64_t waited_ms(const struct world *world, unsigned i)
{
	return monotime_sub(world->marks[i].at, world->start).us / 1000;
}

static void a_timer_with_patience_waits_for_another_waking(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	add(&world, 0, 60, 0, true);
	add(&world, 1, 10, 600000, false);
	assert_int_equal(loop_run(world.loop), 0);
	assert_true(world.marks[0].turn > 0 && world.marks[1].turn > 0);
	assert_true(waited_ms(&world, 1) >= 60);
	loop_close(world.loop);
}

static void alone_it_runs_when_its_patience_ends(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	add(&world, 0, 10, 40, true);
	assert_int_equal(loop_run(world.loop), 0);
	assert_true(waited_ms(&world, 0) >= 50);
	loop_close(world.loop);
}

static void a_timer_without_patience_comes_before_one_with_more_of_it(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	add(&world, 0, 100, 0, true);
	add(&world, 1, 20, 20, false);
	assert_int_equal(loop_run(world.loop), 0);
	assert_int_equal(world.marks[1].turn, 1);
	assert_int_equal(world.marks[0].turn, 2);
	assert_true(waited_ms(&world, 1) >= 40);
	loop_close(world.loop);
}

/* Far ones wait in the system call, near ones on a descriptor: each must come, and none before its time. */
static void deadlines_far_and_near_are_kept(void **state)
{
	struct world world;
	(void)state;

	start(&world);
	add(&world, 0, 3, 0, false);
	add(&world, 1, 60, 0, true);
	assert_int_equal(loop_run(world.loop), 0);
	assert_int_equal(world.marks[0].turn, 1);
	assert_int_equal(world.marks[1].turn, 2);
	assert_true(waited_ms(&world, 0) >= 3 && waited_ms(&world, 0) < 60);
	assert_true(waited_ms(&world, 1) >= 60);
	loop_close(world.loop);
}

/* A kernel before 5.11, or a container whose filter of system calls is older than that. */
static void without_the_newer_call_they_are_kept_as_well(void **state)
{
	static const int errors[] = {ENOSYS, EPERM};

	for (unsigned i = 0; i < 2; i++) {
		pid_t child = fork();
		int status = -1;

		assert_true(child >= 0);
		if (child == 0) {
			scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
			if (filter == NULL ||
			    seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)errors[i]),
					     SCMP_SYS(epoll_pwait2), 0) < 0 ||
			    seccomp_load(filter) < 0)
				_exit(1);
			seccomp_release(filter);
			deadlines_far_and_near_are_kept(state);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

/* A slice that leaves work to a thread, and what runs beside it. */
struct left {
	struct world world;
	struct loop_slice slice, other;
	unsigned runs, others, settled;
	bool is_under_way, was_seen_half_done;
	struct loop_source *source;
	int pipe[2];
};

static void leave_work(void *context, struct monotime until)
{
	struct left *left = context;

	(void)until;
	left->runs++;
	left->is_under_way = true;
}

static void settle(void *context)
{
	struct left *left = context;

	left->settled += left->is_under_way;
	left->is_under_way = false;
}

static void look(struct left *left)
{
	left->was_seen_half_done |= left->is_under_way;
}

static void run_other(void *context, struct monotime until)
{
	struct left *left = context;

	(void)until;
	look(left);
	left->other.active = ++left->others < 3;
}

static void readable(void *context, uint32_t events)
{
	struct left *left = context;
	char byte;

	(void)events;
	look(left);
	assert_int_equal(read(left->pipe[0], &byte, 1), 1);
	left->other.active = true;
}

static void end(void *context, struct monotime now)
{
	struct left *left = context;

	(void)now;
	look(left);
	loop_stop(left->world.loop);
}

static void what_a_slice_left_is_settled_before_anything_else_runs(void **state)
{
	struct left left = {.runs = 0};
	(void)state;

	start(&left.world);
	left.slice =
	    (struct loop_slice){.active = true, .run = leave_work, .settle = settle, .context = &left};
	left.other = (struct loop_slice){.run = run_other, .context = &left};
	left.world.marks[0].timer =
	    (struct loop_timer){.deadline = monotime_add(left.world.start, monotime_from_ms(50)),
				.expired = end,
				.context = &left};
	loop_add_slice(left.world.loop, &left.other);
	loop_add_slice(left.world.loop, &left.slice);
	loop_add_timer(left.world.loop, &left.world.marks[0].timer);
	assert_int_equal(pipe(left.pipe), 0);
	assert_int_equal(write(left.pipe[1], "x", 1), 1);
	assert_int_equal(loop_add(left.world.loop, left.pipe[0], EPOLLIN, readable, &left, &left.source), 0);
	assert_int_equal(loop_run(left.world.loop), 0);
	assert_false(left.was_seen_half_done);
	assert_false(left.is_under_way);
	assert_int_equal(left.others, 3);
	assert_true(left.runs > left.settled); /* not at each turn: nothing else ran in most of them */
	loop_remove(left.source);
	close(left.pipe[0]);
	close(left.pipe[1]);
	loop_close(left.world.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_timer_with_patience_waits_for_another_waking),
	    cmocka_unit_test(alone_it_runs_when_its_patience_ends),
	    cmocka_unit_test(a_timer_without_patience_comes_before_one_with_more_of_it),
	    cmocka_unit_test(deadlines_far_and_near_are_kept),
	    cmocka_unit_test(without_the_newer_call_they_are_kept_as_well),
	    cmocka_unit_test(what_a_slice_left_is_settled_before_anything_else_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
