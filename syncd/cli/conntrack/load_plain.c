/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/load.h"
#include "syncd/cli/conntrack/values.h"

#include <arpa/inet.h>
#include <string.h>

/* Where an address of the line stands. */
struct place {
	const char *at;
	size_t length; /* 0: it has none yet */
};

/* What is left of a line. */
struct rest {
	const char *at, *end;
	struct place src, dst; /* of the original direction */
};

static inline bool skip(struct rest *rest, const char *text, size_t length)
{
	if ((size_t)(rest->end - rest->at) < length || memcmp(rest->at, text, length) != 0)
		return false;
	rest->at += length;
	return true;
}
#define SKIP(rest, text) skip(rest, text, sizeof(text) - 1)

/* ---- values: what stands behind them is looked at by end_value() ---- */

/* Decimal alone, and without a leading zero: what else a number may be, request_read_number() knows. */
static inline bool read_decimal(struct rest *rest, uint32_t most, uint32_t *number)
{
	const char *at = rest->at;
	uint64_t value = 0;

	for (; at < rest->end && *at >= '0' && *at <= '9' && at - rest->at < 11; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	if (at == rest->at || (*rest->at == '0' && at - rest->at > 1))
		return false;
	rest->at = at;
	*number = (uint32_t)value;
	return value <= most;
}

/* Four numbers without leading zeros: 010 is octal to inet_aton(). */
static bool read_ipv4(struct rest *rest, uint8_t address[16])
{
	for (unsigned i = 0; i < 4; i++) {
		uint32_t value;

		if ((i && !SKIP(rest, ".")) || !read_decimal(rest, UINT8_MAX, &value))
			return false;
		address[i] = (uint8_t)value;
	}
	return true;
}

static bool read_ipv6(struct rest *rest, uint8_t address[16])
{
	char text[INET6_ADDRSTRLEN];
	size_t length = 0;

	while (rest->at < rest->end && *rest->at && strchr("0123456789abcdefABCDEF:.", *rest->at)) {
		if (length == sizeof(text) - 1)
			return false;
		text[length++] = *rest->at++;
	}
	text[length] = 0;
	return inet_pton(AF_INET6, text, address) == 1;
}

static bool read_address(struct rest *rest, struct request *request, uint8_t address[16])
{
	struct rest start = *rest;
	uint8_t family = FLOW_IPV4;

	if (!read_ipv4(rest, address)) {
		family = FLOW_IPV6;
		*rest = start;
		if (!read_ipv6(rest, address))
			return false;
	}
	if (request->flow.family && request->flow.family != family)
		return false;
	request->flow.family = family;
	return true;
}

static bool read_noted(struct rest *rest, struct request *request, uint8_t address[16], struct place *place)
{
	const char *at = rest->at;

	if (!read_address(rest, request, address))
		return false;
	*place = (struct place){at, (size_t)(rest->at - at)};
	return true;
}

/* An address that mostly is one of before. */
static bool read_repeated(struct rest *rest, struct request *request, uint8_t address[16],
			  const struct place *place, const uint8_t noted[16])
{
	struct rest start = *rest;

	if (place->length && skip(rest, place->at, place->length) &&
	    (rest->at == rest->end || *rest->at == ' ')) {
		memcpy(address, noted, 16);
		return true;
	}
	*rest = start;
	return read_address(rest, request, address);
}

/* An address alone: a port behind it has a colon, or brackets, that no address has. */
static bool read_nat(struct rest *rest, struct request *request, struct request_nat *nat)
{
	nat->has_address = true;
	return read_address(rest, request, nat->address);
}

static bool read_status(struct rest *rest, struct request *request)
{
	do {
		if (SKIP(rest, "SEEN_REPLY"))
			request->flow.status |= FLOW_STATUS_SEEN_REPLY;
		else if (SKIP(rest, "ASSURED"))
			request->flow.status |= FLOW_STATUS_ASSURED;
		else if (SKIP(rest, "FIXED_TIMEOUT"))
			request->flow.status |= FLOW_STATUS_FIXED_TIMEOUT;
		else if (SKIP(rest, "OFFLOAD"))
			request->flow.status |= FLOW_STATUS_OFFLOAD;
		else if (SKIP(rest, "HW_OFFLOAD"))
			request->flow.status |= FLOW_STATUS_HW_OFFLOAD;
		else if (SKIP(rest, "UNSET"))
			request->status_unset = true;
		else
			return false;
	} while (SKIP(rest, ","));
	return true;
}

static bool read_protocol(struct rest *rest, struct request *request)
{
	const char *name = SKIP(rest, "tcp")      ? "tcp"
			   : SKIP(rest, "udp")    ? "udp"
			   : SKIP(rest, "icmpv6") ? "icmpv6"
			   : SKIP(rest, "icmp")   ? "icmp"
						  : NULL;

	if (name)
		request->protocol = protocol_find(name, &request->flow.protocol);
	return name;
}

static bool read_zone(struct rest *rest, struct request *request)
{
	uint32_t zone;

	if (!read_decimal(rest, UINT16_MAX, &zone))
		return false;
	request->flow.zone = (uint16_t)zone;
	request->flow.zone_scope = FLOW_ZONE_BOTH;
	return true;
}

static bool read_state(struct rest *rest, struct request *request)
{
	char name[sizeof("ESTABLISHED")];
	size_t length = 0;

	if (SKIP(rest, "ESTABLISHED")) /* nearly all */
		return protocol_set_number(request, FIELD_STATE, FLOW_TCP_ESTABLISHED);
	while (rest->at < rest->end && *rest->at && *rest->at != ' ' && length < sizeof(name) - 1)
		name[length++] = *rest->at++;
	name[length] = 0;
	return protocol_set(request, FIELD_STATE, name);
}

/* ---- options ---- */

/* Which option a letter is; REQUEST_OPTIONS: none of these. */
static enum request_option option_of(char letter)
{
	static const uint8_t options[128] = {
	    ['s'] = 1 + OPTION_ORIG_SRC,  ['d'] = 1 + OPTION_ORIG_DST, ['r'] = 1 + OPTION_REPLY_SRC,
	    ['q'] = 1 + OPTION_REPLY_DST, ['p'] = 1 + OPTION_PROTOCOL, ['t'] = 1 + OPTION_TIMEOUT,
	    ['u'] = 1 + OPTION_STATUS,    ['m'] = 1 + OPTION_MARK,     ['w'] = 1 + OPTION_ZONE,
	    ['n'] = 1 + OPTION_SRC_NAT,   ['g'] = 1 + OPTION_DST_NAT,
	};
	unsigned char at = (unsigned char)letter;

	return at < sizeof(options) && options[at] ? (enum request_option)(options[at] - 1) : REQUEST_OPTIONS;
}

/* "-x VALUE".  A flat table. */
static bool read_option(struct rest *rest, struct request *request)
{
	enum request_option option = option_of(rest->at[1]);
	struct flow *flow = &request->flow;

	if (option == REQUEST_OPTIONS || rest->at[2] != ' ' || request_has(request, option))
		return false;
	request->options |= 1u << option;
	rest->at += 3;
	switch (option) {
	case OPTION_ORIG_SRC:
		return read_noted(rest, request, flow->orig.src, &rest->src);
	case OPTION_ORIG_DST:
		return read_noted(rest, request, flow->orig.dst, &rest->dst);
	case OPTION_REPLY_SRC:
		return read_repeated(rest, request, flow->reply.src, &rest->dst, flow->orig.dst);
	case OPTION_REPLY_DST:
		return read_repeated(rest, request, flow->reply.dst, &rest->src, flow->orig.src);
	case OPTION_SRC_NAT:
		return read_nat(rest, request, &request->src_nat);
	case OPTION_DST_NAT:
		return read_nat(rest, request, &request->dst_nat);
	case OPTION_PROTOCOL:
		return read_protocol(rest, request);
	case OPTION_TIMEOUT:
		return read_decimal(rest, VALUES_TIMEOUT_MAX, &flow->timeout_s);
	case OPTION_STATUS:
		return read_status(rest, request);
	case OPTION_MARK:
		return read_decimal(rest, UINT32_MAX, &flow->mark);
	default:
		return read_zone(rest, request);
	}
}

/* Which field of this protocol the option names; REQUEST_FIELDS: none, or not by its usual name. */
static enum request_field read_field_name(struct rest *rest, uint8_t protocol)
{
	if (protocol == PROTOCOL_ICMP)
		return SKIP(rest, "--icmp-type ")   ? FIELD_ICMP_TYPE
		       : SKIP(rest, "--icmp-code ") ? FIELD_ICMP_CODE
		       : SKIP(rest, "--icmp-id ")   ? FIELD_ICMP_ID
						    : REQUEST_FIELDS;
	if (protocol == PROTOCOL_ICMPV6)
		return SKIP(rest, "--icmpv6-type ")   ? FIELD_ICMP_TYPE
		       : SKIP(rest, "--icmpv6-code ") ? FIELD_ICMP_CODE
		       : SKIP(rest, "--icmpv6-id ")   ? FIELD_ICMP_ID
						      : REQUEST_FIELDS;
	return SKIP(rest, "--sport ")                               ? FIELD_ORIG_SPORT
	       : SKIP(rest, "--dport ")                             ? FIELD_ORIG_DPORT
	       : SKIP(rest, "--reply-port-src ")                    ? FIELD_REPLY_SPORT
	       : SKIP(rest, "--reply-port-dst ")                    ? FIELD_REPLY_DPORT
	       : protocol == PROTOCOL_TCP && SKIP(rest, "--state ") ? FIELD_STATE
								    : REQUEST_FIELDS;
}

/* "--name VALUE" */
static bool read_field(struct rest *rest, struct request *request)
{
	enum request_field field;
	uint32_t number;

	if (!request->protocol)
		return false;
	field = read_field_name(rest, request->flow.protocol);
	if (field == REQUEST_FIELDS || request_has_field(request, field))
		return false;
	if (field == FIELD_STATE)
		return read_state(rest, request);
	return read_decimal(rest, UINT16_MAX, &number) && protocol_set_number(request, field, number);
}

/* One blank, or the end of the line. */
static bool end_value(struct rest *rest)
{
	return rest->at == rest->end || SKIP(rest, " ");
}

/* Whether it names what -o save does; whoever names less is told by request_check() whether it is enough. */
static bool is_whole(const struct request *request)
{
	const uint32_t options =
	    1u << OPTION_PROTOCOL | 1u << OPTION_TIMEOUT | 1u << OPTION_ORIG_SRC | 1u << OPTION_ORIG_DST;
	const uint32_t ports = 1u << FIELD_ORIG_SPORT | 1u << FIELD_ORIG_DPORT;
	const uint32_t icmp = 1u << FIELD_ICMP_TYPE | 1u << FIELD_ICMP_CODE;
	uint32_t fields = flow_has_icmp(request->flow.protocol) ? icmp : ports;

	if (request->flow.protocol == PROTOCOL_TCP)
		fields |= 1u << FIELD_STATE;
	return (request->options & options) == options && (request->fields & fields) == fields;
}

bool load_read_plain(const char *text, const char *end, struct request *request)
{
	struct rest rest = {.at = text, .end = end};
	bool adds;

	if (end - text > LOAD_LINE_MAX) /* and it may have been cut off */
		return false;
	SKIP(&rest, "conntrack ");
	adds = SKIP(&rest, "-A ");
	if (!adds && !SKIP(&rest, "-I "))
		return false;
	request_start(request);
	request->command = adds ? REQUEST_ADD : REQUEST_CREATE;
	while (rest.at < rest.end) {
		if (rest.end - rest.at < 3 || rest.at[0] != '-')
			return false;
		if (!(rest.at[1] == '-' ? read_field(&rest, request) : read_option(&rest, request)) ||
		    !end_value(&rest))
			return false;
	}
	return is_whole(request);
}
