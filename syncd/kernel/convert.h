/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between ctnetlink messages and struct flow, both ways.  The hot path: libmnl, no allocation, one pass over
 * the attributes.  Attributes: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
 */
#ifndef KERNEL_CONVERT_H
#define KERNEL_CONVERT_H

#include "proto/flow.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

/* What a ctnetlink message means. */
enum convert_kind { CONVERT_NEW, CONVERT_UPDATE, CONVERT_DESTROY };

/*
 * Reads a message of subsystem NFNL_SUBSYS_CTNETLINK into *flow; present tells what it carried.  The kernel's
 * bytes are trusted no more than a stranger's.  0; -EINVAL if malformed or without a whole original tuple;
 * -EPROTONOSUPPORT for a family other than IPv4 and IPv6.  *kind: IPCTNL_MSG_CT_NEW with NLM_F_CREATE is new,
 * without (a dump row, too) update. The caller has checked that nlmsg_len bytes are there (NLMSG_OK()).  All
 * of *flow is set, on errors too.
 */
int convert_from_message(const struct nlmsghdr *message, struct flow *flow, enum convert_kind *kind);

/* How a flow is to be written. */
enum convert_purpose {
	CONVERT_FOR_CREATE, /* all that can be set at creation, NAT included */
	CONVERT_FOR_UPDATE, /* all that can be changed: no NAT, master, helper; status only the bits that may
			       be set */
	CONVERT_FOR_KEY,    /* original tuple and zone alone: get, delete (this with the id, too, if present:
			       else ENOENT) */
};

struct convert_options {
	bool tcp_liberal;   /* set BE_LIBERAL in both directions */
	uint32_t timeout_s; /* used in place of the flow's; in an update, 0: leave the timeout alone */
};

/*
 * Turns a flow into what the kernel shows of it once it was created with these options: status bits that
 * can't be set are gone, those that follow from NAT, master, helper and sequence adjustment are there; a TCP
 * flow without state (offloaded: the kernel shows none) is established and liberal.
 */
void convert_as_created(struct flow *flow, const struct convert_options *options);

/*
 * Writes a message (IPCTNL_MSG_CT_NEW, _GET or _DELETE with the flags given) at `room`.  Returns its length,
 * aligned, or -ENOSPC when `size` is too small (CONVERT_MESSAGE_MAX is always enough), -EINVAL for a flow
 * that the kernel can't have. NLM_F_REQUEST is added to the flags.  An update writes the parts that are
 * present; its status must have EXPECTED as the kernel's flow has it (else EBUSY).  `options` may be NULL for
 * a key.
 */
enum { CONVERT_MESSAGE_MAX = 1024 };
int convert_to_message(const struct flow *flow, enum convert_purpose purpose,
		       const struct convert_options *options, uint16_t type, uint16_t flags,
		       uint32_t sequence, void *room, size_t size);

/*
 * A nested tuple, whole: both addresses of the family, and a protocol.  0 or -EINVAL.  For messages of other
 * subsystems (expect.c).
 */
struct attribute;
int convert_read_tuple(const struct attribute *nest, uint8_t family, uint8_t *protocol,
		       struct flow_tuple *tuple);

#endif
