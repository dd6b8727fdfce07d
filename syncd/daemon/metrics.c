/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/metrics.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/health.h"
#include "syncd/daemon/metrics_write.h"
#include "syncd/daemon/problems.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS "seconds"
#define BYTES   "bytes"

#define ENTRY(struct_type, member, field_kind, metric_type, metric_name, metric_unit, metric_help)           \
	{                                                                                                    \
		.family = {"twintrack_" metric_name, metric_type, metric_unit, metric_help},                 \
		.kind = field_kind, .offset = offsetof(struct struct_type, member)                           \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* All that is looked at, gathered once: a family needs every peer or link before the next family begins. */
struct scene {
	const struct daemon *daemon;
	struct monotime now;
	struct node_view view;
	unsigned peers, links;
	struct node_peer_view peer[FRAME_PEERS_MAX];
	struct metrics_labels peer_label[FRAME_PEERS_MAX];
	struct link_statistics link[CONFIG_LINKS_MAX];
	struct metrics_labels link_label[CONFIG_LINKS_MAX];
	struct drive_statistics drive;
};

static void gather(struct scene *scene, const struct daemon *daemon)
{
	char id[8];
	memset(scene, 0, sizeof(*scene));
	scene->daemon = daemon;
	scene->now = clock_now();
	node_view(drive_node(daemon->drive), scene->now, &scene->view);
	scene->peers = scene->view.peers;
	for (unsigned i = 0; i < scene->peers; i++) {
		node_peer_view(drive_node(daemon->drive), scene->now, i, &scene->peer[i]);
		snprintf(id, sizeof(id), "%u", scene->peer[i].id);
		scene->peer_label[i] = metrics_label("peer", id);
	}
	scene->links = link_count(daemon->links);
	for (unsigned i = 0; i < scene->links; i++) {
		link_statistics(daemon->links, i, &scene->link[i]);
		scene->link_label[i] = metrics_label("link", daemon->config.links[i].interface);
	}
	drive_statistics(daemon->drive, &scene->drive);
}

static void gauge(FILE *out, const char *name, const char *unit, const char *help, uint64_t value)
{
	metrics_single(out, &(struct metrics_family){name, METRICS_GAUGE, unit, help}, value);
}

static void counter(FILE *out, const char *name, const char *unit, const char *help, uint64_t value)
{
	metrics_single(out, &(struct metrics_family){name, METRICS_COUNTER, unit, help}, value);
}

static void gauge_us(FILE *out, const char *name, const char *help, int64_t us)
{
	struct metrics_family family = {name, METRICS_GAUGE, SECONDS, help};
	metrics_begin(out, &family);
	metrics_sample_seconds(out, &family, NULL, us);
}

/* ---- this node ---- */

static void write_identity(FILE *out, const struct scene *scene)
{
	struct metrics_family build = {"twintrack_build", METRICS_INFO, NULL, "The daemon's version."};
	struct metrics_family node = {"twintrack_node", METRICS_INFO, NULL, "This node's id and mode."};
	struct metrics_labels version = metrics_label("version", TWINTRACK_VERSION);
	char id[8];
	snprintf(id, sizeof(id), "%u", scene->view.id);
	struct metrics_labels labels = metrics_labels(
	    "node", id, "mode",
	    scene->daemon->config.node.mode == CONFIG_MODE_ACTIVE_ACTIVE ? "active-active" : "active-backup");
	metrics_begin(out, &build);
	metrics_sample(out, &build, &version, 1);
	metrics_begin(out, &node);
	metrics_sample(out, &node, &labels, 1);
	gauge_us(out, "twintrack_uptime_seconds", "Since the daemon started; counters begin then.",
		 monotime_sub(scene->now, scene->daemon->started).us);
}

static void write_role(FILE *out, const struct scene *scene)
{
	static const enum frame_role roles[] = {FRAME_ROLE_INIT, FRAME_ROLE_PRIMARY, FRAME_ROLE_BACKUP,
						FRAME_ROLE_FAULT};
	struct metrics_family own = {"twintrack_role", METRICS_STATESET, NULL, "This node's role."};
	struct metrics_family theirs = {"twintrack_peer_role", METRICS_STATESET, NULL, "The peer's role."};
	metrics_begin(out, &own);
	for (size_t i = 0; i < COUNT(roles); i++) {
		struct metrics_labels labels = metrics_label(own.name, frame_role_name(roles[i]));
		metrics_sample(out, &own, &labels, scene->view.role == roles[i]);
	}
	if (scene->peers > 0)
		metrics_begin(out, &theirs);
	for (unsigned peer = 0; peer < scene->peers; peer++) {
		char id[8];
		snprintf(id, sizeof(id), "%u", scene->peer[peer].id);
		for (size_t i = 0; i < COUNT(roles); i++) {
			struct metrics_labels labels =
			    metrics_labels("peer", id, theirs.name, frame_role_name(roles[i]));
			metrics_sample(out, &theirs, &labels, scene->peer[peer].role == roles[i]);
		}
	}
}

/* The same judgement as `twintrack health`, and how many problems `twintrack status` names. */
static void write_health(FILE *out, struct daemon *daemon, const struct scene *scene)
{
	char line[HEALTH_LINE_SIZE];
	struct problems *problems = problems_find(daemon, &scene->view, scene->now);
	uint64_t degradations = 0;
	for (size_t i = 0; problems != NULL && i < problems->count; i++)
		degradations += problems->list[i].is_degradation;
	gauge(out, "twintrack_healthy", NULL, "1 while this node may hold or take the address (health).",
	      health_judge(daemon, false, line) == 0);
	gauge(out, "twintrack_healthy_strict", NULL, "1 while nothing at all is degraded (health --strict).",
	      health_judge(daemon, true, line) == 0);
	gauge(out, "twintrack_problems", NULL, "Problems that status names.",
	      problems != NULL ? problems->count : 0);
	gauge(out, "twintrack_degradations", NULL, "Those of the problems that endanger a failover.",
	      degradations);
	problems_free(problems);
}

static const struct metrics_field node_fields[] = {
    ENTRY(node_view, term, METRICS_U32, METRICS_GAUGE, "term", NULL,
	  "Raised by each takeover; the highest one is the primary's."),
    ENTRY(node_view, split_brain, METRICS_BOOL, METRICS_GAUGE, "split_brain", NULL,
	  "1 while another live node is primary too."),
    ENTRY(node_view, duplicate_id, METRICS_BOOL, METRICS_GAUGE, "duplicate_id", NULL,
	  "1 while another node uses our id."),
    ENTRY(node_view, complete, METRICS_BOOL, METRICS_GAUGE, "kernel_complete", NULL,
	  "1 once the kernel's table has been read whole."),
    ENTRY(node_view, suspect, METRICS_BOOL, METRICS_GAUGE, "kernel_suspect", NULL,
	  "1 from a loss of kernel events until an audit pass is clean."),
    ENTRY(node_view, overruns, METRICS_U64, METRICS_COUNTER, "kernel_overruns", NULL,
	  "Times that the kernel dropped events because the event buffer was full."),
    ENTRY(node_view, audits, METRICS_U64, METRICS_COUNTER, "kernel_audits", NULL,
	  "Audit passes that came to their end."),
    ENTRY(node_view, audit_corrections, METRICS_U64, METRICS_COUNTER, "kernel_audit_corrections", NULL,
	  "Flows that events had missed and an audit found."),
    ENTRY(node_view, flows_refused, METRICS_U64, METRICS_COUNTER, "internal_flows_refused", NULL,
	  "Flows refused because the internal table was at max-flows."),
    ENTRY(node_view, refused, METRICS_BOOL, METRICS_GAUGE, "internal_full", NULL,
	  "1 while flows are missing from the internal table because it is full."),
    ENTRY(node_view, sent_datagrams, METRICS_U64, METRICS_COUNTER, "sent_datagrams", NULL,
	  "Datagrams of the protocol, each counted once whatever the number of links."),
    ENTRY(node_view, received_datagrams, METRICS_U64, METRICS_COUNTER, "received_datagrams", NULL,
	  "Datagrams of the protocol that were taken, copies over further links apart."),
};

static void write_drops(FILE *out, const struct scene *scene)
{
	struct metrics_family family = {"twintrack_dropped_datagrams", METRICS_COUNTER, NULL,
					"Datagrams that were not taken, by cause."};
	metrics_begin(out, &family);
	for (unsigned i = 0; i < NODE_DROPS; i++) {
		struct metrics_labels labels = metrics_label("cause", node_drop_name((enum node_drop)i));
		metrics_sample(out, &family, &labels, scene->view.drops[i]);
	}
}

static void write_internal(FILE *out, const struct scene *scene)
{
	const struct table *table = node_internal(drive_node(scene->daemon->drive));
	gauge(out, "twintrack_internal_flows", NULL, "Flows of this node that are replicated.",
	      table_count(table));
	gauge(out, "twintrack_internal_flows_max", NULL, "More than this are refused ([table] max-flows).",
	      table_limit(table));
	gauge(out, "twintrack_internal_tombstones", NULL, "Ended flows that peers may not have heard of.",
	      table_tombstones(table));
	counter(out, "twintrack_internal_changes", NULL, "Changes of the internal table (its version).",
		table_newest(table));
	gauge(out, "twintrack_internal_memory_bytes", BYTES, "Memory of the internal table.",
	      table_memory(table));
}

/* ---- the kernel's side ---- */

static void write_kernel(FILE *out, const struct scene *scene)
{
	static const char *const kinds[] = {"new", "update", "destroy"};
	const struct watch_statistics *watch = watch_statistics(scene->daemon->watch);
	struct metrics_family events = {"twintrack_kernel_events", METRICS_COUNTER, NULL,
					"Events that the kernel told."};
	metrics_begin(out, &events);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct metrics_labels labels = metrics_label("kind", kinds[i]);
		metrics_sample(out, &events, &labels, watch->events[i]);
	}
	counter(out, "twintrack_kernel_malformed", NULL, "Messages of the kernel that made no sense.",
		watch->malformed);
	gauge(out, "twintrack_kernel_event_buffer_bytes", BYTES, "The event socket's buffer.", watch->buffer);
	gauge(out, "twintrack_kernel_conntrack_max", NULL, "nf_conntrack_max of this namespace.",
	      scene->daemon->conntrack_max);
	gauge(out, "twintrack_kernel_conntrack_buckets", NULL, "Buckets of the kernel's table.",
	      scene->daemon->conntrack_buckets);
	counter(
	    out, "twintrack_kernel_filtered", NULL,
	    "Events and audited flows that the filter kept out, but for those that the kernel did not even tell.",
	    scene->drive.filtered);
	if (scene->drive.last_pass_end.us == MONOTIME_NEVER.us)
		return;
	gauge_us(out, "twintrack_kernel_audit_age_seconds", "Since the end of the last clean audit pass.",
		 monotime_sub(scene->now, scene->drive.last_pass_end).us);
	gauge_us(out, "twintrack_kernel_audit_duration_seconds", "How long the last audit pass took.",
		 scene->drive.last_pass_us);
}

static const struct metrics_field handover_fields[] = {
    ENTRY(drive_statistics, followed, METRICS_U64, METRICS_COUNTER, "handover_followed", NULL,
	  "Changes of a former primary that went on into this kernel."),
    ENTRY(drive_statistics, withdrawn, METRICS_U64, METRICS_COUNTER, "handover_withdrawn", NULL,
	  "Leftovers that were removed from this kernel after a hand-over."),
};

static const struct metrics_field warm_fields[] = {
    ENTRY(node_foreign_view, active, METRICS_BOOL, METRICS_GAUGE, "warm_active", NULL,
	  "1 while the peers' flows are kept in this kernel ([commit] mode = warm)."),
    ENTRY(node_foreign_view, flows, METRICS_SIZE, METRICS_GAUGE, "warm_copies", NULL,
	  "Flows of peers that are in this kernel."),
    ENTRY(node_foreign_view, waiting, METRICS_U64, METRICS_GAUGE, "warm_waiting", NULL,
	  "Changes of the peers' tables that are still to come into this kernel, at most."),
    ENTRY(node_foreign_view, missing, METRICS_SIZE, METRICS_GAUGE, "warm_missing", NULL,
	  "Flows whose copy could not be written, and is tried again."),
    ENTRY(node_foreign_view, memory, METRICS_SIZE, METRICS_GAUGE, "warm_memory_bytes", BYTES,
	  "Memory of the table of copies."),
    ENTRY(node_foreign_view, failed, METRICS_U64, METRICS_COUNTER, "warm_failures", NULL,
	  "Writes of copies that the kernel did not carry out, each attempt counted."),
    ENTRY(node_foreign_view, vanished, METRICS_U64, METRICS_COUNTER, "warm_vanished", NULL,
	  "Copies that went from this kernel by themselves."),
    ENTRY(node_foreign_view, adopts, METRICS_BOOL, METRICS_GAUGE, "warm_adopting", NULL,
	  "1 after a takeover until the last copy is in the internal table."),
    ENTRY(node_foreign_view, adopted_us, METRICS_US, METRICS_GAUGE, "warm_adoption_seconds", SECONDS,
	  "How long that took the last time."),
};

static void write_warm(FILE *out, const struct scene *scene)
{
	struct metrics_family writes = {"twintrack_warm_writes", METRICS_COUNTER, NULL,
					"Copies that were created or changed, kept alive, or removed."};
	struct metrics_labels create = metrics_label("act", "create"),
			      refresh = metrics_label("act", "refresh"),
			      remove = metrics_label("act", "remove");
	struct node_foreign_view view;
	node_foreign_view(drive_node(scene->daemon->drive), &view);
	metrics_fields(out, warm_fields, COUNT(warm_fields), &view, 1, 0, NULL);
	metrics_begin(out, &writes);
	metrics_sample(out, &writes, &create, view.installed);
	metrics_sample(out, &writes, &refresh, view.refreshed);
	metrics_sample(out, &writes, &remove, view.removed);
}

static void write_fence_counters(FILE *out, const struct scene *scene)
{
	struct fence *fence = scene->daemon->guard_fence.fence;
	struct metrics_family dropped = {"twintrack_fence_dropped_packets", METRICS_COUNTER, NULL,
					 "Packets that the fence held back."};
	struct metrics_labels virtual = metrics_label("reason", "virtual-address");
	struct metrics_labels forward = metrics_label("reason", "forward");
	struct fence_counters counters = {0};
	if (fence == NULL)
		return;
	fence_read_counters(fence, &counters);
	metrics_begin(out, &dropped);
	metrics_sample(out, &dropped, &virtual, counters.virtual_packets);
	metrics_sample(out, &dropped, &forward, counters.forward_packets);
	counter(out, "twintrack_fence_lapses", NULL,
		"Times that it opened because it was not refreshed in time.", counters.lapses);
	counter(out, "twintrack_fence_repairs", NULL,
		"Times that somebody had removed it and it was put back.", counters.repairs);
}

static void write_fence(FILE *out, const struct scene *scene)
{
	const struct guard *guard = &scene->daemon->guard;
	bool armed = scene->daemon->guard_fence.fence != NULL && guard_is_armed(guard) &&
		     fence_is_armed(scene->daemon->guard_fence.fence, scene->now);
	gauge(out, "twintrack_fence_enabled", NULL, "1 if [fence] enable = yes.", guard->enabled);
	gauge(out, "twintrack_fence_armed", NULL, "1 while no packet gets in.", armed);
	counter(out, "twintrack_fence_closed", NULL, "Times that it was closed.", guard->closed_count);
	counter(out, "twintrack_fence_gave_up", NULL,
		"Times that a virtual address came and no `primary` followed in time.", guard->gave_up_count);
	write_fence_counters(out, scene);
}

/* ---- the peers ---- */

static const struct metrics_field peer_fields[] = {
    ENTRY(node_peer_view, alive, METRICS_BOOL, METRICS_GAUGE, "peer_alive", NULL, "1 while it is heard."),
    ENTRY(node_peer_view, term, METRICS_U32, METRICS_GAUGE, "peer_term", NULL, "Its term."),
    ENTRY(node_peer_view, holds.in_sync, METRICS_BOOL, METRICS_GAUGE, "peer_holds_in_sync", NULL,
	  "1 while our copy of its table is proven equal."),
    ENTRY(node_peer_view, holds.age_us, METRICS_US, METRICS_GAUGE, "peer_holds_age_seconds", SECONDS,
	  "Age of the last proof that our copy of its table is equal."),
    ENTRY(node_peer_view, held.in_sync, METRICS_BOOL, METRICS_GAUGE, "peer_held_in_sync", NULL,
	  "1 while its copy of our table is proven equal."),
    ENTRY(node_peer_view, held.age_us, METRICS_US, METRICS_GAUGE, "peer_held_age_seconds", SECONDS,
	  "Age of the last proof that its copy of our table is equal."),
    ENTRY(node_peer_view, flows, METRICS_SIZE, METRICS_GAUGE, "peer_flows", NULL,
	  "Flows that are held for it."),
    ENTRY(node_peer_view, memory, METRICS_SIZE, METRICS_GAUGE, "peer_memory_bytes", BYTES,
	  "Memory of what is held for it."),
    ENTRY(node_peer_view, lag_us, METRICS_US, METRICS_GAUGE, "peer_lag_seconds", SECONDS,
	  "How far our copy is behind its table."),
    ENTRY(node_peer_view, rtt_us, METRICS_US, METRICS_GAUGE, "peer_round_trip_seconds", SECONDS,
	  "Round trip over the sync link."),
    ENTRY(node_peer_view, divergences, METRICS_U64, METRICS_COUNTER, "peer_divergences", NULL,
	  "Times that our copy and its table turned out to differ."),
    ENTRY(node_peer_view, complete, METRICS_BOOL, METRICS_GAUGE, "peer_complete", NULL,
	  "1 once it has read its kernel's table whole."),
    ENTRY(node_peer_view, suspect, METRICS_BOOL, METRICS_GAUGE, "peer_suspect", NULL,
	  "1 while it has lost kernel events."),
    ENTRY(node_peer_view, overflowed, METRICS_BOOL, METRICS_GAUGE, "peer_copy_full", NULL,
	  "1 while our copy lacks flows because it is full."),
    ENTRY(node_peer_view, incompatible, METRICS_BOOL, METRICS_GAUGE, "peer_incompatible", NULL,
	  "1 while it sends what this version does not understand."),
    ENTRY(node_peer_view, filters_differ, METRICS_BOOL, METRICS_GAUGE, "peer_filters_differ", NULL,
	  "1 while its [filter] is another than ours."),
    ENTRY(node_peer_view, flows_refused, METRICS_U64, METRICS_COUNTER, "peer_flows_refused", NULL,
	  "Its flows that were refused because our copy was full."),
};

static void write_resyncs(FILE *out, const struct scene *scene)
{
	struct metrics_family family = {"twintrack_peer_resyncs", METRICS_COUNTER, NULL,
					"Repairs by retransmission (partial) and whole catch-ups (full)."};
	if (scene->peers == 0)
		return;
	metrics_begin(out, &family);
	for (unsigned i = 0; i < scene->peers; i++) {
		char id[8];
		snprintf(id, sizeof(id), "%u", scene->peer[i].id);
		struct metrics_labels partial = metrics_labels("peer", id, "kind", "partial");
		struct metrics_labels full = metrics_labels("peer", id, "kind", "full");
		metrics_sample(out, &family, &partial, scene->peer[i].resyncs_partial);
		metrics_sample(out, &family, &full, scene->peer[i].resyncs_full);
	}
}

static void write_peer_links(FILE *out, const struct scene *scene, const struct metrics_family *family,
			     bool lost)
{
	if (scene->peers == 0)
		return;
	metrics_begin(out, family);
	for (unsigned i = 0; i < scene->peers; i++) {
		for (unsigned link = 0; link < scene->links; link++) {
			char id[8];
			snprintf(id, sizeof(id), "%u", scene->peer[i].id);
			struct metrics_labels labels =
			    metrics_labels("peer", id, "link", scene->daemon->config.links[link].interface);
			metrics_sample(out, family, &labels,
				       lost ? scene->peer[i].links[link].lost
					    : scene->peer[i].links[link].received);
		}
	}
}

static void write_orphans(FILE *out, const struct scene *scene)
{
	struct node_table_view tables[NODE_TABLES_MAX];
	unsigned count = node_tables(drive_node(scene->daemon->drive), tables);
	uint64_t flows = 0;
	for (unsigned i = 0; i < count; i++)
		flows += tables[i].orphan ? table_count(tables[i].table) : 0;
	gauge(out, "twintrack_orphan_flows", NULL,
	      "Flows that are held for nodes which have rebooted since: the only copy.", flows);
}

static void write_peers(FILE *out, const struct scene *scene)
{
	metrics_fields(out, peer_fields, COUNT(peer_fields), scene->peer, scene->peers,
		       sizeof(scene->peer[0]), scene->peer_label);
	write_resyncs(out, scene);
	write_peer_links(out, scene,
			 &(struct metrics_family){"twintrack_peer_link_received_datagrams", METRICS_COUNTER,
						  NULL, "Its datagrams that came over that link."},
			 false);
	write_peer_links(out, scene,
			 &(struct metrics_family){"twintrack_peer_link_lost_datagrams", METRICS_COUNTER, NULL,
						  "Its datagrams that were lost on that link."},
			 true);
	write_orphans(out, scene);
}

/* ---- the links ---- */

static const struct metrics_field link_fields[] = {
    ENTRY(link_statistics, is_open, METRICS_BOOL, METRICS_GAUGE, "link_open", NULL,
	  "1 while it has a socket."),
    ENTRY(link_statistics, sent, METRICS_U64, METRICS_COUNTER, "link_sent_datagrams", NULL,
	  "Datagrams sent over it."),
    ENTRY(link_statistics, sent_bytes, METRICS_U64, METRICS_COUNTER, "link_sent_bytes", BYTES,
	  "UDP payload sent over it."),
    ENTRY(link_statistics, received, METRICS_U64, METRICS_COUNTER, "link_received_datagrams", NULL,
	  "Datagrams received over it."),
    ENTRY(link_statistics, received_bytes, METRICS_U64, METRICS_COUNTER, "link_received_bytes", BYTES,
	  "UDP payload received over it."),
    ENTRY(link_statistics, send_full, METRICS_U64, METRICS_COUNTER, "link_send_full", NULL,
	  "Datagrams dropped here because its send buffer was full."),
    ENTRY(link_statistics, send_failed, METRICS_U64, METRICS_COUNTER, "link_send_failed", NULL,
	  "Datagrams dropped here for another reason."),
    ENTRY(link_statistics, receive_dropped, METRICS_U64, METRICS_COUNTER, "link_receive_dropped", NULL,
	  "Datagrams that the kernel dropped because our receive buffer was full."),
};

static void write_links(FILE *out, const struct scene *scene)
{
	struct metrics_family kind = {"twintrack_link", METRICS_INFO, NULL, "How it reaches the peers."};
	struct metrics_family up = {"twintrack_link_up", METRICS_GAUGE, NULL,
				    "1 while nothing is wrong with it."};
	metrics_begin(out, &kind);
	for (unsigned i = 0; i < scene->links; i++) {
		const struct config_link *link = &scene->daemon->config.links[i];
		struct metrics_labels labels = metrics_labels(
		    "link", link->interface, "kind", link->group.family != 0 ? "multicast" : "unicast");
		metrics_sample(out, &kind, &labels, 1);
	}
	metrics_begin(out, &up);
	for (unsigned i = 0; i < scene->links; i++)
		metrics_sample(out, &up, &scene->link_label[i], scene->link[i].problem == LINK_GOOD);
	metrics_fields(out, link_fields, COUNT(link_fields), scene->link, scene->links,
		       sizeof(scene->link[0]), scene->link_label);
}

/* ---- the daemon ---- */

static void write_process(FILE *out, const struct scene *scene)
{
	const struct daemon *daemon = scene->daemon;
	gauge_us(out, "twintrack_longest_turn_seconds",
		 "The longest time that a heartbeat had to wait for us.", loop_longest_turn(daemon->loop).us);
	gauge(out, "twintrack_clients", NULL, "Clients on the control socket.",
	      control_clients(daemon->control));
	counter(out, "twintrack_log_suppressed", NULL,
		"Log lines left out because their like was just written.", log_suppressed(daemon->log));
	gauge(out, "twintrack_transition_running", NULL, "1 while a change of role or a commit runs.",
	      transition_is_running(daemon->transition));
}

char *metrics_text(struct daemon *daemon)
{
	char *text = NULL;
	size_t size = 0;
	struct scene *scene = calloc(1, sizeof(*scene));
	FILE *out = scene != NULL ? open_memstream(&text, &size) : NULL;
	if (out == NULL) {
		free(scene);
		return NULL;
	}
	gather(scene, daemon);
	write_identity(out, scene);
	write_role(out, scene);
	write_health(out, daemon, scene);
	metrics_fields(out, node_fields, COUNT(node_fields), &scene->view, 1, 0, NULL);
	write_drops(out, scene);
	write_internal(out, scene);
	write_kernel(out, scene);
	metrics_fields(out, handover_fields, COUNT(handover_fields), &scene->drive, 1, 0, NULL);
	write_warm(out, scene);
	write_fence(out, scene);
	write_peers(out, scene);
	write_links(out, scene);
	write_process(out, scene);
	fputs("# EOF\n", out);
	free(scene);
	bool failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
