/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/schema.h"

#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#define MEMBER_SIZE(type, member) sizeof(((type *)0)->member)

#define IN_CONFIG(member)                                                                                    \
	.offset = offsetof(struct config, member), .size = MEMBER_SIZE(struct config, member)
#define IN_LINK(member)                                                                                      \
	.offset = offsetof(struct config_link, member), .size = MEMBER_SIZE(struct config_link, member)
#define LIST_IN(type, member)                                                                                \
	.offset = offsetof(type, member), .size = MEMBER_SIZE(type, member[0]),                              \
	.capacity = MEMBER_SIZE(type, member) / MEMBER_SIZE(type, member[0]),                                \
	.count_offset = offsetof(type, member##_count)

#define MS     INT64_C(1000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

_Static_assert(sizeof(enum config_mode) == sizeof(int), "a VALUE_WORD is stored as an int");
_Static_assert(sizeof(enum config_commit_mode) == sizeof(int), "a VALUE_WORD is stored as an int");
_Static_assert(sizeof(enum config_cipher) == sizeof(int), "a VALUE_WORD is stored as an int");

static const struct config_word mode_words[] = {
    {"active-backup", CONFIG_MODE_ACTIVE_BACKUP},
    {"active-active", CONFIG_MODE_ACTIVE_ACTIVE},
    {NULL, 0},
};

static const struct config_word cipher_words[] = {
    {"aes-256-gcm", CONFIG_CIPHER_AES_256_GCM},
    {"chacha20-poly1305", CONFIG_CIPHER_CHACHA20_POLY1305},
    {NULL, 0},
};

static const struct config_word commit_mode_words[] = {
    {"on-failover", CONFIG_COMMIT_ON_FAILOVER},
    {"warm", CONFIG_COMMIT_WARM},
    {NULL, 0},
};

static const struct config_word tcp_window_words[] = {
    {"liberal", 0},
    {"strict", 1},
    {NULL, 0},
};

static const struct config_word level_words[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
    {"info", LOG_INFO}, {"debug", LOG_DEBUG},     {NULL, 0},
};

/* clang-format off */
const struct config_key config_keys[] = {
	{SECTION_NODE, "id", VALUE_U16, .is_mandatory = true, .min = 1, .max = 65535, IN_CONFIG(node.id)},
	{SECTION_NODE, "mode", VALUE_WORD, .words = mode_words, .fallback = "active-backup", IN_CONFIG(node.mode)},

	{SECTION_SYNC, "key-file", VALUE_PATH, .is_mandatory = true, .is_reloadable = true, IN_CONFIG(sync.key_file)},
	{SECTION_SYNC, "accept-key-file", VALUE_PATH, .is_reloadable = true,
	 LIST_IN(struct config, sync.accept_key_file)},
	{SECTION_SYNC, "cipher", VALUE_WORD, .words = cipher_words, .fallback = "aes-256-gcm", IN_CONFIG(sync.cipher)},
	{SECTION_SYNC, "heartbeat", VALUE_DURATION, .is_reloadable = true, .fallback = "200ms",
	 .min = 20 * MS, .max = 10 * SECOND, IN_CONFIG(sync.heartbeat_us)},
	{SECTION_SYNC, "peer-timeout", VALUE_DURATION, .is_reloadable = true, .fallback = "1s",
	 .min = 60 * MS, .max = 5 * MINUTE, IN_CONFIG(sync.peer_timeout_us)},

	{SECTION_LINK, "group", VALUE_MULTICAST_ADDRESS, IN_LINK(group)},
	{SECTION_LINK, "peer", VALUE_UNICAST_ADDRESS, LIST_IN(struct config_link, peer)},
	{SECTION_LINK, "port", VALUE_U16, .fallback = "9788", .min = 1, .max = 65535, IN_LINK(port)},
	{SECTION_LINK, "address", VALUE_UNICAST_ADDRESS, IN_LINK(address)},
	/* the least that IPv6 carries (RFC 8200 5), with room for a STATUS about 15 peers; and jumbo frames */
	{SECTION_LINK, "mtu", VALUE_U32, .min = 1280, .max = 9000, IN_LINK(mtu_bytes)},
	{SECTION_LINK, "send-buffer", VALUE_SIZE, .fallback = "16M", .min = 64 * KIB, .max = GIB,
	 IN_LINK(send_buffer_bytes)},
	{SECTION_LINK, "receive-buffer", VALUE_SIZE, .fallback = "16M", .min = 64 * KIB, .max = GIB,
	 IN_LINK(receive_buffer_bytes)},

	/* 1 GiB: the kernel caps SO_RCVBUFFORCE at INT_MAX / 2 (net/core/sock.c) */
	{SECTION_KERNEL, "event-buffer", VALUE_SIZE, .fallback = "32M", .min = 64 * KIB, .max = GIB,
	 IN_CONFIG(kernel.event_buffer_bytes)},
	{SECTION_KERNEL, "event-buffer-max", VALUE_SIZE, .fallback = "128M", .min = 64 * KIB, .max = GIB,
	 IN_CONFIG(kernel.event_buffer_max_bytes)},
	{SECTION_KERNEL, "audit-interval", VALUE_DURATION, .is_reloadable = true, .fallback = "60s",
	 .min = SECOND, .max = 24 * HOUR, IN_CONFIG(kernel.audit_interval_us)},

	{SECTION_TABLE, "max-flows", VALUE_U32_OR_AUTO, .is_reloadable = true, .fallback = "auto",
	 .min = 1, .max = 268435456, IN_CONFIG(table.max_flows)},

	{SECTION_FILTER, "ignore-local", VALUE_BOOLEAN, .is_reloadable = true, .fallback = "yes",
	 IN_CONFIG(filter.ignore_local)},
	{SECTION_FILTER, "protocols", VALUE_PROTOCOLS, .is_reloadable = true, IN_CONFIG(filter.accept.protocols)},
	{SECTION_FILTER, "ignore-protocols", VALUE_PROTOCOLS, .is_reloadable = true, IN_CONFIG(filter.ignore.protocols)},
	{SECTION_FILTER, "accept-address", VALUE_ANY_PREFIX, .is_reloadable = true,
	 LIST_IN(struct config, filter.accept.address)},
	{SECTION_FILTER, "ignore-address", VALUE_ANY_PREFIX, .is_reloadable = true,
	 LIST_IN(struct config, filter.ignore.address)},
	{SECTION_FILTER, "tcp-states", VALUE_TCP_STATES, .is_reloadable = true, IN_CONFIG(filter.accept.tcp_states)},
	{SECTION_FILTER, "ignore-tcp-states", VALUE_TCP_STATES, .is_reloadable = true,
	 IN_CONFIG(filter.ignore.tcp_states)},
	{SECTION_FILTER, "accept-zone", VALUE_U16, .is_reloadable = true, .min = 0, .max = 65535,
	 LIST_IN(struct config, filter.accept.zone)},
	{SECTION_FILTER, "ignore-zone", VALUE_U16, .is_reloadable = true, .min = 0, .max = 65535,
	 LIST_IN(struct config, filter.ignore.zone)},
	{SECTION_FILTER, "accept-mark", VALUE_MARK, .is_reloadable = true, LIST_IN(struct config, filter.accept.mark)},
	{SECTION_FILTER, "ignore-mark", VALUE_MARK, .is_reloadable = true, LIST_IN(struct config, filter.ignore.mark)},

	{SECTION_EXPECT, "helpers", VALUE_HELPERS, .fallback = "none", IN_CONFIG(expect)},

	{SECTION_COMMIT, "mode", VALUE_WORD, .words = commit_mode_words, .is_reloadable = true, .fallback = "on-failover",
	 IN_CONFIG(commit.mode)},
	/* ctnetlink cuts a timeout at INT_MAX jiffies: 2147483 s at HZ=1000 (nf_conntrack_netlink.c) */
	{SECTION_COMMIT, "timeout", VALUE_SECONDS_OR_AUTO, .is_reloadable = true, .fallback = "auto",
	 .min = 1, .max = 2147483, IN_CONFIG(commit.timeout_s)},
	{SECTION_COMMIT, "tcp-window", VALUE_WORD, .is_reloadable = true, .words = tcp_window_words,
	 .fallback = "liberal", IN_CONFIG(commit.tcp_strict)},

	{SECTION_FENCE, "enable", VALUE_BOOLEAN, .fallback = "no", IN_CONFIG(fence.enable)},
	{SECTION_FENCE, "timeout", VALUE_DURATION, .is_reloadable = true, .fallback = "3s",
	 .min = SECOND, .max = 60 * SECOND, IN_CONFIG(fence.timeout_us)},
	{SECTION_FENCE, "max-wait", VALUE_DURATION, .is_reloadable = true, .fallback = "10s",
	 .min = SECOND, .max = 10 * MINUTE, IN_CONFIG(fence.max_wait_us)},
	{SECTION_FENCE, "address", VALUE_PREFIX, .is_reloadable = true, LIST_IN(struct config, fence.address)},
	{SECTION_FENCE, "accept-interface", VALUE_INTERFACE, .is_reloadable = true,
	 LIST_IN(struct config, fence.accept_interface)},

	{SECTION_CONTROL, "socket", VALUE_PATH, .fallback = CONFIG_DEFAULT_SOCKET, IN_CONFIG(control.socket)},
	{SECTION_CONTROL, "group", VALUE_GROUP_NAME, .fallback = "twintrack", IN_CONFIG(control.group)},
	{SECTION_CONTROL, "reader-group", VALUE_GROUP_NAME, IN_CONFIG(control.reader_group)},

	{SECTION_PROCESS, "scheduler", VALUE_SCHEDULER, .fallback = "other", IN_CONFIG(process.scheduler)},
	{SECTION_PROCESS, "user", VALUE_USER_NAME, IN_CONFIG(process.user)},
	{SECTION_PROCESS, "sandbox", VALUE_BOOLEAN, .fallback = "yes", IN_CONFIG(process.sandbox)},

	{SECTION_LOG, "level", VALUE_WORD, .words = level_words, .is_reloadable = true, .fallback = "info",
	 IN_CONFIG(log.level)},
	{SECTION_LOG, "target", VALUE_LOG_TARGET, .is_reloadable = true, .fallback = "stderr", IN_CONFIG(log.target)},
};
/* clang-format on */

const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
	       "CONFIG_KEYS_MAX is too small");
_Static_assert((int)CONFIG_PATH_SIZE <= (int)CONFIG_VALUE_SIZE_MAX, "CONFIG_VALUE_SIZE_MAX is too small");

const char *config_section_name(enum config_section section)
{
	static const char *const names[SECTION_COUNT] = {"node",  "sync",    "link",    "kernel",
							 "table", "filter",  "expect",  "commit",
							 "fence", "control", "process", "log"};
	return names[section];
}

bool config_section_find(const char *name, enum config_section *section)
{
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		if (strcmp(name, config_section_name(i)) == 0) {
			*section = i;
			return true;
		}
	}
	return false;
}

const struct config_key *config_key_find(enum config_section section, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (config_keys[i].section == section && strcmp(name, config_keys[i].name) == 0)
			return &config_keys[i];
	return NULL;
}

static enum parse_result parse_word(const struct config_word *words, const char *text, int *value)
{
	if (*text == '\0')
		return PARSE_EMPTY;
	for (; words->text != NULL; words++) {
		if (strcmp(text, words->text) != 0)
			continue;
		*value = words->value;
		return PARSE_OK;
	}
	return PARSE_MALFORMED;
}

static enum parse_result parse_unsigned(const struct config_key *key, const char *text, uint64_t *value)
{
	uint64_t min = (uint64_t)key->min, max = (uint64_t)key->max;

	switch (key->type) {
	case VALUE_SIZE:
		return parse_size(text, min, max, value);
	case VALUE_SECONDS_OR_AUTO:
		return parse_seconds_or_auto(text, min, max, value);
	case VALUE_U32_OR_AUTO:
		if (strcmp(text, "auto") == 0) {
			*value = 0;
			return PARSE_OK;
		}
		return parse_number(text, min, max, value);
	default:
		return parse_number(text, min, max, value);
	}
}

/* The ranges in the table fit the members, whose size says how to store the number. */
static enum parse_result store_unsigned(const struct config_key *key, const char *text, void *out)
{
	uint64_t value;
	enum parse_result result = parse_unsigned(key, text, &value);

	if (result != PARSE_OK)
		return result;
	if (key->size == sizeof(uint16_t))
		*(uint16_t *)out = (uint16_t)value;
	else if (key->type == VALUE_SIZE)
		*(size_t *)out = (size_t)value;
	else
		*(uint32_t *)out = (uint32_t)value;
	return PARSE_OK;
}

/* A flat table: one line for each type. */
enum parse_result config_key_parse(const struct config_key *key, const char *text, void *out)
{
	int word;

	switch (key->type) {
	case VALUE_U16:
	case VALUE_U32:
	case VALUE_U32_OR_AUTO:
	case VALUE_SECONDS_OR_AUTO:
	case VALUE_SIZE:
		return store_unsigned(key, text, out);
	case VALUE_DURATION:
		return parse_duration(text, key->min, key->max, out);
	case VALUE_BOOLEAN:
		return parse_boolean(text, out);
	case VALUE_WORD:
		return parse_word(key->words, text, key->size != 0 ? out : &word);
	case VALUE_PATH:
		return parse_path(text, out, key->size);
	case VALUE_GROUP_NAME:
	case VALUE_USER_NAME:
		return parse_group_name(text, out, key->size);
	case VALUE_INTERFACE:
		return parse_interface(text, out);
	case VALUE_UNICAST_ADDRESS:
		return parse_unicast_address(text, out);
	case VALUE_MULTICAST_ADDRESS:
		return parse_multicast_address(text, out);
	case VALUE_PREFIX:
		return parse_prefix(text, out);
	case VALUE_SCHEDULER:
		return parse_scheduler(text, out);
	case VALUE_LOG_TARGET:
		return parse_log_target(text, out);
	case VALUE_HELPERS:
		return parse_helpers(text, out);
	case VALUE_ANY_PREFIX:
		return parse_any_prefix(text, out);
	case VALUE_PROTOCOLS:
		return parse_protocols(text, out);
	case VALUE_TCP_STATES:
		return parse_tcp_states(text, out);
	case VALUE_MARK:
		return parse_mark(text, out);
	}
	return PARSE_MALFORMED;
}
