/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/daemon.h"

#include "proto/trace.h"
#include "tests/sim/invariant.h"
#include "tests/sim/warm.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum {
	AUDIT_PAUSE_US = 5000,
	LOOK_AT_PEERS_US = 50000,
	GETS_A_TURN = 32,
	DRAIN_BUDGET = 32, /* less than a queue holds, as in the daemon */
	COST_STEP_NS = 500,
	COST_SEND_NS = 2000,
};

/* ---- effects ---- */

static void do_send(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
		    size_t length)
{
	struct host *host = context;
	int destination = to ? to->bytes[0] : -1;

	host->step_sends++;
	host->cost_ns += COST_SEND_NS;
	world_digest(host->world, bytes, length);
	invariant_on_send(host, link, destination, bytes, length);
	if (destination != NET_ATTACKER)
		net_send(&host->world->net, host->world->now_us, host->index, destination, link, bytes,
			 length);
}

static void do_get_flow(void *context, const struct flow *key)
{
	struct host *host = context;
	uint32_t number;

	host->step_gets++;
	if (!connection_number(key, &number)) {
		world_fail(host->world, "host %u asks for a flow that is nobody's", host->id);
		return;
	}
	if (host->gets.count == HOST_GETS) {
		world_fail(host->world, "(i) host %u asks for too many flows at once", host->id);
		return;
	}
	if (!host->gets.count)
		host->gets.at_us = host->world->now_us + host->get_delay_us;
	host->gets.asked[(host->gets.first + host->gets.count++) % HOST_GETS] = *key;
}

static void do_audit_now(void *context)
{
	struct host *host = context;

	host->audit.wanted = true;
	host->audit.fast = true;
	host->audit.at_us = host->world->now_us;
}

static void do_log(void *context, enum node_log_level level, const char *id, const char *text)
{
	struct host *host = context;

	(void)level;
	world_trace(host->world, host, "%s: %s", id, text);
	if (!strcmp(id, "not-arriving"))
		world_meets(host->world, SITUATION_NARROW_FOUND);
}

static void do_follow(void *context, const struct flow *flow, bool gone)
{
	struct host *host = context;

	if (host->follows_count == host->follows_size) {
		host->follows_size = host->follows_size ? 2 * host->follows_size : 64;
		host->follows = realloc(host->follows, host->follows_size * sizeof(*host->follows));
		if (!host->follows)
			abort();
	}
	host->follows[host->follows_count++] = (struct host_followed){.flow = *flow, .gone = gone};
	world_meets(host->world, SITUATION_FOLLOW);
}

static void do_withdraw(void *context)
{
	struct host *host = context;

	host->withdraws = true;
	host->withdraw_after = 0;
	world_meets(host->world, SITUATION_WITHDRAW);
}

/* syncd/kernel/timeouts: the larger of the recorded one and the default, less what has elapsed. */
static uint32_t do_remaining_s(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	struct connection connection = connection_of(flow);
	uint32_t number = 0, timeout_s;

	(void)context;
	connection_number(flow, &number);
	timeout_s = connection_timeout_s(number, &connection);
	if (flow->timeout_s > timeout_s)
		timeout_s = flow->timeout_s;
	return timeout_s > elapsed_s ? timeout_s - elapsed_s : 0;
}

static void do_foreign(void *context, enum node_foreign_act act, const struct flow *flow, uint32_t elapsed_s)
{
	warm_push(context, act, flow, elapsed_s);
}

static void do_random(void *context, void *bytes, size_t size)
{
	struct host *host = context;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)random_draw(&host->random);
}

/* ---- events ---- */

int daemon_create(struct host *host)
{
	struct node_sink sink = {.context = host,
				 .send = do_send,
				 .get_flow = do_get_flow,
				 .audit_now = do_audit_now,
				 .log = do_log,
				 .random = do_random,
				 .follow = do_follow,
				 .withdraw = do_withdraw,
				 .remaining_s = do_remaining_s,
				 .foreign = do_foreign};

	return node_create(&host->node, &host->config, &sink, host_clock(host));
}

static void trace_step(const struct host *host, const struct node_event *event)
{
	char line[TRACE_LINE_SIZE];

	if (world_is_traced(host->world) && event->type != NODE_TIME)
		world_trace(host->world, host, "%s", trace_event(event, line));
}

void daemon_step(struct host *host, struct node_event *event)
{
	event->now = host_clock(host);
	host->step_sends = host->step_gets = 0;
	host->cost_ns += COST_STEP_NS;
	host->deadline_us = host->warm.deadline_us = INT64_MIN;
	trace_step(host, event);
	if (event->type == NODE_ROLE)
		host->role = event->role;
	invariant_before_step(host, event);
	node_step(host->node, event);
	invariant_after_step(host, event);
	if (event->type == NODE_ROLE && event->role == FRAME_ROLE_PRIMARY)
		warm_adopted(host);
}

static bool is_filtered(const struct host *host, const struct flow *flow)
{
	uint32_t number;

	return connection_number(flow, &number) && warm_is_local(host, number);
}

void daemon_read_events(struct host *host, unsigned budget)
{
	struct flow flow;
	int got;

	while (budget--) {
		struct node_event event = {.flow = &flow};

		got = kernel_read(&host->kernel, &event.type, &flow, host->world->now_us);
		if (!got)
			return;
		if (got < 0)
			event.type = host->kernel.congested ? NODE_OVERRUN : NODE_OVERRUN_ENDED;
		host->is_lossy |= event.type == NODE_OVERRUN;
		if (got < 0 || !is_filtered(host, &flow))
			daemon_step(host, &event);
		if (host->is_lossy && !host->kernel.congested) {
			event.type = NODE_OVERRUN_ENDED;
			host->is_lossy = false;
			daemon_step(host, &event);
		}
	}
	host->kernel.readable_us = host->world->now_us;
}

/* An answer is newer than every event before it: so those come first. */
void daemon_run_gets(struct host *host)
{
	if (!host->gets.count || host->gets.at_us > host->world->now_us)
		return;
	daemon_read_events(host, DRAIN_BUDGET);
	if (host->kernel.queue_count || host->kernel.overrun)
		return;
	for (unsigned i = 0; i < GETS_A_TURN && host->gets.count; i++) {
		struct flow found, *asked = &host->gets.asked[host->gets.first];
		struct node_event event = {.type = NODE_GET_REPLY, .flow = asked};
		uint32_t number = 0;

		host->gets.first = (host->gets.first + 1) % HOST_GETS;
		host->gets.count--;
		connection_number(asked, &number);
		event.found = kernel_row(&host->kernel, number, &found, host->world->now_us);
		if (event.found)
			event.flow = &found;
		daemon_step(host, &event); /* may ask again: into another place */
	}
	host->gets.at_us = host->world->now_us + host->get_delay_us;
}

/* ---- audit ---- */

static void begin_pass(struct host *host)
{
	struct node_event event = {.type = NODE_AUDIT_BEGIN};

	host->audit.fast = host->audit.wanted;
	host->audit.wanted = false;
	host->audit.runs = true;
	host->audit.passes++;
	host->audit.next = 0;
	/* a table that is being resized: a dump misses rows, and knows it (FACTS) */
	host->audit.unclean = random_chance(&host->random, 30);
	host->audit.begun_us = host->world->now_us;
	daemon_step(host, &event);
}

static void end_pass(struct host *host)
{
	struct node_event event = {.type = NODE_AUDIT_END, .clean = !host->audit.unclean};

	host->audit.runs = false;
	host->audit.at_us = host->audit.begun_us + host->audit.interval_us;
	if (host->audit.wanted)
		host->audit.at_us = host->world->now_us;
	daemon_step(host, &event);
}

void daemon_run_audit(struct host *host)
{
	struct host_audit *audit = &host->audit;
	unsigned rows = 0;

	if (audit->at_us > host->world->now_us)
		return;
	if (!audit->runs && warm_audit_waits(host)) {
		audit->at_us = host->world->now_us + LOOK_AT_PEERS_US;
		return;
	}
	if (!audit->runs)
		begin_pass(host);
	daemon_read_events(host, DRAIN_BUDGET);
	while (audit->next < host->kernel.numbers && rows < audit->rows) {
		struct flow flow;
		struct node_event event = {.type = NODE_AUDIT_ROW, .flow = &flow};

		if (!kernel_row(&host->kernel, audit->next++, &flow, host->world->now_us))
			continue;
		if (is_filtered(host, &flow))
			continue;
		rows++;
		if (audit->unclean && random_chance(&host->random, 100))
			continue;
		daemon_step(host, &event);
	}
	audit->at_us = host->world->now_us + (audit->fast ? audit->fast_us : AUDIT_PAUSE_US);
	if (audit->next >= host->kernel.numbers)
		end_pass(host);
}
