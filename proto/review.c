/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What time brings to sessions: a candidate that has answered displaces a session that fell silent, two that
 * both live are one id too many, peers come and go, and two primaries are seen.
 */
#include "proto/node_state.h"

static const int64_t candidate_life_us = 10 * INT64_C(1000000);

static void promote(struct node *node, struct peer *peer, struct session *candidate)
{
	bool restarted = session_exists(&peer->current);

	if (!node_succeed_session(node, peer, candidate)) {
		node_say_no_memory(node, "keep what a peer had before it rebooted");
		return;
	}
	peer_promote(peer, candidate, node->now);
	node_log(node, NODE_LOG_NOTICE, "peer-session", "node %u: %s session is current", peer->id,
		 restarted ? "a new" : "its first");
	node_want_status(node);
}

/* Both the current session and a candidate echoed what we sent after the candidate had answered: both live.
 */
static bool both_live(const struct peer *peer, const struct session *candidate)
{
	return candidate->answered && peer->current.alive_at.us > candidate->answered_at.us &&
	       candidate->alive_at.us > candidate->answered_at.us;
}

void node_review_candidate(struct node *node, struct peer *peer, struct session *candidate)
{
	if (node->now.us - candidate->last_heard.us > candidate_life_us) {
		session_forget(candidate);
		return;
	}
	if (!candidate->answered || !session_is_alive(candidate, node->now, node->config.peer_timeout))
		return;
	if (!peer_is_alive(peer, &node->config, node->now)) {
		promote(node, peer, candidate);
		return;
	}
	if (both_live(peer, candidate)) {
		if (!peer->duplicate_at.us)
			node_log(
			    node, NODE_LOG_ERROR, "duplicate-id",
			    "two nodes have the id %u, both with our key: the first is kept, the other ignored; give each node its own [node] id",
			    peer->id);
		peer->duplicate_at = node->now;
	}
}

static void review_liveness(struct node *node, struct peer *peer)
{
	bool alive = peer_is_alive(peer, &node->config, node->now);

	if (peer->duplicate_at.us && node->now.us - peer->duplicate_at.us > 5 * node->config.peer_timeout.us)
		peer->duplicate_at.us = 0;
	if (alive == peer->was_alive)
		return;
	peer->was_alive = alive;
	/* it was away, and not for its own restart: what it missed of the other's stream comes now */
	if (alive && peer->receive.newest > peer->receive.applied && peer->receive.applied)
		peer->receive.resyncs_partial++;
	if (!alive) {
		catchup_stop(&peer->catchup);
		flight_reset(&peer->live);
		peer->reach = (struct reach){0}; /* silence is something else */
	}
	node_log(node, alive ? NODE_LOG_NOTICE : NODE_LOG_WARNING, alive ? "peer-alive" : "peer-gone",
		 "node %u is %s", peer->id,
		 alive           ? "alive"
		 : peer->leaving ? "stopped"
				 : "silent");
}

/* Who else has our id and answers us is a twin: neither takes the other's word for its own. */
static void review_twin(struct node *node)
{
	bool duplicate = false;

	for (unsigned i = 0; i < PEER_CANDIDATES; i++) {
		struct session *candidate = &node->twin.candidates[i];

		if (!session_exists(candidate))
			continue;
		if (node->now.us - candidate->last_heard.us > candidate_life_us)
			session_forget(candidate);
		else if (session_is_alive(candidate, node->now, node->config.peer_timeout))
			duplicate = true;
	}
	if (duplicate && !node->duplicate_id)
		node_log(
		    node, NODE_LOG_ERROR, "duplicate-id",
		    "another node has our id %u and our key: nothing of it is applied; give each node its own [node] id",
		    node->config.id);
	node->duplicate_id = duplicate;
}

/*
 * It is primary, and has shown that it lives since we are: a takeover may be quicker than the time after
 * which its dead predecessor counts as silent.
 */
static bool is_rival(const struct node *node, const struct peer *peer)
{
	return peer->id && peer->has_status && peer->status.role == FRAME_ROLE_PRIMARY &&
	       peer_is_alive(peer, &node->config, node->now) &&
	       (node->split_brain || peer->current.sent_after.us >= node->took_over_at.us);
}

void node_review_split_brain(struct node *node)
{
	const struct peer *rival = NULL;

	for (unsigned i = 0; i < node->peers_end; i++)
		if (is_rival(node, &node->peers[i]))
			rival = &node->peers[i];
	if (node->role.current != FRAME_ROLE_PRIMARY || node->config.active_active)
		rival = NULL;
	if (rival && !node->split_brain)
		node_log(node, NODE_LOG_ERROR, "split-brain",
			 "node %u (term %u) and we (term %u) are both primary", rival->id, rival->status.term,
			 node->role.term);
	if (!rival && node->split_brain)
		node_log(node, NODE_LOG_NOTICE, "split-brain-over", "no other node is primary any more");
	node->split_brain = rival != NULL;
}

void node_review_sessions(struct node *node)
{
	for (unsigned i = 0; i < node->peers_end; i++) {
		struct peer *peer = &node->peers[i];

		if (!peer->id)
			continue;
		for (unsigned c = 0; c < PEER_CANDIDATES; c++)
			if (session_exists(&peer->candidates[c]))
				node_review_candidate(node, peer, &peer->candidates[c]);
		review_liveness(node, peer);
		if (peer_is_nobody(peer))
			peer_destroy(peer);
	}
	review_twin(node);
	node_review_split_brain(node);
}
