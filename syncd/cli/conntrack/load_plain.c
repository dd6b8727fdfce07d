/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/load.h"
#include "syncd/cli/conntrack/values.h"

#include <arpa/inet.h>
#include <string.h>

enum { WORD_MAX = 64 };

/* A word of the line: not terminated. */
struct word {
	const char *text;
	size_t length;
};

enum { IN_WORD, BLANK, END, QUOTE };

/* What a byte is: a table, for this is asked for each one of the file. */
static const uint8_t classes[256] = {
    [0] = END, ['\n'] = END, [' '] = BLANK, ['\t'] = BLANK, ['\r'] = BLANK, ['"'] = QUOTE, ['\''] = QUOTE,
};

static uint8_t class_of(const char *at)
{
	return classes[(unsigned char)*at];
}

/* The next word; false at the end of the line.  Quotes are for those who have time: they make a word too
 * long. */
static bool next_word(const char **at, struct word *word)
{
	const char *text = *at, *start;

	while (class_of(text) == BLANK)
		text++;
	start = text;
	while (class_of(text) == IN_WORD)
		text++;
	*word = (struct word){start, (size_t)(text - start)};
	if (class_of(text) == QUOTE)
		word->length = WORD_MAX;
	*at = text;
	return word->length > 0;
}

static bool word_is(const struct word *word, const char *text, size_t length)
{
	return word->length == length && !memcmp(word->text, text, length);
}
#define WORD_IS(word, text) word_is(word, text, sizeof(text) - 1)

/* Decimal alone, and without a leading zero: what else a number may be, request_read_number() knows. */
static bool read_decimal(const struct word *word, uint32_t most, uint32_t *number)
{
	uint64_t value = 0;

	if (word->length == 0 || word->length > 10 || (word->text[0] == '0' && word->length > 1))
		return false;
	for (size_t i = 0; i < word->length; i++) {
		if (word->text[i] < '0' || word->text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(word->text[i] - '0');
	}
	*number = (uint32_t)value;
	return value <= most;
}

static bool read_ipv4(const struct word *word, uint8_t address[16])
{
	size_t at = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0;
		size_t start = at;

		while (at < word->length && word->text[at] >= '0' && word->text[at] <= '9' && at - start < 3)
			value = value * 10 + (unsigned)(word->text[at++] - '0');
		/* 010 is octal to inet_aton() */
		if (at == start || value > 255 || (word->text[start] == '0' && at - start > 1))
			return false;
		address[i] = (uint8_t)value;
		if (i < 3 && (at == word->length || word->text[at++] != '.'))
			return false;
	}
	return at == word->length;
}

static bool read_address(const struct word *word, struct request *request, uint8_t address[16])
{
	char copy[WORD_MAX];
	uint8_t family = FLOW_IPV4;

	if (!read_ipv4(word, address)) {
		family = FLOW_IPV6;
		memcpy(copy, word->text, word->length);
		copy[word->length] = 0;
		if (inet_pton(AF_INET6, copy, address) != 1)
			return false;
	}
	if (request->flow.family && request->flow.family != family)
		return false;
	request->flow.family = family;
	return true;
}

/* An address alone: a port behind it has a colon, or brackets, that no address has. */
static bool read_nat(const struct word *word, struct request *request, struct request_nat *nat)
{
	nat->has_address = true;
	return read_address(word, request, nat->address);
}

static bool read_status(const struct word *word, struct request *request)
{
	struct word rest = *word;

	for (;;) {
		const char *comma = memchr(rest.text, ',', rest.length);
		struct word one = {rest.text, comma ? (size_t)(comma - rest.text) : rest.length};

		if (WORD_IS(&one, "SEEN_REPLY"))
			request->flow.status |= FLOW_STATUS_SEEN_REPLY;
		else if (WORD_IS(&one, "ASSURED"))
			request->flow.status |= FLOW_STATUS_ASSURED;
		else if (WORD_IS(&one, "UNSET"))
			request->status_unset = true;
		else
			return false;
		if (!comma)
			return true;
		rest = (struct word){comma + 1, rest.length - one.length - 1};
	}
}

static bool read_protocol(const struct word *word, struct request *request)
{
	char copy[WORD_MAX];

	if (!WORD_IS(word, "tcp") && !WORD_IS(word, "udp") && !WORD_IS(word, "icmp") &&
	    !WORD_IS(word, "icmpv6"))
		return false;
	memcpy(copy, word->text, word->length);
	copy[word->length] = 0;
	request->protocol = protocol_find(copy, &request->flow.protocol);
	return true;
}

static bool read_zone(const struct word *word, struct request *request)
{
	uint32_t zone;

	if (!read_decimal(word, UINT16_MAX, &zone))
		return false;
	request->flow.zone = (uint16_t)zone;
	request->flow.zone_scope = FLOW_ZONE_BOTH;
	return true;
}

/* A flat table. */
static bool read_option(char letter, const struct word *value, struct request *request)
{
	static const char letters[] = "sdrqptumwng";
	static const enum request_option options[] = {OPTION_ORIG_SRC,  OPTION_ORIG_DST, OPTION_REPLY_SRC,
						      OPTION_REPLY_DST, OPTION_PROTOCOL, OPTION_TIMEOUT,
						      OPTION_STATUS,    OPTION_MARK,     OPTION_ZONE,
						      OPTION_SRC_NAT,   OPTION_DST_NAT};
	const char *found = strchr(letters, letter);
	struct flow *flow = &request->flow;

	if (!found || !*found || request_has(request, options[found - letters]))
		return false;
	request->options |= 1u << options[found - letters];
	switch (letter) {
	case 's':
		return read_address(value, request, flow->orig.src);
	case 'd':
		return read_address(value, request, flow->orig.dst);
	case 'r':
		return read_address(value, request, flow->reply.src);
	case 'q':
		return read_address(value, request, flow->reply.dst);
	case 'n':
		return read_nat(value, request, &request->src_nat);
	case 'g':
		return read_nat(value, request, &request->dst_nat);
	case 'p':
		return read_protocol(value, request);
	case 't':
		return read_decimal(value, VALUES_TIMEOUT_MAX, &flow->timeout_s);
	case 'u':
		return read_status(value, request);
	case 'm':
		return read_decimal(value, UINT32_MAX, &flow->mark);
	default:
		return read_zone(value, request);
	}
}

static bool read_field(const struct word *name, const struct word *value, struct request *request)
{
	static const struct {
		const char *name;
		size_t length;
		enum request_field field;
		bool is_icmp;
	} fields[] = {
	    {"--sport", 7, FIELD_ORIG_SPORT, false},
	    {"--dport", 7, FIELD_ORIG_DPORT, false},
	    {"--reply-port-src", 16, FIELD_REPLY_SPORT, false},
	    {"--reply-port-dst", 16, FIELD_REPLY_DPORT, false},
	    {"--state", 7, FIELD_STATE, false},
	    {"--icmp-type", 11, FIELD_ICMP_TYPE, true},
	    {"--icmp-code", 11, FIELD_ICMP_CODE, true},
	    {"--icmp-id", 9, FIELD_ICMP_ID, true},
	};
	char copy[WORD_MAX];
	uint32_t number;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!word_is(name, fields[i].name, fields[i].length))
			continue;
		if (request_has_field(request, fields[i].field) ||
		    fields[i].is_icmp != (request->flow.protocol == PROTOCOL_ICMP) ||
		    (fields[i].field == FIELD_STATE && request->flow.protocol != PROTOCOL_TCP))
			return false;
		if (fields[i].field != FIELD_STATE)
			return read_decimal(value, UINT16_MAX, &number) &&
			       protocol_set_number(request, fields[i].field, number);
		memcpy(copy, value->text, value->length);
		copy[value->length] = 0;
		return protocol_set(request, FIELD_STATE, copy);
	}
	return false;
}

bool load_read_plain(const char *text, struct request *request)
{
	struct word name, value;

	if (!next_word(&text, &name))
		return false;
	if (WORD_IS(&name, "conntrack") && !next_word(&text, &name))
		return false;
	if (!WORD_IS(&name, "-A") && !WORD_IS(&name, "-I"))
		return false;
	request_start(request);
	request->command = name.text[1] == 'A' ? REQUEST_ADD : REQUEST_CREATE;
	while (next_word(&text, &name)) {
		if (!next_word(&text, &value) || name.length >= WORD_MAX || value.length >= WORD_MAX ||
		    name.text[0] != '-' || value.text[0] == '-')
			return false;
		if (name.length == 2 ? !read_option(name.text[1], &value, request)
				     : !request->protocol || !read_field(&name, &value, request))
			return false;
	}
	return class_of(text) == END;
}
