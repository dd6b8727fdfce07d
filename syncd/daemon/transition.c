/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/transition.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRESS_US = 300000 };

struct request {
	struct request *next;
	struct transition *transition;
	enum transition_kind kind;
	struct control_client *client; /* NULL: nobody waits, or nobody does any more */
};

struct transition {
	struct transition_parts parts;
	struct request *first; /* the one that runs, then those that wait */
	struct loop_slice slice;
	bool commits; /* the first's takeover runs */
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

void transition_request(struct transition *transition, enum transition_kind kind,
			struct control_client *client)
{
	struct request **at = &transition->first;
	unsigned waiting = 0;
	for (; *at != NULL; at = &(*at)->next)
		waiting++;
	/* clients are bounded, but one that leaves leaves its request behind */
	if (waiting >= TRANSITION_WAITING_MAX) {
		refuse(client, "too many requests wait already");
		return;
	}
	struct request *request = calloc(1, sizeof(*request));
	if (request == NULL) {
		refuse(client, "out of memory");
		return;
	}
	*request = (struct request){.transition = transition, .kind = kind, .client = client};
	*at = request;
	if (client != NULL)
		control_set_stream(client, NULL, client_gone, request);
	transition->slice.active = true;
}

enum frame_role transition_wanted_role(const struct transition *transition, enum frame_role current)
{
	static const enum frame_role roles[] = {FRAME_ROLE_PRIMARY, FRAME_ROLE_BACKUP, FRAME_ROLE_FAULT};
	for (const struct request *request = transition->first; request != NULL; request = request->next)
		if (request->kind != TRANSITION_COMMIT)
			current = roles[request->kind];
	return current;
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

/* ---- primary and commit ---- */

static bool is_needed(struct transition *transition, const struct request *request, enum frame_role role)
{
	if (request->kind == TRANSITION_COMMIT || role != FRAME_ROLE_PRIMARY)
		return true;
	return transition->parts.config->node.mode == CONFIG_MODE_ACTIVE_ACTIVE;
}

static void begin_takeover(struct transition *transition)
{
	struct request *request = transition->first;
	struct node_view now;
	view(transition, &now);
	if (!is_needed(transition, request, now.role)) {
		finish(transition, describe(transition, request, now.role), 0, "already primary");
		return;
	}
	struct takeover_parts parts = {
	    .drive = transition->parts.drive,
	    .commit = transition->parts.commit,
	    .filter = transition->parts.filter,
	    .options = {.fence_closed = guard_is_armed(transition->parts.guard), .tcp_liberal = true},
	    .timeout_s = transition->parts.config->commit.timeout_s,
	};
	int error = takeover_begin(&transition->takeover, &parts);
	if (error < 0) {
		finish(transition, describe(transition, request, now.role), 1, strerror(-error));
		return;
	}
	guard_set_taking_over(transition->parts.guard, true, clock_now());
	transition->commits = true;
	transition->next_progress = monotime_add(clock_now(), monotime_from_us(PROGRESS_US));
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
	if (request->kind == TRANSITION_PRIMARY)
		enter_role(transition, FRAME_ROLE_PRIMARY);
	guard_set_taking_over(transition->parts.guard, false, clock_now());
	if (takeover->results[COMMIT_TABLE_FULL] > 0) {
		exit_code = 1;
		snprintf(message, sizeof(message),
			 "the kernel's table was full: %" PRIu64
			 " flows could not be committed; raise nf_conntrack_max",
			 takeover->results[COMMIT_TABLE_FULL]);
	}
	json_t *report = describe(transition, request, before.role);
	json_object_set_new(report, "commit", committed);
	takeover_end(takeover);
	finish(transition, report, exit_code, message);
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

static void run(void *context, struct monotime until)
{
	struct transition *transition = context;
	if (transition->commits) {
		bool done = takeover_run(&transition->takeover, until);
		tell_progress(transition);
		if (done)
			end_takeover(transition);
	} else if (transition->first != NULL) {
		if (transition->first->kind == TRANSITION_PRIMARY ||
		    transition->first->kind == TRANSITION_COMMIT)
			begin_takeover(transition);
		else
			stand_by(transition);
	}
	transition->slice.active = transition->first != NULL;
}

int transition_open(struct transition **result, const struct transition_parts *parts)
{
	struct transition *transition = calloc(1, sizeof(*transition));
	if (transition == NULL)
		return -ENOMEM;
	transition->parts = *parts;
	transition->slice = (struct loop_slice){.run = run, .context = transition};
	loop_add_slice(parts->loop, &transition->slice);
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
