/* SPDX-License-Identifier: GPL-2.0-or-later */
/* (h): what a takeover commits, and what is deleted when its kernel is another's. */
#include "tests/sim/daemon.h"
#include "tests/sim/inside.h"
#include "tests/sim/invariant_state.h"
#include "tests/sim/warm.h"

#include <string.h>

void invariant_before_takeover(struct host *host)
{
	memset(invariant_record(host)->results, 0, host->kernel.numbers);
}

/* When that connection was closed there last, or its daemon was told so: that it was ended for its owner,
 * when it was closing, looks the same.  0: never. */
static int64_t closed_us(const struct host *host, uint32_t number)
{
	int64_t in_kernel_us = host->kernel.closed_us[number];
	int64_t told_us = invariant_record(host)->closed_us[number];

	return told_us > in_kernel_us ? told_us : in_kernel_us;
}

/* A connection of that host itself, which does not rule: it lives on there, whoever does. */
static bool is_its_own(const struct host *host, uint32_t number)
{
	const struct traffic *traffic = &host->world->traffic;
	uint32_t first = traffic->service + host->index * traffic->own;

	return host->role != FRAME_ROLE_PRIMARY && number >= first && number < first + traffic->own;
}

/* It was closed here, and has not begun anew at another host since. */
static bool has_ended_here(const struct host *host, uint32_t number)
{
	int64_t since_us = closed_us(host, number);

	for (unsigned i = 0; i < host->world->hosts_count; i++) {
		const struct host *other = &host->world->hosts[i];

		if (i != host->index && other->kernel.flows[number].present &&
		    other->kernel.begun_us[number] > since_us && !warm_is_local(other, number) &&
		    !is_its_own(other, number))
			return false;
	}
	return since_us > 0;
}

/* When that session of that host's daemon ended; INT64_MAX: it has not. */
static int64_t session_end_us(const struct host *owner, const struct seal_session_id *session)
{
	const struct host_record *record = invariant_record(owner);
	unsigned count = record->before_count < SESSIONS_BEFORE ? record->before_count : SESSIONS_BEFORE;

	if (history_same_session(&record->session, session))
		return record->ended_us;
	for (unsigned i = 0; i < count; i++)
		if (history_same_session(&record->before[i].id, session))
			return record->before[i].ended_us;
	return INT64_MAX; /* too long ago to be remembered */
}

/*
 * Its daemon, the same as now, saw it closed while it ruled alone and remembers that, after the daemon had
 * ended whose table names it, and nobody has begun it anew since: it is never to be committed again.
 */
static bool has_ended_in_reign(const struct host *host, uint16_t owner, uint32_t number)
{
	const struct host_record *record = invariant_record(host);
	const struct host_takeover *takeover = &host->takeover;
	int64_t told_us = record->closed_us[number];

	if (host->config.active_active || !record->reign.is_lone || record->reign.starts != host->starts ||
	    told_us <= record->reign.since_us || told_us >= record->reign.until_us ||
	    !has_ended_here(host, number) || !invariant_remembers(node_internal(host->node), number))
		return false;
	for (unsigned i = 0; i < host->world->hosts_count; i++)
		if (host->world->hosts[i].id == owner &&
		    session_end_us(&host->world->hosts[i], &takeover->tables[takeover->table].session) <
			told_us)
			return true;
	return false;
}

void invariant_on_commit(struct host *host, uint16_t owner, uint32_t number, enum kernel_result result)
{
	if (result == KERNEL_NOT_OURS) {
		world_fail(host->world, "(g) host %u commits a flow of host %u that nobody ever had",
			   host->id, owner);
		return;
	}
	if (result == KERNEL_CREATED && has_ended_in_reign(host, owner, number))
		world_fail(host->world,
			   "(h) host %u commits connection %u, which it saw closed while it ruled alone",
			   host->id, number);
	if (result == KERNEL_CREATED)
		world_meets(host->world, SITUATION_TAKEOVER);
	if (result == KERNEL_REPLACED || result == KERNEL_CLASH)
		world_meets(host->world, SITUATION_CLASH);
	if (result == KERNEL_TABLE_FULL)
		world_meets(host->world, SITUATION_KERNEL_FULL);
	invariant_record(host)->results[number] = (uint8_t)(result + 1);
}

/* All that was there when it began, and has not changed since, was offered to the kernel. */
void invariant_after_takeover(struct host *host)
{
	const struct host_record *record = invariant_record(host);
	const struct host_takeover *takeover = &host->takeover;

	for (unsigned i = 0; i < takeover->count; i++) {
		struct node_table_view view;
		const struct table_entry *entry;
		struct table_walk walk;
		struct flow flow;
		uint32_t number;

		if (!daemon_find_table(host, &takeover->tables[i], &view))
			continue;
		walk = table_walk_after(view.table, 0, false);
		while ((entry = table_walk_next(&walk)) && walk.version <= takeover->tables[i].begun_at) {
			record_decode(entry->bytes, &flow);
			if (connection_number(&flow, &number) && !record->results[number] &&
			    !warm_is_local(host, number) && !has_ended_here(host, number))
				world_fail(host->world,
					   "(h) host %u took over, and left connection %u of host %u out",
					   host->id, number, takeover->tables[i].owner);
		}
	}
}

bool invariant_is_elsewhere(const struct host *host, uint32_t number, int64_t lived_us)
{
	if (connection_is_related(number) || warm_is_of_a_host(host->world, number))
		return true; /* a kernel that no longer has its master refuses it */
	for (unsigned i = 0; i < host->world->hosts_count; i++) {
		const struct kernel *other = &host->world->hosts[i].kernel;

		if (i != host->index &&
		    ((other->flows[number].present && !other->flows[number].is_copy) ||
		     other->expired_us[number] > lived_us || other->ended_us[number] > lived_us))
			return true;
	}
	return false;
}

/* It is primary, and took over from that very session of the host's daemon: it was handed all that the host's
 * kernel has. */
static bool is_heir(const struct host *heir, const struct host *host)
{
	if (heir == host || !heir->node || heir->role != FRAME_ROLE_PRIMARY)
		return false;
	for (unsigned t = 0; t < heir->takeover.count; t++)
		if (heir->takeover.tables[t].owner == host->id &&
		    history_same_session(&heir->takeover.tables[t].session, &invariant_record(host)->session))
			return true;
	return false;
}

static bool has_handed_over(const struct host *host)
{
	for (unsigned i = 0; i < host->world->hosts_count; i++)
		if (is_heir(&host->world->hosts[i], host))
			return true;
	return false;
}

/*
 * Of two primaries the heir saw that connection closed since it took over.  It has ended then, although a
 * packet still came to the other, whose kernel could not know: a closed connection at most repeats what was
 * lost, and there is nothing in it that a failover could save.  (One that only fell silent at the heir is
 * brought over again and must be there: doc/protocol.md, Following.)
 */
static bool was_closed_at_heir(const struct host *host, uint32_t number)
{
	for (unsigned i = 0; i < host->world->hosts_count; i++) {
		const struct host *heir = &host->world->hosts[i];

		if (is_heir(heir, host) && closed_us(heir, number) > heir->takeover.begun_us)
			return true;
	}
	return false;
}

/*
 * What is deleted as a leftover is in another kernel, or has ended there.  It is the flow as it was when the
 * table froze: that one was handed over, lived and may have ended there.  Packets that still came here since
 * (a host's own connections in this model) make no difference to it, as doc/protocol.md has it: nothing that
 * the kernel tells counts until the hand-over has ended.
 */
void invariant_on_withdrawal(struct host *host, uint32_t number)
{
	int64_t lived_us = host->kernel.flows[number].lived_us, frozen_us = invariant_record(host)->frozen_us;

	if (host->kernel.flows[number].present && has_handed_over(host) &&
	    !invariant_is_elsewhere(host, number, lived_us < frozen_us ? lived_us : frozen_us) &&
	    !was_closed_at_heir(host, number))
		world_fail(host->world, "(h) host %u withdraws connection %u, which no other kernel has",
			   host->id, number);
}
