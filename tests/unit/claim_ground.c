/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/claim_ground.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct cluster *claim_start_many(unsigned nodes)
{
	struct cluster *c = cluster_new(nodes, 31);

	assert_true(cluster_boot(c));
	cluster_role(c, A, FRAME_ROLE_PRIMARY);
	cluster_flows_new(c, A, 0, CLAIM_OLD);
	cluster_run_us(c, 1000000);
	for (unsigned i = B; i < nodes; i++)
		assert_int_equal(cluster_held(c, i, A), CLAIM_OLD);
	return c;
}

struct cluster *claim_start(void)
{
	return claim_start_many(2);
}

void claim_say_role(struct cluster *c, unsigned index, enum frame_role role)
{
	struct node_event event = {.type = NODE_ROLE, .role = role};

	cluster_step(c, index, &event);
}

void claim_restart(struct cluster *c)
{
	c->nodes[A].config.own_term = 1;
	cluster_restart(c, A);
	claim_say_role(c, A, FRAME_ROLE_PRIMARY);
}

void claim_restart_without_role(struct cluster *c)
{
	cluster_restart(c, A);
	cluster_audit(c, A);
	assert_true(cluster_run_until(c, cluster_is_in_sync, 10000000));
}

void claim_take_over_and_drop(struct cluster *c)
{
	cluster_run_us(c, 3000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 3000000);
	assert_int_equal(cluster_held(c, B, A), 0);
}

void claim_give_away_and_take_back(struct cluster *c)
{
	cluster_role(c, B, FRAME_ROLE_BACKUP);
	cluster_run_us(c, 1000000);
	cluster_role(c, B, FRAME_ROLE_PRIMARY);
	cluster_run_us(c, 1000000);
}

void claim_close(struct cluster *c, unsigned index, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct flow flow = cluster_flow(i);

		flow.tcp.state = FLOW_TCP_TIME_WAIT;
		cluster_flow_update(c, index, &flow);
		cluster_flow_destroy(c, index, &flow);
	}
}

uint32_t claim_in_kernel(struct cluster *c, unsigned index, uint32_t first, uint32_t count)
{
	uint32_t found = 0;

	for (uint32_t i = first; i < first + count; i++)
		found += cluster_is_in_kernel(c, index, i);
	return found;
}

bool claim_drop_what_is_long(void *context, struct cluster_packet *packet)
{
	(void)context;
	return packet->from != A || packet->length < 600;
}

void claim_forget_removals(struct cluster *c, unsigned index)
{
	struct node_event event = {.type = NODE_CONFIGURE, .config = &c->nodes[index].config};

	c->nodes[index].config.max_tombstones = 0;
	cluster_step(c, index, &event);
}
