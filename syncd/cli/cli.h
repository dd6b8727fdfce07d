/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the command share: exit codes, a verb with its options, and errors said in one way.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,    /* the step failed, or the answer is no */
	CLI_USAGE = 2,     /* the command line is wrong */
	CLI_NO_DAEMON = 3, /* no daemon answers on the control socket */
};

struct cli {
	const char *program; /* the name to show in messages */
	const char *socket;  /* of the daemon */
	bool as_conntrack;   /* called through a link named conntrack */
};

enum { CLI_OPTIONS_MAX = 4 };

struct cli_option {
	const char *name;  /* without the two dashes; NULL ends the list */
	const char *value; /* what stands for its value in the help; NULL: it takes none */
	const char *help;
};

/* What a verb was called with. */
struct cli_arguments {
	const char *option[CLI_OPTIONS_MAX]; /* in the order of the verb's list: value, "" for one without;
						NULL: not given */
	const char *operand;                 /* NULL: none */
};

struct cli_verb {
	const char *name;
	const char
	    *operand; /* what stands for it in the help; NULL: takes none.  If there is one, it is required */
	const char *summary; /* for the list of verbs: up to 60 characters */
	const char *help;    /* lines for --help, each ended by a newline */
	struct cli_option options[CLI_OPTIONS_MAX + 1];
	int (*run)(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments);
};

/* The verbs, ended by one without a name. */
extern const struct cli_verb cli_verbs[];

/* Says "PROGRAM: ..." on standard error. */
__attribute__((format(printf, 2, 3))) void cli_say(const struct cli *cli, const char *format, ...);

/* The same for a wrong command line, and where to find what is allowed.  Returns CLI_USAGE. */
__attribute__((format(printf, 3, 4))) int cli_usage(const struct cli *cli, const struct cli_verb *verb,
						    const char *format, ...);

/* Reads a number from `least` to `most`.  True, or false after having said what is wrong. */
bool cli_read_number(const struct cli *cli, const struct cli_verb *verb, const char *option, const char *text,
		     uint32_t least, uint32_t most, uint32_t *number);

/* Reads a duration, "90", "90s", "500ms" or "2m", up to a day.  True, or false after having said what is
 * wrong. */
bool cli_read_duration(const struct cli *cli, const struct cli_verb *verb, const char *option,
		       const char *text, uint32_t *duration_ms);

/* Flushes standard output.  `code`, or CLI_FAILED after having said why what was printed did not get out. */
int cli_finish(const struct cli *cli, int code);

/* ---- the verbs, by the file that they live in ---- */

typedef int cli_run(const struct cli *cli, const struct cli_verb *verb,
		    const struct cli_arguments *arguments);

cli_run status_run;                                  /* status.c */
cli_run top_run;                                     /* top.c */
cli_run wait_run;                                    /* wait.c */
cli_run steps_run_role, steps_run, steps_run_health, /* steps.c */
    steps_run_flush, steps_run_metrics;
cli_run exporter_run;                                                /* exporter.c */
cli_run import_run;                                                  /* import.c */
cli_run local_run_genkey, local_run_check_config, local_run_version; /* local.c */

/* conntrack.c: everything whose first argument is an option of conntrack(8); argv[0] is passed over. */
int conntrack_run(struct cli *cli, int argc, char **argv);

#endif
