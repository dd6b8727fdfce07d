/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/requests.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/daemon.h"
#include "syncd/daemon/dump.h"
#include "syncd/daemon/health.h"
#include "syncd/daemon/metrics.h"
#include "syncd/daemon/reload.h"
#include "syncd/daemon/status.h"
#include "syncd/daemon/subscribe.h"
#include "syncd/daemon/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The client's exit codes: 0 good, 1 it failed or the answer is no, 2 the request itself is wrong. */
enum { GOOD = 0, FAILED = 1, WRONG = 2 };

/* peer=N; 0 if it isn't given.  False (and answered): it is none, or of nobody that we know. */
static bool read_peer(struct daemon *daemon, struct control_client *client,
		      const struct message_request *request, uint16_t *peer)
{
	const char *text = message_argument(request, "peer");
	char *end;
	*peer = 0;
	if (text == NULL)
		return true;
	unsigned long number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || number < 1 || number > UINT16_MAX) {
		control_finish(client, WRONG, "peer `%s`: a node id is a number from 1 to 65535", text);
		return false;
	}
	*peer = (uint16_t)number;
	struct node_view view;
	node_view(drive_node(daemon->drive), clock_now(), &view);
	for (unsigned i = 0; i < view.peers; i++) {
		struct node_peer_view known;
		node_peer_view(drive_node(daemon->drive), clock_now(), i, &known);
		if (known.id == *peer)
			return true;
	}
	control_finish(client, FAILED, "there is no peer %u", *peer);
	return false;
}

static void answer_status(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	(void)request;
	char *text = status_text(daemon);
	if (text == NULL) {
		control_finish(client, FAILED, "out of memory");
		return;
	}
	control_send(client, MESSAGE_JSON, text, strlen(text));
	control_finish(client, GOOD, "%s", "");
	free(text);
}

static void answer_health(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	char line[HEALTH_LINE_SIZE];
	const char *strict = message_argument(request, "strict");
	int exit_code = health_judge(daemon, strict != NULL && strcmp(strict, "1") == 0, line);
	control_print(client, MESSAGE_TEXT, "%s", line);
	control_finish(client, exit_code, "%s", "");
}

static void answer_metrics(struct daemon *daemon, struct control_client *client,
			   const struct message_request *request)
{
	(void)request;
	char *text = metrics_text(daemon);
	if (text == NULL) {
		control_finish(client, FAILED, "out of memory");
		return;
	}
	control_send(client, MESSAGE_TEXT, text, strlen(text));
	control_finish(client, GOOD, "%s", "");
	free(text);
}

/* table=internal|external|internal-expect|external-expect peer=N; false: answered already. */
static bool read_table(struct daemon *daemon, struct control_client *client,
		       const struct message_request *request, enum dump_table *table, uint16_t *peer)
{
	static const struct {
		const char *name;
		enum dump_table table;
		bool has_peers;
	} tables[] = {
	    {"internal", DUMP_INTERNAL, false},
	    {"external", DUMP_EXTERNAL, true},
	    {"internal-expect", DUMP_INTERNAL_EXPECT, false},
	    {"external-expect", DUMP_EXTERNAL_EXPECT, true},
	};
	const char *name = message_argument(request, "table");
	*peer = 0;
	for (size_t i = 0; name != NULL && i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(name, tables[i].name) != 0)
			continue;
		*table = tables[i].table;
		return !tables[i].has_peers || read_peer(daemon, client, request, peer);
	}
	control_finish(client, WRONG,
		       "table `%s`: it may be internal, external, internal-expect or external-expect",
		       name != NULL ? name : "");
	return false;
}

static void answer_dump(struct daemon *daemon, struct control_client *client,
			const struct message_request *request)
{
	enum dump_table table;
	uint16_t peer;
	if (read_table(daemon, client, request, &table, &peer))
		dump_start(client, daemon->drive, table, peer);
}

static void answer_events(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	enum dump_table table;
	uint16_t peer;
	if (read_table(daemon, client, request, &table, &peer))
		subscribe_start(client, daemon->subscribers, table, peer);
}

static void answer_count(struct daemon *daemon, struct control_client *client,
			 const struct message_request *request)
{
	enum dump_table table;
	uint16_t peer;
	if (!read_table(daemon, client, request, &table, &peer))
		return;
	int64_t count = dump_count(daemon->drive, table, peer);
	control_print(client, MESSAGE_TEXT, "%" PRId64, count > 0 ? count : 0);
	control_finish(client, GOOD, "%s", "");
}

static void answer_verify(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	(void)request;
	verify_start(client, daemon);
}

static void answer_primary(struct daemon *daemon, struct control_client *client,
			   const struct message_request *request)
{
	(void)request;
	transition_request(daemon->transition, TRANSITION_PRIMARY, client);
}

static void answer_backup(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	(void)request;
	transition_request(daemon->transition, TRANSITION_BACKUP, client);
}

static void answer_fault(struct daemon *daemon, struct control_client *client,
			 const struct message_request *request)
{
	(void)request;
	transition_request(daemon->transition, TRANSITION_FAULT, client);
}

static void answer_commit(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	(void)request;
	transition_request(daemon->transition, TRANSITION_COMMIT, client);
}

static void answer_resync(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	struct node_event event = {.type = NODE_RESYNC};
	if (!read_peer(daemon, client, request, &event.peer))
		return;
	drive_step(daemon->drive, &event);
	if (event.peer != 0)
		control_print(client, MESSAGE_TEXT, "full catch-up from peer %u asked for", event.peer);
	else
		control_print(client, MESSAGE_TEXT, "full catch-up from all peers asked for");
	control_finish(client, GOOD, "%s", "");
}

/* The internal table is filled anew by an audit pass, at once. */
static void flush_internal(struct daemon *daemon)
{
	struct node_event event = {.type = NODE_FLUSH_INTERNAL};
	drive_step(daemon->drive, &event);
	drive_audit_now(daemon->drive);
}

static void answer_flush(struct daemon *daemon, struct control_client *client,
			 const struct message_request *request)
{
	const char *table = message_argument(request, "table");
	struct node_event event = {.type = NODE_FLUSH_EXTERNAL};
	if (table != NULL && strcmp(table, "internal") == 0) {
		flush_internal(daemon);
		control_print(client, MESSAGE_TEXT,
			      "the internal table is emptied; the kernel's is read anew");
	} else if (table != NULL && strcmp(table, "external") == 0) {
		if (!read_peer(daemon, client, request, &event.peer))
			return;
		drive_step(daemon->drive, &event);
		control_print(client, MESSAGE_TEXT,
			      "the external tables are emptied; live peers send theirs anew");
	} else if (table != NULL && strcmp(table, "kernel") == 0) {
		int error = commit_flush_kernel(daemon->commit);
		if (error < 0) {
			control_finish(client, FAILED, "flushing the kernel's table failed: %s",
				       strerror(-error));
			return;
		}
		struct node_event flushed = {.type = NODE_FOREIGN_FLUSHED};
		drive_step(daemon->drive, &flushed);
		/* events of our own requests do not reach us */
		flush_internal(daemon);
		control_print(client, MESSAGE_TEXT, "the kernel's table is emptied");
	} else {
		control_finish(client, WRONG, "table `%s`: it may be internal, external or kernel",
			       table != NULL ? table : "");
		return;
	}
	control_finish(client, GOOD, "%s", "");
}

static void answer_reload(struct daemon *daemon, struct control_client *client,
			  const struct message_request *request)
{
	char report[RELOAD_REPORT_SIZE];
	(void)request;
	int error = reload_run(daemon, report, sizeof(report));
	if (report[0] != '\0')
		control_print(client, MESSAGE_TEXT, "%s", report);
	control_finish(client, error < 0 ? FAILED : GOOD, "%s",
		       error < 0 ? "the configuration is not reloaded, the running one stays" : "");
}

struct verb {
	const char *name;
	bool changes; /* for administrators alone, and logged */
	void (*answer)(struct daemon *daemon, struct control_client *client,
		       const struct message_request *request);
};

static const struct verb verbs[] = {
    {"status", false, answer_status}, {"health", false, answer_health},  {"metrics", false, answer_metrics},
    {"dump", false, answer_dump},     {"events", false, answer_events},  {"count", false, answer_count},
    {"verify", false, answer_verify}, {"primary", true, answer_primary}, {"backup", true, answer_backup},
    {"fault", true, answer_fault},    {"commit", true, answer_commit},   {"resync", true, answer_resync},
    {"flush", true, answer_flush},    {"reload", true, answer_reload},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static void log_change(struct daemon *daemon, const struct verb *verb, struct control_client *client,
		       const struct message_request *request)
{
	char id[32], arguments[128] = "";
	size_t length = 0;
	snprintf(id, sizeof(id), "asked-%s", verb->name);
	/* a name runs on to the end of its value: "table=kernel" */
	for (size_t i = 0; i < request->arguments && length < sizeof(arguments); i++)
		length += (size_t)snprintf(arguments + length, sizeof(arguments) - length, " %.40s",
					   request->argument[i].name);
	struct log_subject subject = control_subject(client);
	log_write_about(daemon->log, LOG_NOTICE, id, &subject, "%s%s asked by uid %u, pid %d", verb->name,
			arguments, subject.uid, subject.pid);
}

static void log_refusal(struct daemon *daemon, const struct verb *verb, struct control_client *client)
{
	struct log_subject subject = control_subject(client);
	log_write_about(daemon->log, LOG_WARNING, "refused", &subject, "%s refused to uid %u, pid %d",
			verb->name, subject.uid, subject.pid);
}

void requests_handle(void *context, struct control_client *client, const struct message_request *request)
{
	struct daemon *daemon = context;
	const struct verb *verb = find_verb(request->verb);
	if (verb == NULL) {
		control_finish(client, WRONG, "this daemon does not know the request `%.40s`", request->verb);
		return;
	}
	if (!control_may_read(client)) {
		log_refusal(daemon, verb, client);
		control_finish(client, FAILED, "reading is for root and the members of the groups %s and %s",
			       daemon->config.control.group, daemon->config.control.reader_group);
		return;
	}
	if (verb->changes && !control_is_administrator(client)) {
		log_refusal(daemon, verb, client);
		control_finish(client, FAILED, "%s is for root and the members of group %s", verb->name,
			       daemon->config.control.group);
		return;
	}
	if (verb->changes)
		log_change(daemon, verb, client, request);
	verb->answer(daemon, client, request);
}
