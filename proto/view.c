/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at a node: what status, health and metrics show.  Changes nothing. */
#include "proto/node_state.h"

#include <stdio.h>
#include <string.h>

const char *node_drop_name(enum node_drop drop)
{
	static const char *const names[NODE_DROPS] = {
	    [NODE_DROP_TOO_SHORT] = "too-short",
	    [NODE_DROP_BAD_MAGIC] = "bad-magic",
	    [NODE_DROP_OTHER_VERSION] = "other-version",
	    [NODE_DROP_UNKNOWN_KEY] = "unknown-key",
	    [NODE_DROP_NOT_AUTHENTIC] = "not-authentic",
	    [NODE_DROP_REPLAYED] = "replayed",
	    [NODE_DROP_TOO_OLD] = "too-old",
	    [NODE_DROP_NOT_FRESH] = "not-fresh",
	    [NODE_DROP_OWN] = "own",
	    [NODE_DROP_DUPLICATE_ID] = "duplicate-id",
	    [NODE_DROP_MALFORMED] = "malformed",
	    [NODE_DROP_TOO_MANY] = "too-many-nodes",
	    [NODE_DROP_MISDIRECTED] = "misdirected",
	    [NODE_DROP_NO_MEMORY] = "no-memory",
	};

	return (unsigned)drop < NODE_DROPS ? names[drop] : "unknown";
}

const struct table *node_internal(const struct node *node)
{
	return node->local.table;
}

const struct table *node_external(const struct node *node, uint16_t id)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id == id && id)
			return node->peers[i].receive.table;
	return NULL;
}

struct node_standing node_standing(const struct node *node)
{
	return (struct node_standing){
	    .role = node->role.current,
	    .term = node->role.term,
	    .leftovers = node->handover.leftovers || node->role.current == FRAME_ROLE_PRIMARY,
	};
}

void node_view(const struct node *node, struct monotime now, struct node_view *view)
{
	const struct local *local = &node->local;
	struct node_standing standing = node_standing(node);

	(void)now;
	*view = (struct node_view){
	    .id = node->config.id,
	    .role = standing.role,
	    .term = standing.term,
	    .session = node->outbox.session,
	    .complete = node_is_complete(node),
	    .suspect = local->suspect,
	    .refused = local->refused,
	    .split_brain = node->split_brain,
	    .duplicate_id = node->duplicate_id,
	    .claims = node->claims.count,
	    .handover = handover_state_name(node->handover.state),
	    .v_end = handover_is_frozen(&node->handover) ? node->handover.v_end : 0,
	    .leftovers = standing.leftovers,
	    .events = {local->events[0], local->events[1], local->events[2]},
	    .overruns = local->overruns,
	    .audits = local->passes,
	    .audit_corrections = local->corrections,
	    .flows_refused = local->flows_refused,
	    .must_retake = node_must_retake(node),
	    .sent_datagrams = node->outbox.datagrams,
	    .sent_bytes = node->outbox.bytes,
	    .received_datagrams = node->received_datagrams,
	    .received_bytes = node->received_bytes,
	};
	memcpy(view->drops, node->drops, sizeof(view->drops));
	for (unsigned i = 0; i < node->peers_end; i++)
		view->peers += node->peers[i].id != 0;
	for (unsigned i = 0; i < NODE_STRANGERS; i++)
		view->strangers += node->strangers[i].count != 0;
}

/* ---- proofs ---- */

static const char *why_not_trusted(uint8_t status_flags)
{
	if (!(status_flags & FRAME_STATUS_COMPLETE))
		return "has not read its kernel's table whole yet";
	if (status_flags & FRAME_STATUS_SUSPECT)
		return "lost kernel events and has not audited its table since";
	if (status_flags & FRAME_STATUS_REFUSED)
		return "has more flows than its internal table takes (max-flows)";
	return NULL;
}

/* A digest counts for two of its sender's heartbeats, from when it was sent. */
static int64_t proof_life_us(int64_t heartbeat_us)
{
	return 2 * heartbeat_us;
}

static void reason_set(struct node_proof *proof, const char *who, uint16_t id, const char *what)
{
	if (id)
		snprintf(proof->reason, sizeof(proof->reason), "%s %u %s", who, id, what);
	else
		snprintf(proof->reason, sizeof(proof->reason), "%s%s%s", who, *who ? " " : "", what);
}

/* Whoever lived when we last looked is not silent because we slept. */
static bool is_alive(const struct node *node, const struct peer *peer, struct monotime now)
{
	return peer_is_alive(peer, &node->config, node_has_slept(node, now) ? node->now : now);
}

static void prove_holds(const struct node *node, const struct peer *peer, struct monotime now,
			struct node_proof *proof)
{
	const struct receive *receive = &peer->receive;
	const char *reason = NULL;

	proof->version = receive->proven_version;
	proof->age_us = receive->has_proof ? now.us - receive->proven_at.us : -1;
	if (!is_alive(node, peer, now))
		reason_set(proof, "node", peer->id, peer->leaving ? "was stopped" : "is silent");
	else if (!peer->has_status)
		reason_set(proof, "node", peer->id, "has not told its state yet");
	else if ((reason = why_not_trusted(peer->status.flags)))
		reason_set(proof, "node", peer->id, reason);
	else if ((reason = receive_obstacle(receive)))
		reason_set(proof, "", 0, reason);
	else if (!receive->has_proof)
		reason_set(proof, "", 0, "no digest was compared yet");
	else if (proof->age_us > proof_life_us(peer->status.heartbeat_us))
		snprintf(proof->reason, sizeof(proof->reason),
			 "the last equal digest is %lld ms old; %llu of its versions are not applied yet",
			 (long long)(proof->age_us / 1000),
			 (unsigned long long)(receive->newest - receive->applied));
	proof->in_sync = !proof->reason[0];
}

bool node_holds_in_sync(const struct node *node, const struct peer *peer)
{
	struct node_proof proof = {0};

	prove_holds(node, peer, node->now, &proof);
	return proof.in_sync;
}

/* Since when, at most, that version is no longer our newest; -1: unknown. */
static int64_t version_age_us(const struct node *node, uint64_t version, struct monotime now)
{
	size_t kept = node->samples_count < NODE_SAMPLES ? node->samples_count : NODE_SAMPLES;

	if (version == table_newest(node->local.table))
		return 0;
	for (size_t back = 1; back <= kept; back++) {
		size_t i = (node->samples_count - back) % NODE_SAMPLES;

		if (node->samples[i].version <= version)
			return now.us - node->samples[i].at.us;
	}
	return -1;
}

static uint8_t own_flags(const struct node *node)
{
	return (uint8_t)((node_is_complete(node) ? FRAME_STATUS_COMPLETE : 0) |
			 (node->local.suspect ? FRAME_STATUS_SUSPECT : 0) |
			 (node->local.refused ? FRAME_STATUS_REFUSED : 0));
}

static void prove_held(const struct node *node, const struct peer *peer, struct monotime now,
		       struct node_proof *proof)
{
	const struct frame_peer *us = &peer->about_us;
	const char *reason;

	proof->version = peer->has_about_us && us->proven ? us->proven - 1 : 0;
	proof->age_us = peer->has_about_us && us->proven ? version_age_us(node, us->proven - 1, now) : -1;
	if (!is_alive(node, peer, now))
		reason_set(proof, "node", peer->id, peer->leaving ? "was stopped" : "is silent");
	else if ((reason = why_not_trusted(own_flags(node))))
		reason_set(proof, "this node", 0, reason);
	else if (!peer->has_about_us)
		reason_set(proof, "node", peer->id, "does not hear us yet");
	else if (us->flags & FRAME_PEER_OVERFLOWED)
		reason_set(proof, "node", peer->id, "has no room for all our flows (its max-flows)");
	else if (us->flags & FRAME_PEER_INCOMPATIBLE)
		reason_set(proof, "node", peer->id, "does not know all attributes of our flows");
	else if (peer->reach.is_lost)
		reason_set(proof, "node", peer->id,
			   "hears us, but what we send of our flows does not arrive");
	else if (us->full_id)
		reason_set(proof, "node", peer->id, "is in a full catch-up");
	else if (!us->proven)
		reason_set(proof, "node", peer->id, "has not proven its copy equal yet");
	else if (proof->age_us < 0 || proof->age_us > proof_life_us(node->config.heartbeat.us))
		snprintf(proof->reason, sizeof(proof->reason),
			 "node %u last proved version %llu, ours is %llu", peer->id,
			 (unsigned long long)proof->version,
			 (unsigned long long)table_newest(node->local.table));
	proof->in_sync = !proof->reason[0];
}

/* ---- peers ---- */

static const struct peer *peer_at(const struct node *node, unsigned index)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id && !index--)
			return &node->peers[i];
	return NULL;
}

static void describe_problem(const struct node *node, const struct peer *peer, struct monotime now,
			     char problem[NODE_REASON_SIZE])
{
	if (peer->duplicate_at.us)
		snprintf(problem, NODE_REASON_SIZE, "two nodes have the id %u; the second is ignored",
			 peer->id);
	else if (peer->receive.overflowed)
		snprintf(problem, NODE_REASON_SIZE,
			 "our table for it is full: %llu flows refused; raise [table] max-flows",
			 (unsigned long long)peer->flows_refused);
	else if (peer->receive.incompatible)
		snprintf(
		    problem, NODE_REASON_SIZE,
		    "it sends attributes that this version does not know, %llu records so far; upgrade this node",
		    (unsigned long long)peer->receive.unreadable);
	else if (peer->has_status && node->conntrack_max && peer->status.conntrack_max > node->conntrack_max)
		snprintf(problem, NODE_REASON_SIZE,
			 "its nf_conntrack_max, %u, is above ours, %u: a takeover may not fit",
			 peer->status.conntrack_max, node->conntrack_max);
	else if (peer->reach.is_lost || peer->is_narrowed)
		snprintf(
		    problem, NODE_REASON_SIZE,
		    peer->reach.is_lost
			? "datagrams of %zu bytes do not reach it; set [link] mtu to what the path carries"
			: "datagrams of %zu bytes do not reach it, smaller ones do; set [link] mtu to what the path carries",
		    peer->reach.is_lost ? node->config.payload_max : node->payload_wanted);
	else if (!session_exists(&peer->current))
		snprintf(problem, NODE_REASON_SIZE, "its session has not proven to be live");
	(void)now;
}

static void view_links(const struct node *node, const struct peer *peer, struct node_peer_view *view)
{
	uint64_t expected = peer_expected(peer);

	for (unsigned i = 0; i < node->config.links; i++) {
		view->links[i].received = peer->links[i].received;
		view->links[i].lost =
		    expected > peer->links[i].received ? expected - peer->links[i].received : 0;
		view->links[i].address = peer->links[i].endpoint;
	}
}

static size_t memory_of(const struct peer *peer)
{
	size_t memory = table_memory(peer->receive.table);

	for (unsigned i = 0; i < NODE_ORPHANS_MAX; i++)
		memory += peer->orphans[i].table ? table_memory(peer->orphans[i].table) : 0;
	return memory;
}

void node_peer_view(const struct node *node, struct monotime now, unsigned index, struct node_peer_view *view)
{
	const struct peer *peer = peer_at(node, index);
	const struct receive *receive;

	memset(view, 0, sizeof(*view));
	if (!peer)
		return;
	receive = &peer->receive;
	view->id = peer->id;
	view->session = peer->current.id;
	view->alive = is_alive(node, peer, now);
	view->role = peer->has_status ? peer->status.role : FRAME_ROLE_INIT;
	view->term = peer->status.term;
	view->complete = peer->status.flags & FRAME_STATUS_COMPLETE;
	view->suspect = peer->status.flags & FRAME_STATUS_SUSPECT;
	view->active_active = peer->status.flags & FRAME_STATUS_ACTIVE_ACTIVE;
	view->last_heard = peer->current.last_heard;
	view->flows = table_count(receive->table);
	view->expectations = table_records(receive->table) - view->flows;
	view->memory = memory_of(peer);
	view->newest = receive->newest;
	view->applied = receive->applied;
	view->rtt_us = session_exists(&peer->current) ? peer->current.rtt_us : -1;
	view->lag_us =
	    view->rtt_us < 0 ? -1 : view->rtt_us / 2 + (peer->is_behind ? now.us - peer->behind_since.us : 0);
	view->divergences = receive->divergences;
	view->resyncs_partial = receive->resyncs_partial;
	view->resyncs_full = receive->resyncs_full;
	view->flows_refused = peer->flows_refused;
	view->flows_unreadable = receive->unreadable;
	view->full_running = receive->full.running;
	view->overflowed = receive->overflowed;
	view->incompatible = receive->incompatible;
	view->filters_differ = peer->has_status && peer->status.filters != node->config.filters;
	view->owner_proven_at = peer->proven_at;
	memcpy(view->software, peer->status.software, sizeof(view->software));
	prove_holds(node, peer, now, &view->holds);
	prove_held(node, peer, now, &view->held);
	view_links(node, peer, view);
	describe_problem(node, peer, now, view->problem);
}

void node_claim_view(const struct node *node, unsigned index, struct node_claim_view *view)
{
	const struct claim *claim = &node->claims.items[index];

	memset(view, 0, sizeof(*view));
	if (index < node->claims.count)
		*view = (struct node_claim_view){claim->node_id, claim->session, claim->version,
						 claim->state == CLAIM_OPEN};
}

/* ---- strangers ---- */

static const char *drop_advice(enum node_drop drop)
{
	switch (drop) {
	case NODE_DROP_UNKNOWN_KEY:
		return "sends with a key that we do not have: is the key file the same on both?";
	case NODE_DROP_NOT_AUTHENTIC:
		return "sends datagrams that the key does not open: forged, or damaged on the way";
	case NODE_DROP_NOT_FRESH:
		return "sends from a session that does not prove to be live: a recording, or it does not hear us";
	case NODE_DROP_DUPLICATE_ID:
		return "is an id that two nodes have: give each its own [node] id";
	case NODE_DROP_TOO_MANY:
		return "is one node too many: 16 at most";
	case NODE_DROP_REPLAYED:
		return "sends datagrams that were seen before: a recording, or doubled on the way";
	case NODE_DROP_TOO_OLD:
		return "sends datagrams that are too old: replayed, or long delayed";
	case NODE_DROP_MALFORMED:
		return "sends what is no message, with the right key";
	case NODE_DROP_NO_MEMORY:
		return "could not be taken in: this node is out of memory";
	default:
		return "sends datagrams that are dropped";
	}
}

void node_stranger_view(const struct node *node, unsigned index, struct node_stranger_view *view)
{
	memset(view, 0, sizeof(*view));
	for (unsigned i = 0; i < NODE_STRANGERS; i++) {
		const struct stranger *s = &node->strangers[i];

		if (!s->count || index--)
			continue;
		view->id = s->id;
		view->count = s->count;
		view->last = s->last;
		view->drop = s->drop;
		if (s->drop == NODE_DROP_OTHER_VERSION)
			snprintf(
			    view->problem, sizeof(view->problem),
			    "speaks version %u of the protocol, %s than ours, %u: nothing of it is taken; upgrade %s",
			    s->version, s->version > FRAME_VERSION ? "newer" : "older", FRAME_VERSION,
			    s->version > FRAME_VERSION ? "this node" : "that one");
		else
			snprintf(view->problem, sizeof(view->problem), "%s", drop_advice(s->drop));
		return;
	}
}
