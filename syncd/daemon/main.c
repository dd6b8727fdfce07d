/* SPDX-License-Identifier: GPL-2.0-or-later */
/* twintrackd: arguments, configuration, start. */
#include "conf/config.h"
#include "proto/slab.h"
#include "syncd/daemon/clock.h"
#include "syncd/daemon/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_CONFIG = 2 };

struct options {
	const char *config_path;
	bool check_only;
};

static void print_help(FILE *to)
{
	fprintf(to,
		"twintrackd keeps the connection-tracking tables of two or more firewalls in step.\n"
		"\n"
		"usage: twintrackd [-C FILE] [--check]\n"
		"  -C FILE    configuration (default %s)\n"
		"  --check    read the configuration, print each mistake, and exit 0 or 2\n"
		"  --version  print the version\n"
		"  --help     print this\n"
		"\n"
		"It runs in the foreground.  SIGHUP reads the configuration again, SIGTERM ends it.\n",
		CONFIG_DEFAULT_PATH);
}

/* Returns -1 to go on, or the exit code. */
static int parse_arguments(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {{"config", required_argument, NULL, 'C'},
					      {"check", no_argument, NULL, 'c'},
					      {"version", no_argument, NULL, 'V'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int option;
	while ((option = getopt_long(argc, argv, "C:hV", names, NULL)) != -1) {
		switch (option) {
		case 'C':
			options->config_path = optarg;
			break;
		case 'c':
			options->check_only = true;
			break;
		case 'V':
			printf("twintrackd %s\n", TWINTRACK_VERSION);
			return 0;
		case 'h':
			print_help(stdout);
			return 0;
		default:
			print_help(stderr);
			return EXIT_CONFIG;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "twintrackd: `%s` is not understood\n", argv[optind]);
	print_help(stderr);
	return EXIT_CONFIG;
}

/*
 * What the tables give up goes back to the system at once: each of their chunks (proto/slab) is a mapping of
 * its own.  On the heap, holes between the chunks of several tables would stay for ever.
 */
static void set_up_memory(void)
{
#ifdef M_MMAP_THRESHOLD /* glibc; others do so by themselves */
	mallopt(M_MMAP_THRESHOLD, SLAB_CHUNK / 2);
#endif
}

/* Returns 0, or the exit code after having printed every mistake. */
static int load(const char *path, struct config *config)
{
	struct config_errors *errors = calloc(1, sizeof(*errors));
	if (errors == NULL) {
		fprintf(stderr, "twintrackd: out of memory\n");
		return 1;
	}
	int error = config_load(path, config, errors);
	if (error < 0)
		config_errors_print(errors, stderr);
	free(errors);
	return error < 0 ? EXIT_CONFIG : 0;
}

static int run(struct daemon *daemon)
{
	char why[768];
	daemon->log = log_open(daemon->config.log.level, daemon->config.log.target, clock_now);
	if (daemon->log == NULL) {
		fprintf(stderr, "twintrackd: out of memory\n");
		return 1;
	}
	log_set_node(daemon->log, daemon->config.node.id);
	int exit_code = 1;
	if (daemon_open(daemon, why, sizeof(why)) < 0) {
		log_write(daemon->log, LOG_ERR, "start-failed", "not started: %s", why);
	} else {
		exit_code = daemon_run(daemon);
		daemon_close(daemon);
	}
	log_close(daemon->log);
	return exit_code;
}

int main(int argc, char **argv)
{
	struct options options = {.config_path = CONFIG_DEFAULT_PATH};
	int exit_code = parse_arguments(argc, argv, &options);
	if (exit_code >= 0)
		return exit_code;
	set_up_memory();
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	if (daemon == NULL)
		return 1;
	daemon->config_path = options.config_path;
	exit_code = load(options.config_path, &daemon->config);
	if (exit_code == 0 && !options.check_only)
		exit_code = run(daemon);
	free(daemon);
	return exit_code;
}
