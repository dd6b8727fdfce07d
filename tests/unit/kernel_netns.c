/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/kernel_netns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

void kernel_netns_run(const char *format, ...)
{
	char command[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

bool kernel_netns_enter(void)
{
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root for a network namespace\n");
		return false;
	}
	if (unshare(CLONE_NEWNET)) {
		perror("skipped: unshare(CLONE_NEWNET)");
		return false;
	}
	kernel_netns_run("ip link set lo up");
	kernel_netns_run("nft -f - <<'END'\n"
			 "table inet track {\n"
			 "	chain in { type filter hook input priority 0; ct state new accept; }\n"
			 "	chain out { type filter hook output priority 0; ct label set 100; }\n"
			 "	chain nat { type nat hook postrouting priority 100; }\n"
			 "}\n"
			 "END");
	return true;
}

int kernel_netns_lock_limits(void)
{
	int lock = open("/run/twintrack-test-limits.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (lock < 0 || flock(lock, LOCK_EX)) {
		perror("/run/twintrack-test-limits.lock");
		abort();
	}
	return lock;
}

void kernel_netns_unlock_limits(int lock)
{
	close(lock);
}
