/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Classic BPF loads numbers in network order, so that addresses, zones and masks are compared as they are.
 * SKF_AD_NLATTR finds the attribute of type X from offset A on, SKF_AD_NLATTR_NEST the one inside the
 * attribute at A; both give its offset, or 0 (net/core/filter.c).  A load beyond the end of a message would
 * drop it, so an attribute's content is only loaded where the kernel always fills it in.
 */
#include "syncd/kernel/event_filter.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

enum {
	ATTRIBUTES = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg)),
	FAMILY = NLMSG_HDRLEN + offsetof(struct nfgenmsg, nfgen_family),
	/* the upper half of nlmsg_type, which stands in host order */
	SUBSYSTEM = offsetof(struct nlmsghdr, nlmsg_type) + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__),
	/* BPF's memory: where the tuples stand; then, for each address, its offset or (IPv4) the address */
	M_ORIG = 0,
	M_REPLY = 1,
	M_ADDRESS = 2,
	ADDRESSES = 4,
	HITS_MAX = 256,                       /* protocols; and a prefix for each address */
	CONTENT = (int)sizeof(struct nlattr), /* of an attribute, behind its header */
	PASS = -1,                            /* UINT32_MAX bytes of it */
};

struct builder {
	struct sock_filter *code;
	size_t length; /* beyond EVENT_FILTER_CODE_MAX: nothing more is written */
};

static void put(struct builder *builder, uint16_t operation, uint32_t k, uint8_t jump_true,
		uint8_t jump_false)
{
	if (builder->length < EVENT_FILTER_CODE_MAX)
		builder->code[builder->length] = (struct sock_filter){operation, jump_true, jump_false, k};
	builder->length++;
}

static void put_return(struct builder *builder, int what)
{
	put(builder, BPF_RET | BPF_K, (uint32_t)what, 0, 0);
}

/* A jump whose target is not known yet.  Returns its place. */
static size_t put_jump(struct builder *builder)
{
	put(builder, BPF_JMP | BPF_JA, 0, 0, 0);
	return builder->length - 1;
}

static void land(struct builder *builder, size_t jump)
{
	if (jump < EVENT_FILTER_CODE_MAX)
		builder->code[jump].k = (uint32_t)(builder->length - jump - 1);
}

/* The next instruction is skipped unless A == k. */
static void put_if_equal(struct builder *builder, uint32_t k)
{
	put(builder, BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
}

static void put_find(struct builder *builder, uint16_t attribute, int32_t how)
{
	put(builder, BPF_LDX | BPF_IMM, attribute, 0, 0);
	put(builder, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + how), 0, 0);
}

/* What lacks this is let through. */
static void put_need(struct builder *builder)
{
	put_if_equal(builder, 0);
	put_return(builder, PASS);
}

static void find_outer(struct builder *builder, uint16_t attribute)
{
	put(builder, BPF_LD | BPF_IMM, ATTRIBUTES, 0, 0);
	put_find(builder, attribute, SKF_AD_NLATTR);
}

static void find_inner(struct builder *builder, uint32_t memory, uint16_t attribute)
{
	put(builder, BPF_LD | BPF_MEM, memory, 0, 0);
	put_find(builder, attribute, SKF_AD_NLATTR_NEST);
}

/* The content of the attribute at A. */
static void load(struct builder *builder, uint16_t size)
{
	put(builder, BPF_MISC | BPF_TAX, 0, 0, 0);
	put(builder, BPF_LD | size | BPF_IND, CONTENT, 0, 0);
}

/* ---- what comes first ---- */

static void drop_own(struct builder *builder, const uint32_t *ports, size_t count)
{
	if (count == 0)
		return;
	put(builder, BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid), 0, 0);
	for (size_t i = 0; i < count; i++) {
		put_if_equal(builder, htonl(ports[i])); /* it stands in host order */
		put_return(builder, 0);
	}
}

/* Expectations come over the same socket. */
static void pass_others(struct builder *builder)
{
	put(builder, BPF_LD | BPF_B | BPF_ABS, SUBSYSTEM, 0, 0);
	put(builder, BPF_JMP | BPF_JEQ | BPF_K, NFNL_SUBSYS_CTNETLINK, 1, 0);
	put_return(builder, PASS);
}

/* ---- one of several: whoever is accepted goes on behind them, whoever is ignored is dropped at once ---- */

_Static_assert((int)HITS_MAX >= ADDRESSES * (int)EVENT_FILTER_PREFIXES_MAX &&
		   (int)HITS_MAX >= (int)EVENT_FILTER_ZONES_MAX,
	       "room for all that can be hit");

struct hits {
	size_t count, jumps[HITS_MAX];
};

static void hit(struct builder *builder, struct hits *hits, bool accepts)
{
	if (accepts)
		hits->jumps[hits->count++] = put_jump(builder);
	else
		put_return(builder, 0);
}

/* Accepted is only what was hit. */
static void end_hits(struct builder *builder, const struct hits *hits, bool accepts)
{
	if (accepts)
		put_return(builder, 0);
	for (size_t i = 0; i < hits->count; i++)
		land(builder, hits->jumps[i]);
}

/* ---- numbers: protocols and zones ---- */

static bool has_bit(const uint8_t *bits, unsigned number)
{
	return bits[number / 8] & 1u << number % 8;
}

static bool has_any(const uint8_t bits[32])
{
	static const uint8_t none[32];

	return memcmp(bits, none, sizeof(none)) != 0;
}

static void match_protocols(struct builder *builder, const struct event_match *match, bool accepts)
{
	struct hits hits = {.count = 0};

	if (!has_any(match->protocols))
		return;
	for (unsigned number = 0; number < 256; number++) {
		if (!has_bit(match->protocols, number))
			continue;
		put_if_equal(builder, number);
		hit(builder, &hits, accepts);
	}
	end_hits(builder, &hits, accepts);
}

static void judge_protocol(struct builder *builder, const struct event_filter *filter)
{
	if (!has_any(filter->accept.protocols) && !has_any(filter->ignore.protocols))
		return;
	find_inner(builder, M_ORIG, CTA_TUPLE_PROTO);
	put_need(builder);
	put_find(builder, CTA_PROTO_NUM, SKF_AD_NLATTR_NEST);
	put_need(builder);
	load(builder, BPF_B);
	match_protocols(builder, &filter->accept, true);
	match_protocols(builder, &filter->ignore, false);
}

static void match_zones(struct builder *builder, const struct event_match *match, bool accepts)
{
	struct hits hits = {.count = 0};

	for (size_t i = 0; i < match->zone_count; i++) {
		put_if_equal(builder, match->zone[i]);
		hit(builder, &hits, accepts);
	}
	if (match->zone_count)
		end_hits(builder, &hits, accepts);
}

/* CTA_ZONE, or that of the original direction, or 0 (ctnetlink_dump_zone_id()). */
static void judge_zone(struct builder *builder, const struct event_filter *filter)
{
	size_t outer, none;

	if (!filter->accept.zone_count && !filter->ignore.zone_count)
		return;
	find_outer(builder, CTA_ZONE);
	put(builder, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0);
	load(builder, BPF_H);
	outer = put_jump(builder);
	find_inner(builder, M_ORIG, CTA_TUPLE_ZONE);
	put_if_equal(builder, 0);
	none = put_jump(builder); /* with A = 0 */
	load(builder, BPF_H);
	land(builder, outer);
	land(builder, none);
	match_zones(builder, &filter->accept, true);
	match_zones(builder, &filter->ignore, false);
}

/* ---- addresses ---- */

static size_t count_prefixes(const struct event_match *match, uint8_t family)
{
	size_t count = 0;

	for (size_t i = 0; i < match->prefix_count; i++)
		count += match->prefix[i].family == family;
	return count;
}

static uint32_t word_of(const uint8_t *bytes, unsigned word)
{
	uint32_t value;

	memcpy(&value, bytes + 4 * word, sizeof(value));
	return ntohl(value);
}

/* The bits of that word that a prefix looks at. */
static uint32_t mask_of(unsigned length, unsigned word)
{
	unsigned bits = length > 32 * word ? length - 32 * word : 0;

	return bits >= 32 ? UINT32_MAX : ~(uint32_t)((UINT64_C(1) << (32 - bits)) - 1);
}

/* Whether one address lies in it: the next instruction is skipped if not.  X: where the address stands. */
static void match_prefix(struct builder *builder, const struct event_prefix *prefix)
{
	unsigned words = (prefix->length + 31u) / 32;

	if (!words) { /* A is what it is: all lie in it */
		put(builder, BPF_JMP | BPF_JA, 0, 0, 0);
		return;
	}
	for (unsigned word = 0; word < words; word++) {
		unsigned further = words - word - 1; /* of three instructions each */

		put(builder, BPF_LD | BPF_W | BPF_IND, CONTENT + 4 * word, 0, 0);
		put(builder, BPF_ALU | BPF_AND | BPF_K, mask_of(prefix->length, word), 0, 0);
		put(builder, BPF_JMP | BPF_JEQ | BPF_K, word_of(prefix->bytes, word), 0,
		    (uint8_t)(1 + 3 * further));
	}
}

static void match_prefixes(struct builder *builder, const struct event_match *match, uint8_t family,
			   bool accepts)
{
	struct hits hits = {.count = 0};

	if (!match->prefix_count)
		return;
	for (uint32_t address = 0; address < ADDRESSES; address++) {
		put(builder, BPF_LDX | BPF_MEM, M_ADDRESS + address, 0, 0);
		for (size_t i = 0; i < match->prefix_count; i++) {
			if (match->prefix[i].family != family)
				continue;
			match_prefix(builder, &match->prefix[i]);
			hit(builder, &hits, accepts);
		}
	}
	end_hits(builder, &hits, accepts);
}

static void find_addresses(struct builder *builder, uint8_t family)
{
	const uint16_t source = family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC,
		       destination = family == AF_INET ? CTA_IP_V4_DST : CTA_IP_V6_DST;

	for (uint32_t address = 0; address < ADDRESSES; address++) {
		find_inner(builder, address < 2 ? M_ORIG : M_REPLY, CTA_TUPLE_IP);
		put_need(builder);
		put_find(builder, address % 2 ? destination : source, SKF_AD_NLATTR_NEST);
		put_need(builder);
		put(builder, BPF_ST, M_ADDRESS + address, 0, 0);
	}
}

static void judge_family(struct builder *builder, const struct event_filter *filter, uint8_t family)
{
	bool is_named = count_prefixes(&filter->accept, family) || count_prefixes(&filter->ignore, family);

	if (!is_named) { /* if any are accepted, they are the other family's */
		put_return(builder, filter->accept.prefix_count ? 0 : PASS);
		return;
	}
	find_addresses(builder, family);
	match_prefixes(builder, &filter->accept, family, true);
	match_prefixes(builder, &filter->ignore, family, false);
	put_return(builder, PASS);
}

static void judge_addresses(struct builder *builder, const struct event_filter *filter)
{
	size_t other;

	if (!filter->accept.prefix_count && !filter->ignore.prefix_count)
		return;
	find_outer(builder, CTA_TUPLE_REPLY);
	put_need(builder);
	put(builder, BPF_ST, M_REPLY, 0, 0);
	put(builder, BPF_LD | BPF_B | BPF_ABS, FAMILY, 0, 0);
	put(builder, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0);
	other = put_jump(builder);
	judge_family(builder, filter, AF_INET);
	land(builder, other);
	put(builder, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
	put_return(builder, PASS);
	judge_family(builder, filter, AF_INET6);
}

bool event_filter_is_empty(const struct event_filter *filter)
{
	return !has_any(filter->accept.protocols) && !has_any(filter->ignore.protocols) &&
	       !filter->accept.prefix_count && !filter->ignore.prefix_count && !filter->accept.zone_count &&
	       !filter->ignore.zone_count;
}

size_t event_filter_build(const struct event_filter *filter, const uint32_t *own_ports,
			  size_t own_ports_count, struct sock_filter code[EVENT_FILTER_CODE_MAX])
{
	struct builder builder = {.code = code};
	size_t without_addresses;

	drop_own(&builder, own_ports, own_ports_count);
	if (!event_filter_is_empty(filter)) {
		pass_others(&builder);
		find_outer(&builder, CTA_TUPLE_ORIG);
		put_need(&builder);
		put(&builder, BPF_ST, M_ORIG, 0, 0);
		judge_protocol(&builder, filter);
		judge_zone(&builder, filter);
	}
	without_addresses = builder.length;
	judge_addresses(&builder, filter);
	if (builder.length + 1 > EVENT_FILTER_CODE_MAX)
		builder.length = without_addresses;
	put_return(&builder, PASS);
	return builder.length;
}
