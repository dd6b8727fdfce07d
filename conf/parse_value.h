/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONF_PARSE_VALUE_H
#define CONF_PARSE_VALUE_H
/*
 * One value of the configuration from its text: numbers, durations, sizes, addresses, paths.  Pure: text in,
 * value out.  Text is NUL-terminated and stripped of blanks at both ends.  On anything but PARSE_OK the value
 * is untouched.
 */
#include "conf/config.h"

enum parse_result {
	PARSE_OK,
	PARSE_EMPTY,
	PARSE_MALFORMED,
	PARSE_OUT_OF_RANGE,
	PARSE_UNIT_MISSING,
	PARSE_TOO_LONG,
	PARSE_RELATIVE_PATH,
	PARSE_HOST_BITS,
	PARSE_MASKED_BITS,
	PARSE_NOT_MULTICAST,
	PARSE_NOT_UNICAST,
	PARSE_RESULT_COUNT
};

/* What is wrong, in words that stand after "KEY = VALUE: ". */
const char *parse_result_text(enum parse_result result);

/* Decimal digits only; no sign. */
enum parse_result parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Digits and one of the units us, ms, s, m, h. */
enum parse_result parse_duration(const char *text, int64_t min_us, int64_t max_us, int64_t *value_us);

/* Digits, with K, M or G (powers of 1024) or nothing (bytes) behind. */
enum parse_result parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* "auto" gives 0; else seconds, as a bare number or a duration of whole seconds. */
enum parse_result parse_seconds_or_auto(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* yes or no */
enum parse_result parse_boolean(const char *text, bool *value);

/* An IPv4 or IPv6 address; IPv4-mapped IPv6 ones are refused: the kernel's tuples never hold them. */
enum parse_result parse_address(const char *text, struct config_address *value);
enum parse_result parse_unicast_address(const char *text, struct config_address *value);
/* Interface-local IPv6 groups (ff00::/15, RFC 4291 2.7) are refused as well: they never leave the node. */
enum parse_result parse_multicast_address(const char *text, struct config_address *value);

/* ADDRESS or ADDRESS/LENGTH, of unicast addresses. */
enum parse_result parse_prefix(const char *text, struct config_prefix *value);

/* The same, of any address. */
enum parse_result parse_any_prefix(const char *text, struct config_prefix *value);

/* Names or numbers of protocols, names of TCP states, by blanks apart, into a set of bits. */
enum parse_result parse_protocols(const char *text, uint8_t bits[CONFIG_PROTOCOL_BYTES]);
enum parse_result parse_tcp_states(const char *text, uint8_t bits[CONFIG_TCP_STATE_BYTES]);

/* VALUE or VALUE/MASK, each decimal, or hexadecimal behind 0x. */
enum parse_result parse_mark(const char *text, struct config_mark *value);

/* A network interface's name by the kernel's rules (dev_valid_name() in net/core/dev.c). */
enum parse_result parse_interface(const char *text, char value[CONFIG_INTERFACE_SIZE]);

/* An absolute path that doesn't end in a slash, and fits into `size` bytes with its NUL. */
enum parse_result parse_path(const char *text, char *value, size_t size);

/* A user group's name that fits into `size` bytes with its NUL. */
enum parse_result parse_group_name(const char *text, char *value, size_t size);

/* other, rr:PRIORITY, fifo:PRIORITY */
enum parse_result parse_scheduler(const char *text, struct config_scheduler *value);

/* stderr, journal, syslog, syslog:FACILITY */
enum parse_result parse_log_target(const char *text, struct config_log_target *value);

/* none, all, or names of the kernel's helpers, by blanks or tabs apart. */
enum parse_result parse_helpers(const char *text, struct config_helpers *value);

/* Write a value in its largest unit that needs no fraction: 20ms, 64K. */
void format_duration(int64_t value_us, char *out, size_t size);
void format_size(uint64_t value, char *out, size_t size);

#endif
