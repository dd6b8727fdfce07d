/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONF_PARSER_H
#define CONF_PARSER_H
/*
 * What config.c collects while it reads a file, for config_check.c to judge as a whole; and the collector of
 * mistakes.  Not for users of the configuration.
 */
#include "conf/lines.h"
#include "conf/schema.h"

/* Where a key or section first stood. */
struct config_position {
	int line;    /* 0: nowhere */
	bool is_bad; /* its value was refused already; what depends on it is not judged */
};

enum parser_state { PARSER_OUTSIDE, PARSER_IN_SECTION, PARSER_SKIPPING };

/* Block 0 holds the keys outside of links, block 1 + N those of link N. */
enum { PARSER_BLOCKS = 1 + CONFIG_LINKS_MAX };

struct config_parser {
	struct line_reader lines;
	struct config_errors *errors;
	int error; /* a negative errno, once reading failed */

	enum parser_state state;
	enum config_section section; /* with PARSER_IN_SECTION */
	size_t link;                 /* with SECTION_LINK: which of config.links */

	bool link_was_refused; /* a [link ...] section that isn't in config.links */
	int section_line[SECTION_COUNT];
	int link_line[CONFIG_LINKS_MAX];
	struct config_position position[PARSER_BLOCKS][CONFIG_KEYS_MAX];
	struct config config;
};

/* Reports all that is wrong with a whole file although each line is right. */
void config_check(const struct config_parser *parser);

/* Empties the collector, and names the file. */
void config_errors_init(struct config_errors *errors, const char *file);

/* Adds a mistake.  Bytes that a terminal could take for commands become '?'. */
__attribute__((format(printf, 3, 4))) void config_errors_add(struct config_errors *errors, int line,
							     const char *format, ...);

/* By line; mistakes of one line keep their order. */
void config_errors_sort(struct config_errors *errors);

#endif
