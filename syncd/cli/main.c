/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command: finds the verb, reads its options, runs it.  What starts with an option is conntrack(8)'s.
 */
#include "syncd/cli/cli.h"

#include "conf/config.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cli_say(const struct cli *cli, const char *format, ...)
{
	va_list list;

	fflush(stdout); /* where both go to one place, they stay in order */
	fprintf(stderr, "%s: ", cli->program);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
}

int cli_usage(const struct cli *cli, const struct cli_verb *verb, const char *format, ...)
{
	va_list list;

	fprintf(stderr, "%s%s%s: ", cli->program, verb ? " " : "", verb ? verb->name : "");
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, "\nTry `%s%s%s --help' for what is allowed.\n", cli->program, verb ? " " : "",
		verb ? verb->name : "");
	return CLI_USAGE;
}

int cli_finish(const struct cli *cli, int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	cli_say(cli, "cannot write to the standard output: %m");
	return CLI_FAILED;
}

bool cli_read_number(const struct cli *cli, const struct cli_verb *verb, const char *option, const char *text,
		     uint32_t least, uint32_t most, uint32_t *number)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long value = digits && digits <= 10 && !text[digits] ? strtoul(text, NULL, 10) : most + 1UL;

	if (value >= least && value <= most) {
		*number = (uint32_t)value;
		return true;
	}
	cli_usage(cli, verb, "%s `%s': a number from %u to %u is needed", option, text, least, most);
	return false;
}

bool cli_read_duration(const struct cli *cli, const struct cli_verb *verb, const char *option,
		       const char *text, uint32_t *duration_ms)
{
	static const struct {
		const char *name;
		uint32_t ms;
	} units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60 * 1000}};
	enum { DAY_MS = 24 * 60 * 60 * 1000 };
	size_t digits = strspn(text, "0123456789");
	unsigned long value = digits && digits <= 9 ? strtoul(text, NULL, 10) : 0;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (digits == 0 || digits > 9 || strcmp(text + digits, units[i].name) ||
		    value * units[i].ms > DAY_MS)
			continue;
		*duration_ms = (uint32_t)value * units[i].ms;
		return true;
	}
	cli_usage(cli, verb, "%s `%s': a time like 30s, 500ms or 2m is needed, up to a day", option, text);
	return false;
}

static void print_page(const struct cli *cli)
{
	puts("twintrack - keeps the connections of two or more firewalls in step\n\n"
	     "  twintrack [--socket PATH] VERB [options]   ask the daemon, or tell it to do\n"
	     "  twintrack [--socket PATH] -L|-G|-D|...    show, change flows as conntrack(8)\n\n"
	     "Verbs (`twintrack VERB --help' tells more):");
	for (const struct cli_verb *verb = cli_verbs; verb->name; verb++)
		printf("  %-13s %s\n", verb->name, verb->summary);
	printf("\nFlows:\n"
	       "  -L, --dump [TABLE]    print the flows of a table: conntrack (the kernel's, the\n"
	       "                        default), internal (what the daemon replicates),\n"
	       "                        external (what it holds for its peers; --peer N: one)\n"
	       "  -C, --count [TABLE]   print only how many there are\n"
	       "  -G -I -A -U -D -E -F -S -R: get, create, add, update, delete, events,\n"
	       "                        flush, statistics, load: see `twintrack help flows'\n\n"
	       "  --socket PATH         the daemon's control socket; else $TWINTRACK_SOCKET,\n"
	       "                        then " CONFIG_DEFAULT_SOCKET "\n"
	       "  --version, --help\n\n"
	       "Exit codes: 0 done, yes; 1 failed, no; 2 wrong command line; 3 no daemon.\n"
	       "This command asks on %s\n",
	       cli->socket);
}

static void print_verb_help(const struct cli *cli, const struct cli_verb *verb)
{
	printf("%s [--socket PATH] %s%s%s", cli->program, verb->name, verb->operand ? " " : "",
	       verb->operand ? verb->operand : "");
	for (const struct cli_option *option = verb->options; option->name; option++)
		printf(" [--%s%s%s]", option->name, option->value ? " " : "",
		       option->value ? option->value : "");
	printf("\n\n%s\n", verb->help);
	for (const struct cli_option *option = verb->options; option->name; option++)
		printf("  --%s %-*s %s\n", option->name, 12 - (int)strlen(option->name),
		       option->value ? option->value : "", option->help);
	printf("  --%s %-*s %s\n", "help", 8, "", "this page");
}

/* "--name", "--name=value" or "--name value" at *at, which is moved on.  True if it is that option. */
static bool take_option(const char *name, bool has_value, char **argv, int argc, int *at, const char **value)
{
	const char *word = argv[*at] + 2;
	size_t length = strlen(name);

	if (strncmp(word, name, length) || (word[length] && (word[length] != '=' || !has_value)))
		return false;
	if (!has_value)
		*value = "";
	else if (word[length] == '=')
		*value = word + length + 1;
	else
		*value = *at + 1 < argc ? argv[++*at] : NULL;
	return true;
}

static bool find_option(const struct cli_verb *verb, char **argv, int argc, int *at,
			struct cli_arguments *arguments, bool *has_value)
{
	for (size_t i = 0; verb->options[i].name; i++) {
		if (!take_option(verb->options[i].name, verb->options[i].value, argv, argc, at,
				 &arguments->option[i]))
			continue;
		*has_value = arguments->option[i] != NULL;
		return true;
	}
	return false;
}

/* Reads what follows the verb: -1 to go on, or the exit code. */
static int read_arguments(struct cli *cli, const struct cli_verb *verb, int argc, char **argv,
			  struct cli_arguments *arguments)
{
	for (int at = 0; at < argc; at++) {
		const char *word = argv[at];
		bool has_value = true;

		if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			print_verb_help(cli, verb);
			return cli_finish(cli, CLI_DONE);
		}
		if (word[0] != '-' || !word[1]) {
			if (!verb->operand || arguments->operand)
				return cli_usage(cli, verb, "`%s' is one argument too many", word);
			arguments->operand = word;
			continue;
		}
		if (strncmp(word, "--", 2))
			return cli_usage(cli, verb, "unknown option `%s'", word);
		if (take_option("socket", true, argv, argc, &at, &cli->socket))
			has_value = cli->socket != NULL;
		else if (!find_option(verb, argv, argc, &at, arguments, &has_value))
			return cli_usage(cli, verb, "unknown option `%s'", word);
		if (!has_value)
			return cli_usage(cli, verb, "option `%s' needs a value", word);
	}
	if (verb->operand && !arguments->operand)
		return cli_usage(cli, verb, "%s is missing", verb->operand);
	return -1;
}

static int run_verb(struct cli *cli, int argc, char **argv)
{
	for (const struct cli_verb *verb = cli_verbs; verb->name; verb++) {
		struct cli_arguments arguments = {0};
		int code;

		if (strcmp(verb->name, argv[0]))
			continue;
		code = read_arguments(cli, verb, argc - 1, argv + 1, &arguments);
		return code >= 0 ? code : cli_finish(cli, verb->run(cli, verb, &arguments));
	}
	fprintf(stderr, "%s: unknown verb `%s'; there are:", cli->program, argv[0]);
	for (const struct cli_verb *verb = cli_verbs; verb->name; verb++)
		fprintf(stderr, " %s", verb->name);
	fprintf(stderr, "\nTry `%s --help' for what they do.\n", cli->program);
	return CLI_USAGE;
}

static int run(struct cli *cli, int argc, char **argv)
{
	int at = 1;

	for (; at < argc && !strncmp(argv[at], "--socket", 8); at++) {
		if (!take_option("socket", true, argv, argc, &at, &cli->socket))
			return cli_usage(cli, NULL, "unknown option `%s'", argv[at]);
		if (!cli->socket)
			return cli_usage(cli, NULL, "option `--socket' needs a value");
	}
	if (at == argc)
		return cli_usage(cli, NULL, "a verb is missing");
	if (!strcmp(argv[at], "help") && at + 1 < argc && !strcmp(argv[at + 1], "flows"))
		return conntrack_run(cli, 2, (char *[]){argv[0], (char[]){"-h"}, NULL});
	if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h") || !strcmp(argv[at], "help")) {
		print_page(cli);
		return cli_finish(cli, CLI_DONE);
	}
	if (!strcmp(argv[at], "--version") || !strcmp(argv[at], "-V"))
		return cli_finish(cli, local_run_version(cli, NULL, NULL));
	if (argv[at][0] == '-')
		return conntrack_run(cli, argc - at + 1, argv + at - 1);
	return run_verb(cli, argc - at, argv + at);
}

int main(int argc, char **argv)
{
	const char *name = argc > 0 ? basename(argv[0]) : "twintrack";
	const char *socket = getenv("TWINTRACK_SOCKET");
	struct cli cli = {.program = "twintrack",
			  .socket = socket && *socket ? socket : CONFIG_DEFAULT_SOCKET};

	/* keepalived ignores SIGPIPE, and children inherit that: a reader that goes away shall end us,
	 * quietly */
	signal(SIGPIPE, SIG_DFL);
	if (!strcmp(name, "conntrack")) {
		cli.program = "conntrack";
		cli.as_conntrack = true;
		return conntrack_run(&cli, argc, argv);
	}
	return run(&cli, argc, argv);
}
