/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/warm.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/drive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct warm_act {
	struct flow flow;
	uint32_t elapsed_s;
};

void warm_push(struct warm *warm, enum node_foreign_act act, const struct flow *flow, uint32_t elapsed_s)
{
	if (warm->counts[act] == WARM_ACTS_MAX)
		return; /* the node names no more in a step */
	warm->acts[act][warm->counts[act]++] = (struct warm_act){*flow, elapsed_s};
}

static void answer(struct warm *warm, enum node_foreign_act act, const struct flow *flow,
		   enum node_foreign_result result, uint32_t timeout_s)
{
	struct node_event event = {.type = NODE_FOREIGN_DONE,
				   .foreign = {flow, act, result, timeout_s > 0 ? timeout_s : 1}};
	drive_give(warm->drive, &event);
}

static void warn(struct warm *warm, const char *what, const struct flow *flow, enum commit_result result,
		 int error)
{
	char text[FLOW_TEXT_SIZE];
	log_write(warm->log, LOG_NOTICE, "warm-failed",
		  "a copy could not be %s, and is tried again: %s: %s%s%s", what, flow_key_print(flow, text),
		  commit_result_name(result), error != 0 ? ", " : "", error != 0 ? strerror(-error) : "");
}

/* ---- what goes ---- */

static void removed(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct warm *warm = context;
	bool is_gone = commit_is_in_kernel(result, error); /* in its terms: deleted, or gone already */
	if (!is_gone)
		warn(warm, "removed", flow, result, error);
	answer(warm, NODE_FOREIGN_REMOVE, flow, is_gone ? NODE_FOREIGN_GONE : NODE_FOREIGN_FAILED, 0);
}

static void remove_all(struct warm *warm)
{
	const struct warm_act *acts = warm->acts[NODE_FOREIGN_REMOVE];
	for (unsigned i = 0; i < warm->counts[NODE_FOREIGN_REMOVE]; i++) {
		struct flow key = acts[i].flow;
		key.present &= ~(uint32_t)FLOW_HAS_ID; /* it may be of a flow before */
		commit_delete(warm->commit, &key, removed, warm);
	}
	commit_flush(warm->commit);
}

/* ---- what comes ---- */

static void installed(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct warm *warm = context;
	if (result == COMMIT_EXPIRED) {
		answer(warm, NODE_FOREIGN_INSTALL, flow, NODE_FOREIGN_REFUSED, 0);
	} else if (commit_is_in_kernel(result, error)) {
		uint32_t timeout_s = result == COMMIT_KEPT && flow->present & FLOW_HAS_TIMEOUT
					 ? flow->timeout_s
					 : ageing_remaining_s(warm->ageing, flow, warm->elapsed_s);
		answer(warm, NODE_FOREIGN_INSTALL, flow, NODE_FOREIGN_IN_KERNEL, timeout_s);
	} else {
		if (result != COMMIT_NO_MASTER) /* which comes a moment later */
			warn(warm, "created", flow, result, error);
		answer(warm, NODE_FOREIGN_INSTALL, flow,
		       result == COMMIT_TABLE_FULL ? NODE_FOREIGN_NO_ROOM : NODE_FOREIGN_FAILED, 0);
	}
}

/*
 * A daemon that was primary, and starts again as a backup, takes for copies what the new primary names. Their
 * TCP windows are of then: where windows are to be checked such a flow becomes liberal.  That goes on until
 * all tables are gone through, although the leftovers that are known as such may be withdrawn before.
 */
static bool may_be_old(const struct warm *warm, bool so_far)
{
	const struct node *node = drive_node(warm->drive);
	struct node_foreign_view foreign;
	struct node_view view;
	node_view(node, clock_now(), &view);
	node_foreign_view(node, &foreign);
	if (view.role == FRAME_ROLE_PRIMARY)
		return false;
	return view.leftovers || (so_far && foreign.waiting > 0);
}

static void install_all(struct warm *warm)
{
	const struct warm_act *acts = warm->acts[NODE_FOREIGN_INSTALL];
	bool is_old = may_be_old(warm, false) || warm->has_old;
	struct commit_options options = {.fence_closed = warm->takes_over && warm->fence_is_closed,
					 .keeps_others = !warm->takes_over,
					 .has_old = is_old,
					 .tcp_liberal = !warm->ageing->config->commit.tcp_strict};
	warm->elapsed_s = 0;
	for (unsigned i = 0; i < warm->counts[NODE_FOREIGN_INSTALL]; i++)
		if (acts[i].elapsed_s > warm->elapsed_s)
			warm->elapsed_s = acts[i].elapsed_s;
	for (unsigned i = 0; i < warm->counts[NODE_FOREIGN_INSTALL]; i++) {
		const struct flow *flow = &acts[i].flow;
		/* a connection of this very host lives here by itself, and not through NAT */
		if (filter_accepts(warm->filter, flow))
			commit_flow(warm->commit, flow,
				    ageing_remaining_s(warm->ageing, flow, acts[i].elapsed_s), &options,
				    installed, warm);
		else
			answer(warm, NODE_FOREIGN_INSTALL, flow, NODE_FOREIGN_REFUSED, 0);
	}
	commit_flush(warm->commit);
	warm->has_old = may_be_old(warm, is_old);
}

/* ---- what stays ---- */

static void refreshed(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct warm *warm = context;
	if (result == COMMIT_EXPIRED)
		answer(warm, NODE_FOREIGN_REFRESH, flow, NODE_FOREIGN_GONE, 0);
	else if (commit_is_in_kernel(result, error))
		answer(warm, NODE_FOREIGN_REFRESH, flow, NODE_FOREIGN_IN_KERNEL,
		       ageing_remaining_s(warm->ageing, flow, 0));
	else {
		warn(warm, "kept alive", flow, result, error);
		answer(warm, NODE_FOREIGN_REFRESH, flow, NODE_FOREIGN_FAILED, 0);
	}
}

static void refresh_all(struct warm *warm)
{
	const struct warm_act *acts = warm->acts[NODE_FOREIGN_REFRESH];
	for (unsigned i = 0; i < warm->counts[NODE_FOREIGN_REFRESH]; i++)
		commit_refresh(warm->commit, &acts[i].flow,
			       ageing_remaining_s(warm->ageing, &acts[i].flow, 0), refreshed, warm);
	commit_flush(warm->commit);
}

static void check_all(struct warm *warm)
{
	for (unsigned i = 0; i < warm->counts[NODE_FOREIGN_CHECK]; i++) {
		const struct flow *key = &warm->acts[NODE_FOREIGN_CHECK][i].flow;
		struct flow found;
		int error = audit_get(warm->audit, key, &found);
		if (error == 0)
			answer(warm, NODE_FOREIGN_CHECK, key, NODE_FOREIGN_IN_KERNEL, found.timeout_s);
		else
			answer(warm, NODE_FOREIGN_CHECK, key,
			       error == -ENOENT ? NODE_FOREIGN_GONE : NODE_FOREIGN_FAILED, 0);
	}
}

/* ---- slices ---- */

static bool is_due(const struct warm *warm)
{
	return !monotime_is_before(clock_now(), node_foreign_deadline(drive_node(warm->drive)));
}

/*
 * Nothing else is looked at during a step, and for each flow it waits for ctnetlink's mutex, one for the
 * whole host (nfnetlink_rcv_msg()), whose holder may be preempted.  So where others write too, steps are
 * small, and grow slowly again.
 */
static void adapt(struct warm *warm, struct monotime took)
{
	unsigned piece = warm->piece;
	if (took.us > 2 * LOOP_SLICE_US)
		warm->piece = piece / 2 > WARM_ACTS_MIN ? piece / 2 : WARM_ACTS_MIN;
	else if (took.us < LOOP_SLICE_US && piece < WARM_ACTS_MAX)
		warm->piece = piece + WARM_ACTS_MIN;
}

static void run_once(struct warm *warm)
{
	struct monotime begun = clock_now();
	struct node_event event = {.type = NODE_FOREIGN_RUN, .acts_max = warm->piece};
	memset(warm->counts, 0, sizeof(warm->counts));
	drive_give(warm->drive, &event);
	if (warm->counts[NODE_FOREIGN_REMOVE] > 0)
		remove_all(warm);
	if (warm->counts[NODE_FOREIGN_INSTALL] > 0)
		install_all(warm);
	if (warm->counts[NODE_FOREIGN_REFRESH] > 0)
		refresh_all(warm);
	check_all(warm);
	adapt(warm, monotime_sub(clock_now(), begun));
}

static void run(void *context, struct monotime until)
{
	struct warm *warm = context;
	do
		run_once(warm);
	while (is_due(warm) && monotime_is_before(clock_now(), until));
	drive_finish(warm->drive); /* looks at the slice, too */
}

static void expired(void *context, struct monotime now)
{
	struct warm *warm = context;
	(void)now;
	warm->timer.deadline = MONOTIME_NEVER;
	warm->slice.active = true;
}

void warm_look(struct warm *warm)
{
	struct monotime deadline = node_foreign_deadline(drive_node(warm->drive));
	warm->slice.active = !monotime_is_before(clock_now(), deadline);
	warm->timer.deadline = warm->slice.active ? MONOTIME_NEVER : deadline;
}

bool warm_bring(struct warm *warm, struct monotime until)
{
	struct node_foreign_view view;
	do {
		run_once(warm);
		node_foreign_view(drive_node(warm->drive), &view);
	} while (view.takeover_is_behind && monotime_is_before(clock_now(), until));
	return !view.takeover_is_behind;
}

int warm_open(struct warm *warm, struct loop *loop)
{
	warm->piece = WARM_ACTS_MIN;
	for (unsigned i = 0; i < 4; i++) {
		warm->acts[i] = calloc(WARM_ACTS_MAX, sizeof(*warm->acts[i]));
		if (warm->acts[i] == NULL)
			return -ENOMEM;
	}
	warm->slice = (struct loop_slice){.run = run, .context = warm};
	warm->timer = (struct loop_timer){.deadline = MONOTIME_NEVER, .expired = expired, .context = warm};
	loop_add_slice(loop, &warm->slice);
	loop_add_timer(loop, &warm->timer);
	return 0;
}

void warm_close(struct warm *warm)
{
	for (unsigned i = 0; i < 4; i++)
		free(warm->acts[i]);
}
