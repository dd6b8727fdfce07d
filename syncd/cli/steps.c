/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs that tell the daemon to do one thing, and show what it did: changes of role, commit, resync,
 * flush, reload, verify, health.
 */
#include "syncd/cli/client.h"
#include "syncd/cli/json.h"
#include "syncd/cli/metrics_text.h"
#include "syncd/cli/report.h"
#include "syncd/control/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of the option with this name; NULL: not given, or the verb has none. */
static const char *option_value(const struct cli_verb *verb, const struct cli_arguments *arguments,
				const char *name)
{
	for (size_t i = 0; verb->options[i].name; i++)
		if (!strcmp(verb->options[i].name, name))
			return arguments->option[i];
	return NULL;
}

static void print_for_people(const struct client_reply *reply, const struct client_answer *answer)
{
	json_t *report = json_loadb(reply->json.text ? reply->json.text : "", reply->json.length, 0, NULL);

	if (reply->text.length) {
		fwrite(reply->text.text, 1, reply->text.length, stdout);
		if (reply->text.text[reply->text.length - 1] != '\n')
			putchar('\n');
	}
	report_print(report,
		     answer->code ? "" : answer->message); /* that of a failure goes to standard error */
	json_decref(report);
}

/* What the daemon said as JSON; of one that said none, the result. */
static void print_for_programs(const struct client_reply *reply, const struct client_answer *answer)
{
	json_t *object;

	if (reply->json.length) {
		json_print_raw(&reply->json);
		return;
	}
	object = json_pack("{s:i, s:s}", "exit", answer->code, "message", answer->message);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static void ask(const struct cli *cli, const struct client_question *question, struct client_reply *reply,
		struct client_answer *answer)
{
	struct client_question whole = *question;

	whole.patience_s = CLIENT_PATIENCE_LONG_S;
	whole.receive = client_keep;
	whole.context = reply;
	client_ask(cli, &whole, answer);
}

static int show(const struct cli *cli, const struct client_reply *reply, const struct client_answer *answer,
		bool as_json)
{
	if (answer->outcome == CLIENT_ANSWERED && as_json)
		print_for_programs(reply, answer);
	else if (answer->outcome == CLIENT_ANSWERED)
		print_for_people(reply, answer);
	return client_exit(cli, answer);
}

int steps_run(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	const char *peer = option_value(verb, arguments, "peer");
	struct client_question question = {.verb = verb->name, .argument = {{"peer", peer}}};
	struct client_reply reply = {0};
	struct client_answer answer;
	uint32_t number;
	int code;

	if (peer && !cli_read_number(cli, verb, "--peer", peer, 1, UINT16_MAX, &number))
		return CLI_USAGE;
	ask(cli, &question, &reply, &answer);
	code = show(cli, &reply, &answer, option_value(verb, arguments, "json") != NULL);
	client_reply_free(&reply);
	return code;
}

int steps_run_metrics(const struct cli *cli, const struct cli_verb *verb,
		      const struct cli_arguments *arguments)
{
	struct client_question question = {.verb = verb->name};
	struct client_reply reply = {0};
	struct client_answer answer;
	int code;

	ask(cli, &question, &reply, &answer);
	if (option_value(verb, arguments, "textfile") && reply.text.text) {
		char *older = metrics_text_older(reply.text.text);

		free(reply.text.text);
		reply.text = (struct client_text){
		    .text = older, .length = older ? strlen(older) : 0, .failed = !older};
	}
	code = show(cli, &reply, &answer, false);
	client_reply_free(&reply);
	return code;
}

int steps_run_flush(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	const char *table = arguments->operand;
	struct client_question question = {.verb = "flush", .argument = {{"table", table}}};
	struct client_reply reply = {0};
	struct client_answer answer;
	int code;

	if (strcmp(table, "internal") && strcmp(table, "external") && strcmp(table, "kernel"))
		return cli_usage(cli, verb, "unknown table `%s': internal, external or kernel is needed",
				 table);
	ask(cli, &question, &reply, &answer);
	code = show(cli, &reply, &answer, option_value(verb, arguments, "json") != NULL);
	client_reply_free(&reply);
	return code;
}

/*
 * The role is written down before the daemon is told: if it is down, or dies while it is told, it finds the
 * role at its start.  Who may ask the daemon, yet not write beside its socket (the configured group), relies
 * on the daemon, which writes the file itself.
 */
int steps_run_role(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	static const struct {
		const char *name;
		enum frame_role role;
	} roles[] = {
	    {"primary", FRAME_ROLE_PRIMARY}, {"backup", FRAME_ROLE_BACKUP}, {"fault", FRAME_ROLE_FAULT}};
	struct client_question question = {.verb = verb->name};
	struct client_reply reply = {0};
	struct client_answer answer;
	size_t i = 0;
	int code, kept;

	while (strcmp(roles[i].name, verb->name))
		i++;
	kept = state_write_role(cli->socket, roles[i].role);
	ask(cli, &question, &reply, &answer);
	code = show(cli, &reply, &answer, option_value(verb, arguments, "json") != NULL);
	if (code == CLI_NO_DAEMON && !kept)
		cli_say(cli, "the wanted role `%s' is kept in %s.state for the daemon's start", verb->name,
			cli->socket);
	else if (kept && (code == CLI_NO_DAEMON || (kept != -EACCES && kept != -EPERM)))
		cli_say(cli,
			"the wanted role `%s' could not be kept in %s.state for the daemon's next start: %s",
			verb->name, cli->socket, strerror(-kept));
	client_reply_free(&reply);
	return code;
}

/* The line goes to standard output whatever the code: it is what was asked for, not an error. */
int steps_run_health(const struct cli *cli, const struct cli_verb *verb,
		     const struct cli_arguments *arguments)
{
	const char *strict = option_value(verb, arguments, "strict") ? "1" : NULL;
	struct client_reply reply = {0};
	struct client_question question = {
	    .verb = "health",
	    .argument = {{"strict", strict}},
	    .patience_s = 3, /* keepalived kills a check that takes long, and then knows no reason */
	    .receive = client_keep,
	    .context = &reply,
	};
	struct client_answer answer;

	client_ask(cli, &question, &answer);
	if (answer.outcome != CLIENT_ANSWERED) {
		client_reply_free(&reply);
		return client_exit(cli, &answer);
	}
	if (reply.text.length)
		printf("%.*s\n", (int)strcspn(reply.text.text, "\n"), reply.text.text);
	else
		puts(*answer.message ? answer.message : answer.code ? "not healthy" : "healthy");
	client_reply_free(&reply);
	return answer.code;
}
