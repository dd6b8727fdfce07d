/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection-tracking table of one simulated kernel, with what makes a real one hard to follow: events
 * that carry only what changed, flows that never send any, a bounded event queue that overruns, late garbage
 * collection, ids that repeat, a limit, and creates that meet what is there already.
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include "proto/node.h"
#include "tests/sim/connection.h"

enum { KERNEL_QUEUE_MAX = 4096, KERNEL_IDS = 512 };

struct kernel_flow {
	bool present;
	bool has_events; /* the event extension: only if someone listened when it was created */
	struct connection connection;
	uint32_t id;
	uint32_t born;     /* which create made it: of this model alone, never repeats */
	bool touched;      /* by a packet, since the daemon wrote it */
	bool is_copy;      /* of a peer's flow (warm mode) */
	int64_t copied_us; /* since when */
	int64_t since_us;  /* it is in this kernel */
	int64_t lived_us;  /* its last packet here, or its first anywhere */
	int64_t expires_us;
};

struct kernel_event {
	enum node_event_type type;
	uint32_t number;
	uint32_t parts; /* of a flow that the event carries: enum flow_part */
	struct kernel_flow flow;
};

struct kernel {
	struct kernel_flow *flows; /* by number of the connection; CONNECTIONS_MAX */
	uint32_t numbers;          /* of these, in use in this world */
	uint32_t count, max;
	uint32_t next_id;           /* creates so far */
	bool always_events;         /* nf_conntrack_events = 1 */
	bool listening;             /* a daemon's socket is there */
	bool overrun;               /* events were dropped, and it has not been told */
	bool congested;             /* and all are dropped until the queue is empty (netlink_rcv_wake()) */
	struct kernel_event *queue; /* ring */
	uint32_t queue_first, queue_count, queue_max;
	uint32_t queue_limit; /* at most queue_max: what fits its socket's buffer now */
	int64_t readable_us;  /* when the first in the queue came */
	uint32_t expire_next;
	int64_t *begun_us;   /* by number: when a packet last began it here */
	int64_t *ended_us;   /* by number: when it last ended here, by itself or as its users wanted */
	int64_t *closed_us;  /* the same, of a connection that was closed */
	int64_t *expired_us; /* by number: when its commit last came too late */
	uint64_t overruns, refused;
	/* told of a flow that is about to run out; NULL: nobody is */
	void (*expires)(void *context, uint32_t number);
	void *context;
};

/* 0 or -ENOMEM. */
int kernel_init(struct kernel *kernel, uint32_t numbers, uint32_t max, uint32_t queue_max);
void kernel_finish(struct kernel *kernel);
/* A reboot: nothing is left. */
void kernel_reset(struct kernel *kernel);
void kernel_listen(struct kernel *kernel, bool listening);

/* Packets: what they do to the table.  False: it was there already, there is none, or the table is full. */
bool kernel_packet_new(struct kernel *kernel, uint32_t number, struct connection connection, int64_t now_us);
bool kernel_packet_changes(struct kernel *kernel, uint32_t number, struct connection connection,
			   int64_t now_us);
/* It only lives on: no event. */
void kernel_packet_refreshes(struct kernel *kernel, uint32_t number, int64_t now_us);
bool kernel_destroy_flow(struct kernel *kernel, uint32_t number, int64_t now_us);
/* Garbage collection: looks at the next `slice` numbers. */
void kernel_expire(struct kernel *kernel, uint32_t slice, int64_t now_us);

/* The daemon's side: the next event as a flow; 1, 0: none, -ENOBUFS: events were lost before the next. */
int kernel_read(struct kernel *kernel, enum node_event_type *type, struct flow *flow, int64_t now_us);
/* A dump's row, or the answer to a GET; false: there is none. */
bool kernel_row(const struct kernel *kernel, uint32_t number, struct flow *flow, int64_t now_us);

enum kernel_result {
	KERNEL_CREATED,
	KERNEL_UPDATED,
	KERNEL_KEPT,
	KERNEL_REPLACED,
	KERNEL_CLASH,
	KERNEL_EXPIRED,
	KERNEL_TABLE_FULL,
	KERNEL_NO_MASTER,
	KERNEL_NOT_OURS, /* no connection of this world: someone made it up */
};

/* The daemon deletes it: no event comes of that.  False: there is none. */
bool kernel_delete(struct kernel *kernel, uint32_t number);

/* What may go for a flow that is there with another NAT. */
enum kernel_way {
	KERNEL_FENCE_OPEN,   /* what is not assured */
	KERNEL_FENCE_CLOSED, /* anything */
	KERNEL_COPIES,       /* nothing */
};

/* What syncd/kernel/commit comes to for one flow; `*result` is then the flow as the kernel has it. */
enum kernel_result kernel_commit(struct kernel *kernel, const struct flow *flow, uint32_t timeout_s,
				 enum kernel_way way, int64_t now_us, struct flow *result);

/* It has its whole time again.  False: there is none. */
bool kernel_refresh(struct kernel *kernel, uint32_t number, uint32_t timeout_s, int64_t now_us);

/* The model's own knowledge, for a flow that was created by a commit: when its connection began, elsewhere.
 */
void kernel_note_origin(struct kernel *kernel, uint32_t number, int64_t begun_us);

#endif
