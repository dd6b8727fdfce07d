/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that every protocol knows, and which command of which table takes which. */
#include "syncd/cli/conntrack/values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIT(option) (1u << OPTION_##option)

enum { VALUE_PEER = 0x100, VALUE_SOCKET, VALUE_LABELMAP };

/* ---- the commands ---- */

static const struct {
	int value; /* of the option */
	const char *name;
} commands[REQUEST_COMMANDS] = {
    [REQUEST_LIST] = {'L', "dump"},      [REQUEST_CREATE] = {'I', "create"},
    [REQUEST_ADD] = {'A', "add"},        [REQUEST_UPDATE] = {'U', "update"},
    [REQUEST_DELETE] = {'D', "delete"},  [REQUEST_GET] = {'G', "get"},
    [REQUEST_FLUSH] = {'F', "flush"},    [REQUEST_EVENT] = {'E', "event"},
    [REQUEST_COUNT] = {'C', "count"},    [REQUEST_STATS] = {'S', "stats"},
    [REQUEST_HELP] = {'h', "help"},      [REQUEST_VERSION] = {'V', "version"},
    [REQUEST_LOAD] = {'R', "load-file"},
};

static const char *const table_names[REQUEST_TABLES] = {"conntrack",       "expect",         "dying",
							"unconfirmed",     "internal",       "external",
							"internal-expect", "external-expect"};

const char *request_table_name(enum request_table table)
{
	return table_names[table];
}

/* ---- what each command takes ---- */

enum {
	ADDRESSES = BIT(ORIG_SRC) | BIT(ORIG_DST) | BIT(REPLY_SRC) | BIT(REPLY_DST),
	MASKS = BIT(MASK_SRC) | BIT(MASK_DST),
	NAT = BIT(SRC_NAT) | BIT(DST_NAT),
	ZONES = BIT(ZONE) | BIT(ORIG_ZONE) | BIT(REPLY_ZONE),
	COMMON = ADDRESSES | BIT(PROTOCOL),
	LIST = COMMON | BIT(STATUS) | BIT(ZERO) | MASKS | BIT(MARK) | BIT(FAMILY) | NAT | BIT(OUTPUT) |
	       BIT(SECMARK) | BIT(ANY_NAT) | BIT(LABEL) | ZONES,
	CREATE = COMMON | BIT(TIMEOUT) | BIT(STATUS) | BIT(MARK) | NAT | ZONES | BIT(LABEL_ADD),
	UPDATE = COMMON | BIT(TIMEOUT) | BIT(STATUS) | MASKS | BIT(MARK) | BIT(ID) | BIT(FAMILY) | NAT |
		 BIT(OUTPUT) | BIT(LABEL) | BIT(LABEL_ADD) | BIT(LABEL_DEL),
	DELETE = COMMON | BIT(TIMEOUT) | BIT(STATUS) | MASKS | BIT(MARK) | BIT(ID) | BIT(FAMILY) | NAT |
		 BIT(OUTPUT) | BIT(LABEL) | ZONES,
	EVENT = COMMON | BIT(EVENT_MASK) | MASKS | BIT(MARK) | BIT(FAMILY) | NAT | BIT(OUTPUT) |
		BIT(SECMARK) | BIT(BUFFER_SIZE) | BIT(ANY_NAT) | BIT(LABEL) | ZONES,
	EXPECT_GET = BIT(ORIG_SRC) | BIT(ORIG_DST) | BIT(PROTOCOL),
	EXPECT_CREATE = EXPECT_GET | BIT(TIMEOUT) | BIT(TUPLE_SRC) | BIT(TUPLE_DST) | MASKS,
	FILTERS = COMMON | BIT(STATUS) | MASKS | BIT(MARK) | BIT(SECMARK) | BIT(LABEL) | ZONES,
};

struct rule {
	uint32_t takes, needs;
};

static const struct rule flow_rules[REQUEST_COMMANDS] = {
    [REQUEST_NONE] = {0, 0},
    [REQUEST_LIST] = {LIST, 0},
    [REQUEST_CREATE] = {CREATE, BIT(PROTOCOL) | BIT(TIMEOUT)},
    [REQUEST_ADD] = {CREATE, BIT(PROTOCOL) | BIT(TIMEOUT)},
    [REQUEST_UPDATE] = {UPDATE, 0},
    [REQUEST_DELETE] = {DELETE, 0},
    [REQUEST_GET] = {COMMON | BIT(ID) | BIT(OUTPUT) | BIT(LABEL), BIT(PROTOCOL)},
    [REQUEST_FLUSH] = {BIT(FAMILY), 0},
    [REQUEST_EVENT] = {EVENT, 0},
    [REQUEST_HELP] = {BIT(PROTOCOL), 0},
};

static const struct rule expect_rules[REQUEST_COMMANDS] = {
    [REQUEST_LIST] = {BIT(FAMILY) | BIT(OUTPUT), 0},
    [REQUEST_CREATE] = {EXPECT_CREATE | BIT(REPLY_SRC) | BIT(REPLY_DST) | BIT(STATUS), EXPECT_CREATE},
    [REQUEST_DELETE] = {COMMON, EXPECT_GET},
    [REQUEST_GET] = {COMMON, EXPECT_GET},
    [REQUEST_EVENT] = {BIT(OUTPUT), 0},
    [REQUEST_HELP] = {BIT(PROTOCOL), 0},
};

/* On the daemon's tables: what the kernel alone has is not offered. */
static const struct rule daemon_rules[REQUEST_COMMANDS] = {
    [REQUEST_LIST] = {LIST & ~(BIT(ZERO) | BIT(SECMARK)), 0},
    [REQUEST_GET] = {COMMON | BIT(OUTPUT) | BIT(ZONE), BIT(PROTOCOL)},
    [REQUEST_EVENT] = {EVENT & ~(BIT(BUFFER_SIZE) | BIT(SECMARK)), 0},
};

/* The same for expectations. */
static const struct rule held_rules[REQUEST_COMMANDS] = {
    [REQUEST_LIST] = {BIT(FAMILY) | BIT(OUTPUT), 0},
};

static const char *const option_names[REQUEST_OPTIONS] = {
    "src",     "dst",        "reply-src", "reply-dst", "protonum",  "timeout",   "status",
    "zero",    "event-mask", "tuple-src", "tuple-dst", "mask-src",  "mask-dst",  "mark",
    "id",      "family",     "src-nat",   "dst-nat",   "output",    "secmark",   "buffer-size",
    "any-nat", "zone",       "label",     "label-add", "label-del", "orig-zone", "reply-zone",
};

static const struct option long_options[] = {
    {"dump", optional_argument, NULL, 'L'},
    {"create", optional_argument, NULL, 'I'},
    {"add", optional_argument, NULL, 'A'},
    {"update", optional_argument, NULL, 'U'},
    {"delete", optional_argument, NULL, 'D'},
    {"get", optional_argument, NULL, 'G'},
    {"flush", optional_argument, NULL, 'F'},
    {"event", optional_argument, NULL, 'E'},
    {"count", optional_argument, NULL, 'C'},
    {"counter", optional_argument, NULL, 'C'},
    {"stats", no_argument, NULL, 'S'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"src", required_argument, NULL, 's'},
    {"orig-src", required_argument, NULL, 's'},
    {"dst", required_argument, NULL, 'd'},
    {"orig-dst", required_argument, NULL, 'd'},
    {"reply-src", required_argument, NULL, 'r'},
    {"reply-dst", required_argument, NULL, 'q'},
    {"protonum", required_argument, NULL, 'p'},
    {"proto", required_argument, NULL, 'p'},
    {"timeout", required_argument, NULL, 't'},
    {"status", required_argument, NULL, 'u'},
    {"zero", no_argument, NULL, 'z'},
    {"event-mask", required_argument, NULL, 'e'},
    {"tuple-src", required_argument, NULL, '['},
    {"tuple-dst", required_argument, NULL, ']'},
    {"mask-src", required_argument, NULL, '{'},
    {"mask-dst", required_argument, NULL, '}'},
    {"nat-range", required_argument, NULL, 'a'},
    {"mark", required_argument, NULL, 'm'},
    {"secmark", required_argument, NULL, 'c'},
    {"id", required_argument, NULL, 'i'},
    {"family", required_argument, NULL, 'f'},
    {"src-nat", optional_argument, NULL, 'n'},
    {"dst-nat", optional_argument, NULL, 'g'},
    {"output", required_argument, NULL, 'o'},
    {"buffer-size", required_argument, NULL, 'b'},
    {"any-nat", optional_argument, NULL, 'j'},
    {"zone", required_argument, NULL, 'w'},
    {"label", required_argument, NULL, 'l'},
    {"label-add", required_argument, NULL, '<'},
    {"label-del", optional_argument, NULL, '>'},
    {"orig-zone", required_argument, NULL, '('},
    {"reply-zone", required_argument, NULL, ')'},
    {"labelmap", required_argument, NULL, VALUE_LABELMAP},
    {"peer", required_argument, NULL, VALUE_PEER},
    {"socket", required_argument, NULL, VALUE_SOCKET},
};
enum { LONG_OPTIONS = sizeof(long_options) / sizeof(long_options[0]) };
_Static_assert((int)LONG_OPTIONS <= (int)READING_COMMON_MAX, "all options must fit struct reading");

static const char short_options[] =
    ":L::I::U::D::G::E::F::A::hVs:d:r:q:p:t:u:e:a:zm:i:f:o:n::g::c:b:C::Sj::w:l:";

/* ---- saying what is wrong ---- */

static void say(const struct cli *cli, const char *format, va_list list)
{
	fflush(stdout);
	fprintf(stderr, "%s v%s (twintrack): ", cli->program, TWINTRACK_VERSION);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
}

void request_say(const struct cli *cli, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(cli, format, list);
	va_end(list);
}

int request_refuse(const struct cli *cli, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(cli, format, list);
	va_end(list);
	fprintf(stderr, "Try `%s -h' or '%s --help' for more information.\n", cli->program, cli->program);
	return CLI_USAGE;
}

/* Which option a value of getopt_long() is; REQUEST_OPTIONS: none. */
static enum request_option option_of(int value)
{
	static const char values[] = "sdrqptuze[]{}mifngocbjwl<>()";
	const char *at = value < 0x100 ? strchr(values, value) : NULL;

	return at && value ? (enum request_option)(at - values) : REQUEST_OPTIONS;
}

/* The word behind the command names the table, or the start of its name; the command takes it not away, so
 * that a word that is none is refused here and nowhere else. */
static int take_command(const struct reading *reading, enum request_command command)
{
	struct request *request = reading->request;
	const char *word = optind < reading->argc ? reading->argv[optind] : NULL;
	unsigned table = 0;

	if (request->command)
		return request_refuse(reading->cli, "Invalid commands combination");
	request->command = command;
	if (!word || word[0] == '-' || command == REQUEST_HELP || command == REQUEST_VERSION)
		return -1;
	while (table < REQUEST_TABLES && (!*word || strncmp(table_names[table], word, strlen(word))))
		table++;
	if (table == REQUEST_TABLES)
		return request_refuse(reading->cli, "unknown type `%s'", word);
	request->table = (enum request_table)table;
	request->has_table = true;
	if ((table == TABLE_DYING || table == TABLE_UNCONFIRMED) && command != REQUEST_LIST &&
	    command != REQUEST_STATS)
		return request_refuse(reading->cli,
				      "Can't do that command with tables `dying' and `unconfirmed'");
	return -1;
}

static int take_own(const struct reading *reading, int value)
{
	uint32_t number;

	if (value == VALUE_SOCKET) {
		reading->cli->socket = optarg;
	} else if (!request_read_number(optarg, UINT16_MAX, &number) || !number) {
		return request_refuse(reading->cli, "--peer `%s': a number from 1 to 65535 is needed",
				      optarg);
	} else {
		reading->request->peer = optarg;
	}
	return -1;
}

static int take(struct reading *reading, int value, const char *name)
{
	enum request_option option = option_of(value);

	if (value == ':')
		return request_refuse(reading->cli, "option `%s' requires an argument", name);
	if (value == '?')
		return request_refuse(reading->cli, "unknown option `%s'", name);
	if (value == VALUE_LABELMAP) {
		reading->labelmap = optarg;
		return -1;
	}
	if (value == VALUE_PEER || value == VALUE_SOCKET)
		return take_own(reading, value);
	if (value >= PROTOCOL_OPTION_FIRST)
		return protocol_take(reading->cli, value, optarg, reading->request);
	if (option != REQUEST_OPTIONS) {
		reading->request->options |= 1u << option;
		return values_take(reading, option, name);
	}
	if (value == 'a') {
		fprintf(stderr, "WARNING: ignoring -a, deprecated option.\n");
		return -1;
	}
	for (unsigned i = REQUEST_LIST; i < REQUEST_LOAD; i++)
		if (commands[i].value == value)
			return take_command(reading, (enum request_command)i);
	return request_refuse(reading->cli, "unknown option `%s'", name);
}

/* ---- combinations ---- */

static const struct rule *find_rule(const struct request *request)
{
	if (request->table == TABLE_EXPECT)
		return &expect_rules[request->command];
	if (request_is_about_held_expectations(request))
		return &held_rules[request->command];
	if (request_is_about_daemon(request))
		return &daemon_rules[request->command];
	return &flow_rules[request->command];
}

/* What this version does on a table. */
static bool is_offered(const struct request *request)
{
	enum request_command command = request->command;

	if (command == REQUEST_HELP || command == REQUEST_VERSION || command == REQUEST_NONE)
		return true;
	if (request_is_about_held_expectations(request))
		return command == REQUEST_LIST || command == REQUEST_COUNT;
	if (request_is_about_daemon(request))
		return command == REQUEST_LIST || command == REQUEST_COUNT || command == REQUEST_GET ||
		       command == REQUEST_FLUSH || command == REQUEST_EVENT;
	return true;
}

static int check_options(const struct cli *cli, const struct request *request)
{
	const struct rule *rule = find_rule(request);
	uint32_t present = request->options;

	if (request->table == TABLE_EXPECT &&
	    (request->command == REQUEST_UPDATE || request->command == REQUEST_ADD))
		return request_refuse(cli, "Can't do --%s on expectations", commands[request->command].name);
	/* conntrack(8) has no formats for one expectation; json is ours */
	if (rule == &expect_rules[REQUEST_GET] && request->output == OUTPUT_JSON)
		present &= ~BIT(OUTPUT);
	for (unsigned i = 0; i < REQUEST_OPTIONS; i++) {
		uint32_t bit = 1u << i;

		if (rule->needs & bit & ~request->options)
			return request_refuse(cli, "You need to supply the `--%s' option for this command",
					      option_names[i]);
		if (present & bit & ~rule->takes)
			return request_refuse(cli, "Illegal option `--%s' with this command",
					      option_names[i]);
	}
	return -1;
}

static int check_addresses(const struct cli *cli, const struct request *request)
{
	const uint32_t orig = BIT(ORIG_SRC) | BIT(ORIG_DST), reply = BIT(REPLY_SRC) | BIT(REPLY_DST);
	enum request_command command = request->command;

	if (command != REQUEST_CREATE && command != REQUEST_ADD && command != REQUEST_GET)
		return -1;
	if (request_is_about_expectations(request))
		return -1;
	if ((request->options & orig) == orig || (request->options & reply) == reply)
		return -1;
	if (request->options & orig || !(request->options & reply))
		return request_refuse(cli, "you have to specify `--src' and `--dst'");
	return request_refuse(cli, "you have to specify `--reply-src' and `--reply-dst'");
}

/* The kernel sets these itself.  conntrack(8) leaves them out with these words; where they would select flows
 * it then takes all, and `-D -u SRC_NAT` empties the table. */
static int check_status(const struct cli *cli, const struct request *request)
{
	const char *name = request->status_nat;
	const char *option;

	if (!name)
		return -1;
	option = !strcmp(name, "SRC_NAT") ? "--src-nat" : "--dst-nat";
	if (request->command != REQUEST_CREATE && request->command != REQUEST_ADD &&
	    request->command != REQUEST_UPDATE)
		return request_refuse(cli, "`%s' selects no flows, use %s instead", name, option);
	fprintf(stderr, "WARNING: ignoring %s, use %s instead\n", name, option);
	return -1;
}

static int check_rest(const struct cli *cli, const struct request *request)
{
	if (request_has(request, OPTION_MASK_SRC) && !request_has(request, OPTION_ORIG_SRC) &&
	    request->table < TABLE_DYING)
		return request_refuse(cli, "Can't use --mask-src without --src");
	if (request_has(request, OPTION_MASK_DST) && !request_has(request, OPTION_ORIG_DST) &&
	    request->table < TABLE_DYING)
		return request_refuse(cli, "Can't use --mask-dst without --dst");
	if (request_has(request, OPTION_ZERO) && request->options & FILTERS)
		return request_refuse(cli, "Can't use -z with filtering parameters");
	if (request_has(request, OPTION_ANY_NAT) && request->options & NAT)
		return request_refuse(cli, "cannot specify `--src-nat' or `--dst-nat' with `--any-nat'");
	if (request->peer && request->table != TABLE_EXTERNAL && request->table != TABLE_EXTERNAL_EXPECT)
		return request_refuse(cli, "--peer goes with the tables external and external-expect alone");
	return check_status(cli, request);
}

int request_check(struct cli *cli, const struct request *request, bool in_file)
{
	int code;

	if (in_file && (request->command == REQUEST_NONE || request->table != TABLE_CONNTRACK ||
			request->command > REQUEST_FLUSH || request->command == REQUEST_LIST ||
			request->command == REQUEST_GET)) {
		if (request->command == REQUEST_NONE)
			return request_refuse(cli, "Cannot use command `unknown' with --load-file");
		return request_refuse(cli, "Cannot use command `-%c' with --load-file",
				      commands[request->command].value);
	}
	code = check_options(cli, request);
	if (code < 0)
		code = check_addresses(cli, request);
	if (code < 0)
		code = protocol_check(cli, request);
	if (code < 0)
		code = check_rest(cli, request);
	if (code < 0 && !is_offered(request))
		return request_refuse(cli, "--%s is not for the table %s: it takes -L, -G, -C, -E and -F",
				      commands[request->command].name, table_names[request->table]);
	return code;
}

/* The option that getopt_long() has just returned `value` for, as it stands on the command line, for
 * messages. */
static const char *option_name(const struct reading *reading, int value, char letter[3])
{
	int at = optind - 1;
	const char *word = at > 0 && at < reading->argc ? reading->argv[at] : "";

	/* its value was the word behind it */
	if (optarg && optarg == word && at > 1)
		word = reading->argv[at - 1];
	if (word[0] == '-' && word[1] == '-')
		return word;
	letter[0] = '-';
	letter[1] = (char)(value == ':' || value == '?' ? optopt : value);
	letter[2] = 0;
	return letter[1] > ' ' && letter[1] < 0x7f ? letter : word;
}

void request_start(struct request *request)
{
	*request = (struct request){.mark_mask = UINT32_MAX};
	memset(request->src_mask, 0xff, sizeof(request->src_mask));
	memset(request->dst_mask, 0xff, sizeof(request->dst_mask));
}

int request_read(struct cli *cli, int argc, char **argv, struct labels *labels, bool in_file,
		 struct request *request)
{
	struct reading reading = {.cli = cli,
				  .request = request,
				  .labels = labels,
				  .argc = argc,
				  .argv = argv,
				  .in_file = in_file,
				  .common = LONG_OPTIONS};
	int code = -1, value;

	request_start(request);
	memcpy(reading.options, long_options, sizeof(long_options));
	opterr = 0; /* we say ourselves what is wrong */
	optind = 0; /* several lines are read in one run */
	while (code < 0) {
		char letter[3];

		value = getopt_long(argc, argv, short_options, reading.options, NULL);
		if (value == -1)
			break;
		code = take(&reading, value, option_name(&reading, value, letter));
	}
	if (code >= 0)
		return code;
	if (!cli->as_conntrack && optind + (request->has_table ? 1 : 0) < argc)
		return request_refuse(cli, "`%s' is one argument too many",
				      argv[optind + (request->has_table ? 1 : 0)]);
	return request_check(cli, request, in_file);
}

void request_print_help(const struct cli *cli, const struct protocol *protocol)
{
	printf(
	    "Shows and changes the flows of the connection tracking system, as conntrack(8) does. Version %s\n"
	    "Usage: %s [--socket PATH] command [table] [options]\n\n"
	    "Commands:\n"
	    "  -L, --dump [table]        list the flows      -G, --get       show one flow\n"
	    "  -I, --create              create a flow       -A, --add       ... if it isn't there\n"
	    "  -U, --update              change flows        -D, --delete    delete flows\n"
	    "  -E, --event               show events         -F, --flush     delete all\n"
	    "  -C, --count [table]       print how many      -S, --stats     print the kernel's counters\n"
	    "  -R, --load-file FILE      carry out the command lines of a file (-: standard input)\n\n"
	    "Tables: conntrack (the kernel's, the default), expect (the expected flows), dying and unconfirmed (-L);\n"
	    "  internal and external (-L, -G, -C, -F, -E): what the daemon replicates, and holds for its peers;\n"
	    "  internal-expect and external-expect (-L, -C): the same of expectations\n\n"
	    "Which flows:\n"
	    "  -s, --src ADDR[/BITS]     -d, --dst ADDR[/BITS]     --mask-src ADDR  --mask-dst ADDR\n"
	    "  -r, --reply-src ADDR      -q, --reply-dst ADDR      -f, --family ipv4|ipv6\n"
	    "  -p, --proto NAME|NUMBER   (with -h: its options)    -m, --mark MARK[/MASK]\n"
	    "  -n, --src-nat [ADDR[:PORT]]  -g, --dst-nat [ADDR[:PORT]]  -j, --any-nat [ADDR[:PORT]]\n"
	    "  -w, --zone N   --orig-zone N   --reply-zone N       -l, --label NAME[,...]\n"
	    "  -u, --status ASSURED|SEEN_REPLY|UNREPLIED|FIXED_TIMEOUT|EXPECTED|OFFLOAD|UNSET[,...]\n"
	    "  -t, --timeout SECONDS     -i, --id ID               --peer N: of external, one node's\n\n"
	    "How:\n"
	    "  -o, --output FORMAT       extended,id,timestamp,ktimestamp,labels,userspace,xml; save; json\n"
	    "  -z, --zero                with -L: zero the counters\n"
	    "  -e, --event-mask ALL|NEW|UPDATES|DESTROY[,...]      -b, --buffer-size BYTES: with -E\n"
	    "  --label-add NAME[,...]    --label-del[=NAME,...]    --labelmap FILE: before names of labels\n"
	    "  --socket PATH             the daemon's control socket (now: %s)\n"
	    "  -h, --help; -V, --version\n",
	    TWINTRACK_VERSION, cli->program, cli->socket);
	if (protocol) {
		putchar('\n');
		protocol_print_help(protocol);
	}
}
