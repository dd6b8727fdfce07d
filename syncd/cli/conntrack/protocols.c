/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of one protocol each, as conntrack(8) has them: they are known only after -p has named it. */
#include "syncd/cli/conntrack/request.h"

#include <endian.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum field_kind { KIND_PORT, KIND_U8, KIND_U16, KIND_U32, KIND_STATE, KIND_ROLE };

static const struct {
	const char *name; /* in messages */
	enum field_kind kind;
} fields[REQUEST_FIELDS] = {
    [FIELD_ORIG_SPORT] = {"sport", KIND_PORT},
    [FIELD_ORIG_DPORT] = {"dport", KIND_PORT},
    [FIELD_REPLY_SPORT] = {"reply-port-src", KIND_PORT},
    [FIELD_REPLY_DPORT] = {"reply-port-dst", KIND_PORT},
    [FIELD_STATE] = {"state", KIND_STATE},
    [FIELD_ICMP_TYPE] = {"icmp-type", KIND_U8},
    [FIELD_ICMP_CODE] = {"icmp-code", KIND_U8},
    [FIELD_ICMP_ID] = {"icmp-id", KIND_U16},
    [FIELD_ORIG_VTAG] = {"orig-vtag", KIND_U32},
    [FIELD_REPLY_VTAG] = {"reply-vtag", KIND_U32},
    [FIELD_ROLE] = {"role", KIND_ROLE},
    [FIELD_MASK_SPORT] = {"mask-port-src", KIND_PORT},
    [FIELD_MASK_DPORT] = {"mask-port-dst", KIND_PORT},
    [FIELD_TUPLE_SPORT] = {"tuple-port-src", KIND_PORT},
    [FIELD_TUPLE_DPORT] = {"tuple-port-dst", KIND_PORT},
};

#define FIELD(name, field)                                                                                   \
	{                                                                                                    \
		name, required_argument, NULL, PROTOCOL_OPTION_FIRST + (field)                               \
	}
#define PORT_FIELDS                                                                                          \
	FIELD("orig-port-src", FIELD_ORIG_SPORT), FIELD("orig-port-dst", FIELD_ORIG_DPORT),                  \
	    FIELD("reply-port-src", FIELD_REPLY_SPORT), FIELD("reply-port-dst", FIELD_REPLY_DPORT),          \
	    FIELD("sport", FIELD_ORIG_SPORT), FIELD("dport", FIELD_ORIG_DPORT),                              \
	    FIELD("mask-port-src", FIELD_MASK_SPORT), FIELD("mask-port-dst", FIELD_MASK_DPORT),              \
	    FIELD("tuple-port-src", FIELD_TUPLE_SPORT), FIELD("tuple-port-dst", FIELD_TUPLE_DPORT)

static const struct option no_options[] = {{0}};
static const struct option port_options[] = {PORT_FIELDS, {0}};
static const struct option tcp_options[] = {PORT_FIELDS, FIELD("state", FIELD_STATE), {0}};
static const struct option sctp_options[] = {
    PORT_FIELDS,
    FIELD("state", FIELD_STATE),
    FIELD("orig-vtag", FIELD_ORIG_VTAG),
    FIELD("reply-vtag", FIELD_REPLY_VTAG),
    {0},
};
static const struct option dccp_options[] = {
    PORT_FIELDS, FIELD("state", FIELD_STATE), FIELD("role", FIELD_ROLE), {0}};
static const struct option icmp_options[] = {FIELD("icmp-type", FIELD_ICMP_TYPE),
					     FIELD("icmp-code", FIELD_ICMP_CODE),
					     FIELD("icmp-id", FIELD_ICMP_ID),
					     {0}};
static const struct option icmpv6_options[] = {FIELD("icmpv6-type", FIELD_ICMP_TYPE),
					       FIELD("icmpv6-code", FIELD_ICMP_CODE),
					       FIELD("icmpv6-id", FIELD_ICMP_ID),
					       {0}};
static const struct option gre_options[] = {
    FIELD("orig-key-src", FIELD_ORIG_SPORT),
    FIELD("orig-key-dst", FIELD_ORIG_DPORT),
    FIELD("reply-key-src", FIELD_REPLY_SPORT),
    FIELD("reply-key-dst", FIELD_REPLY_DPORT),
    FIELD("srckey", FIELD_ORIG_SPORT),
    FIELD("dstkey", FIELD_ORIG_DPORT),
    FIELD("mask-key-src", FIELD_MASK_SPORT),
    FIELD("mask-key-dst", FIELD_MASK_DPORT),
    FIELD("tuple-key-src", FIELD_TUPLE_SPORT),
    FIELD("tuple-key-dst", FIELD_TUPLE_DPORT),
    {0},
};

/* In the kernel's order; the names are conntrack(8)'s. */
static const char *const tcp_states[] = {"NONE",     "SYN_SENT",   "SYN_RECV", "ESTABLISHED",
					 "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
					 "CLOSE",    "SYN_SENT2",  NULL};
static const char *const sctp_states[] = {
    "NONE",        "CLOSED",        "COOKIE_WAIT",   "COOKIE_ECHOED",
    "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT",
    NULL};
static const char *const dccp_states[] = {"NONE",    "REQUEST",  "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ",
					  "CLOSING", "TIMEWAIT", "IGNORE",  "INVALID",  NULL};

struct protocol {
	const char *name; /* NULL: any other */
	const char *title;
	uint8_t number;
	const struct option *options;
	const char *const *states;
	/* fields that are needed: of flows, to create and to get; of expectations, to create and to get or
	 * delete */
	uint32_t create, get, expect_create, expect_get;
	/* fields of flows that tell what to set and never what to look for: -G takes the first and doesn't
	 * look at them either, as conntrack(8) does */
	uint32_t set_only, create_only;
	bool needs_pair; /* of ports or keys, to create and to get */
};

enum {
	ICMP_NEEDED = 1 << FIELD_ICMP_TYPE | 1 << FIELD_ICMP_CODE,
	STATE_NEEDED = 1 << FIELD_STATE,
	VTAGS = 1 << FIELD_ORIG_VTAG | 1 << FIELD_REPLY_VTAG,
	ROLE = 1 << FIELD_ROLE,
	ORIG_PAIR = 1 << FIELD_ORIG_SPORT | 1 << FIELD_ORIG_DPORT,
	REPLY_PAIR = 1 << FIELD_REPLY_SPORT | 1 << FIELD_REPLY_DPORT,
	MASK_PAIR = 1 << FIELD_MASK_SPORT | 1 << FIELD_MASK_DPORT,
	TUPLE_PAIR = 1 << FIELD_TUPLE_SPORT | 1 << FIELD_TUPLE_DPORT,
	EXPECT_CREATE = ORIG_PAIR | MASK_PAIR | TUPLE_PAIR,
	EXPECT_GET = ORIG_PAIR | REPLY_PAIR,
};

static const struct protocol protocols[] = {
    {"tcp", "TCP", PROTOCOL_TCP, tcp_options, tcp_states, STATE_NEEDED, 0, EXPECT_CREATE, EXPECT_GET, 0, 0,
     true},
    {"udp", "UDP", PROTOCOL_UDP, port_options, NULL, 0, 0, EXPECT_CREATE, EXPECT_GET, 0, 0, true},
    {"udplite", "UDP-Lite", PROTOCOL_UDPLITE, port_options, NULL, 0, 0, EXPECT_CREATE, EXPECT_GET, 0, 0,
     true},
    {"sctp", "SCTP", PROTOCOL_SCTP, sctp_options, sctp_states, STATE_NEEDED | VTAGS, 0, EXPECT_CREATE | VTAGS,
     EXPECT_GET, VTAGS, 0, true},
    {"dccp", "DCCP", PROTOCOL_DCCP, dccp_options, dccp_states, STATE_NEEDED | ROLE, 0, EXPECT_CREATE | ROLE,
     EXPECT_GET, 0, ROLE, true},
    {"gre", "GRE", PROTOCOL_GRE, gre_options, NULL, 0, 0, EXPECT_CREATE | REPLY_PAIR, EXPECT_GET, 0, 0, true},
    {"icmp", "ICMP", PROTOCOL_ICMP, icmp_options, NULL, ICMP_NEEDED, ICMP_NEEDED, 0, 0, 0, 0, false},
    {"icmpv6", "ICMPv6", PROTOCOL_ICMPV6, icmpv6_options, NULL, ICMP_NEEDED, ICMP_NEEDED, 0, 0, 0, 0, false},
    {"unknown", "other", 0, no_options, NULL, 0, 0, 0, 0, 0, 0, false},
};
enum { PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]), PROTOCOL_OTHER = PROTOCOLS - 1 };

static bool read_number(const char *text, int base, uint32_t most, uint32_t *number, char **end)
{
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return false;
	value = strtoull(text, end, base);
	*number = (uint32_t)value;
	return value <= most;
}

bool request_read_number(const char *text, uint32_t most, uint32_t *number)
{
	char *end;

	return read_number(text, 0, most, number, &end) && !*end;
}

bool request_read_decimal(const char *text, uint32_t most, uint32_t *number)
{
	char *end;

	return read_number(text, 10, most, number, &end) && !*end;
}

bool request_read_prefix(const char *text, uint32_t most, uint32_t *number, const char **rest)
{
	char *end;
	bool is_good = read_number(text, 0, most, number, &end);

	if (is_good)
		*rest = end;
	return is_good;
}

const struct protocol *protocol_find(const char *name, uint8_t *number)
{
	const struct protoent *entry;
	uint32_t value;

	for (unsigned i = 0; i < PROTOCOL_OTHER; i++) {
		if (strcasecmp(protocols[i].name, name))
			continue;
		*number = protocols[i].number;
		return &protocols[i];
	}
	if (request_read_decimal(name, UINT8_MAX, &value)) {
		*number = (uint8_t)value;
	} else {
		entry = getprotobyname(name);
		if (!entry || entry->p_proto < 0 || entry->p_proto > UINT8_MAX)
			return NULL;
		*number = (uint8_t)entry->p_proto;
	}
	for (unsigned i = 0; i < PROTOCOL_OTHER; i++)
		if (protocols[i].number == *number)
			return &protocols[i];
	return &protocols[PROTOCOL_OTHER];
}

const struct option *protocol_options(const struct protocol *protocol)
{
	return protocol->options;
}

static bool read_state(const struct protocol *protocol, const char *text, uint32_t *state)
{
	for (unsigned i = 0; protocol->states && protocol->states[i]; i++) {
		if (strcmp(protocol->states[i], text))
			continue;
		*state = i;
		return true;
	}
	/* the kernel's name of that state before it had SYN_SENT2, which conntrack(8) goes on taking */
	*state = FLOW_TCP_SYN_SENT2;
	return protocol->number == PROTOCOL_TCP && !strcmp(text, "LISTEN");
}

static bool read_role(const char *text, uint32_t *role)
{
	*role = !strcasecmp(text, "server");
	return *role || !strcasecmp(text, "client");
}

static const uint32_t mosts[] = {
    [KIND_PORT] = UINT16_MAX, [KIND_U8] = UINT8_MAX,    [KIND_U16] = UINT16_MAX,
    [KIND_U32] = UINT32_MAX,  [KIND_STATE] = UINT8_MAX,
};

static int refuse_field(const struct cli *cli, enum request_field field, const char *text,
			const struct request *request)
{
	enum field_kind kind = fields[field].kind;

	if (kind == KIND_STATE)
		return request_refuse(cli, "unknown %s state `%s'", request->protocol->title, text);
	if (kind == KIND_ROLE)
		return request_refuse(cli, "unknown DCCP role `%s': client or server is allowed", text);
	return request_refuse(cli, "bad value `%s' for `--%s': a number from 0 to %u is needed", text,
			      fields[field].name, mosts[kind]);
}

static void set_state(struct request *request, uint8_t state)
{
	struct flow *flow = &request->flow;

	if (request->protocol->number == PROTOCOL_TCP) {
		flow->tcp.state = state;
		flow->present |= FLOW_HAS_TCP;
	} else if (request->protocol->number == PROTOCOL_SCTP) {
		flow->sctp.state = state;
		flow->present |= FLOW_HAS_SCTP;
	} else {
		flow->dccp.state = state;
		flow->present |= FLOW_HAS_DCCP;
	}
}

/* A flat table. */
static void set_field(struct request *request, enum request_field field, uint32_t value)
{
	struct flow *flow = &request->flow;

	request->fields |= 1u << field;
	switch (field) {
	case FIELD_ORIG_SPORT:
		flow->orig.sport = (uint16_t)value;
		break;
	case FIELD_ORIG_DPORT:
		flow->orig.dport = (uint16_t)value;
		break;
	case FIELD_REPLY_SPORT:
		flow->reply.sport = (uint16_t)value;
		break;
	case FIELD_REPLY_DPORT:
		flow->reply.dport = (uint16_t)value;
		break;
	case FIELD_STATE:
		set_state(request, (uint8_t)value);
		break;
	case FIELD_ICMP_TYPE:
		flow->orig.icmp_type = (uint8_t)value;
		break;
	case FIELD_ICMP_CODE:
		flow->orig.icmp_code = (uint8_t)value;
		break;
	case FIELD_ICMP_ID:
		flow->orig.icmp_id = (uint16_t)value;
		break;
	case FIELD_ORIG_VTAG:
	case FIELD_REPLY_VTAG:
		flow->sctp.vtag[field == FIELD_REPLY_VTAG] = be32toh(value); /* see format_save.c */
		break;
	case FIELD_ROLE:
		flow->dccp.role = (uint8_t)value;
		break;
	case FIELD_MASK_SPORT:
		request->mask.sport = (uint16_t)value;
		break;
	case FIELD_MASK_DPORT:
		request->mask.dport = (uint16_t)value;
		break;
	case FIELD_TUPLE_SPORT:
		request->expected.sport = (uint16_t)value;
		break;
	case FIELD_TUPLE_DPORT:
		request->expected.dport = (uint16_t)value;
		break;
	default:
		break;
	}
}

/* Ports are decimal, GRE's keys may be hexadecimal. */
static bool read_field(const struct request *request, enum request_field field, const char *text,
		       uint32_t *value)
{
	enum field_kind kind = fields[field].kind;

	if (kind == KIND_STATE)
		return read_state(request->protocol, text, value);
	if (kind == KIND_ROLE)
		return read_role(text, value);
	if (request->flow.protocol == PROTOCOL_GRE)
		return request_read_number(text, mosts[kind], value);
	return request_read_decimal(text, mosts[kind], value);
}

bool protocol_set(struct request *request, enum request_field field, const char *text)
{
	uint32_t value;

	if (!read_field(request, field, text, &value))
		return false;
	set_field(request, field, value);
	return true;
}

bool protocol_set_number(struct request *request, enum request_field field, uint32_t number)
{
	if (number > mosts[fields[field].kind])
		return false;
	set_field(request, field, number);
	return true;
}

int protocol_take(const struct cli *cli, int value, const char *text, struct request *request)
{
	enum request_field field = (enum request_field)(value - PROTOCOL_OPTION_FIRST);

	return protocol_set(request, field, text) ? -1 : refuse_field(cli, field, text, request);
}

static int check_pair(const struct cli *cli, const struct request *request)
{
	const uint32_t orig = 1u << FIELD_ORIG_SPORT | 1u << FIELD_ORIG_DPORT;
	const uint32_t reply = 1u << FIELD_REPLY_SPORT | 1u << FIELD_REPLY_DPORT;
	bool is_gre = request->protocol->number == PROTOCOL_GRE;

	if ((request->fields & orig) == orig || (request->fields & reply) == reply)
		return -1;
	if (request->fields & orig || !(request->fields & reply))
		return request_refuse(cli, "you have to specify `--%s' and `--%s'",
				      is_gre ? "srckey" : "sport", is_gre ? "dstkey" : "dport");
	return request_refuse(cli, "you have to specify `--reply-%s-src' and `--reply-%s-dst'",
			      is_gre ? "key" : "port", is_gre ? "key" : "port");
}

/* The name that this protocol's options give a field: GRE has keys for ports. */
static const char *name_of(const struct protocol *protocol, unsigned field)
{
	const struct option *found = NULL;

	for (const struct option *option = protocol->options; option->name; option++)
		if (option->val ==
		    PROTOCOL_OPTION_FIRST + (int)field) /* the last: "sport", not "orig-port-src" */
			found = option;
	return found ? found->name : fields[field].name;
}

/* Of `present`, what is not in `allowed` is refused; of `needed`, what is not present is missed. */
static int check_fields(const struct cli *cli, const struct request *request, uint32_t allowed,
			uint32_t needed)
{
	for (unsigned field = 0; field < REQUEST_FIELDS; field++) {
		uint32_t bit = 1u << field;

		if (needed & ~request->fields & bit)
			return request_refuse(cli, "You need to supply the `--%s' option for this command",
					      name_of(request->protocol, field));
		if (request->fields & ~allowed & bit)
			return request_refuse(cli, "Illegal option `--%s' with this command",
					      name_of(request->protocol, field));
	}
	return -1;
}

static int check_expectation(const struct cli *cli, const struct request *request)
{
	uint32_t needed = request->command == REQUEST_CREATE ? request->protocol->expect_create
			  : request->command == REQUEST_GET || request->command == REQUEST_DELETE
			      ? request->protocol->expect_get
			      : 0;

	return check_fields(cli, request, needed, needed);
}

int protocol_check(const struct cli *cli, const struct request *request)
{
	const struct protocol *protocol = request->protocol;
	bool creates = request->command == REQUEST_CREATE || request->command == REQUEST_ADD;
	bool gets = request->command == REQUEST_GET;
	uint32_t allowed = ~(uint32_t)(MASK_PAIR | TUPLE_PAIR), needed = 0;
	int code;

	if (!protocol || request->command == REQUEST_HELP)
		return -1;
	if (request_is_about_expectations(request))
		return check_expectation(cli, request);
	if (!creates)
		allowed &= ~protocol->create_only;
	if (!creates && !gets && request->command != REQUEST_UPDATE)
		allowed &= ~protocol->set_only;
	if (creates || gets)
		needed = creates ? protocol->create : protocol->get;
	code = check_fields(cli, request, allowed, needed);
	return code < 0 && (creates || gets) && protocol->needs_pair ? check_pair(cli, request) : code;
}

void protocol_print_help(const struct protocol *protocol)
{
	printf("Options of `%s':\n", protocol->name);
	for (const struct option *option = protocol->options; option->name; option++) {
		enum request_field field = (enum request_field)(option->val - PROTOCOL_OPTION_FIRST);

		if (fields[field].kind != KIND_STATE && fields[field].kind != KIND_ROLE) {
			printf("  --%-16s 0 to %u\n", option->name, mosts[fields[field].kind]);
			continue;
		}
		printf("  --%-16s", option->name);
		if (fields[field].kind == KIND_ROLE)
			printf(" client, server");
		for (unsigned i = 0; fields[field].kind == KIND_STATE && protocol->states[i]; i++)
			printf("%s %s", i ? "," : "", protocol->states[i]);
		putchar('\n');
	}
	if (!protocol->options->name)
		puts("  none");
}
