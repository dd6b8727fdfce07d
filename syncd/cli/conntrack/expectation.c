/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/expectation.h"
#include "syncd/kernel/attribute.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stddef.h>
#include <string.h>

/* ---- reading ---- */

enum { SEEN_EXPECTED = 1, SEEN_MASK = 2, SEEN_MASTER = 4, SEEN_ALL = 7 };

struct expectation_reading {
	struct expectation *expectation;
	unsigned seen;
};

static int read_address(void *context, const struct attribute *attribute)
{
	struct flow_tuple *tuple = context;

	switch (attribute->type) {
	case CTA_IP_V4_SRC:
		return attribute_get_bytes(attribute, tuple->src, 4);
	case CTA_IP_V4_DST:
		return attribute_get_bytes(attribute, tuple->dst, 4);
	case CTA_IP_V6_SRC:
		return attribute_get_bytes(attribute, tuple->src, 16);
	case CTA_IP_V6_DST:
		return attribute_get_bytes(attribute, tuple->dst, 16);
	}
	return 0;
}

static int read_protocol(void *context, const struct attribute *attribute)
{
	struct expectation_tuple *to = context;

	switch (attribute->type) {
	case CTA_PROTO_NUM:
		return attribute_get_u8(attribute, &to->protocol);
	case CTA_PROTO_SRC_PORT:
		return attribute_get_u16(attribute, &to->tuple.sport);
	case CTA_PROTO_DST_PORT:
		return attribute_get_u16(attribute, &to->tuple.dport);
	case CTA_PROTO_ICMP_ID:
	case CTA_PROTO_ICMPV6_ID:
		return attribute_get_u16(attribute, &to->tuple.icmp_id);
	case CTA_PROTO_ICMP_TYPE:
	case CTA_PROTO_ICMPV6_TYPE:
		return attribute_get_u8(attribute, &to->tuple.icmp_type);
	case CTA_PROTO_ICMP_CODE:
	case CTA_PROTO_ICMPV6_CODE:
		return attribute_get_u8(attribute, &to->tuple.icmp_code);
	}
	return 0;
}

static int read_tuple(void *context, const struct attribute *attribute)
{
	struct expectation_tuple *to = context;

	if (attribute->type == CTA_TUPLE_IP)
		return attribute_walk_nested(attribute, read_address, &to->tuple);
	if (attribute->type == CTA_TUPLE_PROTO)
		return attribute_walk_nested(attribute, read_protocol, to);
	return 0;
}

static int read_nat(void *context, const struct attribute *attribute)
{
	struct expectation *expectation = context;

	if (attribute->type == CTA_EXPECT_NAT_DIR)
		return attribute_get_u32(attribute, &expectation->nat_direction);
	if (attribute->type == CTA_EXPECT_NAT_TUPLE)
		return attribute_walk_nested(attribute, read_tuple, &expectation->nat);
	return 0;
}

/* A flat table. */
static int read_attribute(void *context, const struct attribute *attribute)
{
	struct expectation_reading *reading = context;
	struct expectation *expectation = reading->expectation;

	switch (attribute->type) {
	case CTA_EXPECT_TUPLE:
		reading->seen |= SEEN_EXPECTED;
		return attribute_walk_nested(attribute, read_tuple, &expectation->expected);
	case CTA_EXPECT_MASK:
		reading->seen |= SEEN_MASK;
		return attribute_walk_nested(attribute, read_tuple, &expectation->mask);
	case CTA_EXPECT_MASTER:
		reading->seen |= SEEN_MASTER;
		return attribute_walk_nested(attribute, read_tuple, &expectation->master);
	case CTA_EXPECT_TIMEOUT:
		return attribute_get_u32(attribute, &expectation->timeout_s);
	case CTA_EXPECT_ID:
		return attribute_get_u32(attribute, &expectation->id);
	case CTA_EXPECT_FLAGS:
		return attribute_get_u32(attribute, &expectation->flags);
	case CTA_EXPECT_CLASS:
		expectation->has_class = true;
		return attribute_get_u32(attribute, &expectation->class);
	case CTA_EXPECT_ZONE:
		expectation->has_zone = true;
		return attribute_get_u16(attribute, &expectation->zone);
	case CTA_EXPECT_HELP_NAME:
		return attribute_get_string(attribute, expectation->helper, EXPECTATION_NAME_SIZE, true);
	case CTA_EXPECT_FN:
		return attribute_get_string(attribute, expectation->function, EXPECTATION_NAME_SIZE, true);
	case CTA_EXPECT_NAT:
		expectation->has_nat = true;
		return attribute_walk_nested(attribute, read_nat, expectation);
	}
	return 0;
}

int expectation_read(const struct nlmsghdr *message, struct expectation *expectation)
{
	const uint8_t *bytes = (const uint8_t *)message;
	const size_t headers = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	struct expectation_reading reading = {.expectation = expectation};
	int error;

	memset(expectation, 0, sizeof(*expectation));
	if (message->nlmsg_len < headers || message->nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK_EXP)
		return -EINVAL;
	expectation->family = bytes[NLMSG_HDRLEN + offsetof(struct nfgenmsg, nfgen_family)];
	if (expectation->family != FLOW_IPV4 && expectation->family != FLOW_IPV6)
		return -EPROTONOSUPPORT;
	error = attribute_walk(bytes + headers, message->nlmsg_len - headers, read_attribute, &reading);
	if (error)
		return error;
	return reading.seen == SEEN_ALL ? 0 : -EINVAL;
}

/* ---- writing ---- */

static void write_address(struct nlmsghdr *message, uint8_t family, const struct flow_tuple *tuple)
{
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_IP);
	bool is_ipv6 = family == FLOW_IPV6;

	mnl_attr_put(message, is_ipv6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, flow_address_size(family), tuple->src);
	mnl_attr_put(message, is_ipv6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, flow_address_size(family), tuple->dst);
	mnl_attr_nest_end(message, nest);
}

static void write_protocol(struct nlmsghdr *message, const struct expectation_tuple *from)
{
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(message, CTA_PROTO_NUM, from->protocol);
	if (flow_has_ports(from->protocol) || from->protocol == PROTOCOL_GRE) {
		mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htobe16(from->tuple.sport));
		mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htobe16(from->tuple.dport));
	}
	if (flow_has_icmp(from->protocol)) {
		bool is_icmp = from->protocol == PROTOCOL_ICMP;

		mnl_attr_put_u16(message, is_icmp ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID,
				 htobe16(from->tuple.icmp_id));
		mnl_attr_put_u8(message, is_icmp ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
				from->tuple.icmp_type);
		mnl_attr_put_u8(message, is_icmp ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE,
				from->tuple.icmp_code);
	}
	mnl_attr_nest_end(message, nest);
}

static void write_tuple(struct nlmsghdr *message, uint16_t type, uint8_t family,
			const struct expectation_tuple *from)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	write_address(message, family, &from->tuple);
	write_protocol(message, from);
	mnl_attr_nest_end(message, nest);
}

void expectation_write(struct nlmsghdr *message, const struct expectation *expectation, unsigned parts)
{
	if (parts & EXPECTATION_WRITE_MASTER)
		write_tuple(message, CTA_EXPECT_MASTER, expectation->family, &expectation->master);
	if (parts & EXPECTATION_WRITE_EXPECTED)
		write_tuple(message, CTA_EXPECT_TUPLE, expectation->family, &expectation->expected);
	if (parts & EXPECTATION_WRITE_MASK)
		write_tuple(message, CTA_EXPECT_MASK, expectation->family, &expectation->mask);
	if (parts & EXPECTATION_WRITE_TIMEOUT)
		mnl_attr_put_u32(message, CTA_EXPECT_TIMEOUT, htobe32(expectation->timeout_s));
}
