/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/daemon.h"

#include "proto/trace.h"
#include "tests/sim/invariant.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <string.h>

enum {
	AUDIT_ROWS = 256,   /* in a slice */
	AUDIT_PAUSE_US = 5000,
	GETS_A_TURN = 32,
	DRAIN_BUDGET = 1024,
	TAKEOVER_CHUNK = 64,
	COST_STEP_NS = 500,
	COST_SEND_NS = 2000,
	COST_COMMIT_NS = 1500,
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
		world_fail(host->world, "host %u asks for too many flows at once", host->id);
		return;
	}
	if (!host->gets.count)
		host->gets.at_us = host->world->now_us + host->get_delay_us;
	host->gets.numbers[(host->gets.first + host->gets.count++) % HOST_GETS] = number;
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
				 .random = do_random};

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
	trace_step(host, event);
	invariant_before_step(host, event);
	node_step(host->node, event);
	invariant_after_step(host, event);
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
			event.type = NODE_OVERRUN;
		daemon_step(host, &event);
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
		uint32_t number = host->gets.numbers[host->gets.first];
		struct connection unknown = {0};
		struct flow flow;
		struct node_event event = {.type = NODE_GET_REPLY, .flow = &flow};

		host->gets.first = (host->gets.first + 1) % HOST_GETS;
		host->gets.count--;
		event.found = kernel_row(&host->kernel, number, &flow, host->world->now_us);
		if (!event.found)
			connection_flow(number, &unknown, &flow);
		daemon_step(host, &event);
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
	if (!audit->runs)
		begin_pass(host);
	daemon_read_events(host, DRAIN_BUDGET);
	while (audit->next < host->kernel.numbers && rows < AUDIT_ROWS) {
		struct flow flow;
		struct node_event event = {.type = NODE_AUDIT_ROW, .flow = &flow};

		if (!kernel_row(&host->kernel, audit->next++, &flow, host->world->now_us))
			continue;
		rows++;
		if (audit->unclean && random_chance(&host->random, 100))
			continue;
		daemon_step(host, &event);
	}
	audit->at_us = host->world->now_us + (audit->fast ? 100 : AUDIT_PAUSE_US);
	if (audit->next >= host->kernel.numbers)
		end_pass(host);
}

/* ---- taking over ---- */

static bool comes_before(const struct host_table *a, const struct host_table *b)
{
	return a->term > b->term;
}

/* The tables that there are to commit, in descending order of term. */
static void list_tables(struct host *host, struct host_takeover *takeover)
{
	struct node_view view;
	struct node_peer_view peer;

	node_view(host->node, host_clock(host), &view);
	for (unsigned i = 0; i < view.peers && takeover->count < HOST_TABLES; i++) {
		struct host_table table;
		unsigned at = takeover->count;
		int64_t elapsed_us;

		node_peer_view(host->node, host_clock(host), i, &peer);
		if (!node_external(host->node, peer.id))
			continue;
		elapsed_us = host_clock_us(host) - peer.owner_proven_at.us;
		table = (struct host_table){peer.id, peer.term,
					    elapsed_us > 0 ? (uint32_t)(elapsed_us / 1000000) : 0};
		for (; at && comes_before(&table, &takeover->tables[at - 1]); at--)
			takeover->tables[at] = takeover->tables[at - 1];
		takeover->tables[at] = table;
		takeover->count++;
	}
}

static const struct table *table_at(const struct host *host, const struct host_table *table)
{
	return node_external(host->node, table->owner);
}

/* syncd/kernel/timeouts: the larger of the recorded one and the default, less what has elapsed. */
static uint32_t commit_timeout_s(const struct flow *flow, uint32_t number, uint32_t elapsed_s)
{
	struct connection connection = connection_of(flow);
	uint32_t timeout_s = connection_timeout_s(number, &connection);

	if (flow->timeout_s > timeout_s)
		timeout_s = flow->timeout_s;
	return timeout_s > elapsed_s ? timeout_s - elapsed_s : 0;
}

static void commit_one(struct host *host, const struct flow *flow)
{
	struct host_takeover *takeover = &host->takeover;
	enum kernel_result result;
	struct flow made;
	struct node_event event = {.type = NODE_FLOW_COMMITTED, .flow = &made};
	uint32_t number = 0, timeout_s;

	connection_number(flow, &number);
	timeout_s = commit_timeout_s(flow, number, takeover->tables[takeover->table].elapsed_s);
	host->cost_ns += COST_COMMIT_NS;
	result = kernel_commit(&host->kernel, flow, timeout_s, true, host->world->now_us, &made);
	takeover->results[result]++;
	invariant_on_commit(host, takeover->tables[takeover->table].owner, number, result);
	if (result == KERNEL_CREATED || result == KERNEL_UPDATED || result == KERNEL_REPLACED)
		daemon_step(host, &event);
}

/* Copied first: the table may change while the node takes in what was committed. */
static bool take_chunk(struct host *host)
{
	struct host_takeover *takeover = &host->takeover;
	const struct table *table = table_at(host, &takeover->tables[takeover->table]);
	struct flow flows[TAKEOVER_CHUNK];
	const struct table_entry *entry = NULL;
	struct table_walk walk;
	unsigned count = 0;

	if (!table)
		return false;
	walk = table_walk_after(table, takeover->after, false);
	while (count < TAKEOVER_CHUNK && (entry = table_walk_next(&walk))) {
		takeover->after = walk.version;
		record_decode(entry->bytes, &flows[count]);
		count += !(flows[count].present & FLOW_HAS_MASTER) == !takeover->related;
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
		    (unsigned long long)results[KERNEL_KEPT],
		    (unsigned long long)results[KERNEL_TABLE_FULL]);
	invariant_after_takeover(host);
	daemon_step(host, &(struct node_event){.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY});
}

void daemon_run_takeover(struct host *host)
{
	struct host_takeover *takeover = &host->takeover;

	if (!takeover->runs)
		return;
	if (takeover->table < takeover->count && take_chunk(host))
		return;
	takeover->after = 0;
	if (takeover->table < takeover->count && ++takeover->table < takeover->count)
		return;
	if (takeover->related) {
		end_takeover(host);
		return;
	}
	takeover->related = true;
	takeover->table = 0;
}

void daemon_change_role(struct host *host, enum frame_role role)
{
	struct node_view view;

	node_view(host->node, host_clock(host), &view);
	if (role != FRAME_ROLE_PRIMARY) {
		memset(&host->takeover, 0, sizeof(host->takeover)); /* what was under way is overtaken */
		daemon_step(host, &(struct node_event){.type = NODE_ROLE, .role = role});
		return;
	}
	if (host->takeover.runs || (view.role == FRAME_ROLE_PRIMARY && !host->config.active_active))
		return;
	memset(&host->takeover, 0, sizeof(host->takeover));
	host->takeover.runs = true;
	list_tables(host, &host->takeover);
	invariant_before_takeover(host);
}

bool host_holds(const struct host *host, uint16_t owner, uint32_t number)
{
	const struct table *table = node_external(host->node, owner);
	struct connection any = {0};
	uint8_t key[RECORD_KEY_MAX];
	struct flow flow;
	size_t length;

	connection_flow(number, &any, &flow);
	length = record_encode_key(&flow, key);
	return table && table_find(table, (struct record_key){key, length});
}
