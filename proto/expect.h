/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An expectation as a plain value: a flow that a helper has announced (the data connection of an FTP session,
 * say), which the kernel will take for related to its master when its first packet comes.  What is given:
 * include/net/netfilter/nf_conntrack_expect.h; how the kernel shows it: ctnetlink_exp_dump_expect().
 */
#ifndef PROTO_EXPECT_H
#define PROTO_EXPECT_H

#include "proto/flow.h"

enum { EXPECT_FUNCTION_SIZE = 32 };

/* NF_CT_EXPECT_* of include/uapi/linux/netfilter/nf_conntrack_common.h */
enum { EXPECT_PERMANENT = 1 << 0, EXPECT_INACTIVE = 1 << 1, EXPECT_USERSPACE = 1 << 2 };

/* The key is family, protocol, zone and tuple: the kernel lets no two expectations overlap (expect_clash()).
 */
struct expect {
	uint8_t family; /* FLOW_IPV4 or FLOW_IPV6, of the master too */
	uint8_t protocol;
	uint16_t zone; /* of the master too */
	struct flow_tuple tuple;
	/* what of the tuple's source counts; of its destination, all does */
	uint8_t mask_src[16];
	uint16_t mask_sport;
	uint8_t master_protocol;
	struct flow_tuple master; /* its original tuple */
	uint32_t timeout_s;
	uint32_t id; /* the kernel's; a hint, not replicated */
	uint8_t flags, class;
	char helper[FLOW_HELPER_SIZE];       /* of the master; "": it has none */
	char function[EXPECT_FUNCTION_SIZE]; /* what the kernel does when it comes true, by name; "": nothing
					      */
	/* what a translated flow was to be before: the source address and port of its original */
	bool has_nat;
	uint8_t nat_direction;
	uint8_t nat_address[16];
	uint16_t nat_port;
	/* attributes of a newer version, verbatim (record.h) */
	uint16_t extra_length;
	uint8_t extra[FLOW_EXTRA_MAX];
};

/* Its master's key as a flow: family, protocol, zone and original tuple, nothing else. */
struct flow expect_master(const struct expect *expect);

/* One line for logs: "tcp 192.0.2.1 -> 198.51.100.2:2000, expected by ftp".  Returns `text`. */
char *expect_print(const struct expect *expect, char text[FLOW_TEXT_SIZE]);

#endif
