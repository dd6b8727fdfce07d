/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways to print flows, behind one table of functions.  A dump calls flow for each flow, and end once; all
 * write into the output.  To print a million flows takes less time than the kernel takes to dump
 * them, so there is no printf and no allocation in here.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "proto/flow.h"
#include "syncd/cli/conntrack/labels.h"
#include "syncd/cli/conntrack/output.h"

#include <stdbool.h>

enum format_flag {
	FORMAT_EXTENDED = 1 << 0,   /* the family before each line */
	FORMAT_ID = 1 << 1,         /* the kernel's id */
	FORMAT_KTIMESTAMP = 1 << 2, /* when the kernel saw it begin and end */
	FORMAT_LABELS = 1 << 3,     /* the names of its labels */
	FORMAT_TIMESTAMP = 1 << 4,  /* of an event: when it came */
	FORMAT_BARE = 1 << 5,       /* no head and no end, as conntrack(8) does for what it changed */
	FORMAT_NO_END = 1 << 6,     /* a head, but no end, as it does for -G */
	FORMAT_DELETED = 1 << 7,    /* save: what was deleted, as -D */
};

enum format_event_kind { FORMAT_EVENT_NEW, FORMAT_EVENT_UPDATE, FORMAT_EVENT_DESTROY };

/* An event, beside the flow that it tells of. */
struct format_event {
	enum format_event_kind kind;
	int64_t time_s;
	uint32_t time_us;
	uint32_t port;       /* of the process that caused it; 0: none did */
	const char *process; /* its name; NULL: not known */
};

struct format_dump {
	struct output *output;
	int64_t now_s; /* wall clock, seconds since 1970: the kernel's flow timestamps are of that clock */
	unsigned flags;
	const struct labels *labels;      /* may be NULL without FORMAT_LABELS */
	const struct format_event *event; /* NULL in a dump */
	uint32_t node;                    /* json: whose table it is of, 0: none */
	bool has_begun;
};

struct format {
	const char *name;
	void (*flow)(struct format_dump *dump, const struct flow *flow);
	void (*end)(struct format_dump *dump); /* may be NULL */
};

/*
 * One line a flow, byte for byte as conntrack(8) 1.4.7 writes it.  Parts that the flow doesn't have are left
 * out, as conntrack(8) does: a flow of the internal or an external table has no use= (the kernel's reference
 * count), no counters and no delta-time=, for these belong to one kernel's entry and are not replicated.
 */
extern const struct format format_default;

/* -o xml: its head comes with the first flow, so that without flows there is nothing. */
extern const struct format format_xml;

/* -o save: a command line of conntrack(8) a flow, for -R. */
extern const struct format format_save;

/* -o json: one object a line. */
extern const struct format format_json;

#endif
