/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/clock.h"
#include "syncd/daemon/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_timer_with_patience_waits_for_another_waking),
	    cmocka_unit_test(alone_it_runs_when_its_patience_ends),
	    cmocka_unit_test(a_timer_without_patience_comes_before_one_with_more_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
