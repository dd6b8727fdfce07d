/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes in one process: a model kernel for each, a seeded network between them, simulated time.  Everything
 * in proto/ runs as it ships.
 */
#ifndef TESTS_CLUSTER_H
#define TESTS_CLUSTER_H

#include "proto/node.h"

enum { CLUSTER_NODES_MAX = 16, CLUSTER_IN_FLIGHT = 1 << 16 };

struct cluster_packet {
	struct monotime at;
	uint64_t order;
	unsigned from, to, link;
	uint8_t *bytes;
	size_t length;
};

struct cluster_kernel_event {
	enum node_event_type type;
	struct flow flow;
};

struct cluster_follow {
	struct flow flow;
	bool gone;
};

struct cluster_foreign {
	struct flow flow;
	enum node_foreign_act act;
	uint32_t elapsed_s;
};

struct cluster_node {
	struct cluster *cluster;
	unsigned index;
	struct node *node;
	struct node_config config;
	struct table *kernel; /* what the model kernel holds */
	struct flow gets[1024];
	size_t gets_count;
	struct monotime gets_at; /* when the kernel answers them */
	bool audit_wanted;
	bool reads_late; /* a start leaves the first look at its kernel to the test */
	/* what cluster_role.c does in the daemon's place */
	struct cluster_follow *follows;
	size_t follows_count, follows_size;
	bool withdraw_wanted;
	uint32_t (*remaining_s)(void *context, const struct flow *flow,
				uint32_t elapsed_s); /* NULL: no flow runs out */
	/* warm mode, what cluster_warm.c does in the daemon's place */
	struct cluster_foreign foreign[512];
	size_t foreign_count;
	uint64_t acts[4];                         /* carried out, by enum node_foreign_act */
	bool (*refuses)(const struct flow *flow); /* the kernel takes no copy of such flows */
	bool is_full;                             /* ... because its table is full */
	bool keeps_copies;                        /* the kernel removes none */
	bool holds_copies_back;                   /* nothing is brought to the kernel meanwhile */
	uint64_t boots;                           /* of its kernel */
	bool down;
	bool muted;                   /* nothing that it sends arrives */
	struct monotime paused_until; /* it takes no step; what comes waits in its sockets */
	int64_t clock_ppm;            /* how much faster its clock runs */
	struct cluster_kernel_event *queue;
	size_t queue_count, queue_size;
	char last_log[512];
	unsigned errors_logged;
	uint64_t sent, sent_bytes;
};

struct cluster {
	struct cluster_node nodes[CLUSTER_NODES_MAX];
	unsigned count;
	struct monotime now;
	uint64_t random;
	struct cluster_packet *packets; /* heap by (at, order) */
	size_t packets_count;
	uint64_t order;
	unsigned loss_percent, duplicate_percent;
	int64_t delay_us, jitter_us;
	int64_t link_delay_us[NODE_LINKS_MAX]; /* of that link, on top */
	int64_t get_delay_us;                  /* how long the kernel takes to answer a GET */
	bool dark;                             /* the link between all of them */
	unsigned links_dark;                   /* a bit for each of several links */
	bool (*tamper)(void *context, struct cluster_packet *packet); /* false: drop it */
	void *tamper_context;
	/* every datagram that was ever sent, if recording */
	bool record;
	struct cluster_packet *recorded;
	size_t recorded_count, recorded_size;
};

void cluster_init(struct cluster *c, unsigned nodes, uint64_t seed);
void cluster_finish(struct cluster *c);
/* What that node's clock shows. */
struct monotime cluster_clock(const struct cluster *c, unsigned index);
/* Takes an event as it is (its time is set); not while the node is down. */
void cluster_step(struct cluster *c, unsigned index, struct node_event *event);
/* The node stops for that long: what comes waits. */
void cluster_pause(struct cluster *c, unsigned index, int64_t us);
/* Restarts a node's daemon (new session), its kernel as it is; config may have been changed before. */
void cluster_restart(struct cluster *c, unsigned index);
void cluster_stop(struct cluster *c, unsigned index);

uint64_t cluster_random(struct cluster *c);

/* The model kernel of that node: these make events. */
/*
 * A role change as the daemon carries it out: `primary` commits the tables of the others into the model
 * kernel.
 */
void cluster_role(struct cluster *c, unsigned index, enum frame_role role);
/* Its two parts, for what happens between them. */
void cluster_takeover_begin(struct cluster *c, unsigned index);
void cluster_takeover_end(struct cluster *c, unsigned index);
/* The node loses power, and comes back with an empty kernel and another instance. */
void cluster_reboot(struct cluster *c, unsigned index);
/* Carries out what the node's effects asked for: follows and withdrawal (called after each step). */
void cluster_settle(struct cluster_node *n);
/* `nodes` nodes in warm mode that have started and are in step; the first is primary, the others backups. */
struct cluster *cluster_warm_new(unsigned nodes);
void cluster_make_warm(struct cluster *c, unsigned index, bool warm);
/* How many copies that node counts in its kernel. */
size_t cluster_copies(struct cluster *c, unsigned index);
/* Warm mode: carries out what the node names, as long as it has something to name. */
void cluster_warm_run(struct cluster_node *n);
void cluster_foreign_effect(void *context, enum node_foreign_act act, const struct flow *flow,
			    uint32_t elapsed_s);
/* Copies in that node's kernel whose time has run out go, with an event; how many. */
size_t cluster_expire(struct cluster *c, unsigned index);
struct table_entry *cluster_kernel_find(struct cluster_node *n, const struct flow *flow);

void cluster_flow_new(struct cluster *c, unsigned index, const struct flow *flow);
void cluster_flow_update(struct cluster *c, unsigned index, const struct flow *flow);
void cluster_flow_destroy(struct cluster *c, unsigned index, const struct flow *flow);
/* The same without an event (an overrun lost it, or the flow has no event extension). */
void cluster_kernel_put(struct cluster *c, unsigned index, const struct flow *flow);
void cluster_kernel_remove(struct cluster *c, unsigned index, const struct flow *flow);
void cluster_overrun(struct cluster *c, unsigned index);
void cluster_audit(struct cluster *c, unsigned index);

void cluster_inject(struct cluster *c, unsigned from, unsigned to, const uint8_t *bytes, size_t length);

/* What cluster.c and its network (cluster_network.c) have of each other: a datagram that sets out, one that
 * is on its way, and the next one that arrives. */
void cluster_transmit(struct cluster_node *sender, unsigned to, unsigned link, const uint8_t *bytes,
		      size_t length);
void cluster_packet_push(struct cluster *c, struct cluster_packet packet);
struct cluster_packet cluster_packet_pop(struct cluster *c);

/* Runs simulated time on.  A node that asks for time again and again and does nothing with it aborts the
 * test. */
void cluster_run_us(struct cluster *c, int64_t us);
/* Runs until `done` says so or the time is up; whether it did. */
bool cluster_run_until(struct cluster *c, bool (*done)(struct cluster *), int64_t limit_us);

/* Flow number i: distinct TCP flows through SNAT. */
struct flow cluster_flow(uint32_t i);

bool cluster_copy_equals(struct cluster *c, unsigned holder, unsigned owner);
/* What `index` says of the node `of`. */
struct node_peer_view cluster_peer_view(struct cluster *c, unsigned index, unsigned of);
/* Every running node proves every other in sync, both ways, and the copies are equal. */
bool cluster_is_in_sync(struct cluster *c);

/* ---- what tests have in common (cluster_setup.c) ---- */

/* A cluster on the heap, as cluster_init() makes it; goes with cluster_free(). */
struct cluster *cluster_new(unsigned nodes, uint64_t seed);
void cluster_free(struct cluster *c);
/* cmocka's tear-down for a test whose state is such a cluster. */
int cluster_teardown(void **state);
/* Reboots all nodes, as they are configured now, and waits up to 10 s until they are in sync; whether they
 * are. */
bool cluster_boot(struct cluster *c);

/* Flows number first to first + count - 1 begin, or end, in that node's kernel, all at one moment. */
void cluster_flows_new(struct cluster *c, unsigned index, uint32_t first, uint32_t count);
void cluster_flows_destroy(struct cluster *c, unsigned index, uint32_t first, uint32_t count);
/* The same over time, which runs on by `pause_us` after each flow whose number is a multiple of `every`. */
void cluster_flows_new_paced(struct cluster *c, unsigned index, uint32_t first, uint32_t count,
			     uint32_t every, int64_t pause_us);
void cluster_flows_destroy_paced(struct cluster *c, unsigned index, uint32_t first, uint32_t count,
				 uint32_t every, int64_t pause_us);

struct node_view cluster_view(struct cluster *c, unsigned index);
/* How many flows the internal table of that node has, and its model kernel; and whether that has number i. */
size_t cluster_internal_count(struct cluster *c, unsigned index);
size_t cluster_kernel_count(struct cluster *c, unsigned index);
bool cluster_is_in_kernel(struct cluster *c, unsigned index, uint32_t i);
/* How many flows `holder` has of the node `owner`: in its copy (0 without one), and from before `owner`'s
 * last reboot. */
size_t cluster_held(struct cluster *c, unsigned holder, unsigned owner);
size_t cluster_orphans(struct cluster *c, unsigned holder, unsigned owner);

#endif
