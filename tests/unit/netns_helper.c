/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/netns_helper.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* These conditions are the test's own ground: without them no assertion of it means anything. */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	perror(what);
	abort();
}

static int own_namespace(void)
{
	int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	must(netns >= 0, "/proc/self/ns/net");
	return netns;
}

bool netns_is_possible(void)
{
	if (geteuid() == 0)
		return true;
	fprintf(stderr, "skipped: needs root, to make network namespaces\n");
	return false;
}

void netns_enter(int netns)
{
	must(setns(netns, CLONE_NEWNET) == 0, "setns");
}

int netns_create(void)
{
	int home = own_namespace();

	must(unshare(CLONE_NEWNET) == 0, "unshare");
	int made = own_namespace();
	netns_enter(home);
	close(home);
	netns_run(made, "ip link set lo up");
	return made;
}

static int run(int netns, const char *command)
{
	int home = own_namespace();

	netns_enter(netns);
	int status = system(command);
	netns_enter(home);
	close(home);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void netns_run(int netns, const char *format, ...)
{
	char command[1024] = "set -e; ";
	size_t prefix = strlen(command);
	va_list arguments;

	va_start(arguments, format);
	int size = vsnprintf(command + prefix, sizeof(command) - prefix, format, arguments);
	va_end(arguments);
	must(size >= 0 && (size_t)size < sizeof(command) - prefix, "command too long");
	must(run(netns, command) == 0, command);
}

int netns_try(int netns, const char *format, ...)
{
	char command[1024], silent[1100];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	snprintf(silent, sizeof(silent), "{ %s; } >/dev/null 2>&1", command);
	return run(netns, silent);
}

void netns_join(int netns_a, const char *interface_a, int netns_b, const char *interface_b)
{
	netns_run(netns_a, "ip link add %s type veth peer name %s netns /proc/%d/fd/%d", interface_a,
		  interface_b, (int)getpid(), netns_b);
	netns_run(netns_a, "ip link set %s up", interface_a);
	netns_run(netns_b, "ip link set %s up", interface_b);
}
