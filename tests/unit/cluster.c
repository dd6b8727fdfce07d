/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_STEPS_MAX = 1000 };

uint64_t cluster_random(struct cluster *c)
{
	uint64_t z = (c->random += 0x9e3779b97f4a7c15u); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- packets: a heap ---- */

static bool packet_before(const struct cluster_packet *a, const struct cluster_packet *b)
{
	return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static void packet_push(struct cluster *c, struct cluster_packet packet)
{
	size_t i = c->packets_count++;

	assert(c->packets_count < CLUSTER_IN_FLIGHT);
	while (i && packet_before(&packet, &c->packets[(i - 1) / 2])) {
		c->packets[i] = c->packets[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	c->packets[i] = packet;
}

static struct cluster_packet packet_pop(struct cluster *c)
{
	struct cluster_packet top = c->packets[0], last = c->packets[--c->packets_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < c->packets_count) {
		if (child + 1 < c->packets_count && packet_before(&c->packets[child + 1], &c->packets[child]))
			child++;
		if (!packet_before(&c->packets[child], &last))
			break;
		c->packets[i] = c->packets[child];
		i = child;
	}
	c->packets[i] = last;
	return top;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	assert(copy);
	memcpy(copy, bytes, length);
	return copy;
}

static void record(struct cluster *c, const struct cluster_packet *packet)
{
	if (c->recorded_count == c->recorded_size) {
		c->recorded_size = c->recorded_size ? c->recorded_size * 2 : 256;
		c->recorded = realloc(c->recorded, c->recorded_size * sizeof(*c->recorded));
		assert(c->recorded);
	}
	c->recorded[c->recorded_count] = *packet;
	c->recorded[c->recorded_count++].bytes = copy_of(packet->bytes, packet->length);
}

void cluster_inject(struct cluster *c, unsigned from, unsigned to, const uint8_t *bytes, size_t length)
{
	struct cluster_packet packet = {.at = monotime_add(c->now, monotime_from_us(c->delay_us)),
					.order = c->order++,
					.from = from,
					.to = to,
					.bytes = copy_of(bytes, length),
					.length = length};

	packet_push(c, packet);
}

static void duplicate(struct cluster *c, struct cluster_packet packet)
{
	packet.bytes = copy_of(packet.bytes, packet.length);
	packet.at.us += c->jitter_us;
	if (c->dark || c->nodes[packet.from].muted)
		free(packet.bytes);
	else
		packet_push(c, packet);
}

static void transmit(struct cluster_node *sender, unsigned to, unsigned link, const uint8_t *bytes,
		     size_t length)
{
	struct cluster *c = sender->cluster;
	struct cluster_packet packet = {
	    .order = c->order++, .from = sender->index, .to = to, .link = link, .length = length};
	int64_t jitter = c->jitter_us ? (int64_t)(cluster_random(c) % (uint64_t)c->jitter_us) : 0;

	packet.bytes = copy_of(bytes, length);
	packet.at = monotime_from_us(c->now.us + c->delay_us + c->link_delay_us[link] + jitter);
	if (c->record)
		record(c, &packet);
	if (c->duplicate_percent && cluster_random(c) % 100 < c->duplicate_percent)
		duplicate(c, packet);
	if (c->dark || sender->muted || c->links_dark & 1u << link || c->nodes[to].down ||
	    cluster_random(c) % 100 < c->loss_percent ||
	    (c->tamper && !c->tamper(c->tamper_context, &packet))) {
		free(packet.bytes);
		return;
	}
	packet_push(c, packet);
}

/* ---- effects ---- */

static void effect_send(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
			size_t length)
{
	struct cluster_node *n = context;

	n->sent++;
	n->sent_bytes += length;
	if (to) {
		transmit(n, to->bytes[0], link, bytes, length);
		return;
	}
	for (unsigned i = 0; i < n->cluster->count; i++)
		if (i != n->index)
			transmit(n, i, link, bytes, length);
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
		packet_push(c, packet);
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
		deliver(c, packet_pop(c));
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
		free(packet_pop(c).bytes);
	for (size_t i = 0; i < c->recorded_count; i++)
		free(c->recorded[i].bytes);
	free(c->recorded);
	free(c->packets);
}

/* ---- what to look at ---- */

struct flow cluster_flow(uint32_t i)
{
	struct flow f = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};

	f.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK | FLOW_HAS_TCP;
	f.orig.src[0] = 10;
	f.orig.src[1] = (uint8_t)(i >> 24);
	f.orig.src[2] = (uint8_t)(i >> 16);
	f.orig.src[3] = 1;
	f.orig.dst[0] = 198;
	f.orig.dst[3] = 7;
	f.orig.sport = (uint16_t)(i & 0xffff);
	f.orig.dport = 80;
	f.reply = flow_tuple_mirror(&f.orig, f.protocol);
	f.reply.dst[0] = 203;
	f.status = FLOW_STATUS_CONFIRMED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED |
		   FLOW_STATUS_SRC_NAT | FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;
	f.timeout_s = 432000;
	f.tcp.state = FLOW_TCP_ESTABLISHED;
	return f;
}

bool cluster_copy_equals(struct cluster *c, unsigned holder, unsigned owner)
{
	const struct table *copy = node_external(c->nodes[holder].node, c->nodes[owner].config.id);
	const struct table *table = node_internal(c->nodes[owner].node);

	return copy && table_count(copy) == table_count(table) && table_digest(copy) == table_digest(table);
}

struct node_peer_view cluster_peer_view(struct cluster *c, unsigned index, unsigned of)
{
	struct node_peer_view view = {0};
	struct node_view whole;

	node_view(c->nodes[index].node, c->now, &whole);
	for (unsigned i = 0; i < whole.peers; i++) {
		node_peer_view(c->nodes[index].node, cluster_clock(c, index), i, &view);
		if (view.id == c->nodes[of].config.id)
			return view;
	}
	return (struct node_peer_view){0};
}

bool cluster_is_in_sync(struct cluster *c)
{
	for (unsigned i = 0; i < c->count; i++)
		for (unsigned j = 0; j < c->count; j++) {
			struct node_peer_view view;

			if (i == j || c->nodes[i].down || c->nodes[j].down)
				continue;
			view = cluster_peer_view(c, i, j);
			if (!view.holds.in_sync || !view.held.in_sync || !cluster_copy_equals(c, i, j))
				return false;
		}
	return true;
}
