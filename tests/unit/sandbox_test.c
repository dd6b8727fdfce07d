/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each call is tried by a process of its own: what the filter forbids ends it. */
#include "syncd/daemon/sandbox.h"
#include "syncd/kernel/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NO_FILTER = 77 };

/* How a process ends that prepares (unless NULL), installs the filter and then makes this call: a signal's
 * number, or 0. */
static int end_of_prepared(void (*prepare)(void), long (*call)(void))
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char why[256];
		if (prepare != NULL)
			prepare();
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (sandbox_filter_calls(why, sizeof(why)) < 0)
			syscall(SYS_exit_group, NO_FILTER);
		call();
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTER)
		skip(); /* built with a sanitizer */
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int end_of(long (*call)(void))
{
	return end_of_prepared(NULL, call);
}

static long execute(void)
{
	return syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static long clone_process(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static long trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long signal_another(void)
{
	return syscall(SYS_kill, 1, 0);
}

static long become_root(void)
{
	return syscall(SYS_setresuid, 0, 0, 0);
}

static long packet_socket(void)
{
	return syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0);
}

static long executable_memory(void)
{
	return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
}

static long memory_made_executable(void)
{
	return syscall(SYS_mprotect, (uintptr_t)&execute & ~(uintptr_t)4095, 4096, PROT_READ | PROT_EXEC);
}

static long raise_a_limit(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
}

static long another_namespace(void)
{
	return syscall(SYS_unshare, 0x40000000);
}

static long mount_something(void)
{
	return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}

static void what_an_intruder_needs_ends_the_process(void **state)
{
	static long (*const calls[])(void) = {
	    execute,
	    clone_process,
	    trace,
	    signal_another,
	    become_root,
	    packet_socket,
	    executable_memory,
	    memory_made_executable,
	    raise_a_limit,
	    another_namespace,
	    mount_something,
	};
	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_int_equal(end_of(calls[i]), SIGSYS);
}

/* Ends the process by another signal if anything of it fails. */
static long daily_work(void)
{
	char byte = 0;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	int udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	char *memory = malloc(8 << 20);
	if (fd < 0 || read(fd, &byte, 1) != 1 || udp < 0 || netlink < 0 || memory == NULL)
		abort();
	memset(memory, 1, 8 << 20);
	free(memory);
	return 0;
}

static void daily_work_goes_on(void **state)
{
	(void)state;
	assert_int_equal(end_of(daily_work), 0);
}

static long give_up(void)
{
	abort();
}

static void an_assertion_that_fails_is_told_as_such(void **state)
{
	(void)state;
	assert_int_equal(end_of(give_up), SIGABRT);
}

static void call_in_thread(void *context, void *call)
{
	(void)context;
	(*(long (**)(void))call)();
}

static struct worker *worker; /* of a process that ends with its test */

static void start_thread(void)
{
	if (worker_start(&worker, "test", call_in_thread, NULL) < 0)
		abort();
}

static long have_thread_fork(void)
{
	long (*call)(void) = clone_process;
	worker_hand(worker, &call);
	worker_end(worker);
	return 0;
}

static long have_thread_work_and_end(void)
{
	long (*call)(void) = daily_work;
	worker_hand(worker, &call);
	worker_wait(worker, 0);
	worker_end(worker);
	return 0;
}

static void a_thread_that_was_there_before_is_filtered_too(void **state)
{
	(void)state;
	assert_int_equal(end_of_prepared(start_thread, have_thread_fork), SIGSYS);
	assert_int_equal(end_of_prepared(start_thread, have_thread_work_and_end), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_an_intruder_needs_ends_the_process),
	    cmocka_unit_test(daily_work_goes_on),
	    cmocka_unit_test(an_assertion_that_fails_is_told_as_such),
	    cmocka_unit_test(a_thread_that_was_there_before_is_filtered_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
