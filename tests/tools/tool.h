/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the test tools share: numbers from the command line with their range, the clock, and leaving with a
 * message. Each tool is one program of one file, so these are inline.
 */
#ifndef TESTS_TOOLS_TOOL_H
#define TESTS_TOOLS_TOOL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Prints the message and leaves with 2: a tool that can't do what it was asked must not look like a result.
 */
__attribute__((format(printf, 1, 2), noreturn)) static inline void tool_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

/* The monotonic clock in nanoseconds. */
static inline int64_t tool_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The processor time of this process, kernel time included, in nanoseconds. */
static inline int64_t tool_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void tool_sleep_until_ns(int64_t when_ns)
{
	struct timespec when = {.tv_sec = when_ns / 1000000000, .tv_nsec = when_ns % 1000000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

/* The number in text (decimal or 0x), which must lie in [least, most]; name is the option, for the message.
 */
static inline uint64_t tool_number(const char *name, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < least || value > most)
		tool_die("--%s %s: a number from %llu to %llu is needed", name, text,
			 (unsigned long long)least, (unsigned long long)most);
	return value;
}

/* A numeric IPv4 or IPv6 address with a port as a socket address; returns its length. */
static inline socklen_t tool_address(const char *text, uint16_t port, struct sockaddr_storage *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		return sizeof(*in6);
	}
	tool_die("%s: not an IPv4 or IPv6 address", text);
}

#endif
