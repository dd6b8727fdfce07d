/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How flows change hands (syncd/daemon/transition, takeover, follower, withdrawal, persist). */
#include "tests/sim/daemon.h"
#include "tests/sim/invariant.h"
#include "tests/sim/warm.h"
#include "tests/sim/world.h"

#include <string.h>

enum { CHUNK = 64, COST_COMMIT_NS = 1500, RETAKE_LOOK_US = 10000 };

/* Masters before what is related to them, fresh entries before those that a catch-up has not named. */
enum round { MASTERS, MASTERS_STALE, RELATED, RELATED_STALE, ROUNDS };

uint32_t daemon_remaining_s(uint32_t number, const struct flow *flow, uint32_t elapsed_s)
{
	struct connection connection = connection_of(flow);
	uint32_t timeout_s = connection_timeout_s(number, &connection);

	if (flow->timeout_s > timeout_s)
		timeout_s = flow->timeout_s;
	return timeout_s > elapsed_s ? timeout_s - elapsed_s : 0;
}

/* When a packet last began that connection, anywhere. */
static int64_t origin_us(const struct world *world, uint32_t number)
{
	int64_t latest_us = 0;

	for (unsigned i = 0; i < world->hosts_count; i++)
		if (world->hosts[i].kernel.begun_us[number] > latest_us)
			latest_us = world->hosts[i].kernel.begun_us[number];
	return latest_us;
}

enum kernel_result daemon_commit(struct host *host, const struct flow *flow, uint32_t timeout_s,
				 enum kernel_way way, struct flow *made)
{
	enum kernel_result result =
	    kernel_commit(&host->kernel, flow, timeout_s, way, host->world->now_us, made);
	uint32_t number;

	host->cost_ns += COST_COMMIT_NS;
	if ((result == KERNEL_CREATED || result == KERNEL_REPLACED) && connection_number(flow, &number))
		kernel_note_origin(&host->kernel, number, origin_us(host->world, number));
	return result;
}

static bool give_committed(struct host *host, const struct flow *flow, enum kernel_result result)
{
	struct node_event event = {.type = NODE_FLOW_COMMITTED, .flow = flow};

	if (result == KERNEL_TABLE_FULL)
		daemon_step(host, &(struct node_event){.type = NODE_FLOW_REFUSED});
	if (result != KERNEL_CREATED && result != KERNEL_UPDATED && result != KERNEL_REPLACED)
		return false;
	daemon_step(host, &event);
	return true;
}

/* ---- the state file ---- */

void daemon_keep_state(struct host *host)
{
	struct node_peer_view peer;
	struct node_view view;

	node_view(host->node, host_clock(host), &view);
	host->role_reached = view.role;
	host->own_term_kept = host->term_kept = view.term;
	host->leftovers_kept = view.leftovers || host->takeover.runs;
	for (unsigned i = 0; i < view.peers; i++) {
		node_peer_view(host->node, host_clock(host), i, &peer);
		if (peer.term > host->term_kept)
			host->term_kept = peer.term;
	}
}

/* ---- taking over ---- */

static void list_tables(struct host *host)
{
	struct host_takeover *takeover = &host->takeover;
	struct node_table_view views[NODE_TABLES_MAX];

	takeover->count = node_tables(host->node, views);
	for (unsigned i = 0; i < takeover->count; i++) {
		int64_t elapsed_us = host_clock_us(host) - views[i].owner_proven_at.us;

		takeover->tables[i] = (struct host_table){
		    .owner = views[i].id,
		    .orphan = views[i].orphan,
		    .session = views[i].session,
		    .elapsed_s = elapsed_us > 0 ? (uint32_t)(elapsed_us / 1000000) : 0,
		    .begun_at = table_newest(views[i].table),
		};
		takeover->stale_seen |= views[i].has_stale;
		if (views[i].orphan && table_count(views[i].table))
			world_meets(host->world, SITUATION_ORPHAN);
	}
}

/* Where the table is now: its owner may have restarted meanwhile, or rebooted. */
bool daemon_find_table(const struct host *host, const struct host_table *wanted,
		       struct node_table_view *found)
{
	struct node_table_view views[NODE_TABLES_MAX];
	unsigned count = node_tables(host->node, views);
	int other = -1;

	for (unsigned i = 0; i < count; i++) {
		if (views[i].id != wanted->owner)
			continue;
		if (!memcmp(&views[i].session, &wanted->session, sizeof(wanted->session))) {
			*found = views[i];
			return true;
		}
		if (!views[i].orphan && !wanted->orphan)
			other = (int)i;
	}
	if (other >= 0)
		*found = views[other];
	return other >= 0;
}

static void commit_one(struct host *host, const struct flow *flow)
{
	struct host_takeover *takeover = &host->takeover;
	const struct host_table *table = &takeover->tables[takeover->table];
	enum kernel_result result;
	struct flow made;
	uint32_t number = 0;

	connection_number(flow, &number);
	if (warm_is_local(host, number))
		return;
	result = daemon_commit(host, flow, daemon_remaining_s(number, flow, table->elapsed_s),
			       KERNEL_FENCE_CLOSED, &made);
	takeover->results[result]++;
	invariant_on_commit(host, table->owner, number, result);
	give_committed(host, &made, result);
}

static bool is_in_round(const struct host_takeover *takeover, const struct node_table_view *view,
			const struct table_entry *entry, bool is_related)
{
	bool is_stale = view->has_stale && entry->mark != view->fresh_mark;
	bool takes_all = takeover->round == MASTERS_STALE || takeover->round == RELATED_STALE;

	return is_related == (takeover->round >= RELATED) && (takes_all || !is_stale);
}

/* Copied first: the table may change while the node takes in what was committed. */
static bool take_chunk(struct host *host)
{
	struct host_takeover *takeover = &host->takeover;
	const struct table_entry *entry = NULL;
	struct node_table_view view;
	struct flow flows[CHUNK];
	struct table_walk walk;
	unsigned count = 0;

	if (takeover->table >= takeover->count ||
	    !daemon_find_table(host, &takeover->tables[takeover->table], &view))
		return false;
	/* also of a session that began meanwhile: its owner was restarted, and names its flows anew */
	takeover->stale_seen |= view.has_stale;
	walk = table_walk_after(view.table, takeover->after, false);
	while (count < CHUNK && (entry = table_walk_next(&walk))) {
		takeover->after = walk.version;
		record_decode(entry->bytes, &flows[count]);
		count += is_in_round(takeover, &view, entry, flows[count].present & FLOW_HAS_MASTER) &&
			 !node_has_ended(host->node, view.table, record_key(entry->bytes));
	}
	for (unsigned i = 0; i < count; i++)
		commit_one(host, &flows[i]);
	return entry != NULL;
}

static void end_takeover(struct host *host)
{
	const uint64_t *results = host->takeover.results;

	host->takeover.runs = false;
	world_trace(host->world, host, "committed: %llu created %llu updated %llu kept %llu full",
		    (unsigned long long)results[KERNEL_CREATED], (unsigned long long)results[KERNEL_UPDATED],
		    (unsigned long long)results[KERNEL_KEPT], (unsigned long long)results[KERNEL_TABLE_FULL]);
	if (host->takeover.is_warm)
		warm_check_takeover(host);
	else
		invariant_after_takeover(host);
	daemon_step(host, &(struct node_event){.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY});
}

void daemon_run_takeover(struct host *host)
{
	struct host_takeover *takeover = &host->takeover;

	if (takeover->runs && takeover->is_warm) {
		if (warm_takeover_is_done(host))
			end_takeover(host);
		return;
	}
	if (!takeover->runs || take_chunk(host))
		return;
	takeover->after = 0;
	if (takeover->table < takeover->count && ++takeover->table < takeover->count)
		return;
	takeover->table = 0;
	do
		takeover->round++;
	while (takeover->round < ROUNDS && !takeover->stale_seen &&
	       (takeover->round == MASTERS_STALE || takeover->round == RELATED_STALE));
	if (takeover->round == ROUNDS)
		end_takeover(host);
}

static void begin_takeover(struct host *host)
{
	memset(&host->takeover, 0, sizeof(host->takeover));
	host->takeover.runs = true;
	host->takeover.begun_us = host->world->now_us;
	host->takeover.is_warm = warm_can_take_over(host);
	list_tables(host);
	daemon_step(host, &(struct node_event){.type = NODE_TAKEOVER});
	invariant_before_takeover(host);
}

void daemon_change_role(struct host *host, enum frame_role role)
{
	struct node_view view;

	node_view(host->node, host_clock(host), &view);
	if (role == FRAME_ROLE_PRIMARY) {
		if (!host->takeover.runs &&
		    (view.role != role || view.must_retake || host->config.active_active))
			begin_takeover(host);
		return;
	}
	if (host->takeover.runs) { /* broken off by a newer word */
		host->takeover.runs = false;
		daemon_step(host, &(struct node_event){.type = NODE_TAKEOVER_FAILED});
		host->leftovers_kept = true;
	}
	daemon_step(host, &(struct node_event){.type = NODE_ROLE, .role = role});
}

/* A node that took over after this one has given way: taking its flows. */
void daemon_run_retake(struct host *host)
{
	struct node_view view;

	if (host->takeover.runs || host->role != FRAME_ROLE_PRIMARY ||
	    host->world->now_us - host->retake_looked_us < RETAKE_LOOK_US)
		return;
	host->retake_looked_us = host->world->now_us;
	node_view(host->node, host_clock(host), &view);
	if (!view.must_retake)
		return;
	world_meets(host->world, SITUATION_RETAKE);
	begin_takeover(host);
}

/* ---- following ---- */

static void let_go(struct host *host, const struct flow *last)
{
	struct node_event event = {.type = NODE_FLOW_DESTROY, .flow = last};
	struct connection then = connection_of(last);
	const struct kernel_flow *flow;
	uint32_t number;

	if (!connection_number(last, &number))
		return;
	flow = &host->kernel.flows[number];
	if (!flow->present || flow->touched || flow->connection.nat != then.nat ||
	    flow->connection.state > then.state)
		return;
	host->cost_ns += COST_COMMIT_NS;
	kernel_delete(&host->kernel, number);
	host->kernel.ended_us[number] = host->world->now_us;
	daemon_step(host, &event);
}

void daemon_run_follows(struct host *host)
{
	for (size_t i = 0; i < host->follows_count; i++) { /* the node may name more meanwhile */
		struct flow flow = host->follows[i].flow, made;
		uint32_t number = 0;

		if (host->follows[i].gone) {
			let_go(host, &flow);
			continue;
		}
		connection_number(&flow, &number);
		if (warm_is_local(host, number))
			continue;
		give_committed(host, &made,
			       daemon_commit(host, &flow, daemon_remaining_s(number, &flow, 0),
					     KERNEL_FENCE_OPEN, &made));
	}
	host->follows_count = 0;
}

/* ---- withdrawing ---- */

static bool withdrawal_is_wanted(const struct host *host)
{
	struct node_view view;

	node_view(host->node, host_clock(host), &view);
	return !strcmp(view.handover, "withdrawing");
}

static bool withdraw_chunk(struct host *host)
{
	struct table_walk walk = table_walk_after(node_internal(host->node), host->withdraw_after, false);
	const struct table_entry *entry = NULL;
	struct flow flows[CHUNK];
	unsigned count = 0;
	uint32_t number;

	while (count < CHUNK && (entry = table_walk_next(&walk))) {
		host->withdraw_after = walk.version;
		record_decode(entry->bytes, &flows[count++]);
	}
	for (unsigned i = 0; i < count; i++) {
		host->cost_ns += COST_COMMIT_NS;
		if (connection_number(&flows[i], &number)) {
			if (warm_disowns(host, &flows[i], number))
				continue;
			invariant_on_withdrawal(host, number);
			kernel_delete(&host->kernel, number);
		}
		daemon_step(host, &(struct node_event){.type = NODE_FLOW_WITHDRAWN, .flow = &flows[i]});
	}
	return entry != NULL;
}

void daemon_run_withdrawal(struct host *host)
{
	if (!host->withdraws)
		return;
	host->withdraws = withdrawal_is_wanted(host);
	if (!host->withdraws || withdraw_chunk(host))
		return;
	host->withdraws = false;
	if (withdrawal_is_wanted(host))
		daemon_step(host, &(struct node_event){.type = NODE_WITHDRAW_END});
}

bool host_holds(const struct host *host, uint32_t number)
{
	struct node_table_view views[NODE_TABLES_MAX];
	unsigned count = node_tables(host->node, views);

	for (unsigned i = 0; i < count; i++)
		if (invariant_find(views[i].table, number))
			return true;
	return false;
}
