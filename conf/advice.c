/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is allowed, in words: the second half of every message. */
#include "conf/schema.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Appends to a NUL-terminated text; what doesn't fit is cut. */
__attribute__((format(printf, 3, 4))) static void append(char *out, size_t size, const char *format, ...)
{
	size_t used = strlen(out);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out + used, size - used, format, arguments);
	va_end(arguments);
}

static void allow_words(const struct config_word *words, char *out, size_t size)
{
	const char *separator = "";

	for (; words->text != NULL; words++) {
		append(out, size, "%s%s", separator, words->text);
		separator = ", ";
	}
}

static void allow_range(const struct config_key *key, char *out, size_t size)
{
	char min[32], max[32];

	switch (key->type) {
	case VALUE_DURATION:
		format_duration(key->min, min, sizeof(min));
		format_duration(key->max, max, sizeof(max));
		append(out, size, "a duration from %s to %s, with a unit of us, ms, s, m or h", min, max);
		return;
	case VALUE_SIZE:
		format_size((uint64_t)key->min, min, sizeof(min));
		format_size((uint64_t)key->max, max, sizeof(max));
		append(out, size, "a size from %s to %s, in bytes or with K, M or G", min, max);
		return;
	case VALUE_SECONDS_OR_AUTO:
		append(out, size, "auto, or whole seconds from %" PRId64 " to %" PRId64, key->min, key->max);
		return;
	default:
		append(out, size, "%sa number from %" PRId64 " to %" PRId64,
		       key->type == VALUE_U32_OR_AUTO ? "auto, or " : "", key->min, key->max);
	}
}

/* A flat table: one case for each type. */
void config_key_allowed(const struct config_key *key, char *out, size_t size)
{
	out[0] = '\0';
	if (key->allowed != NULL) {
		append(out, size, "%s", key->allowed);
		return;
	}
	switch (key->type) {
	case VALUE_U16:
	case VALUE_U32:
	case VALUE_U32_OR_AUTO:
	case VALUE_SECONDS_OR_AUTO:
	case VALUE_SIZE:
	case VALUE_DURATION:
		allow_range(key, out, size);
		break;
	case VALUE_BOOLEAN:
		append(out, size, "yes, no");
		break;
	case VALUE_WORD:
		allow_words(key->words, out, size);
		break;
	case VALUE_PATH:
		append(out, size, "the absolute path of a file, of at most %zu bytes", key->size - 1);
		break;
	case VALUE_GROUP_NAME:
		append(out, size, "the name of a user group, of at most %zu bytes", key->size - 1);
		break;
	case VALUE_USER_NAME:
		append(out, size, "the name of a user, of at most %zu bytes", key->size - 1);
		break;
	case VALUE_INTERFACE:
		append(out, size, "the name of an interface, of at most %d bytes", CONFIG_INTERFACE_SIZE - 1);
		break;
	case VALUE_UNICAST_ADDRESS:
		append(out, size, "an IPv4 or IPv6 unicast address");
		break;
	case VALUE_MULTICAST_ADDRESS:
		append(out, size, "an IPv4 multicast address, or an IPv6 one of link-local or wider scope");
		break;
	case VALUE_PREFIX:
		append(out, size,
		       "an IPv4 or IPv6 unicast address, or ADDRESS/LENGTH with no bits beyond LENGTH");
		break;
	case VALUE_SCHEDULER:
		append(out, size, "other, rr:PRIORITY, fifo:PRIORITY, with a PRIORITY from 1 to 99");
		break;
	case VALUE_LOG_TARGET:
		append(
		    out, size,
		    "stderr, journal, syslog, syslog:FACILITY, with a FACILITY of daemon, user, local0 to local7");
		break;
	case VALUE_HELPERS:
		append(out, size, "none, all, or up to %d names of helpers with blanks between them: ftp sip",
		       CONFIG_HELPERS_MAX);
		break;
	case VALUE_ANY_PREFIX:
		append(out, size, "an IPv4 or IPv6 address, or ADDRESS/LENGTH with no bits beyond LENGTH");
		break;
	case VALUE_PROTOCOLS:
		append(
		    out, size,
		    "names or numbers with blanks between them: tcp udp udplite icmp icmpv6 sctp dccp gre esp ah, 0 to 255");
		break;
	case VALUE_TCP_STATES:
		append(
		    out, size,
		    "names with blanks between them: none syn-sent syn-recv established fin-wait close-wait "
		    "last-ack time-wait close syn-sent2");
		break;
	case VALUE_MARK:
		append(out, size, "VALUE or VALUE/MASK, such as 7 or 0x100/0xff00, with no bits beyond MASK");
		break;
	}
}

/* Levenshtein's distance; names longer than the row count as far away. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[32], b_length = strlen(b);

	if (b_length >= sizeof(row) / sizeof(row[0]))
		return SIZE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			size_t shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			row[j] = change < shift ? change : shift;
		}
	}
	return row[b_length];
}

/* Near enough to be meant: at most a third of the letters differ. */
static bool name_is_near(const char *name, const char *known, size_t *best)
{
	size_t distance = edit_distance(name, known);

	if (distance >= *best || distance > (strlen(known) + 2) / 3)
		return false;
	*best = distance;
	return true;
}

static const char *section_form(enum config_section section)
{
	return section == SECTION_LINK ? "link INTERFACE" : config_section_name(section);
}

void config_section_advise(const char *name, char *out, size_t size)
{
	size_t best = SIZE_MAX;
	unsigned nearest = SECTION_COUNT;

	out[0] = '\0';
	for (unsigned i = 0; i < SECTION_COUNT; i++)
		if (name_is_near(name, config_section_name(i), &best))
			nearest = i;
	if (nearest != SECTION_COUNT)
		append(out, size, "did you mean [%s]? ", section_form(nearest));
	append(out, size, "allowed:");
	for (unsigned i = 0; i < SECTION_COUNT; i++)
		append(out, size, "%s [%s]", i == 0 ? "" : ",", section_form(i));
}

void config_key_advise(enum config_section section, const char *name, char *out, size_t size)
{
	const struct config_key *nearest = NULL;
	const char *separator = "";
	size_t best = SIZE_MAX;

	out[0] = '\0';
	for (size_t i = 0; i < config_key_count; i++)
		if (config_keys[i].section == section && name_is_near(name, config_keys[i].name, &best))
			nearest = &config_keys[i];
	if (nearest != NULL)
		append(out, size, "did you mean %s? ", nearest->name);
	for (unsigned i = 0; nearest == NULL && i < SECTION_COUNT; i++) {
		if (config_key_find(i, name) == NULL)
			continue;
		append(out, size, "it belongs in [%s]; ", section_form(i));
		break;
	}
	append(out, size, "allowed: ");
	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].section != section)
			continue;
		append(out, size, "%s%s", separator, config_keys[i].name);
		separator = ", ";
	}
}
