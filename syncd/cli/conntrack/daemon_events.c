/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -E internal and external: what happens to the daemon's tables, as it tells (EVENTS of
 * syncd/control/message.h). */
#include "proto/record.h"
#include "syncd/cli/client.h"
#include "syncd/cli/conntrack/daemon_table.h"
#include "syncd/cli/conntrack/events.h"
#include "syncd/cli/conntrack/filter.h"
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

struct hearing {
	const struct cli *cli;
	const struct request *request;
	struct show *show;
	int signals;
	bool stopped, malformed;
	unsigned long long lost;
	struct events_loss loss;
};

static void show_event(struct hearing *hearing, enum message_event kind, uint16_t node, uint32_t id,
		       const uint8_t *record)
{
	static const struct {
		enum format_event_kind kind;
		unsigned mask;
	} kinds[] = {
	    [MESSAGE_EVENT_NEW] = {FORMAT_EVENT_NEW, EVENT_NEW},
	    [MESSAGE_EVENT_UPDATE] = {FORMAT_EVENT_UPDATE, EVENT_UPDATE},
	    [MESSAGE_EVENT_DESTROY] = {FORMAT_EVENT_DESTROY, EVENT_DESTROY},
	};
	struct format_event event = {.kind = kinds[kind].kind};
	struct timeval now;
	struct flow flow;

	daemon_table_read(record, id, &flow);
	if ((hearing->request->events && !(hearing->request->events & kinds[kind].mask)) ||
	    !filter_matches(hearing->request, &flow))
		return;
	gettimeofday(&now, NULL);
	event.time_s = now.tv_sec;
	event.time_us = (uint32_t)now.tv_usec;
	hearing->show->dump.event = &event;
	hearing->show->dump.node = node;
	show_flow(hearing->show, &flow);
	hearing->show->dump.event = NULL;
}

/* One entry.  False: it cannot be read. */
static bool take_event(struct hearing *hearing, struct reader *r)
{
	uint8_t kind = reader_u8(r);
	uint16_t node = reader_u16(r);
	uint32_t id = reader_u32(r);
	enum record_verdict verdict;
	const uint8_t *record;
	size_t size = 0;

	if (r->failed || kind < MESSAGE_EVENT_NEW || kind > MESSAGE_EVENT_LOST)
		return false;
	if (kind == MESSAGE_EVENT_LOST) {
		hearing->lost += id;
		return true;
	}
	if (kind == MESSAGE_EVENT_EMPTIED) {
		request_say(hearing->cli,
			    node ? "the table for node %u was emptied" : "the internal table was emptied",
			    node);
		return true;
	}
	record = r->at;
	verdict = record_check(record, reader_left(r), &size);
	if (verdict == RECORD_MALFORMED)
		return false;
	reader_skip(r, size);
	if (verdict != RECORD_INCOMPATIBLE)
		show_event(hearing, (enum message_event)kind, node, id, record);
	return true;
}

static void tell_losses(struct hearing *hearing, bool at_end)
{
	if (events_loss_is_due(&hearing->loss, hearing->lost, at_end))
		request_say(hearing->cli, "%llu events were lost: they came faster than they could be shown.",
			    hearing->lost);
}

static bool receive(void *context, enum message_type type, const uint8_t *payload, size_t length)
{
	struct reader r = reader_over(payload, length);
	struct hearing *hearing = context;
	struct pollfd stop = {.fd = hearing->signals, .events = POLLIN};

	while (type == MESSAGE_EVENTS && reader_left(&r) > 0 && !hearing->malformed)
		hearing->malformed = !take_event(hearing, &r);
	output_flush(&hearing->show->output); /* a line is not held back for the next */
	tell_losses(hearing, false);
	hearing->stopped = poll(&stop, 1, 0) > 0;
	return type == MESSAGE_EVENTS && !hearing->malformed && !hearing->stopped &&
	       !hearing->show->output.error;
}

static int hear(struct hearing *hearing, struct labels *labels)
{
	const struct cli *cli = hearing->cli;
	struct client_question question = {
	    .verb = "events",
	    .argument = {{"table", request_table_name(hearing->request->table)},
			 {"peer", hearing->request->peer}},
	    .patience_s = CLIENT_PATIENCE_ENDLESS_S,
	    .stop_fd = hearing->signals,
	    .receive = receive,
	    .context = hearing,
	};
	struct client_answer answer;
	int code;

	show_start(hearing->show, cli, hearing->request, labels);
	client_ask(cli, &question, &answer);
	code = show_end(hearing->show, cli, CLI_DONE);
	tell_losses(hearing, true);
	if (answer.outcome == CLIENT_NO_DAEMON)
		code = CLI_NO_DAEMON;
	else if (answer.outcome == CLIENT_ANSWERED)
		code = answer.code;
	else if (answer.outcome == CLIENT_BROKEN && !hearing->stopped)
		code = CLI_FAILED;
	if (code != CLI_DONE && hearing->malformed)
		request_say(cli, "the daemon's answer makes no sense: an event cannot be read");
	else if (code != CLI_DONE && !hearing->show->output.error)
		request_say(cli, "%s", *answer.message ? answer.message : "the daemon refused");
	if (code != CLI_NO_DAEMON && answer.outcome != CLIENT_ANSWERED)
		request_say(cli, "%llu flow events have been shown.", hearing->show->flows);
	return code;
}

int daemon_events_run(const struct cli *cli, const struct request *request, struct labels *labels)
{
	struct hearing hearing = {.cli = cli, .request = request, .show = malloc(sizeof(struct show))};
	int code = CLI_FAILED;

	hearing.signals = events_open_signals();
	if (!hearing.show || hearing.signals < 0)
		request_say(cli, "listening for events failed: %s", strerror(hearing.show ? errno : ENOMEM));
	else
		code = hear(&hearing, labels);
	if (hearing.signals >= 0)
		close(hearing.signals);
	free(hearing.show);
	return code;
}
