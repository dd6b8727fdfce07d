/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/node_state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_TEXT_SIZE = 320 };
/* a restored machine needs one new session; who makes us start one again and again gets them ever later */
static const int64_t restart_pause_first_us = 5 * INT64_C(1000000);
static const int64_t restart_pause_last_us = 300 * INT64_C(1000000);
static const int64_t no_memory_interval_us = 5 * INT64_C(1000000);

uint32_t node_random32(struct node *node)
{
	uint32_t value;

	node->sink.random(node->sink.context, &value, sizeof(value));
	return value;
}

void node_log(const struct node *node, enum node_log_level level, const char *id, const char *format, ...)
{
	char text[LOG_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	node->sink.log(node->sink.context, level, id, text);
}

void node_say_no_memory(struct node *node, const char *what)
{
	if (node->no_memory_at.us && node->now.us - node->no_memory_at.us < no_memory_interval_us)
		return;
	node->no_memory_at = node->now;
	node_log(node, NODE_LOG_ERROR, "no-memory", "out of memory: could not %s", what);
}

/* ---- life ---- */

static void ask_kernel(void *context, const struct flow *key)
{
	const struct node *node = context;

	node->sink.get_flow(node->sink.context, key);
}

static int config_check(const struct node_config *c)
{
	if (!c->id || !c->links || c->links > NODE_LINKS_MAX || !c->ring.count || !c->max_flows)
		return -EINVAL;
	if (c->payload_max < FRAME_PAYLOAD_MIN || c->payload_max > FRAME_PAYLOAD_MAX)
		return -EINVAL;
	return c->heartbeat.us > 0 && c->peer_timeout.us >= c->heartbeat.us ? 0 : -EINVAL;
}

void node_observe_table(const struct node *node, struct table *table, uint16_t id)
{
	table_observe(table, node->observer, node->observer_context, id);
}

void node_observe(struct node *node, table_observer *observer, void *context)
{
	node->observer = observer;
	node->observer_context = context;
	node_observe_table(node, node->local.table, 0);
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id)
			node_observe_table(node, node->peers[i].receive.table, node->peers[i].id);
}

int node_create(struct node **result, const struct node_config *config, const struct node_sink *sink,
		struct monotime now)
{
	struct node *node;
	struct table *table;
	int error = config_check(config);

	if (error)
		return error;
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->config = *config;
	node->payload_wanted = config->payload_max;
	node->sink = *sink;
	node->now = now;
	table = table_create(config->max_flows, config->max_tombstones,
			     (uint64_t)node_random32(node) << 32 | node_random32(node));
	if (!table || outbox_start_session(&node->outbox, config, sink)) {
		if (table)
			table_destroy(table);
		free(node);
		return -ENOMEM;
	}
	local_init(&node->local, table, node_random32(node), ask_kernel, node);
	role_init(&node->role, config->own_term, config->first_term);
	node->handover.leftovers = config->leftovers;
	node->heartbeat_at = now;
	node->status_at = MONOTIME_NEVER;
	node_warm_review(node);
	*result = node;
	return 0;
}

void node_destroy(struct node *node)
{
	if (!node)
		return;
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		peer_destroy(&node->peers[i]);
	peer_destroy(&node->twin);
	foreign_close(&node->foreign);
	local_destroy(&node->local);
	outbox_finish(&node->outbox);
	seal_ring_wipe(&node->config.ring);
	free(node);
}

/* Peers take the new session for a restart and catch up in full; what they said of the old one no longer
 * counts. */
void node_restart_session(struct node *node, const char *why)
{
	int64_t since_us = node->now.us - node->restarted_at.us, pause_us = node->restart_pause_us;

	if (node->restarted_at.us && since_us < pause_us)
		return;
	if (!node->restarted_at.us || since_us > 2 * restart_pause_last_us)
		pause_us = restart_pause_first_us / 2;
	node->restart_pause_us = pause_us * 2 < restart_pause_last_us ? pause_us * 2 : restart_pause_last_us;
	node->restarted_at = node->now;
	if (outbox_start_session(&node->outbox, &node->config, &node->sink)) {
		node_log(node, NODE_LOG_ERROR, "session-restart", "no memory for a new session; %s", why);
		return;
	}
	node_log(node, NODE_LOG_WARNING, "session-restart", "starting a new session: %s", why);
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		node->peers[i].has_about_us = false;
		node->peers[i].receive.before_primary.is_known =
		    false; /* in our new session versions begin anew */
		catchup_forget(&node->peers[i].catchup);
		flight_reset(&node->peers[i].live);
	}
	node_want_status(node);
}

bool node_has_slept(const struct node *node, struct monotime now)
{
	return now.us - node->now.us > 2 * node->config.heartbeat.us;
}

/* ---- requests ---- */

static bool is_meant(const struct peer *peer, uint16_t id)
{
	return peer->id && (!id || peer->id == id);
}

static void resync(struct node *node, uint16_t id, bool flush)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		struct peer *peer = &node->peers[i];

		if (!is_meant(peer, id))
			continue;
		if (flush)
			receive_flush(&peer->receive, node->now);
		else if (peer_is_alive(peer, &node->config, node->now))
			receive_want_full(&peer->receive, true, node->now);
	}
}

static void change_role(struct node *node, enum frame_role wanted)
{
	enum frame_role before = node->role.current;
	bool resumes =
	    before == FRAME_ROLE_INIT && wanted == FRAME_ROLE_PRIMARY && node->role.term && !node->takes_over;

	if ((unsigned)wanted >= FRAME_ROLES)
		return;
	if (!role_set(&node->role, wanted, resumes)) {
		node_taken_again(node);
		return;
	}
	node_role_changed(node, before == FRAME_ROLE_PRIMARY);
	node_log(node, NODE_LOG_NOTICE, "role", "%s -> %s, term %u", frame_role_name(before),
		 frame_role_name(wanted), node->role.term);
	node_want_status(node);
}

/* What was too large for a path stays so until it is configured otherwise. */
static void review_payload(struct node *node)
{
	bool is_as_before = node->config.payload_max == node->payload_wanted;

	node->payload_wanted = node->config.payload_max;
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		node->peers[i].is_narrowed &= is_as_before;
		if (node->peers[i].is_narrowed)
			node->config.payload_max = FRAME_PAYLOAD_MIN;
	}
}

/* Sessions that were opened with a key that is accepted no more can't be opened further (input.c asks the
 * ring each time). */
static void configure(struct node *node, const struct node_config *config)
{
	struct seal_ring old = node->config.ring;

	if (config_check(config) || config->id != node->config.id || config->links != node->config.links) {
		node_log(node, NODE_LOG_ERROR, "configure", "refused: not what a running node can change to");
		return;
	}
	node->config = *config;
	review_payload(node);
	table_set_limits(node->local.table, config->max_flows, config->max_tombstones);
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id)
			table_set_limits(node->peers[i].receive.table, config->max_flows, 0);
	node->heartbeat_at = monotime_min(node->heartbeat_at, monotime_add(node->now, config->heartbeat));
	if ((node->outbox.key_id != config->ring.keys[0].id || node->outbox.cipher != config->cipher) &&
	    outbox_rekey(&node->outbox, config))
		node_log(node, NODE_LOG_ERROR, "rekey",
			 "no memory for the new key: still sending with the old one");
	seal_ring_wipe(&old);
	node_warm_review(node);
	node_want_status(node);
}

/* ---- time ---- */

static void run_receivers(struct node *node)
{
	for (unsigned i = 0; i < node->peers_end; i++) {
		struct peer *peer = &node->peers[i];
		bool ran;

		if (!peer->id)
			continue;
		ran = peer->receive.full.running;
		if (peer_is_alive(peer, &node->config, node->now) || peer->receive.full.sweeping)
			receive_run(&peer->receive, node_random32(node), node->now);
		if (!ran && peer->receive.full.running) {
			node_log(node, NODE_LOG_INFO, "full-started", "asking node %u for a full catch-up",
				 peer->id);
			node_want_ack(node, peer, true);
		}
	}
}

static void run(struct node *node)
{
	node_review_sessions(node);
	run_receivers(node);
	local_sweep(&node->local);
	node_warm_run(node);
	node_review_transfer(node);
	stream_touch(&node->stream, node->local.table, node->now);
	node_send(node);
}

static void overrun(struct node *node, bool ended)
{
	local_overrun(&node->local, ended);
	node->sink.audit_now(node->sink.context);
	node_want_status(node);
}

static void set_deaf(struct node *node, bool deaf)
{
	local_set_deaf(&node->local, deaf);
	if (!deaf)
		node->sink.audit_now(node->sink.context);
	node_want_status(node);
}

static void flush_internal(struct node *node)
{
	local_flush(&node->local);
	node->sink.audit_now(node->sink.context);
	node_want_status(node);
}

/* A pass that proved nothing is repeated; `complete` and `suspect` change only here and with the sweep that
 * follows. */
static void audit_end(struct node *node, bool clean)
{
	local_audit_end(&node->local, clean);
	if (!node->local.sweeps && !node->local.frozen && !node->local.deaf)
		node->sink.audit_now(node->sink.context);
}

static void leave(struct node *node)
{
	node->leaving = true;
	node->heartbeat_at = node->now;
	node_send(node);
}

/* What is left of nodes that rebooted, or were restarted, is not taken either, and stays: the next takeover
 * brings the rest. */
void node_void_claims(struct node *node)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		node->peers[i].taken.below = 0;
		for (unsigned o = 0; node->peers[i].id && o < NODE_ORPHANS_MAX; o++)
			node->peers[i].orphans[o].is_taken = false;
	}
	if (claims_void(&node->claims))
		node_log(
		    node, NODE_LOG_WARNING, "claims-void",
		    "our kernel has no room for all that we take over: other nodes keep what they have of "
		    "it, until we take over again");
}

/*
 * We were stopped, or got no time, for longer than heartbeats are apart: what came meanwhile waits to be
 * read, and nobody is called silent for not having been heard.
 */
static void spare_peers(struct node *node, struct monotime now)
{
	struct monotime until = monotime_add(now, node->config.peer_timeout);

	for (unsigned i = 0; i < node->peers_end; i++) {
		struct peer *peer = &node->peers[i];

		if (peer->id && peer_is_alive(peer, &node->config, node->now))
			session_spare(&peer->current, now, until);
	}
}

/* Or may have. */
static void flow_left(struct node *node, const struct flow *flow)
{
	node_note_silent(node, flow);
	node_warm_note_ended(node, flow);
}

/* The table of events: flat, and so longer than other functions may be. */
void node_step(struct node *node, const struct node_event *event)
{
	struct local *local = &node->local;

	if (node_has_slept(node, event->now))
		spare_peers(node, event->now);
	node->now = monotime_max(node->now, event->now);
	outbox_new_batch(&node->outbox);
	if (node_warm_takes(node, event))
		return;
	switch (event->type) {
	case NODE_TIME:
		run(node);
		return;
	case NODE_DATAGRAM:
		node_take_datagram(node, event);
		return;
	case NODE_FLOW_NEW:
		local_flow_new(local, event->flow);
		break;
	case NODE_FLOW_UPDATE:
		local_flow_update(local, event->flow);
		break;
	case NODE_FLOW_DESTROY:
		local_flow_destroyed(local, event->flow);
		flow_left(node, event->flow);
		break;
	case NODE_FLOW_COMMITTED:
		local_flow_committed(local, event->flow);
		break;
	case NODE_AUDIT_BEGIN:
		local_audit_begin(local);
		break;
	case NODE_AUDIT_ROW:
		local_audit_row(local, event->flow);
		break;
	case NODE_AUDIT_END:
		audit_end(node, event->clean);
		break;
	case NODE_GET_REPLY:
		local_get_reply(local, event->flow, event->found);
		flow_left(node, event->flow);
		break;
	case NODE_DEAF:
	case NODE_HEARS:
		set_deaf(node, event->type == NODE_DEAF);
		break;
	case NODE_OVERRUN:
	case NODE_OVERRUN_ENDED:
		overrun(node, event->type == NODE_OVERRUN_ENDED);
		break;
	case NODE_ROLE:
		change_role(node, event->role);
		break;
	case NODE_RESYNC:
		resync(node, event->peer, false);
		break;
	case NODE_FLUSH_INTERNAL:
		flush_internal(node);
		break;
	case NODE_FLUSH_EXTERNAL:
		resync(node, event->peer, true);
		break;
	case NODE_CONFIGURE:
		configure(node, event->config);
		break;
	case NODE_KERNEL_LIMITS:
		node->conntrack_max = event->conntrack_max;
		node->conntrack_buckets = event->conntrack_buckets;
		break;
	case NODE_LEAVE:
		leave(node);
		break;
	case NODE_TAKEOVER:
		node_takeover_begin(node);
		break;
	case NODE_TAKEOVER_FAILED:
		node_takeover_failed(node);
		break;
	case NODE_FLOW_REFUSED:
		node_void_claims(node);
		break;
	case NODE_FLOW_WITHDRAWN:
		local_flow_withdrawn(local, event->flow);
		break;
	case NODE_WITHDRAW_END:
		node_withdraw_end(node);
		break;
	case NODE_EXPECT_NEW:
		node_warm_adopt_master(node, event->expect, false);
		local_expect_new(local, event->expect);
		break;
	case NODE_EXPECT_DESTROY:
		local_expect_destroyed(local, event->expect);
		break;
	case NODE_EXPECT_COMMITTED:
		node_warm_adopt_master(node, event->expect, true);
		local_expect_committed(local, event->expect);
		break;
	case NODE_EXPECT_BEGIN:
		local_expects_begin(local);
		break;
	case NODE_EXPECT_ROW:
		node_warm_adopt_master(node, event->expect, false);
		local_expects_row(local, event->expect);
		break;
	case NODE_EXPECT_END:
		local_expects_end(local);
		break;
	case NODE_FOREIGN_RUN:
		node_foreign_run(node, event->acts_max);
		break;
	case NODE_FOREIGN_DONE:
		node_foreign_done(node, event);
		break;
	case NODE_FOREIGN_FLUSHED:
		node_foreign_flushed(node);
		break;
	case NODE_FLOW_DISOWNED:
		node_flow_disowned(node, event->flow);
		break;
	}
	stream_touch(&node->stream, local->table, node->now);
}

static struct monotime peer_deadline(const struct node *node, const struct peer *peer)
{
	struct monotime at = receive_deadline(&peer->receive);

	if (!peer_is_alive(peer, &node->config, node->now) && !peer->receive.full.sweeping)
		at = MONOTIME_NEVER;
	if (peer->was_alive)
		at = monotime_min(at, session_dies_at(&peer->current, node->config.peer_timeout));
	return at;
}

struct monotime node_deadline(const struct node *node)
{
	struct monotime at = node_send_deadline(node);

	if (local_sweep_is_due(&node->local))
		at = node->now;
	at = monotime_min(at, node_warm_adopt_deadline(node));
	for (unsigned i = 0; i < node->peers_end; i++)
		if (node->peers[i].id)
			at = monotime_min(at, peer_deadline(node, &node->peers[i]));
	return at;
}
