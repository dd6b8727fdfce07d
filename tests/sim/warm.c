/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/warm.h"

#include "tests/sim/daemon.h"
#include "tests/sim/invariant_state.h"

#include <string.h>

enum {
	PEERS_US = 1500000, /* as in syncd/daemon/auditor.c */
	TABLES_US = 10000000,
	COST_ACT_NS = 1500,
	STEADY_US = 4000000, /* a copy whose owner came back is refreshed within that */
	UNREAD_US = 1000000, /* an event waits that long, at most */
	SLACK_S = 5,         /* an owner that dies is known to be silent within that */
};

static struct world *world_of(const struct host *host)
{
	return host->world;
}

static bool is_active(const struct host *host)
{
	struct node_foreign_view view;

	if (!host->node || !host->warm.acts)
		return false;
	node_foreign_view(host->node, &view);
	return view.active;
}

bool warm_is_local(const struct host *host, uint32_t number)
{
	const struct traffic *traffic = &world_of(host)->traffic;
	uint32_t first = traffic->service + host->index * traffic->own;

	return world_of(host)->wide.warm && number >= first && number < first + traffic->own;
}

bool warm_is_of_a_host(const struct world *world, uint32_t number)
{
	return world->wide.warm && number >= world->traffic.service;
}

/* ---- what must hold ---- */

static void check_local(const struct host *host, uint32_t number, const char *what)
{
	if (warm_is_local(host, number))
		world_fail(world_of(host), "(j) host %u %s connection %u, its own", host->id, what, number);
}

/* When its owner was alive last, of those that have it; INT64_MAX: now, or we do not know. */
static int64_t alive_until_us(const struct host *host, uint32_t number)
{
	struct node_table_view views[NODE_TABLES_MAX];
	unsigned count = node_tables(host->node, views);
	int64_t latest_us = 0, ended_us;

	for (unsigned i = 0; i < count; i++) {
		const struct host *owner = &world_of(host)->hosts[views[i].id - 1];

		if (!invariant_find(views[i].table, number))
			continue;
		ended_us = invariant_record(owner)->ended_us;
		if (views[i].orphan || ended_us == INT64_MAX)
			return INT64_MAX;
		latest_us = ended_us > latest_us ? ended_us : latest_us;
	}
	return latest_us ? latest_us : INT64_MAX;
}

/*
 * It was stopped while its owner died, or so soon after that it could not know.  It does not hold the silence
 * of that time against the owner at once (doc/protocol.md, Sessions).
 */
static bool has_slept_through(const struct host *host, int64_t death_us)
{
	int64_t slack_us = SLACK_S * INT64_C(1000000);

	return host->paused_until_us > death_us && host->paused_us < death_us + slack_us &&
	       world_of(host)->now_us < host->paused_until_us + slack_us;
}

/* Its owner's death is no reason to live longer. */
static void check_time(const struct host *host, const struct flow *flow, uint32_t number, uint32_t timeout_s)
{
	int64_t until_us = alive_until_us(host, number), silent_s;

	if (until_us == INT64_MAX || has_slept_through(host, until_us))
		return;
	silent_s = (world_of(host)->now_us - until_us) / 1000000;
	if ((int64_t)timeout_s + silent_s > (int64_t)daemon_remaining_s(number, flow, 0) + SLACK_S)
		world_fail(
		    world_of(host),
		    "(l) host %u gives a copy of connection %u another %u s; its owner is dead for %lld",
		    host->id, number, timeout_s, (long long)silent_s);
}

/*
 * For a while, and as it is in this kernel: with another NAT it is of a connection before, which the daemon
 * did not see end (it was restarted), and makes room at the next takeover.
 */
static bool is_named(const struct host *host, uint32_t number, int64_t steady_us)
{
	uint8_t nat = host->kernel.flows[number].connection.nat;

	for (unsigned i = 0; i < world_of(host)->hosts_count; i++) {
		const struct kernel_flow *owned;
		const struct table *held;

		if (i == host->index || host->warm.in_step_us[i] > world_of(host)->now_us - steady_us)
			continue;
		held = node_external(host->node, world_of(host)->hosts[i].id);
		owned = &world_of(host)->hosts[i].kernel.flows[number];
		if (held && invariant_find(held, number) && owned->present && !owned->is_copy &&
		    owned->since_us < world_of(host)->now_us - steady_us &&
		    (owned->connection.nat == nat || !connection_tells_nat(number)))
			return true;
	}
	return false;
}

/*
 * A daemon that was restarted found it when no table named it, and took it for its own, which runs out by its
 * timeout (doc/operations.md).  It becomes a copy again when a live primary names it, not before.
 */
static bool is_taken_for_own(const struct host *host, uint32_t number)
{
	struct flow flow;

	connection_flow(number, &host->kernel.flows[number].connection, &flow);
	return invariant_find(node_internal(host->node), number) &&
	       !node_is_named_by_primary(host->node, &flow);
}

/* Garbage collection takes a flow. */
static void runs_out(void *context, uint32_t number)
{
	const struct host *host = context;
	struct node_foreign_view view;
	int64_t now_us = world_of(host)->now_us;

	/* (packets that came this way may have closed it, or, in this model, cut its time short) */
	if (!host->kernel.flows[number].is_copy ||
	    host->kernel.flows[number].copied_us > now_us - STEADY_US ||
	    host->kernel.flows[number].connection.state > CONNECTION_ASSURED || !is_active(host) ||
	    host->role == FRAME_ROLE_PRIMARY || host->paused_until_us > now_us - STEADY_US ||
	    host->busy_until_us > now_us + 100000)
		return;
	node_foreign_view(host->node, &view);
	if (!view.waiting && is_named(host, number, STEADY_US) && !is_taken_for_own(host, number))
		world_fail(world_of(host),
			   "(k) host %u: a copy of connection %u runs out, and its owner lives", host->id,
			   number);
}

/* Since when peers are in step. */
static void look_at_peers(struct host *host)
{
	int64_t now_us = world_of(host)->now_us;

	if (now_us - host->warm.looked_us < 20000)
		return;
	host->warm.looked_us = now_us;
	for (unsigned i = 0; i < world_of(host)->hosts_count; i++) {
		struct node_peer_view view;

		if (!host_view_of(host, &world_of(host)->hosts[i], &view) || !view.alive)
			host->warm.in_step_us[i] = INT64_MAX;
		else if (host->warm.in_step_us[i] == INT64_MAX && view.holds.in_sync)
			host->warm.in_step_us[i] = now_us;
	}
}

/*
 * Packets ended a copy here that was made while nobody listened, as the host's own flow: it has no event
 * extension, so its kernel did not tell, and the node still counts it among its copies.
 */
static bool has_ended_untold(const struct host *host, uint32_t number)
{
	const struct kernel_flow *last = &host->kernel.flows[number];
	struct flow flow;

	if (last->present || last->has_events || !last->born ||
	    host->kernel.ended_us[number] < last->since_us)
		return false;
	connection_flow(number, &last->connection, &flow);
	return node_has_copy(host->node, &flow);
}

/*
 * Of two active nodes that both have a flow, one does not make it anew when it has ended there.  And a copy
 * that packets ended here, of which an overrun kept the event, or which never had any, is missed when it is
 * to be refreshed, not before: audits pass over what a peer's table names.
 */
static bool has_ended_here(const struct host *host, uint32_t number)
{
	if (!host->config.active_active && !host->kernel.overruns && !has_ended_untold(host, number))
		return false;
	for (unsigned i = 0; i < world_of(host)->hosts_count; i++)
		if (world_of(host)->hosts[i].kernel.begun_us[number] > host->kernel.ended_us[number])
			return false;
	return true;
}

uint32_t warm_find_difference(const struct host *host)
{
	struct node_table_view views[NODE_TABLES_MAX];
	unsigned count = node_tables(host->node, views);

	for (uint32_t number = 0; number < host->kernel.numbers && host->warm.acts; number++) {
		bool is_named = false, is_there = host->kernel.flows[number].present;

		if (warm_is_local(host, number) || invariant_find(node_internal(host->node), number))
			continue;
		for (unsigned i = 0; i < count; i++)
			is_named |= invariant_find(views[i].table, number) != NULL;
		if (is_there && !(is_active(host) && is_named))
			return number;
		/* one whose master is gone can't be created; and what ended here is not made anew for another
		 * active node that had it from here */
		if (!is_there && is_active(host) && is_named && !connection_is_related(number) &&
		    !has_ended_here(host, number))
			return number;
	}
	return host->kernel.numbers;
}

void warm_check_takeover(struct host *host)
{
	const struct host_record *record = invariant_record(host);

	world_meets(world_of(host), SITUATION_WARM_TAKEOVER);
	for (unsigned i = 0; i < host->takeover.count; i++) {
		const struct host_table *table = &host->takeover.tables[i];
		struct node_table_view view;
		const struct table_entry *entry;
		struct table_walk walk;
		struct flow flow;
		uint32_t number;

		if (!daemon_find_table(host, table, &view))
			continue;
		walk = table_walk_after(view.table, 0, false);
		while ((entry = table_walk_next(&walk)) && walk.version <= table->begun_at) {
			struct connection connection;

			record_decode(entry->bytes, &flow);
			connection = connection_of(&flow);
			if (!connection_number(&flow, &number) || host->kernel.flows[number].present ||
			    warm_is_local(host, number) || connection_is_closed(number, &connection) ||
			    host->kernel.ended_us[number] > host->takeover.begun_us - UNREAD_US ||
			    (record->results[number] > KERNEL_REPLACED + 1 &&
			     record->results[number] != KERNEL_NO_MASTER + 1))
				continue; /* it ended here just now; or was refused, and counted */
			if (connection_is_related(number) && !host->kernel.flows[number - 1].present)
				continue;
			if (has_ended_here(host, number))
				continue;
			world_fail(world_of(host),
				   "(h) host %u took over, and its kernel lacks connection %u of host %u",
				   host->id, number, table->owner);
		}
	}
}

/* ---- life ---- */

void warm_begin(struct host *host)
{
	host->kernel.expires = host->warm.acts ? runs_out : NULL;
	host->kernel.context = host;
	host->warm.count = 0;
	host->warm.begun_us = world_of(host)->now_us;
	host->warm.looked_us = 0;
	host->warm.deadline_us = INT64_MIN;
	for (unsigned i = 0; i < NET_HOSTS_MAX; i++)
		host->warm.in_step_us[i] = INT64_MAX;
}

void warm_end(struct host *host)
{
	host->kernel.expires = NULL;
	host->warm.count = 0;
}

bool warm_audit_waits(const struct host *host)
{
	int64_t age_us = world_of(host)->now_us - host->warm.begun_us;
	unsigned alive = 0, unproven = 0;
	struct node_view view;

	if (!is_active(host) || host->audit.passes || host->role == FRAME_ROLE_PRIMARY || age_us >= TABLES_US)
		return false;
	node_view(host->node, host_clock(host), &view);
	for (unsigned i = 0; i < view.peers; i++) {
		struct node_peer_view peer;

		node_peer_view(host->node, host_clock(host), i, &peer);
		alive += peer.alive;
		unproven += peer.alive && peer.complete && !peer.holds.in_sync;
	}
	return alive ? unproven > 0 : age_us < PEERS_US;
}

/* ---- acts ---- */

void warm_push(struct host *host, enum node_foreign_act act, const struct flow *flow, uint32_t elapsed_s)
{
	if (!host->warm.acts || host->warm.count == HOST_ACTS) {
		world_fail(world_of(host), "(i) host %u: a step names more acts than it may", host->id);
		return;
	}
	host->warm.acts[host->warm.count++] = (struct host_act){act, *flow, elapsed_s};
}

static void answer(struct host *host, enum node_foreign_act act, const struct flow *flow,
		   enum node_foreign_result result, uint32_t timeout_s)
{
	struct node_event event = {.type = NODE_FOREIGN_DONE,
				   .foreign = {flow, act, result, timeout_s ? timeout_s : 1}};

	host->cost_ns += COST_ACT_NS;
	daemon_step(host, &event);
}

static void become_copy(struct host *host, uint32_t number)
{
	host->kernel.flows[number].is_copy = true;
	host->kernel.flows[number].copied_us = world_of(host)->now_us;
}

static void install(struct host *host, const struct host_act *act, uint32_t number)
{
	uint32_t left_s = daemon_remaining_s(number, &act->flow, act->elapsed_s);
	bool takes_over = host->takeover.runs && host->takeover.is_warm;
	enum kernel_result result;
	struct flow made;

	if (warm_is_local(host, number)) {
		answer(host, act->act, &act->flow, NODE_FOREIGN_REFUSED, 0);
		return;
	}
	if (left_s)
		check_time(host, &act->flow, number, left_s);
	result =
	    daemon_commit(host, &act->flow, left_s, takes_over ? KERNEL_FENCE_CLOSED : KERNEL_COPIES, &made);
	invariant_on_commit(host, 0, number, result);
	if (result == KERNEL_CREATED || result == KERNEL_REPLACED)
		become_copy(host, number);
	if (result <= KERNEL_REPLACED) {
		world_meets(world_of(host), SITUATION_WARM);
		answer(host, act->act, &made, NODE_FOREIGN_IN_KERNEL,
		       result == KERNEL_KEPT ? made.timeout_s : left_s);
	} else {
		answer(host, act->act, &act->flow,
		       result == KERNEL_EXPIRED      ? NODE_FOREIGN_REFUSED
		       : result == KERNEL_TABLE_FULL ? NODE_FOREIGN_NO_ROOM
						     : NODE_FOREIGN_FAILED,
		       0);
	}
}

static void refresh(struct host *host, const struct host_act *act, uint32_t number)
{
	uint32_t whole_s = daemon_remaining_s(number, &act->flow, 0);
	bool is_there;

	check_local(host, number, "keeps alive");
	check_time(host, &act->flow, number, whole_s);
	is_there = kernel_refresh(&host->kernel, number, whole_s, world_of(host)->now_us);
	answer(host, act->act, &act->flow, is_there ? NODE_FOREIGN_IN_KERNEL : NODE_FOREIGN_GONE, whole_s);
}

static void carry_out(struct host *host, const struct host_act *act)
{
	struct flow found;
	uint32_t number;

	if (!connection_number(&act->flow, &number) || number >= host->kernel.numbers) {
		world_fail(world_of(host), "(g) host %u makes a copy of a flow that nobody ever had",
			   host->id);
		return;
	}
	/* (a takeover tries again at once what has a chance: kernel/commit) */
	if (!host->takeover.runs && random_chance(&host->warm.random, world_of(host)->wide.failures)) {
		answer(host, act->act, &act->flow, NODE_FOREIGN_FAILED, 0);
		return;
	}
	switch (act->act) {
	case NODE_FOREIGN_INSTALL:
		install(host, act, number);
		break;
	case NODE_FOREIGN_REMOVE:
		check_local(host, number, "removes");
		kernel_delete(&host->kernel, number);
		answer(host, act->act, &act->flow, NODE_FOREIGN_GONE, 0);
		break;
	case NODE_FOREIGN_REFRESH:
		refresh(host, act, number);
		break;
	case NODE_FOREIGN_CHECK:
		if (kernel_row(&host->kernel, number, &found, world_of(host)->now_us))
			answer(host, act->act, &found, NODE_FOREIGN_IN_KERNEL, found.timeout_s);
		else
			answer(host, act->act, &act->flow, NODE_FOREIGN_GONE, 0);
		break;
	}
}

/* What removes goes first. */
static void run_once(struct host *host)
{
	unsigned count;

	host->warm.count = 0;
	daemon_step(host, &(struct node_event){.type = NODE_FOREIGN_RUN, .acts_max = host->warm.acts_max});
	count = host->warm.count;
	for (unsigned i = 0; i < count; i++)
		if (host->warm.acts[i].act == NODE_FOREIGN_REMOVE)
			carry_out(host, &host->warm.acts[i]);
	for (unsigned i = 0; i < count; i++)
		if (host->warm.acts[i].act != NODE_FOREIGN_REMOVE)
			carry_out(host, &host->warm.acts[i]);
	host->warm.count = 0;
}

int64_t warm_next_us(struct host *host)
{
	if (!host->warm.acts)
		return INT64_MAX;
	if (host->warm.deadline_us == INT64_MIN)
		host->warm.deadline_us = host_world_us(host, node_foreign_deadline(host->node));
	return host->warm.deadline_us;
}

void warm_run(struct host *host)
{
	if (!host->warm.acts)
		return;
	look_at_peers(host);
	if (warm_next_us(host) <= world_of(host)->now_us)
		run_once(host);
}

/* ---- takeover and withdrawal ---- */

bool warm_can_take_over(const struct host *host)
{
	struct node_view view;

	if (!is_active(host))
		return false;
	node_view(host->node, host_clock(host), &view);
	return !view.leftovers;
}

bool warm_takeover_is_done(struct host *host)
{
	struct node_foreign_view view;

	run_once(host);
	node_foreign_view(host->node, &view);
	return !view.takeover_is_behind;
}

void warm_adopted(struct host *host)
{
	for (uint32_t number = 0; number < host->kernel.numbers; number++)
		host->kernel.flows[number].is_copy = false;
}

bool warm_disowns(struct host *host, const struct flow *flow, uint32_t number)
{
	if (!node_is_named_by_primary(host->node, flow))
		return false;
	become_copy(host, number);
	world_meets(world_of(host), SITUATION_DISOWNED);
	daemon_step(host, &(struct node_event){.type = NODE_FLOW_DISOWNED, .flow = flow});
	return true;
}
