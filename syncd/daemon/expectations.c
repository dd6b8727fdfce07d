/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/expectations.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/drive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUEUE_FIRST = 64,
	QUEUE_MAX = 1 << 16,
	/* the event comes before the packet is changed (nf_nat_ftp()), some microseconds */
	DELAY_MS = 10,
	DRAIN_BUDGET = 1024,
};

struct expectation_change {
	struct expect expect;
	bool gone;
};

bool expectations_are_wanted(const struct expectations *expectations)
{
	return expectations->helpers->all || expectations->helpers->count > 0;
}

int expectations_open(struct expectations *expectations, const struct config_helpers *helpers,
		      struct log *log)
{
	*expectations = (struct expectations){.helpers = helpers, .log = log};
	return expectations_are_wanted(expectations) ? expect_open(&expectations->socket) : 0;
}

void expectations_close(struct expectations *expectations)
{
	expect_close(expectations->socket);
	free(expectations->queue);
	*expectations = (struct expectations){.helpers = expectations->helpers};
}

uint32_t expectations_port(const struct expectations *expectations)
{
	return expect_port(expectations->socket);
}

bool expectations_accept(const struct expectations *expectations, const struct expect *expect)
{
	const struct config_helpers *helpers = expectations->helpers;
	for (unsigned i = 0; i < helpers->count; i++)
		if (strcmp(helpers->name[i], expect->helper) == 0)
			return true;
	return helpers->all;
}

/* ---- reading ---- */

static void take_row(void *context, const struct expect *expect)
{
	struct expectations *expectations = context;
	struct node_event event = {.type = NODE_EXPECT_ROW, .expect = expect};
	if (expectations_accept(expectations, expect))
		drive_give(expectations->drive, &event);
}

void expectations_look(struct expectations *expectations)
{
	struct node_event event = {.type = NODE_EXPECT_BEGIN};
	if (!expectations_are_wanted(expectations))
		return;
	drive_give(expectations->drive, &event);
	int error = expect_dump(expectations->socket, take_row, expectations);
	expectations->looks++;
	if (error < 0) { /* what it did not name is not known to be gone */
		log_write(expectations->log, LOG_WARNING, "expect-failed",
			  "reading the kernel's expectations failed: %s", strerror(-error));
		return;
	}
	event.type = NODE_EXPECT_END;
	drive_give(expectations->drive, &event);
}

/* ---- masters, and expectations that came before them ---- */

static void read_master(struct expectations *expectations, const struct flow *key)
{
	struct flow flow;
	struct node_event event = {.type = NODE_FLOW_UPDATE, .flow = &flow};
	if (audit_get(expectations->audit, key, &flow) < 0 || !filter_accepts(expectations->filter, &flow))
		return; /* gone, or none of ours: events and audits tell of that */
	drive_give(expectations->drive, &event);
}

static void masters_are_due(void *context, struct monotime now)
{
	struct expectations *expectations = context;
	(void)now;
	expectations->timer.deadline = MONOTIME_NEVER;
	/* an answer is newer than every event before it: so those come first */
	drive_drain(expectations->drive, DRAIN_BUDGET);
	for (size_t i = 0; i < expectations->masters_count; i++)
		read_master(expectations, &expectations->masters[i]);
	expectations->masters_count = 0;
	for (size_t i = 0; i < expectations->early_count; i++)
		drive_give(expectations->drive,
			   &(struct node_event){.type = NODE_EXPECT_NEW, .expect = &expectations->early[i]});
	expectations->early_count = 0;
	drive_finish(expectations->drive);
}

static void set_timer(struct expectations *expectations)
{
	if (expectations->masters_count == 0 && expectations->early_count == 0)
		expectations->timer.deadline = monotime_add(clock_now(), monotime_from_ms(DELAY_MS));
}

static bool key_equals(const struct expect *a, const struct expect *b)
{
	return a->family == b->family && a->protocol == b->protocol && a->zone == b->zone &&
	       memcmp(&a->tuple, &b->tuple, sizeof(a->tuple)) == 0;
}

static void note_early(struct expectations *expectations, const struct expect *expect)
{
	if (expectations->early_count == EXPECTATIONS_EARLY_MAX)
		return; /* the next look finds it */
	set_timer(expectations);
	expectations->early[expectations->early_count++] = *expect;
}

/* It has ended before its turn came. */
static void forget_early(struct expectations *expectations, const struct expect *expect)
{
	for (size_t i = 0; i < expectations->early_count; i++)
		if (key_equals(&expectations->early[i], expect))
			expectations->early[i--] = expectations->early[--expectations->early_count];
}

static void note_master(struct expectations *expectations, const struct expect *expect)
{
	struct flow master = expect_master(expect);
	if (expect->master_protocol != PROTOCOL_TCP)
		return; /* only TCP has a sequence */
	for (size_t i = 0; i < expectations->masters_count; i++)
		if (flow_key_equals(&expectations->masters[i], &master))
			return;
	if (expectations->masters_count == EXPECTATIONS_MASTERS_MAX)
		return;
	set_timer(expectations);
	expectations->masters[expectations->masters_count++] = master;
}

void expectations_take(struct expectations *expectations, const struct expect *expect, bool gone)
{
	struct node_event event = {.type = gone ? NODE_EXPECT_DESTROY : NODE_EXPECT_NEW, .expect = expect};
	struct flow master = expect_master(expect);
	if (gone)
		forget_early(expectations, expect);
	else
		note_master(expectations, expect);
	if (!expectations_accept(expectations, expect))
		return;
	if (!gone && !drive_knows(expectations->drive, &master))
		note_early(expectations, expect);
	else
		drive_give(expectations->drive, &event);
}

void expectations_start(struct expectations *expectations, struct drive *drive, struct loop *loop,
			struct audit *audit, const struct filter *filter)
{
	expectations->drive = drive;
	expectations->audit = audit;
	expectations->filter = filter;
	expectations->timer = (struct loop_timer){
	    .deadline = MONOTIME_NEVER, .expired = masters_are_due, .context = expectations};
	loop_add_timer(loop, &expectations->timer);
}

/* ---- bringing ---- */

static enum commit_result result_of(int error)
{
	switch (-error) {
	case 0:
		return COMMIT_CREATED;
	case EEXIST:
		return COMMIT_KEPT;
	case ENOENT:
		return COMMIT_NO_MASTER;
	case EOPNOTSUPP:
	case EINVAL:
		return COMMIT_NO_HELPER;
	case EBUSY:
		return COMMIT_CLASH;
	case EMFILE:
	case ENOMEM:
		return COMMIT_TABLE_FULL;
	}
	return COMMIT_REFUSED;
}

enum commit_result expectations_commit(struct expectations *expectations, const struct expect *expect,
				       uint32_t timeout_s, int *error)
{
	struct expect here = *expect;
	struct node_event event = {.type = NODE_EXPECT_COMMITTED, .expect = &here};
	here.timeout_s = timeout_s;
	here.id = 0; /* another kernel's */
	*error = 0;
	if (timeout_s == 0)
		return COMMIT_EXPIRED;
	*error = expect_create(expectations->socket, &here, timeout_s);
	enum commit_result result = result_of(*error);
	if (result == COMMIT_CREATED)
		drive_give(expectations->drive, &event);
	return result;
}

void expectations_push(struct expectations *expectations, const struct expect *expect, bool gone)
{
	if (!expectations_are_wanted(expectations))
		return;
	if (expectations->count == expectations->size) {
		size_t size = expectations->size > 0 ? 2 * expectations->size : QUEUE_FIRST;
		struct expectation_change *queue =
		    size > QUEUE_MAX ? NULL : realloc(expectations->queue, size * sizeof(*queue));
		if (queue == NULL) {
			expectations->lost++;
			log_write(
			    expectations->log, LOG_ERR, "follow-memory",
			    "out of memory: expectations at the former primary do not reach this kernel");
			return;
		}
		expectations->queue = queue;
		expectations->size = size;
	}
	expectations->queue[expectations->count++] =
	    (struct expectation_change){.expect = *expect, .gone = gone};
}

/* It came true at the other node, or ran out there: the flow that it was for is followed by itself. */
static void let_go(struct expectations *expectations, const struct expect *expect)
{
	struct node_event event = {.type = NODE_EXPECT_DESTROY, .expect = expect};
	int error = expect_delete(expectations->socket, expect);
	if (error == 0 || error == -ENOENT)
		drive_give(expectations->drive, &event);
}

static void bring(struct expectations *expectations, const struct expect *expect)
{
	char text[FLOW_TEXT_SIZE];
	int error;
	enum commit_result result = expectations_commit(expectations, expect, expect->timeout_s, &error);
	expectations->followed += result == COMMIT_CREATED;
	if (!commit_is_in_kernel(result, error) && result != COMMIT_EXPIRED)
		log_write(expectations->log, LOG_WARNING, "follow-failed",
			  "an expectation of the former primary could not be brought here: %s: %s, %s",
			  expect_print(expect, text), commit_result_name(result), strerror(-error));
}

void expectations_run(struct expectations *expectations)
{
	/* the node may name more while it takes in what was done */
	for (size_t i = 0; i < expectations->count; i++) {
		struct expect expect = expectations->queue[i].expect;
		expect.id = 0;
		if (expectations->queue[i].gone)
			let_go(expectations, &expect);
		else
			bring(expectations, &expect);
	}
	expectations->count = 0;
}
