/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the formats of flows and those of expectations share.  Each function takes and returns the place to
 * write at, in room that output_room() gave.
 */
#ifndef CLI_CONNTRACK_FORMAT_PARTS_H
#define CLI_CONNTRACK_FORMAT_PARTS_H

#include "syncd/cli/conntrack/format.h"

/* Lower case, "unknown" for a protocol that conntrack(8) has no name for. */
const char *format_protocol_name(uint8_t protocol);

/* Of TCP, SCTP or DCCP, whichever the flow has; NULL: none. */
const char *format_state_name(const struct flow *flow);

/* " [USERSPACE] portid=N progname=NAME" if a process caused the event. */
char *format_put_origin(char *at, const struct format_event *event);

/* Seconds from the kernel's start of the flow to its stop, or to now. */
uint64_t format_lifetime_s(const struct flow *flow, int64_t now_s);

char *format_put_address(char *at, uint8_t family, const uint8_t *address);

/* " sport=... dport=... " */
char *format_put_ports(char *at, uint8_t protocol, const struct flow_tuple *tuple);

/* "src=... dst=... sport=... dport=... ", as the protocol has it. */
char *format_put_tuple(char *at, uint8_t family, uint8_t protocol, const struct flow_tuple *tuple);

/* At most `size` bytes of a string that came over a wire, and a blank; control characters would reach the
 * operator's terminal. */
char *format_put_foreign(char *at, const char *text, size_t size);

/* "[SECONDS.MICROSECONDS]" and a tab */
char *format_put_time(char *at, int64_t time_s, uint32_t time_us);

/* "    [NEW] " */
char *format_put_kind(char *at, enum format_event_kind kind);

/* ---- json: members end with a comma ---- */

char *format_json_put_name(char *at, const char *name);
char *format_json_put_number(char *at, const char *name, uint64_t value);
char *format_json_put_string(char *at, const char *name, const char *text, size_t size);
char *format_json_put_word(char *at, const char *name, const char *word);
/* In the place of the last comma. */
char *format_json_put_close(char *at, const char *text);
/* An object that is left open. */
char *format_json_put_tuple(char *at, const char *name, uint8_t family, uint8_t protocol,
			    const struct flow_tuple *tuple);
char *format_json_put_event(char *at, const struct format_event *event);

/* ---- xml ---- */

char *format_xml_put_number(char *at, const char *name, uint64_t value);
/* Text from elsewhere: what means something to XML, or is no text, doesn't get through. */
char *format_xml_put_string(char *at, const char *name, const char *text, size_t size);
char *format_xml_put_when(char *at, int64_t time_s);

#endif
