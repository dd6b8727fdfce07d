/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/commit_batch.h"
#include "syncd/kernel/worker.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sched.h>
#include <stdlib.h>

enum {
	AHEAD = 24,
	BATCHES = 6, /* one that is filled, and the others under way */
	LEFT = 1,    /* where none is done, it is waited until so few are left: waking costs, too */
};

struct commit {
	struct commit_wire wire; /* the thread's while batches are under way */
	uint32_t sequence;
	struct worker *worker; /* NULL: there is none */
	bool in_background;
	struct commit_batch *batches[BATCHES]; /* in turn; all but the first only in the background */
	unsigned filled;                       /* the one that is */
	unsigned under_way;                    /* those before it, not told yet */
};

const char *commit_result_name(enum commit_result result)
{
	static const char *const names[COMMIT_RESULTS] = {
	    [COMMIT_CREATED] = "created",
	    [COMMIT_UPDATED] = "updated",
	    [COMMIT_KEPT] = "kept",
	    [COMMIT_REPLACED] = "replaced",
	    [COMMIT_CLASH] = "clash",
	    [COMMIT_EXPIRED] = "expired",
	    [COMMIT_TABLE_FULL] = "table-full",
	    [COMMIT_NO_MASTER] = "no-master",
	    [COMMIT_NO_HELPER] = "no-helper",
	    [COMMIT_NO_LABELS] = "no-labels",
	    [COMMIT_REFUSED] = "refused",
	};

	return result < COMMIT_RESULTS ? names[result] : "unknown";
}

bool commit_is_in_kernel(enum commit_result result, int error)
{
	switch (result) {
	case COMMIT_CREATED:
	case COMMIT_UPDATED:
	case COMMIT_KEPT:
	case COMMIT_REPLACED:
		return true;
	case COMMIT_NO_MASTER:
	case COMMIT_NO_HELPER:
	case COMMIT_NO_LABELS:
		return !error;
	default:
		return false;
	}
}

static void work(void *context, void *piece)
{
	commit_batch_run(piece, context);
}

int commit_open(struct commit **result)
{
	struct commit *commit = calloc(1, sizeof(*commit));
	int error;

	if (!commit)
		return -ENOMEM;
	commit->batches[0] = calloc(1, sizeof(*commit->batches[0]));
	error = commit_wire_open(&commit->wire);
	if (!error && !commit->batches[0])
		error = -ENOMEM;
	if (error) {
		commit_close(commit);
		return error;
	}
	*result = commit;
	return 0;
}

static void free_batches(struct commit *commit, unsigned from)
{
	for (unsigned i = from; i < BATCHES; i++) {
		free(commit->batches[i]);
		commit->batches[i] = NULL;
	}
}

void commit_close(struct commit *commit)
{
	if (!commit)
		return;
	worker_end(commit->worker);
	free_batches(commit, 0);
	commit_wire_close(&commit->wire);
	free(commit);
}

size_t commit_ports(const struct commit *commit, uint32_t *ports, size_t max)
{
	if (!max)
		return 0;
	ports[0] = commit->wire.port;
	return 1;
}

static struct commit_batch *filled_batch(const struct commit *commit)
{
	return commit->batches[commit->filled];
}

static void tell_ahead(const struct commit_batch *batch, unsigned i)
{
	if (i < batch->count && batch->options.ahead)
		batch->options.ahead(batch->context, &batch->slots[i].flow);
}

/* Tells the ends of a batch that is carried out, which is free then. */
static void tell(struct commit_batch *batch)
{
	for (unsigned i = 0; i < AHEAD; i++)
		tell_ahead(batch, i);
	for (unsigned i = 0; i < batch->count; i++) {
		const struct slot *slot = &batch->slots[i];

		tell_ahead(batch, i + AHEAD);
		batch->done(batch->context, &slot->flow, (enum commit_result)slot->result, slot->error);
	}
	batch->count = 0;
}

/* Tells of the oldest batch under way, of which there must be one. */
static void collect(struct commit *commit)
{
	struct commit_batch *batch = worker_take(commit->worker);

	if (!batch) {
		worker_wait(commit->worker, commit->under_way > LEFT ? LEFT : 0);
		batch = worker_take(commit->worker);
	}
	commit->under_way--;
	tell(batch);
}

/* Sends what is queued; afterwards a batch is free. */
static void send_batch(struct commit *commit)
{
	struct commit_batch *batch = filled_batch(commit);

	if (!batch->count)
		return;
	batch->sequence = commit->sequence;
	commit->sequence += BATCH_SEQUENCES;
	commit_batch_write(batch);
	if (!commit->in_background) {
		commit_batch_run(batch, &commit->wire);
		tell(batch);
		return;
	}
	worker_hand(commit->worker, batch);
	commit->under_way++;
	commit->filled = (commit->filled + 1) % BATCHES;
	if (commit->under_way == BATCHES - 1)
		collect(commit);
}

/* Where its flow is queued; what others have queued before goes first. */
static struct slot *queue(struct commit *commit, enum step step, commit_done *done, void *context)
{
	struct commit_batch *batch = filled_batch(commit);

	if (batch->count && (batch->done != done || batch->context != context))
		send_batch(commit);
	batch = filled_batch(commit);
	if (!batch->count)
		batch->options = (struct commit_options){.ahead = NULL};
	batch->done = done;
	batch->context = context;
	return commit_batch_queue(batch, step);
}

static void send_if_full(struct commit *commit)
{
	if (filled_batch(commit)->count == BATCH_FLOWS)
		send_batch(commit);
}

void commit_flow(struct commit *commit, const struct flow *flow, uint32_t timeout_s,
		 const struct commit_options *options, commit_done *done, void *context)
{
	const uint32_t local =
	    FLOW_HAS_ID | FLOW_HAS_USE | FLOW_HAS_COUNTERS | FLOW_HAS_TIMESTAMP | FLOW_HAS_SECCTX;
	struct convert_options as_created = {.tcp_liberal = options->tcp_liberal, .timeout_s = timeout_s};
	struct slot *slot;

	if (!timeout_s) {
		done(context, flow, COMMIT_EXPIRED, 0);
		return;
	}
	slot = queue(commit, options->existing_only ? STEP_FIND : STEP_CREATE, done, context);
	filled_batch(commit)->options = *options;
	slot->timeout_s = timeout_s;
	slot->flow = *flow;
	slot->flow.present &= ~local;
	slot->flow.id = 0;
	convert_as_created(&slot->flow, &as_created);
	send_if_full(commit);
}

void commit_delete(struct commit *commit, const struct flow *key, commit_done *done, void *context)
{
	queue(commit, key->present & FLOW_HAS_ID ? STEP_DELETE : STEP_CHECK, done, context)->flow = *key;
	send_if_full(commit);
}

void commit_refresh(struct commit *commit, const struct flow *flow, uint32_t timeout_s, commit_done *done,
		    void *context)
{
	struct slot *slot = queue(commit, STEP_REFRESH, done, context);

	slot->flow = *flow;
	slot->timeout_s = timeout_s;
	send_if_full(commit);
}

void commit_flush(struct commit *commit)
{
	send_batch(commit);
	while (commit->under_way)
		collect(commit);
}

bool commit_is_settled(const struct commit *commit)
{
	return !commit->under_way && !filled_batch(commit)->count;
}

static int request_flush(struct commit *commit)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg nfgen;
	} request = {
	    .header = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		       .nlmsg_seq = commit->sequence},
	    .nfgen = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};

	commit->sequence += BATCH_SEQUENCES;
	return commit_wire_request(&commit->wire, &request.header);
}

int commit_flush_kernel(struct commit *commit)
{
	commit_flush(commit);
	return request_flush(commit);
}

/* ---- in the background ---- */

static bool has_one_processor(void)
{
	cpu_set_t set;

	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1;
}

int commit_start_thread(struct commit *commit)
{
	if (commit->worker)
		return 0;
	if (has_one_processor())
		return -EOPNOTSUPP;
	return worker_start(&commit->worker, "commit", work, &commit->wire);
}

bool commit_set_background(struct commit *commit, bool wanted)
{
	commit_flush(commit);
	commit->filled = 0;
	commit->in_background = wanted && commit->worker;
	for (unsigned i = 1; commit->in_background && i < BATCHES; i++) {
		if (!commit->batches[i])
			commit->batches[i] = calloc(1, sizeof(*commit->batches[i]));
		commit->in_background = commit->batches[i] != NULL;
	}
	if (!commit->in_background)
		free_batches(commit, 1);
	return commit->in_background;
}
