/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence as nf_tables messages: its table, chains, rules and sets.  For fence.c.
 *
 * table inet NAME: flags owner, so that it goes when its socket closes, and survives `flush ruleset`.
 *
 * chain prerouting, closed to all: priority -350, behind defragmentation (-400), before raw and conntrack;
 * closed to strangers: priority -199, behind conntrack (-200), before whatever else looks at a flow.  Rules:
 *
 *   ct status expected,confirmed accept      only when closed to strangers
 *   meta nfproto != @alive accept            the timed element: without it the fence is open
 *   iif lo accept
 *   iifname @accepted accept                 sync links, accept-interface
 *   icmpv6 type 133-137 accept               neighbour discovery
 *   fib daddr type local goto own
 *   fib daddr type @group accept             broadcast, multicast, anycast
 *   counter drop                             to be forwarded
 *
 * chain own:
 *
 *   ip daddr @virtual4 counter drop          the configured virtual addresses
 *   ip6 daddr @virtual6 counter drop
 *   ip daddr @own4 accept                    everything; or, while learning, what was here before
 *   ip6 daddr @own6 accept
 *   counter drop                             learnt virtual addresses
 *
 * Closed to strangers, `counter goto waiting` stands for each `counter drop`; chain waiting:
 *
 *   add @waiting4 { ip saddr . ip daddr . meta l4proto . th sport . th dport }
 *   add @waiting6 { the same for IPv6 }      (a set that is full ends its rule)
 *   drop
 */
#ifndef SYNCD_KERNEL_FENCE_RULESET_H
#define SYNCD_KERNEL_FENCE_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syncd/kernel/address.h"
#include "syncd/kernel/nft_batch.h"

#define FENCE_NAME_SIZE 64

/* The rules in the order in which the kernel lists them. */
enum fence_rule {
	FENCE_RULE_KNOWN, /* only when closed to strangers */
	FENCE_RULE_OPEN,
	FENCE_RULE_LOOPBACK,
	FENCE_RULE_INTERFACE,
	FENCE_RULE_DISCOVERY,
	FENCE_RULE_LOCAL,
	FENCE_RULE_GROUP,
	FENCE_RULE_FORWARD,
	FENCE_RULE_VIRTUAL4,
	FENCE_RULE_VIRTUAL6,
	FENCE_RULE_OWN4,
	FENCE_RULE_OWN6,
	FENCE_RULE_LEARNT,
	FENCE_RULE_WAITING4, /* these three only when closed to strangers */
	FENCE_RULE_WAITING6,
	FENCE_RULE_DROP,
	FENCE_RULES
};

#define FENCE_SET_ALIVE    "alive"
#define FENCE_SET_ACCEPTED "accepted"
#define FENCE_SET_GROUP    "group"
#define FENCE_SET_VIRTUAL4 "virtual4"
#define FENCE_SET_VIRTUAL6 "virtual6"
#define FENCE_SET_OWN4     "own4"
#define FENCE_SET_OWN6     "own6"
#define FENCE_SET_WAITING4 "waiting4"
#define FENCE_SET_WAITING6 "waiting6"

/* An element of the last two: source, destination, and in 4 bytes each the protocol and the ports. */
#define FENCE_WAITING_SIZE(address_size) (2 * (address_size) + 12)
#define FENCE_WAITING_SIZE_MAX           FENCE_WAITING_SIZE(16)

/* the elements of FENCE_SET_ALIVE: one for IPv4, one for IPv6 */
#define FENCE_ALIVE_ELEMENTS 2

/* Each adds its messages to the transaction; what can't be built for want of memory makes the commit fail. */

/* Removes the table. */
void fence_put_removal(struct nft_batch *batch, const char *table);

/* The first rule that a table has, the one behind its last, and how many there are. */
static inline enum fence_rule fence_first_rule(bool passes_known)
{
	return passes_known ? FENCE_RULE_KNOWN : FENCE_RULE_OPEN;
}

static inline enum fence_rule fence_end_rule(bool passes_known)
{
	return passes_known ? FENCE_RULES : FENCE_RULE_WAITING4;
}

static inline size_t fence_rule_count(bool passes_known)
{
	return (size_t)(fence_end_rule(passes_known) - fence_first_rule(passes_known));
}

/* The table with its chains, rules and empty sets, closed to all or to strangers.  It must not exist. */
void fence_put_table(struct nft_batch *batch, const char *table, bool passes_known);

/* Fills FENCE_SET_GROUP, part of fence_put_table(): the address types of which the fence drops nothing. */
void fence_put_group(struct nft_batch *batch, const char *table);

/*
 * Replaces what two interval sets hold.  The prefixes may overlap.  The caller has checked family and length.
 */
void fence_put_prefixes(struct nft_batch *batch, const char *table, const char *set4, const char *set6,
			const struct address_prefix *prefixes, size_t count);

/* Empties FENCE_SET_WAITING4 and 6, which only a table that is closed to strangers has. */
void fence_put_none_waiting(struct nft_batch *batch, const char *table);

/* Replaces the names of the interfaces that the fence lets pass. */
void fence_put_interfaces(struct nft_batch *batch, const char *table, const char *const *names, size_t count);

/*
 * Renews the element that keeps the fence closed, for timeout_ms from now; 0 removes it.  Both work whether
 * it is there, expired, or never was: it is added, deleted, and added again, since adding alone leaves the
 * old timeout.
 */
void fence_put_alive(struct nft_batch *batch, const char *table, uint64_t timeout_ms);

#endif
