/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/transition.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	PROGRESS_US = 300000,
	LOOK_US = 20000,         /* how often it is looked whether the peers are ready */
	TICK_US = 50000,         /* how finely it is measured how long we have listened ... */
	TICK_MAX_US = 100000,    /* ... of which no more counts between two ticks: we slept */
	HEARD_HEARTBEATS = 4,    /* after so many everyone who lives has proven so */
	TABLES_US = 5 * 1000000, /* so long a takeover at start waits for the peers' tables */
};

struct request {
	struct request *next;
	struct transition *transition;
	enum transition_kind kind;
	bool waits_for_tables;         /* at start */
	struct control_client *client; /* NULL: nobody waits, or nobody does any more */
};

struct transition {
	struct transition_parts parts;
	struct request *first; /* the one that runs, then those that wait */
	struct loop_slice slice;
	struct loop_timer wait; /* for the peers */
	struct loop_timer tick; /* until we have listened for as long as anything waits for that */
	struct monotime ticked;
	int64_t listened_us; /* since the start; a time in which we got no turn is none */
	enum frame_role wanted;
	bool commits;      /* the first's takeover runs */
	bool is_committed; /* all that was here; what a live peer still sends is followed */
	struct takeover takeover;
	struct monotime next_progress;
};

static const char *kind_name(enum transition_kind kind)
{
	static const char *const names[] = {"primary", "backup", "fault", "commit"};
	return names[kind];
}

static void view(const struct transition *transition, struct node_view *view)
{
	node_view(drive_node(transition->parts.drive), clock_now(), view);
}

static void client_gone(void *context, struct control_client *client)
{
	struct request *request = context;
	(void)client;
	request->client = NULL;
}

static void refuse(struct control_client *client, const char *why)
{
	if (client != NULL)
		control_finish(client, 1, "%s", why);
}

static struct request *append(struct transition *transition, enum transition_kind kind,
			      struct control_client *client)
{
	static const enum frame_role roles[] = {FRAME_ROLE_PRIMARY, FRAME_ROLE_BACKUP, FRAME_ROLE_FAULT};
	struct request **at = &transition->first;
	unsigned waiting = 0;
	for (; *at != NULL; at = &(*at)->next)
		waiting++;
	/* clients are bounded, but one that leaves leaves its request behind */
	if (waiting >= TRANSITION_WAITING_MAX) {
		refuse(client, "too many requests wait already");
		return NULL;
	}
	struct request *request = calloc(1, sizeof(*request));
	if (request == NULL) {
		refuse(client, "out of memory");
		return NULL;
	}
	*request = (struct request){.transition = transition, .kind = kind, .client = client};
	*at = request;
	if (kind != TRANSITION_COMMIT)
		transition->wanted = roles[kind];
	transition->slice.active = true;
	return request;
}

void transition_request(struct transition *transition, enum transition_kind kind,
			struct control_client *client)
{
	struct request *request = append(transition, kind, client);
	if (request != NULL && client != NULL)
		control_set_stream(client, NULL, client_gone, request);
}

enum frame_role transition_wanted_role(const struct transition *transition)
{
	return transition->wanted;
}

void transition_set_wanted_role(struct transition *transition, enum frame_role role)
{
	transition->wanted = role;
}

static void set_role(struct transition *transition, enum frame_role role)
{
	struct node_event event = {.type = NODE_ROLE, .role = role};
	drive_step(transition->parts.drive, &event);
}

/* Changes the role, and what goes with it, in the order that keeps packets out until their flows are known.
 */
static void enter_role(struct transition *transition, enum frame_role role)
{
	set_role(transition, role);
	guard_set_role(transition->parts.guard, role, clock_now());
	transition->parts.role_changed(transition->parts.context);
}

void transition_resume(struct transition *transition, enum frame_role role)
{
	log_write(transition->parts.log, LOG_NOTICE, "role-resumed",
		  "going on in role %s, as the state file has it", frame_role_name(role));
	enter_role(transition, role);
}

void transition_resume_takeover(struct transition *transition)
{
	struct request *request = append(transition, TRANSITION_PRIMARY, NULL);
	if (request == NULL) {
		log_write(transition->parts.log, LOG_ERR, "role-resumed",
			  "out of memory: not primary, as is wanted");
		return;
	}
	log_write(transition->parts.log, LOG_NOTICE, "role-awaited",
		  "`primary` was asked for and not reached: taking over");
	request->waits_for_tables = true;
}

void transition_retake_if_needed(struct transition *transition)
{
	struct node_view now;
	view(transition, &now);
	if (!now.must_retake || transition->first != NULL ||
	    append(transition, TRANSITION_PRIMARY, NULL) == NULL)
		return;
	log_write(transition->parts.log, LOG_NOTICE, "retake",
		  "a node that took over after us has given way: taking its flows");
}

/* ---- answers ---- */

static json_t *describe(struct transition *transition, const struct request *request, enum frame_role before)
{
	struct node_view now;
	view(transition, &now);
	return json_pack("{s:s,s:s,s:s,s:b,s:i,s:s}", "verb", kind_name(request->kind), "was",
			 frame_role_name(before), "role", frame_role_name(now.role), "changed",
			 before != now.role, "term", (int)now.term, "fence",
			 guard_state_name(transition->parts.guard->state));
}

/* Answers the first request and lets it go; takes the reference to `report`. */
static void finish(struct transition *transition, json_t *report, int exit_code, const char *message)
{
	struct request *request = transition->first;
	char *text = report != NULL ? json_dumps(report, JSON_COMPACT) : NULL;
	if (request->client != NULL) {
		if (text != NULL)
			control_send(request->client, MESSAGE_JSON, text, strlen(text));
		control_finish(request->client, exit_code, "%s", message);
		control_set_stream(request->client, NULL, NULL, NULL);
	}
	log_write(transition->parts.log, exit_code == 0 ? LOG_NOTICE : LOG_ERR, "transition", "%s: %s %s",
		  kind_name(request->kind), text != NULL ? text : "", message);
	free(text);
	json_decref(report);
	transition->first = request->next;
	free(request);
}

/* Live peers that hold more than has come in: [{"node":2,"missing":120,"catching_up":true}] */
static json_t *describe_missing(const struct transition *transition, char *message, size_t size)
{
	struct monotime now = clock_now();
	struct node_view node;
	json_t *list = json_array();
	view(transition, &node);
	for (unsigned i = 0; i < node.peers; i++) {
		struct node_peer_view peer;
		node_peer_view(drive_node(transition->parts.drive), now, i, &peer);
		uint64_t missing = peer.newest > peer.applied ? peer.newest - peer.applied : 0;
		if (!peer.alive || (missing == 0 && !peer.full_running))
			continue;
		if (message[0] == '\0' && peer.full_running)
			snprintf(message, size,
				 "the table of node %u is still coming in: %" PRIu64
				 " of its versions are missing, and follow",
				 peer.id, missing);
		json_array_append_new(list, json_pack("{s:i,s:I,s:b}", "node", peer.id, "missing",
						      (json_int_t)missing, "catching_up", peer.full_running));
	}
	return list;
}

/* ---- the peers at start ---- */

struct peers_seen {
	unsigned alive, unproven;
	bool has_primary;
};

static struct peers_seen look_at_peers(const struct transition *transition, struct monotime now)
{
	struct peers_seen seen = {0};
	struct node_view node;
	view(transition, &node);
	for (unsigned i = 0; i < node.peers; i++) {
		struct node_peer_view peer;
		node_peer_view(drive_node(transition->parts.drive), now, i, &peer);
		if (!peer.alive)
			continue;
		seen.alive++;
		seen.unproven += !peer.holds.in_sync;
		seen.has_primary |= peer.role == FRAME_ROLE_PRIMARY;
	}
	return seen;
}

static bool peers_are_ready(const struct transition *transition, const struct request *request)
{
	const struct config *config = transition->parts.config;
	struct monotime now = clock_now();
	int64_t age_us = transition->listened_us;
	struct peers_seen seen;
	if (!request->waits_for_tables) {
		if (age_us >= HEARD_HEARTBEATS * config->sync.heartbeat_us)
			return true;
		return look_at_peers(transition, now).has_primary;
	}
	if (age_us >= TABLES_US && age_us >= 2 * config->sync.peer_timeout_us)
		return true;
	seen = look_at_peers(transition, now);
	if (seen.alive == 0)
		return age_us >= 2 * config->sync.peer_timeout_us;
	return seen.unproven == 0 &&
	       (seen.has_primary || age_us >= HEARD_HEARTBEATS * config->sync.heartbeat_us);
}

static void listen_on(void *context, struct monotime now)
{
	struct transition *transition = context;
	const struct config *config = transition->parts.config;
	int64_t elapsed_us = monotime_sub(now, transition->ticked).us;
	int64_t enough_us =
	    TABLES_US + HEARD_HEARTBEATS * config->sync.heartbeat_us + 2 * config->sync.peer_timeout_us;
	transition->ticked = now;
	transition->listened_us += elapsed_us < TICK_MAX_US ? elapsed_us : TICK_MAX_US;
	if (transition->listened_us < enough_us)
		transition->tick.deadline = monotime_add(now, monotime_from_us(TICK_US));
}

static void look_again(void *context, struct monotime now)
{
	struct transition *transition = context;
	(void)now;
	transition->wait.deadline = MONOTIME_NEVER;
	transition->slice.active = transition->first != NULL;
}

/* ---- primary and commit ---- */

static void tell_node(struct transition *transition, enum node_event_type type)
{
	struct node_event event = {.type = type};
	drive_step(transition->parts.drive, &event);
}

static bool is_needed(struct transition *transition, const struct request *request,
		      const struct node_view *now)
{
	if (request->kind == TRANSITION_COMMIT || now->role != FRAME_ROLE_PRIMARY || now->must_retake)
		return true;
	return transition->parts.config->node.mode == CONFIG_MODE_ACTIVE_ACTIVE;
}

static void begin_takeover(struct transition *transition)
{
	struct request *request = transition->first;
	struct node_view now;
	view(transition, &now);
	if (!is_needed(transition, request, &now)) {
		finish(transition, describe(transition, request, now.role), 0, "already primary");
		return;
	}
	guard_set_taking_over(transition->parts.guard, true, clock_now());
	if (request->kind == TRANSITION_PRIMARY && !peers_are_ready(transition, request)) {
		transition->wait.deadline = monotime_add(clock_now(), monotime_from_us(LOOK_US));
		return;
	}
	struct takeover_parts parts = {
	    .drive = transition->parts.drive,
	    .log = transition->parts.log,
	    .commit = transition->parts.commit,
	    .filter = transition->parts.filter,
	    .expectations = transition->parts.expectations,
	    .guard = transition->parts.guard,
	    .options = {.fence_closed = guard_is_armed(transition->parts.guard),
			.tcp_liberal = !transition->parts.config->commit.tcp_strict},
	    .timeout_s = transition->parts.config->commit.timeout_s,
	};
	struct node_foreign_view foreign;
	node_foreign_view(drive_node(transition->parts.drive), &foreign);
	/* what is here since an earlier time as primary has old windows, and is gone over as without warm
	 * mode
	 */
	parts.is_warm = foreign.active && !now.leftovers;
	int error = takeover_begin(&transition->takeover, &parts);
	if (error < 0) {
		guard_set_taking_over(transition->parts.guard, false, clock_now());
		finish(transition, describe(transition, request, now.role), 1, strerror(-error));
		return;
	}
	transition->commits = true;
	transition->is_committed = false;
	/* that leftovers will be here, whatever happens from now on */
	transition->parts.role_changed(transition->parts.context);
	if (request->kind == TRANSITION_PRIMARY) {
		if (transition->takeover.fills_empty_kernel)
			guard_pass_known(transition->parts.guard);
		tell_node(transition, NODE_TAKEOVER);
	}
	transition->next_progress = monotime_add(clock_now(), monotime_from_us(PROGRESS_US));
}

/*
 * While the table of a live peer is still coming in, the fence stays closed, for as long as it may: what is
 * missing would be answered with RST.  Without a fence there is nothing to wait for.
 */
static bool is_worth_waiting(const struct transition *transition)
{
	int64_t max_wait_us = transition->parts.config->fence.max_wait_us;
	struct monotime now = clock_now();
	struct node_view node;
	if (transition->first->kind != TRANSITION_PRIMARY || !guard_is_armed(transition->parts.guard) ||
	    monotime_sub(now, transition->takeover.begun).us >= max_wait_us)
		return false;
	view(transition, &node);
	for (unsigned i = 0; i < node.peers; i++) {
		struct node_peer_view peer;
		node_peer_view(drive_node(transition->parts.drive), now, i, &peer);
		if (peer.alive && peer.full_running && peer.newest > peer.applied)
			return true;
	}
	return false;
}

static void tell_progress(struct transition *transition)
{
	struct control_client *client = transition->first->client;
	struct monotime now = clock_now();
	if (client == NULL || monotime_is_before(now, transition->next_progress))
		return;
	transition->next_progress = monotime_add(now, monotime_from_us(PROGRESS_US));
	control_print(client, MESSAGE_PROGRESS, "committing: %" PRIu64 " of %" PRIu64 " flows",
		      transition->takeover.taken, transition->takeover.total);
}

static void end_takeover(struct transition *transition)
{
	struct request *request = transition->first;
	struct takeover *takeover = &transition->takeover;
	struct node_view before;
	char message[160] = "";
	int exit_code = 0;
	view(transition, &before);
	transition->commits = false;
	json_t *committed = takeover_report(takeover);
	if (request->kind == TRANSITION_PRIMARY) {
		drive_give_way(transition->parts.drive);
		enter_role(transition, FRAME_ROLE_PRIMARY);
	}
	guard_set_taking_over(transition->parts.guard, false, clock_now());
	if (takeover->results[COMMIT_TABLE_FULL] > 0) {
		exit_code = 1;
		snprintf(message, sizeof(message),
			 "the kernel's table was full: %" PRIu64
			 " flows could not be committed; raise nf_conntrack_max, and nf_conntrack_buckets",
			 takeover->results[COMMIT_TABLE_FULL]);
	}
	json_t *report = describe(transition, request, before.role);
	json_object_set_new(report, "commit", committed);
	json_object_set_new(report, "missing", describe_missing(transition, message, sizeof(message)));
	takeover_end(takeover);
	finish(transition, report, exit_code, message);
}

/* A `backup` or `fault` that came after the first request; NULL: none. */
static const struct request *find_last_word(const struct transition *transition)
{
	const struct request *request = transition->first->next;
	while (request != NULL && request->kind != TRANSITION_BACKUP && request->kind != TRANSITION_FAULT)
		request = request->next;
	return request;
}

static void break_off(struct transition *transition, const struct request *last_word)
{
	struct request *request = transition->first;
	struct takeover *takeover = &transition->takeover;
	struct node_view now;
	char message[160];
	view(transition, &now);
	snprintf(message, sizeof(message),
		 "broken off by a newer `%s`, after %" PRIu64 " of %" PRIu64 " flows",
		 kind_name(last_word->kind), transition->commits ? takeover->taken : 0,
		 transition->commits ? takeover->total : 0);
	json_t *report = describe(transition, request, now.role);
	if (transition->commits) {
		json_object_set_new(report, "commit", takeover_report(takeover));
		takeover_end(takeover);
		if (request->kind == TRANSITION_PRIMARY)
			tell_node(transition, NODE_TAKEOVER_FAILED);
	}
	transition->commits = false;
	transition->wait.deadline = MONOTIME_NEVER;
	guard_set_taking_over(transition->parts.guard, false, clock_now());
	transition->parts.role_changed(transition->parts.context);
	finish(transition, report, 1, message);
}

/* ---- backup and fault ---- */

static void stand_by(struct transition *transition)
{
	struct request *request = transition->first;
	enum frame_role role = request->kind == TRANSITION_BACKUP ? FRAME_ROLE_BACKUP : FRAME_ROLE_FAULT;
	struct node_view before;
	view(transition, &before);
	enter_role(transition, role);
	bool failed = transition->parts.guard->state == GUARD_FAILED;
	finish(transition, describe(transition, request, before.role), failed ? 1 : 0,
	       failed                ? "the fence can't be closed; a takeover may reset connections"
	       : before.role == role ? "nothing to change"
				     : "");
}

static void run_takeover(struct transition *transition, struct monotime until)
{
	const struct request *last_word = find_last_word(transition);
	if (last_word != NULL) {
		break_off(transition, last_word);
		return;
	}
	if (!transition->commits) {
		begin_takeover(transition);
		return;
	}
	if (!transition->is_committed)
		transition->is_committed = takeover_run(&transition->takeover, until);
	tell_progress(transition);
	if (!transition->is_committed)
		return;
	if (is_worth_waiting(transition))
		transition->wait.deadline = monotime_add(clock_now(), monotime_from_us(LOOK_US));
	else
		end_takeover(transition);
}

static void run(void *context, struct monotime until)
{
	struct transition *transition = context;
	const struct request *request = transition->first;
	if (request != NULL && (request->kind == TRANSITION_PRIMARY || request->kind == TRANSITION_COMMIT))
		run_takeover(transition, until);
	else if (request != NULL)
		stand_by(transition);
	bool waits = transition->wait.deadline.us != MONOTIME_NEVER.us;
	transition->slice.active = transition->first != NULL && !waits;
}

static void settle(void *context)
{
	struct transition *transition = context;
	if (transition->commits)
		takeover_settle(&transition->takeover);
}

int transition_open(struct transition **result, const struct transition_parts *parts)
{
	struct transition *transition = calloc(1, sizeof(*transition));
	if (transition == NULL)
		return -ENOMEM;
	transition->parts = *parts;
	transition->ticked = clock_now();
	transition->wanted = FRAME_ROLE_INIT;
	transition->slice = (struct loop_slice){.run = run, .settle = settle, .context = transition};
	transition->wait =
	    (struct loop_timer){.deadline = MONOTIME_NEVER, .expired = look_again, .context = transition};
	transition->tick =
	    (struct loop_timer){.deadline = transition->ticked, .expired = listen_on, .context = transition};
	loop_add_timer(parts->loop, &transition->tick);
	loop_add_slice(parts->loop, &transition->slice);
	loop_add_timer(parts->loop, &transition->wait);
	*result = transition;
	return 0;
}

void transition_close(struct transition *transition)
{
	if (transition == NULL)
		return;
	if (transition->commits)
		takeover_end(&transition->takeover);
	while (transition->first != NULL) {
		struct request *request = transition->first;
		transition->first = request->next;
		if (request->client != NULL)
			control_set_stream(request->client, NULL, NULL, NULL);
		free(request);
	}
	free(transition);
}

bool transition_is_running(const struct transition *transition)
{
	return transition->first != NULL;
}

bool transition_commits(const struct transition *transition)
{
	return transition->commits;
}
