/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_STEPS_MAX = 1000 };

/* ---- effects ---- */

static void effect_send(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
			size_t length)
{
	struct cluster_node *n = context;

	n->sent++;
	n->sent_bytes += length;
	if (to) {
		cluster_transmit(n, to->bytes[0], link, bytes, length);
		return;
	}
	for (unsigned i = 0; i < n->cluster->count; i++)
		if (i != n->index)
			cluster_transmit(n, i, link, bytes, length);
}

static void effect_get(void *context, const struct flow *key)
{
	struct cluster_node *n = context;

	assert(n->gets_count < sizeof(n->gets) / sizeof(n->gets[0]));
	if (!n->gets_count)
		n->gets_at = monotime_from_us(n->cluster->now.us + n->cluster->get_delay_us);
	n->gets[n->gets_count++] = *key;
}

static void effect_audit(void *context)
{
	struct cluster_node *n = context;

	n->audit_wanted = true;
}

static void effect_log(void *context, enum node_log_level level, const char *id, const char *text)
{
	struct cluster_node *n = context;

	(void)id;
	if (level == NODE_LOG_ERROR)
		n->errors_logged++;
	if (level <= NODE_LOG_WARNING)
		strncpy(n->last_log, text, sizeof(n->last_log) - 1);
	if (getenv("CLUSTER_TRACE"))
		fprintf(stderr, "%lld node %u: %s: %s\n", (long long)n->cluster->now.us, n->config.id, id,
			text);
}

static void effect_random(void *context, void *bytes, size_t size)
{
	struct cluster_node *n = context;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)cluster_random(n->cluster);
}

static void effect_follow(void *context, const struct flow *flow, bool gone)
{
	struct cluster_node *n = context;

	if (n->follows_count == n->follows_size) {
		n->follows_size = n->follows_size ? n->follows_size * 2 : 64;
		n->follows = realloc(n->follows, n->follows_size * sizeof(*n->follows));
		assert(n->follows);
	}
	n->follows[n->follows_count].flow = *flow;
	n->follows[n->follows_count++].gone = gone;
}

static void effect_withdraw(void *context)
{
	struct cluster_node *n = context;

	n->withdraw_wanted = true;
}

/* ---- steps ---- */

struct monotime cluster_clock(const struct cluster *c, unsigned index)
{
	return monotime_from_us(c->now.us + c->now.us * c->nodes[index].clock_ppm / 1000000);
}

static void step(struct cluster_node *n, struct node_event *event)
{
	event->now = cluster_clock(n->cluster, n->index);
	node_step(n->node, event);
	cluster_settle(n);
}

void cluster_step(struct cluster *c, unsigned index, struct node_event *event)
{
	step(&c->nodes[index], event);
}

static bool is_paused(const struct cluster_node *n)
{
	return monotime_is_before(n->cluster->now, n->paused_until);
}

void cluster_pause(struct cluster *c, unsigned index, int64_t us)
{
	c->nodes[index].paused_until = monotime_from_us(c->now.us + us);
}

struct table_entry *cluster_kernel_find(struct cluster_node *n, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t length = record_encode_key(flow, key);

	return table_find(n->kernel, (struct record_key){key, length});
}

static void answer_gets(struct cluster_node *n)
{
	struct flow gets[sizeof(n->gets) / sizeof(n->gets[0])];
	size_t count = n->gets_count;

	if (!count || monotime_is_before(n->cluster->now, n->gets_at))
		return;
	memcpy(gets, n->gets, count * sizeof(gets[0]));
	n->gets_count = 0; /* an answer may lead to the next question */
	for (size_t i = 0; i < count; i++) {
		struct table_entry *entry = cluster_kernel_find(n, &gets[i]);
		struct flow flow = gets[i];
		struct node_event event = {.type = NODE_GET_REPLY, .flow = &flow, .found = entry != NULL};

		if (entry) {
			record_decode(entry->bytes, &flow);
			flow.incarnation = 0;
		}
		step(n, &event);
	}
}

void cluster_audit(struct cluster *c, unsigned index)
{
	struct cluster_node *n = &c->nodes[index];
	struct table_walk walk = table_walk_after(n->kernel, 0, false);
	struct node_event begin = {.type = NODE_AUDIT_BEGIN}, end = {.type = NODE_AUDIT_END, .clean = true};
	const struct table_entry *entry;

	n->audit_wanted = false;
	step(n, &begin);
	while ((entry = table_walk_next(&walk))) {
		struct flow flow;
		struct node_event row = {.type = NODE_AUDIT_ROW, .flow = &flow};

		record_decode(entry->bytes, &flow);
		flow.incarnation = 0;
		step(n, &row);
		answer_gets(n);
	}
	step(n, &end);
}

static void deliver_kernel_events(struct cluster_node *n)
{
	for (size_t i = 0; i < n->queue_count; i++) {
		struct node_event event = {.type = n->queue[i].type, .flow = &n->queue[i].flow};

		step(n, &event);
	}
	n->queue_count = 0;
}

static void run_node(struct cluster_node *n)
{
	struct node_event time = {.type = NODE_TIME};

	if (is_paused(n))
		return;
	answer_gets(n);
	deliver_kernel_events(n);
	for (unsigned idle = 0;
	     !monotime_is_before(cluster_clock(n->cluster, n->index), node_deadline(n->node)); idle++) {
		uint64_t done = n->sent + n->gets_count;

		step(n, &time);
		if (n->sent + n->gets_count != done)
			idle = 0;
		answer_gets(n);
		if (idle > IDLE_STEPS_MAX) {
			fprintf(stderr, "node %u spins: it is due, and does nothing\n", n->config.id);
			abort();
		}
	}
	if (n->audit_wanted)
		cluster_audit(n->cluster, n->index);
	cluster_warm_run(n);
}

static void deliver(struct cluster *c, struct cluster_packet packet)
{
	struct cluster_node *n = &c->nodes[packet.to];
	struct node_event event = {.type = NODE_DATAGRAM};

	if (!n->down && is_paused(n)) {
		packet.at = n->paused_until;
		cluster_packet_push(c, packet);
		return;
	}
	if (!n->down) {
		event.datagram.link = packet.link;
		event.datagram.from.length = 1;
		event.datagram.from.bytes[0] = (uint8_t)packet.from;
		event.datagram.bytes = packet.bytes;
		event.datagram.length = packet.length;
		step(n, &event);
		answer_gets(n);
	}
	free(packet.bytes);
}

/* In the cluster's time; of a node whose clock runs fast or slow, a little early. */
static struct monotime next_time_of(const struct cluster_node *n)
{
	struct monotime at = node_deadline(n->node), clock = cluster_clock(n->cluster, n->index);

	if (is_paused(n))
		return n->paused_until;
	if (at.us != INT64_MAX)
		at.us = n->cluster->now.us + (at.us - clock.us) * 99 / 100;
	return n->gets_count ? monotime_min(at, n->gets_at) : at;
}

static struct monotime next_time(const struct cluster *c, struct monotime limit)
{
	struct monotime at = limit;

	if (c->packets_count)
		at = monotime_min(at, c->packets[0].at);
	for (unsigned i = 0; i < c->count; i++)
		if (!c->nodes[i].down)
			at = monotime_min(at, next_time_of(&c->nodes[i]));
	return monotime_max(at, c->now);
}

static void advance(struct cluster *c, struct monotime limit)
{
	c->now = next_time(c, limit);
	while (c->packets_count && !monotime_is_before(c->now, c->packets[0].at))
		deliver(c, cluster_packet_pop(c));
	for (unsigned i = 0; i < c->count; i++)
		if (!c->nodes[i].down)
			run_node(&c->nodes[i]);
	c->now.us++; /* a step takes time: nothing spins at one moment */
}

void cluster_run_us(struct cluster *c, int64_t us)
{
	struct monotime limit = monotime_add(c->now, monotime_from_us(us));

	while (monotime_is_before(c->now, limit))
		advance(c, limit);
}

bool cluster_run_until(struct cluster *c, bool (*done)(struct cluster *), int64_t limit_us)
{
	struct monotime limit = monotime_add(c->now, monotime_from_us(limit_us));

	while (monotime_is_before(c->now, limit)) {
		if (done(c))
			return true;
		cluster_run_us(c, 1000);
	}
	return done(c);
}

/* ---- the model kernels ---- */

void cluster_kernel_put(struct cluster *c, unsigned index, const struct flow *flow)
{
	uint8_t record[RECORD_MAX];
	struct table_entry *entry;

	assert(record_encode(flow, record));
	table_put(c->nodes[index].kernel, record, &entry);
}

void cluster_kernel_remove(struct cluster *c, unsigned index, const struct flow *flow)
{
	struct table_entry *entry = cluster_kernel_find(&c->nodes[index], flow);

	if (entry)
		table_remove(c->nodes[index].kernel, entry);
}

static void queue_event(struct cluster_node *n, enum node_event_type type, const struct flow *flow)
{
	if (n->queue_count == n->queue_size) {
		n->queue_size = n->queue_size ? n->queue_size * 2 : 64;
		n->queue = realloc(n->queue, n->queue_size * sizeof(*n->queue));
		assert(n->queue);
	}
	n->queue[n->queue_count].type = type;
	n->queue[n->queue_count++].flow = *flow;
}

static void flow_event(struct cluster *c, unsigned index, enum node_event_type type, const struct flow *flow)
{
	struct cluster_node *n = &c->nodes[index];
	struct node_event event = {.type = type, .flow = flow};

	if (n->down)
		return;
	if (is_paused(n)) {
		queue_event(n, type, flow);
		return;
	}
	step(n, &event);
	answer_gets(n);
}

void cluster_flow_new(struct cluster *c, unsigned index, const struct flow *flow)
{
	cluster_kernel_put(c, index, flow);
	flow_event(c, index, NODE_FLOW_NEW, flow);
}

void cluster_flow_update(struct cluster *c, unsigned index, const struct flow *flow)
{
	cluster_kernel_put(c, index, flow);
	flow_event(c, index, NODE_FLOW_UPDATE, flow);
}

void cluster_flow_destroy(struct cluster *c, unsigned index, const struct flow *flow)
{
	cluster_kernel_remove(c, index, flow);
	flow_event(c, index, NODE_FLOW_DESTROY, flow);
}

void cluster_overrun(struct cluster *c, unsigned index)
{
	struct node_event event = {.type = NODE_OVERRUN_ENDED};

	step(&c->nodes[index], &event);
}

/* ---- life ---- */

static void start_node(struct cluster *c, unsigned index)
{
	struct cluster_node *n = &c->nodes[index];
	struct node_sink sink = {.context = n,
				 .send = effect_send,
				 .get_flow = effect_get,
				 .audit_now = effect_audit,
				 .log = effect_log,
				 .random = effect_random,
				 .follow = effect_follow,
				 .withdraw = effect_withdraw,
				 .foreign = cluster_foreign_effect,
				 .remaining_s = n->remaining_s};
	int error = node_create(&n->node, &n->config, &sink, cluster_clock(c, index));

	assert(!error);
	(void)error;
	n->gets_count = 0;
	n->queue_count = 0;
	n->follows_count = n->foreign_count = 0;
	n->withdraw_wanted = false;
	n->paused_until = monotime_from_us(0);
	n->down = false;
	if (!n->reads_late)
		cluster_audit(c, index);
}

void cluster_stop(struct cluster *c, unsigned index)
{
	node_destroy(c->nodes[index].node);
	c->nodes[index].node = NULL;
	c->nodes[index].down = true;
}

void cluster_restart(struct cluster *c, unsigned index)
{
	if (!c->nodes[index].down)
		cluster_stop(c, index);
	start_node(c, index);
}

void cluster_init(struct cluster *c, unsigned nodes, uint64_t seed)
{
	static const uint8_t key[SEAL_KEY_SIZE] = {1, 2, 3};

	memset(c, 0, sizeof(*c));
	c->count = nodes;
	c->random = seed;
	c->now = monotime_from_s(1000);
	c->delay_us = 100;
	c->packets = calloc(CLUSTER_IN_FLIGHT, sizeof(*c->packets));
	for (unsigned i = 0; i < nodes; i++) {
		struct cluster_node *n = &c->nodes[i];

		n->cluster = c;
		n->index = i;
		n->kernel = table_create(1 << 22, 0, i + 1);
		n->config = (struct node_config){.id = (uint16_t)(i + 1),
						 .heartbeat = monotime_from_ms(200),
						 .peer_timeout = monotime_from_s(1),
						 .max_flows = 1 << 20,
						 .max_tombstones = 1 << 16,
						 .links = 1,
						 .payload_max = 1452,
						 .receive_window = 16 << 20,
						 .cipher = SEAL_AES_256_GCM,
						 .software = "test"};
		seal_ring_add(&n->config.ring, key);
		start_node(c, i);
	}
}

void cluster_finish(struct cluster *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		free(c->nodes[i].follows);
		node_destroy(c->nodes[i].node);
		table_destroy(c->nodes[i].kernel);
		free(c->nodes[i].queue);
	}
	while (c->packets_count)
		free(cluster_packet_pop(c).bytes);
	for (size_t i = 0; i < c->recorded_count; i++)
		free(c->recorded[i].bytes);
	free(c->recorded);
	free(c->packets);
}
