/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/invariant.h"

#include "tests/sim/daemon.h"
#include "tests/sim/inside.h"
#include "tests/sim/invariant_state.h"
#include "tests/sim/warm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHECK_US = 7000,
	STEP_SENDS_MAX = 32 * 6 + 32, /* over each link: STREAM_SLICE for the group and each peer, and some */
	STEP_GETS_MAX = 512,
	TIME_REMOVED_MAX = 4096 + 4096, /* a slice of a sweep, and one of ageing */
	REMOVAL_BYTES_MIN = 12,         /* in a frame: its kind and an IPv4 key */
	TABLE_FIXED_BYTES = 3 << 20,
	TABLE_FLOW_BYTES = 200,
	RELAY_US = 5000000,
	STATUS_LOOK_US = 10000,
	STATUS_SLACK_US = 15000,
	STATUS_SLOW_SLACK_US = 3000,
};

struct host_record *invariant_record(const struct host *host)
{
	return &host->world->invariants->hosts[host->index];
}

static struct table_entry *find(const struct table *table, uint32_t number)
{
	const struct connection any = {0};
	uint8_t key[RECORD_KEY_MAX];
	struct flow flow;

	connection_flow(number, &any, &flow);
	return table_find(table, (struct record_key){key, record_encode_key(&flow, key)});
}

const struct table_entry *invariant_find(const struct table *table, uint32_t number)
{
	const struct table_entry *entry = find(table, number);

	return entry && !(entry->flags & TABLE_ENTRY_TOMBSTONE) ? entry : NULL;
}

bool invariant_remembers(const struct table *table, uint32_t number)
{
	const struct table_entry *entry = find(table, number);

	return entry && entry->flags & TABLE_ENTRY_TOMBSTONE;
}

/* ---- life ---- */

struct invariants *invariant_create(void)
{
	return calloc(1, sizeof(struct invariants));
}

void invariant_destroy(struct invariants *invariants)
{
	for (unsigned i = 0; invariants && i < NET_HOSTS_MAX; i++) {
		replica_finish(&invariants->hosts[i]);
		seal_destroy(invariants->hosts[i].opener);
		free(invariants->hosts[i].results);
		free(invariants->hosts[i].closed_us);
		free(invariants->hosts[i].last_departures);
	}
	free(invariants);
}

int invariant_init(struct world *world)
{
	for (unsigned i = 0; i < world->hosts_count; i++) {
		struct host_record *record = &world->invariants->hosts[i];

		record->results = calloc(world->hosts[i].kernel.numbers, 1);
		record->last_departures =
		    calloc(world->hosts[i].kernel.numbers, sizeof(*record->last_departures));
		record->closed_us = calloc(world->hosts[i].kernel.numbers, sizeof(*record->closed_us));
		if (!record->results || !record->last_departures || !record->closed_us)
			return -ENOMEM;
		record->reign.since_us = INT64_MAX;
		record->off_us = record->ended_us = record->frozen_us = INT64_MAX;
	}
	return 0;
}

static void note_limits(struct host *host)
{
	struct host_record *record = invariant_record(host);

	if (host->config.max_flows > record->flows_high)
		record->flows_high = host->config.max_flows;
	if (host->config.max_tombstones > record->tombstones_high)
		record->tombstones_high = host->config.max_tombstones;
}

static void note_session(struct host *host, const struct node_view *view)
{
	struct host_record *record = invariant_record(host);

	if (history_same_session(&record->session, &view->session))
		return;
	record->before[record->before_count++ % SESSIONS_BEFORE] = (struct session_before){
	    record->session, record->ended_us == INT64_MAX ? host->world->now_us : record->ended_us};
	record->session = view->session;
	record->ended_us = INT64_MAX;
}

void invariant_after_start(struct host *host)
{
	struct host_record *record = invariant_record(host);
	struct node_view view;

	node_view(host->node, host_clock(host), &view);
	note_session(host, &view);
	note_limits(host);
	record->off_us = record->frozen_us = INT64_MAX;
	record->status_us = host->world->now_us;
	for (unsigned i = 0; i < NET_HOSTS_MAX; i++) {
		record->of[i].known = false;
		if (i != host->index)
			host->world->invariants->hosts[i].strange_in[host->index] =
			    host->world->invariants->hosts[i].strange_out[host->index] = 0;
	}
	replica_forget(host);
}

void invariant_before_end(struct host *host)
{
	struct host_record *record = invariant_record(host);

	replica_owner_ends(host);
	replica_forget(host);
	history_end(&record->history, host->world->now_us);
	record->ended_us = host->world->now_us;
}

void invariant_before_power_off(struct host *host)
{
	invariant_record(host)->off_us = host->world->now_us;
}

void invariant_before_power_on(struct host *host)
{
	replica_owner_reboots(host);
}

void invariant_on_flush(struct host *host)
{
	replica_forget(host);
}

/* ---- (g) ---- */

static uint64_t fingerprint(const struct host *host)
{
	const struct table *own = node_internal(host->node);
	uint64_t sum = table_digest(own) * 3 + table_newest(own);

	for (unsigned i = 0; i < host->world->hosts_count; i++) {
		const struct table *held = node_external(host->node, host->world->hosts[i].id);

		if (held)
			sum += (table_digest(held) + 7 * table_newest(held)) * (2 * i + 5);
	}
	return sum;
}

/* A damaged datagram, or one of a session that is not current here. */
static bool must_change_nothing(const struct host *host)
{
	const struct packet *packet = host->packet;
	struct frame_header header;

	if (!packet || packet->kind == PACKET_GENUINE)
		return false;
	if (packet->kind == PACKET_DAMAGED)
		return true;
	if (frame_header_read(packet->datagram->bytes, packet->datagram->length, &header) != FRAME_GOOD ||
	    !header.node_id || header.node_id > host->world->hosts_count)
		return true;
	return !history_same_session(&host->world->invariants->hosts[header.node_id - 1].session,
				     &header.session) &&
	       !history_same_session(&invariant_record(host)->of[header.node_id - 1].session,
				     &header.session);
}

/* ---- steps ---- */

static void count_strange(struct host *host)
{
	struct host_record *record = invariant_record(host);
	unsigned from = host->packet->from == NET_ATTACKER ? NET_HOSTS_MAX : host->packet->from;

	record->strange_in[from] += host->packet->datagram->length;
	/* what was sent just now, relayed as it is: a detour on the way to a peer, until that is heard
	 * directly */
	if (host->packet->kind == PACKET_REPLAYED &&
	    host->world->now_us - host->packet->datagram->sent_us < RELAY_US)
		record->strange_in[from] = UINT64_MAX / 2;
}

void invariant_before_step(struct host *host, const struct node_event *event)
{
	struct host_record *record = invariant_record(host);

	if (host->packet)
		count_strange(host);
	if (must_change_nothing(host))
		record->fingerprint = fingerprint(host);
	if (event->type != NODE_TIME && event->type != NODE_DATAGRAM)
		return;
	for (unsigned i = 0; i < host->world->hosts_count; i++) {
		const struct table *held = node_external(host->node, host->world->hosts[i].id);

		record->held_before[i] = held ? table_count(held) : 0;
		record->removable[i] = event->type == NODE_TIME
					   ? TIME_REMOVED_MAX
					   : (event->datagram.length +
					      inside_stash_bytes(host->node, host->world->hosts[i].id)) /
						 REMOVAL_BYTES_MIN;
	}
}

/* (i): what a step does is bounded whatever the tables hold. */
static void check_work(struct host *host, const struct node_event *event)
{
	const struct host_record *record = invariant_record(host);

	if (host->step_sends > STEP_SENDS_MAX * host->config.links || host->step_gets > STEP_GETS_MAX)
		world_fail(host->world, "(i) host %u: a step sent %u datagrams and asked %u times", host->id,
			   host->step_sends, host->step_gets);
	if (event->type != NODE_TIME && event->type != NODE_DATAGRAM)
		return;
	for (unsigned i = 0; i < host->world->hosts_count; i++) {
		const struct table *held = node_external(host->node, host->world->hosts[i].id);

		/* (one that is dropped, or becomes an orphan, is gone whole) */
		if (held && table_count(held) &&
		    table_count(held) + record->removable[i] < record->held_before[i])
			world_fail(host->world, "(i) host %u: a step removed %zu flows", host->id,
				   record->held_before[i] - table_count(held));
	}
}

/* A flow may have left with this event. */
enum { IS_ENDING = -1 };

/* Its daemon was told that it was closed, and took it out of the table, then or when a GET had confirmed it;
 * or has it again. */
static void note_closed(struct host *host, const struct node_event *event)
{
	int64_t *closed_us = invariant_record(host)->closed_us;
	bool is_told = event->type == NODE_FLOW_DESTROY;
	bool has_ended = is_told || (event->type == NODE_GET_REPLY && !event->found);
	bool is_there = event->type == NODE_FLOW_NEW || event->type == NODE_FLOW_COMMITTED ||
			event->type == NODE_AUDIT_ROW || (event->type == NODE_GET_REPLY && event->found);
	uint32_t number;

	if ((!has_ended && !is_there) || !connection_number(event->flow, &number))
		return;
	if (is_there || !flow_is_closing(event->flow))
		closed_us[number] = 0;
	else if (invariant_find(node_internal(host->node), number))
		closed_us[number] = is_told ? IS_ENDING : closed_us[number];
	else if (is_told || closed_us[number] == IS_ENDING)
		closed_us[number] = host->world->now_us;
}

static void note_reign(struct host *host)
{
	for (unsigned i = 0; host->role == FRAME_ROLE_PRIMARY && i < host->world->hosts_count; i++)
		if (i != host->index)
			host->world->invariants->hosts[i].reign.is_lone = false;
}

static void note_departure(struct host *host, const struct node_event *event)
{
	struct host_record *record = invariant_record(host);
	const struct table *own = node_internal(host->node);
	uint32_t number;

	if (event->type != NODE_FLOW_DESTROY && event->type != NODE_FLOW_WITHDRAWN &&
	    (event->type != NODE_GET_REPLY || event->found))
		return;
	if (!connection_number(event->flow, &number) || invariant_find(own, number))
		return;
	history_note_departure(&record->history, &record->session, table_newest(own), number);
	record->last_departures[number] = 1 + table_newest(own);
}

/* Or come back: then its departure says nothing any more, also if the table is emptied at once (a request to
 * read the kernel's anew) and does not show it. */
static void note_return(struct host *host, const struct node_event *event)
{
	struct host_record *record = invariant_record(host);
	uint32_t number;

	if (event->type != NODE_FLOW_NEW && event->type != NODE_FLOW_COMMITTED &&
	    event->type != NODE_AUDIT_ROW && (event->type != NODE_GET_REPLY || !event->found))
		return;
	if (connection_number(event->flow, &number) && record->last_departures[number] &&
	    invariant_find(node_internal(host->node), number))
		record->last_departures[number] = 0;
}

static void note_primary(struct host *host)
{
	struct node_view view;

	node_view(host->node, host_clock(host), &view);
	invariant_record(host)->reign.since_us = host->world->now_us;
	invariant_record(host)->reign.until_us = INT64_MAX;
	invariant_record(host)->reign.starts = host->starts;
	invariant_record(host)->reign.is_lone = true;
	replica_primary(host, view.term);
}

static void note_freeze(struct host *host)
{
	struct host_record *record = invariant_record(host);

	if (!inside_is_frozen(host->node))
		record->frozen_us = INT64_MAX;
	else if (record->frozen_us == INT64_MAX)
		record->frozen_us = host->world->now_us;
}

void invariant_after_step(struct host *host, const struct node_event *event)
{
	struct host_record *record = invariant_record(host);
	const struct table *own = node_internal(host->node);

	history_note(&record->history, &record->session, table_newest(own), (uint32_t)table_count(own),
		     table_digest(own), host->world->now_us);
	note_closed(host, event);
	note_reign(host);
	note_departure(host, event);
	note_return(host, event);
	note_freeze(host);
	if (event->type == NODE_CONFIGURE)
		note_limits(host);
	if (must_change_nothing(host) && fingerprint(host) != record->fingerprint)
		world_fail(host->world,
			   "(g) host %u: a datagram that no holder of the key sent now changed a table",
			   host->id);
	check_work(host, event);
	if (event->type == NODE_ROLE && event->role == FRAME_ROLE_PRIMARY)
		note_primary(host);
	else if (event->type == NODE_ROLE && record->reign.until_us == INT64_MAX)
		record->reign.until_us = host->world->now_us;
}

/* ---- (e) ---- */

static void check_table(struct host *host, const struct table *table, const char *what)
{
	const struct host_record *record = invariant_record(host);
	size_t limit = (size_t)record->flows_high + record->tombstones_high;

	if (table_count(table) > record->flows_high || table_tombstones(table) > record->tombstones_high ||
	    table_memory(table) > TABLE_FIXED_BYTES + TABLE_FLOW_BYTES * limit)
		world_fail(host->world, "(e) host %u: its %s table has %zu flows, %zu tombstones, %zu bytes",
			   host->id, what, table_count(table), table_tombstones(table), table_memory(table));
}

static void check_memory(struct host *host)
{
	struct inside_limits limits = inside_limits(host->node);

	check_table(host, node_internal(host->node), "internal");
	for (unsigned i = 0; i < host->world->hosts_count; i++) {
		const struct table *held = node_external(host->node, host->world->hosts[i].id);

		if (held)
			check_table(host, held, "external");
	}
	if (limits.stash_frames > 256 || limits.stash_bytes > 512 << 10 || limits.peers > FRAME_PEERS_MAX)
		world_fail(host->world, "(e) host %u: %zu frames and %zu bytes are stashed, %u peers",
			   host->id, limits.stash_frames, limits.stash_bytes, limits.peers);
	if (inside_stash_is_full(host->node))
		world_meets(host->world, SITUATION_STASH_OVERFLOW);
}

/* ---- (i): heartbeats ---- */

static bool is_status(struct host *host, const uint8_t *bytes, size_t length)
{
	struct host_record *record = invariant_record(host);
	uint8_t nonce[SEAL_NONCE_SIZE], plain[FRAME_PAYLOAD_MAX];
	struct frame_header header;
	const uint8_t *key;

	frame_header_read(bytes, length, &header);
	key = seal_ring_find(&host->config.ring, header.key_id);
	if (!key)
		return true; /* nobody could tell */
	if (!record->opener || record->opener_key != header.key_id ||
	    record->opener_cipher != header.cipher ||
	    !history_same_session(&record->opener_session, &header.session)) {
		seal_destroy(record->opener);
		record->opener =
		    seal_create(key, header.cipher, FRAME_VERSION, header.node_id, &header.session);
		record->opener_key = header.key_id;
		record->opener_cipher = header.cipher;
		record->opener_session = header.session;
	}
	frame_nonce(&header, nonce);
	if (!record->opener || seal_open(record->opener, nonce, bytes, FRAME_HEADER_SIZE,
					 bytes + FRAME_HEADER_SIZE, length - FRAME_HEADER_SIZE, plain))
		return false;
	return plain[FRAME_INNER_SIZE] == FRAME_STATUS;
}

static void check_heartbeat(struct host *host)
{
	struct host_record *record = invariant_record(host);
	int64_t now_us = host->world->now_us, since_us = record->status_us;

	if (host->paused_until_us > since_us)
		since_us = host->paused_until_us;
	if (now_us - since_us >
	    host->config.heartbeat.us + STATUS_SLACK_US + STATUS_SLOW_SLACK_US * host->slowness)
		world_fail(host->world, "(i) host %u: no heartbeat for %lld ms", host->id,
			   (long long)(now_us - since_us) / 1000);
}

void invariant_on_send(struct host *host, unsigned link, int to, const uint8_t *bytes, size_t length)
{
	struct host_record *record = invariant_record(host);
	int64_t now_us = host->world->now_us, off_us;

	if (to < 0) {
		if (!link && now_us - record->status_us > STATUS_LOOK_US && is_status(host, bytes, length))
			record->status_us = now_us;
		return;
	}
	off_us = to == NET_ATTACKER ? 0 : host->world->invariants->hosts[to].off_us;
	if (off_us == INT64_MAX || now_us - off_us < 5 * host->config.peer_timeout.us)
		return;
	to = to == NET_ATTACKER ? NET_HOSTS_MAX : to;
	record->strange_out[to] += length;
	if (record->strange_out[to] > record->strange_in[to])
		world_fail(host->world, "(f) host %u sends more to a stranger's address than came from it",
			   host->id);
}

static void check(struct host *host)
{
	struct host_record *record = invariant_record(host);
	struct world *world = host->world;
	struct node_view view;

	record->checked_us = world->now_us;
	node_view(host->node, host_clock(host), &view);
	note_session(host, &view);
	check_heartbeat(host);
	check_memory(host);
	if (view.split_brain)
		world_meets(world, SITUATION_SPLIT_BRAIN);
	if (view.refused)
		world_meets(world, SITUATION_TABLE_FULL);
	for (unsigned i = 0; i < world->hosts_count; i++)
		if (i != host->index)
			replica_check(host, &world->hosts[i]);
}

void invariant_after_turn(struct host *host)
{
	if (host->world->now_us - invariant_record(host)->checked_us >= CHECK_US)
		check(host);
}

/* What it has done until then is judged by then: whose session it took for current may be dead afterwards. */
void invariant_before_pause(struct host *host)
{
	check(host);
}

/* ---- (a) ---- */

/* Whether the internal table has that connection as the kernel has it. */
static bool is_as_in_kernel(const struct host *host, uint32_t number)
{
	const struct table_entry *entry = invariant_find(node_internal(host->node), number);
	uint8_t record[RECORD_MAX], known[RECORD_MAX];
	struct flow flow;

	if (!entry && host->warm.acts)
		return true; /* a copy, perhaps: warm_find_difference() */
	if (!entry || !host->kernel.flows[number].present)
		return !entry && !host->kernel.flows[number].present;
	connection_flow(number, &host->kernel.flows[number].connection, &flow);
	record_encode(&flow, record);
	record_decode(entry->bytes, &flow);
	flow.incarnation = 0;
	record_encode(&flow, known);
	return record_equals(record, known);
}

/* A connection that differs; numbers: none.  The one that did when it was last asked may still do so. */
static uint32_t find_difference(const struct host *host)
{
	uint32_t *last = &invariant_record(host)->difference, number = 0;

	if (*last < host->kernel.numbers && !is_as_in_kernel(host, *last))
		return *last;
	while (number < host->kernel.numbers && is_as_in_kernel(host, number))
		number++;
	if (number == host->kernel.numbers && host->warm.acts)
		return warm_find_difference(host);
	*last = number;
	return number;
}

static bool pair_is_equal(const struct host *holder, const struct host *owner, struct node_peer_view *view)
{
	const struct table *copy = node_external(holder->node, owner->id);
	const struct table *own = node_internal(owner->node);

	return host_view_of(holder, owner, view) && view->holds.in_sync && view->held.in_sync && copy &&
	       table_count(copy) == table_count(own) && table_digest(copy) == table_digest(own);
}

bool invariant_all_is_equal(struct world *world, void (*fail)(struct world *, const char *, ...))
{
	for (unsigned i = 0; i < world->hosts_count; i++)
		for (unsigned j = 0; j < world->hosts_count; j++) {
			struct node_peer_view view = {0};

			if (i == j || pair_is_equal(&world->hosts[i], &world->hosts[j], &view))
				continue;
			if (fail)
				fail(world, "(a) host %u of host %u: holds \"%s\" held \"%s\"", i + 1, j + 1,
				     view.holds.reason, view.held.reason);
			return false;
		}
	for (unsigned i = 0; i < world->hosts_count; i++) {
		const struct host *host = &world->hosts[i];
		uint32_t number = find_difference(host);

		if (number == host->kernel.numbers)
			continue;
		if (fail)
			fail(world, "(a) host %u: connection %u is %s its kernel, %s its table", i + 1,
			     number, host->kernel.flows[number].present ? "in" : "not in",
			     invariant_find(node_internal(host->node), number) ? "in" : "not in");
		return false;
	}
	return true;
}
