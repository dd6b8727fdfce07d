/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private network namespaces for tests that need the real kernel.  They have no names: each lives as long as
 * its descriptor, and so ends with the test however that ends.
 */
#ifndef TESTS_UNIT_NETNS_HELPER_H
#define TESTS_UNIT_NETNS_HELPER_H

#include <stdbool.h>

/* May this process make namespaces?  Says on stderr, once for each call, why not. */
bool netns_is_possible(void);

/* Makes one, with its loopback up; the calling process stays where it is.  Returns its descriptor. */
int netns_create(void);

/* Moves the calling process into it. */
void netns_enter(int netns);

/* Runs shell commands in it (`a; b`: each has to succeed); the test ends when one fails. */
void netns_run(int netns, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Like netns_run(), but returns the exit code, and is silent. */
int netns_try(int netns, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Joins two namespaces by a pair of virtual interfaces, both up. */
void netns_join(int netns_a, const char *interface_a, int netns_b, const char *interface_b);

#endif
