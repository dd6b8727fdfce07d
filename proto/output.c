/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams out: heartbeats, acknowledgements, the live stream and catch-ups; and what peers'
 * acknowledgements mean for them. */
#include "proto/node_state.h"

#include <string.h>

static const int64_t status_interval_min_us =
    2000; /* between STATUSes to the group that are sent for a reason */
static const int64_t ack_interval_min_us = 1000; /* between those to one peer */
static const int64_t tail_probe_us = 10000;      /* after the live stream's last frame: tells who missed it */
static const int64_t sample_interval_us = 5000;
enum { HEARTBEAT_LEAD = 64 };         /* a part of the heartbeat's interval */
enum { PARTIAL_VERSIONS_MIN = 4096 }; /* a hole of more versions than that is caught up, not repaired */
enum {
	WINDOW_MIN = 16 << 10,
	CATCHUP_WINDOW_MAX = 16 << 20,
	WINDOW_SHARE = 4
}; /* the kernel counts a datagram at several times its size */

static struct stream_out stream_out(struct node *node)
{
	node->claimed_count = node_claimed_versions(node, node->claimed);
	return (struct stream_out){&node->outbox, &node->config, &node->sink,        node->local.table,
				   node->now,     node->claimed, node->claimed_count};
}

/* ---- STATUS ---- */

static uint32_t window_for_each(const struct node *node)
{
	uint32_t peers = 0, share;

	for (unsigned i = 0; i < node->peers_end; i++)
		if (node->peers[i].id && peer_is_alive(&node->peers[i], &node->config, node->now))
			peers++;
	share = node->config.receive_window / WINDOW_SHARE / (peers ? peers : 1);
	return share > WINDOW_MIN ? share : WINDOW_MIN;
}

static void describe_session(const struct node *node, uint16_t id, const struct session *session,
			     struct frame_peer *p)
{
	int64_t held = node->now.us - session->stamp_at.us;

	memset(p, 0, sizeof(*p));
	p->node_id = id;
	p->session = session->id;
	p->challenge = session->challenge;
	p->echo = session->their_challenge;
	p->stamp = session->stamp;
	p->held_us = held < UINT32_MAX ? (uint32_t)held : UINT32_MAX;
}

static void describe_peer(const struct node *node, const struct peer *peer, unsigned holes,
			  struct frame_peer *p)
{
	const struct receive *receive = &peer->receive;

	describe_session(node, peer->id, &peer->current, p);
	p->flags = FRAME_PEER_CURRENT;
	if (receive->overflowed)
		p->flags |= FRAME_PEER_OVERFLOWED;
	if (receive->incompatible)
		p->flags |= FRAME_PEER_INCOMPATIBLE;
	p->applied = receive_position(receive);
	p->proven = receive->has_proof && !receive_obstacle(receive) ? receive->proven_version + 1 : 0;
	p->window = window_for_each(node);
	p->full_id = receive->full.running ? receive->full.id : 0;
	p->holes_count = (uint8_t)receive_holes(receive, p->holes, holes);
}

static void describe_ourselves(const struct node *node, struct frame_status *s)
{
	const struct local *local = &node->local;

	memset(s, 0, offsetof(struct frame_status, peers));
	s->peers_count = s->claims_count = 0;
	s->role = (uint8_t)node->role.current;
	s->flags = (uint8_t)((node_is_complete(node) ? FRAME_STATUS_COMPLETE : 0) |
			     (local->suspect ? FRAME_STATUS_SUSPECT : 0) |
			     (local->refused ? FRAME_STATUS_REFUSED : 0) |
			     (node->config.active_active ? FRAME_STATUS_ACTIVE_ACTIVE : 0) |
			     (node->leaving ? FRAME_STATUS_LEAVING : 0));
	s->term = node->role.term;
	s->frozen_at = handover_is_frozen(&node->handover) ? node->handover.v_end + 1 : 0;
	if (node->role.current == FRAME_ROLE_PRIMARY)
		claims_announce(&node->claims, s);
	s->instance = node->config.instance;
	s->newest = table_newest(local->table);
	s->horizon = table_horizon(local->table);
	s->count = (uint32_t)table_records(local->table);
	s->digest = table_digest(local->table);
	s->stamp = (uint64_t)node->now.us;
	s->heartbeat_us = (uint32_t)node->config.heartbeat.us;
	s->conntrack_max = node->conntrack_max;
	s->conntrack_buckets = node->conntrack_buckets;
	s->filters = node->config.filters;
	memcpy(s->software, node->config.software, sizeof(s->software));
}

/* At `at`, `version` was our newest. */
static void sample_newest(struct node *node)
{
	uint64_t version = table_newest(node->local.table);
	size_t last = (node->samples_count - 1) % NODE_SAMPLES;

	if (node->samples_count && node->samples[last].version == version) {
		node->samples[last].at = node->now;
		return;
	}
	if (node->samples_count && node->now.us - node->samples[last].at.us < sample_interval_us)
		return;
	last = node->samples_count++ % NODE_SAMPLES;
	node->samples[last].version = version;
	node->samples[last].at = node->now;
}

static unsigned send_status(struct node *node, const struct outbox_destination *to,
			    const struct frame_status *status)
{
	unsigned peers;

	table_announce(node->local.table);
	peers = frame_status_write(outbox_open(&node->outbox, &node->config), status);
	outbox_send(&node->outbox, &node->config, &node->sink, to);
	sample_newest(node);
	return peers;
}

static void add_candidate(struct node *node, struct peer *peer, struct frame_status *s)
{
	const struct session *candidate = peer_candidate_in_turn(peer);

	if (candidate && s->peers_count <= FRAME_PEERS_MAX)
		describe_session(node, peer == &node->twin ? node->config.id : peer->id, candidate,
				 &s->peers[s->peers_count++]);
}

/* Current sessions first, those that do not fit have their turn next; candidates as there is room, in turn.
 */
static void send_group_status(struct node *node)
{
	struct frame_status s;
	unsigned current, written;

	describe_ourselves(node, &s);
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		unsigned slot = (node->status_turn + i) % FRAME_PEERS_MAX;
		const struct peer *peer = &node->peers[slot];

		if (slot < node->peers_end && peer->id && session_exists(&peer->current))
			describe_peer(node, peer, 1, &s.peers[s.peers_count++]);
	}
	current = s.peers_count;
	for (unsigned i = 0; i < node->peers_end; i++)
		if (node->peers[i].id)
			add_candidate(node, &node->peers[i], &s);
	add_candidate(node, &node->twin, &s);
	written = send_status(node, NULL, &s);
	if (written < current)
		node->status_turn = (node->status_turn + written) % FRAME_PEERS_MAX;
	node->status_at = MONOTIME_NEVER;
	node->status_sent_at = node->now;
	node->stream.tail_is_fresh = false;
}

static struct outbox_destination destination_of(struct peer *peer,
						struct node_endpoint endpoints[NODE_LINKS_MAX])
{
	for (unsigned i = 0; i < NODE_LINKS_MAX; i++)
		endpoints[i] = peer->links[i].endpoint;
	return (struct outbox_destination){peer->id, &peer->counter, endpoints};
}

static void send_ack(struct node *node, struct peer *peer)
{
	struct node_endpoint endpoints[NODE_LINKS_MAX];
	struct outbox_destination to = destination_of(peer, endpoints);
	struct frame_status s;

	peer->ack_at = MONOTIME_NEVER;
	if (!session_exists(&peer->current) || !peer_has_address(peer))
		return;
	describe_ourselves(node, &s);
	describe_peer(node, peer, FRAME_HOLES_MAX, &s.peers[0]);
	s.peers_count = 1;
	send_status(node, &to, &s);
	peer->ack_sent_at = node->now;
	peer->receive.frames_unacked = 0;
}

void node_want_status(struct node *node)
{
	struct monotime earliest =
	    monotime_add(node->status_sent_at, monotime_from_us(status_interval_min_us));

	node->status_at = monotime_min(node->status_at, monotime_max(node->now, earliest));
}

void node_want_ack(struct node *node, struct peer *peer, bool at_once)
{
	struct monotime earliest = monotime_add(peer->ack_sent_at, monotime_from_us(ack_interval_min_us));
	struct monotime wish = at_once ? node->now : monotime_add(node->now, monotime_from_us(tail_probe_us));

	peer->ack_at = monotime_min(peer->ack_at, monotime_max(wish, earliest));
}

/* ---- what peers acknowledge ---- */

/* Time for an answer to be here, if nothing is lost. */
static struct monotime patience_of(const struct peer *peer)
{
	int64_t rtt = peer->current.rtt_us < 0 ? 0 : peer->current.rtt_us;

	return monotime_from_us(rtt + rtt / 2 + 3 * ack_interval_min_us);
}

static struct monotime long_patience_of(const struct peer *peer)
{
	return monotime_from_us(2 * patience_of(peer).us + 40000);
}

static void serve_full(struct node *node, struct peer *peer, const struct frame_peer *us)
{
	struct stream_out out = stream_out(node);
	struct node_endpoint endpoints[NODE_LINKS_MAX];
	struct outbox_destination to = destination_of(peer, endpoints);

	if (!peer->catchup.active || peer->catchup.full_id != us->full_id) {
		catchup_start_full(&peer->catchup, us->full_id, us->applied, &out);
		return;
	}
	catchup_acknowledge(&peer->catchup, us->applied, node->now);
	catchup_repair(&peer->catchup, &out, &to, us, peer->catchup.cursor, patience_of(peer));
	catchup_retry(&peer->catchup, long_patience_of(peer), node->now);
}

/* The last frames of the live stream were lost, and nothing followed that would have shown it. */
static bool tail_is_lost(const struct node *node, const struct peer *peer, const struct frame_peer *us)
{
	struct monotime patience = patience_of(peer);

	return !us->holes_count && us->applied < node->stream.sent &&
	       monotime_is_before(monotime_add(node->stream.sent_at, patience), node->now) &&
	       monotime_is_before(monotime_add(peer->live_progress_at, patience), node->now);
}

static void serve_gaps(struct node *node, struct peer *peer, const struct frame_peer *us)
{
	struct stream_out out = stream_out(node);
	struct catchup *catchup = &peer->catchup;
	struct node_endpoint endpoints[NODE_LINKS_MAX];
	struct outbox_destination to = destination_of(peer, endpoints);

	if (us->applied < table_horizon(node->local.table))
		return; /* it will ask for all */
	if (catchup->active) {
		catchup_acknowledge(catchup, us->applied, node->now);
		if (us->applied >= catchup->limit)
			catchup_stop(catchup);
		else
			catchup_retry(catchup, long_patience_of(peer), node->now);
	}
	if (!catchup->active && us->holes_count && us->holes[0].to - us->holes[0].from > PARTIAL_VERSIONS_MIN)
		catchup_start_partial(catchup, us->holes[0].from, us->holes[0].to, &out);
	else if (!catchup->active && tail_is_lost(node, peer, us))
		catchup_start_partial(catchup, us->applied, node->stream.sent, &out);
	else
		catchup_repair(catchup, &out, &to, us, catchup->active ? catchup->cursor : node->stream.sent,
			       patience_of(peer));
}

/* A peer may say anything; less than the least that a node of ours says would hold the group up for nothing.
 */
static uint32_t window_of(const struct peer *peer)
{
	return peer->about_us.window > WINDOW_MIN ? peer->about_us.window : WINDOW_MIN;
}

/* What is under way to it at once in a catch-up: none while it has no room, and no more than any node has
 * room for. */
static uint32_t catchup_window(const struct peer *peer)
{
	return peer->about_us.window < CATCHUP_WINDOW_MAX ? peer->about_us.window : CATCHUP_WINDOW_MAX;
}

/* It took another half window, or all. */
static void note_pace(struct node *node, struct peer *peer)
{
	if (flight_bytes(&peer->live) && peer->live.acked - peer->pace_acked < window_of(peer) / 2)
		return;
	peer->pace_acked = peer->live.acked;
	peer->pace_at = node->now;
}

/* The path to it may carry less than our links: then the least that any link does is tried. */
static void note_reach(struct node *node, struct peer *peer, const struct frame_peer *us)
{
	bool awaits = us->applied < table_newest(node->local.table) &&
		      (us->holes_count || (peer->catchup.active && peer->catchup.cursor > us->applied));

	if (!reach_note(&peer->reach, us->applied, us->full_id, awaits, node->now))
		return;
	peer->is_narrowed = true;
	node_log(
	    node, NODE_LOG_WARNING, "not-arriving",
	    "node %u hears us, but what we send of our flows does not arrive: datagrams have %u bytes at "
	    "most from now on; does the path carry [link] mtu?",
	    peer->id, FRAME_PAYLOAD_MIN);
	node->config.payload_max = FRAME_PAYLOAD_MIN;
}

void node_serve_peer(struct node *node, struct peer *peer, const struct frame_peer *us)
{
	bool followed = peer_follows(peer, &node->config, node->now);
	uint64_t claimed;

	peer->about_us = *us;
	peer->has_about_us = true;
	note_reach(node, peer, us);
	if (peer->status.role != FRAME_ROLE_PRIMARY && !peer->status.frozen_at)
		receive_note_before_primary(&peer->receive, us->applied, peer->status.newest);
	else if (peer->status.role == FRAME_ROLE_PRIMARY &&
		 claims_are_announced(&peer->status, node->config.id, &node->outbox.session, &claimed))
		receive_note_claim(&peer->receive, claimed);
	if (us->full_id) {
		serve_full(node, peer, us);
		return;
	}
	if (peer->catchup.full_id)
		catchup_stop(&peer->catchup);
	if (!followed) {
		flight_reset(&peer->live);
		peer->live_progress_at = node->now;
		peer->live_acked = us->applied;
	}
	flight_acknowledge(&peer->live, us->applied);
	note_pace(node, peer);
	if (us->applied > peer->live_acked) {
		peer->live_acked = us->applied;
		peer->live_progress_at = node->now;
	}
	serve_gaps(node, peer, us);
}

/* ---- sending ---- */

/*
 * A peer whose window is closed holds the live stream up, unless it takes less than half a window in a
 * quarter of the time after which a peer is dead: then the others don't wait, and it will catch up.  While it
 * does that, the group doesn't wait either.
 */
static bool peer_blocks(const struct node *node, const struct peer *peer)
{
	return !peer->catchup.active && flight_bytes(&peer->live) >= window_of(peer) &&
	       monotime_is_before(node->now,
				  monotime_from_us(peer->pace_at.us + node->config.peer_timeout.us / 4));
}

enum live_state { LIVE_NOBODY, LIVE_OPEN, LIVE_BLOCKED };

static enum live_state live_state(const struct node *node)
{
	enum live_state state = LIVE_NOBODY;

	for (unsigned i = 0; i < node->peers_end; i++) {
		const struct peer *peer = &node->peers[i];

		if (!peer->id || !peer_follows(peer, &node->config, node->now))
			continue;
		if (peer_blocks(node, peer))
			return LIVE_BLOCKED;
		state = LIVE_OPEN;
	}
	return state;
}

static void note_live(struct node *node, size_t bytes)
{
	for (unsigned i = 0; i < node->peers_end; i++) {
		struct peer *peer = &node->peers[i];

		if (!peer->id || !peer_follows(peer, &node->config, node->now))
			continue;
		if (!flight_bytes(&peer->live)) {
			peer->live_progress_at = node->now;
			note_pace(node, peer);
		}
		flight_note(&peer->live, node->stream.sent, bytes);
	}
}

static bool send_live(struct node *node)
{
	struct stream_out out = stream_out(node);
	size_t bytes;

	if (monotime_is_before(node->now, stream_deadline(&node->stream, node->local.table)))
		return false;
	for (unsigned i = 0; i < STREAM_SLICE; i++) {
		switch (live_state(node)) {
		case LIVE_NOBODY:
			stream_skip(&node->stream, node->local.table);
			return false;
		case LIVE_BLOCKED:
			return false;
		case LIVE_OPEN:
			break;
		}
		bytes = stream_send_live(&node->stream, &out);
		if (!bytes)
			return false;
		note_live(node, bytes);
		if (!node->stream.is_dirty)
			return false;
	}
	return true;
}

static bool send_catchup(struct node *node, struct peer *peer)
{
	struct stream_out out = stream_out(node);
	struct node_endpoint endpoints[NODE_LINKS_MAX];
	struct outbox_destination to = destination_of(peer, endpoints);

	if (!peer_is_alive(peer, &node->config, node->now))
		return false;
	for (unsigned i = 0; i < STREAM_SLICE; i++) {
		if (!catchup_can_send(&peer->catchup, node->local.table, catchup_window(peer)))
			return false;
		if (!catchup_send(&peer->catchup, &out, &to))
			return false;
	}
	return catchup_can_send(&peer->catchup, node->local.table, catchup_window(peer));
}

void node_answer_heartbeat(struct node *node)
{
	int64_t left_us = monotime_sub(node->heartbeat_at, node->now).us;

	if (!node->config.answers_heartbeats || left_us > node->config.heartbeat.us / 2)
		return;
	node->heartbeat_at = node->now;
	node->heartbeat_is_answer = true;
}

/*
 * Who answered comes first the next time, a little before its interval is over; who came first waits for the
 * whole of it.  So they take turns in being the one that wakes up twice.  Of several that answered one is the
 * first: by their ids.
 */
static struct monotime heartbeat_interval(struct node *node)
{
	int64_t us = node->config.heartbeat.us;

	if (node->config.answers_heartbeats && node->heartbeat_is_answer)
		us -= us / HEARTBEAT_LEAD + us / (4 * HEARTBEAT_LEAD) * (node->config.id % 4);
	node->heartbeat_is_answer = false;
	return monotime_from_us(us);
}

bool node_send(struct node *node)
{
	bool more = false;

	more |= send_live(node);
	for (unsigned i = 0; i < node->peers_end; i++) {
		struct peer *peer = &node->peers[i];

		if (!peer->id)
			continue;
		more |= send_catchup(node, peer);
		if (!monotime_is_before(node->now, peer->ack_at))
			send_ack(node, peer);
	}
	if (node->stream.tail_is_fresh && node->now.us - node->stream.sent_at.us >= tail_probe_us) {
		node->stream.tail_is_fresh = false;
		node_want_status(node);
	}
	if (!monotime_is_before(node->now, node->heartbeat_at)) {
		send_group_status(node);
		node->heartbeat_at = monotime_add(node->now, heartbeat_interval(node));
	} else if (!monotime_is_before(node->now, node->status_at)) {
		send_group_status(node);
	}
	return more;
}

struct monotime node_send_deadline(const struct node *node)
{
	struct monotime at = monotime_min(node->heartbeat_at, node->status_at);

	if (node->stream.is_dirty && live_state(node) != LIVE_BLOCKED)
		at = monotime_min(at, stream_deadline(&node->stream, node->local.table));
	if (node->stream.tail_is_fresh)
		at = monotime_min(at, monotime_add(node->stream.sent_at, monotime_from_us(tail_probe_us)));
	for (unsigned i = 0; i < node->peers_end; i++) {
		const struct peer *peer = &node->peers[i];

		if (!peer->id)
			continue;
		at = monotime_min(at, peer->ack_at);
		if (catchup_can_send(&peer->catchup, node->local.table, catchup_window(peer)) &&
		    peer_is_alive(peer, &node->config, node->now))
			at = node->now;
	}
	return at;
}
