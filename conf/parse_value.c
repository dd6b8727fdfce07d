/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/parse_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
    {"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1},
};

static const struct unit size_units[] = {
    {"G", 1 << 30},
    {"M", 1 << 20},
    {"K", 1 << 10},
    {"", 1},
};

const char *parse_result_text(enum parse_result result)
{
	static const char *const text[PARSE_RESULT_COUNT] = {
	    [PARSE_OK] = "fine",
	    [PARSE_EMPTY] = "the value is missing",
	    [PARSE_MALFORMED] = "not understood",
	    [PARSE_OUT_OF_RANGE] = "out of range",
	    [PARSE_UNIT_MISSING] = "a duration needs a unit",
	    [PARSE_TOO_LONG] = "too long",
	    [PARSE_RELATIVE_PATH] = "not an absolute path",
	    [PARSE_HOST_BITS] = "bits are set beyond the prefix length",
	    [PARSE_MASKED_BITS] = "the value has bits that the mask leaves out",
	    [PARSE_NOT_MULTICAST] = "not a multicast address that leaves this node",
	    [PARSE_NOT_UNICAST] = "not a unicast address",
	};
	return text[result];
}

/* Reads digits and stops behind them.  A number beyond 64 bits is out of any range. */
static enum parse_result read_digits(const char **text, uint64_t *value)
{
	const char *at = *text;
	uint64_t sum = 0;

	if (*at == '\0')
		return PARSE_EMPTY;
	if (!isdigit((unsigned char)*at))
		return PARSE_MALFORMED;
	for (; isdigit((unsigned char)*at); at++) {
		uint64_t digit = (uint64_t)(*at - '0');
		if (sum > (UINT64_MAX - digit) / 10)
			return PARSE_OUT_OF_RANGE;
		sum = sum * 10 + digit;
	}
	*text = at;
	*value = sum;
	return PARSE_OK;
}

enum parse_result parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t number;
	enum parse_result result = read_digits(&text, &number);

	if (result != PARSE_OK)
		return result;
	if (*text != '\0')
		return PARSE_MALFORMED;
	if (number < min || number > max)
		return PARSE_OUT_OF_RANGE;
	*value = number;
	return PARSE_OK;
}

static enum parse_result parse_with_unit(const char *text, const struct unit *units, size_t unit_count,
					 uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t number;
	enum parse_result result = read_digits(&text, &number);

	if (result != PARSE_OK)
		return result;
	for (size_t i = 0; i < unit_count; i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		if (number > UINT64_MAX / units[i].factor)
			return PARSE_OUT_OF_RANGE;
		number *= units[i].factor;
		if (number < min || number > max)
			return PARSE_OUT_OF_RANGE;
		*value = number;
		return PARSE_OK;
	}
	return *text == '\0' ? PARSE_UNIT_MISSING : PARSE_MALFORMED;
}

enum parse_result parse_duration(const char *text, int64_t min_us, int64_t max_us, int64_t *value_us)
{
	uint64_t value;
	enum parse_result result = parse_with_unit(text, duration_units, ARRAY_LENGTH(duration_units),
						   (uint64_t)min_us, (uint64_t)max_us, &value);

	if (result == PARSE_OK)
		*value_us = (int64_t)value;
	return result;
}

enum parse_result parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	return parse_with_unit(text, size_units, ARRAY_LENGTH(size_units), min, max, value);
}

enum parse_result parse_seconds_or_auto(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	const uint64_t second_us = 1000000;
	uint64_t value_us;
	enum parse_result result;

	if (strcmp(text, "auto") == 0) {
		*value = 0;
		return PARSE_OK;
	}
	result = parse_with_unit(text, duration_units, ARRAY_LENGTH(duration_units), min * second_us,
				 max * second_us, &value_us);
	if (result == PARSE_UNIT_MISSING)
		return parse_number(text, min, max, value);
	if (result != PARSE_OK)
		return result;
	if (value_us % second_us != 0)
		return PARSE_MALFORMED;
	*value = value_us / second_us;
	return PARSE_OK;
}

enum parse_result parse_boolean(const char *text, bool *value)
{
	if (*text == '\0')
		return PARSE_EMPTY;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return PARSE_MALFORMED;
	*value = *text == 'y';
	return PARSE_OK;
}

enum parse_result parse_address(const char *text, struct config_address *value)
{
	struct config_address address;

	if (*text == '\0')
		return PARSE_EMPTY;
	memset(&address, 0, sizeof(address));
	if (inet_pton(AF_INET, text, &address.v4) == 1)
		address.family = AF_INET;
	else if (inet_pton(AF_INET6, text, &address.v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&address.v6))
		address.family = AF_INET6;
	else
		return PARSE_MALFORMED;
	*value = address;
	return PARSE_OK;
}

static bool address_is_multicast(const struct config_address *address)
{
	if (address->family == AF_INET)
		return IN_MULTICAST(ntohl(address->v4.s_addr));
	return IN6_IS_ADDR_MULTICAST(&address->v6);
}

static bool address_is_unicast(const struct config_address *address)
{
	if (address_is_multicast(address))
		return false;
	if (address->family == AF_INET)
		return address->v4.s_addr != INADDR_ANY && address->v4.s_addr != INADDR_BROADCAST;
	return !IN6_IS_ADDR_UNSPECIFIED(&address->v6);
}

static bool address_stays_on_node(const struct config_address *address)
{
	return address->family == AF_INET6 && (address->v6.s6_addr[1] & 0x0f) <= 1;
}

enum parse_result parse_unicast_address(const char *text, struct config_address *value)
{
	struct config_address address;
	enum parse_result result = parse_address(text, &address);

	if (result != PARSE_OK)
		return result;
	if (!address_is_unicast(&address))
		return PARSE_NOT_UNICAST;
	*value = address;
	return PARSE_OK;
}

enum parse_result parse_multicast_address(const char *text, struct config_address *value)
{
	struct config_address address;
	enum parse_result result = parse_address(text, &address);

	if (result != PARSE_OK)
		return result;
	if (!address_is_multicast(&address) || address_stays_on_node(&address))
		return PARSE_NOT_MULTICAST;
	*value = address;
	return PARSE_OK;
}

/* True when a bit at position `length` or behind it is set. */
static bool address_has_host_bits(const struct config_address *address, uint32_t length)
{
	const uint8_t *bytes = (const uint8_t *)&address->v6;
	uint32_t bits = address->family == AF_INET ? 32 : 128;

	for (uint32_t bit = length; bit < bits; bit++)
		if (bytes[bit / 8] & (0x80 >> (bit % 8)))
			return true;
	return false;
}

static enum parse_result prefix_of(const char *text,
				   enum parse_result (*parse)(const char *text, struct config_address *value),
				   struct config_prefix *value)
{
	char address_text[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(text, '/');
	size_t address_size = (size_t)(slash - text);
	struct config_address address;
	enum parse_result result;
	uint64_t length;

	if (address_size >= sizeof(address_text))
		return PARSE_MALFORMED;
	memcpy(address_text, text, address_size);
	address_text[address_size] = '\0';
	result = parse(address_text, &address);
	if (result != PARSE_OK)
		return result;
	length = address.family == AF_INET ? 32 : 128;
	if (*slash == '/') {
		result = parse_number(slash + 1, 1, length, &length);
		if (result != PARSE_OK)
			return result == PARSE_EMPTY ? PARSE_MALFORMED : result;
	}
	if (address_has_host_bits(&address, (uint32_t)length))
		return PARSE_HOST_BITS;
	value->address = address;
	value->length = (uint32_t)length;
	return PARSE_OK;
}

enum parse_result parse_prefix(const char *text, struct config_prefix *value)
{
	return prefix_of(text, parse_unicast_address, value);
}

enum parse_result parse_any_prefix(const char *text, struct config_prefix *value)
{
	return prefix_of(text, parse_address, value);
}

/* Copies a checked string and clears what is left of the room, so that memcmp compares settings. */
static enum parse_result store_string(const char *text, char *value, size_t size)
{
	size_t length = strlen(text);

	if (length >= size)
		return PARSE_TOO_LONG;
	memset(value, 0, size);
	memcpy(value, text, length);
	return PARSE_OK;
}

enum parse_result parse_interface(const char *text, char value[CONFIG_INTERFACE_SIZE])
{
	if (*text == '\0')
		return PARSE_EMPTY;
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return PARSE_MALFORMED;
	for (const char *at = text; *at != '\0'; at++)
		if (*at == '/' || *at == ':' || isspace((unsigned char)*at))
			return PARSE_MALFORMED;
	return store_string(text, value, CONFIG_INTERFACE_SIZE);
}

enum parse_result parse_path(const char *text, char *value, size_t size)
{
	if (*text == '\0')
		return PARSE_EMPTY;
	if (*text != '/')
		return PARSE_RELATIVE_PATH;
	if (text[strlen(text) - 1] == '/')
		return PARSE_MALFORMED;
	return store_string(text, value, size);
}

enum parse_result parse_group_name(const char *text, char *value, size_t size)
{
	if (*text == '\0')
		return PARSE_EMPTY;
	/* what group(5) can't hold */
	for (const char *at = text; *at != '\0'; at++)
		if (*at == ':' || *at == ',' || isspace((unsigned char)*at))
			return PARSE_MALFORMED;
	return store_string(text, value, size);
}

enum parse_result parse_scheduler(const char *text, struct config_scheduler *value)
{
	struct config_scheduler scheduler = {.policy = CONFIG_SCHEDULER_OTHER};
	enum parse_result result = PARSE_OK;
	uint64_t priority = 0;

	if (*text == '\0')
		return PARSE_EMPTY;
	if (strncmp(text, "rr:", 3) == 0) {
		scheduler.policy = CONFIG_SCHEDULER_RR;
		result = parse_number(text + 3, 1, 99, &priority);
	} else if (strncmp(text, "fifo:", 5) == 0) {
		scheduler.policy = CONFIG_SCHEDULER_FIFO;
		result = parse_number(text + 5, 1, 99, &priority);
	} else if (strcmp(text, "other") != 0) {
		return PARSE_MALFORMED;
	}
	if (result != PARSE_OK)
		return result == PARSE_EMPTY ? PARSE_MALFORMED : result;
	scheduler.priority = (int)priority;
	*value = scheduler;
	return PARSE_OK;
}

/* The facilities a daemon may use, syslog(3). */
static bool find_facility(const char *name, int *facility)
{
	static const struct {
		const char *name;
		int facility;
	} known[] = {
	    {"daemon", LOG_DAEMON}, {"user", LOG_USER},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
	    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},
	    {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
		if (strcmp(name, known[i].name) == 0) {
			*facility = known[i].facility;
			return true;
		}
	}
	return false;
}

enum parse_result parse_log_target(const char *text, struct config_log_target *value)
{
	struct config_log_target target = {.facility = 0};

	if (*text == '\0')
		return PARSE_EMPTY;
	if (strcmp(text, "stderr") == 0) {
		target.destination = CONFIG_LOG_STDERR;
	} else if (strcmp(text, "journal") == 0) {
		target.destination = CONFIG_LOG_JOURNAL;
	} else if (strcmp(text, "syslog") == 0) {
		target.destination = CONFIG_LOG_SYSLOG;
		target.facility = LOG_DAEMON;
	} else if (strncmp(text, "syslog:", 7) == 0 && find_facility(text + 7, &target.facility)) {
		target.destination = CONFIG_LOG_SYSLOG;
	} else {
		return PARSE_MALFORMED;
	}
	*value = target;
	return PARSE_OK;
}

enum parse_result parse_helpers(const char *text, struct config_helpers *value)
{
	static const char blanks[] = " \t";
	struct config_helpers helpers = {.all = false};

	if (*text == '\0')
		return PARSE_EMPTY;
	if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) {
		helpers.all = *text == 'a';
		*value = helpers;
		return PARSE_OK;
	}
	for (const char *at = text; *at != '\0'; at += strspn(at, blanks)) {
		size_t length = strcspn(at, blanks);

		if (length >= CONFIG_HELPER_SIZE || helpers.count == CONFIG_HELPERS_MAX)
			return PARSE_TOO_LONG;
		memcpy(helpers.name[helpers.count], at, length);
		if (strcmp(helpers.name[helpers.count], "all") == 0 ||
		    strcmp(helpers.name[helpers.count], "none") == 0)
			return PARSE_MALFORMED;
		helpers.count++;
		at += length;
	}
	*value = helpers;
	return PARSE_OK;
}

static void format_with_unit(uint64_t value, const struct unit *units, size_t unit_count, char *out,
			     size_t size)
{
	size_t i = 0;

	while (i + 1 < unit_count && (value < units[i].factor || value % units[i].factor != 0))
		i++;
	snprintf(out, size, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

void format_duration(int64_t value_us, char *out, size_t size)
{
	format_with_unit((uint64_t)value_us, duration_units, ARRAY_LENGTH(duration_units), out, size);
}

void format_size(uint64_t value, char *out, size_t size)
{
	format_with_unit(value, size_units, ARRAY_LENGTH(size_units), out, size);
}
