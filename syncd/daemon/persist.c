/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/persist.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/daemon.h"

#include <errno.h>
#include <string.h>

/* ---- the file ---- */

static void list_own_addresses(struct daemon *daemon, struct state *state)
{
	struct address_prefix own[STATE_ADDRESSES_MAX];
	size_t count = guard_own(&daemon->guard, own, STATE_ADDRESSES_MAX);
	state->has_addresses = count <= STATE_ADDRESSES_MAX;
	state->address_count = state->has_addresses ? count : 0;
	for (size_t i = 0; i < state->address_count; i++) {
		state->addresses[i].family = own[i].family;
		memcpy(state->addresses[i].bytes, own[i].bytes, sizeof(own[i].bytes));
	}
}

static uint32_t highest_term(const struct daemon *daemon, const struct node_view *view, struct monotime now)
{
	uint32_t highest = view->term > daemon->term_before ? view->term : daemon->term_before;
	for (unsigned i = 0; i < view->peers; i++) {
		struct node_peer_view peer;
		node_peer_view(drive_node(daemon->drive), now, i, &peer);
		if (peer.term > highest)
			highest = peer.term;
	}
	return highest;
}

static void describe(struct daemon *daemon, struct state *state)
{
	struct monotime now = clock_now();
	struct node_view view;
	node_view(drive_node(daemon->drive), now, &view);
	memset(state, 0, sizeof(*state));
	memcpy(state->boot_id, daemon->saved_state.boot_id, sizeof(state->boot_id));
	state->netns_cookie = daemon->saved_state.netns_cookie;
	state->role = transition_wanted_role(daemon->transition);
	state->reached = view.role;
	state->term = highest_term(daemon, &view, now);
	state->own_term = view.term;
	/* a takeover that dies with us leaves flows behind */
	state->leftovers = view.leftovers || transition_commits(daemon->transition);
	list_own_addresses(daemon, state);
}

/* A role that stands in the file and is not from us: a command has written it, and will tell us. */
static void heed_the_command(struct daemon *daemon)
{
	struct state found;
	if (state_read(daemon->config.control.socket, &found) < 0 || found.role == daemon->file_role)
		return;
	daemon->file_role = found.role;
	transition_set_wanted_role(daemon->transition, found.role);
}

void persist_save(struct daemon *daemon)
{
	struct state state;
	if (!daemon->is_open)
		return;
	describe(daemon, &state);
	if (daemon->state_error == 0 && memcmp(&state, &daemon->saved_state, sizeof(state)) == 0)
		return;
	heed_the_command(daemon);
	state.role = transition_wanted_role(daemon->transition);
	daemon->saved_state = state;
	daemon->state_error = state_write(daemon->config.control.socket, &state);
	if (daemon->state_error == 0)
		daemon->file_role = state.role;
	else
		log_write(daemon->log, LOG_ERR, "state-file",
			  "can't write %s.state: %s; a restart would forget the role",
			  daemon->config.control.socket, strerror(-daemon->state_error));
}

void persist_look(struct daemon *daemon)
{
	if (!daemon->is_open)
		return;
	struct node_standing is = node_standing(drive_node(daemon->drive));
	if (is.role == daemon->saved_state.reached && is.term == daemon->saved_state.own_term &&
	    (is.leftovers == daemon->saved_state.leftovers || transition_commits(daemon->transition)))
		return;
	persist_save(daemon);
}

/* ---- start ---- */

void persist_read(struct daemon *daemon)
{
	struct state *state = &daemon->saved_state;
	uint64_t cookie = daemon->node_config.instance.netns_cookie;
	int error = state_read(daemon->config.control.socket, state);
	if (error < 0 && error != -ENOENT)
		log_write(daemon->log, LOG_WARNING, "state-file",
			  "%s.state can't be read (%s): starting without a role",
			  daemon->config.control.socket, strerror(-error));
	daemon->file_role = state->role;
	if (state->netns_cookie != 0 && state->netns_cookie != cookie)
		state_forget_kernel(state); /* a container that was made anew, with an empty table */
	state->netns_cookie = cookie;
	daemon->term_before = state->term;
	daemon->node_config.own_term = state->own_term;
	daemon->node_config.leftovers =
	    state->leftovers || (state->reached == FRAME_ROLE_PRIMARY && state->role != FRAME_ROLE_PRIMARY);
}

static void start_guard(struct daemon *daemon, enum frame_role role)
{
	struct guard_driver driver = guard_fence_driver(&daemon->guard_fence);
	guard_start(&daemon->guard, &daemon->config, address_watch_set(daemon->addresses), &driver,
		    daemon->log);
	daemon->address_generation = address_watch_generation(daemon->addresses);
	guard_resume(&daemon->guard, &daemon->saved_state, role);
}

void persist_resume(struct daemon *daemon)
{
	enum frame_role wanted = daemon->saved_state.role, reached = daemon->saved_state.reached;
	bool takes_over = wanted == FRAME_ROLE_PRIMARY && reached != FRAME_ROLE_PRIMARY;
	enum frame_role role = wanted;
	if (takes_over)
		role = reached == FRAME_ROLE_FAULT ? FRAME_ROLE_FAULT : FRAME_ROLE_BACKUP;
	start_guard(daemon, role);
	transition_set_wanted_role(daemon->transition, wanted);
	daemon->is_open = true;
	if (role != FRAME_ROLE_INIT)
		transition_resume(daemon->transition, role);
	if (takes_over)
		transition_resume_takeover(daemon->transition);
	persist_save(daemon);
}
