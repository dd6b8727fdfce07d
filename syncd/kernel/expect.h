/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expectations and the kernel: between messages of subsystem NFNL_SUBSYS_CTNETLINK_EXP and struct expect, and
 * a socket that reads, creates and deletes them.  They are few, so each request is one exchange.
 */
#ifndef KERNEL_EXPECT_H
#define KERNEL_EXPECT_H

#include "proto/expect.h"

#include <linux/netlink.h>

/*
 * Reads IPCTNL_MSG_EXP_NEW or _DELETE; *gone tells which.  0; -EINVAL if malformed, without a tuple, a mask
 * or a master; -EPROTONOSUPPORT for a family other than IPv4 and IPv6.  The kernel shows no zone of an
 * expectation (ctnetlink_exp_dump_expect()), so it is 0 for all.
 */
int expect_from_message(const struct nlmsghdr *message, struct expect *expect, bool *gone);

/*
 * Writes IPCTNL_MSG_EXP_NEW or _DELETE with these flags at `room`.  Returns its length, or -ENOSPC when
 * `size` is too small (EXPECT_MESSAGE_MAX is always enough).  NLM_F_REQUEST is added to the flags.
 */
enum { EXPECT_MESSAGE_MAX = 512 };
int expect_to_message(const struct expect *expect, uint16_t type, uint16_t flags, uint32_t sequence,
		      void *room, size_t size);

struct expect_socket;

/* 0 or a negative errno. */
int expect_open(struct expect_socket **socket);
void expect_close(struct expect_socket *socket);

/* Its netlink port id, for watch_options.own_ports. */
uint32_t expect_port(const struct expect_socket *socket);

typedef void expect_row(void *context, const struct expect *expect);

/* Reads all expectations of this network namespace, in one go.  0 or a negative errno. */
int expect_dump(struct expect_socket *socket, expect_row *row, void *context);

/*
 * Creates one, with the time that it has left; its master must be there, and have its helper.  0; -EEXIST: it
 * was there already, and its time is set anew; -ENOENT: no master; -EOPNOTSUPP or -EINVAL: no helper, or one
 * that does not know the class or the function; -EBUSY: another one overlaps; -EMFILE: too many
 * (nf_conntrack_expect_max, or the helper's own limit); or another negative errno.
 */
int expect_create(struct expect_socket *socket, const struct expect *expect, uint32_t timeout_s);

/* Deletes one by its tuple.  0, -ENOENT, or another negative errno. */
int expect_delete(struct expect_socket *socket, const struct expect *expect);

#endif
