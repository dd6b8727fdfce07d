/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/world.h"

#include "proto/node_state.h"
#include "proto/slab.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
	IDLE_STEPS_MAX = 1000,
	STEP_SENDS_MAX = 4096,
	PEER_ADDRESS = 7,
	/* a chunk for each size of object may be kept, and the hash and the version log are small here */
	TABLE_MEMORY_MAX = SLAB_OBJECT_MAX / SLAB_STEP * SLAB_CHUNK + (1 << 20),
};

/* ---- what the node sends ---- */

static void read_status(struct world *world, struct reader body)
{
	FUZZ_REQUIRE(!frame_status_read(body, &world->status));
	for (unsigned i = 0; i < world->status.peers_count; i++) {
		const struct frame_peer *peer = &world->status.peers[i];

		if (peer->node_id == WORLD_PEER_ID && session_id_equals(&peer->session, &world->session))
			world->about_peer = *peer;
	}
}

static void read_data(struct reader body)
{
	struct frame_data data;
	struct frame_entry entry;
	int more;

	FUZZ_REQUIRE(!frame_data_read(body, &data));
	while ((more = frame_entry_read(&data.entries, &entry)) > 0)
		FUZZ_REQUIRE(entry.verdict == RECORD_GOOD);
	FUZZ_REQUIRE(!more);
}

static void read_messages(struct world *world, struct reader r)
{
	while (reader_left(&r)) {
		uint8_t type = reader_u8(&r);
		uint16_t length = reader_u16(&r);
		struct reader body = reader_sub(&r, length);

		FUZZ_REQUIRE(!r.failed && (type == FRAME_STATUS || type == FRAME_DATA));
		if (type == FRAME_STATUS)
			read_status(world, body);
		else
			read_data(body);
	}
}

/* Every session and cipher has its own key, and numbers go up: no nonce is used twice. */
static void follow_session(struct world *world, const struct frame_header *header)
{
	const uint8_t *key = seal_ring_find(&world->ring, header->key_id);
	bool same_session = session_id_equals(&header->session, &world->header.session);

	if (!world->opener || !same_session || header->cipher != world->header.cipher) {
		seal_destroy(world->opener);
		FUZZ_REQUIRE(key);
		world->opener =
		    seal_create(key, header->cipher, FRAME_VERSION, header->node_id, &header->session);
		FUZZ_REQUIRE(world->opener);
	}
	world->number = same_session ? world->number + 1 : 1;
	FUZZ_REQUIRE(header->packet_number == world->number);
	world->header = *header;
}

/* The node's sending side is no target: what it sends must be good, whatever it was told before. */
static void effect_send(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
			size_t length)
{
	struct world *world = context;
	uint8_t nonce[SEAL_NONCE_SIZE], plain[FRAME_PAYLOAD_MAX];
	struct frame_header header;
	struct reader r;

	world->sent++;
	FUZZ_REQUIRE(link < WORLD_LINKS && length <= world_config(WORLD_NODE_ID).payload_max);
	FUZZ_REQUIRE(!to || (to->length == 1 && world->heard_from & 1u << to->bytes[0]));
	FUZZ_REQUIRE(frame_header_read(bytes, length, &header) == FRAME_GOOD);
	FUZZ_REQUIRE(header.node_id == WORLD_NODE_ID);
	if (world->tap && link == 0)
		world->tap(world->tap_context, bytes, length);
	if (header.packet_number == world->number && world->opener &&
	    session_id_equals(&header.session, &world->header.session))
		return; /* the same one over another link */
	follow_session(world, &header);
	frame_nonce(&header, nonce);
	FUZZ_REQUIRE(!seal_open(world->opener, nonce, bytes, FRAME_HEADER_SIZE, bytes + FRAME_HEADER_SIZE,
				length - FRAME_HEADER_SIZE, plain));
	r = reader_over(plain, length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE);
	FUZZ_REQUIRE((reader_u16(&r) != 0) == (to != NULL));
	reader_u32(&r);
	read_messages(world, r);
}

/* ---- the rest of the sink ---- */

static void effect_get(void *context, const struct flow *key)
{
	struct world *world = context;

	if (world->gets_count < WORLD_GETS_MAX)
		world->gets[world->gets_count++] = *key;
}

static void effect_audit(void *context)
{
	struct world *world = context;

	world->audit_wanted = true;
}

static void effect_log(void *context, enum node_log_level level, const char *id, const char *text)
{
	(void)context;
	FUZZ_REQUIRE(level <= NODE_LOG_DEBUG && *id);
	for (; *text; text++)
		FUZZ_REQUIRE((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void effect_random(void *context, void *bytes, size_t size)
{
	struct world *world = context;

	random_fill(&world->random, bytes, size);
}

/* What is followed must be something that a kernel could take. */
static void effect_follow(void *context, const struct flow *flow, bool gone)
{
	uint8_t record[RECORD_MAX];

	(void)context, (void)gone;
	FUZZ_REQUIRE(record_encode(flow, record));
}

static void effect_withdraw(void *context)
{
	struct world *world = context;

	world->withdraw_wanted = true;
}

static uint32_t effect_remaining(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	(void)context;
	return flow->timeout_s > elapsed_s ? flow->timeout_s - elapsed_s : 0;
}

/* ---- steps ---- */

void world_step(struct world *world, struct node_event *event)
{
	uint64_t before = world->sent;

	event->now = world->now;
	node_step(world->node, event);
	FUZZ_REQUIRE(world->sent - before <= STEP_SENDS_MAX);
}

static void answer_gets(struct world *world)
{
	while (world->gets_count) {
		struct flow flow = world->gets[--world->gets_count];
		struct node_event event = {.type = NODE_GET_REPLY, .flow = &flow};

		world_step(world, &event);
	}
}

/* Tells the node of each flow that it holds, as the kernel would. */
static void tell_flows(struct world *world, enum node_event_type type)
{
	struct table_walk walk = table_walk_after(node_internal(world->node), 0, false);
	struct flow flows[WORLD_FLOWS_MAX];
	const struct table_entry *entry;
	size_t count = 0;

	while (count < WORLD_FLOWS_MAX && (entry = table_walk_next(&walk))) {
		record_decode(entry->bytes, &flows[count]);
		flows[count++].incarnation = 0;
	}
	for (size_t i = 0; i < count; i++) {
		struct node_event event = {.type = type, .flow = &flows[i]};

		world_step(world, &event);
	}
}

void world_audit(struct world *world)
{
	struct node_event begin = {.type = NODE_AUDIT_BEGIN}, end = {.type = NODE_AUDIT_END, .clean = true};

	world->audit_wanted = false;
	world_step(world, &begin);
	tell_flows(world, NODE_AUDIT_ROW);
	world_step(world, &end);
	answer_gets(world);
}

static void withdraw(struct world *world)
{
	struct node_event end = {.type = NODE_WITHDRAW_END};

	world->withdraw_wanted = false;
	tell_flows(world, NODE_FLOW_WITHDRAWN);
	world_step(world, &end);
}

/* Steps the node while it is due: one that is due again and again, and does nothing, spins. */
static void settle(struct world *world)
{
	struct node_event time = {.type = NODE_TIME};

	for (unsigned idle = 0; !monotime_is_before(world->now, node_deadline(world->node)); idle++) {
		uint64_t before = world->sent;

		world_step(world, &time);
		answer_gets(world);
		if (world->sent != before)
			idle = 0;
		FUZZ_REQUIRE(idle < IDLE_STEPS_MAX);
		world->now.us++;
	}
	if (world->audit_wanted)
		world_audit(world);
	if (world->withdraw_wanted)
		withdraw(world);
}

void world_wait(struct world *world, int64_t us)
{
	struct monotime until = monotime_add(world->now, monotime_from_us(us));

	while (monotime_is_before(world->now, until)) {
		world->now = monotime_max(world->now, monotime_min(until, node_deadline(world->node)));
		settle(world);
	}
}

void world_take(struct world *world, unsigned link, unsigned address, const uint8_t *bytes, size_t length)
{
	struct node_event event = {.type = NODE_DATAGRAM};
	uint8_t *copy = fuzz_copy(bytes, length);

	event.datagram.link = link;
	event.datagram.from.length = 1;
	event.datagram.from.bytes[0] = (uint8_t)(address & 31);
	event.datagram.bytes = copy;
	event.datagram.length = length;
	world->heard_from |= 1u << (address & 31);
	world_step(world, &event);
	free(copy);
	settle(world);
}

/* ---- the peer ---- */

void world_say(struct world *world, unsigned link, bool to_group, const uint8_t *messages, size_t length)
{
	uint8_t bytes[FRAME_PAYLOAD_MAX], nonce[SEAL_NONCE_SIZE];
	struct writer w = writer_over(bytes, sizeof(bytes) - SEAL_TAG_SIZE);
	struct frame_header header = {FRAME_VERSION,          SEAL_AES_256_GCM, WORLD_PEER_ID,
				      world->ring.keys[0].id, world->session,   WORLD_PEER_ID,
				      ++world->packet_number};

	if (length > FRAME_PAYLOAD_MAX - FRAME_OVERHEAD)
		length = FRAME_PAYLOAD_MAX - FRAME_OVERHEAD;
	frame_header_write(&w, &header);
	writer_u16(&w, to_group ? 0 : WORLD_NODE_ID);
	writer_u32(&w, ++world->counter[to_group]);
	writer_bytes(&w, messages, length);
	frame_nonce(&header, nonce);
	FUZZ_REQUIRE(!w.failed && !seal_close(world->seal, nonce, bytes, FRAME_HEADER_SIZE,
					      bytes + FRAME_HEADER_SIZE, FRAME_INNER_SIZE + length));
	world_take(world, link, PEER_ADDRESS, bytes, FRAME_OVERHEAD + length);
}

void world_say_status(struct world *world, struct frame_status *status)
{
	struct frame_peer *about = &status->peers[0];
	uint8_t bytes[FRAME_PAYLOAD_MAX - FRAME_OVERHEAD];
	struct writer w = writer_over(bytes, sizeof(bytes));

	if (!status->peers_count)
		status->peers_count = 1;
	about->node_id = WORLD_NODE_ID;
	about->session = world->header.session;
	about->challenge = world->challenge;
	about->echo = world->about_peer.challenge;
	about->stamp = world->status.stamp;
	about->held_us = 0;
	frame_status_write(&w, status);
	if (!w.failed)
		world_say(world, 0, true, bytes, writer_length(&w));
}

bool world_handshake(struct world *world)
{
	struct frame_status status = {
	    .role = FRAME_ROLE_PRIMARY, .flags = FRAME_STATUS_COMPLETE, .instance = world->instance};

	random_fill(&world->random, world->session.bytes, sizeof(world->session.bytes));
	seal_destroy(world->seal);
	world->seal = seal_create(world->ring.keys[0].key, SEAL_AES_256_GCM, FRAME_VERSION, WORLD_PEER_ID,
				  &world->session);
	FUZZ_REQUIRE(world->seal);
	world->packet_number = 0;
	memset(&world->about_peer, 0, sizeof(world->about_peer));
	/* the first makes it a candidate; the second echoes the challenge; an old session must fall silent */
	for (unsigned i = 0; i < 12; i++) {
		struct frame_status copy = status;

		copy.peers[0].flags = FRAME_PEER_CURRENT;
		copy.stamp = (uint64_t)world->now.us;
		world_say_status(world, &copy);
		if (world->about_peer.flags & FRAME_PEER_CURRENT)
			return true;
		world_wait(world, 200000);
	}
	return false;
}

/* ---- checks ---- */

static void check_receive(const struct receive *receive)
{
	size_t bytes = 0;

	FUZZ_REQUIRE(receive->stash.count <= STASH_FRAMES);
	for (size_t i = 0; i < receive->stash.count; i++) {
		FUZZ_REQUIRE(!i || receive->stash.frames[i - 1].from <= receive->stash.frames[i].from);
		bytes += receive->stash.frames[i].length;
	}
	FUZZ_REQUIRE(bytes == receive->stash.bytes && bytes <= STASH_BYTES);
	FUZZ_REQUIRE(table_count(receive->table) <= WORLD_FLOWS_MAX);
	FUZZ_REQUIRE(table_memory(receive->table) <= TABLE_MEMORY_MAX);
}

/* Within a session what is applied never goes back. */
static void check_progress(struct world *world, const struct peer *peer)
{
	if (peer->id != WORLD_PEER_ID || !session_exists(&peer->current))
		return;
	if (!session_id_equals(&world->current, &peer->current.id)) {
		world->current = peer->current.id;
		world->applied = 0;
	}
	FUZZ_REQUIRE(peer->receive.applied >= world->applied);
	world->applied = peer->receive.applied;
}

void world_check(struct world *world)
{
	const struct node *node = world->node;
	struct node_view view;

	node_view(node, world->now, &view);
	FUZZ_REQUIRE(view.peers < FRAME_NODES_MAX && view.strangers <= NODE_STRANGERS);
	FUZZ_REQUIRE(table_count(node_internal(node)) <= WORLD_FLOWS_MAX);
	FUZZ_REQUIRE(table_tombstones(node_internal(node)) <= WORLD_TOMBSTONES_MAX);
	FUZZ_REQUIRE(table_memory(node_internal(node)) <= TABLE_MEMORY_MAX);
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		if (!node->peers[i].id)
			continue;
		check_receive(&node->peers[i].receive);
		check_progress(world, &node->peers[i]);
	}
	for (unsigned i = 0; i < view.peers; i++) {
		struct node_peer_view peer;

		node_peer_view(node, world->now, i, &peer);
		FUZZ_REQUIRE(memchr(peer.holds.reason, 0, NODE_REASON_SIZE));
		FUZZ_REQUIRE(peer.holds.in_sync == !peer.holds.reason[0]);
		FUZZ_REQUIRE(!peer.holds.in_sync || (peer.alive && peer.complete && !peer.suspect));
	}
	for (unsigned i = 0; i < view.strangers; i++) {
		struct node_stranger_view stranger;

		node_stranger_view(node, i, &stranger);
		FUZZ_REQUIRE(stranger.count && stranger.drop < NODE_DROPS);
	}
}

static void check_table(const struct table *table)
{
	struct table_walk walk = table_walk_after(table, 0, false);
	const struct table_entry *entry;
	uint64_t digest = 0, version = 0;
	size_t count = 0;

	while ((entry = table_walk_next(&walk))) {
		size_t length = 0;

		FUZZ_REQUIRE(record_check(entry->bytes, RECORD_MAX, &length) == RECORD_GOOD);
		FUZZ_REQUIRE(walk.version > version && walk.version <= table_newest(table));
		FUZZ_REQUIRE(table_find(table, record_key(entry->bytes)) == entry);
		version = walk.version;
		digest += record_hash(entry->bytes);
		count++;
	}
	FUZZ_REQUIRE(count == table_count(table) && digest == table_digest(table));
}

void world_check_tables(struct world *world)
{
	check_table(node_internal(world->node));
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (world->node->peers[i].id)
			check_table(world->node->peers[i].receive.table);
}

/* ---- life ---- */

struct node_config world_config(uint16_t id)
{
	struct node_config config = {.id = id,
				     .heartbeat = monotime_from_ms(200),
				     .peer_timeout = monotime_from_s(1),
				     .max_flows = WORLD_FLOWS_MAX,
				     .max_tombstones = WORLD_TOMBSTONES_MAX,
				     .links = WORLD_LINKS,
				     .payload_max = 1452,
				     .receive_window = 1 << 20,
				     .cipher = SEAL_AES_256_GCM,
				     .software = "fuzz"};
	const uint8_t key[SEAL_KEY_SIZE] = {4, 2};

	seal_ring_add(&config.ring, key);
	return config;
}

void world_open(struct world *world)
{
	struct node_config config = world_config(WORLD_NODE_ID);
	struct node_sink sink = {.context = world,
				 .send = effect_send,
				 .get_flow = effect_get,
				 .audit_now = effect_audit,
				 .log = effect_log,
				 .random = effect_random,
				 .follow = effect_follow,
				 .withdraw = effect_withdraw,
				 .remaining_s = effect_remaining};

	memset(world, 0, sizeof(*world));
	world->ring = config.ring;
	world->random.state = 1;
	world->challenge = 0x7777;
	world->now = monotime_from_s(1000);
	FUZZ_REQUIRE(node_create(&world->node, &config, &sink, world->now) == 0);
	world_audit(world);
	settle(world);
}

void world_close(struct world *world)
{
	node_destroy(world->node);
	seal_destroy(world->seal);
	seal_destroy(world->opener);
}
