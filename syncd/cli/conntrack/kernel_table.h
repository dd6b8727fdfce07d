/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's tables, as the command line means them: filtered dumps, single flows, changes in batches, and
 * counters.
 */
#ifndef CLI_KERNEL_TABLE_H
#define CLI_KERNEL_TABLE_H

#include "syncd/kernel/convert.h"

struct kernel_table;

/* 0 or a negative errno. */
int kernel_table_open(struct kernel_table **table);
void kernel_table_close(struct kernel_table *table);

/* What the kernel itself leaves out of a dump. */
struct kernel_dump {
	uint8_t request; /* IPCTNL_MSG_CT_GET, _GET_CTRZERO, _GET_DYING or _GET_UNCONFIRMED */
	uint8_t family;  /* 0: all */
	bool by_mark, by_status, by_zone;
	uint32_t mark, mark_mask, status;
	uint16_t zone;
	/* of the original tuple (KERNEL_DUMP_*, with a family); a kernel that knows no such filter is asked
	 * without it, so that the caller has to look himself in any case */
	unsigned by_tuple;
	uint8_t protocol;
	const struct flow_tuple *tuple;
};

enum {
	KERNEL_DUMP_SRC = 1 << 0,
	KERNEL_DUMP_DST = 1 << 1,
	KERNEL_DUMP_PROTOCOL = 1 << 2,
	KERNEL_DUMP_SPORT = 1 << 3, /* with KERNEL_DUMP_PROTOCOL, of one that has ports */
	KERNEL_DUMP_DPORT = 1 << 4,
};

/* False: enough. */
typedef bool kernel_table_row(void *context, const struct flow *flow);

/*
 * Calls `row` for each flow.  0; 1: the table was changed in size meanwhile, flows may be missing or come
 * twice; or a negative errno.  In `row`, flows may be asked for and changed.
 */
int kernel_table_dump(struct kernel_table *table, const struct kernel_dump *dump, kernel_table_row *row,
		      void *context);

/* Reads one flow by its original tuple and zone; or, with `by_reply`, by its reply tuple.  0 or a negative
 * errno. */
int kernel_table_get(struct kernel_table *table, const struct flow *key, bool by_reply, struct flow *flow);

enum kernel_change_kind { KERNEL_CREATE, KERNEL_UPDATE, KERNEL_DELETE };

struct kernel_change {
	enum kernel_change_kind kind;
	struct flow flow;
	uint32_t shown; /* enum flow_part: what of `flow` is good to be shown, changed or not; the caller's */
	bool has_timeout; /* flow.timeout_s is to be set */
	uint32_t line;    /* the caller's */
};

/* Told of each change's end, in their order: 0 or a negative errno. */
typedef void kernel_table_done(void *context, const struct kernel_change *change, int error);

/* Queues a change, copied; sends when the batch is full, so that `done` may be called from here. */
void kernel_table_change(struct kernel_table *table, const struct kernel_change *change,
			 kernel_table_done *done, void *context);

/* Sends what is queued, and waits for each answer. */
void kernel_table_settle(struct kernel_table *table, kernel_table_done *done, void *context);

/* ---- many creations, prepared beforehand ---- */

enum { KERNEL_CREATIONS_MAX = 256 };
struct kernel_creations;

/* An empty batch, which free() frees; NULL: out of memory. */
struct kernel_creations *kernel_creations_new(void);
void kernel_creations_clear(struct kernel_creations *batch);
bool kernel_creations_have_room(const struct kernel_creations *batch);
/* Adds one, its timeout included; or, with `error`, one that will have failed so.  Returns its index. */
unsigned kernel_creations_add(struct kernel_creations *batch, const struct flow *flow, int error);
unsigned kernel_creations_count(const struct kernel_creations *batch);
/* The message of one; NULL: it has failed already. */
const struct nlmsghdr *kernel_creations_message(const struct kernel_creations *batch, unsigned at);
/* Has all created, and writes each one's error, 0 or a negative errno.  Returns how many there are. */
unsigned kernel_creations_send(struct kernel_table *table, struct kernel_creations *batch,
			       int errors[KERNEL_CREATIONS_MAX]);
/* Deletes those from index `from` that were created. */
void kernel_creations_undo(struct kernel_table *table, const struct kernel_creations *batch, unsigned from,
			   const int errors[KERNEL_CREATIONS_MAX]);

/* Empties the table of flows, of one family or (0) all; or that of expectations. */
int kernel_table_flush(struct kernel_table *table, bool expectations, uint8_t family);

/* The number of flows, of all zones and families. */
int kernel_table_count(struct kernel_table *table, uint32_t *count);

/* Counters of one CPU, in the kernel's order: calls `counter` for each; `name` "cpu" begins another CPU. */
typedef void kernel_table_counter(void *context, const char *name, uint32_t value);
int kernel_table_stats(struct kernel_table *table, bool expectations, kernel_table_counter *counter,
		       void *context);

/* ---- for what isn't flows ---- */

/* Begins a request in `room`, of an nlmsghdr, an nfgenmsg, and what the caller adds. */
struct nlmsghdr *kernel_table_begin(struct kernel_table *table, void *room, uint8_t subsystem, uint8_t type,
				    uint16_t flags, uint8_t family);

/* 0 to go on, 1: enough, or a negative errno. */
typedef int kernel_table_answer(void *context, const struct nlmsghdr *message);

/* Sends it and calls `answer` (may be NULL) for each message that comes, up to the acknowledgement or the end
 * of the dump.  0; 1: the dump was interrupted; or a negative errno. */
int kernel_table_ask(struct kernel_table *table, const struct nlmsghdr *request, kernel_table_answer *answer,
		     void *context);

#endif
