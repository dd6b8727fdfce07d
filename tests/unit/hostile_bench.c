/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/hostile_bench.h"

#include "proto/node_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void bench_flows(struct bench *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct flow f = cluster_flow(b->next++);

		cluster_flow_new(&b->c, 0, &f);
	}
}

static int setup_as(void **state, uint16_t id)
{
	struct bench *b = calloc(1, sizeof(*b));

	cluster_init(&b->c, 2, 8);
	for (unsigned i = 0; i < 2; i++) {
		b->c.nodes[i].config.max_flows = BENCH_MAX_FLOWS;
		cluster_restart(&b->c, i);
	}
	cluster_role(&b->c, 0, FRAME_ROLE_PRIMARY);
	cluster_role(&b->c, 1, FRAME_ROLE_BACKUP);
	bench_flows(b, BENCH_FLOWS);
	assert_true(cluster_run_until(&b->c, cluster_is_in_sync, 5000000));
	hostile_join(&b->h, &b->c, id);
	hostile_run_us(&b->h, 1000000);
	*state = b;
	return 0;
}

int bench_setup(void **state)
{
	int error = setup_as(state, BENCH_HOSTILE_ID);
	struct bench *b = *state;

	for (unsigned i = 0; i < 2; i++)
		assert_true(hostile_view(&b->h, i).alive);
	return error;
}

int bench_setup_as_the_second(void **state)
{
	return setup_as(state, 2);
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	hostile_leave(&b->h);
	cluster_finish(&b->c);
	free(b);
	return 0;
}

/* ---- what must hold whatever it does ---- */

static void check_bounds(const struct bench *b)
{
	enum { PLENTY = 4 << 20 }; /* of a table of BENCH_MAX_FLOWS: a chunk of each size */

	for (unsigned i = 0; i < 2; i++) {
		const struct node *node = b->c.nodes[i].node;

		assert_true(table_memory(node->local.table) < PLENTY);
		for (unsigned p = 0; p < FRAME_PEERS_MAX; p++) {
			const struct receive *receive = &node->peers[p].receive;

			if (!node->peers[p].id)
				continue;
			assert_true(receive->stash.count <= STASH_FRAMES);
			assert_true(receive->stash.bytes <= STASH_BYTES);
			assert_true(table_count(receive->table) <= BENCH_MAX_FLOWS);
			assert_true(table_memory(receive->table) < PLENTY);
		}
	}
}

bool bench_pair_is_in_sync(struct cluster *c)
{
	struct node_peer_view view = cluster_peer_view(c, 1, 0);

	return view.holds.in_sync && view.held.in_sync && cluster_copy_equals(c, 1, 0);
}

/* It goes on, and so do flows; within a second the backup proves what the primary had. */
void bench_check_served(struct bench *b, bench_round *attack)
{
	bool served = false;

	bench_flows(b, 5);
	for (unsigned i = 0; i < BENCH_ROUNDS && !served; i++) {
		if (attack)
			attack(b, i);
		hostile_run_us(&b->h, BENCH_ROUND_US);
		served = bench_pair_is_in_sync(&b->c);
	}
	assert_true(served);
}

void bench_attack(struct bench *b, bench_round *attack)
{
	for (unsigned round = 0; round < BENCH_ROUNDS; round++) {
		attack(b, round);
		bench_flows(b, 2);
		hostile_run_us(&b->h, BENCH_ROUND_US);
		check_bounds(b);
	}
	bench_check_served(b, attack);
	check_bounds(b);
}

uint64_t bench_drops(struct bench *b, unsigned index, enum node_drop drop)
{
	struct node_view view;

	node_view(b->c.nodes[index].node, b->c.now, &view);
	return view.drops[drop];
}

bool bench_names_stranger(struct bench *b, uint16_t id, enum node_drop drop, const char *word)
{
	struct node_view view;

	node_view(b->c.nodes[0].node, b->c.now, &view);
	for (unsigned i = 0; i < view.strangers; i++) {
		struct node_stranger_view stranger;

		node_stranger_view(b->c.nodes[0].node, i, &stranger);
		if ((!id || stranger.id == id) && stranger.drop == drop && strstr(stranger.problem, word))
			return true;
	}
	return false;
}

/* It is always further from the end. */
void bench_go_on_with_the_full_sync(struct bench *b, unsigned round)
{
	for (unsigned node = 0; node < 2; node++) {
		struct frame_data data = {.flags = FRAME_DATA_FULL,
					  .full_id = b->h.heard[node].about_us.full_id};

		for (unsigned i = 0; i < 50; i++) {
			data.from = round * 50 + i;
			data.to = data.from + 1;
			data.asof = data.to + (UINT64_C(1) << 40);
			hostile_data(&b->h, node, &data, NULL, 0);
		}
	}
}
