/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/verify.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/seen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROWS = 512,
	DIFFERENCES_MAX = 4096, /* beyond these they are counted, not read again */
	NAMED = 10,
	DRAIN_BUDGET = 1024,
	GETS = 128,
	ROUNDS = 3, /* readings after the first, ROUND_US apart */
	ROUND_US = 100000,
	PEERS_US = 5000000,
	AT_ONCE_MAX = 4, /* each remembers all flows, and whoever may read may ask for one */
};

enum phase { PHASE_ROWS, PHASE_INTERNAL, PHASE_SETTLE, PHASE_PEERS };

struct verify {
	struct daemon *daemon;
	struct audit *audit;
	enum phase phase;
	struct seen seen;
	uint64_t rows, filtered, after;
	uint64_t too_many; /* differences beyond DIFFERENCES_MAX */
	size_t count, at;  /* differences; the next one to read again */
	unsigned round;
	struct monotime next, begun, next_progress;
	struct flow differences[DIFFERENCES_MAX]; /* keys */
};

static const struct table *internal_of(const struct verify *verify)
{
	return node_internal(drive_node(verify->daemon->drive));
}

static void suspect(struct verify *verify, const struct flow *flow)
{
	if (verify->count < DIFFERENCES_MAX)
		verify->differences[verify->count++] = *flow;
	else
		verify->too_many++;
}

/* Whether the internal table has the flow just like this; a kernel's flow has no incarnation, so it takes the
 * record's. */
static bool internal_equals(const struct verify *verify, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX], record[RECORD_MAX];
	struct flow same = *flow;
	size_t length = record_encode_key(flow, key);
	const struct table_entry *entry =
	    length == 0 ? NULL : table_find(internal_of(verify), (struct record_key){key, length});
	if (entry == NULL || entry->flags & TABLE_ENTRY_TOMBSTONE)
		return false;
	same.incarnation = record_incarnation(entry->bytes);
	return record_encode(&same, record) > 0 && record_equals(record, entry->bytes);
}

static void take_row(void *context, const struct flow *flow)
{
	struct verify *verify = context;
	uint8_t key[RECORD_KEY_MAX];
	verify->rows++;
	if (!filter_accepts(&verify->daemon->filter, flow) ||
	    node_passes_over(drive_node(verify->daemon->drive), flow)) {
		verify->filtered++;
		return;
	}
	size_t length = record_encode_key(flow, key);
	if (length == 0 || seen_add(&verify->seen, (struct record_key){key, length}) < 0 ||
	    !internal_equals(verify, flow))
		suspect(verify, flow);
}

/* Flows of the internal table that the dump did not have.  False at the end. */
static bool walk_internal(struct verify *verify)
{
	struct table_walk walk = table_walk_after(internal_of(verify), verify->after, false);
	for (unsigned i = 0; i < ROWS; i++) {
		struct table_entry *entry = table_walk_next(&walk);
		if (entry == NULL)
			return false;
		verify->after = walk.version;
		if (!seen_has(&verify->seen, record_key(entry->bytes))) {
			struct flow flow;
			record_decode(entry->bytes, &flow);
			suspect(verify, &flow);
		}
	}
	return true;
}

/* Reads a flow again: whether kernel and internal table agree on it now. */
static bool agrees(struct verify *verify, const struct flow *key)
{
	struct flow flow;
	int error = audit_get(verify->audit, key, &flow);
	if (error == -ENOENT || (error == 0 && (!filter_accepts(&verify->daemon->filter, &flow) ||
						node_passes_over(drive_node(verify->daemon->drive), &flow))))
		return !drive_knows(verify->daemon->drive, key);
	return error == 0 && internal_equals(verify, &flow);
}

/* Reads again what differs, and keeps what still does.  False when no round is left. */
static bool settle(struct verify *verify, struct monotime now)
{
	if (!drive_drain(verify->daemon->drive, DRAIN_BUDGET))
		return true;
	size_t end = verify->at + GETS < verify->count ? verify->at + GETS : verify->count;
	for (size_t i = verify->at; i < end; i++) {
		if (!agrees(verify, &verify->differences[i]))
			continue;
		verify->differences[i--] = verify->differences[--verify->count];
		end = end > verify->count ? verify->count : end;
	}
	verify->at = end;
	if (verify->at < verify->count)
		return true;
	verify->at = 0;
	verify->next = monotime_add(now, monotime_from_us(ROUND_US));
	return ++verify->round < ROUNDS && verify->count > 0;
}

/* The first live peer that is not in sync, in words.  False: there is none. */
static bool find_unproven(const struct verify *verify, char *text, size_t size)
{
	const struct node *node = drive_node(verify->daemon->drive);
	struct monotime now = clock_now();
	struct node_view view;
	node_view(node, now, &view);
	for (unsigned i = 0; i < view.peers; i++) {
		struct node_peer_view peer;
		node_peer_view(node, now, i, &peer);
		if (!peer.alive || (peer.holds.in_sync && peer.held.in_sync))
			continue;
		if (!peer.holds.in_sync)
			snprintf(text, size, "our copy of peer %u is not proven: %s", peer.id,
				 peer.holds.reason);
		else
			snprintf(text, size, "peer %u's copy of ours is not proven: %s", peer.id,
				 peer.held.reason);
		return true;
	}
	return false;
}

/* A peer that says nothing is no difference, and no equality either. */
static void tell_silent_peers(const struct verify *verify, struct control_client *client)
{
	const struct node *node = drive_node(verify->daemon->drive);
	struct monotime now = clock_now();
	struct node_view view;
	node_view(node, now, &view);
	for (unsigned i = 0; i < view.peers; i++) {
		struct node_peer_view peer;
		node_peer_view(node, now, i, &peer);
		if (!peer.alive)
			control_print(client, MESSAGE_TEXT, "peer %u's copy was not compared: %s\n", peer.id,
				      peer.held.reason);
	}
	if (view.peers == 0)
		control_print(client, MESSAGE_TEXT, "no peer was ever heard: only the kernel was compared\n");
}

static void report(struct verify *verify, struct control_client *client)
{
	char unproven[256], text[FLOW_TEXT_SIZE];
	uint64_t differ = verify->count + verify->too_many;
	bool peers_differ = find_unproven(verify, unproven, sizeof(unproven));
	control_print(client, MESSAGE_TEXT,
		      "kernel: %" PRIu64 " flows, %" PRIu64 " filtered; internal: %zu flows; %" PRIu64
		      " differ\n",
		      verify->rows, verify->filtered, table_count(internal_of(verify)), differ);
	for (size_t i = 0; i < verify->count && i < NAMED; i++) {
		struct flow now;
		bool in_kernel = audit_get(verify->audit, &verify->differences[i], &now) == 0;
		bool known = drive_knows(verify->daemon->drive, &verify->differences[i]);
		control_print(client, MESSAGE_TEXT, "  %s: %s\n",
			      flow_key_print(&verify->differences[i], text),
			      in_kernel && known ? "differs"
			      : in_kernel        ? "only in the kernel"
						 : "only in the internal table");
	}
	if (peers_differ)
		control_print(client, MESSAGE_TEXT, "%s\n", unproven);
	tell_silent_peers(verify, client);
	if (differ == 0 && !peers_differ)
		control_finish(client, 0, "equal");
	else
		control_finish(client, 1, "not equal: %" PRIu64 " flows differ%s", differ,
			       peers_differ ? ", and not all peers' copies are proven" : "");
}

static void tell_progress(struct verify *verify, struct control_client *client, struct monotime now)
{
	if (monotime_is_before(now, verify->next_progress))
		return;
	verify->next_progress = monotime_add(now, monotime_from_ms(300));
	control_print(client, MESSAGE_PROGRESS, "verifying: %" PRIu64 " flows read, %zu to read again",
		      verify->rows, verify->count);
}

/* One piece of the dump.  False: it failed, and the client is answered. */
static bool read_rows(struct verify *verify, struct control_client *client)
{
	int progress = audit_dump_read(verify->audit, ROWS, take_row, verify);
	if (progress ==
	    AUDIT_INTERRUPTED) /* resized: rows may be missing or twice; what differs is read again anyway */
		progress = AUDIT_DONE;
	if (progress == AUDIT_DONE)
		verify->phase = PHASE_INTERNAL;
	if (progress >= 0)
		return true;
	control_finish(client, 1, "reading the kernel's table failed: %s", strerror(-progress));
	return false;
}

/* Waits for the peers' proofs, then ends. */
static void look_at_peers(struct verify *verify, struct control_client *client, struct monotime now)
{
	char unproven[256];
	if (find_unproven(verify, unproven, sizeof(unproven)) && monotime_is_before(now, verify->next))
		control_wait(client, monotime_add(now, monotime_from_us(ROUND_US)));
	else
		report(verify, client);
}

static void more(void *context, struct control_client *client)
{
	struct verify *verify = context;
	struct monotime now = clock_now();
	tell_progress(verify, client, now);
	switch (verify->phase) {
	case PHASE_ROWS:
		read_rows(verify, client);
		break;
	case PHASE_INTERNAL:
		if (!walk_internal(verify))
			verify->phase = PHASE_SETTLE;
		break;
	case PHASE_SETTLE:
		if (!settle(verify, now)) {
			verify->phase = PHASE_PEERS;
			verify->next = monotime_add(now, monotime_from_us(PEERS_US));
		} else
			control_wait(client, verify->next);
		drive_finish(verify->daemon->drive);
		break;
	case PHASE_PEERS:
		look_at_peers(verify, client, now);
		break;
	}
}

static void gone(void *context, struct control_client *client)
{
	struct verify *verify = context;
	(void)client;
	verify->daemon->verifications--;
	audit_close(verify->audit);
	seen_clear(&verify->seen);
	free(verify);
}

void verify_start(struct control_client *client, struct daemon *daemon)
{
	if (daemon->verifications >= AT_ONCE_MAX) {
		control_finish(client, 1, "too many verify already (%u)", daemon->verifications);
		return;
	}
	struct verify *verify = calloc(1, sizeof(*verify));
	int error = verify == NULL ? -ENOMEM : audit_open(&verify->audit);
	if (error == 0 && (error = audit_dump_start(verify->audit, NULL)) < 0)
		audit_close(verify->audit);
	if (error < 0) {
		control_finish(client, 1, "can't read the kernel's table: %s", strerror(-error));
		free(verify);
		return;
	}
	verify->daemon = daemon;
	daemon->verifications++;
	verify->begun = clock_now();
	verify->next_progress = monotime_add(verify->begun, monotime_from_ms(300));
	control_set_stream(client, more, gone, verify);
}
