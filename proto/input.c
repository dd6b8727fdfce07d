/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams in: header, key, seal, replay, then messages.  Everything here reads a stranger's bytes until the
 * seal has opened, and those of a holder of the key, who may be hostile or mistaken, after that: nothing
 * asserts, all is bounded.
 */
#include "proto/node_state.h"

#include <stdio.h>
#include <string.h>

enum { FRAMES_FOR_AN_ACK = 16 };
static const int64_t term_leap_interval_us = 60 * INT64_C(1000000);

/* ---- what is dropped, and who is to blame ---- */

static struct stranger *note_stranger(struct node *node, uint16_t id, enum node_drop drop)
{
	struct stranger *slot = &node->strangers[0];

	for (unsigned i = 0; i < NODE_STRANGERS; i++) {
		struct stranger *s = &node->strangers[i];

		if (s->count && s->id == id && s->drop == drop) {
			slot = s;
			break;
		}
		if (!s->count || (slot->count && monotime_is_before(s->last, slot->last)))
			slot = s;
	}
	if (slot->id != id || slot->drop != drop)
		*slot = (struct stranger){.id = id, .drop = drop};
	slot->count++;
	slot->last = node->now;
	return slot;
}

static void drop(struct node *node, enum node_drop why, uint16_t id)
{
	node->drops[why]++;
	if (why == NODE_DROP_NO_MEMORY)
		node_say_no_memory(node, "take a datagram of a new node, session or key in");
	if (id)
		note_stranger(node, id, why);
}

/* Each side hears the other and says so, the older one and the newer one: where magic, version and node id
 * stand is the same in all versions. */
static void drop_other_version(struct node *node, const struct frame_header *header)
{
	node->drops[NODE_DROP_OTHER_VERSION]++;
	if (header->node_id)
		note_stranger(node, header->node_id, NODE_DROP_OTHER_VERSION)->version = header->version;
}

/* ---- slots ---- */

static struct peer *peer_by_id(struct node *node, uint16_t id)
{
	if (id == node->config.id)
		return &node->twin;
	for (unsigned i = 0; i < node->peers_end; i++)
		if (node->peers[i].id == id)
			return &node->peers[i];
	return NULL;
}

enum node_drop node_new_peer(struct node *node, uint16_t id, struct peer **result)
{
	uint64_t seed = (uint64_t)node_random32(node) << 32 | node_random32(node);
	struct table *table;

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		struct peer *peer = &node->peers[i];

		if (peer->id)
			continue;
		table = table_create(node->config.max_flows, 0, seed);
		if (!table)
			return NODE_DROP_NO_MEMORY;
		peer->id = id;
		peer->ack_at = MONOTIME_NEVER;
		node_observe_table(node, table, id);
		receive_init(&peer->receive, table);
		node_warm_follow(node, peer);
		*result = peer;
		if (node->peers_end <= i)
			node->peers_end = i + 1;
		return NODE_DROPS;
	}
	return NODE_DROP_TOO_MANY;
}

/* ---- sessions ---- */

/* A new session of our own id and session number space is a snapshot's or a clone's doing; anything else of
 * it is our own echo. */
static void take_own(struct node *node, const struct frame_header *header, const struct node_event *event)
{
	uint8_t nonce[SEAL_NONCE_SIZE], plain[FRAME_PAYLOAD_MAX];
	const uint8_t *key = seal_ring_find(&node->config.ring, header->key_id);
	struct seal *opener;
	bool authentic;

	node->drops[NODE_DROP_OWN]++;
	if (!key || outbox_sent(&node->outbox, header->packet_number, header->salt))
		return;
	opener = seal_create(key, header->cipher, FRAME_VERSION, header->node_id, &header->session);
	if (!opener)
		return;
	frame_nonce(header, nonce);
	authentic = !seal_open(opener, nonce, event->datagram.bytes, FRAME_HEADER_SIZE,
			       event->datagram.bytes + FRAME_HEADER_SIZE,
			       event->datagram.length - FRAME_HEADER_SIZE, plain);
	seal_destroy(opener);
	if (authentic)
		node_restart_session(
		    node, "a datagram of our own session that we did not send: was this machine restored "
			  "from a snapshot, or cloned?");
}

/*
 * Opens into `plain`.  `fresh_opener` is set when the session's own would not do (there is no session yet, or
 * its sender rolled over to another key): it is the caller's then.
 */
static enum node_drop open_datagram(struct node *node, const struct frame_header *header,
				    struct session *session, const struct node_event *event, uint8_t *plain,
				    struct seal **fresh_opener)
{
	const uint8_t *key = seal_ring_find(&node->config.ring, header->key_id);
	uint8_t nonce[SEAL_NONCE_SIZE];
	struct seal *opener;

	*fresh_opener = NULL;
	if (!key)
		return NODE_DROP_UNKNOWN_KEY;
	if (session && session->key_id == header->key_id && session->cipher == header->cipher) {
		opener = session->opener;
	} else {
		opener = seal_create(key, header->cipher, FRAME_VERSION, header->node_id, &header->session);
		if (!opener)
			return NODE_DROP_NO_MEMORY;
		*fresh_opener = opener;
	}
	frame_nonce(header, nonce);
	if (!seal_open(opener, nonce, event->datagram.bytes, FRAME_HEADER_SIZE,
		       event->datagram.bytes + FRAME_HEADER_SIZE, event->datagram.length - FRAME_HEADER_SIZE,
		       plain))
		return NODE_DROPS;
	seal_destroy(*fresh_opener);
	*fresh_opener = NULL;
	return NODE_DROP_NOT_AUTHENTIC;
}

static struct session *candidate_new(struct node *node, struct peer *peer, const struct frame_header *header,
				     struct seal *opener)
{
	struct session *session = peer_new_candidate(peer, node_random32(node));

	session->id = header->session;
	session->opener = opener;
	session->key_id = header->key_id;
	session->cipher = header->cipher;
	session->rtt_us = -1;
	session->first_heard = session->last_heard = node->now;
	replay_init(&session->replay);
	do
		session->challenge = (uint64_t)node_random32(node) << 32 | node_random32(node);
	while (!session->challenge);
	node_want_status(node); /* asks it to prove itself */
	return session;
}

/* ---- messages ---- */

static const struct frame_peer *about_us(const struct node *node, const struct frame_status *status)
{
	for (unsigned i = 0; i < status->peers_count; i++)
		if (status->peers[i].node_id == node->config.id &&
		    session_id_equals(&status->peers[i].session, &node->outbox.session))
			return &status->peers[i];
	return NULL;
}

static void note_outcome(struct node *node, struct peer *peer, unsigned outcome)
{
	if (outcome & RECEIVE_MALFORMED)
		drop(node, NODE_DROP_MALFORMED, peer->id);
	if (outcome & RECEIVE_DIVERGED)
		node_log(
		    node, NODE_LOG_ERROR, "divergence",
		    "our copy of node %u's table differs from it at version %llu: repairing by a full catch-up",
		    peer->id, (unsigned long long)peer->receive.applied);
	if (outcome & RECEIVE_REFUSED &&
	    table_records(peer->receive.table) < table_limit(peer->receive.table)) {
		node_say_no_memory(node, "keep all flows of a peer");
	} else if (outcome & RECEIVE_REFUSED && !peer->overflow_told) {
		peer->overflow_told = true;
		node_log(node, NODE_LOG_ERROR, "external-full",
			 "our table for node %u is full: flows are refused; raise [table] max-flows (now %u)",
			 peer->id, table_limit(peer->receive.table));
	}
	if (outcome & RECEIVE_UNREADABLE && !peer->incompatible_told) {
		peer->incompatible_told = true;
		node_log(
		    node, NODE_LOG_ERROR, "incompatible",
		    "node %u sends flows with attributes that this version does not know: upgrade this node",
		    peer->id);
	}
	if (outcome & RECEIVE_FULL_ENDED)
		node_log(node, NODE_LOG_INFO, "full-ended",
			 "full catch-up from node %u is complete at version %llu", peer->id,
			 (unsigned long long)peer->receive.applied);
	if (outcome & (RECEIVE_GAP | RECEIVE_FULL_ENDED) || peer->receive.frames_unacked >= FRAMES_FOR_AN_ACK)
		node_want_ack(node, peer, true);
	if (receive_position(&peer->receive) >= peer->receive.newest) {
		peer->is_behind = false;
	} else if (!peer->is_behind) {
		peer->is_behind = true;
		peer->behind_since = node->now;
	}
}

/* A leap a minute for each peer: else one that holds the key could use all terms up within seconds. */
static void hear_term(struct node *node, struct peer *peer, uint32_t term)
{
	bool may_leap = !peer->leapt_at.us || node->now.us - peer->leapt_at.us >= term_leap_interval_us;

	if (role_hear(&node->role, term, may_leap))
		peer->leapt_at = node->now;
}

static void note_claims(struct peer *peer, const struct frame_status *status)
{
	bool is_same = peer->has_status && claims_are_same(&peer->status, status);

	if (is_same && !peer->claims_are_settled)
		peer->claims_in = status->newest;
	peer->claims_are_settled = is_same;
}

/* What it says of peers is most of its six kilobytes, and of use only now. */
static void keep_status(struct peer *peer, const struct frame_status *status)
{
	struct frame_status *kept = &peer->status;

	memcpy(kept, status, offsetof(struct frame_status, peers_count));
	kept->peers_count = 0;
	kept->claims_count = status->claims_count;
	memcpy(kept->claims, status->claims, status->claims_count * sizeof(kept->claims[0]));
	peer->has_status = true;
}

static void take_current_status(struct node *node, struct peer *peer, const struct frame_status *status,
				const struct frame_peer *us, bool echoed, const struct node_event *event)
{
	if (echoed)
		peer->links[event->datagram.link].endpoint = event->datagram.from;
	hear_term(node, peer, status->term);
	note_claims(peer, status);
	keep_status(peer, status);
	peer->heard_at = table_newest(node->local.table);
	if (status->flags & FRAME_STATUS_LEAVING)
		peer->leaving = true;
	else
		peer->proven_at = node->now;
	note_outcome(node, peer,
		     receive_status(&peer->receive, status, session_sent_after(&peer->current), node->now));
	node_review_claims(node);
	node_review_split_brain(node);
	node_answer_heartbeat(node);
	if (!us || !echoed)
		return;
	if (!(us->flags & FRAME_PEER_CURRENT)) { /* it hears us, and does not follow us yet */
		peer->has_about_us = false;
		return;
	}
	if (us->applied > table_newest(node->local.table) ||
	    us->proven > table_newest(node->local.table) + 1) {
		char why[NODE_REASON_SIZE];

		snprintf(
		    why, sizeof(why),
		    "node %u has applied version %llu, and our newest is %llu: was this machine restored from a snapshot?",
		    peer->id, (unsigned long long)(us->applied > us->proven ? us->applied : us->proven - 1),
		    (unsigned long long)table_newest(node->local.table));
		node_restart_session(node, why);
		return;
	}
	node_serve_peer(node, peer, us);
}

/*
 * What comes from a session that is not current is not applied.  A candidate's STATUS counts as refused only
 * when it had the time to answer our challenge: every new session begins as a candidate.
 */
static void refuse_status(struct node *node, const struct peer *peer, const struct session *session)
{
	bool is_twin = peer == &node->twin;

	if (is_twin ? node->duplicate_id : peer->duplicate_at.us != 0)
		drop(node, NODE_DROP_DUPLICATE_ID, is_twin ? node->config.id : peer->id);
	else if (node->now.us - session->first_heard.us > node->config.peer_timeout.us)
		drop(node, NODE_DROP_NOT_FRESH, is_twin ? node->config.id : peer->id);
}

static void take_status(struct node *node, struct peer *peer, struct session *session, struct reader body,
			const struct node_event *event)
{
	struct frame_status status;
	const struct frame_peer *us;
	bool echoed, is_asked;

	if (frame_status_read(body, &status)) {
		drop(node, NODE_DROP_MALFORMED, peer->id);
		return;
	}
	if (session->packet_number < session->status_number)
		return; /* overtaken on the way by a later one */
	session->status_number = session->packet_number;
	session->stamp = status.stamp;
	session->stamp_at = node->now;
	session->instance = status.instance;
	us = about_us(node, &status);
	is_asked = us && us->challenge != session->their_challenge;
	echoed = us && session_hear(session, us, node->now);
	if (peer == &node->twin) {
		refuse_status(node, peer, session);
		return;
	}
	if (is_asked) /* once for each challenge: it waits for our echo before it takes our session for
			 current */
		node_want_status(node);
	if (session != &peer->current) {
		struct seal_session_id id = session->id;

		node_review_candidate(node, peer, session);
		if (!session_exists(&peer->current) || !session_id_equals(&peer->current.id, &id)) {
			refuse_status(node, peer, session);
			return;
		}
	}
	take_current_status(node, peer, &status, us, echoed, event);
}

static void take_data(struct node *node, struct peer *peer, const struct session *session, struct reader body)
{
	unsigned outcome;
	uint64_t refused = peer->receive.refused;

	if (session != &peer->current) {
		drop(node,
		     peer->duplicate_at.us || (peer == &node->twin && node->duplicate_id)
			 ? NODE_DROP_DUPLICATE_ID
			 : NODE_DROP_NOT_FRESH,
		     peer->id ? peer->id : node->config.id);
		return;
	}
	peer->heard_at = table_newest(node->local.table);
	outcome = receive_data(&peer->receive, body, session_sent_after(session));
	peer->flows_refused += peer->receive.refused - refused;
	note_outcome(node, peer, outcome);
}

static void take_messages(struct node *node, struct peer *peer, struct session *session, struct reader r,
			  const struct node_event *event)
{
	struct seal_session_id id = session->id;

	while (reader_left(&r)) {
		uint8_t type = reader_u8(&r);
		uint16_t length = reader_u16(&r);
		struct reader body = reader_sub(&r, length);

		if (r.failed) {
			drop(node, NODE_DROP_MALFORMED, peer->id);
			return;
		}
		session = peer_find_session(peer, &id); /* a message may have promoted it */
		if (!session)
			return;
		if (type == FRAME_STATUS)
			take_status(node, peer, session, body, event);
		else if (type == FRAME_DATA)
			take_data(node, peer, session, body);
		/* other types are a newer version's: skipped */
	}
}

/* ---- the way in ---- */

/*
 * Copies are dropped unopened, so a link that is always the slower one would never tell the peer's address on
 * it.  While that is unknown, a copy is opened: a STATUS that echoes our challenge tells it, as elsewhere.
 */
static void learn_address(struct node *node, struct peer *peer, struct session *session,
			  const struct frame_header *header, const struct node_event *event)
{
	uint8_t plain[FRAME_PAYLOAD_MAX];
	struct frame_status status;
	const struct frame_peer *us;
	struct seal *opener;
	struct reader r, body;

	if (open_datagram(node, header, session, event, plain, &opener) != NODE_DROPS)
		return;
	seal_destroy(opener);
	r = reader_over(plain, event->datagram.length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE);
	reader_skip(&r, FRAME_INNER_SIZE);
	if (reader_u8(&r) != FRAME_STATUS)
		return;
	body = reader_sub(&r, reader_u16(&r));
	if (r.failed || frame_status_read(body, &status))
		return;
	us = about_us(node, &status);
	if (us && us->echo == session->challenge)
		peer->links[event->datagram.link].endpoint = event->datagram.from;
}

/* Seen before: the copy that came over another link, or a replay. */
static void take_copy(struct node *node, struct peer *peer, struct session *session,
		      const struct frame_header *header, const struct node_event *event)
{
	uint64_t packet_number = header->packet_number;
	struct peer_link *l = &peer->links[event->datagram.link];

	if (session != &peer->current) { /* counts of its links begin when it is current: nobody is named */
		drop(node, NODE_DROP_REPLAYED, 0);
		return;
	}
	/* over a single link there are no copies */
	if (node->config.links == 1 || replay_check(&l->seen, packet_number) != REPLAY_NEW) {
		drop(node, NODE_DROP_REPLAYED, peer->id);
		return;
	}
	replay_note(&l->seen, packet_number);
	l->received++;
	if (!l->endpoint.length)
		learn_address(node, peer, session, header, event);
}

/* An authentic datagram of a session that we know: counts, addressing, messages. */
static void take_plain(struct node *node, struct peer *peer, struct session *session,
		       const struct frame_header *header, const struct node_event *event,
		       const uint8_t *plain)
{
	struct reader r = reader_over(plain, event->datagram.length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE);
	uint16_t destination = reader_u16(&r);
	uint32_t counter = reader_u32(&r);
	struct peer_link *link = &peer->links[event->datagram.link];

	replay_note(&session->replay, header->packet_number);
	session->packet_number = header->packet_number;
	session->last_heard = node->now;
	if (destination && destination != node->config.id) {
		drop(node, NODE_DROP_MISDIRECTED, 0);
		return;
	}
	if (session == &peer->current) {
		replay_note(&link->seen, header->packet_number);
		link->received++;
		peer_count_datagram(peer, destination != 0, counter);
	}
	take_messages(node, peer, session, r, event);
}

/* A session that we do not know yet, or that changed its key, in an authentic datagram. */
static struct session *adopt_opener(struct node *node, struct peer *peer, struct session *session,
				    const struct frame_header *header, struct seal *opener)
{
	if (!session)
		return candidate_new(node, peer, header, opener);
	seal_destroy(session->opener);
	session->opener = opener;
	session->key_id = header->key_id;
	session->cipher = header->cipher;
	return session;
}

static void take_sealed(struct node *node, const struct frame_header *header, const struct node_event *event)
{
	struct peer *peer = peer_by_id(node, header->node_id);
	struct session *session = peer ? peer_find_session(peer, &header->session) : NULL;
	enum replay_verdict seen =
	    session ? replay_check(&session->replay, header->packet_number) : REPLAY_NEW;
	uint8_t plain[FRAME_PAYLOAD_MAX];
	struct seal *opener;
	enum node_drop why;

	if (seen == REPLAY_SEEN) {
		take_copy(node, peer, session, header, event);
		return;
	}
	if (seen == REPLAY_TOO_OLD) {
		drop(node, NODE_DROP_TOO_OLD, header->node_id);
		return;
	}
	why = open_datagram(node, header, session, event, plain, &opener);
	if (why == NODE_DROPS && !peer)
		why = node_new_peer(node, header->node_id, &peer);
	if (why != NODE_DROPS) {
		seal_destroy(opener);
		drop(node, why, header->node_id);
		return;
	}
	if (opener)
		session = adopt_opener(node, peer, session, header, opener);
	take_plain(node, peer, session, header, event, plain);
}

void node_take_datagram(struct node *node, const struct node_event *event)
{
	static const enum node_drop reasons[] = {
	    [FRAME_TOO_SHORT] = NODE_DROP_TOO_SHORT,
	    [FRAME_BAD_MAGIC] = NODE_DROP_BAD_MAGIC,
	    [FRAME_MALFORMED] = NODE_DROP_MALFORMED,
	};
	struct frame_header header;
	enum frame_verdict verdict =
	    frame_header_read(event->datagram.bytes, event->datagram.length, &header);

	node->received_datagrams++;
	node->received_bytes += event->datagram.length;
	if (event->datagram.link >= node->config.links)
		return;
	if (verdict == FRAME_OTHER_VERSION)
		drop_other_version(node, &header);
	else if (verdict != FRAME_GOOD)
		drop(node, reasons[verdict], 0);
	else if (header.node_id == node->config.id &&
		 session_id_equals(&header.session, &node->outbox.session))
		take_own(node, &header, event);
	else
		take_sealed(node, &header, event);
}
