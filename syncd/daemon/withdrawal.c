/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/withdrawal.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/drive.h"

#include <inttypes.h>
#include <string.h>

enum { CHUNK = 64 };

static void deleted(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct withdrawal *withdrawal = context;
	struct node_event event = {.type = NODE_FLOW_WITHDRAWN, .flow = flow};
	char text[FLOW_TEXT_SIZE];
	if (commit_is_in_kernel(result, error)) { /* in its terms: deleted, or gone already */
		withdrawal->deleted++;
		drive_give(withdrawal->drive, &event);
		return;
	}
	withdrawal->refused++;
	log_write(withdrawal->log, LOG_WARNING, "withdraw-failed", "a leftover could not be deleted: %s: %s",
		  flow_key_print(flow, text), strerror(-error));
}

/*
 * In warm mode what the new primary has is not deleted just to be created again.  Unless TCP windows are to
 * be checked: those of a connection that was here are old, and can't be set (kernel/commit_step.c).
 */
static bool stays_as_copy(struct withdrawal *withdrawal, const struct flow *flow)
{
	struct node_event event = {.type = NODE_FLOW_DISOWNED, .flow = flow};
	if ((withdrawal->ageing->config->commit.tcp_strict && flow->present & FLOW_HAS_TCP) ||
	    !node_is_named_by_primary(drive_node(withdrawal->drive), flow))
		return false;
	withdrawal->kept++;
	drive_give(withdrawal->drive, &event);
	return true;
}

/* The flows are copied first: the table changes while the node takes in that they are gone.  False at its
 * end. */
static bool take_chunk(struct withdrawal *withdrawal)
{
	const struct table *internal = node_internal(drive_node(withdrawal->drive));
	struct table_walk walk = table_walk_after(internal, withdrawal->after, false);
	struct table_entry *entry = NULL;
	struct flow flows[CHUNK];
	unsigned count = 0;
	while (count < CHUNK && (entry = table_walk_next(&walk)) != NULL) {
		withdrawal->after = walk.version;
		record_decode(entry->bytes, &flows[count]);
		if (entry->tag != 0) {
			flows[count].id = entry->tag;
			flows[count].present |= FLOW_HAS_ID;
		}
		count++;
	}
	for (unsigned i = 0; i < count; i++)
		if (!stays_as_copy(withdrawal, &flows[i]))
			commit_delete(withdrawal->commit, &flows[i], deleted, withdrawal);
	commit_flush(withdrawal->commit);
	return entry != NULL;
}

static bool is_wanted(const struct withdrawal *withdrawal)
{
	struct node_view view;
	node_view(drive_node(withdrawal->drive), clock_now(), &view);
	return strcmp(view.handover, "withdrawing") == 0;
}

static void end(struct withdrawal *withdrawal)
{
	struct node_event event = {.type = NODE_WITHDRAW_END};
	log_write(withdrawal->log, withdrawal->refused > 0 ? LOG_WARNING : LOG_NOTICE, "withdrawn",
		  "%" PRIu64 " flows that the new primary holds are deleted here, %" PRIu64
		  " stay as copies; %" PRIu64 " could not be deleted",
		  withdrawal->deleted, withdrawal->kept, withdrawal->refused);
	drive_step(withdrawal->drive, &event);
}

static void run(void *context, struct monotime until)
{
	struct withdrawal *withdrawal = context;
	bool more = true;
	withdrawal->slice.active = is_wanted(withdrawal);
	if (!withdrawal->slice.active)
		return;
	while (more && monotime_is_before(clock_now(), until))
		more = take_chunk(withdrawal);
	drive_finish(withdrawal->drive);
	withdrawal->slice.active = more;
	if (!more && is_wanted(withdrawal))
		end(withdrawal);
}

void withdrawal_open(struct withdrawal *withdrawal, struct loop *loop)
{
	withdrawal->slice = (struct loop_slice){.run = run, .context = withdrawal};
	loop_add_slice(loop, &withdrawal->slice);
}

void withdrawal_start(struct withdrawal *withdrawal)
{
	withdrawal->after = 0;
	withdrawal->deleted = withdrawal->kept = withdrawal->refused = 0;
	withdrawal->slice.active = true;
}
