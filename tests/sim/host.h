/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host: a kernel, and a daemon that drives a node as twintrackd does.  Events of the kernel are read in
 * pieces and before the answers to questions, passes go in slices, a takeover walks the external tables while
 * they change, and all of it takes time: while it works, or is stopped, what comes waits in bounded buffers.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "proto/node.h"
#include "tests/sim/kernel.h"
#include "tests/sim/net.h"
#include "tests/sim/random.h"

struct world;

enum {
	HOST_INBOX = 4096, /* datagrams that wait, at most */
	HOST_GETS = 1024,
	HOST_TABLES = NODE_TABLES_MAX,
	HOST_ACTS = 256, /* that a step names, at most */
};

struct host_audit {
	bool wanted, runs, fast, unclean;
	unsigned passes; /* begun */
	uint32_t next;   /* number of the connection */
	int64_t at_us, interval_us, begun_us;
	unsigned rows; /* in a slice; and the time between slices when it is in a hurry */
	int64_t fast_us;
};

struct host_gets {
	struct flow asked[HOST_GETS];
	uint32_t first, count;
	int64_t at_us;
};

/* A table that is being committed. */
struct host_table {
	uint16_t owner;
	bool orphan;
	struct seal_session_id session;
	uint32_t elapsed_s;
	uint64_t begun_at; /* its newest version when the takeover began */
};

/* What the node wants in the kernel while another hands over. */
struct host_followed {
	struct flow flow;
	bool gone;
};

/* What is to be done to copies, as the last step named it. */
struct host_warm {
	struct host_act {
		enum node_foreign_act act;
		struct flow flow;
		uint32_t elapsed_s;
	} * acts; /* HOST_ACTS; NULL: warm mode is not in this world */
	unsigned count, acts_max;
	struct sim_random random;
	int64_t begun_us; /* of this daemon */
	int64_t
	    in_step_us[NET_HOSTS_MAX]; /* since when that peer's table is proven here; INT64_MAX: it is not */
	int64_t looked_us;
	int64_t deadline_us; /* in the world's time; INT64_MIN: to be asked for */
};

struct host_takeover {
	bool runs;
	struct host_table tables[HOST_TABLES];
	unsigned count, table, round;
	int64_t begun_us;
	bool is_warm; /* the copies are there */
	bool stale_seen;
	uint64_t after;
	uint64_t results[KERNEL_NOT_OURS + 1];
};

struct host {
	struct world *world;
	unsigned index;
	uint16_t id;
	struct sim_random random;
	struct kernel kernel;
	struct node *node; /* NULL: no daemon */
	struct node_config config;
	bool powered;
	unsigned boots, starts; /* of the machine; of the daemon */
	enum frame_role role;   /* of the running daemon */
	int64_t deadline_us;    /* of its node, in the world's time; INT64_MIN: to be asked for */
	/* the state file */
	enum frame_role role_kept, role_reached; /* as asked for; as it was */
	uint32_t term_kept, own_term_kept;
	bool leftovers_kept;
	/* its clock */
	int64_t clock_ppm, clock_offset_us;
	/* its work */
	int64_t slowness;                   /* how much work costs: 1 is a good machine */
	int64_t paused_us, paused_until_us; /* it was stopped last */
	int64_t busy_until_us;
	int64_t cost_ns; /* of this turn */
	bool is_lossy;   /* an overrun was told, its end not yet */
	int64_t event_latency_us, get_delay_us;
	struct packet inbox[HOST_INBOX];
	unsigned inbox_first, inbox_count;
	size_t inbox_bytes;
	uint64_t inbox_dropped;
	struct host_gets gets;
	struct host_audit audit;
	struct host_takeover takeover;
	struct host_warm warm;
	int64_t retake_looked_us;
	struct host_followed *follows;
	size_t follows_count, follows_size;
	bool withdraws;
	uint64_t withdraw_after;
	unsigned idle_steps;
	/* what the step that is being taken did */
	unsigned step_sends, step_gets;
	const struct packet *packet; /* that it takes */
};

int64_t host_clock_us(const struct host *host);
struct monotime host_clock(const struct host *host);
/* The first moment of the world at which its clock shows that, or later. */
int64_t host_world_us(const struct host *host, struct monotime at);

/* 0 or -ENOMEM */
int host_init(struct host *host, struct world *world, unsigned index);
void host_finish(struct host *host);

/* The machine: power, and the daemon's process. */
void host_power_off(struct host *host);
void host_power_on(struct host *host); /* another kernel instance, empty; no daemon yet */
void host_start(struct host *host);    /* resumes the role of the state file */
void host_kill(struct host *host);
void host_pause(struct host *host, int64_t us);
bool host_passes_packets(const struct host *host); /* its fence is open */
bool host_is_up(const struct host *host);          /* a daemon runs, and is not stopped */

/* What an operator or keepalived asks for. */
void host_ask_role(struct host *host, enum frame_role role);
void host_ask(struct host *host, struct node_event event);
void host_configure(struct host *host);

/* A packet arrives; its reference is the host's. */
void host_deliver(struct host *host, struct packet packet);

/* When it has something to do; and does it. */
int64_t host_next_us(struct host *host);
void host_run(struct host *host);

/* The view of that host that this one has; false: it knows no such node. */
bool host_view_of(const struct host *host, const struct host *of, struct node_peer_view *view);

/* Whether that connection could be committed here: it is in a table that is held for its owner, or for
 * another host that has it from there. */
bool host_holds(const struct host *host, uint32_t number);

#endif
