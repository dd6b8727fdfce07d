/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence as nf_tables messages: its table, chains, rules and sets.  For fence.c.
 *
 * table inet NAME: flags owner, so that it goes when its socket closes, and survives `flush ruleset`.
 *
 * chain prerouting, closed to all: priority -350, behind defragmentation (-400), before raw and conntrack:
 *
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
 * chain behind, closed to strangers: priority -199, behind conntrack (-200), before whatever else looks at a
 * flow.  There, and empty, from when the fence closes until it opens; its rules come when they are needed:
 *
 *   ct status expected,confirmed accept
 *   meta nfproto != @alive_behind accept     and on as above, with `counter goto waiting` for each
 *   ...                                      `counter drop`, in this chain and in chain own_behind
 *
 * chain waiting:
 *
 *   meta l4proto @ported add @waiting4 { ip saddr . ip daddr . meta l4proto . th sport . th dport }
 *   meta l4proto @ported add @waiting6 { the same for IPv6 }      (a set that is full ends its rule)
 *   drop
 *
 * Why the chain is there before its rules, and each chain has an element of its own: a packet goes through
 * the hooks that were there when it came (nf_hook_entries is replaced as a whole, net/netfilter/core.c), but
 * in each chain and each look at a set it meets the generation of that moment (nft_do_chain()).  So in the
 * one transaction that takes the element of `alive` and gives that of `alive_behind`, a packet meets the
 * first either in the old generation, and is dropped, or in the new one, in which it also meets the second.
 * Backwards it could meet neither; there `alive` is given and `alive_behind` left to lapse.
 */
#ifndef SYNCD_KERNEL_FENCE_RULESET_H
#define SYNCD_KERNEL_FENCE_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syncd/kernel/address.h"
#include "syncd/kernel/nft_batch.h"

#define FENCE_NAME_SIZE 64

/* The two kinds of closed. */
enum fence_kind { FENCE_TO_ALL, FENCE_TO_STRANGERS };

/* The rules of a kind, in the order in which the kernel lists them. */
enum fence_rule {
	FENCE_RULE_KNOWN, /* only closed to strangers */
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
	FENCE_RULE_WAITING4, /* these three only closed to strangers */
	FENCE_RULE_WAITING6,
	FENCE_RULE_DROP,
	FENCE_RULE_END
};

/* The table lists those of the first kind, then those of the second, if it has them. */
#define FENCE_RULES_TO_ALL ((size_t)(FENCE_RULE_WAITING4 - FENCE_RULE_OPEN))
#define FENCE_RULES        (FENCE_RULES_TO_ALL + FENCE_RULE_END)

/* The rule at that place of the list. */
static inline enum fence_rule fence_rule_at(size_t place)
{
	return (enum fence_rule)(place < FENCE_RULES_TO_ALL ? place + FENCE_RULE_OPEN
							    : place - FENCE_RULES_TO_ALL);
}

#define FENCE_SET_ALIVE    "alive"
#define FENCE_SET_BEHIND   "alive_behind"
#define FENCE_SET_ACCEPTED "accepted"
#define FENCE_SET_GROUP    "group"
#define FENCE_SET_VIRTUAL4 "virtual4"
#define FENCE_SET_VIRTUAL6 "virtual6"
#define FENCE_SET_OWN4     "own4"
#define FENCE_SET_OWN6     "own6"
#define FENCE_SET_PORTED   "ported"
#define FENCE_SET_WAITING4 "waiting4"
#define FENCE_SET_WAITING6 "waiting6"

/* An element of the last two: source, destination, and in 4 bytes each the protocol and the ports. */
#define FENCE_WAITING_SIZE(address_size) (2 * (address_size) + 12)
#define FENCE_WAITING_SIZE_MAX           FENCE_WAITING_SIZE(16)

/* The set that keeps the fence closed to these, and its elements: one for IPv4, one for IPv6. */
static inline const char *fence_alive_set(enum fence_kind kind)
{
	return kind == FENCE_TO_ALL ? FENCE_SET_ALIVE : FENCE_SET_BEHIND;
}
#define FENCE_ALIVE_ELEMENTS 2

/* Each adds its messages to the transaction; what can't be built for want of memory makes the commit fail. */

/* Removes the table. */
void fence_put_removal(struct nft_batch *batch, const char *table);

/* The table with what closes it to all, its sets empty: open.  It must not exist. */
void fence_put_table(struct nft_batch *batch, const char *table);

/* The chain that is to close it to strangers, empty; nothing when it is there. */
void fence_put_behind(struct nft_batch *batch, const char *table);

/* The rules and sets of that chain, which must be there and empty. */
void fence_put_strangers(struct nft_batch *batch, const char *table);

/* Removes that chain; has_strangers: with what fence_put_strangers() added. */
void fence_put_behind_removal(struct nft_batch *batch, const char *table, bool has_strangers);

/*
 * Fill FENCE_SET_GROUP, part of fence_put_table(): the address types of which the fence drops nothing; and
 * FENCE_SET_PORTED, part of fence_put_strangers(): the protocols with ports.
 */
void fence_put_group(struct nft_batch *batch, const char *table);
void fence_put_ported(struct nft_batch *batch, const char *table);

/*
 * Replaces what two interval sets hold.  The prefixes may overlap.  The caller has checked family and length.
 */
void fence_put_prefixes(struct nft_batch *batch, const char *table, const char *set4, const char *set6,
			const struct address_prefix *prefixes, size_t count);

/* Empties FENCE_SET_WAITING4 or 6, of fence_put_strangers(). */
void fence_put_none_waiting(struct nft_batch *batch, const char *table, const char *set);

/* Replaces the names of the interfaces that the fence lets pass. */
void fence_put_interfaces(struct nft_batch *batch, const char *table, const char *const *names, size_t count);

/*
 * Renews the element that keeps the fence closed to these, for timeout_ms from now; 0 removes it.  Both work
 * whether it is there, expired, or never was: it is added, deleted, and added again, since adding alone
 * leaves the old timeout.
 */
void fence_put_alive(struct nft_batch *batch, const char *table, enum fence_kind kind, uint64_t timeout_ms);

#endif
