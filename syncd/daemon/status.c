/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/status.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/problems.h"

#include <string.h>
#include <unistd.h>

void status_set(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)(value > INT64_MAX ? INT64_MAX : value)));
}

json_t *status_links(const struct daemon *daemon)
{
	json_t *links = json_array();
	for (unsigned i = 0; i < link_count(daemon->links); i++) {
		const struct config_link *config = &daemon->config.links[i];
		struct link_statistics statistics;
		char problem[160];
		link_statistics(daemon->links, i, &statistics);
		problems_of_link(daemon, i, problem, sizeof(problem));
		json_t *link = json_object();
		json_object_set_new(link, "interface", json_string(config->interface));
		json_object_set_new(link, "kind",
				    json_string(config->group.family != 0 ? "multicast" : "unicast"));
		json_object_set_new(link, "port", json_integer(config->port));
		json_object_set_new(link, "up", json_boolean(statistics.problem == LINK_GOOD));
		json_object_set_new(link, "problem", json_string(problem));
		json_object_set_new(link, "mtu", json_integer(statistics.mtu));
		status_set(link, "send_buffer", statistics.send_buffer);
		status_set(link, "receive_buffer", statistics.receive_buffer);
		status_set(link, "sent", statistics.sent);
		status_set(link, "sent_bytes", statistics.sent_bytes);
		status_set(link, "received", statistics.received);
		status_set(link, "received_bytes", statistics.received_bytes);
		status_set(link, "send_full", statistics.send_full);
		status_set(link, "send_failed", statistics.send_failed);
		json_object_set_new(
		    link, "send_error",
		    json_string(statistics.send_error != 0 ? strerror(-statistics.send_error) : ""));
		status_set(link, "receive_dropped", statistics.receive_dropped);
		json_array_append_new(links, link);
	}
	return links;
}

static json_t *describe_audit(const struct daemon *daemon, const struct node_view *view, struct monotime now)
{
	struct drive_statistics statistics;
	drive_statistics(daemon->drive, &statistics);
	json_t *audit = json_object();
	bool never = statistics.last_pass_end.us == MONOTIME_NEVER.us;
	status_set(audit, "passes", view->audits);
	status_set(audit, "begun", statistics.passes_begun);
	status_set(audit, "repeated", statistics.passes_repeated);
	status_set(audit, "corrections", view->audit_corrections);
	json_object_set_new(audit, "running", json_boolean(statistics.pass_runs));
	json_object_set_new(audit, "age_ms",
			    never ? json_null()
				  : json_integer(monotime_sub(now, statistics.last_pass_end).us / 1000));
	json_object_set_new(audit, "last_pass_us", json_integer(statistics.last_pass_us));
	status_set(audit, "gets", statistics.gets);
	status_set(audit, "get_failures", statistics.get_failures);
	status_set(audit, "filtered", statistics.filtered);
	return audit;
}

json_t *status_kernel(const struct daemon *daemon, const struct node_view *view, struct monotime now)
{
	static const char *const kinds[] = {"new", "update", "destroy"};
	const struct watch_statistics *watch = watch_statistics(daemon->watch);
	json_t *kernel = json_object(), *by_kind = json_object();
	status_set(kernel, "events", watch->events[0] + watch->events[1] + watch->events[2]);
	for (unsigned i = 0; i < 3; i++)
		status_set(by_kind, kinds[i], watch->events[i]);
	json_object_set_new(kernel, "events_by_kind", by_kind);
	status_set(kernel, "overruns", watch->overruns);
	status_set(kernel, "malformed", watch->malformed);
	status_set(kernel, "event_buffer", watch->buffer);
	json_object_set_new(kernel, "complete", json_boolean(view->complete));
	json_object_set_new(kernel, "suspect", json_boolean(view->suspect));
	status_set(kernel, "conntrack_max", daemon->conntrack_max);
	status_set(kernel, "conntrack_buckets", daemon->conntrack_buckets);
	json_object_set_new(kernel, "conntrack_events", json_integer(daemon->conntrack_events));
	json_object_set_new(kernel, "audit", describe_audit(daemon, view, now));
	return kernel;
}

static void add_fence_counters(const struct daemon *daemon, json_t *object)
{
	struct fence_counters counters = {0};
	if (daemon->guard_fence.fence == NULL)
		return;
	fence_read_counters(daemon->guard_fence.fence, &counters);
	json_object_set_new(object, "table", json_string(fence_table(daemon->guard_fence.fence)));
	status_set(object, "virtual_packets", counters.virtual_packets);
	status_set(object, "virtual_bytes", counters.virtual_bytes);
	status_set(object, "forward_packets", counters.forward_packets);
	status_set(object, "forward_bytes", counters.forward_bytes);
	status_set(object, "refreshes", counters.refreshes);
	status_set(object, "lapses", counters.lapses);
	status_set(object, "repairs", counters.repairs);
}

json_t *status_fence(const struct daemon *daemon)
{
	const struct guard *guard = &daemon->guard;
	json_t *fence = json_object();
	bool armed = daemon->guard_fence.fence != NULL && guard_is_armed(guard) &&
		     fence_is_armed(daemon->guard_fence.fence, clock_now());
	json_object_set_new(fence, "enabled", json_boolean(guard->enabled));
	json_object_set_new(fence, "armed", json_boolean(armed));
	json_object_set_new(fence, "state", json_string(guard_state_name(guard->state)));
	json_object_set_new(fence, "learnt", json_integer((json_int_t)guard->learnt_count));
	status_set(fence, "closed", guard->closed_count);
	status_set(fence, "gave_up", guard->gave_up_count);
	json_object_set_new(fence, "address_here", json_boolean(guard->arrived.us != MONOTIME_NEVER.us));
	add_fence_counters(daemon, fence);
	return fence;
}

static json_t *describe_internal(const struct daemon *daemon, const struct node_view *view)
{
	const struct table *table = node_internal(drive_node(daemon->drive));
	json_t *internal = json_object();
	status_set(internal, "flows", table_count(table));
	status_set(internal, "expectations", table_records(table) - table_count(table));
	status_set(internal, "max_flows", table_limit(table));
	status_set(internal, "flows_refused", view->flows_refused);
	json_object_set_new(internal, "refused", json_boolean(view->refused));
	status_set(internal, "tombstones", table_tombstones(table));
	status_set(internal, "version", table_newest(table));
	status_set(internal, "horizon", table_horizon(table));
	status_set(internal, "memory_bytes", table_memory(table));
	return internal;
}

static json_t *describe_claims(const struct daemon *daemon, const struct node_view *view)
{
	json_t *claims = json_array();
	for (unsigned i = 0; i < view->claims; i++) {
		struct node_claim_view claim;
		char session[2 * SEAL_SESSION_SIZE + 1];
		node_claim_view(drive_node(daemon->drive), i, &claim);
		for (size_t byte = 0; byte < SEAL_SESSION_SIZE; byte++)
			snprintf(session + 2 * byte, 3, "%02x", claim.session.bytes[byte]);
		json_array_append_new(claims, json_pack("{s:i,s:s,s:I,s:b}", "node", claim.id, "session",
							session, "version", (json_int_t)claim.version,
							"followed", claim.open));
	}
	return claims;
}

static json_t *describe_handover(const struct daemon *daemon, const struct node_view *view)
{
	struct drive_statistics statistics;
	json_t *handover = json_object();
	drive_statistics(daemon->drive, &statistics);
	json_object_set_new(handover, "state", json_string(view->handover));
	status_set(handover, "v_end", view->v_end);
	json_object_set_new(handover, "leftovers", json_boolean(view->leftovers));
	status_set(handover, "withdrawn", statistics.withdrawn);
	status_set(handover, "followed", statistics.followed);
	status_set(handover, "follow_deleted", statistics.follow_deleted);
	status_set(handover, "follow_touched", statistics.follow_touched);
	status_set(handover, "follow_lost", statistics.follow_lost);
	json_object_set_new(handover, "claims", describe_claims(daemon, view));
	return handover;
}

static json_t *describe_warm(const struct daemon *daemon)
{
	struct node_foreign_view foreign;
	json_t *warm = json_object();
	node_foreign_view(drive_node(daemon->drive), &foreign);
	json_object_set_new(warm, "enabled", json_boolean(daemon->config.commit.mode == CONFIG_COMMIT_WARM));
	json_object_set_new(warm, "active", json_boolean(foreign.active));
	status_set(warm, "flows", foreign.flows);
	status_set(warm, "waiting", foreign.waiting);
	status_set(warm, "missing", foreign.missing);
	json_object_set_new(warm, "adopting", json_boolean(foreign.adopts));
	status_set(warm, "installed", foreign.installed);
	status_set(warm, "removed", foreign.removed);
	status_set(warm, "refreshed", foreign.refreshed);
	status_set(warm, "refused", foreign.refused);
	status_set(warm, "vanished", foreign.vanished);
	status_set(warm, "failed", foreign.failed);
	status_set(warm, "adopted_us", (uint64_t)foreign.adopted_us);
	status_set(warm, "memory_bytes", foreign.memory);
	return warm;
}

static json_t *describe_network(const struct node_view *view)
{
	json_t *network = json_object();
	status_set(network, "sent_datagrams", view->sent_datagrams);
	status_set(network, "sent_bytes", view->sent_bytes);
	status_set(network, "received_datagrams", view->received_datagrams);
	status_set(network, "received_bytes", view->received_bytes);
	return network;
}

static json_t *describe_problems(const struct daemon *daemon, const struct node_view *view,
				 struct monotime now)
{
	struct problems *problems = problems_find(daemon, view, now);
	json_t *list = json_array();
	for (size_t i = 0; problems != NULL && i < problems->count; i++)
		json_array_append_new(list, json_string(problems->list[i].text));
	problems_free(problems);
	return list;
}

static json_t *describe(const struct daemon *daemon)
{
	struct monotime now = clock_now();
	struct node_view view;
	char session[2 * SEAL_SESSION_SIZE + 1];
	node_view(drive_node(daemon->drive), now, &view);
	for (size_t i = 0; i < SEAL_SESSION_SIZE; i++)
		snprintf(session + 2 * i, 3, "%02x", view.session.bytes[i]);
	json_t *status = json_object();
	json_object_set_new(status, "node", json_integer(view.id));
	json_object_set_new(status, "role", json_string(frame_role_name(view.role)));
	json_object_set_new(status, "term", json_integer(view.term));
	json_object_set_new(status, "mode",
			    json_string(daemon->config.node.mode == CONFIG_MODE_ACTIVE_ACTIVE
					    ? "active-active"
					    : "active-backup"));
	json_object_set_new(status, "software", json_string(TWINTRACK_VERSION));
	json_object_set_new(status, "session", json_string(session));
	json_object_set_new(status, "pid", json_integer(getpid()));
	json_object_set_new(status, "uptime_ms", json_integer(monotime_sub(now, daemon->started).us / 1000));
	json_object_set_new(status, "split_brain", json_boolean(view.split_brain));
	json_object_set_new(status, "duplicate_id", json_boolean(view.duplicate_id));
	json_object_set_new(status, "transition_running",
			    json_boolean(transition_is_running(daemon->transition)));
	json_object_set_new(status, "wanted_role",
			    json_string(frame_role_name(transition_wanted_role(daemon->transition))));
	json_object_set_new(status, "handover", describe_handover(daemon, &view));
	json_object_set_new(status, "warm", describe_warm(daemon));
	json_object_set_new(status, "problems", describe_problems(daemon, &view, now));
	json_object_set_new(status, "internal", describe_internal(daemon, &view));
	json_object_set_new(status, "peers", status_peers(daemon, &view, now));
	json_object_set_new(status, "strangers", status_strangers(daemon, &view, now));
	json_object_set_new(status, "links", status_links(daemon));
	json_object_set_new(status, "network", describe_network(&view));
	json_object_set_new(status, "drops", status_drops(&view));
	json_object_set_new(status, "kernel", status_kernel(daemon, &view, now));
	json_object_set_new(status, "fence", status_fence(daemon));
	json_object_set_new(status, "log",
			    json_pack("{s:I}", "suppressed", (json_int_t)log_suppressed(daemon->log)));
	json_object_set_new(status, "longest_turn_us", json_integer(loop_longest_turn(daemon->loop).us));
	json_object_set_new(status, "clients", json_integer(control_clients(daemon->control)));
	return status;
}

char *status_text(struct daemon *daemon)
{
	json_t *status = describe(daemon);
	char *text = json_dumps(status, JSON_COMPACT);
	json_decref(status);
	return text;
}
