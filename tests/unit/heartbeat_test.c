/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Heartbeats that answer each other (node_config.answers_heartbeats): who they meet, and that none is late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster.h"

enum { INTERVAL_US = 200000, TOGETHER_US = 1000, SETTLE_US = 2000000, WATCHED_US = 20000000 };

/* Nodes whose timers run out at different times: each begins a part of an interval after the one before. */
static struct cluster *apart(unsigned nodes, bool answers, int64_t clock_ppm)
{
	struct cluster *c = malloc(sizeof(*c));

	cluster_init(c, nodes, 7);
	for (unsigned i = 0; i < nodes; i++) {
		c->nodes[i].config.answers_heartbeats = answers;
		c->nodes[i].clock_ppm = i * clock_ppm;
		cluster_restart(c, i);
		cluster_pause(c, i, (int64_t)i * INTERVAL_US / nodes);
	}
	assert_true(cluster_run_until(c, cluster_is_in_sync, 5000000));
	cluster_run_us(c, SETTLE_US);
	c->record = true;
	return c;
}

static void finish(struct cluster *c)
{
	cluster_finish(c);
	free(c);
}

struct seen {
	unsigned sent;      /* datagrams of the node */
	unsigned alone;     /* those that no other node's went together with */
	int64_t longest_us; /* between two of them */
};

static bool is_accompanied(const struct cluster *c, const struct cluster_packet *packet)
{
	for (size_t i = 0; i < c->recorded_count; i++) {
		int64_t apart_us = c->recorded[i].at.us - packet->at.us;

		if (c->recorded[i].from != packet->from && apart_us >= -TOGETHER_US &&
		    apart_us <= TOGETHER_US)
			return true;
	}
	return false;
}

/* What a node sent since the recording began; a datagram to several counts once. */
static struct seen seen_of(const struct cluster *c, unsigned node)
{
	struct seen seen = {0};
	const struct cluster_packet *last = NULL;

	for (size_t i = 0; i < c->recorded_count; i++) {
		const struct cluster_packet *packet = &c->recorded[i];

		if (packet->from != node || (last && last->at.us == packet->at.us))
			continue;
		if (last && packet->at.us - last->at.us > seen.longest_us)
			seen.longest_us = packet->at.us - last->at.us;
		seen.alone += !is_accompanied(c, packet);
		seen.sent++;
		last = packet;
	}
	return seen;
}

static void nodes_that_answer_send_together(void **state)
{
	struct cluster *c = apart(3, true, 0);

	(void)state;
	cluster_run_us(c, WATCHED_US);
	for (unsigned i = 0; i < c->count; i++) {
		struct seen seen = seen_of(c, i);

		assert_int_equal(seen.alone, 0);
		/* a little more often than the interval says, and not twice as often */
		assert_in_range(seen.sent, WATCHED_US / INTERVAL_US, WATCHED_US / INTERVAL_US * 21 / 20);
	}
	finish(c);
}

/* Who sends first wakes up twice: once for its own, and once for the answers. */
static void two_nodes_take_turns_in_being_first(void **state)
{
	struct cluster *c = apart(2, true, 0);
	unsigned first[2] = {0, 0};

	(void)state;
	cluster_run_us(c, WATCHED_US);
	for (size_t i = 0; i + 1 < c->recorded_count; i += 2) {
		assert_int_not_equal(c->recorded[i].from, c->recorded[i + 1].from);
		first[c->recorded[i].from]++;
	}
	assert_in_range(first[0], first[1] - 1, first[1] + 1);
	finish(c);
}

static void nodes_that_do_not_answer_stay_apart(void **state)
{
	struct cluster *c = apart(3, false, 0);

	(void)state;
	cluster_run_us(c, WATCHED_US);
	for (unsigned i = 0; i < c->count; i++)
		assert_int_equal(seen_of(c, i).alone, seen_of(c, i).sent);
	finish(c);
}

/* Also where datagrams are lost, and clocks run differently. */
static void no_heartbeat_is_later_for_answering(void **state)
{
	struct cluster *c = apart(3, true, 200);

	(void)state;
	c->loss_percent = 20;
	cluster_run_us(c, WATCHED_US);
	for (unsigned i = 0; i < c->count; i++) {
		struct seen seen = seen_of(c, i);

		assert_in_range(seen.longest_us, 1, INTERVAL_US + TOGETHER_US);
		assert_true(seen.sent >= WATCHED_US / INTERVAL_US);
	}
	finish(c);
}

/* Not each STATUS of another's is answered: one that is sent for a reason may come each few milliseconds. */
static void more_than_two_an_interval_are_never_sent_for_it(void **state)
{
	struct cluster *c = apart(2, true, 0);

	(void)state;
	for (unsigned i = 0; i < WATCHED_US / 10000; i++) {
		struct node_event event = {.type = NODE_CONFIGURE, .config = &c->nodes[0].config};

		cluster_step(c, 0, &event);
		cluster_run_us(c, 10000);
	}
	assert_true(seen_of(c, 0).sent > WATCHED_US / 20000);
	assert_in_range(seen_of(c, 1).sent, WATCHED_US / INTERVAL_US, 2 * WATCHED_US / INTERVAL_US);
	finish(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nodes_that_answer_send_together),
	    cmocka_unit_test(two_nodes_take_turns_in_being_first),
	    cmocka_unit_test(nodes_that_do_not_answer_stay_apart),
	    cmocka_unit_test(no_heartbeat_is_later_for_answering),
	    cmocka_unit_test(more_than_two_an_interval_are_never_sent_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
