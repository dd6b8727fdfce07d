/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that need no daemon. */
#include "syncd/cli/cli.h"

#include "conf/config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_SIZE = 32 };

/* Writes the key to a new file.  0 or the errno; on failure there is no file. */
static int write_key(const char *path, const uint8_t key[KEY_SIZE])
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t wrote;
	int error = 0;

	if (fd < 0)
		return errno;
	errno = EIO; /* if it is written in part */
	wrote = write(fd, key, KEY_SIZE);
	if (wrote != KEY_SIZE || fchmod(fd, 0600) < 0 || fsync(fd) < 0)
		error = errno;
	if (close(fd) < 0 && !error)
		error = errno;
	if (error)
		unlink(path);
	return error;
}

int local_run_genkey(const struct cli *cli, const struct cli_verb *verb,
		     const struct cli_arguments *arguments)
{
	uint8_t key[KEY_SIZE];
	sigset_t all, before;
	int error;

	(void)verb;
	if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		cli_say(cli, "the kernel gives no random bytes: %s", strerror(errno));
		return CLI_FAILED;
	}
	/* a signal must not leave half a key behind */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	error = write_key(arguments->operand, key);
	explicit_bzero(key, sizeof(key));
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error == EEXIST) {
		cli_say(cli, "%s exists already and is left as it is; move it away, or choose another name",
			arguments->operand);
		return CLI_FAILED;
	}
	if (error) {
		cli_say(cli, "cannot write the key to %s: %s", arguments->operand, strerror(error));
		return CLI_FAILED;
	}
	printf("%s: a new key; every node needs the same one\n", arguments->operand);
	return CLI_DONE;
}

int local_run_check_config(const struct cli *cli, const struct cli_verb *verb,
			   const struct cli_arguments *arguments)
{
	struct config *config = malloc(sizeof(*config));
	struct config_errors *errors = malloc(sizeof(*errors));
	int code = CLI_DONE;

	(void)verb;
	if (!config || !errors) {
		cli_say(cli, "out of memory");
		code = CLI_FAILED;
	} else if (config_load(arguments->operand, config, errors) < 0) {
		config_errors_print(errors, stderr);
		code = CLI_USAGE;
	} else {
		printf("%s: no mistakes found\n", arguments->operand);
	}
	free(config);
	free(errors);
	return code;
}

int local_run_version(const struct cli *cli, const struct cli_verb *verb,
		      const struct cli_arguments *arguments)
{
	(void)verb;
	(void)arguments;
	printf("%s v%s\n", cli->program, TWINTRACK_VERSION);
	return CLI_DONE;
}
