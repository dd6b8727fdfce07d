/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The values of [filter]: lists of protocols and of TCP states, marks. */
#include "conf/parse_value.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

struct name {
	const char *text;
	uint8_t number;
};

/* As conntrack(8) and `twintrack -L` call them; any other one is given by its number. */
static const struct name protocol_names[] = {
    {"icmp", IPPROTO_ICMP},
    {"tcp", IPPROTO_TCP},
    {"udp", IPPROTO_UDP},
    {"dccp", IPPROTO_DCCP},
    {"gre", IPPROTO_GRE},
    {"esp", IPPROTO_ESP},
    {"ah", IPPROTO_AH},
    {"icmpv6", IPPROTO_ICMPV6},
    {"sctp", IPPROTO_SCTP},
    {"udplite", IPPROTO_UDPLITE},
    {NULL, 0},
};

/* In the kernel's order (include/uapi/linux/netfilter/nf_conntrack_tcp.h). */
static const struct name tcp_state_names[] = {
    {"none", 0},     {"syn-sent", 1},   {"syn-recv", 2}, {"established", 3},
    {"fin-wait", 4}, {"close-wait", 5}, {"last-ack", 6}, {"time-wait", 7},
    {"close", 8},    {"syn-sent2", 9},  {NULL, 0},
};

static bool find_name(const struct name *names, const char *text, uint8_t *number)
{
	for (; names->text != NULL; names++) {
		if (strcmp(text, names->text) == 0) {
			*number = names->number;
			return true;
		}
	}
	return false;
}

typedef enum parse_result parse_item(const char *text, uint8_t *number);

static enum parse_result parse_protocol(const char *text, uint8_t *number)
{
	uint64_t value;
	enum parse_result result;

	if (find_name(protocol_names, text, number))
		return PARSE_OK;
	result = parse_number(text, 0, 255, &value);
	if (result == PARSE_OK)
		*number = (uint8_t)value;
	return result;
}

static enum parse_result parse_tcp_state(const char *text, uint8_t *number)
{
	return find_name(tcp_state_names, text, number) ? PARSE_OK : PARSE_MALFORMED;
}

/* Words by blanks or tabs apart, each one a number that `item` knows, into a set of bits. */
static enum parse_result parse_set(const char *text, parse_item *item, uint8_t *bits, size_t size)
{
	static const char blanks[] = " \t";
	uint8_t set[CONFIG_PROTOCOL_BYTES] = {0};

	if (*text == '\0')
		return PARSE_EMPTY;
	for (const char *at = text; *at != '\0'; at += strspn(at, blanks)) {
		size_t length = strcspn(at, blanks);
		char word[16];
		uint8_t number;
		enum parse_result result;

		if (length >= sizeof(word))
			return PARSE_MALFORMED;
		memcpy(word, at, length);
		word[length] = '\0';
		result = item(word, &number);
		if (result != PARSE_OK)
			return result;
		set[number / 8] |= (uint8_t)(1 << number % 8);
		at += length;
	}
	memcpy(bits, set, size);
	return PARSE_OK;
}

enum parse_result parse_protocols(const char *text, uint8_t bits[CONFIG_PROTOCOL_BYTES])
{
	return parse_set(text, parse_protocol, bits, CONFIG_PROTOCOL_BYTES);
}

enum parse_result parse_tcp_states(const char *text, uint8_t bits[CONFIG_TCP_STATE_BYTES])
{
	return parse_set(text, parse_tcp_state, bits, CONFIG_TCP_STATE_BYTES);
}

/* Decimal, or hexadecimal behind 0x. */
static enum parse_result parse_mark_number(const char *text, size_t length, uint32_t *number)
{
	uint64_t value = 0;
	bool is_hexadecimal = length > 2 && text[0] == '0' && text[1] == 'x';

	if (length == 0)
		return PARSE_MALFORMED;
	for (size_t i = is_hexadecimal ? 2 : 0; i < length; i++) {
		const char *digits = "0123456789abcdef", *found = memchr(digits, text[i] | 0x20, 16);
		uint64_t base = is_hexadecimal ? 16 : 10;

		if (found == NULL || (uint64_t)(found - digits) >= base || text[i] < '0')
			return PARSE_MALFORMED;
		value = value * base + (uint64_t)(found - digits);
		if (value > UINT32_MAX)
			return PARSE_OUT_OF_RANGE;
	}
	*number = (uint32_t)value;
	return PARSE_OK;
}

enum parse_result parse_mark(const char *text, struct config_mark *value)
{
	const char *slash = strchrnul(text, '/');
	struct config_mark mark = {.mask = UINT32_MAX};
	enum parse_result result;

	if (*text == '\0')
		return PARSE_EMPTY;
	result = parse_mark_number(text, (size_t)(slash - text), &mark.value);
	if (result == PARSE_OK && *slash == '/')
		result = parse_mark_number(slash + 1, strlen(slash + 1), &mark.mask);
	if (result != PARSE_OK)
		return result;
	if (mark.value & ~mark.mask)
		return PARSE_MASKED_BITS;
	*value = mark;
	return PARSE_OK;
}
