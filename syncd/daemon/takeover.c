/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/takeover.h"

#include "syncd/daemon/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	CHUNK = 64,
	EARLY_CHUNK = 512,   /* entries looked at for those who wait */
	SEARCH_CHUNK = 4096, /* entries looked at for expectations */
	/* With so many flows it pays not to hear of new ones meanwhile (watch_want_new()), and to read the
	 * table afterwards: that takes half of what it saves. */
	MANY_FLOWS = 50000,
	BACKGROUND_FLOWS = 2000, /* fewer are in the kernel before a thread is awake */
};

/* Takes the list of tables as it is now. */
static void list_tables(struct takeover *takeover)
{
	struct node_table_view views[NODE_TABLES_MAX];
	struct monotime now = clock_now();
	takeover->tables_count = node_tables(drive_node(takeover->parts.drive), views);
	for (unsigned i = 0; i < takeover->tables_count; i++) {
		int64_t elapsed_us = monotime_sub(now, views[i].owner_proven_at).us;
		takeover->tables[i].id = views[i].id;
		takeover->tables[i].orphan = views[i].orphan;
		takeover->tables[i].session = views[i].session;
		takeover->tables[i].elapsed_s = elapsed_us > 0 ? (uint32_t)(elapsed_us / 1000000) : 0;
		takeover->total += table_count(views[i].table);
		takeover->stale_seen |= views[i].has_stale;
	}
}

/* It will be given as committed: the kernel's work on a batch has put all else out of the cache. */
static void foresee(void *context, const struct flow *flow)
{
	const struct takeover *takeover = context;
	drive_foresee(takeover->parts.drive, flow);
}

/* In warm mode the copies are there.  Asked before a takeover makes itself deaf, which is to be suspect, too.
 */
static bool is_kernel_empty(const struct takeover_parts *parts, const struct node_view *node)
{
	return !parts->is_warm && !node->leftovers && node->complete && !node->suspect &&
	       table_count(node_internal(drive_node(parts->drive))) == 0;
}

int takeover_begin(struct takeover *takeover, const struct takeover_parts *parts)
{
	memset(takeover, 0, sizeof(*takeover));
	takeover->parts = *parts;
	struct node_view node;
	takeover->begun = clock_now();
	node_view(drive_node(parts->drive), takeover->begun, &node);
	takeover->fills_empty_kernel = is_kernel_empty(parts, &node);
	takeover->has_leftovers = node.leftovers && node.role != FRAME_ROLE_PRIMARY;
	takeover->parts.options.has_old = takeover->has_leftovers;
	takeover->parts.options.ahead = foresee;
	/* made liberal, a flow shows that its turn was; with windows checked, only what was known before is
	 * old */
	if (!parts->options.tcp_liberal)
		takeover->own_end = table_newest(node_internal(drive_node(parts->drive)));
	takeover->timeouts = timeouts_read();
	if (takeover->timeouts == NULL)
		return -ENOMEM;
	list_tables(takeover);
	uint64_t seed = 0;
	/* so early that there is none: then strangers may choose who goes first, no more */
	(void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
	early_init(&takeover->early, seed, takeover->begun);
	takeover->round = parts->is_warm ? TAKEOVER_WARM : TAKEOVER_MASTERS;
	takeover->in_background = takeover->total >= BACKGROUND_FLOWS && !parts->is_warm &&
				  commit_set_background(parts->commit, true);
	if (takeover->total >= MANY_FLOWS && !parts->is_warm)
		drive_set_deaf(parts->drive, true);
	drive_set_warm_takeover(parts->drive, true, parts->options.fence_closed);
	return 0;
}

void takeover_settle(struct takeover *takeover)
{
	if (commit_is_settled(takeover->parts.commit))
		return;
	commit_flush(takeover->parts.commit);
	drive_finish(takeover->parts.drive);
}

void takeover_end(struct takeover *takeover)
{
	takeover_settle(takeover);
	commit_set_background(takeover->parts.commit, false);
	drive_set_deaf(takeover->parts.drive, false);
	drive_set_warm_takeover(takeover->parts.drive, false, false);
	early_free(&takeover->early);
	timeouts_free(takeover->timeouts);
	takeover->timeouts = NULL;
}

static void name_flow(struct takeover *takeover, const struct flow *flow, enum commit_result result,
		      int error)
{
	uint64_t count = takeover->results[result];
	char text[FLOW_TEXT_SIZE];
	if (count >= TAKEOVER_NAMED)
		return;
	flow_key_print(flow, text);
	snprintf(takeover->named[result][count], sizeof(takeover->named[result][count]), "%s%s%.40s", text,
		 error != 0 ? ": " : "", error != 0 ? strerror(-error) : "");
}

static void give_committed(struct takeover *takeover, const struct flow *flow)
{
	struct node_event event = {.type = NODE_FLOW_COMMITTED, .flow = flow};
	drive_give(takeover->parts.drive, &event);
}

static void own_settled(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct takeover *takeover = context;
	(void)error;
	if (result != COMMIT_UPDATED && result != COMMIT_REPLACED)
		return;
	takeover->own_refreshed++;
	give_committed(takeover, flow);
}

static void settled(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct takeover *takeover = context;
	if (result >= COMMIT_CLASH)
		name_flow(takeover, flow, result, error);
	takeover->results[result]++;
	if (result != COMMIT_KEPT && commit_is_in_kernel(result, error))
		give_committed(takeover, flow);
	if (result == COMMIT_TABLE_FULL)
		drive_give(takeover->parts.drive, &(struct node_event){.type = NODE_FLOW_REFUSED});
}

static void take_flow(struct takeover *takeover, unsigned table, const struct flow *flow)
{
	uint32_t timeout_s = takeover->parts.timeout_s;
	takeover->taken++;
	takeover->tables[table].flows++;
	/* a peer forwarded a connection of this very host: it lives on here, and not through NAT */
	if (!filter_accepts(takeover->parts.filter, flow)) {
		takeover->local++;
		return;
	}
	if (!takeover->early.searching && early_is_in_the_way(&takeover->early, flow)) {
		settled(takeover, flow, COMMIT_CLASH, -EEXIST);
		return;
	}
	if (timeout_s == 0)
		timeout_s = timeouts_commit_s(takeover->timeouts, flow, takeover->tables[table].elapsed_s);
	commit_flow(takeover->parts.commit, flow, timeout_s, &takeover->parts.options, settled, takeover);
}

/*
 * Finds the table whose turn it is among those that there are now: its owner may have restarted meanwhile
 * (another session, the same table), or rebooted (an orphan now).  False: it is gone, another primary has it.
 */
static bool find_table(const struct takeover *takeover, unsigned table, struct node_table_view *found)
{
	struct node_table_view views[NODE_TABLES_MAX];
	unsigned count = node_tables(drive_node(takeover->parts.drive), views);
	const struct seal_session_id *session = &takeover->tables[table].session;
	int other = -1;
	for (unsigned i = 0; i < count; i++) {
		if (views[i].id != takeover->tables[table].id)
			continue;
		if (memcmp(&views[i].session, session, sizeof(*session)) == 0) {
			*found = views[i];
			return true;
		}
		if (!views[i].orphan && !takeover->tables[table].orphan)
			other = (int)i;
	}
	if (other >= 0)
		*found = views[other];
	return other >= 0;
}

static bool is_stale_round(enum takeover_round round)
{
	return round == TAKEOVER_MASTERS_STALE || round == TAKEOVER_RELATED_STALE;
}

/*
 * Whether it is this entry's turn.  A stale round takes all: what the catch-up has named since the round
 * before has another mark now, and was passed by then.
 */
static bool is_in_round(const struct takeover *takeover, const struct node_table_view *view,
			const struct table_entry *entry, bool is_related)
{
	bool wants_related = takeover->round >= TAKEOVER_RELATED;
	bool is_stale = view->has_stale && entry->mark != view->fresh_mark;
	return is_related == wants_related && (is_stale_round(takeover->round) || !is_stale);
}

/*
 * Takes the next flows of this round from the table.  They are copied first: the table may change while the
 * node takes in what was committed.  False at the table's end.
 */
static bool take_chunk(struct takeover *takeover)
{
	const struct node *node = drive_node(takeover->parts.drive);
	const struct table_entry *entries[CHUNK];
	struct flow flows[CHUNK];
	uint64_t versions[CHUNK];
	unsigned count = 0, read = 0, table = takeover->table;
	struct node_table_view view;
	if (table >= takeover->tables_count || !find_table(takeover, table, &view))
		return false;
	/* also of a session that began meanwhile: its owner was restarted, and names its flows anew */
	takeover->stale_seen |= view.has_stale;
	struct table_walk walk = table_walk_after(view.table, takeover->after, false);
	while (read < CHUNK && (entries[read] = table_walk_next(&walk)) != NULL) {
		takeover->after = versions[read] = walk.version;
		node_foresee(node, record_key(entries[read++]->bytes));
	}
	for (unsigned i = 0; i < read; i++) {
		record_decode(entries[i]->bytes, &flows[count]);
		bool is_related = flows[count].present & FLOW_HAS_MASTER;
		takeover->related_seen |= is_related;
		count += is_in_round(takeover, &view, entries[i], is_related) &&
			 !early_was_taken(&takeover->early, table, versions[i]) &&
			 !node_has_ended(node, view.table, record_key(entries[i]->bytes));
	}
	for (unsigned i = 0; i < count; i++)
		take_flow(takeover, table, &flows[i]);
	return read == CHUNK;
}

static struct commit_options own_options(const struct takeover *takeover)
{
	struct commit_options options = takeover->parts.options;
	options.existing_only = true;
	return options;
}

static void note_waiting(void *context, const struct fence_waiting *waiting)
{
	early_note(context, waiting);
}

/*
 * Looks from time to time at who waits in front of the fence, to take those first: whatever the order, live
 * connections are somewhere among many idle ones.  True while there is somebody to search for.
 */
static bool has_early_work(struct takeover *takeover)
{
	struct early *early = &takeover->early;
	struct monotime now;
	if (early->searching)
		return true;
	if (!takeover->fills_empty_kernel || takeover->round != TAKEOVER_MASTERS)
		return false;
	now = clock_now();
	if (monotime_is_before(now, early->next))
		return false;
	guard_take_waiting(takeover->parts.guard, note_waiting, early);
	if (!early_search(early, takeover->table, takeover->after, now))
		early_found_all(early, clock_now());
	return early->searching;
}

/* Goes on searching what is not committed yet.  False at the end of the tables. */
static bool search_chunk(struct takeover *takeover)
{
	const struct node *node = drive_node(takeover->parts.drive);
	struct early *early = &takeover->early;
	struct flow flows[CHUNK];
	unsigned count = 0, read = 0, table = early->table;
	struct node_table_view view;
	struct table_entry *entry = NULL;
	if (table >= takeover->tables_count)
		return false;
	if (find_table(takeover, table, &view)) {
		struct table_walk walk = table_walk_after(view.table, early->after, false);
		while (count < CHUNK && read++ < EARLY_CHUNK && (entry = table_walk_next(&walk)) != NULL) {
			struct flow *flow = &flows[count];
			early->after = walk.version;
			record_decode(entry->bytes, flow);
			if (!early_is_wanted(early, flow) ||
			    !is_in_round(takeover, &view, entry, flow->present & FLOW_HAS_MASTER) ||
			    early_was_taken(early, table, walk.version) ||
			    node_has_ended(node, view.table, record_key(entry->bytes)))
				continue;
			early_take(early, table, walk.version, flow);
			count++;
		}
	}
	for (unsigned i = 0; i < count; i++)
		take_flow(takeover, table, &flows[i]);
	if (entry == NULL) {
		early->after = 0;
		early->table++;
	}
	return true;
}

static void search(struct takeover *takeover)
{
	if (search_chunk(takeover))
		return;
	commit_flush(takeover->parts.commit);
	early_found_all(&takeover->early, clock_now());
}

static void take_expect(struct takeover *takeover, const struct expect *expect)
{
	uint32_t elapsed_s = takeover->tables[takeover->table].elapsed_s;
	char text[FLOW_TEXT_SIZE];
	int error;
	if (!expectations_accept(takeover->parts.expectations, expect))
		return;
	enum commit_result result =
	    expectations_commit(takeover->parts.expectations, expect,
				expect->timeout_s > elapsed_s ? expect->timeout_s - elapsed_s : 0, &error);
	if (result >= COMMIT_CLASH && takeover->expected[result] < TAKEOVER_NAMED)
		log_write(takeover->parts.log, LOG_WARNING, "expect-left-out", "left out: %s: %s%s%s",
			  expect_print(expect, text), commit_result_name(result), error != 0 ? ", " : "",
			  error != 0 ? strerror(-error) : "");
	takeover->expected[result]++;
}

/* The same as take_chunk() for expectations.  They are few among many: the table is searched in chunks. */
static bool take_expects_chunk(struct takeover *takeover)
{
	const struct node *node = drive_node(takeover->parts.drive);
	struct expect expects[CHUNK];
	unsigned count = 0, seen = 0;
	struct node_table_view view;
	struct table_entry *entry = NULL;
	if (takeover->table >= takeover->tables_count || !find_table(takeover, takeover->table, &view))
		return false;
	struct table_walk walk = table_walk_records_after(view.table, takeover->after);
	while (count < CHUNK && seen++ < SEARCH_CHUNK && (entry = table_walk_next(&walk)) != NULL) {
		takeover->after = walk.version;
		if (!record_is_expect(entry->bytes) ||
		    node_has_ended(node, view.table, record_key(entry->bytes)))
			continue;
		record_decode_expect(entry->bytes, &expects[count++]);
	}
	for (unsigned i = 0; i < count; i++)
		take_expect(takeover, &expects[i]);
	return entry != NULL;
}

static bool has_expectations(const struct takeover *takeover)
{
	struct node_table_view views[NODE_TABLES_MAX];
	unsigned count = node_tables(drive_node(takeover->parts.drive), views);
	for (unsigned i = 0; i < count; i++)
		if (table_records(views[i].table) > table_count(views[i].table))
			return true;
	return false;
}

static bool has_old_windows(const struct flow *flow)
{
	return flow->present & FLOW_HAS_TCP &&
	       !(flow->tcp.flags[0] & flow->tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
}

/*
 * Connections went on at the other node since we were primary, and the windows that this kernel knows of them
 * are old: their packets would be invalid.  No peer's table need name them: the sync link may be dark.
 * False at the table's end.
 */
static bool refresh_chunk(struct takeover *takeover)
{
	const struct table *own = node_internal(drive_node(takeover->parts.drive));
	struct commit_options options = own_options(takeover);
	struct table_entry *entry = NULL;
	struct flow flows[CHUNK];
	unsigned count = 0, seen = 0;
	if (takeover->own_end == 0)
		takeover->own_end = table_newest(own);
	struct table_walk walk = table_walk_after(own, takeover->after, false);
	while (seen++ < CHUNK && (entry = table_walk_next(&walk)) != NULL) {
		takeover->after = walk.version;
		record_decode(entry->bytes, &flows[count]);
		count += has_old_windows(&flows[count]);
	}
	for (unsigned i = 0; i < count; i++)
		commit_flow(takeover->parts.commit, &flows[i],
			    flows[i].timeout_s > 0 ? flows[i].timeout_s : 1, &options, own_settled, takeover);
	return entry != NULL && takeover->after < takeover->own_end;
}

static bool is_round_needed(const struct takeover *takeover)
{
	if (takeover->round == TAKEOVER_OWN)
		return takeover->has_leftovers;
	if (takeover->round == TAKEOVER_EXPECTATIONS)
		return expectations_are_wanted(takeover->parts.expectations) && has_expectations(takeover);
	if (takeover->round >= TAKEOVER_RELATED && !takeover->related_seen)
		return false;
	return takeover->stale_seen || !is_stale_round(takeover->round);
}

/* The next round that has something to do.  False: that was the last one. */
static bool next_round(struct takeover *takeover)
{
	takeover->table = 0;
	do
		takeover->round++;
	while (takeover->round < TAKEOVER_ROUNDS && !is_round_needed(takeover));
	return takeover->round < TAKEOVER_ROUNDS;
}

static bool run_chunk(struct takeover *takeover)
{
	switch (takeover->round) {
	case TAKEOVER_OWN:
		return refresh_chunk(takeover);
	case TAKEOVER_EXPECTATIONS:
		return take_expects_chunk(takeover);
	default:
		return take_chunk(takeover);
	}
}

/* In warm mode.  True when nothing is left to do, but for expectations, which are no copies. */
static bool bring_copies(struct takeover *takeover, struct monotime until)
{
	struct node_foreign_view foreign;
	bool is_done = drive_bring_foreign(takeover->parts.drive, until);
	drive_finish(takeover->parts.drive);
	node_foreign_view(drive_node(takeover->parts.drive), &foreign);
	takeover->copies = foreign.flows;
	if (!is_done)
		return false;
	takeover->results[COMMIT_TABLE_FULL] += foreign.no_room;
	takeover->round = TAKEOVER_EXPECTATIONS;
	return true;
}

bool takeover_run(struct takeover *takeover, struct monotime until)
{
	bool done = false;
	if (takeover->round == TAKEOVER_WARM && !bring_copies(takeover, until))
		return false;
	if (takeover->parts.is_warm && !is_round_needed(takeover))
		return true;
	while (!done && monotime_is_before(clock_now(), until)) {
		if (has_early_work(takeover)) {
			search(takeover);
			continue;
		}
		if (run_chunk(takeover))
			continue;
		takeover->after = 0;
		if (takeover->round != TAKEOVER_OWN && takeover->table < takeover->tables_count &&
		    ++takeover->table < takeover->tables_count)
			continue;
		/* a round is in the kernel before the next one is sent */
		commit_flush(takeover->parts.commit);
		done = !next_round(takeover);
	}
	if (!takeover->in_background)
		commit_flush(takeover->parts.commit);
	drive_finish(takeover->parts.drive);
	if (done)
		drive_set_deaf(takeover->parts.drive, false);
	return done;
}

static json_t *report_failures(const struct takeover *takeover)
{
	json_t *failures = json_object();
	for (unsigned result = COMMIT_CLASH; result < COMMIT_RESULTS; result++) {
		if (takeover->results[result] == 0)
			continue;
		json_t *names = json_array();
		for (unsigned i = 0; i < TAKEOVER_NAMED && i < takeover->results[result]; i++)
			json_array_append_new(names, json_string(takeover->named[result][i]));
		json_object_set_new(failures, commit_result_name((enum commit_result)result), names);
	}
	return failures;
}

static json_t *report_expected(const struct takeover *takeover)
{
	json_t *expected = json_object();
	for (unsigned result = 0; result < COMMIT_RESULTS; result++)
		if (takeover->expected[result] > 0)
			json_object_set_new(expected, commit_result_name((enum commit_result)result),
					    json_integer((json_int_t)takeover->expected[result]));
	return expected;
}

json_t *takeover_report(const struct takeover *takeover)
{
	json_t *report = json_object(), *peers = json_array();
	json_object_set_new(report, "flows", json_integer((json_int_t)takeover->taken));
	for (unsigned result = 0; result < COMMIT_RESULTS; result++)
		json_object_set_new(report, commit_result_name((enum commit_result)result),
				    json_integer((json_int_t)takeover->results[result]));
	if (takeover->parts.is_warm)
		json_object_set_new(report, "warm", json_integer((json_int_t)takeover->copies));
	json_object_set_new(report, "local", json_integer((json_int_t)takeover->local));
	json_object_set_new(report, "refreshed", json_integer((json_int_t)takeover->own_refreshed));
	json_object_set_new(report, "duration_us",
			    json_integer(monotime_sub(clock_now(), takeover->begun).us));
	for (unsigned i = 0; i < takeover->tables_count; i++)
		json_array_append_new(peers,
				      json_pack("{s:i,s:b,s:I,s:I}", "node", takeover->tables[i].id, "orphan",
						takeover->tables[i].orphan, "flows",
						(json_int_t)takeover->tables[i].flows, "owner_silent_s",
						(json_int_t)takeover->tables[i].elapsed_s));
	json_object_set_new(report, "peers", peers);
	json_object_set_new(report, "expectations", report_expected(takeover));
	json_object_set_new(report, "failures", report_failures(takeover));
	return report;
}
