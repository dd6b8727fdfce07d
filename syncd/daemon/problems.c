/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/problems.h"

#include "syncd/daemon/link_socket.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* strangers are told of for so long after the last of their datagrams */
enum { STRANGER_S = 60 };

__attribute__((format(printf, 3, 4))) static void add(struct problems *problems, bool is_degradation,
						      const char *format, ...)
{
	va_list arguments;
	if (problems->count == PROBLEMS_MAX)
		return;
	problems->list[problems->count].is_degradation = is_degradation;
	va_start(arguments, format);
	vsnprintf(problems->list[problems->count].text, PROBLEM_SIZE, format, arguments);
	va_end(arguments);
	problems->count++;
}

static void look_at_node(struct problems *problems, const struct node_view *view)
{
	if (view->duplicate_id)
		add(problems, true, "another node has our id %u: set a different [node] id on one of them",
		    view->id);
	if (view->refused)
		add(problems, true,
		    "%" PRIu64
		    " flows were refused: the internal table is at max-flows; raise [table] max-flows or nf_conntrack_max",
		    view->flows_refused);
	if (!view->complete)
		add(problems, true, "the kernel's table is still being read for the first time");
	else if (view->suspect)
		add(problems, true, "kernel events were lost; an audit is to find what they said");
}

static void look_at_kernel(struct problems *problems, const struct daemon *daemon)
{
	const struct guard *guard = &daemon->guard;
	if (daemon->conntrack_events == 2)
		add(problems, false,
		    "net.netfilter.nf_conntrack_events is 2: flows older than the daemon send no events, only the audit sees them "
		    "change; set it to 1 before the first packet");
	if (daemon->conntrack_events == 0)
		add(problems, true,
		    "net.netfilter.nf_conntrack_events is 0: flows send no events, nothing is replicated in time; "
		    "set it to 1");
	if (guard->state == GUARD_FAILED)
		add(problems, true, "the fence can't be closed: a takeover may reset connections");
	if (guard->state == GUARD_GAVE_UP)
		add(problems, true,
		    "a virtual address is here and no `primary` followed: the fence has opened; check the notify script");
	if (guard->state == GUARD_DISABLED && daemon->config.node.mode == CONFIG_MODE_ACTIVE_BACKUP)
		add(problems, true,
		    "the fence is off: a takeover may reset connections ([fence] enable = yes)");
	if (daemon->state_error < 0)
		add(problems, true, "the state file can't be written (%s): a restart would forget the role",
		    strerror(-daemon->state_error));
}

/* Whether an interface has the address that its link is to send from. */
struct source {
	const struct config_link *config;
	unsigned ifindex;
	bool is_here;
};

static void look_for_source(void *context, const struct address *address)
{
	struct source *source = context;
	const struct config_address *wanted = &source->config->address;
	if (address->ifindex != source->ifindex || address->prefix.family != link_family(source->config))
		return;
	source->is_here |= wanted->family == 0 || memcmp(address->prefix.bytes, &wanted->v6,
							 wanted->family == AF_INET ? 4 : 16) == 0;
}

void problems_of_link(const struct daemon *daemon, unsigned link, char *text, size_t size)
{
	const struct config_link *config = &daemon->config.links[link];
	struct link_statistics statistics;
	link_statistics(daemon->links, link, &statistics);
	struct source source = {.config = config, .ifindex = statistics.ifindex};
	const char *kind = link_family(config) == AF_INET ? "IPv4" : "IPv6";
	link_problem_text(&statistics, text, size);
	if (statistics.problem != LINK_GOOD)
		return;
	address_set_walk(address_watch_set(daemon->addresses), look_for_source, &source);
	if (source.is_here)
		return;
	if (config->address.family == 0)
		snprintf(
		    text, size,
		    "the interface has no %s address, so peers can't answer; give it one (ip address add)",
		    kind);
	else
		snprintf(
		    text, size,
		    "the interface does not have the %s address that [link %s] address names; give it that",
		    kind, config->interface);
}

static void look_at_links(struct problems *problems, const struct daemon *daemon)
{
	for (unsigned i = 0; i < link_count(daemon->links); i++) {
		char text[160];
		problems_of_link(daemon, i, text, sizeof(text));
		if (text[0] != '\0')
			add(problems, true, "link %s: %s", daemon->config.links[i].interface, text);
	}
}

static void look_at_peer(struct problems *problems, const struct node_peer_view *peer)
{
	if (peer->problem[0] != '\0')
		add(problems, true, "peer %u: %s", peer->id, peer->problem);
	else if (!peer->alive)
		add(problems, true, "peer %u is silent", peer->id);
	else if (!peer->holds.in_sync)
		add(problems, true, "our copy of peer %u is not proven: %s", peer->id, peer->holds.reason);
	else if (!peer->held.in_sync)
		add(problems, true, "peer %u's copy of ours is not proven: %s", peer->id, peer->held.reason);
	if (peer->filters_differ)
		add(problems, false, "peer %u filters otherwise than we do: compare [filter]", peer->id);
}

/* In words, with both terms: the one with the lower term is the older primary. */
static void look_for_split_brain(struct problems *problems, const struct daemon *daemon,
				 const struct node_view *view, struct monotime now)
{
	for (unsigned i = 0; view->split_brain && i < view->peers; i++) {
		struct node_peer_view peer;
		node_peer_view(drive_node(daemon->drive), now, i, &peer);
		if (peer.alive && peer.role == FRAME_ROLE_PRIMARY)
			add(problems, true,
			    "split brain: node %u (term %" PRIu32
			    ") is primary, and so is this node, %u (term %" PRIu32
			    "); call `backup` on one of them",
			    peer.id, peer.term, view->id, view->term);
	}
}

static void look_at_peers(struct problems *problems, const struct daemon *daemon,
			  const struct node_view *view, struct monotime now)
{
	const struct node *node = drive_node(daemon->drive);
	unsigned alive = 0;
	for (unsigned i = 0; i < view->peers; i++) {
		struct node_peer_view peer;
		node_peer_view(node, now, i, &peer);
		alive += peer.alive;
		look_at_peer(problems, &peer);
	}
	if (alive == 0)
		add(problems, true, "no peer is alive: nothing protects the connections of this node");
	for (unsigned i = 0; i < view->strangers; i++) {
		struct node_stranger_view stranger;
		node_stranger_view(node, i, &stranger);
		if (monotime_sub(now, stranger.last).us < STRANGER_S * 1000000LL)
			add(problems, false, "node %u: %s", stranger.id, stranger.problem);
	}
}

struct problems *problems_find(const struct daemon *daemon, const struct node_view *view, struct monotime now)
{
	struct problems *problems = calloc(1, sizeof(*problems));
	if (problems == NULL)
		return NULL;
	look_for_split_brain(problems, daemon, view, now);
	look_at_node(problems, view);
	look_at_kernel(problems, daemon);
	look_at_links(problems, daemon);
	look_at_peers(problems, daemon, view, now);
	return problems;
}

void problems_free(struct problems *problems)
{
	free(problems);
}
