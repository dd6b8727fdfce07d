/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command line of conntrack(8), read: the command, the table, and what its options say.  Reading is in
 * options.c (the options that every protocol knows, and which command takes which) and protocols.c (those of
 * one protocol).
 */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include "proto/flow.h"
#include "syncd/cli/cli.h"
#include "syncd/cli/conntrack/labels.h"

#include <getopt.h>

enum request_command {
	REQUEST_NONE,
	REQUEST_LIST,
	REQUEST_CREATE,
	REQUEST_ADD,
	REQUEST_UPDATE,
	REQUEST_DELETE,
	REQUEST_GET,
	REQUEST_FLUSH,
	REQUEST_EVENT,
	REQUEST_COUNT,
	REQUEST_STATS,
	REQUEST_HELP,
	REQUEST_VERSION,
	REQUEST_LOAD,
	REQUEST_COMMANDS,
};

enum request_table {
	TABLE_CONNTRACK,
	TABLE_EXPECT,
	TABLE_DYING,
	TABLE_UNCONFIRMED,
	TABLE_INTERNAL,
	TABLE_EXTERNAL,
	TABLE_INTERNAL_EXPECT,
	TABLE_EXTERNAL_EXPECT,
	REQUEST_TABLES,
};

/* The options, in the order in which conntrack(8) checks them. */
enum request_option {
	OPTION_ORIG_SRC,
	OPTION_ORIG_DST,
	OPTION_REPLY_SRC,
	OPTION_REPLY_DST,
	OPTION_PROTOCOL,
	OPTION_TIMEOUT,
	OPTION_STATUS,
	OPTION_ZERO,
	OPTION_EVENT_MASK,
	OPTION_TUPLE_SRC,
	OPTION_TUPLE_DST,
	OPTION_MASK_SRC,
	OPTION_MASK_DST,
	OPTION_MARK,
	OPTION_ID,
	OPTION_FAMILY,
	OPTION_SRC_NAT,
	OPTION_DST_NAT,
	OPTION_OUTPUT,
	OPTION_SECMARK,
	OPTION_BUFFER_SIZE,
	OPTION_ANY_NAT,
	OPTION_ZONE,
	OPTION_LABEL,
	OPTION_LABEL_ADD,
	OPTION_LABEL_DEL,
	OPTION_ORIG_ZONE,
	OPTION_REPLY_ZONE,
	REQUEST_OPTIONS,
};

/* The fields that a protocol's options name. */
enum request_field {
	FIELD_ORIG_SPORT, /* GRE: the keys */
	FIELD_ORIG_DPORT,
	FIELD_REPLY_SPORT,
	FIELD_REPLY_DPORT,
	FIELD_STATE,
	FIELD_ICMP_TYPE,
	FIELD_ICMP_CODE,
	FIELD_ICMP_ID,
	FIELD_ORIG_VTAG,
	FIELD_REPLY_VTAG,
	FIELD_ROLE,
	FIELD_MASK_SPORT, /* of an expectation */
	FIELD_MASK_DPORT,
	FIELD_TUPLE_SPORT,
	FIELD_TUPLE_DPORT,
	REQUEST_FIELDS,
};

enum { EVENT_NEW = 1, EVENT_UPDATE = 2, EVENT_DESTROY = 4, EVENT_ALL = 7 };

enum request_output {
	OUTPUT_XML = 1 << 0,
	OUTPUT_EXTENDED = 1 << 1,
	OUTPUT_TIMESTAMP = 1 << 2,
	OUTPUT_ID = 1 << 3,
	OUTPUT_KTIMESTAMP = 1 << 4,
	OUTPUT_LABELS = 1 << 5,
	OUTPUT_USERSPACE = 1 << 6,
	OUTPUT_SAVE = 1 << 7,
	OUTPUT_JSON = 1 << 8,
};

struct protocol;

/* An address of -n or -g; without an address, any. */
struct request_nat {
	bool has_address, has_port;
	uint8_t address[16];
	uint16_t port;
};

struct request {
	enum request_command command;
	enum request_table table;
	uint32_t options;                /* 1 << enum request_option */
	uint32_t fields;                 /* 1 << enum request_field */
	const struct protocol *protocol; /* NULL: no -p */
	/* what the options say: addresses, ports, states, mark, zones, status, timeout ... */
	struct flow flow; /* family 0: not known */
	uint8_t src_mask[16], dst_mask[16];
	/* -I expect: the expected tuple; the mask's ports */
	struct flow_tuple expected, mask;
	uint32_t mark_mask;
	struct request_nat src_nat, dst_nat;
	uint32_t secmark;
	bool has_table;
	bool status_unset, status_unreplied; /* -u UNSET, -u UNREPLIED */
	const char *status_nat;              /* -u SRC_NAT or DST_NAT, which is left out; else NULL */
	uint8_t labels[FLOW_LABELS_SIZE], label_changes[FLOW_LABELS_SIZE];
	bool label_del_all;
	uint32_t buffer_size;
	unsigned events; /* EVENT_*; 0: all */
	unsigned output; /* OUTPUT_* */
	const char *file, *peer;
};

static inline bool request_has(const struct request *request, enum request_option option)
{
	return request->options >> option & 1;
}

static inline bool request_has_field(const struct request *request, enum request_field field)
{
	return request->fields >> field & 1;
}

/* On a table of the daemon's. */
static inline bool request_is_about_daemon(const struct request *request)
{
	return request->table >= TABLE_INTERNAL;
}

/* On a table of the daemon's that holds expectations. */
static inline bool request_is_about_held_expectations(const struct request *request)
{
	return request->table >= TABLE_INTERNAL_EXPECT;
}

static inline bool request_is_about_expectations(const struct request *request)
{
	return request->table == TABLE_EXPECT;
}

/*
 * Reads a command line; argv[0] is passed over.  -1: *request is whole and its combination of options is
 * allowed; else the exit code, after having said what is wrong.  `labels` opens its file when a label is
 * named.  `in_file`: a line of a file for -R, where only commands that change the table are allowed.
 */
int request_read(struct cli *cli, int argc, char **argv, struct labels *labels, bool in_file,
		 struct request *request);

/* A command line of which nothing is read yet. */
void request_start(struct request *request);

/* The checks of request_read(): whether the command takes these options on that table, and has what it needs.
 * -1, or the exit code after having said what is wrong. */
int request_check(struct cli *cli, const struct request *request, bool in_file);

/* Says "PROGRAM vVERSION (twintrack): ..." in conntrack(8)'s way: scripts look for what follows the colon. */
__attribute__((format(printf, 2, 3))) void request_say(const struct cli *cli, const char *format, ...);

/* The same, and where help is.  Returns CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int request_refuse(const struct cli *cli, const char *format, ...);

const char *request_table_name(enum request_table table);

void request_print_help(const struct cli *cli, const struct protocol *protocol);

/* ---- protocols.c ---- */

/* By name or number; NULL: there is none. */
const struct protocol *protocol_find(const char *name, uint8_t *number);

/* Its long options; their `val` is PROTOCOL_OPTION_FIRST and up. */
enum { PROTOCOL_OPTION_FIRST = 0x200, PROTOCOL_OPTIONS_MAX = 16 };
const struct option *protocol_options(const struct protocol *protocol);

/* Takes the value of a field; false: it is none. */
bool protocol_set(struct request *request, enum request_field field, const char *text);

/* The same of a number that is read already; a state by the kernel's number; no role. */
bool protocol_set_number(struct request *request, enum request_field field, uint32_t number);

/* Takes one.  -1, or the exit code after having said what is wrong. */
int protocol_take(const struct cli *cli, int value, const char *text, struct request *request);

/* Checks that what the command needs is there.  -1, or the exit code after having said what is missing. */
int protocol_check(const struct cli *cli, const struct request *request);

void protocol_print_help(const struct protocol *protocol);

/* A number up to `most`, decimal, or as C writes octal and hexadecimal ones; false: it is none. */
bool request_read_number(const char *text, uint32_t most, uint32_t *number);

/* The same, decimal alone. */
bool request_read_decimal(const char *text, uint32_t most, uint32_t *number);

/* request_read_number(), but something may follow the number: *rest points there. */
bool request_read_prefix(const char *text, uint32_t most, uint32_t *number, const char **rest);

#endif
