/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of several nodes have in common: clusters on the heap, many flows at once, what a node holds. */
#include "tests/unit/cluster.h"

#include <assert.h>
#include <stdlib.h>

enum { BOOT_US = 10000000 };

struct cluster *cluster_new(unsigned nodes, uint64_t seed)
{
	struct cluster *c = calloc(1, sizeof(*c));

	assert(c);
	cluster_init(c, nodes, seed);
	return c;
}

void cluster_free(struct cluster *c)
{
	cluster_finish(c);
	free(c);
}

int cluster_teardown(void **state)
{
	cluster_free(*state);
	return 0;
}

bool cluster_boot(struct cluster *c)
{
	for (unsigned i = 0; i < c->count; i++)
		cluster_reboot(c, i);
	return cluster_run_until(c, cluster_is_in_sync, BOOT_US);
}

void cluster_flows_new(struct cluster *c, unsigned index, uint32_t first, uint32_t count)
{
	cluster_flows_new_paced(c, index, first, count, UINT32_MAX, 0);
}

void cluster_flows_new_paced(struct cluster *c, unsigned index, uint32_t first, uint32_t count,
			     uint32_t every, int64_t pause_us)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow flow = cluster_flow(i);

		cluster_flow_new(c, index, &flow);
		if (i % every == 0)
			cluster_run_us(c, pause_us);
	}
}

void cluster_flows_destroy(struct cluster *c, unsigned index, uint32_t first, uint32_t count)
{
	cluster_flows_destroy_paced(c, index, first, count, UINT32_MAX, 0);
}

void cluster_flows_destroy_paced(struct cluster *c, unsigned index, uint32_t first, uint32_t count,
				 uint32_t every, int64_t pause_us)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow flow = cluster_flow(i);

		cluster_flow_destroy(c, index, &flow);
		if (i % every == 0)
			cluster_run_us(c, pause_us);
	}
}

struct node_view cluster_view(struct cluster *c, unsigned index)
{
	struct node_view view;

	node_view(c->nodes[index].node, c->now, &view);
	return view;
}

size_t cluster_internal_count(struct cluster *c, unsigned index)
{
	return table_count(node_internal(c->nodes[index].node));
}

bool cluster_is_in_kernel(struct cluster *c, unsigned index, uint32_t i)
{
	struct flow flow = cluster_flow(i);

	return cluster_kernel_find(&c->nodes[index], &flow) != NULL;
}

size_t cluster_kernel_count(struct cluster *c, unsigned index)
{
	return table_count(c->nodes[index].kernel);
}

size_t cluster_held(struct cluster *c, unsigned holder, unsigned owner)
{
	const struct table *copy = node_external(c->nodes[holder].node, c->nodes[owner].config.id);

	return copy ? table_count(copy) : 0;
}

size_t cluster_orphans(struct cluster *c, unsigned holder, unsigned owner)
{
	struct node_table_view tables[NODE_TABLES_MAX];
	size_t flows = 0;

	for (unsigned i = 0, count = node_tables(c->nodes[holder].node, tables); i < count; i++)
		if (tables[i].orphan && tables[i].id == c->nodes[owner].config.id)
			flows += table_count(tables[i].table);
	return flows;
}

/* ---- what to look at ---- */

struct flow cluster_flow(uint32_t i)
{
	struct flow f = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};

	f.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK | FLOW_HAS_TCP;
	f.orig.src[0] = 10;
	f.orig.src[1] = (uint8_t)(i >> 24);
	f.orig.src[2] = (uint8_t)(i >> 16);
	f.orig.src[3] = 1;
	f.orig.dst[0] = 198;
	f.orig.dst[3] = 7;
	f.orig.sport = (uint16_t)(i & 0xffff);
	f.orig.dport = 80;
	f.reply = flow_tuple_mirror(&f.orig, f.protocol);
	f.reply.dst[0] = 203;
	f.status = FLOW_STATUS_CONFIRMED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED |
		   FLOW_STATUS_SRC_NAT | FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;
	f.timeout_s = 432000;
	f.tcp.state = FLOW_TCP_ESTABLISHED;
	return f;
}

bool cluster_copy_equals(struct cluster *c, unsigned holder, unsigned owner)
{
	const struct table *copy = node_external(c->nodes[holder].node, c->nodes[owner].config.id);
	const struct table *table = node_internal(c->nodes[owner].node);

	return copy && table_count(copy) == table_count(table) && table_digest(copy) == table_digest(table);
}

struct node_peer_view cluster_peer_view(struct cluster *c, unsigned index, unsigned of)
{
	struct node_peer_view view = {0};
	struct node_view whole;

	node_view(c->nodes[index].node, c->now, &whole);
	for (unsigned i = 0; i < whole.peers; i++) {
		node_peer_view(c->nodes[index].node, cluster_clock(c, index), i, &view);
		if (view.id == c->nodes[of].config.id)
			return view;
	}
	return (struct node_peer_view){0};
}

bool cluster_is_in_sync(struct cluster *c)
{
	for (unsigned i = 0; i < c->count; i++)
		for (unsigned j = 0; j < c->count; j++) {
			struct node_peer_view view;

			if (i == j || c->nodes[i].down || c->nodes[j].down)
				continue;
			view = cluster_peer_view(c, i, j);
			if (!view.holds.in_sync || !view.held.in_sync || !cluster_copy_equals(c, i, j))
				return false;
		}
	return true;
}
