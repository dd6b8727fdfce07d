/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/daemon_table.h"
#include "proto/record.h"
#include "syncd/cli/client.h"
#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/expect.h"
#include "syncd/cli/conntrack/filter.h"
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dump of the daemon's that is being received. */
struct receiving {
	const struct request *request;
	struct show *show;
	unsigned long long records, skipped;
	bool malformed;
};

/*
 * A record leaves a mark of zero out, and the kernel does not; it is shown, so that lines of both tables
 * compare. use= is no part of a flow, but of one kernel's entry.
 */
void daemon_table_read(const uint8_t *record, uint32_t id, struct flow *flow)
{
	record_decode(record, flow);
	flow->present |= FLOW_HAS_MARK | (id ? FLOW_HAS_ID : 0);
	flow->id = id;
}

static void take_expect(struct receiving *receiving, uint16_t node, uint32_t id, const uint8_t *record)
{
	struct expectation expectation;
	struct expect expect;

	record_decode_expect(record, &expect);
	if (receiving->request->flow.family && receiving->request->flow.family != expect.family)
		return;
	expectation = (struct expectation){
	    .family = expect.family,
	    .has_zone = expect.zone != 0,
	    .has_class = true,
	    .has_nat = expect.has_nat,
	    .zone = expect.zone,
	    .timeout_s = expect.timeout_s,
	    .id = id,
	    .flags = expect.flags,
	    .class = expect.class,
	    .nat_direction = expect.nat_direction,
	    .expected = {expect.protocol, expect.tuple},
	    .mask = {expect.protocol, {.sport = expect.mask_sport, .dport = UINT16_MAX}},
	    .master = {expect.master_protocol, expect.master},
	    .nat = {expect.master_protocol, {.sport = expect.nat_port}},
	};
	memcpy(expectation.mask.tuple.src, expect.mask_src, sizeof(expect.mask_src));
	memset(expectation.mask.tuple.dst, 0xff, flow_address_size(expect.family));
	memcpy(expectation.nat.tuple.src, expect.nat_address, sizeof(expect.nat_address));
	memcpy(expectation.helper, expect.helper, sizeof(expect.helper));
	memcpy(expectation.function, expect.function, sizeof(expect.function));
	receiving->show->dump.node = node;
	expect_format(receiving->request)->row(&receiving->show->dump, &expectation);
	receiving->show->flows++;
}

static void take_record(struct receiving *receiving, uint16_t node, uint32_t id, const uint8_t *record)
{
	struct flow flow;

	if (record_is_expect(record) != request_is_about_held_expectations(receiving->request))
		return; /* not what was asked for */
	if (record_is_expect(record)) {
		take_expect(receiving, node, id, record);
		return;
	}
	daemon_table_read(record, id, &flow);
	if (!filter_matches(receiving->request, &flow))
		return;
	receiving->show->dump.node = node;
	show_flow(receiving->show, &flow);
}

/* RECORDS: node id, the kernel's id, record; see syncd/control/message.h. */
static bool receive_records(void *context, enum message_type type, const uint8_t *payload, size_t length)
{
	struct reader r = reader_over(payload, length);
	struct receiving *receiving = context;

	while (type == MESSAGE_RECORDS && reader_left(&r) > 0 && !receiving->show->output.error) {
		uint16_t node = reader_u16(&r);
		uint32_t id = reader_u32(&r);
		size_t size = 0;
		enum record_verdict verdict =
		    r.failed ? RECORD_MALFORMED : record_check(r.at, reader_left(&r), &size);

		receiving->records++;
		if (verdict == RECORD_MALFORMED) {
			receiving->malformed = true;
			return false;
		}
		if (verdict == RECORD_INCOMPATIBLE)
			receiving->skipped++;
		else
			take_record(receiving, node, id, r.at);
		reader_skip(&r, size);
	}
	return type == MESSAGE_RECORDS && !receiving->show->output.error;
}

static struct client_question question_for(const struct request *request, const char *verb)
{
	return (struct client_question){
	    .verb = verb,
	    .argument = {{"table", request_table_name(request->table)}, {"peer", request->peer}},
	};
}

/* The exit code for an answer that isn't good. */
static int daemon_code(const struct client_answer *answer)
{
	if (answer->outcome == CLIENT_NO_DAEMON)
		return CLI_NO_DAEMON;
	return answer->outcome == CLIENT_ANSWERED ? answer->code : CLI_FAILED;
}

static int say_end(const struct cli *cli, const struct receiving *receiving,
		   const struct client_answer *answer, int code)
{
	if (code == CLI_DONE && receiving->request->command == REQUEST_GET && !receiving->show->flows)
		return change_say_error(cli, -ENOENT);
	if (code == CLI_DONE)
		request_say(cli, "%llu %s have been shown.", receiving->show->flows,
			    request_is_about_held_expectations(receiving->request) ? "expectations"
										   : "flow entries");
	else if (receiving->malformed)
		request_say(cli, "the daemon's answer makes no sense: record %llu cannot be read",
			    receiving->records);
	else if (!receiving->show->output.error)
		request_say(cli, "%s", *answer->message ? answer->message : "the daemon refused the dump");
	if (receiving->skipped)
		request_say(
		    cli, "%llu flows more have attributes that this version does not know, and are left out.",
		    receiving->skipped);
	return code;
}

static int end_output(const struct cli *cli, const struct receiving *receiving, int code)
{
	const struct expectation_format *format = expect_format(receiving->request);

	if (!request_is_about_held_expectations(receiving->request))
		return show_end(receiving->show, cli, code);
	if (format->end)
		format->end(&receiving->show->dump);
	return show_flush(receiving->show, cli, code);
}

static int list(const struct cli *cli, const struct request *request, struct labels *labels)
{
	struct receiving receiving = {.request = request, .show = malloc(sizeof(struct show))};
	struct client_question question = question_for(request, "dump");
	struct client_answer answer;
	int code;

	if (!receiving.show) {
		request_say(cli, "out of memory");
		return CLI_FAILED;
	}
	show_start(receiving.show, cli, request, labels);
	question.receive = receive_records;
	question.context = &receiving;
	client_ask(cli, &question, &answer);
	code = answer.outcome == CLIENT_ANSWERED && !answer.code ? CLI_DONE : daemon_code(&answer);
	code = say_end(cli, &receiving, &answer, end_output(cli, &receiving, code));
	free(receiving.show);
	return code;
}

static int count(const struct cli *cli, const struct request *request)
{
	struct client_question question = question_for(request, "count");
	struct client_reply reply = {0};
	struct client_answer answer;
	int code = CLI_DONE;

	question.receive = client_keep;
	question.context = &reply;
	client_ask(cli, &question, &answer);
	if (answer.outcome == CLIENT_ANSWERED && !answer.code) {
		const char *text = reply.text.text ? reply.text.text : answer.message;

		printf("%.*s\n", (int)strcspn(text, "\n"), text);
	} else {
		request_say(cli, "%s", *answer.message ? answer.message : "the daemon refused to count");
		code = daemon_code(&answer);
	}
	client_reply_free(&reply);
	return cli_finish(cli, code);
}

static int flush(const struct cli *cli, const struct request *request)
{
	struct client_question question = question_for(request, "flush");
	struct client_reply reply = {0};
	struct client_answer answer;
	int code;

	question.receive = client_keep;
	question.context = &reply;
	client_ask(cli, &question, &answer);
	code = answer.outcome == CLIENT_ANSWERED ? answer.code : daemon_code(&answer);
	if (code == CLI_DONE)
		request_say(cli, "%s.", reply.text.text ? reply.text.text : "the table has been emptied");
	else
		request_say(cli, "%s",
			    *answer.message ? answer.message : "the daemon refused to empty the table");
	client_reply_free(&reply);
	return code;
}

int daemon_table_run(const struct cli *cli, const struct request *request, struct labels *labels)
{
	switch (request->command) {
	case REQUEST_COUNT:
		return count(cli, request);
	case REQUEST_FLUSH:
		return flush(cli, request);
	case REQUEST_EVENT:
		return daemon_events_run(cli, request, labels);
	default:
		return list(cli, request, labels);
	}
}
