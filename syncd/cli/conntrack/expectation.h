/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An expectation of the kernel's as a plain value, between ctnetlink messages (subsystem
 * NFNL_SUBSYS_CTNETLINK_EXP) and the ways to print it.
 */
#ifndef CLI_CONNTRACK_EXPECTATION_H
#define CLI_CONNTRACK_EXPECTATION_H

#include "proto/flow.h"
#include "syncd/cli/conntrack/format.h"

#include <linux/netlink.h>

enum { EXPECTATION_NAME_SIZE = 32 };

/* NF_CT_EXPECT_* of include/uapi/linux/netfilter/nf_conntrack_common.h */
enum {
	EXPECTATION_PERMANENT = 1 << 0,
	EXPECTATION_INACTIVE = 1 << 1,
	EXPECTATION_USERSPACE = 1 << 2,
};

struct expectation_tuple {
	uint8_t protocol;
	struct flow_tuple tuple;
};

struct expectation {
	uint8_t family; /* FLOW_IPV4 or FLOW_IPV6 */
	bool has_nat, has_zone, has_class;
	uint16_t zone;
	uint32_t timeout_s, id, flags, class, nat_direction;
	struct expectation_tuple expected, mask, master, nat;
	char helper[EXPECTATION_NAME_SIZE], function[EXPECTATION_NAME_SIZE]; /* "": none */
};

/*
 * Reads a message, whose nlmsg_len bytes are there.  0; -EINVAL if it is malformed or lacks one of the three
 * tuples; -EPROTONOSUPPORT for another family than IPv4 and IPv6.
 */
int expectation_read(const struct nlmsghdr *message, struct expectation *expectation);

/* Which parts expectation_write() writes. */
enum {
	EXPECTATION_WRITE_EXPECTED = 1 << 0,
	EXPECTATION_WRITE_MASTER = 1 << 1,
	EXPECTATION_WRITE_MASK = 1 << 2,
	EXPECTATION_WRITE_TIMEOUT = 1 << 3,
};

/* Adds attributes to a message that has EXPECTATION_ROOM bytes behind its header. */
enum { EXPECTATION_ROOM = 1024 };
void expectation_write(struct nlmsghdr *message, const struct expectation *expectation, unsigned parts);

/* ---- printing: expect_format.c ---- */

struct expectation_format {
	void (*row)(struct format_dump *dump, const struct expectation *expectation);
	void (*end)(struct format_dump *dump); /* may be NULL */
};

extern const struct expectation_format expectation_default, expectation_xml, expectation_json;

#endif
