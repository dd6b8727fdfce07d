/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/drive.h"

#include "proto/snapshot.h"
#include "syncd/daemon/auditor.h"
#include "syncd/daemon/clock.h"
#include "syncd/daemon/follower.h"
#include "syncd/daemon/warm.h"
#include "syncd/daemon/withdrawal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

enum {
	EVENT_BUDGET = 1024, /* datagrams of the kernel a turn, read in pieces */
	EVENT_PIECE = 128,
	REST_US = 200, /* while events come fast, what comes within that is read at once: a wake-up costs more
			  than an event */
	REST_RATE = 25000, /* events a second, over at least RATE_US */
	RATE_US = 2000,
	RANDOM_SIZE = 32,
	TURN_US = 2000, /* what one descriptor may take of a turn, but for the piece that it began */
};

struct drive {
	struct drive_parts parts;
	struct node *node;
	struct monotime now; /* of the batch that is being given */
	bool batch_runs;     /* now is fresh enough */
	/* the last `random_left` bytes were not given out yet; never kept beyond a batch */
	uint8_t random[RANDOM_SIZE];
	size_t random_left;
	struct loop_timer timer;
	struct loop_source *watch_source, *interface_source, *link_sources[CONFIG_LINKS_MAX];
	struct auditor auditor;
	struct follower follower;
	struct withdrawal withdrawal;
	bool deaf; /* events of new flows are left out */
	struct warm warm;
	bool has_committed; /* since the last drive_finish() */
	struct monotime took_over_at;
	uint64_t filtered;
	bool events_are_fast; /* at the last look at their rate: `events` since `rated_at` */
	unsigned events;
	struct monotime rated_at;
};

/* ---- the node's effects ---- */

static void do_send(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
		    size_t length)
{
	struct drive *drive = context;
	link_send(drive->parts.links, link, to, bytes, length);
}

static void do_get_flow(void *context, const struct flow *key)
{
	struct drive *drive = context;
	auditor_get(&drive->auditor, key);
}

static void do_audit_now(void *context)
{
	struct drive *drive = context;
	auditor_audit_now(&drive->auditor);
}

static void do_follow(void *context, const struct flow *flow, bool gone)
{
	struct drive *drive = context;
	follower_push(&drive->follower, flow, gone);
}

static void do_follow_expect(void *context, const struct expect *expect, bool gone)
{
	struct drive *drive = context;
	expectations_push(drive->parts.expectations, expect, gone);
}

static void do_withdraw(void *context)
{
	struct drive *drive = context;
	withdrawal_start(&drive->withdrawal);
}

static void do_foreign(void *context, enum node_foreign_act act, const struct flow *flow, uint32_t elapsed_s)
{
	struct drive *drive = context;
	warm_push(&drive->warm, act, flow, elapsed_s);
}

static uint32_t do_remaining_s(void *context, const struct flow *flow, uint32_t elapsed_s)
{
	struct drive *drive = context;
	return ageing_remaining_s(drive->parts.ageing, flow, elapsed_s);
}

/* The node names a peer as "node N", and never itself so. */
static unsigned peer_in(const char *text)
{
	const char *at = strstr(text, "node ");
	for (; at != NULL; at = strstr(at + 1, "node "))
		if (at[5] >= '1' && at[5] <= '9')
			return (unsigned)strtoul(at + 5, NULL, 10);
	return 0;
}

static void do_log(void *context, enum node_log_level level, const char *id, const char *text)
{
	static const int levels[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};
	struct drive *drive = context;
	struct log_subject subject = {.peer = peer_in(text)};
	log_write_about(drive->parts.log, levels[level], id, &subject, "%s", text);
}

static void read_random(const struct drive *drive, void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = getrandom((uint8_t *)bytes + done, size - done, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			/* cannot happen once the pool is ready (getrandom(2)); without it no nonce is safe */
			log_write(drive->parts.log, LOG_ERR, "random-failed", "getrandom: %s; giving up",
				  strerror(errno));
			abort();
		}
		done += (size_t)got;
	}
}

/*
 * Asks the kernel anew in each batch.  Random bytes that were kept longer would be the same twice in a
 * machine restored from a snapshot, which is just what the salt in each batch guards against; the kernel
 * reseeds then (drivers/virt/vmgenid.c).
 */
static void do_random(void *context, void *bytes, size_t size)
{
	struct drive *drive = context;
	if (size > RANDOM_SIZE) {
		read_random(drive, bytes, size);
		return;
	}
	if (size > drive->random_left) {
		read_random(drive, drive->random, RANDOM_SIZE);
		drive->random_left = RANDOM_SIZE;
	}
	uint8_t *from = &drive->random[RANDOM_SIZE - drive->random_left];
	memcpy(bytes, from, size);
	explicit_bzero(from, size);
	drive->random_left -= size;
}

/* ---- the node's events ---- */

void drive_give(struct drive *drive, struct node_event *event)
{
	if (!drive->batch_runs) {
		drive->now = clock_now();
		drive->batch_runs = true;
		drive->random_left = 0;
	}
	event->now = drive->now;
	drive->has_committed |= event->type == NODE_FLOW_COMMITTED;
	if (event->type == NODE_TAKEOVER)
		drive->took_over_at = drive->now;
	node_step(drive->node, event);
}

static void follow(struct drive *drive)
{
	if (drive->follower.count > 0)
		follower_run(&drive->follower, drive->parts.fence_is_closed(drive->parts.context));
	expectations_run(drive->parts.expectations);
}

/* Dates what came into the internal table: what a packet of ours touched since is not deleted (follower.h).
 * Copies that became ours were in the kernel when the takeover began. */
static void date_committed(struct drive *drive)
{
	struct node_foreign_view foreign;
	uint64_t newest = table_newest(node_internal(drive->node));
	node_foreign_view(drive->node, &foreign);
	if (foreign.adopts)
		follower_date(&drive->follower, newest, drive->took_over_at);
	else if (drive->has_committed)
		follower_date(&drive->follower, newest, clock_now());
	drive->has_committed = false;
}

void drive_finish(struct drive *drive)
{
	follow(drive);
	date_committed(drive);
	warm_look(&drive->warm);
	drive->batch_runs = false;
	link_flush(drive->parts.links);
	drive->timer.deadline = node_deadline(drive->node);
	drive->parts.stepped(drive->parts.context);
}

void drive_step(struct drive *drive, struct node_event *event)
{
	drive->batch_runs = false;
	drive_give(drive, event);
	drive_finish(drive);
}

static void deadline_passed(void *context, struct monotime now)
{
	struct drive *drive = context;
	struct node_event event = {.type = NODE_TIME};
	(void)now;
	drive_step(drive, &event);
}

static const struct table_entry *find_known(const struct drive *drive, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t length = record_encode_key(flow, key);
	if (length == 0)
		return NULL;
	const struct table_entry *entry =
	    table_find(node_internal(drive->node), (struct record_key){.bytes = key, .length = length});
	return entry != NULL && !(entry->flags & TABLE_ENTRY_TOMBSTONE) ? entry : NULL;
}

bool drive_knows(const struct drive *drive, const struct flow *flow)
{
	return find_known(drive, flow) != NULL || node_is_to_adopt(drive->node, flow);
}

/* The filter decides on the whole flow, of which the event of a change tells a part: of one that is not known
 * yet the node asks for the rest, and that is filtered then. */
static bool passes_filter(const struct drive *drive, enum convert_kind kind, const struct flow *flow)
{
	const struct filter *filter = drive->parts.filter;
	const struct table_entry *known;
	struct flow whole;
	if (kind != CONVERT_UPDATE || !filter->looks_at_state)
		return filter_accepts(filter, flow);
	known = find_known(drive, flow);
	if (known == NULL)
		return filter_may_accept(filter, flow);
	record_decode(known->bytes, &whole);
	flow_merge(&whole, flow);
	return filter_accepts(filter, &whole);
}

static void take_kernel_event(void *context, enum convert_kind kind, const struct flow *flow)
{
	static const enum node_event_type types[] = {NODE_FLOW_NEW, NODE_FLOW_UPDATE, NODE_FLOW_DESTROY};
	struct drive *drive = context;
	struct node_event event = {.type = types[kind], .flow = flow};
	if (!passes_filter(drive, kind, flow)) {
		drive->filtered++;
		if (drive_knows(drive, flow))
			event.type = NODE_FLOW_DESTROY; /* a known key always takes its DESTROY, and leaves
							   when it no longer matches */
		else if (!node_has_copy(drive->node, flow))
			return; /* a copy takes what it is told: whether it stays is its owner's filter's
				   affair */
	}
	drive_give(drive, &event);
}

void drive_take_expect(void *context, const struct expect *expect, bool gone)
{
	struct drive *drive = context;
	expectations_take(drive->parts.expectations, expect, gone);
}

/* One read; returns what watch_read() does.  Lost events are told at once, in their place among the others.
 */
static int read_kernel_events(struct drive *drive, unsigned budget)
{
	int count = watch_read(drive->parts.watch, budget, take_kernel_event, drive);
	if (count == -ENOBUFS) {
		bool more = watch_is_congested(drive->parts.watch);
		struct node_event event = {.type = more ? NODE_OVERRUN : NODE_OVERRUN_ENDED};
		drive_give(drive, &event);
	} else if (count < 0) {
		log_write(drive->parts.log, LOG_ERR, "watch-failed", "reading the kernel's events failed: %s",
			  strerror(-count));
	}
	return count;
}

bool drive_drain(struct drive *drive, unsigned budget)
{
	int count;
	do {
		count = read_kernel_events(drive, budget);
		budget -= count > 0 ? (unsigned)count : 0;
	} while ((count > 0 || count == -ENOBUFS) && budget > 0 && budget <= EVENT_BUDGET &&
		 !watch_is_drained(drive->parts.watch));
	return watch_is_drained(drive->parts.watch);
}

void drive_set_deaf(struct drive *drive, bool deaf)
{
	struct node_event event = {.type = deaf ? NODE_DEAF : NODE_HEARS};
	if (drive->deaf == deaf)
		return;
	int error = watch_want_new(drive->parts.watch, !deaf);
	if (error < 0) {
		log_write(drive->parts.log, LOG_ERR, "watch-failed",
			  "%s the kernel's events of new flows failed: %s", deaf ? "leaving" : "joining",
			  strerror(-error));
		return;
	}
	drive->deaf = deaf;
	drive_step(drive, &event);
}

static void look_at_rate(struct drive *drive, unsigned events, struct monotime now)
{
	int64_t past_us = monotime_sub(now, drive->rated_at).us;
	drive->events += events;
	if (past_us < RATE_US)
		return;
	drive->events_are_fast = (int64_t)drive->events * 1000000 / past_us >= REST_RATE;
	drive->events = 0;
	drive->rated_at = now;
}

static void watch_is_readable(void *context, uint32_t events)
{
	struct drive *drive = context;
	struct monotime until = monotime_add(clock_now(), monotime_from_us(TURN_US));
	unsigned read = 0;
	int count, total = 0;
	(void)events;
	do {
		drive->batch_runs = false;
		count = read_kernel_events(drive, EVENT_PIECE);
		total += count > 0 ? count : EVENT_PIECE;
		read += count > 0 ? (unsigned)count : 0;
	} while (count == EVENT_PIECE && total < EVENT_BUDGET && monotime_is_before(clock_now(), until));
	struct monotime now = clock_now();
	look_at_rate(drive, read, now);
	drive_finish(drive);
	if (drive->events_are_fast && count < EVENT_PIECE)
		loop_rest(drive->parts.loop, monotime_add(now, monotime_from_us(REST_US)));
}

static void take_datagram(void *context, unsigned link, const struct node_endpoint *from,
			  const uint8_t *bytes, size_t length)
{
	struct drive *drive = context;
	struct node_event event = {
	    .type = NODE_DATAGRAM,
	    .datagram = {.link = link, .from = *from, .bytes = bytes, .length = length}};
	drive_give(drive, &event);
	if (drive->follower.count >= FOLLOWER_MANY)
		follow(drive);
}

static void receive_link(struct drive *drive, unsigned link)
{
	struct monotime until = monotime_add(clock_now(), monotime_from_us(TURN_US));
	int count;
	do {
		drive->batch_runs = false;
		count = link_receive(drive->parts.links, link, take_datagram, drive);
		if (count < 0)
			log_write(drive->parts.log, LOG_WARNING, "link-receive",
				  "receiving on link %u failed: %s", link, strerror(-count));
	} while (count == LINK_BATCH && monotime_is_before(clock_now(), until));
	drive_finish(drive);
}

#define LINK_READABLE(n)                                                                                     \
	static void link_##n##_is_readable(void *context, uint32_t events)                                   \
	{                                                                                                    \
		(void)events;                                                                                \
		receive_link(context, n);                                                                    \
	}
LINK_READABLE(0)
LINK_READABLE(1)
LINK_READABLE(2)
LINK_READABLE(3)

/* (Re-)adds the sources of these links. */
static int add_links(struct drive *drive, unsigned which)
{
	static loop_ready *const ready[] = {link_0_is_readable, link_1_is_readable, link_2_is_readable,
					    link_3_is_readable};
	_Static_assert(CONFIG_LINKS_MAX == 4, "a callback for each link");
	for (unsigned i = 0; i < link_count(drive->parts.links); i++) {
		int fd = link_fd(drive->parts.links, i);
		if (!(which & (1u << i)))
			continue;
		loop_remove(drive->link_sources[i]);
		drive->link_sources[i] = NULL;
		if (fd < 0)
			continue;
		int error =
		    loop_add(drive->parts.loop, fd, EPOLLIN, ready[i], drive, &drive->link_sources[i]);
		if (error < 0)
			return error;
	}
	return 0;
}

void drive_follow_links(struct drive *drive)
{
	size_t payload = link_payload_max(drive->parts.links);
	int error = interface_watch_read(drive->parts.interfaces);
	unsigned changed = 0;
	if (error == 0) {
		changed = link_follow(drive->parts.links);
		error = add_links(drive, changed);
	}
	if (error < 0)
		log_write(drive->parts.log, LOG_ERR, "interfaces-failed",
			  "following the interfaces failed: %s", strerror(-error));
	if (changed != 0 || link_payload_max(drive->parts.links) != payload)
		drive->parts.links_changed(drive->parts.context);
}

static void interfaces_changed(void *context, uint32_t events)
{
	(void)events;
	drive_follow_links(context);
}

/* ---- set-up ---- */

static int add_sources(struct drive *drive)
{
	struct loop *loop = drive->parts.loop;
	int error = loop_add(loop, watch_fd(drive->parts.watch), EPOLLIN, watch_is_readable, drive,
			     &drive->watch_source);
	if (error == 0)
		error = loop_add(loop, interface_watch_fd(drive->parts.interfaces), EPOLLIN,
				 interfaces_changed, drive, &drive->interface_source);
	if (error == 0)
		error = add_links(drive, ~0u);
	return error;
}

int drive_open(struct drive **result, const struct drive_parts *parts, const struct node_config *config,
	       struct monotime audit_interval)
{
	struct drive *drive = calloc(1, sizeof(*drive));
	if (drive == NULL)
		return -ENOMEM;
	drive->parts = *parts;
	struct node_sink sink = {.context = drive,
				 .send = do_send,
				 .get_flow = do_get_flow,
				 .audit_now = do_audit_now,
				 .log = do_log,
				 .random = do_random,
				 .follow = do_follow,
				 .follow_expect = do_follow_expect,
				 .withdraw = do_withdraw,
				 .foreign = do_foreign,
				 .remaining_s = do_remaining_s};
	drive->follower = (struct follower){.drive = drive,
					    .log = parts->log,
					    .commit = parts->commit,
					    .audit = parts->audit,
					    .filter = parts->filter,
					    .ageing = parts->ageing};
	drive->withdrawal = (struct withdrawal){
	    .drive = drive, .log = parts->log, .commit = parts->commit, .ageing = parts->ageing};
	withdrawal_open(&drive->withdrawal, parts->loop);
	expectations_start(parts->expectations, drive, parts->loop, parts->audit, parts->filter);
	drive->warm = (struct warm){.drive = drive,
				    .log = parts->log,
				    .commit = parts->commit,
				    .audit = parts->audit,
				    .filter = parts->filter,
				    .ageing = parts->ageing};
	int error = warm_open(&drive->warm, parts->loop);
	/* before node_create(), which may ask for a pass already */
	auditor_start(&drive->auditor, drive, parts, audit_interval);
	/* unsettled: while it creates the node may not know yet what the kernel has; that makes no difference
	 * to the passing of time, and a takeover has much to send */
	drive->timer = (struct loop_timer){
	    .deadline = clock_now(), .expired = deadline_passed, .context = drive, .unsettled = true};
	loop_add_timer(parts->loop, &drive->timer);
	if (error == 0)
		error = node_create(&drive->node, config, &sink, clock_now());
	if (error == 0)
		error = add_sources(drive);
	if (error < 0) {
		drive_close(drive);
		return error;
	}
	*result = drive;
	return 0;
}

void drive_close(struct drive *drive)
{
	if (drive == NULL)
		return;
	for (unsigned i = 0; i < CONFIG_LINKS_MAX; i++)
		loop_remove(drive->link_sources[i]);
	loop_remove(drive->watch_source);
	loop_remove(drive->interface_source);
	node_destroy(drive->node);
	follower_close(&drive->follower);
	warm_close(&drive->warm);
	free(drive);
}

void drive_observe(struct drive *drive, table_observer *observer, void *context)
{
	node_observe(drive->node, observer, context);
}

int drive_restore(struct drive *drive, const uint8_t *bytes, size_t length, struct snapshot_report *report)
{
	return snapshot_read(drive->node, clock_now(), bytes, length, report);
}

const struct node *drive_node(const struct drive *drive)
{
	return drive->node;
}

void drive_foresee(const struct drive *drive, const struct flow *flow)
{
	uint8_t key[RECORD_KEY_MAX];
	size_t length = record_encode_key(flow, key);
	if (length > 0)
		node_foresee(drive->node, (struct record_key){key, length});
}

void drive_set_warm_takeover(struct drive *drive, bool takes_over, bool fence_is_closed)
{
	drive->warm.takes_over = takes_over;
	drive->warm.fence_is_closed = fence_is_closed;
}

bool drive_bring_foreign(struct drive *drive, struct monotime until)
{
	return warm_bring(&drive->warm, until);
}

void drive_audit_now(struct drive *drive)
{
	auditor_audit_now(&drive->auditor);
}

void drive_audit_soon(struct drive *drive)
{
	auditor_audit_soon(&drive->auditor);
}

void drive_filter_changed(struct drive *drive)
{
	auditor_filter_changed(&drive->auditor);
}

void drive_give_way(struct drive *drive)
{
	auditor_give_way(&drive->auditor);
}

void drive_set_audit_interval(struct drive *drive, struct monotime interval)
{
	auditor_set_interval(&drive->auditor, interval);
}

void drive_statistics(const struct drive *drive, struct drive_statistics *statistics)
{
	*statistics = drive->auditor.statistics;
	statistics->filtered += drive->filtered;
	statistics->pass_runs = drive->auditor.runs;
	statistics->pass_is_fast = drive->auditor.fast;
	statistics->followed = drive->follower.brought;
	statistics->follow_deleted = drive->follower.deleted;
	statistics->follow_touched = drive->follower.touched;
	statistics->follow_lost = drive->follower.lost;
	statistics->withdrawn = drive->withdrawal.deleted;
	statistics->withdraw_refused = drive->withdrawal.refused;
}
