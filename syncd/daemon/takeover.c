/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/takeover.h"

#include "syncd/daemon/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 };

static int compare_terms(const void *a, const void *b)
{
	const struct node_peer_view *x = a, *y = b;
	return (x->term < y->term) - (x->term > y->term);
}

/* Takes the list of peers as it is now. */
static int list_peers(struct takeover *takeover)
{
	const struct node *node = drive_node(takeover->parts.drive);
	struct monotime now = clock_now();
	struct node_view view;
	node_view(node, now, &view);
	unsigned count = view.peers < FRAME_PEERS_MAX ? view.peers : FRAME_PEERS_MAX;
	struct node_peer_view *peers = calloc(count > 0 ? count : 1, sizeof(*peers));
	if (peers == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		node_peer_view(node, now, i, &peers[i]);
	qsort(peers, count, sizeof(*peers), compare_terms);
	for (unsigned i = 0; i < count; i++) {
		int64_t elapsed_us = monotime_sub(now, peers[i].owner_proven_at).us;
		const struct table *table = node_external(node, peers[i].id);
		if (table == NULL)
			continue;
		takeover->peers[takeover->peers_count].id = peers[i].id;
		takeover->peers[takeover->peers_count].term = peers[i].term;
		takeover->peers[takeover->peers_count].elapsed_s =
		    elapsed_us > 0 ? (uint32_t)(elapsed_us / 1000000) : 0;
		takeover->peers_count++;
		takeover->total += table_count(table);
	}
	free(peers);
	return 0;
}

int takeover_begin(struct takeover *takeover, const struct takeover_parts *parts)
{
	memset(takeover, 0, sizeof(*takeover));
	takeover->parts = *parts;
	takeover->begun = clock_now();
	takeover->timeouts = timeouts_read();
	if (takeover->timeouts == NULL)
		return -ENOMEM;
	int error = list_peers(takeover);
	if (error < 0)
		takeover_end(takeover);
	return error;
}

void takeover_end(struct takeover *takeover)
{
	timeouts_free(takeover->timeouts);
	takeover->timeouts = NULL;
}

static void name_flow(struct takeover *takeover, const struct flow *flow, enum commit_result result,
		      int error)
{
	uint64_t count = takeover->results[result];
	char text[FLOW_TEXT_SIZE];
	if (count >= TAKEOVER_NAMED)
		return;
	flow_key_print(flow, text);
	snprintf(takeover->named[result][count], sizeof(takeover->named[result][count]), "%s%s%.40s", text,
		 error != 0 ? ": " : "", error != 0 ? strerror(-error) : "");
}

static void settled(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct takeover *takeover = context;
	if (result >= COMMIT_CLASH)
		name_flow(takeover, flow, result, error);
	takeover->results[result]++;
	if (result == COMMIT_CREATED || result == COMMIT_UPDATED || result == COMMIT_REPLACED) {
		struct node_event event = {.type = NODE_FLOW_COMMITTED, .flow = flow};
		drive_give(takeover->parts.drive, &event);
	}
}

static void take_flow(struct takeover *takeover, const struct flow *flow)
{
	uint32_t timeout_s = takeover->parts.timeout_s;
	takeover->taken++;
	takeover->peers[takeover->peer].flows++;
	/* a peer forwarded a connection of this very host: it lives on here, and not through NAT */
	if (!filter_accepts(takeover->parts.filter, flow)) {
		takeover->local++;
		return;
	}
	if (timeout_s == 0)
		timeout_s =
		    timeouts_commit_s(takeover->timeouts, flow, takeover->peers[takeover->peer].elapsed_s);
	commit_flow(takeover->parts.commit, flow, timeout_s, &takeover->parts.options, settled, takeover);
}

/*
 * Takes the next flows of this round from the peer's table.  They are copied first: the table may change
 * while the node takes in what was committed.  False at the table's end.
 */
static bool take_chunk(struct takeover *takeover)
{
	struct flow flows[CHUNK];
	unsigned count = 0;
	const struct table *table =
	    node_external(drive_node(takeover->parts.drive), takeover->peers[takeover->peer].id);
	struct table_entry *entry = NULL;
	if (table == NULL)
		return false;
	struct table_walk walk = table_walk_after(table, takeover->after, false);
	while (count < CHUNK && (entry = table_walk_next(&walk)) != NULL) {
		takeover->after = walk.version;
		record_decode(entry->bytes, &flows[count]);
		bool related = flows[count].present & FLOW_HAS_MASTER;
		takeover->related_seen |= related;
		count += related == takeover->related_runs;
	}
	for (unsigned i = 0; i < count; i++)
		take_flow(takeover, &flows[i]);
	return entry != NULL;
}

static void flush(struct takeover *takeover)
{
	commit_flush(takeover->parts.commit, &takeover->parts.options, settled, takeover);
}

bool takeover_run(struct takeover *takeover, struct monotime until)
{
	bool done = false;
	while (!done && monotime_is_before(clock_now(), until)) {
		if (takeover->peer < takeover->peers_count && take_chunk(takeover))
			continue;
		takeover->after = 0;
		if (takeover->peer < takeover->peers_count && ++takeover->peer < takeover->peers_count)
			continue;
		/* masters are in the kernel before what is related to them is sent (else ENOENT) */
		flush(takeover);
		done = takeover->related_runs || !takeover->related_seen;
		takeover->related_runs = true;
		takeover->peer = 0;
	}
	drive_finish(takeover->parts.drive);
	return done;
}

static json_t *report_failures(const struct takeover *takeover)
{
	json_t *failures = json_object();
	for (unsigned result = COMMIT_CLASH; result < COMMIT_RESULTS; result++) {
		if (takeover->results[result] == 0)
			continue;
		json_t *names = json_array();
		for (unsigned i = 0; i < TAKEOVER_NAMED && i < takeover->results[result]; i++)
			json_array_append_new(names, json_string(takeover->named[result][i]));
		json_object_set_new(failures, commit_result_name((enum commit_result)result), names);
	}
	return failures;
}

json_t *takeover_report(const struct takeover *takeover)
{
	json_t *report = json_object(), *peers = json_array();
	json_object_set_new(report, "flows", json_integer((json_int_t)takeover->taken));
	for (unsigned result = 0; result < COMMIT_RESULTS; result++)
		json_object_set_new(report, commit_result_name((enum commit_result)result),
				    json_integer((json_int_t)takeover->results[result]));
	json_object_set_new(report, "local", json_integer((json_int_t)takeover->local));
	json_object_set_new(report, "duration_us",
			    json_integer(monotime_sub(clock_now(), takeover->begun).us));
	for (unsigned i = 0; i < takeover->peers_count; i++)
		json_array_append_new(peers,
				      json_pack("{s:i,s:I,s:I}", "node", takeover->peers[i].id, "flows",
						(json_int_t)takeover->peers[i].flows, "owner_silent_s",
						(json_int_t)takeover->peers[i].elapsed_s));
	json_object_set_new(report, "peers", peers);
	json_object_set_new(report, "failures", report_failures(takeover));
	return report;
}
