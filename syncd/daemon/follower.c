/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/follower.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/drive.h"
#include "syncd/daemon/untouched.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct followed {
	struct flow flow;
	bool gone;
};

static const int64_t SAMPLE_US = 1000000;

/* ---- dates ---- */

/* Makes room by joining pairs: the older, the coarser. */
static void join_samples(struct follower *follower)
{
	unsigned count = follower->samples_count / 2;
	for (unsigned i = 0; i < count; i++) {
		struct monotime first = follower->samples[2 * i].first;
		follower->samples[i] = follower->samples[2 * i + 1];
		follower->samples[i].first = first;
	}
	follower->samples_count = count;
}

void follower_date(struct follower *follower, uint64_t version, struct monotime now)
{
	unsigned last = follower->samples_count - 1;
	bool extends =
	    follower->samples_count > 0 && monotime_sub(now, follower->samples[last].first).us < SAMPLE_US;
	if (!extends) {
		if (follower->samples_count == FOLLOWER_SAMPLES)
			join_samples(follower);
		last = follower->samples_count++;
		follower->samples[last].first = now;
	}
	follower->samples[last].version = version;
	follower->samples[last].at = now;
}

/* When that version had been given for sure; false: by no commit of ours. */
static bool find_date(const struct follower *follower, uint64_t version, struct monotime *at)
{
	for (unsigned i = 0; i < follower->samples_count; i++) {
		if (follower->samples[i].version < version)
			continue;
		*at = follower->samples[i].at;
		return true;
	}
	return false;
}

/* ---- the queue ---- */

void follower_push(struct follower *follower, const struct flow *flow, bool gone)
{
	if (follower->count == follower->size) {
		size_t size = follower->size > 0 ? 2 * follower->size : FOLLOWER_MANY;
		struct followed *queue = realloc(follower->queue, size * sizeof(*queue));
		if (queue == NULL) {
			follower->lost++;
			log_write(follower->log, LOG_ERR, "follow-memory",
				  "out of memory: changes at the former primary do not reach this kernel");
			return;
		}
		follower->queue = queue;
		follower->size = size;
	}
	follower->queue[follower->count].flow = *flow;
	follower->queue[follower->count].gone = gone;
	follower->count++;
}

/* ---- what comes ---- */

static void settled(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct follower *follower = context;
	struct node_event event = {.type = NODE_FLOW_COMMITTED, .flow = flow};
	char text[FLOW_TEXT_SIZE];
	if (result == COMMIT_TABLE_FULL)
		drive_give(follower->drive, &(struct node_event){.type = NODE_FLOW_REFUSED});
	if (result != COMMIT_KEPT && commit_is_in_kernel(result, error)) {
		follower->brought++;
		drive_give(follower->drive, &event);
	} else if (!commit_is_in_kernel(result, error) && result != COMMIT_EXPIRED) {
		log_write(follower->log, LOG_WARNING, "follow-failed",
			  "a flow of the former primary could not be brought here: %s: %s%s%s",
			  flow_key_print(flow, text), commit_result_name(result), error != 0 ? ", " : "",
			  error != 0 ? strerror(-error) : "");
	}
}

static void bring(struct follower *follower, const struct flow *flow, const struct commit_options *options)
{
	/* a connection of this very host lives on here, and not through NAT */
	if (filter_accepts(follower->filter, flow))
		commit_flow(follower->commit, flow, ageing_remaining_s(follower->ageing, flow, 0), options,
			    settled, follower);
}

/* ---- what goes ---- */

static void deleted(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct follower *follower = context;
	struct node_event event = {.type = NODE_FLOW_DESTROY, .flow = flow};
	char text[FLOW_TEXT_SIZE];
	if (commit_is_in_kernel(result, error)) { /* in its terms: deleted, or gone already */
		follower->deleted++;
		drive_give(follower->drive, &event);
	} else {
		log_write(follower->log, LOG_WARNING, "follow-failed",
			  "a flow that ended at the former primary could not be deleted here: %s: %s",
			  flow_key_print(flow, text), strerror(-error));
	}
}

static bool is_liberal(const struct follower *follower)
{
	return !follower->ageing->config->commit.tcp_strict;
}

static bool may_delete(struct follower *follower, const struct flow *last, struct flow *kernel)
{
	const struct table *internal = node_internal(drive_node(follower->drive));
	uint8_t key[RECORD_KEY_MAX];
	struct monotime at;
	size_t length = record_encode_key(last, key);
	if (length == 0)
		return false;
	const struct table_entry *entry =
	    table_find(internal, (struct record_key){.bytes = key, .length = length});
	if (entry == NULL || entry->flags & TABLE_ENTRY_TOMBSTONE)
		return false;
	if (!find_date(follower, table_version(internal, entry), &at) ||
	    audit_get(follower->audit, last, kernel) < 0)
		return false;
	struct convert_options committed = {.tcp_liberal = is_liberal(follower),
					    .timeout_s = ageing_remaining_s(follower->ageing, last, 0)};
	return untouched_since_commit(last, entry->bytes, kernel, &committed,
				      monotime_sub(clock_now(), at).us);
}

static void let_go(struct follower *follower, const struct flow *last)
{
	struct flow kernel;
	if (!may_delete(follower, last, &kernel)) {
		follower->touched++;
		return;
	}
	commit_delete(follower->commit, &kernel, deleted, follower);
	commit_flush(follower->commit);
}

void follower_run(struct follower *follower, bool fence_is_closed)
{
	struct commit_options options = {.fence_closed = fence_is_closed,
					 .tcp_liberal = is_liberal(follower)};
	if (follower->runs || follower->count == 0)
		return;
	follower->runs = true;
	/* the node may name more while it takes in what was done */
	for (size_t i = 0; i < follower->count; i++) {
		struct flow flow = follower->queue[i].flow;
		if (!follower->queue[i].gone) {
			bring(follower, &flow, &options);
			continue;
		}
		commit_flush(follower->commit); /* order is kept */
		let_go(follower, &flow);
	}
	commit_flush(follower->commit);
	follower->count = 0;
	follower->runs = false;
}

void follower_close(struct follower *follower)
{
	free(follower->queue);
	follower->queue = NULL;
}
