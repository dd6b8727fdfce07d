/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network namespace of the test's own, with connection tracking at work in it.
 */
#ifndef TESTS_UNIT_KERNEL_NETNS_H
#define TESTS_UNIT_KERNEL_NETNS_H

#include "proto/flow.h"
#include "syncd/kernel/audit.h"
#include "syncd/kernel/commit.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Moves this process into a new network namespace for the rest of its life (it goes with the process), brings
 * lo up, and loads a ruleset that makes conntrack track, NAT possible and labels kept.  False, with a
 * message: not root, or the kernel doesn't let us; skip then.  What doesn't work after that aborts the
 * program.
 */
bool kernel_netns_enter(void);

/* Runs a command in the namespace through the shell; aborts unless it ends with 0. */
__attribute__((format(printf, 1, 2))) void kernel_netns_run(const char *format, ...);

/* Sends one netlink message that asks for an acknowledgement (from a socket of its own); returns the kernel's
 * answer. */
int kernel_netns_request(const void *message, size_t length);

/* Removes all flows of the namespace. */
void kernel_netns_flush(void);

/* What the tests of a group share: ways into the namespace's kernel. */
struct kernel_netns {
	struct audit *audit;
	struct commit *commit;
};

/*
 * cmocka's set-up and tear-down of a group: enters a namespace, and opens what its tests share.  Each of them
 * is a NETNS_TEST, begins without flows, and asks with kernel_netns_need(), first of all, for what is its
 * state; where there is no namespace, that skips it.
 */
int kernel_netns_set_up(void **state);
int kernel_netns_tear_down(void **state);
int kernel_netns_set_up_test(void **state);
#define NETNS_TEST(name) cmocka_unit_test_setup(name, kernel_netns_set_up_test)
struct kernel_netns *kernel_netns_need(void **state);

/* What the kernel shows of the flow with the key of `key`; or asserts that it has none. */
struct flow kernel_netns_read(struct kernel_netns *k, const struct flow *key);
void kernel_netns_assert_absent(struct kernel_netns *k, const struct flow *key);

/* The flow number `n` of a test: TCP over IPv4, established, assured, without NAT; all differ up to 16
 * million. */
struct flow kernel_netns_flow(uint32_t n);

#endif
