/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random schedules of faults over a few nodes: while they last, no node may claim to be in step when it is
 * not; when they stop, all must become equal, and say so.  NODE_SEED=n runs one seed, NODE_SEEDS=n that many,
 * from NODE_FIRST on.
 */
#include "tests/unit/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	SEEDS = 200,
	FLOWS = 300, /* of each node */
	PHASES = 24,
	HISTORY = 1 << 15,
	SYNC_LIMIT_S = 700, /* two back-offs of a full catch-up, at their longest */
};

/* What a node's internal table was, and until when. */
struct state {
	struct seal_session_id session;
	uint64_t version, digest;
	uint32_t count;
	struct monotime until;
};

struct history {
	struct state states[HISTORY]; /* ring */
	size_t count;
};

struct world {
	struct cluster cluster;
	struct history histories[CLUSTER_NODES_MAX];
	bool exists[CLUSTER_NODES_MAX][FLOWS];
	uint64_t seed;
	unsigned small; /* index of the node with a low max_flows; CLUSTER_NODES_MAX: none */
};

static uint32_t below(struct world *w, uint32_t n)
{
	return (uint32_t)(cluster_random(&w->cluster) % n);
}

/* ---- bookkeeping: what was true when ---- */

static void note_state(struct world *w, unsigned i)
{
	struct cluster_node *n = &w->cluster.nodes[i];
	struct history *h = &w->histories[i];
	const struct table *table;
	struct node_view view;
	struct state now, *last = &h->states[(h->count - 1) % HISTORY];

	if (n->down)
		return;
	node_view(n->node, w->cluster.now, &view);
	table = node_internal(n->node);
	now = (struct state){view.session, table_newest(table), table_digest(table),
			     (uint32_t)table_count(table), w->cluster.now};
	if (h->count && last->version == now.version && last->digest == now.digest &&
	    !memcmp(&last->session, &now.session, sizeof(now.session))) {
		last->until = now.until;
		return;
	}
	h->states[h->count++ % HISTORY] = now;
}

/* The last state of that version; NULL: there was none. */
static const struct state *state_of(const struct history *h, const struct seal_session_id *session,
				    uint64_t version)
{
	size_t kept = h->count < HISTORY ? h->count : HISTORY;

	for (size_t back = 1; back <= kept; back++) {
		const struct state *s = &h->states[(h->count - back) % HISTORY];

		if (s->version <= version && !memcmp(&s->session, session, sizeof(*session)))
			return s;
	}
	return NULL;
}

static void fail_claim(const struct world *w, unsigned holder, unsigned owner, const char *what)
{
	fail_msg("NODE_SEED=%llu at %lld: node %u holds node %u: %s", (unsigned long long)w->seed,
		 (long long)w->cluster.now.us, holder + 1, owner + 1, what);
}

/* `version` was the owner's newest less than two heartbeats ago. */
static void check_claim(struct world *w, unsigned holder, unsigned owner,
			const struct seal_session_id *session, uint64_t version)
{
	struct history *h = &w->histories[owner];
	const struct state *s = state_of(h, session, version);
	const struct table *copy;
	int64_t slack_us = 10000, age;
	struct node_peer_view view;

	if (!s)
		fail_claim(w, holder, owner, "claimed for a version that never was");
	age = w->cluster.now.us - s->until.us;
	if (w->cluster.nodes[owner].down)
		return;
	if (age > 2 * w->cluster.nodes[owner].config.heartbeat.us + slack_us)
		fail_claim(w, holder, owner, "claimed for a version that is long past");
	if (w->cluster.nodes[holder].down)
		return;
	view = cluster_peer_view(&w->cluster, holder, owner);
	copy = node_external(w->cluster.nodes[holder].node, w->cluster.nodes[owner].config.id);
	/* (what the owner last heard of its copy may have been flushed since) */
	if (view.holds.in_sync && s->version == version && view.applied == version && copy &&
	    !memcmp(&view.session, session, sizeof(*session)) &&
	    (table_count(copy) != s->count || table_digest(copy) != s->digest))
		fail_claim(w, holder, owner, "claimed, and the copy is not what the table was");
}

static void check_claims(struct world *w)
{
	struct cluster *c = &w->cluster;

	for (unsigned i = 0; i < c->count; i++)
		note_state(w, i);
	for (unsigned i = 0; i < c->count; i++)
		for (unsigned j = 0; j < c->count && !c->nodes[i].down; j++) {
			struct node_peer_view view;
			struct node_view own;

			if (i == j)
				continue;
			view = cluster_peer_view(c, i, j);
			node_view(c->nodes[i].node, c->now, &own);
			if (view.holds.in_sync)
				check_claim(w, i, j, &view.session, view.holds.version);
			if (view.held.in_sync)
				check_claim(w, j, i, &own.session, view.held.version);
		}
}

static void run(struct world *w, int64_t us)
{
	struct monotime end = monotime_add(w->cluster.now, monotime_from_us(us));

	check_claims(w);
	while (monotime_is_before(w->cluster.now, end)) {
		cluster_run_us(&w->cluster, 2000);
		check_claims(w);
	}
}

/* ---- flows ---- */

static struct flow flow_of(unsigned node, uint32_t i)
{
	return cluster_flow(node * 1000 + i);
}

static void change_flow(struct world *w, unsigned node, bool silently)
{
	uint32_t i = below(w, FLOWS);
	struct flow f = flow_of(node, i);
	struct cluster *c = &w->cluster;
	bool dies = w->exists[node][i] && below(w, 2);

	f.mark = below(w, 4);
	if (dies && silently)
		cluster_kernel_remove(c, node, &f);
	else if (dies)
		cluster_flow_destroy(c, node, &f);
	else if (silently)
		cluster_kernel_put(c, node, &f);
	else if (w->exists[node][i])
		cluster_flow_update(c, node, &f);
	else
		cluster_flow_new(c, node, &f);
	w->exists[node][i] = !dies;
}

static void traffic(struct world *w)
{
	unsigned node = below(&*w, w->cluster.count), changes = below(w, 3) ? below(w, 30) : below(w, 600);
	int64_t pause = below(w, 3) ? 100 : 3000;

	for (unsigned i = 0; i < changes; i++) {
		change_flow(w, node, false);
		note_state(w, node);
		if (below(w, 20) == 0)
			run(w, pause);
	}
}

/* ---- faults ---- */

static void request(struct world *w, unsigned node, struct node_event event)
{
	if (!w->cluster.nodes[node].down)
		cluster_step(&w->cluster, node, &event);
}

static void configure(struct world *w, unsigned node)
{
	request(w, node,
		(struct node_event){.type = NODE_CONFIGURE, .config = &w->cluster.nodes[node].config});
}

static void roll_over(struct world *w)
{
	uint8_t key[SEAL_KEY_SIZE] = {(uint8_t)below(w, 256), (uint8_t)below(w, 256), 5};

	for (unsigned step = 0; step < 3; step++) {
		for (unsigned i = 0; i < w->cluster.count; i++) {
			struct seal_ring *ring = &w->cluster.nodes[i].config.ring;

			if (step == 0)
				seal_ring_add(ring, key);
			else if (step == 1 && ring->count > 1)
				ring->keys[2] = ring->keys[0], ring->keys[0] = ring->keys[1],
				ring->keys[1] = ring->keys[2];
			else
				ring->count = 1;
			if (step == 1 && below(w, 2))
				w->cluster.nodes[i].config.cipher = 1 + below(w, 2);
			configure(w, i);
		}
		run(w, 20000);
	}
}

static void lose_events(struct world *w, unsigned node)
{
	if (w->cluster.nodes[node].down)
		return;
	for (unsigned i = below(w, 40); i; i--)
		change_flow(w, node, true);
	cluster_overrun(&w->cluster, node);
}

static void restart(struct world *w, unsigned node)
{
	unsigned times = 1 + below(w, 3) * below(w, 3);

	if (below(w, 3) == 0)
		request(w, node, (struct node_event){.type = NODE_LEAVE});
	cluster_stop(&w->cluster, node);
	if (below(w, 2))
		run(w, below(w, 2000000));
	while (times--) {
		cluster_restart(&w->cluster, node);
		run(w, below(w, 300000));
	}
}

static void fault(struct world *w)
{
	struct cluster *c = &w->cluster;
	unsigned node = below(w, c->count), kind = below(w, 16);

	switch (kind) {
	case 0:
	case 1:
		c->loss_percent = below(w, 25);
		break;
	case 2:
		c->dark = true;
		for (unsigned i = below(w, 3); i; i--)
			traffic(w);
		run(w, below(w, 3000000));
		for (unsigned i = below(w, 3); i; i--)
			traffic(w);
		c->dark = false;
		break;
	case 3:
		c->nodes[node].muted = true;
		traffic(w);
		run(w, below(w, 2500000));
		c->nodes[node].muted = false;
		break;
	case 4:
		restart(w, node);
		break;
	case 5:
		cluster_pause(c, node, below(w, 4000000));
		break;
	case 6:
		cluster_role(c, node, below(w, FRAME_ROLES));
		break;
	case 7:
		lose_events(w, node);
		break;
	case 8:
		if (!c->nodes[node].down)
			cluster_audit(c, node);
		break;
	case 9:
		roll_over(w);
		break;
	case 10:
		request(w, node,
			(struct node_event){.type = below(w, 2) ? NODE_RESYNC : NODE_FLUSH_EXTERNAL});
		break;
	case 11:
		if (below(w, 3) == 0)
			request(w, node, (struct node_event){.type = NODE_FLUSH_INTERNAL});
		break;
	case 12:
		c->jitter_us = below(w, 20000);
		c->duplicate_percent = below(w, 10);
		break;
	case 13:
		c->links_dark = below(w, 4);
		break;
	default:
		break;
	}
}

/* ---- a run ---- */

static struct world *world_create(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	struct cluster *c = &w->cluster;

	cluster_init(c, 2 + (unsigned)(seed % 3 == 0) + (unsigned)(seed % 9 == 0), seed);
	w->seed = seed;
	w->small = below(w, 5) ? CLUSTER_NODES_MAX : below(w, c->count);
	c->delay_us = 50 + below(w, 2000);
	c->get_delay_us = below(w, 2) ? 0 : below(w, 3000);
	for (unsigned i = 0; i < c->count; i++) {
		struct node_config *config = &c->nodes[i].config;

		config->links = 1 + (unsigned)(seed % 4 == 0);
		config->max_tombstones = below(w, 2) ? 1 << 16 : below(w, 200);
		config->max_flows = i == w->small ? 100 : 10000;
		config->payload_max = FRAME_PAYLOAD_MIN + below(w, 2) * below(w, 7000);
		c->nodes[i].clock_ppm = (int64_t)below(w, 1000) - 500;
		cluster_restart(c, i);
	}
	return w;
}

static void faults_stop(struct world *w)
{
	struct cluster *c = &w->cluster;

	c->loss_percent = c->duplicate_percent = c->links_dark = 0;
	c->jitter_us = 0;
	for (unsigned i = 0; i < c->count; i++) {
		if (c->nodes[i].down)
			cluster_restart(c, i);
		c->nodes[i].config.max_flows = 10000;
		configure(w, i);
	}
	run(w, 4100000);
	for (unsigned i = 0; i < c->count; i++)
		cluster_role(c, i, i ? FRAME_ROLE_BACKUP : FRAME_ROLE_PRIMARY);
	run(w, 1000000);
	for (unsigned i = 0; i < c->count; i++)
		cluster_audit(c, i);
	run(w, 50000); /* for the answers to what it asks */
}

static void check_against_kernel(struct world *w, unsigned i)
{
	const struct cluster_node *n = &w->cluster.nodes[i];
	struct table_walk walk = table_walk_after(n->kernel, 0, false);
	const struct table_entry *entry, *known;
	uint8_t record[RECORD_MAX];

	struct node_view view;

	node_view(n->node, w->cluster.now, &view);
	if (strcmp(view.handover, "none") != 0)
		return; /* its stream has ended: its kernel goes on */
	if (table_count(n->kernel) != table_count(node_internal(n->node)))
		fail_claim(w, i, i, "its table is not its kernel's");
	while ((entry = table_walk_next(&walk))) {
		struct flow flow;

		known = table_find(node_internal(n->node), record_key(entry->bytes));
		if (!known)
			fail_claim(w, i, i, "a flow of its kernel is not in its table");
		record_decode(known->bytes, &flow);
		flow.incarnation = 0;
		record_encode(&flow, record);
		if (!record_equals(record, entry->bytes))
			fail_claim(w, i, i, "a flow is not as in its kernel");
	}
}

static int64_t run_seed(uint64_t seed)
{
	struct world *w = world_create(seed);
	struct monotime end;
	int64_t took;

	for (unsigned i = 0; i < PHASES; i++) {
		traffic(w);
		fault(w);
		run(w, below(w, 4) ? below(w, 30000) : below(w, 1500000));
	}
	faults_stop(w);
	end = w->cluster.now;
	if (!cluster_run_until(&w->cluster, cluster_is_in_sync, SYNC_LIMIT_S * INT64_C(1000000))) {
		for (unsigned i = 0; i < w->cluster.count; i++)
			for (unsigned j = 0; j < w->cluster.count; j++) {
				struct node_peer_view view = cluster_peer_view(&w->cluster, i, j);

				if (i != j)
					fprintf(
					    stderr,
					    "%u of %u: holds \"%s\" held \"%s\" applied %llu newest %llu\n",
					    i + 1, j + 1, view.holds.reason, view.held.reason,
					    (unsigned long long)view.applied,
					    (unsigned long long)view.newest);
			}
		fail_msg("NODE_SEED=%llu: not in sync", (unsigned long long)seed);
	}
	took = w->cluster.now.us - end.us;
	for (unsigned i = 0; i < w->cluster.count; i++)
		check_against_kernel(w, i);
	for (unsigned i = 0; i < w->cluster.count; i++)
		for (unsigned j = 0; j < w->cluster.count; j++)
			if (cluster_peer_view(&w->cluster, i, j).divergences)
				fail_claim(w, i, j, "copies diverged");
	cluster_finish(&w->cluster);
	free(w);
	return took;
}

static void after_any_faults_all_become_equal_and_nothing_false_is_claimed(void **state)
{
	const char *one = getenv("NODE_SEED"), *many = getenv("NODE_SEEDS"), *from = getenv("NODE_FIRST");
	uint64_t first = from ? strtoull(from, NULL, 10) : 1;
	uint64_t seeds = many ? strtoull(many, NULL, 10) : SEEDS;
	int64_t longest = 0;

	(void)state;
	if (one) {
		run_seed(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		int64_t took = run_seed(seed);

		longest = took > longest ? took : longest;
	}
	print_message("longest to equality: %lld ms\n", (long long)longest / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(after_any_faults_all_become_equal_and_nothing_false_is_claimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
