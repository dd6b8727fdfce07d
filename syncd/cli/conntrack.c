/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What conntrack(8) offers: -L and -C, on the kernel's table and on the daemon's.  Exit codes and messages as
 * there; 3 besides, when a table of the daemon is asked for and none answers.
 */
#include "proto/record.h"
#include "syncd/cli/client.h"
#include "syncd/cli/format.h"
#include "syncd/kernel/audit.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum table { TABLE_CONNTRACK, TABLE_INTERNAL, TABLE_EXTERNAL, TABLES };
static const char *const table_names[TABLES] = {"conntrack", "internal", "external"};

struct query {
	char command; /* 'L' or 'C'; 0: none yet */
	enum table table;
	const char *peer;
};

/* A dump that runs. */
struct show {
	struct output output;
	struct format_dump dump;
	const struct format *format;
	unsigned long long flows, skipped;
	bool malformed;
};

/* Every message bears the version, in conntrack(8)'s way: scripts look for what follows the colon. */
__attribute__((format(printf, 2, 3))) static void say(const struct cli *cli, const char *format, ...)
{
	va_list list;

	fprintf(stderr, "%s v%s (twintrack): ", cli->program, TWINTRACK_VERSION);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
}

static int usage_hint(const struct cli *cli)
{
	fprintf(stderr, "Try `%s -h' or '%s --help' for more information.\n", cli->program, cli->program);
	return CLI_USAGE;
}

static void print_help(const struct cli *cli)
{
	printf("Shows the flows of the connection tracking system. Version %s\n"
	       "Usage: %s [--socket PATH] command [table] [options]\n\n"
	       "Commands:\n"
	       "  -L, --dump [table]     List the flows\n"
	       "  -C, --count [table]    Print how many there are\n\n"
	       "Tables: conntrack (the kernel's, the default), internal (what the daemon\n"
	       "replicates), external (what it holds for its peers)\n\n"
	       "Options:\n"
	       "  --peer N               with external: only what is held for the node with this id\n"
	       "  --socket PATH          the daemon's control socket (now: %s)\n"
	       "  -h, --help; -V, --version\n",
	       TWINTRACK_VERSION, cli->program, cli->socket);
}

static int show_end(const struct cli *cli, struct show *show, int code)
{
	show->format->end(&show->dump);
	if (output_flush(&show->output) < 0) {
		say(cli, "writing the flows failed: %s", strerror(show->output.error));
		return CLI_FAILED;
	}
	if (code == CLI_DONE)
		say(cli, "%llu flow entries have been shown.", show->flows);
	if (show->skipped)
		say(cli, "%llu flows more have attributes that this version does not know, and are left out.",
		    show->skipped);
	return code;
}

static void show_start(struct show *show)
{
	output_start(&show->output, STDOUT_FILENO);
	show->dump = (struct format_dump){&show->output, time(NULL)};
	show->format = &format_default;
	show->flows = show->skipped = 0;
	show->malformed = false;
	show->format->begin(&show->dump);
}

static void show_flow(void *context, const struct flow *flow)
{
	struct show *show = context;

	show->format->flow(&show->dump, flow);
	show->flows++;
}

static int fail_at_kernel(const struct cli *cli, const char *what, int error)
{
	say(cli, "%s failed: %s%s", what, strerror(-error),
	    error == -EPERM ? " (root, or CAP_NET_ADMIN, is needed)" : "");
	return CLI_FAILED;
}

static int list_kernel(const struct cli *cli, struct show *show)
{
	enum { ROWS = 4096, WAIT_MS = 100 };
	struct audit *audit;
	int progress = audit_open(&audit);

	if (progress < 0)
		return fail_at_kernel(cli, "opening a netlink socket", progress);
	show_start(show);
	progress = audit_dump_start(audit);
	if (progress == 0)
		progress = AUDIT_MORE;
	while (progress == AUDIT_MORE && !show->output.error) {
		struct pollfd fd = {.fd = audit_fd(audit), .events = POLLIN};

		poll(&fd, 1, WAIT_MS);
		progress = audit_dump_read(audit, ROWS, show_flow, show);
	}
	audit_close(audit);
	if (progress < 0) {
		show_end(cli, show, CLI_FAILED);
		return fail_at_kernel(cli, "reading the kernel's table", progress);
	}
	if (progress == AUDIT_INTERRUPTED)
		say(cli,
		    "the kernel's table was resized meanwhile: some flows may be missing or shown twice.");
	return show_end(cli, show, CLI_DONE);
}

/* The kernel's own number, which counts all zones and families (net/netfilter/nf_conntrack_standalone.c). */
static int count_kernel(const struct cli *cli)
{
	static const char path[] = "/proc/sys/net/netfilter/nf_conntrack_count";
	FILE *file = fopen(path, "re");
	unsigned long long count;
	int fields;

	if (!file) {
		say(cli, "cannot read %s: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	fields = fscanf(file, "%llu", &count);
	fclose(file);
	if (fields != 1) {
		say(cli, "%s holds no number", path);
		return CLI_FAILED;
	}
	printf("%llu\n", count);
	return cli_finish(cli, CLI_DONE);
}

/*
 * A record leaves a mark of zero out, and the kernel does not; it is shown, so that lines of both tables
 * compare. use= is no part of a flow, but of one kernel's entry.
 */
static void show_record(struct show *show, uint32_t id, const uint8_t *record)
{
	struct flow flow;

	record_decode(record, &flow);
	flow.present |= FLOW_HAS_MARK | (id ? FLOW_HAS_ID : 0);
	flow.id = id;
	show_flow(show, &flow);
}

/* RECORDS: node id, the kernel's id, record; see syncd/control/message.h. */
static bool receive_records(void *context, enum message_type type, const uint8_t *payload, size_t length)
{
	struct reader r = reader_over(payload, length);
	struct show *show = context;

	while (type == MESSAGE_RECORDS && reader_left(&r) > 0 && !show->output.error) {
		size_t size = 0;
		enum record_verdict verdict;
		uint32_t id;

		reader_u16(&r);
		id = reader_u32(&r);
		verdict = r.failed ? RECORD_MALFORMED : record_check(r.at, reader_left(&r), &size);
		if (verdict == RECORD_MALFORMED) {
			show->malformed = true;
			return false;
		}
		if (verdict == RECORD_INCOMPATIBLE)
			show->skipped++;
		else
			show_record(show, id, r.at);
		reader_skip(&r, size);
	}
	return type == MESSAGE_RECORDS && !show->output.error;
}

static struct client_question question_for(const struct query *query, const char *verb)
{
	return (struct client_question){
	    .verb = verb,
	    .argument = {{"table", table_names[query->table]}, {"peer", query->peer}},
	};
}

/* The exit code for an answer that isn't good. */
static int daemon_code(const struct client_answer *answer)
{
	if (answer->outcome == CLIENT_NO_DAEMON)
		return CLI_NO_DAEMON;
	return answer->outcome == CLIENT_ANSWERED ? answer->code : CLI_FAILED;
}

static int list_daemon(const struct cli *cli, const struct query *query, struct show *show)
{
	struct client_question question = question_for(query, "dump");
	struct client_answer answer;
	int code;

	show_start(show);
	question.receive = receive_records;
	question.context = show;
	client_ask(cli, &question, &answer);
	if (answer.outcome == CLIENT_ANSWERED && !answer.code)
		return show_end(cli, show, CLI_DONE);
	code = show_end(cli, show, daemon_code(&answer));
	if (show->malformed)
		say(cli, "the daemon's answer makes no sense: record %llu cannot be read",
		    show->flows + show->skipped + 1);
	else if (!show->output.error)
		say(cli, "%s", *answer.message ? answer.message : "the daemon refused the dump");
	return code;
}

static int count_daemon(const struct cli *cli, const struct query *query)
{
	struct client_question question = question_for(query, "count");
	struct client_reply reply = {0};
	struct client_answer answer;
	int code = CLI_DONE;

	question.receive = client_keep;
	question.context = &reply;
	client_ask(cli, &question, &answer);
	if (answer.outcome == CLIENT_ANSWERED && !answer.code) {
		const char *count = reply.text.text ? reply.text.text : answer.message;

		printf("%.*s\n", (int)strcspn(count, "\n"), count);
	} else {
		say(cli, "%s", *answer.message ? answer.message : "the daemon refused to count");
		code = daemon_code(&answer);
	}
	client_reply_free(&reply);
	return cli_finish(cli, code);
}

static int refuse_option(const struct cli *cli, int option, const char *word)
{
	if (option == ':')
		say(cli, "option `%s' needs a value", word);
	else if (optopt && strchr("GDIAUEFSR", optopt))
		say(cli, "command `-%c' is not offered by this version; -L and -C are", optopt);
	else if (optopt && (word[0] != '-' || word[1] != '-'))
		say(cli, "unknown option `-%c'; this version takes --peer and --socket", optopt);
	else
		say(cli, "unknown option `%s'; this version takes --peer and --socket", word);
	return usage_hint(cli);
}

/* The first operand names the table, or the start of its name, as with conntrack(8), which passes over
 * further ones. */
static int read_table(const struct cli *cli, int argc, char **argv, struct query *query)
{
	if (optind < argc) {
		const char *name = argv[optind];
		unsigned i = 0;

		while (i < TABLES && strncmp(table_names[i], name, strlen(name)))
			i++;
		if (i == TABLES || !*name) {
			say(cli, "unknown table `%s'; this version knows conntrack, internal and external",
			    name);
			return usage_hint(cli);
		}
		query->table = (enum table)i;
	}
	if (optind + 1 < argc && !cli->as_conntrack) {
		say(cli, "`%s' is one argument too many", argv[optind + 1]);
		return usage_hint(cli);
	}
	if (query->peer && query->table != TABLE_EXTERNAL) {
		say(cli, "--peer goes with the table external alone");
		return usage_hint(cli);
	}
	return -1;
}

static int read_query(struct cli *cli, int argc, char **argv, struct query *query)
{
	static const struct option options[] = {
	    {"dump", no_argument, NULL, 'L'},
	    {"count", no_argument, NULL, 'C'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {"peer", required_argument, NULL, 1},
	    {"socket", required_argument, NULL, 2},
	    {0},
	};
	uint32_t number;
	int option;

	while ((option = getopt_long(argc, argv, ":LChV", options, NULL)) != -1) {
		switch (option) {
		case 'L':
		case 'C':
			if (query->command) {
				say(cli, "Invalid commands combination");
				return usage_hint(cli);
			}
			query->command = (char)option;
			break;
		case 'h':
			print_help(cli);
			return cli_finish(cli, CLI_DONE);
		case 'V':
			printf("%s v%s (twintrack)\n", cli->program, TWINTRACK_VERSION);
			return cli_finish(cli, CLI_DONE);
		case 1:
			if (!cli_read_number(cli, NULL, "--peer", optarg, 1, UINT16_MAX, &number))
				return CLI_USAGE;
			query->peer = optarg;
			break;
		case 2:
			cli->socket = optarg;
			break;
		default:
			return refuse_option(cli, option, argv[optind - 1]);
		}
	}
	return read_table(cli, argc, argv, query);
}

int conntrack_run(struct cli *cli, int argc, char **argv)
{
	struct query query = {.table = TABLE_CONNTRACK};
	struct show *show; /* large */
	int code;

	opterr = 0; /* we say ourselves what is wrong */
	code = read_query(cli, argc, argv, &query);
	if (code >= 0)
		return code;
	if (!query.command) {
		print_help(cli); /* as conntrack(8) does without a command */
		return cli_finish(cli, CLI_DONE);
	}
	if (query.command == 'C')
		return query.table == TABLE_CONNTRACK ? count_kernel(cli) : count_daemon(cli, &query);
	show = malloc(sizeof(*show));
	if (!show) {
		say(cli, "out of memory");
		return CLI_FAILED;
	}
	code = query.table == TABLE_CONNTRACK ? list_kernel(cli, show) : list_daemon(cli, &query, show);
	free(show);
	return code;
}
