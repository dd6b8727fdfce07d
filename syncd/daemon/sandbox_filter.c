/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of system calls.  What is missing here kills the daemon: a new feature's calls belong here. */
#include "syncd/daemon/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/*
 * By name, for not every architecture and libseccomp has each: an unknown one is passed over.  Variants that
 * another C library or version chooses for the same thing stand beside each other.
 */
static const char *const allowed[] = {
    /* memory; mmap and mprotect below */
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "membarrier",
    /* reading and writing */
    "read",
    "readv",
    "pread64",
    "write",
    "writev",
    "pwrite64",
    "close",
    "lseek",
    "_llseek",
    "fcntl",
    "fcntl64",
    "ioctl",
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "pselect6",
    "pselect6_time64",
    /* the event loop */
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_ctl",
    "timerfd_settime",
    "timerfd_settime64",
    "timerfd_gettime",
    "timerfd_gettime64",
    /* sockets; socket() below */
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "send",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "recvmmsg_time64",
    "shutdown",
    /* files: configuration, keys, sysctls, the state file, the socket's file, the snapshot for the next start
     */
    "open",
    "openat",
    "openat2",
    "stat",
    "stat64",
    "lstat",
    "lstat64",
    "fstat",
    "fstat64",
    "fstatat64",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents",
    "getdents64",
    "mkdir",
    "mkdirat",
    "chmod",
    "fchmod",
    "fchmodat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "fallocate",
    "ftruncate",
    "ftruncate64",
    "fsync",
    "fdatasync",
    "umask",
    "fchown",
    "fchown32",
    "memfd_create",
    /* time */
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "clock_getres_time64",
    "gettimeofday",
    "time",
    "nanosleep",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    /* the process itself, and its end */
    "getpid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getuid32",
    "geteuid32",
    "getgid32",
    "getegid32",
    "getrandom",
    "uname",
    "sysinfo",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "getrusage",
    "getrlimit",
    "ugetrlimit",
    "futex",
    "futex_time64",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigreturn",
    "rt_sigtimedwait",
    "restart_syscall",
    "set_robust_list",
    "rseq",
    "exit",
    "exit_group",
    /* abort() */
    "tgkill",
};

/* A call that is allowed while one argument, masked, has a value. */
struct conditional {
	const char *name;
	unsigned argument;
	scmp_datum_t mask, value;
};

static const struct conditional conditionals[] = {
    {"socket", 0, 0xffffffff, AF_UNIX},
    {"socket", 0, 0xffffffff, AF_INET},
    {"socket", 0, 0xffffffff, AF_INET6},
    {"socket", 0, 0xffffffff, AF_NETLINK},
    {"mmap", 2, PROT_EXEC, 0},
    {"mmap2", 2, PROT_EXEC, 0},
    {"mprotect", 2, PROT_EXEC, 0},
    /* glibc asks for a limit, and sets none */
    {"prlimit64", 2, UINT64_MAX, 0},
};

static int add_rules(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		int call = seccomp_syscall_resolve_name(allowed[i]);
		int error = call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
		if (error < 0 && error != -EDOM) /* a call that this architecture has not */
			return error;
	}
	for (size_t i = 0; i < sizeof(conditionals) / sizeof(conditionals[0]); i++) {
		const struct conditional *rule = &conditionals[i];
		struct scmp_arg_cmp compare = {rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, rule->value};
		int call = seccomp_syscall_resolve_name(rule->name);
		int error = call == __NR_SCMP_ERROR
				? 0
				: seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare);
		if (error < 0 && error != -EDOM)
			return error;
	}
	return 0;
}

int sandbox_filter_calls(char *why, size_t size)
{
	if (SANITIZED)
		return -EOPNOTSUPP;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter == NULL ? -ENOMEM : 0;
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* all threads */
	if (error == 0)
		error = add_rules(filter);
	if (error == 0)
		error = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	if (error < 0)
		snprintf(why, size,
			 "the filter of system calls can't be installed: %s ([process] sandbox = no)",
			 strerror(-error));
	return error == -EOPNOTSUPP ? -ENOSYS : error; /* that one is told by SANITIZED alone */
}
