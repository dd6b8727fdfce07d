/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What status says of the peers, and of those who are none. */
#include "syncd/daemon/status.h"

static json_t *describe_proof(const struct node_proof *proof)
{
	json_t *object = json_object();
	json_object_set_new(object, "in_sync", json_boolean(proof->in_sync));
	status_set(object, "version", proof->version);
	json_object_set_new(object, "age_ms",
			    proof->age_us < 0 ? json_null() : json_integer(proof->age_us / 1000));
	json_object_set_new(object, "reason", json_string(proof->reason));
	return object;
}

static json_t *describe_peer_links(const struct daemon *daemon, const struct node_peer_view *peer)
{
	json_t *links = json_array();
	for (unsigned i = 0; i < link_count(daemon->links); i++) {
		char address[LINK_ENDPOINT_TEXT_SIZE];
		json_t *link = json_object();
		json_object_set_new(link, "interface", json_string(daemon->config.links[i].interface));
		json_object_set_new(link, "address",
				    json_string(link_endpoint_print(&peer->links[i].address, address)));
		status_set(link, "received", peer->links[i].received);
		status_set(link, "lost", peer->links[i].lost);
		json_array_append_new(links, link);
	}
	return links;
}

static void add_state(json_t *object, const struct node_peer_view *peer, struct monotime now)
{
	int64_t silent_us = monotime_sub(now, peer->last_heard).us;
	json_object_set_new(object, "node", json_integer(peer->id));
	json_object_set_new(object, "role", json_string(frame_role_name(peer->role)));
	json_object_set_new(object, "term", json_integer(peer->term));
	json_object_set_new(object, "alive", json_boolean(peer->alive));
	json_object_set_new(object, "silent_ms", json_integer(silent_us > 0 ? silent_us / 1000 : 0));
	json_object_set_new(object, "complete", json_boolean(peer->complete));
	json_object_set_new(object, "suspect", json_boolean(peer->suspect));
	json_object_set_new(object, "mode",
			    json_string(peer->active_active ? "active-active" : "active-backup"));
	json_object_set_new(object, "software", json_string(peer->software));
	json_object_set_new(object, "filters_differ", json_boolean(peer->filters_differ));
	json_object_set_new(object, "problem", json_string(peer->problem));
}

/* What was held for a node that has rebooted since. */
static json_t *describe_orphans(const struct daemon *daemon, uint16_t id, struct monotime now)
{
	struct node_table_view tables[NODE_TABLES_MAX];
	unsigned count = node_tables(drive_node(daemon->drive), tables);
	json_t *orphans = json_array();
	for (unsigned i = 0; i < count; i++) {
		if (!tables[i].orphan || tables[i].id != id)
			continue;
		json_t *orphan = json_object();
		status_set(orphan, "flows", table_count(tables[i].table));
		json_object_set_new(orphan, "term", json_integer(tables[i].term));
		json_object_set_new(orphan, "age_ms",
				    json_integer(monotime_sub(now, tables[i].owner_proven_at).us / 1000));
		json_array_append_new(orphans, orphan);
	}
	return orphans;
}

static json_t *describe_peer(const struct daemon *daemon, const struct node_peer_view *peer,
			     struct monotime now)
{
	json_t *object = json_object(), *resyncs = json_object();
	add_state(object, peer, now);
	json_object_set_new(object, "in_sync", json_boolean(peer->holds.in_sync && peer->held.in_sync));
	status_set(object, "flows", peer->flows);
	status_set(object, "expectations", peer->expectations);
	status_set(object, "memory_bytes", peer->memory);
	json_object_set_new(object, "orphans", describe_orphans(daemon, peer->id, now));
	status_set(object, "newest", peer->newest);
	status_set(object, "applied", peer->applied);
	json_object_set_new(object, "holds", describe_proof(&peer->holds));
	json_object_set_new(object, "held", describe_proof(&peer->held));
	json_object_set_new(object, "lag_us", peer->lag_us < 0 ? json_null() : json_integer(peer->lag_us));
	json_object_set_new(object, "rtt_us", peer->rtt_us < 0 ? json_null() : json_integer(peer->rtt_us));
	status_set(object, "divergences", peer->divergences);
	status_set(resyncs, "partial", peer->resyncs_partial);
	status_set(resyncs, "full", peer->resyncs_full);
	json_object_set_new(resyncs, "full_running", json_boolean(peer->full_running));
	json_object_set_new(object, "resyncs", resyncs);
	json_object_set_new(object, "overflowed", json_boolean(peer->overflowed));
	status_set(object, "flows_refused", peer->flows_refused);
	json_object_set_new(object, "incompatible", json_boolean(peer->incompatible));
	status_set(object, "flows_unreadable", peer->flows_unreadable);
	json_object_set_new(object, "links", describe_peer_links(daemon, peer));
	return object;
}

json_t *status_peers(const struct daemon *daemon, const struct node_view *view, struct monotime now)
{
	json_t *peers = json_array();
	for (unsigned i = 0; i < view->peers; i++) {
		struct node_peer_view peer;
		node_peer_view(drive_node(daemon->drive), now, i, &peer);
		json_array_append_new(peers, describe_peer(daemon, &peer, now));
	}
	return peers;
}

json_t *status_strangers(const struct daemon *daemon, const struct node_view *view, struct monotime now)
{
	json_t *strangers = json_array();
	for (unsigned i = 0; i < view->strangers; i++) {
		struct node_stranger_view stranger;
		node_stranger_view(drive_node(daemon->drive), i, &stranger);
		json_t *object = json_object();
		json_object_set_new(object, "node", json_integer(stranger.id));
		status_set(object, "count", stranger.count);
		json_object_set_new(object, "age_ms",
				    json_integer(monotime_sub(now, stranger.last).us / 1000));
		json_object_set_new(object, "cause", json_string(node_drop_name(stranger.drop)));
		json_object_set_new(object, "problem", json_string(stranger.problem));
		json_array_append_new(strangers, object);
	}
	return strangers;
}

json_t *status_drops(const struct node_view *view)
{
	json_t *drops = json_object();
	for (unsigned i = 0; i < NODE_DROPS; i++)
		status_set(drops, node_drop_name((enum node_drop)i), view->drops[i]);
	return drops;
}
