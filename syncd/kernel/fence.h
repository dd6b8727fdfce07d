/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence: an nf_tables chain before connection tracking that, while armed, drops unicast packets for the
 * virtual addresses and packets to be forwarded.  Loopback, the interfaces named, broadcast, multicast,
 * neighbour discovery and packets for the host's other addresses pass.
 *
 * It is a dead man's switch in two ways: the table belongs to this process (gone the moment it dies), and it
 * drops only while a timed set element is refreshed (so a hung process opens it within the timeout).
 *
 * Every call ends in a few system calls that the kernel answers at once; none waits for an answer.  (But the
 * kernel lets one nf_tables transaction of a namespace finish before the next: a large `nft -f` running
 * meanwhile delays a call.) None reads a clock.  After a negative errno, fence_error() says in words what
 * failed.
 *
 * Not fenced, since it never reaches prerouting: what the host itself sends, and flows that a flowtable
 * forwards. Fenced like all else that isn't for this host: frames that br_netfilter shows to the IP hooks,
 * and everything that arrives in a VRF (`fib` looks at the main tables only); such interfaces belong in
 * fence_set_interfaces().
 */
#ifndef SYNCD_KERNEL_FENCE_H
#define SYNCD_KERNEL_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/flow.h"
#include "proto/monotime.h"
#include "syncd/kernel/address.h"

#define FENCE_ADDRESSES_MAX  4096 /* of each of the two address lists */
#define FENCE_INTERFACES_MAX 64
#define FENCE_WAITING_MAX    8192 /* remembered of each family, between two calls of fence_take_waiting() */
#define FENCE_TIMEOUT_MIN    ((struct monotime){100000})
#define FENCE_TIMEOUT_MAX    ((struct monotime){INT64_C(3600000000)})

struct fence;

struct fence_counters {
	uint64_t virtual_packets, virtual_bytes; /* dropped on their way to a virtual address */
	uint64_t forward_packets, forward_bytes; /* dropped instead of being forwarded */
	uint64_t refreshes;
	uint64_t lapses;  /* refreshes that came too late: the fence had been open in between */
	uint64_t repairs; /* by fence_check() */
};

/*
 * Creates the table, open, in the network namespace of the caller: `twintrack-NODE`, or `twintrack-NODE-PORT`
 * when another living program owns that one (an earlier instance that hangs; its fence opens by itself).  A
 * table of that name that nobody owns is replaced.  Needs CAP_NET_ADMIN, now and later. timeout: how long it
 * may outlive a hung process, FENCE_TIMEOUT_MIN to FENCE_TIMEOUT_MAX (-EINVAL otherwise). On success the
 * caller owns *fence.  On failure returns a negative errno, and writes to error (if size > 0) what is
 * missing: the right, or the feature of the kernel by its name.
 */
int fence_create(struct fence **fence, uint16_t node_id, struct monotime timeout, char *error, size_t size);

/* Opens the fence and removes the table.  NULL is allowed. */
void fence_destroy(struct fence *fence);

/*
 * Closes the fence.  Packets are dropped from when this returns 0 until fence_open(), or until the timeout
 * has passed without fence_refresh().  *next, unless NULL, becomes the time at which to call fence_refresh():
 * now + timeout / 3. Arming an armed fence refreshes it, and ends fence_pass_known().  A table that has gone
 * is made anew.
 */
int fence_arm(struct fence *fence, struct monotime now, struct monotime *next);

/*
 * While a takeover fills the kernel's table behind an armed fence: from when this returns 0, packets of flows
 * that the table has (`ct status confirmed`, and ICMP errors about them), or whose expectation it has, pass;
 * all others are dropped as before, and nothing that conntrack would begin for those is kept.  At no moment
 * of the change does a packet pass that neither kind of closed lets pass, nor when fence_arm() ends this
 * (fence_ruleset.h says why).  Until fence_open(), or fence_arm(), which drops all again.  Nothing is done
 * when the fence isn't armed.  On error (a kernel without CONFIG_NFT_CT) it stays closed to all.
 */
int fence_pass_known(struct fence *fence, struct monotime now);

/* The two ends that a dropped packet named, in its own direction. */
struct fence_waiting {
	uint8_t family, protocol; /* as in struct flow */
	struct flow_tuple tuple;
};

/*
 * Tells whose packets fence_pass_known() has dropped since the last call (or since it began): of each pair of
 * ends once, in no order; beyond FENCE_WAITING_MAX some are left out, and all of protocols without ports,
 * whose packets don't name their flow.  Returns 0 or a negative errno.
 */
typedef void fence_waits(void *context, const struct fence_waiting *waiting);
int fence_take_waiting(struct fence *fence, fence_waits *told, void *context);

/*
 * Keeps an armed fence closed for another timeout, also when it had lapsed.  *next, unless NULL, becomes the
 * time of the next call; MONOTIME_NEVER, and nothing is done, when the fence isn't armed.  After an error
 * call again at *next.
 */
int fence_refresh(struct fence *fence, struct monotime now, struct monotime *next);

/*
 * Opens the fence at once.  It always is open afterwards: if the kernel refuses the change, the socket is
 * closed, which removes the table, and the errno is returned for the log.
 */
int fence_open(struct fence *fence);

/*
 * The virtual addresses, as configured.  Replaces the earlier list in one step, armed or not: an address on
 * both lists is fenced throughout.  Prefixes may overlap; multicast and broadcast inside them still pass.
 * Returns 0, -E2BIG beyond FENCE_ADDRESSES_MAX, -EINVAL for a prefix that is none, or the kernel's errno. The
 * fence keeps a copy; on error the earlier list stays.
 */
int fence_set_addresses(struct fence *fence, const struct address_prefix *prefixes, size_t count);

/*
 * For learning: these of the host's own addresses are not virtual; every other one that it has, or gets, is
 * fenced from its first packet.  In the same way as above.  A NULL list, as at the start, says that none has
 * to be learnt: all own addresses pass but those of fence_set_addresses().
 */
int fence_set_own_addresses(struct fence *fence, const struct address_prefix *prefixes, size_t count);

/*
 * The interfaces, by name, whose packets always pass: sync links and accept-interface.  They need not exist.
 * Returns 0, -E2BIG beyond FENCE_INTERFACES_MAX, -EINVAL for an empty or too long name, or the kernel's
 * errno.
 */
int fence_set_interfaces(struct fence *fence, const char *const *names, size_t count);

/*
 * Looks in the kernel whether the table, its rules and, when armed, the timed elements are there; what isn't
 * is put back, with all addresses and interfaces.  Returns 0 when all was well, 1 when something had to be
 * repaired (*found, unless NULL, then says what, in words), or a negative errno when that failed.
 */
int fence_check(struct fence *fence, struct monotime now, const char **found);

/* Is it closed?  Armed, and the last refresh that the kernel took is not older than the timeout. */
bool fence_is_armed(const struct fence *fence, struct monotime now);

/* Reads the counters.  On error they hold what was read last. */
int fence_read_counters(struct fence *fence, struct fence_counters *counters);

/* The name of the table, for messages. */
const char *fence_table(const struct fence *fence);

/* What failed last, in words; owned by the fence. */
const char *fence_error(const struct fence *fence);

#endif
