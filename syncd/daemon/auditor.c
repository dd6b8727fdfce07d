/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/auditor.h"

#include "syncd/daemon/clock.h"

#include <errno.h>
#include <string.h>

enum {
	ROWS = 256,          /* read at once: some 100 us */
	DRAIN_BUDGET = 1024, /* datagrams of kernel events that go before a slice */
	GETS = 32,
	REPEAT_MAX_MS = 5000,
	PEERS_MS = 1500,       /* how long the first pass waits for a peer, in warm mode, ... */
	TABLES_MS = 10000,     /* and then for its table */
	LOOK_AT_PEERS_MS = 50, /* how often it is looked */
	/* after a takeover: a pass over fewer flows is no burden */
	GIVE_WAY_FLOWS = 50000,
	HELD_S = 3,
	GENTLE_S = 20,
	LOOK_AT_COPIES_MS = 100,
};

static void give_row(void *context, const struct flow *flow)
{
	struct auditor *auditor = context;
	struct node_event event = {.type = NODE_AUDIT_ROW, .flow = flow};
	if (!filter_accepts(auditor->filter, flow)) {
		auditor->statistics.filtered++;
		/* it matched once, and doesn't since an address or the filter changed: it leaves by a
		 * tombstone */
		if (!drive_knows(auditor->drive, flow))
			return;
		event.type = NODE_FLOW_DESTROY;
	}
	drive_give(auditor->drive, &event);
}

/* The kernel's order is another one than the table's. */
static void foresee_row(void *context, const struct flow *flow)
{
	const struct auditor *auditor = context;
	drive_foresee(auditor->drive, flow);
}

/* How many flows the kernel has, as far as is known. */
static size_t known_flows(const struct auditor *auditor)
{
	const struct node *node = drive_node(auditor->drive);
	struct node_foreign_view foreign;
	node_foreign_view(node, &foreign);
	return table_count(node_internal(node)) + foreign.flows;
}

/* ---- after a takeover ---- */

void auditor_give_way(struct auditor *auditor)
{
	struct monotime now = clock_now();
	if (known_flows(auditor) < GIVE_WAY_FLOWS)
		return;
	auditor->held_until = monotime_add(now, monotime_from_s(HELD_S));
	auditor->gentle_until = monotime_add(now, monotime_from_s(GENTLE_S));
}

static bool is_fast(const struct auditor *auditor, struct monotime now)
{
	return auditor->fast && !monotime_is_before(now, auditor->gentle_until);
}

/* When it may go on; now: it may. */
static struct monotime may_run_at(const struct auditor *auditor, struct monotime now)
{
	struct node_foreign_view foreign;
	if (monotime_is_before(now, auditor->held_until))
		return auditor->held_until;
	if (!monotime_is_before(now, auditor->gentle_until))
		return now;
	node_foreign_view(drive_node(auditor->drive), &foreign);
	return foreign.adopts ? monotime_add(now, monotime_from_ms(LOOK_AT_COPIES_MS)) : now;
}

/* ---- passes ---- */

/*
 * A flow that goes just after a pass has read it is found gone at the end of the next one.  For that to be
 * within an interval, passes take a quarter of it and begin three quarters of it apart.
 */
static int64_t spread_us(const struct auditor *auditor)
{
	return auditor->interval.us / 4;
}

static struct monotime next_pass(const struct auditor *auditor)
{
	return monotime_add(auditor->begun, monotime_from_us(auditor->interval.us - spread_us(auditor)));
}

/* What the filter keeps out is not even dumped, once a pass has shown what of it was known. */
static int start_dump(struct auditor *auditor)
{
	struct audit_filter filter;
	bool is_chosen =
	    !auditor->wants_all && !auditor->no_dump_filter && filter_for_dump(auditor->filter, &filter);
	auditor->reads_all = !is_chosen;
	return audit_dump_start(auditor->audit, is_chosen ? &filter : NULL);
}

static void begin(struct auditor *auditor, bool fast)
{
	int error = start_dump(auditor);
	auditor->wanted = false;
	auditor->again = false;
	if (error < 0) {
		log_write(auditor->log, LOG_ERR, "audit-failed",
			  "can't start a dump of the kernel's table: %s", strerror(-error));
		auditor->wanted = true;
		auditor->timer.deadline = monotime_add(clock_now(), monotime_from_s(1));
		return;
	}
	struct node_event event = {.type = NODE_AUDIT_BEGIN};
	auditor->runs = true;
	auditor->fast = fast;
	auditor->begun = clock_now();
	auditor->statistics.passes_begun++;
	/* as if the table were as large as when it was last known */
	int64_t slices = (int64_t)(known_flows(auditor) / ROWS) + 1;
	int64_t pause_us = spread_us(auditor) / slices;
	auditor->pause = monotime_from_us(pause_us > 20000 ? 20000 : pause_us);
	drive_step(auditor->drive, &event);
	auditor->timer.deadline = MONOTIME_NEVER;
	auditor->slice.active = true;
}

static void end(struct auditor *auditor, bool clean)
{
	struct node_event event = {.type = NODE_AUDIT_END, .clean = clean};
	struct monotime now = clock_now();
	/* after their masters; this pass may be what makes the table complete, or no longer suspect */
	if (clean) {
		drive_drain(auditor->drive,
			    DRAIN_BUDGET); /* what still waits then is newer, and ends right */
		expectations_look(auditor->expectations);
	}
	auditor->runs = false;
	auditor->slice.active = false;
	if (clean) {
		auditor->wants_all &= !auditor->reads_all;
		auditor->statistics.last_pass_end = now;
		auditor->statistics.last_pass_us = monotime_sub(now, auditor->begun).us;
		auditor->repeats = 0;
		auditor->timer.deadline =
		    auditor->wanted || auditor->again ? now : monotime_max(now, next_pass(auditor));
	} else {
		/* the table was resized: again, at once the first time, then more and more slowly */
		int64_t wait_ms =
		    auditor->repeats == 0 ? 0 : 100LL << (auditor->repeats < 6 ? auditor->repeats : 6);
		auditor->statistics.passes_repeated++;
		auditor->repeats++;
		auditor->wanted = true;
		auditor->timer.deadline =
		    monotime_add(now, monotime_from_ms(wait_ms < REPEAT_MAX_MS ? wait_ms : REPEAT_MAX_MS));
	}
	drive_step(auditor->drive, &event);
}

/* A kernel that has far more than was known would take far too long: no pauses once the pass is late. */
static struct monotime next_slice(const struct auditor *auditor, struct monotime now)
{
	bool is_late = monotime_sub(now, auditor->begun).us > spread_us(auditor) &&
		       !monotime_is_before(now, auditor->gentle_until);
	return is_late ? now : monotime_add(now, auditor->pause);
}

static void run_pass(void *context, struct monotime until)
{
	struct auditor *auditor = context;
	struct monotime now = clock_now(), at = may_run_at(auditor, now);
	int progress;
	if (monotime_is_before(now, at)) {
		auditor->slice.active = false;
		auditor->timer.deadline = at;
		return;
	}
	do {
		/* what waits there may be older than the rows */
		drive_drain(auditor->drive, DRAIN_BUDGET);
		progress = audit_dump_read(auditor->audit, ROWS, give_row, auditor);
	} while (progress == AUDIT_MORE && is_fast(auditor, now) && monotime_is_before(clock_now(), until));
	drive_finish(auditor->drive);
	if (progress == AUDIT_MORE) {
		if (!is_fast(auditor, now)) {
			auditor->slice.active = false;
			auditor->timer.deadline = next_slice(auditor, clock_now());
		}
		return;
	}
	if ((progress == -EINVAL || progress == -EOPNOTSUPP) && !auditor->reads_all)
		auditor->no_dump_filter = true;
	else if (progress < 0)
		log_write(auditor->log, LOG_ERR, "audit-failed", "reading the kernel's table failed: %s",
			  strerror(-progress));
	end(auditor, progress == AUDIT_DONE);
}

/*
 * In warm mode the kernel may have copies from before a restart.  What they are is known by the peers' tables
 * only; read before these, all of them would be taken for flows of our own at first, and sent to everybody.
 */
static bool waits_for_peers(const struct auditor *auditor, struct monotime now)
{
	const struct node *node = drive_node(auditor->drive);
	struct node_foreign_view foreign;
	struct node_view view;
	int64_t age_ms = monotime_sub(now, auditor->opened).us / 1000;
	unsigned alive = 0, unproven = 0;
	node_foreign_view(node, &foreign);
	node_view(node, now, &view);
	if (auditor->statistics.passes_begun > 0 || !foreign.active || view.role == FRAME_ROLE_PRIMARY ||
	    age_ms >= TABLES_MS)
		return false;
	for (unsigned i = 0; i < view.peers; i++) {
		struct node_peer_view peer;
		node_peer_view(node, now, i, &peer);
		alive += peer.alive;
		/* a peer that waits itself has nothing to prove yet */
		unproven += peer.alive && peer.complete && !peer.holds.in_sync;
	}
	return alive > 0 ? unproven > 0 : age_ms < PEERS_MS;
}

static void expired(void *context, struct monotime now)
{
	struct auditor *auditor = context;
	struct monotime at = may_run_at(auditor, now);
	if (auditor->runs)
		auditor->slice.active = true;
	else if (monotime_is_before(now, at))
		auditor->timer.deadline = at;
	else if (waits_for_peers(auditor, now))
		auditor->timer.deadline = monotime_add(now, monotime_from_ms(LOOK_AT_PEERS_MS));
	else
		begin(auditor, auditor->wanted);
}

void auditor_audit_now(struct auditor *auditor)
{
	auditor->wanted = true;
	if (auditor->runs) {
		/* the node knows that this pass proves nothing; get it over with, then the next begins */
		auditor->fast = true;
		auditor->slice.active = true;
		return;
	}
	/* not from in here: the node may be the caller */
	if (auditor->repeats == 0)
		auditor->timer.deadline = monotime_from_us(0);
}

void auditor_audit_soon(struct auditor *auditor)
{
	struct monotime soon = monotime_add(clock_now(), monotime_from_s(1));
	auditor->again = auditor->runs;
	if (!auditor->runs)
		auditor->timer.deadline = monotime_min(auditor->timer.deadline, soon);
}

void auditor_filter_changed(struct auditor *auditor)
{
	auditor->wants_all = true;
	auditor->reads_all = false; /* the pass that runs began before it */
}

/* ---- single flows ---- */

/* Answers the first of the queue.  False when it could not be asked. */
static bool get_first(struct auditor *auditor)
{
	struct flow found, *key = &auditor->gets[auditor->get_first];
	struct node_event event = {.type = NODE_GET_REPLY, .flow = key};
	int error = audit_get(auditor->audit, key, &found);
	auditor->statistics.gets++;
	if (error < 0 && error != -ENOENT) {
		auditor->statistics.get_failures++;
		log_write(auditor->log, LOG_WARNING, "get-failed",
			  "reading a flow from the kernel failed: %s", strerror(-error));
		return false;
	}
	if (error == 0 && filter_accepts(auditor->filter, &found)) {
		event.flow = &found;
		event.found = true;
	}
	/* off the queue first: the node may ask for more while it takes this */
	struct flow answered = *key;
	if (!event.found)
		event.flow = &answered;
	auditor->get_first = (auditor->get_first + 1) % AUDITOR_GETS_MAX;
	auditor->get_count--;
	drive_give(auditor->drive, &event);
	return true;
}

static void run_gets(void *context, struct monotime until)
{
	struct auditor *auditor = context;
	bool good = true;
	while (good && auditor->get_count > 0 && monotime_is_before(clock_now(), until)) {
		/* an answer is newer than every event before it: so those come first */
		drive_drain(auditor->drive, DRAIN_BUDGET);
		for (unsigned i = 0; i < GETS && good && auditor->get_count > 0; i++)
			good = get_first(auditor);
	}
	drive_finish(auditor->drive);
	auditor->get_slice.active = good && auditor->get_count > 0;
	if (!good)
		auditor->get_timer.deadline = monotime_add(clock_now(), monotime_from_ms(100));
}

static void get_expired(void *context, struct monotime now)
{
	struct auditor *auditor = context;
	(void)now;
	auditor->get_slice.active = auditor->get_count > 0;
}

void auditor_get(struct auditor *auditor, const struct flow *key)
{
	if (auditor->get_count == AUDITOR_GETS_MAX) {
		auditor->statistics.get_failures++;
		return;
	}
	auditor->gets[(auditor->get_first + auditor->get_count++) % AUDITOR_GETS_MAX] = *key;
	auditor->get_slice.active = true;
}

void auditor_set_interval(struct auditor *auditor, struct monotime interval)
{
	auditor->interval = interval;
	if (!auditor->runs && !auditor->wanted)
		auditor->timer.deadline = next_pass(auditor);
}

void auditor_start(struct auditor *auditor, struct drive *drive, const struct drive_parts *parts,
		   struct monotime interval)
{
	memset(auditor, 0, sizeof(*auditor));
	auditor->drive = drive;
	auditor->log = parts->log;
	auditor->audit = parts->audit;
	auditor->filter = parts->filter;
	auditor->expectations = parts->expectations;
	auditor->interval = interval;
	auditor->opened = clock_now();
	audit_tell_ahead(auditor->audit, foresee_row);
	auditor->wanted = auditor->wants_all = true;
	auditor->statistics.last_pass_end = MONOTIME_NEVER;
	auditor->slice = (struct loop_slice){.run = run_pass, .context = auditor};
	auditor->get_slice = (struct loop_slice){.run = run_gets, .context = auditor};
	auditor->timer = (struct loop_timer){.deadline = clock_now(), .expired = expired, .context = auditor};
	auditor->get_timer =
	    (struct loop_timer){.deadline = MONOTIME_NEVER, .expired = get_expired, .context = auditor};
	loop_add_slice(parts->loop, &auditor->slice);
	loop_add_slice(parts->loop, &auditor->get_slice);
	loop_add_timer(parts->loop, &auditor->timer);
	loop_add_timer(parts->loop, &auditor->get_timer);
}
