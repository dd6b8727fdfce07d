/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's part in role changes, on model kernels: takeover, follows, withdrawal. */
#include "tests/unit/cluster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void tell(struct cluster_node *n, enum node_event_type type, const struct flow *flow)
{
	struct node_event event = {.type = type, .flow = flow};

	cluster_step(n->cluster, n->index, &event);
}

static struct flow without_incarnation(const uint8_t *record)
{
	struct flow flow;

	record_decode(record, &flow);
	flow.incarnation = 0;
	return flow;
}

/* As commit.c does: creates, or brings forward, never back. */
static void kernel_commit(struct cluster_node *n, struct flow flow)
{
	struct table_entry *entry = cluster_kernel_find(n, &flow);
	struct flow known;

	flow.incarnation = 0;
	if (entry) {
		record_decode(entry->bytes, &known);
		if (flow_progress_compare(&flow, &known) < 0)
			return;
	}
	cluster_kernel_put(n->cluster, n->index, &flow);
	tell(n, NODE_FLOW_COMMITTED, &flow);
}

static void kernel_end(struct cluster_node *n, struct flow flow)
{
	struct table_entry *entry = cluster_kernel_find(n, &flow);
	uint8_t record[RECORD_MAX];

	flow.incarnation = 0;
	record_encode(&flow, record);
	if (!entry || !record_equals(entry->bytes, record))
		return; /* touched by a packet here, as a model kernel can tell */
	table_remove(n->kernel, entry);
	tell(n, NODE_FLOW_DESTROY, &flow);
}

static void withdraw(struct cluster_node *n)
{
	struct table_walk walk;
	const struct table_entry *entry;

	n->withdraw_wanted = false;
	for (;;) {
		struct flow flow;

		walk = table_walk_after(node_internal(n->node), 0, false);
		entry = table_walk_next(&walk);
		if (!entry)
			break;
		flow = without_incarnation(entry->bytes);
		if (node_is_named_by_primary(n->node, &flow)) {
			tell(n, NODE_FLOW_DISOWNED, &flow);
			continue;
		}
		cluster_kernel_remove(n->cluster, n->index, &flow);
		tell(n, NODE_FLOW_WITHDRAWN, &flow);
	}
	tell(n, NODE_WITHDRAW_END, NULL);
}

void cluster_settle(struct cluster_node *n)
{
	struct cluster_follow *follows = n->follows;
	size_t count = n->follows_count;

	n->follows = NULL;
	n->follows_count = n->follows_size = 0;
	for (size_t i = 0; i < count; i++) {
		if (follows[i].gone)
			kernel_end(n, follows[i].flow);
		else
			kernel_commit(n, follows[i].flow);
	}
	free(follows);
	if (n->withdraw_wanted)
		withdraw(n);
}

static void commit_table(struct cluster_node *n, const struct table *table)
{
	uint64_t after = 0;

	for (;;) {
		struct table_walk walk = table_walk_after(table, after, false);
		const struct table_entry *entry = table_walk_next(&walk);

		if (!entry)
			return;
		after = walk.version;
		if (!node_has_ended(n->node, table, record_key(entry->bytes)))
			kernel_commit(n, without_incarnation(entry->bytes));
	}
}

static bool takes_over(struct cluster *c, unsigned index)
{
	struct node_view view = cluster_view(c, index);

	return view.role != FRAME_ROLE_PRIMARY || view.must_retake;
}

void cluster_takeover_begin(struct cluster *c, unsigned index)
{
	tell(&c->nodes[index], NODE_TAKEOVER, NULL);
	cluster_warm_run(&c->nodes[index]);
}

void cluster_takeover_end(struct cluster *c, unsigned index)
{
	struct cluster_node *n = &c->nodes[index];
	struct node_event event = {.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};
	struct node_table_view tables[NODE_TABLES_MAX];
	struct node_foreign_view foreign;
	bool is_here;

	node_foreign_view(n->node, &foreign);
	is_here = foreign.active && !cluster_view(c, index).leftovers;
	for (unsigned i = 0, count = is_here ? 0 : node_tables(n->node, tables); i < count; i++)
		commit_table(n, tables[i].table);
	cluster_step(c, index, &event);
}

void cluster_role(struct cluster *c, unsigned index, enum frame_role role)
{
	struct node_event event = {.type = NODE_ROLE, .role = role};

	if (c->nodes[index].down)
		return;
	if (role != FRAME_ROLE_PRIMARY || !takes_over(c, index)) {
		cluster_step(c, index, &event);
		return;
	}
	cluster_takeover_begin(c, index);
	cluster_takeover_end(c, index);
}

void cluster_reboot(struct cluster *c, unsigned index)
{
	struct cluster_node *n = &c->nodes[index];

	if (!n->down)
		cluster_stop(c, index);
	table_clear(n->kernel);
	n->boots++;
	memcpy(n->config.instance.boot_id, &n->boots, sizeof(n->boots));
	n->config.instance.boot_id[15] = (uint8_t)(index + 1);
	n->config.leftovers = false;
	n->config.own_term = 0;
	cluster_restart(c, index);
}
