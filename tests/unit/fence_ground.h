/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence against the real kernel, with real packets:
 *
 *   client --- node (the fence) --- server      10.9.1.0/24 and fd09:1::/64; 10.9.2.0/24 and fd09:2::/64
 *      \______ sync ______/                     10.9.3.0/24
 *
 * The node bears the virtual addresses 10.9.1.100 and fd09:1::100.  The node's own namespace is the test's.
 */
#ifndef TESTS_UNIT_FENCE_GROUND_H
#define TESTS_UNIT_FENCE_GROUND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "proto/monotime.h"
#include "syncd/kernel/fence.h"
#include "tests/unit/netns_helper.h"

#define PORT     5000
#define VIRTUAL4 "10.9.1.100"
#define VIRTUAL6 "fd09:1::100"
#define OWN4     "10.9.1.1"
#define OWN6     "fd09:1::1"
#define SERVER4  "10.9.2.2"
#define SERVER6  "fd09:2::2"
#define SYNC4    "10.9.3.1"
#define NODE_ID  7

#define GROUND_TIMEOUT ((struct monotime){3000000})

struct ground {
	int client, node, server;
	int at_node, at_server; /* UDP sockets that receive what arrives */
	struct fence *fence;
};

/* cmocka's set-up and tear-down; without root there is no ground, and ground_need() skips the test. */
int ground_set_up(void **state);
int ground_tear_down(void **state);
#define FENCE_TEST(name) cmocka_unit_test_setup_teardown(name, ground_set_up, ground_tear_down)

/* The ground, with its fence open, or armed. */
struct ground *ground_need(void **state);
struct ground *ground_need_armed(void **state);

struct monotime ground_now(void);
struct address_prefix ground_prefix(const char *text, uint8_t length);

/* Another fence in the same namespace, with VIRTUAL4 for its virtual address. */
struct fence *ground_create_beside(uint16_t node_id, struct monotime life);

/* Sends a packet from the client and demands that it arrives, or that the fence counts it as dropped. */
void assert_passes(const struct ground *ground, const char *to);
void assert_all_pass(const struct ground *ground);
void assert_dropped(const struct ground *ground, const char *to);
void assert_dropped_by(const struct ground *ground, struct fence *fence, const char *to);

/* The pieces of it: probes that bear a number, and the sum of what the fence dropped. */
uint64_t ground_number(void);
void ground_send(const struct ground *ground, const char *to, uint64_t number);
bool ground_has_received(int fd, uint64_t number, int wait_ms);
uint64_t ground_drops(struct fence *fence);
socklen_t ground_address(const char *text, struct sockaddr_storage *storage);
int ground_socket(int netns, int home, int family, int type);

/* Kills a child of the test, and waits for its end. */
void ground_end(pid_t pid);

#endif
