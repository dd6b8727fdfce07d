/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H
/*
 * The table of all keys: where each one stands in the file, what it may hold, what it is when absent, where
 * it goes in struct config, and whether a running daemon can change it.  Parsing, defaults, messages,
 * comparison and reload all go by this table.
 */
#include "conf/parse_value.h"

enum config_section {
	SECTION_NODE,
	SECTION_SYNC,
	SECTION_LINK,
	SECTION_KERNEL,
	SECTION_TABLE,
	SECTION_FILTER,
	SECTION_EXPECT,
	SECTION_COMMIT,
	SECTION_FENCE,
	SECTION_CONTROL,
	SECTION_PROCESS,
	SECTION_LOG,
	SECTION_COUNT
};

enum config_value_type {
	VALUE_U16,
	VALUE_U32,
	VALUE_U32_OR_AUTO, /* auto: 0 */
	VALUE_SECONDS_OR_AUTO,
	VALUE_SIZE,
	VALUE_DURATION,
	VALUE_BOOLEAN,
	VALUE_WORD,
	VALUE_PATH,
	VALUE_GROUP_NAME,
	VALUE_USER_NAME,
	VALUE_INTERFACE,
	VALUE_UNICAST_ADDRESS,
	VALUE_MULTICAST_ADDRESS,
	VALUE_PREFIX,
	VALUE_SCHEDULER,
	VALUE_LOG_TARGET,
	VALUE_HELPERS,
	VALUE_ANY_PREFIX,
	VALUE_PROTOCOLS,
	VALUE_TCP_STATES,
	VALUE_MARK,
};

/* One word of a VALUE_WORD key.  A list ends with a NULL text. */
struct config_word {
	const char *text;
	int value;
};

struct config_key {
	enum config_section section;
	const char *name;
	enum config_value_type type;
	bool is_mandatory;
	bool is_reloadable;
	const char *fallback; /* the value when the key is absent; NULL: all zero */
	int64_t min, max;     /* U16, U32, SECONDS; SIZE in bytes; DURATION in microseconds */
	const struct config_word *words;
	const char *allowed; /* instead of what the type would say */
	/*
	 * Where it goes, from the start of struct config, or of struct config_link in SECTION_LINK.  size 0:
	 * nothing to keep.  capacity 0: one value; else an array of so many, whose count is the size_t at
	 * count_offset.
	 */
	size_t offset, size, capacity, count_offset;
};

enum { CONFIG_KEYS_MAX = 72, CONFIG_VALUE_SIZE_MAX = 256, CONFIG_ALLOWED_SIZE = 256 };

/* The table, by section. */
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* "sync"; SECTION_LINK is "link". */
const char *config_section_name(enum config_section section);

/* False when there is no such section. */
bool config_section_find(const char *name, enum config_section *section);

/* NULL when the section has no such key. */
const struct config_key *config_key_find(enum config_section section, const char *name);

/* Parses text by the key's type and range into out (key->size bytes, at most CONFIG_VALUE_SIZE_MAX). */
enum parse_result config_key_parse(const struct config_key *key, const char *text, void *out);

/* What the key may hold, in words: "a number from 1 to 65535". */
void config_key_allowed(const struct config_key *key, char *out, size_t size);

/* Writes advice about an unknown name: the nearest known one, the section where it belongs, and all allowed
 * ones. */
void config_section_advise(const char *name, char *out, size_t size);
void config_key_advise(enum config_section section, const char *name, char *out, size_t size);

#endif
