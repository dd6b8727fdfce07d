/* SPDX-License-Identifier: GPL-2.0-or-later */
/* (b), (c), (d) and (h): what hosts hold of each other. */
#include "tests/sim/inside.h"
#include "tests/sim/invariant_state.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD_LOOK_US = 400000, GUARD_LIFE_US = 25000000, SLACK_US = 15000 };

static struct world *world_of(const struct host *host)
{
	return host->world;
}

/* ---- (b) ---- */

/* `version` was the owner's newest less than two heartbeats ago. */
static const struct history_state *check_age(const struct host *holder, const struct host *owner,
					     const struct seal_session_id *session, uint64_t version,
					     const char *what)
{
	const struct history_state *state = history_at(&invariant_record(owner)->history, session, version);
	int64_t limit_us = 2 * owner->config.heartbeat.us + SLACK_US, age_us;

	if (!state) {
		world_fail(world_of(holder),
			   "(b) host %u says in_sync (%s) of host %u at a version that never was", holder->id,
			   what, owner->id);
		return NULL;
	}
	age_us = state->until_us == INT64_MAX ? 0 : world_of(holder)->now_us - state->until_us;
	if (age_us > limit_us)
		world_fail(
		    world_of(holder), "(b) host %u says in_sync (%s) of host %u at version %llu, %lld ms old",
		    holder->id, what, owner->id, (unsigned long long)version, (long long)age_us / 1000);
	return state;
}

static void check_copy(const struct host *holder, const struct host *owner, const struct node_peer_view *view,
		       const struct history_state *state)
{
	const struct table *copy = node_external(holder->node, owner->id);

	if (!state || state->version != view->holds.version || view->applied != view->holds.version || !copy)
		return;
	if (table_count(copy) != state->count || table_digest(copy) != state->digest)
		world_fail(world_of(holder),
			   "(b) host %u says in_sync of host %u at %llu, and its copy is another", holder->id,
			   owner->id, (unsigned long long)state->version);
}

static void check_claims(const struct host *holder, const struct host *owner,
			 const struct node_peer_view *view)
{
	const struct host_record *own = invariant_record(holder);

	if (view->holds.in_sync)
		check_copy(holder, owner, view,
			   check_age(holder, owner, &view->session, view->holds.version, "holds"));
	if (view->held.in_sync)
		check_age(holder, holder, &own->session, view->held.version, "held");
}

/* ---- (c) ---- */

static void check_departures(struct host *holder, struct host *owner, const struct node_peer_view *view)
{
	struct replica *replica = &invariant_record(holder)->of[owner->index];
	const struct history *history = &invariant_record(owner)->history;
	const struct table *copy = node_external(holder->node, owner->id);

	if (!owner->node || !history_same_session(&view->session, &invariant_record(owner)->session))
		return; /* of that session it has no table any more */
	if (!copy || view->overflowed || inside_is_unswept(holder->node, owner->id))
		return;
	while (replica->departures < history->departures_count) {
		const struct history_departure *gone = history_departure(history, replica->departures);

		if (gone && history_same_session(&gone->session, &view->session)) {
			if (gone->version > view->applied)
				return;
			if (gone->version + 1 == invariant_record(owner)->last_departures[gone->number] &&
			    invariant_find(copy, gone->number) &&
			    !invariant_find(node_internal(owner->node), gone->number))
				world_fail(
				    world_of(holder),
				    "(c) host %u holds connection %u of host %u, gone at %llu; applied %llu",
				    holder->id, gone->number, owner->id, (unsigned long long)gone->version,
				    (unsigned long long)view->applied);
		}
		replica->departures++;
	}
}

/* ---- (d), and who becomes current ---- */

/* Only who lives, or did a moment ago, becomes current: a recording never does. */
static void check_session(const struct host *holder, const struct host *owner,
			  const struct seal_session_id *session)
{
	const struct host_record *record = invariant_record(owner);
	int64_t now_us = world_of(holder)->now_us, recent_us = 4 * holder->config.peer_timeout.us;

	if (history_same_session(&record->session, session) &&
	    (record->ended_us == INT64_MAX || now_us - record->ended_us < recent_us))
		return;
	for (unsigned i = 0; i < SESSIONS_BEFORE; i++)
		if (history_same_session(&record->before[i].id, session) &&
		    now_us - record->before[i].ended_us < recent_us)
			return;
	world_fail(world_of(holder), "(g) host %u takes a dead session of host %u for current", holder->id,
		   owner->id);
}

static bool session_is_none(const struct seal_session_id *session)
{
	static const struct seal_session_id none;

	return history_same_session(session, &none);
}

static void check_progress(struct host *holder, struct host *owner, const struct node_peer_view *view)
{
	struct replica *replica = &invariant_record(holder)->of[owner->index];

	if (!replica->known || !history_same_session(&replica->session, &view->session)) {
		if (!session_is_none(&view->session))
			check_session(holder, owner, &view->session);
		replica->known = true;
		replica->session = view->session;
		replica->departures = 0;
	} else if (view->applied < replica->applied) {
		world_fail(world_of(holder), "(d) host %u had applied %llu of host %u, and now %llu",
			   holder->id, (unsigned long long)replica->applied, owner->id,
			   (unsigned long long)view->applied);
	}
	replica->applied = view->applied;
}

/* ---- (h): what is held for a node outlives its daemon, and its kernel ---- */

static void guard_release(struct guard *guard)
{
	free(guard->flows);
	*guard = (struct guard){0};
}

static void guard_allocate(struct guard *guard, const struct host *owner)
{
	if (!guard->flows)
		guard->flows = calloc(owner->kernel.numbers, sizeof(*guard->flows));
	if (!guard->flows)
		abort();
}

void replica_forget(struct host *holder)
{
	replica_finish(invariant_record(holder));
}

void replica_finish(struct host_record *record)
{
	for (unsigned i = 0; i < NET_HOSTS_MAX; i++) {
		guard_release(&record->of[i].guard);
		guard_release(&record->of[i].lost);
	}
}

/* The flow that is guarded under that number goes on. */
static bool is_guarded(const struct guard *guard, const struct host *owner, uint32_t number)
{
	const struct kernel_flow *flow = &owner->kernel.flows[number];

	if (!guard->flows[number].born)
		return false;
	return guard->boots || (flow->present && flow->born == guard->flows[number].born);
}

/* Each that was held, and has not ended, is held: for its owner, or for an heir of it. */
static void guard_check(struct host *holder, const struct host *owner, struct guard *guard)
{
	for (uint32_t n = 0; n < owner->kernel.numbers; n++) {
		if (!is_guarded(guard, owner, n) || host_holds(holder, n) ||
		    invariant_is_elsewhere(owner, n, guard->flows[n].lived_us))
			continue;
		world_fail(world_of(holder), "(h) host %u lost connection %u of host %u, which %s",
			   holder->id, n, owner->id,
			   guard->boots ? "rebooted" : "stopped, or whose daemon restarted");
		return;
	}
	guard->look_at_us = world_of(holder)->now_us + GUARD_LOOK_US;
}

/* A primary of a higher term holds newer flows than an orphan. */
static bool is_outdated(const struct world *world, const struct guard *guard)
{
	struct node_view view;

	for (unsigned i = 0; i < world->hosts_count; i++) {
		const struct host *host = &world->hosts[i];

		if (!host->node || host->role != FRAME_ROLE_PRIMARY)
			continue;
		node_view(host->node, host_clock(host), &view);
		if (view.term > guard->term)
			return true;
	}
	return false;
}

static void guard_run(struct host *holder, const struct host *owner, const struct node_peer_view *view)
{
	struct world *world = world_of(holder);
	struct replica *replica = &invariant_record(holder)->of[owner->index];
	struct guard *guard = &replica->guard, *lost = &replica->lost;
	bool again = view->holds.in_sync && owner->node &&
		     history_same_session(&view->session, &invariant_record(owner)->session);

	/* the shortest timeouts begin to run out */
	if (guard->flows && !view->alive && world->now_us - guard->heard_us > GUARD_LIFE_US)
		guard_release(guard);
	if (guard->flows && (again || world->now_us >= guard->look_at_us))
		guard_check(holder, owner, guard);
	if (again)
		guard_release(guard);
	if (!lost->flows || world->now_us < lost->look_at_us)
		return;
	if (world->now_us - lost->heard_us > GUARD_LIFE_US || is_outdated(world, lost))
		guard_release(lost);
	else
		guard_check(holder, owner, lost);
}

/* Not just one of that key, from before: it has applied that version. */
static bool holds_as_it_is(const struct host *holder, const struct host *owner, uint64_t applied,
			   uint32_t number)
{
	const struct table *copy = node_external(holder->node, owner->id);
	const struct table_entry *held = copy ? invariant_find(copy, number) : NULL;
	const struct table_entry *own = held ? invariant_find(node_internal(owner->node), number) : NULL;

	return own && table_version(node_internal(owner->node), own) <= applied &&
	       record_equals(held->bytes, own->bytes);
}

/* The lowest term above that of a host that is primary; 0: none is. */
static uint32_t heir_term(const struct world *world, uint32_t term)
{
	uint32_t lowest = 0;

	for (unsigned i = 0; i < world->hosts_count; i++) {
		const struct host *host = &world->hosts[i];
		struct node_view view;

		if (!host->node || host->role != FRAME_ROLE_PRIMARY)
			continue;
		node_view(host->node, host_clock(host), &view);
		if (view.term > term && (!lowest || view.term < lowest))
			lowest = view.term;
	}
	return lowest;
}

static void guard_begin(struct host *holder, const struct host *owner)
{
	struct guard *guard = &invariant_record(holder)->of[owner->index].guard;
	int64_t now_us = world_of(holder)->now_us, heard_us;
	struct node_peer_view view;
	uint64_t applied;

	if (!host_view_of(holder, owner, &view))
		return;
	applied = history_same_session(&view.session, &invariant_record(owner)->session) ? view.applied : 0;
	heard_us = now_us - (host_clock_us(holder) - view.owner_proven_at.us);
	if (!guard->flows || heard_us < guard->heard_us)
		guard->heard_us = heard_us;
	guard_allocate(guard, owner);
	guard->look_at_us = now_us + GUARD_LOOK_US;
	guard->term = view.term;
	guard->heir_term = heir_term(world_of(holder), guard->term);
	for (uint32_t n = 0; n < owner->kernel.numbers; n++) {
		const struct kernel_flow *flow = &owner->kernel.flows[n];

		if (flow->present && holds_as_it_is(holder, owner, applied, n))
			guard->flows[n] = (struct guarded){flow->born, flow->lived_us};
	}
}

/* Of the kernels with which it was primary two are kept, no more: then the last alone is looked at. */
static void guard_outlives_kernel(struct host *holder, const struct host *owner)
{
	struct replica *replica = &invariant_record(holder)->of[owner->index];
	struct guard *guard = &replica->guard, *lost = &replica->lost;

	if (!guard->flows)
		return;
	for (uint32_t n = 0; n < owner->kernel.numbers; n++)
		if (!is_guarded(guard, owner, n))
			guard->flows[n].born = 0;
		else if (lost->boots == 1 && lost->flows[n].born)
			lost->flows[n].born = 0;
	if (lost->boots == 1) {
		for (uint32_t n = 0; n < owner->kernel.numbers; n++)
			if (lost->flows[n].born)
				guard->flows[n] = lost->flows[n];
		guard->heard_us = lost->heard_us;
		guard->term = lost->term < guard->term ? lost->term : guard->term;
	}
	guard->boots = lost->boots == 1 ? 2 : 1;
	guard_release(lost);
	*lost = *guard;
	*guard = (struct guard){0};
	if (is_outdated(world_of(holder), lost)) /* it may give way before we look */
		guard_release(lost);
}

void replica_owner_reboots(struct host *owner)
{
	struct world *world = world_of(owner);

	for (unsigned i = 0; i < world->hosts_count; i++)
		if (&world->hosts[i] != owner)
			guard_outlives_kernel(&world->hosts[i], owner);
}

/*
 * What was held of a kernel that is gone may go for a primary of a higher term.  What an heir was given may
 * go with the heir: when it reboots, too, and one of a term above its own is primary.
 */
static void guard_outdated(struct host *holder, const struct host *owner, struct guard *guard, uint32_t term)
{
	bool may_go = guard->boots ? term > guard->term : guard->heir_term && term > guard->heir_term;

	if (!guard->flows || term <= guard->term)
		return;
	if (!guard->heir_term)
		guard->heir_term = term;
	if (!may_go)
		return;
	guard_check(holder, owner, guard);
	guard_release(guard);
}

void replica_primary(struct host *primary, uint32_t term)
{
	struct world *world = world_of(primary);

	for (unsigned i = 0; i < world->hosts_count; i++)
		for (unsigned j = 0; j < world->hosts_count; j++) {
			struct replica *replica = &invariant_record(&world->hosts[i])->of[j];

			guard_outdated(&world->hosts[i], &world->hosts[j], &replica->guard, term);
			guard_outdated(&world->hosts[i], &world->hosts[j], &replica->lost, term);
		}
}

/* Each flow that was the same when a copy was proven is in that copy. */
static void check_proven(const struct host *holder, const struct host *owner)
{
	const struct table *own = node_internal(owner->node), *copy = node_external(holder->node, owner->id);
	struct table_walk walk = table_walk_after(own, 0, false);
	const struct table_entry *entry, *held;
	struct node_peer_view view;

	if (!host_view_of(holder, owner, &view) || view.holds.age_us < 0 || !copy || view.overflowed ||
	    !history_same_session(&view.session, &invariant_record(owner)->session))
		return;
	while ((entry = table_walk_next(&walk)) && walk.version <= view.holds.version) {
		held = table_find(copy, record_key(entry->bytes));
		if (held && record_equals(held->bytes, entry->bytes))
			continue;
		world_fail(world_of(holder), "(h) host %u lacks a flow of host %u that it had proven to hold",
			   holder->id, owner->id);
		return;
	}
}

void replica_owner_ends(struct host *owner)
{
	struct world *world = world_of(owner);

	for (unsigned i = 0; i < world->hosts_count; i++) {
		struct host *holder = &world->hosts[i];

		if (holder == owner || !holder->node)
			continue;
		check_proven(holder, owner);
		if (owner->role ==
		    FRAME_ROLE_PRIMARY) /* what a backup got since its table was claimed may go */
			guard_begin(holder, owner);
	}
}

/* ---- all of them ---- */

static void note_situations(const struct host *holder, const struct host *owner,
			    const struct node_peer_view *view)
{
	struct world *world = world_of(holder);

	if (view->resyncs_full > 1)
		world_meets(world, SITUATION_FULL_CATCHUP);
	if (view->resyncs_partial)
		world_meets(world, SITUATION_PARTIAL_CATCHUP);
	if (view->overflowed)
		world_meets(world, SITUATION_TABLE_FULL);
	if (owner->node && view->applied && table_horizon(node_internal(owner->node)) > view->applied &&
	    history_same_session(&view->session, &invariant_record(owner)->session))
		world_meets(world, SITUATION_HORIZON_PASSED);
	if (view->divergences)
		world_fail(world, "(b) host %u's copy of host %u's table diverged", holder->id, owner->id);
}

void replica_check(struct host *holder, struct host *owner)
{
	struct node_peer_view view;

	if (!host_view_of(holder, owner, &view))
		return;
	check_progress(holder, owner, &view);
	check_departures(holder, owner, &view);
	check_claims(holder, owner, &view);
	guard_run(holder, owner, &view);
	note_situations(holder, owner, &view);
}
