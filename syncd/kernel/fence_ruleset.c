/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/fence_ruleset.h"

/* before the kernel's headers: these then leave out what both define */
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>

#include "syncd/kernel/fence.h"

#define CHAIN_BEFORE     "prerouting"
#define CHAIN_OWN        "own"
#define CHAIN_BEHIND     "behind"
#define CHAIN_OWN_BEHIND "own_behind"
#define CHAIN_WAITING    "waiting"

/* Of the chain, closed to all and closed to strangers: the latter needs conntrack's verdict
 * (NF_IP_PRI_CONNTRACK, -200), and comes before the mangling and translating ones. */
#define PRIORITY_ALL       (-350)
#define PRIORITY_STRANGERS (-199)

/* Of a flow that is in the table, or that an expectation there announced.  (`ct state established` would
 * leave out flows that nobody answers.) */
#define STATUS_KNOWN ((uint32_t)(IPS_CONFIRMED | IPS_EXPECTED))

/* Numbers of the sets within a transaction, which the kernel wants. */
enum { SETS_OF_TABLE = 1, SETS_OF_STRANGERS = 100 };

#define LOOPBACK_INDEX 1 /* LOOPBACK_IFINDEX of include/linux/netdevice.h: the same in every namespace */

/* nft(8)'s numbers of the key types (include/datatype.h): the kernel keeps them only for whoever lists the
 * set */
enum {
	KEY_NFPROTO = 2,
	KEY_IPV4 = 7,
	KEY_IPV6 = 8,
	KEY_PROTOCOL = 12,
	KEY_PORT = 13,
	KEY_FIB_TYPE = 38,
	KEY_IFNAME = 41
};

/* those of a concatenation stand in 6 bits each (TYPE_BITS) */
#define KEY_WAITING(address)                                                                                 \
	((uint32_t)(address) << 24 | (uint32_t)(address) << 18 | KEY_PROTOCOL << 12 | KEY_PORT << 6 |        \
	 KEY_PORT)

void fence_put_removal(struct nft_batch *batch, const char *table)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_DELTABLE, 0, "the removal of a table");
	struct nftnl_table *removed = nftnl_table_alloc();

	if (message && removed) {
		nftnl_table_set_str(removed, NFTNL_TABLE_NAME, table);
		nftnl_table_nlmsg_build_payload(message, removed);
	}
	nftnl_table_free(removed);
}

static void put_table(struct nft_batch *batch, const char *table)
{
	struct nlmsghdr *message =
	    nft_batch_add(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL,
			  "a table with an owner (NFT_TABLE_F_OWNER, Linux 5.12 or newer)");
	struct nftnl_table *added = nftnl_table_alloc();

	if (message && added) {
		nftnl_table_set_str(added, NFTNL_TABLE_NAME, table);
		nftnl_table_set_u32(added, NFTNL_TABLE_FLAGS, NFT_TABLE_F_OWNER);
		nftnl_table_nlmsg_build_payload(message, added);
	}
	nftnl_table_free(added);
}

/* priority: NULL for a chain that isn't hooked */
static void put_chain(struct nft_batch *batch, const char *table, const char *name, const int32_t *priority)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
						 "a filter chain of the inet family (CONFIG_NF_TABLES_INET)");
	struct nftnl_chain *chain = nftnl_chain_alloc();

	if (message && chain) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, table);
		nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
		if (priority) {
			nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
			nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_INET_PRE_ROUTING);
			nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, *priority);
			nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		}
		nftnl_chain_nlmsg_build_payload(message, chain);
	}
	nftnl_chain_free(chain);
}

/* With its rules. */
static void put_chain_removal(struct nft_batch *batch, const char *table, const char *name)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_DELCHAIN, 0, "the removal of a chain");
	struct nftnl_chain *chain = nftnl_chain_alloc();

	if (message && chain) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, table);
		nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
		nftnl_chain_nlmsg_build_payload(message, chain);
	}
	nftnl_chain_free(chain);
}

/* nft(8)'s byte orders (include/datatype.h), without which it can't show names, nor take in again what it
 * listed */
enum { ORDER_HOST = 1, ORDER_NETWORK = 2 };

struct set_kind {
	const char *name;
	uint32_t key_type, key_size, key_order, flags;
	const char *label;
	uint32_t size; /* 0: no limit */
};

static void add_byte_order(struct nftnl_set *set, uint32_t order)
{
	struct nftnl_udata_buf *udata = nftnl_udata_buf_alloc(32);

	if (!udata)
		return;
	if (nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_KEYBYTEORDER, order))
		nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(udata),
				   nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
}

static void put_set(struct nft_batch *batch, const char *table, const struct set_kind *kind, uint32_t id)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_NEWSET, NLM_F_CREATE, kind->label);
	struct nftnl_set *set = nftnl_set_alloc();

	if (message && set) {
		nftnl_set_set_str(set, NFTNL_SET_TABLE, table);
		nftnl_set_set_str(set, NFTNL_SET_NAME, kind->name);
		nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
		nftnl_set_set_u32(set, NFTNL_SET_ID, id);
		nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, kind->key_type);
		nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, kind->key_size);
		nftnl_set_set_u32(set, NFTNL_SET_FLAGS, kind->flags);
		if (kind->size)
			nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, kind->size);
		add_byte_order(set, kind->key_order);
		nftnl_set_nlmsg_build_payload(message, set);
	}
	nftnl_set_free(set);
}

static void put_sets(struct nft_batch *batch, const char *table, const struct set_kind *kinds, size_t count,
		     uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		put_set(batch, table, &kinds[i], id++);
}

static void put_set_removal(struct nft_batch *batch, const char *table, const char *name)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_DELSET, 0, "the removal of a set");
	struct nftnl_set *set = nftnl_set_alloc();

	if (message && set) {
		nftnl_set_set_str(set, NFTNL_SET_TABLE, table);
		nftnl_set_set_str(set, NFTNL_SET_NAME, name);
		nftnl_set_nlmsg_build_payload(message, set);
	}
	nftnl_set_free(set);
}

/* An expression whose allocation failed is left out; the kernel then refuses the rule as one that reads
 * nothing. */
static struct nftnl_expr *add_expression(struct nftnl_rule *rule, const char *name)
{
	struct nftnl_expr *expression = nftnl_expr_alloc(name);

	if (expression)
		nftnl_rule_add_expr(rule, expression);
	else
		nftnl_rule_unset(rule, NFTNL_RULE_CHAIN);
	return expression;
}

static void load_meta_into(struct nftnl_rule *rule, uint32_t key, uint32_t into)
{
	struct nftnl_expr *meta = add_expression(rule, "meta");

	if (!meta)
		return;
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, into);
}

static void load_meta(struct nftnl_rule *rule, uint32_t key)
{
	load_meta_into(rule, key, NFT_REG_1);
}

static void load_payload_into(struct nftnl_rule *rule, uint32_t base, size_t offset, size_t size,
			      uint32_t into)
{
	struct nftnl_expr *payload = add_expression(rule, "payload");

	if (!payload)
		return;
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, (uint32_t)offset);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, (uint32_t)size);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, into);
}

static void load_payload(struct nftnl_rule *rule, uint32_t base, size_t offset, size_t size)
{
	load_payload_into(rule, base, offset, size, NFT_REG_1);
}

static void load_destination_type(struct nftnl_rule *rule)
{
	struct nftnl_expr *fib = add_expression(rule, "fib");

	if (!fib)
		return;
	nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
	nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
}

static void load_known(struct nftnl_rule *rule)
{
	const uint32_t known = STATUS_KNOWN, none = 0;
	struct nftnl_expr *ct = add_expression(rule, "ct");
	struct nftnl_expr *bits = add_expression(rule, "bitwise");

	if (!ct || !bits)
		return;
	nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, NFT_CT_STATUS);
	nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_LEN, sizeof(known));
	nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_MASK, &known, sizeof(known));
	nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_XOR, &none, sizeof(none));
}

static void compare(struct nftnl_rule *rule, uint32_t operation, const void *value, uint32_t size)
{
	struct nftnl_expr *cmp = add_expression(rule, "cmp");

	if (!cmp)
		return;
	nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, operation);
	nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, value, size);
}

static void look_up(struct nftnl_rule *rule, const char *set, uint32_t flags)
{
	struct nftnl_expr *lookup = add_expression(rule, "lookup");

	if (!lookup)
		return;
	nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set);
	nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_FLAGS, flags);
}

static void decide(struct nftnl_rule *rule, int verdict, const char *chain)
{
	struct nftnl_expr *immediate = add_expression(rule, "immediate");

	if (!immediate)
		return;
	nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain);
}

static void count_and_drop(struct nftnl_rule *rule, enum fence_kind kind)
{
	add_expression(rule, "counter");
	if (kind == FENCE_TO_STRANGERS)
		decide(rule, NFT_GOTO, CHAIN_WAITING);
	else
		decide(rule, NF_DROP, NULL);
}

static void match_protocol(struct nftnl_rule *rule, uint32_t key, uint8_t number)
{
	load_meta(rule, key);
	compare(rule, NFT_CMP_EQ, &number, sizeof(number));
}

static void match_destination4(struct nftnl_rule *rule, const char *set)
{
	match_protocol(rule, NFT_META_NFPROTO, NFPROTO_IPV4);
	load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offsetof(struct iphdr, daddr), 4);
	look_up(rule, set, 0);
}

static void match_destination6(struct nftnl_rule *rule, const char *set)
{
	match_protocol(rule, NFT_META_NFPROTO, NFPROTO_IPV6);
	load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offsetof(struct ip6_hdr, ip6_dst), 16);
	look_up(rule, set, 0);
}

static void match_discovery(struct nftnl_rule *rule)
{
	const uint8_t first = ND_ROUTER_SOLICIT, last = ND_REDIRECT;

	match_protocol(rule, NFT_META_NFPROTO, NFPROTO_IPV6);
	match_protocol(rule, NFT_META_L4PROTO, IPPROTO_ICMPV6);
	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct icmp6_hdr, icmp6_type), 1);
	compare(rule, NFT_CMP_GTE, &first, sizeof(first));
	compare(rule, NFT_CMP_LTE, &last, sizeof(last));
}

/* Notes whose packet it is: source, destination, protocol and ports, side by side in the registers. */
static void note_waiting(struct nftnl_rule *rule, const char *set, size_t source, size_t destination,
			 size_t address_size)
{
	const uint32_t words = (uint32_t)address_size / 4;
	struct nftnl_expr *dynset;

	load_meta(rule, NFT_META_L4PROTO);
	look_up(rule, FENCE_SET_PORTED, 0);
	load_payload_into(rule, NFT_PAYLOAD_NETWORK_HEADER, source, address_size, NFT_REG32_00);
	load_payload_into(rule, NFT_PAYLOAD_NETWORK_HEADER, destination, address_size, NFT_REG32_00 + words);
	load_meta_into(rule, NFT_META_L4PROTO, NFT_REG32_00 + 2 * words);
	load_payload_into(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, NFT_REG32_00 + 2 * words + 1);
	load_payload_into(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_00 + 2 * words + 2);
	dynset = add_expression(rule, "dynset");
	if (!dynset)
		return;
	nftnl_expr_set_u32(dynset, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG32_00);
	nftnl_expr_set_u32(dynset, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
	nftnl_expr_set_str(dynset, NFTNL_EXPR_DYNSET_SET_NAME, set);
}

static void match_loopback(struct nftnl_rule *rule)
{
	const uint32_t loopback = LOOPBACK_INDEX;

	load_meta(rule, NFT_META_IIF);
	compare(rule, NFT_CMP_EQ, &loopback, sizeof(loopback));
}

/* One case for each rule, in the order of the picture in the header: a flat table. */
static void fill_rule(struct nftnl_rule *rule, enum fence_rule which, enum fence_kind kind)
{
	const uint32_t local = RTN_LOCAL, none = 0;

	switch (which) {
	case FENCE_RULE_KNOWN:
		load_known(rule);
		compare(rule, NFT_CMP_NEQ, &none, sizeof(none));
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_OPEN:
		load_meta(rule, NFT_META_NFPROTO);
		look_up(rule, fence_alive_set(kind), NFT_LOOKUP_F_INV);
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_LOOPBACK:
		match_loopback(rule);
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_INTERFACE:
		load_meta(rule, NFT_META_IIFNAME);
		look_up(rule, FENCE_SET_ACCEPTED, 0);
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_DISCOVERY:
		match_discovery(rule);
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_LOCAL:
		load_destination_type(rule);
		compare(rule, NFT_CMP_EQ, &local, sizeof(local));
		return decide(rule, NFT_GOTO, kind == FENCE_TO_ALL ? CHAIN_OWN : CHAIN_OWN_BEHIND);
	case FENCE_RULE_GROUP:
		load_destination_type(rule);
		look_up(rule, FENCE_SET_GROUP, 0);
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_VIRTUAL4:
		match_destination4(rule, FENCE_SET_VIRTUAL4);
		return count_and_drop(rule, kind);
	case FENCE_RULE_VIRTUAL6:
		match_destination6(rule, FENCE_SET_VIRTUAL6);
		return count_and_drop(rule, kind);
	case FENCE_RULE_OWN4:
		match_destination4(rule, FENCE_SET_OWN4);
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_OWN6:
		match_destination6(rule, FENCE_SET_OWN6);
		return decide(rule, NF_ACCEPT, NULL);
	case FENCE_RULE_FORWARD:
	case FENCE_RULE_LEARNT:
		return count_and_drop(rule, kind);
	case FENCE_RULE_WAITING4:
		match_protocol(rule, NFT_META_NFPROTO, NFPROTO_IPV4);
		return note_waiting(rule, FENCE_SET_WAITING4, offsetof(struct iphdr, saddr),
				    offsetof(struct iphdr, daddr), 4);
	case FENCE_RULE_WAITING6:
		match_protocol(rule, NFT_META_NFPROTO, NFPROTO_IPV6);
		return note_waiting(rule, FENCE_SET_WAITING6, offsetof(struct ip6_hdr, ip6_src),
				    offsetof(struct ip6_hdr, ip6_dst), 16);
	case FENCE_RULE_DROP:
	case FENCE_RULE_END:
		return decide(rule, NF_DROP, NULL);
	}
}

static const char *rule_label(enum fence_rule which)
{
	if (which == FENCE_RULE_LOCAL || which == FENCE_RULE_GROUP)
		return "the fib expression (CONFIG_NFT_FIB_INET, with CONFIG_NFT_FIB_IPV4 and CONFIG_NFT_FIB_IPV6)";
	if (which == FENCE_RULE_FORWARD || which == FENCE_RULE_LEARNT)
		return "a rule that counts and drops";
	if (which == FENCE_RULE_KNOWN)
		return "the ct expression (CONFIG_NFT_CT)";
	if (which == FENCE_RULE_WAITING4 || which == FENCE_RULE_WAITING6)
		return "a rule that adds to a set";
	return "a rule";
}

/* What `nft list ruleset` shows beside the rule. */
static const char *rule_comment(enum fence_rule which)
{
	switch (which) {
	case FENCE_RULE_KNOWN:
		return "flows that are here wait for no others";
	case FENCE_RULE_OPEN:
		return "open unless twintrackd keeps it closed";
	case FENCE_RULE_INTERFACE:
		return "sync links and accept-interface";
	case FENCE_RULE_FORWARD:
		return "to be forwarded";
	case FENCE_RULE_LEARNT:
		return "virtual addresses learnt";
	default:
		return NULL;
	}
}

static void add_comment(struct nftnl_rule *rule, const char *comment)
{
	struct nftnl_udata_buf *udata = comment ? nftnl_udata_buf_alloc(128) : NULL;

	if (!udata)
		return;
	if (nftnl_udata_put_strz(udata, NFTNL_UDATA_RULE_COMMENT, comment))
		nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata),
				    nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
}

static const char *rule_chain(enum fence_rule which, enum fence_kind kind)
{
	if (which < FENCE_RULE_VIRTUAL4)
		return kind == FENCE_TO_ALL ? CHAIN_BEFORE : CHAIN_BEHIND;
	if (which < FENCE_RULE_WAITING4)
		return kind == FENCE_TO_ALL ? CHAIN_OWN : CHAIN_OWN_BEHIND;
	return CHAIN_WAITING;
}

static void put_rule(struct nft_batch *batch, const char *table, enum fence_rule which, enum fence_kind kind)
{
	struct nlmsghdr *message =
	    nft_batch_add(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, rule_label(which));
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (message && rule) {
		nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table);
		nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, rule_chain(which, kind));
		nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
		fill_rule(rule, which, kind);
		add_comment(rule, rule_comment(which));
		nftnl_rule_nlmsg_build_payload(message, rule);
	}
	nftnl_rule_free(rule);
}

static void put_rules(struct nft_batch *batch, const char *table, enum fence_kind kind, size_t first,
		      size_t end)
{
	for (size_t place = first; place < end; place++)
		put_rule(batch, table, fence_rule_at(place), kind);
}

void fence_put_table(struct nft_batch *batch, const char *table)
{
	const int32_t priority = PRIORITY_ALL;
	static const char intervals[] = "a set of intervals";
	static const struct set_kind kinds[] = {
	    {FENCE_SET_ALIVE, KEY_NFPROTO, 1, ORDER_HOST, NFT_SET_TIMEOUT, "a set with timeouts", 0},
	    {FENCE_SET_ACCEPTED, KEY_IFNAME, IFNAMSIZ, ORDER_HOST, 0, "a set of names", 0},
	    {FENCE_SET_GROUP, KEY_FIB_TYPE, 4, ORDER_HOST, NFT_SET_CONSTANT, "a set of address types", 0},
	    {FENCE_SET_VIRTUAL4, KEY_IPV4, 4, ORDER_NETWORK, NFT_SET_INTERVAL, intervals, 0},
	    {FENCE_SET_VIRTUAL6, KEY_IPV6, 16, ORDER_NETWORK, NFT_SET_INTERVAL, intervals, 0},
	    {FENCE_SET_OWN4, KEY_IPV4, 4, ORDER_NETWORK, NFT_SET_INTERVAL, intervals, 0},
	    {FENCE_SET_OWN6, KEY_IPV6, 16, ORDER_NETWORK, NFT_SET_INTERVAL, intervals, 0},
	};

	put_table(batch, table);
	put_chain(batch, table, CHAIN_BEFORE, &priority);
	put_chain(batch, table, CHAIN_OWN, NULL);
	put_sets(batch, table, kinds, sizeof(kinds) / sizeof(kinds[0]), SETS_OF_TABLE);
	fence_put_group(batch, table);
	put_rules(batch, table, FENCE_TO_ALL, 0, FENCE_RULES_TO_ALL);
}

void fence_put_behind(struct nft_batch *batch, const char *table)
{
	const int32_t priority = PRIORITY_STRANGERS;

	put_chain(batch, table, CHAIN_BEHIND, &priority);
}

void fence_put_strangers(struct nft_batch *batch, const char *table)
{
	static const char dynamic[] = "a set that rules add to";
	static const struct set_kind kinds[] = {
	    {FENCE_SET_BEHIND, KEY_NFPROTO, 1, ORDER_HOST, NFT_SET_TIMEOUT, "a set with timeouts", 0},
	    {FENCE_SET_PORTED, KEY_PROTOCOL, 1, ORDER_HOST, NFT_SET_CONSTANT, "a set of protocols", 0},
	    {FENCE_SET_WAITING4, KEY_WAITING(KEY_IPV4), FENCE_WAITING_SIZE(4), ORDER_NETWORK, NFT_SET_EVAL,
	     dynamic, FENCE_WAITING_MAX},
	    {FENCE_SET_WAITING6, KEY_WAITING(KEY_IPV6), FENCE_WAITING_SIZE(16), ORDER_NETWORK, NFT_SET_EVAL,
	     dynamic, FENCE_WAITING_MAX},
	};

	put_chain(batch, table, CHAIN_OWN_BEHIND, NULL);
	put_chain(batch, table, CHAIN_WAITING, NULL);
	put_sets(batch, table, kinds, sizeof(kinds) / sizeof(kinds[0]), SETS_OF_STRANGERS);
	fence_put_ported(batch, table);
	put_rules(batch, table, FENCE_TO_STRANGERS, FENCE_RULES_TO_ALL, FENCE_RULES);
}

void fence_put_behind_removal(struct nft_batch *batch, const char *table, bool has_strangers)
{
	static const char *const sets[] = {FENCE_SET_BEHIND, FENCE_SET_PORTED, FENCE_SET_WAITING4,
					   FENCE_SET_WAITING6};

	put_chain_removal(batch, table, CHAIN_BEHIND);
	if (!has_strangers)
		return;
	put_chain_removal(batch, table, CHAIN_OWN_BEHIND);
	put_chain_removal(batch, table, CHAIN_WAITING);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		put_set_removal(batch, table, sets[i]);
}
