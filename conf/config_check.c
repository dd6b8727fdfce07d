/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keys demand of each other. */
#include "conf/parser.h"

#include <string.h>

static const struct config_position *position_of(const struct config_parser *parser, size_t block,
						 enum config_section section, const char *name)
{
	return &parser->position[block][config_key_find(section, name) - config_keys];
}

/* The line to blame for two keys that don't go together: of the first that stands in the file. */
static int line_of(const struct config_position *key, const struct config_position *other)
{
	return key->line != 0 ? key->line : other->line;
}

static int last_line(const struct config_parser *parser)
{
	return parser->lines.number > 0 ? parser->lines.number : 1;
}

static void check_mandatory(const struct config_parser *parser)
{
	char allowed[CONFIG_ALLOWED_SIZE];

	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		int line = parser->section_line[key->section];

		if (!key->is_mandatory || parser->position[0][i].line != 0)
			continue;
		config_key_allowed(key, allowed, sizeof(allowed));
		config_errors_add(parser->errors, line != 0 ? line : last_line(parser),
				  "[%s] %s: missing, and has no default; allowed: %s",
				  config_section_name(key->section), key->name, allowed);
	}
}

static void check_timing(const struct config_parser *parser)
{
	const struct config_position *heartbeat = position_of(parser, 0, SECTION_SYNC, "heartbeat");
	const struct config_position *timeout = position_of(parser, 0, SECTION_SYNC, "peer-timeout");
	int64_t least_us = 3 * parser->config.sync.heartbeat_us;
	char timeout_text[32], least_text[32];

	if (heartbeat->is_bad || timeout->is_bad || parser->config.sync.peer_timeout_us >= least_us)
		return;
	format_duration(parser->config.sync.peer_timeout_us, timeout_text, sizeof(timeout_text));
	format_duration(least_us, least_text, sizeof(least_text));
	config_errors_add(parser->errors, line_of(timeout, heartbeat),
			  "[sync] peer-timeout = %s%s: less than three heartbeats; allowed: %s or more",
			  timeout_text, timeout->line == 0 ? " (the default)" : "", least_text);
}

static void check_event_buffer(const struct config_parser *parser)
{
	const struct config_position *size = position_of(parser, 0, SECTION_KERNEL, "event-buffer");
	const struct config_position *max = position_of(parser, 0, SECTION_KERNEL, "event-buffer-max");
	char size_text[32], max_text[32];

	if (size->is_bad || max->is_bad ||
	    parser->config.kernel.event_buffer_max_bytes >= parser->config.kernel.event_buffer_bytes)
		return;
	format_size(parser->config.kernel.event_buffer_bytes, size_text, sizeof(size_text));
	format_size(parser->config.kernel.event_buffer_max_bytes, max_text, sizeof(max_text));
	config_errors_add(parser->errors, line_of(max, size),
			  "[kernel] event-buffer-max = %s%s: less than event-buffer; allowed: %s or more",
			  max_text, max->line == 0 ? " (the default)" : "", size_text);
}

static void check_fence(const struct config_parser *parser)
{
	const struct config_position *enable = position_of(parser, 0, SECTION_FENCE, "enable");

	if (!parser->config.fence.enable || parser->config.node.mode != CONFIG_MODE_ACTIVE_ACTIVE)
		return;
	config_errors_add(
	    parser->errors, enable->line,
	    "[fence] enable = yes: not with [node] mode = active-active, where every node takes traffic all "
	    "the time; allowed: no");
}

static void check_link_targets(const struct config_parser *parser, size_t index)
{
	const struct config_link *link = &parser->config.links[index];
	const struct config_position *group = position_of(parser, 1 + index, SECTION_LINK, "group");
	const struct config_position *peer = position_of(parser, 1 + index, SECTION_LINK, "peer");

	if (group->line == 0 && peer->line == 0)
		config_errors_add(
		    parser->errors, parser->link_line[index],
		    "[link %s]: nobody to send to; allowed: group = MULTICAST-ADDRESS, or peer = ADDRESS once "
		    "for each peer",
		    link->interface);
	if (group->line != 0 && peer->line != 0)
		config_errors_add(
		    parser->errors, group->line > peer->line ? group->line : peer->line,
		    "[link %s]: both group and peer; allowed: group for multicast, or peer for unicast",
		    link->interface);
}

/* One socket serves a link, so its addresses are of one family. */
static void check_link_addresses(const struct config_parser *parser, size_t index)
{
	const struct config_link *link = &parser->config.links[index];
	const struct config_position *address = position_of(parser, 1 + index, SECTION_LINK, "address");
	const struct config_position *peer = position_of(parser, 1 + index, SECTION_LINK, "peer");
	uint32_t family = link->group.family != 0 ? link->group.family : link->peer[0].family;
	bool peers_differ = false, peer_is_self = false;

	for (size_t i = 0; i < link->peer_count; i++) {
		peers_differ |= link->peer[i].family != link->peer[0].family;
		peer_is_self |= memcmp(&link->peer[i], &link->address, sizeof(link->address)) == 0;
	}
	if (peers_differ)
		config_errors_add(parser->errors, peer->line,
				  "[link %s] peer: both IPv4 and IPv6; allowed: one family on a link",
				  link->interface);
	else if (family != 0 && link->address.family != 0 && link->address.family != family)
		config_errors_add(
		    parser->errors, address->line,
		    "[link %s] address: not of the family of the link's group or peers; allowed: an %s address",
		    link->interface, family == AF_INET ? "IPv4" : "IPv6");
	if (peer_is_self)
		config_errors_add(parser->errors, address->line,
				  "[link %s] address: also given as a peer; allowed: this node's own address",
				  link->interface);
}

static void check_links(const struct config_parser *parser)
{
	if (parser->config.link_count == 0 && !parser->link_was_refused)
		config_errors_add(parser->errors, last_line(parser),
				  "no link; allowed: 1 to %d sections [link INTERFACE]", CONFIG_LINKS_MAX);
	for (size_t i = 0; i < parser->config.link_count; i++) {
		check_link_targets(parser, i);
		check_link_addresses(parser, i);
	}
}

void config_check(const struct config_parser *parser)
{
	check_mandatory(parser);
	check_timing(parser);
	check_event_buffer(parser);
	check_fence(parser);
	check_links(parser);
}
