/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's part in warm mode, on model kernels.  A kernel entry's tag is the second in which a copy runs
 * out. */
#include "tests/unit/cluster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_LIVES_S = 120 };

static uint32_t seconds_left(const struct cluster_node *n, const struct flow *flow, uint32_t elapsed_s)
{
	return n->remaining_s ? n->remaining_s(NULL, flow, elapsed_s) : COPY_LIVES_S;
}

static void done(struct cluster_node *n, const struct cluster_foreign *act, enum node_foreign_result result,
		 uint32_t timeout_s)
{
	struct node_event event = {.type = NODE_FOREIGN_DONE,
				   .foreign = {&act->flow, act->act, result, timeout_s}};

	cluster_step(n->cluster, n->index, &event);
}

static void install(struct cluster_node *n, struct cluster_foreign *act)
{
	struct table_entry *entry = cluster_kernel_find(n, &act->flow);
	uint32_t left_s = seconds_left(n, &act->flow, act->elapsed_s);
	struct flow known;

	act->flow.incarnation = entry ? act->flow.incarnation : 0;
	if (!left_s || (n->refuses && n->refuses(&act->flow))) {
		done(n, act,
		     !left_s      ? NODE_FOREIGN_REFUSED
		     : n->is_full ? NODE_FOREIGN_NO_ROOM
				  : NODE_FOREIGN_FAILED,
		     0);
		return;
	}
	if (entry) { /* brought forward, never back */
		record_decode(entry->bytes, &known);
		if (flow_progress_compare(&act->flow, &known) < 0)
			act->flow = known;
	}
	cluster_kernel_put(n->cluster, n->index, &act->flow);
	cluster_kernel_find(n, &act->flow)->tag = (uint32_t)(n->cluster->now.us / 1000000) + left_s;
	done(n, act, NODE_FOREIGN_IN_KERNEL, left_s);
}

static void carry_out(struct cluster_node *n, struct cluster_foreign *act)
{
	struct table_entry *entry = cluster_kernel_find(n, &act->flow);

	n->acts[act->act]++;
	switch (act->act) {
	case NODE_FOREIGN_INSTALL:
		install(n, act);
		break;
	case NODE_FOREIGN_REMOVE:
		if (entry && !n->keeps_copies)
			table_remove(n->kernel, entry);
		done(n, act, n->keeps_copies ? NODE_FOREIGN_FAILED : NODE_FOREIGN_GONE, 0);
		break;
	case NODE_FOREIGN_REFRESH:
		if (entry)
			entry->tag = (uint32_t)(n->cluster->now.us / 1000000) + COPY_LIVES_S;
		done(n, act, entry ? NODE_FOREIGN_IN_KERNEL : NODE_FOREIGN_GONE, COPY_LIVES_S);
		break;
	case NODE_FOREIGN_CHECK:
		done(n, act, entry ? NODE_FOREIGN_IN_KERNEL : NODE_FOREIGN_GONE, COPY_LIVES_S);
		break;
	}
}

void cluster_foreign_effect(void *context, enum node_foreign_act act, const struct flow *flow,
			    uint32_t elapsed_s)
{
	struct cluster_node *n = context;

	assert(n->foreign_count < sizeof(n->foreign) / sizeof(n->foreign[0]));
	n->foreign[n->foreign_count++] = (struct cluster_foreign){*flow, act, elapsed_s};
}

void cluster_warm_run(struct cluster_node *n)
{
	struct cluster_foreign acts[sizeof(n->foreign) / sizeof(n->foreign[0])];
	struct node_event event = {.type = NODE_FOREIGN_RUN};

	while (!n->down && !n->holds_copies_back &&
	       node_foreign_deadline(n->node).us <= cluster_clock(n->cluster, n->index).us) {
		cluster_step(n->cluster, n->index, &event);
		size_t count = n->foreign_count;

		memcpy(acts, n->foreign, count * sizeof(acts[0]));
		n->foreign_count = 0;
		for (size_t i = 0; i < count; i++) /* what removes goes first */
			if (acts[i].act == NODE_FOREIGN_REMOVE)
				carry_out(n, &acts[i]);
		for (size_t i = 0; i < count; i++)
			if (acts[i].act != NODE_FOREIGN_REMOVE)
				carry_out(n, &acts[i]);
	}
}

size_t cluster_expire(struct cluster *c, unsigned index)
{
	struct cluster_node *n = &c->nodes[index];
	uint32_t now_s = (uint32_t)(c->now.us / 1000000);
	struct table_walk walk = table_walk_after(n->kernel, 0, false);
	const struct table_entry *entry;
	size_t expired = 0;

	while ((entry = table_walk_next(&walk))) {
		uint64_t at = walk.version;
		struct flow flow;

		if (!entry->tag || entry->tag > now_s)
			continue;
		record_decode(entry->bytes, &flow);
		flow.incarnation = 0;
		cluster_flow_destroy(c, index, &flow);
		expired++;
		walk = table_walk_after(n->kernel, at, false);
	}
	return expired;
}

void cluster_make_warm(struct cluster *c, unsigned index, bool warm)
{
	struct node_event event = {.type = NODE_CONFIGURE, .config = &c->nodes[index].config};

	c->nodes[index].config.warm = warm;
	cluster_step(c, index, &event);
}

struct cluster *cluster_warm_new(unsigned nodes)
{
	struct cluster *c = cluster_new(nodes, 7);

	for (unsigned i = 0; i < nodes; i++)
		cluster_make_warm(c, i, true);
	cluster_role(c, 0, FRAME_ROLE_PRIMARY);
	for (unsigned i = 1; i < nodes; i++)
		cluster_role(c, i, FRAME_ROLE_BACKUP);
	assert(cluster_run_until(c, cluster_is_in_sync, 5000000));
	return c;
}

size_t cluster_copies(struct cluster *c, unsigned index)
{
	struct node_foreign_view view;

	node_foreign_view(c->nodes[index].node, &view);
	return view.flows;
}
