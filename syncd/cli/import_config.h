/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `twintrack import-config` makes of a configuration of conntrackd's: keys of ours, and a remark on
 * every statement that has no counterpart, or another meaning here.
 */
#ifndef CLI_IMPORT_CONFIG_H
#define CLI_IMPORT_CONFIG_H

#include "syncd/cli/import_parse.h"

#include <stdbool.h>

enum {
	IMPORT_KEYS_MAX = 256,
	IMPORT_REMARKS_MAX = IMPORT_STATEMENTS_MAX + 64,
	IMPORT_VALUE_SIZE = 512,
	IMPORT_LINKS_MAX = 4,
};

struct import_key {
	const char *section; /* "node", "sync", "link", ...: static */
	unsigned link;       /* of a link: which */
	const char *key;     /* static */
	char value[IMPORT_VALUE_SIZE];
	int line;     /* that it comes from; 0: none */
	bool is_left; /* our configuration does not take it: written as a comment */
};

struct import_remark {
	int line;
	char text[IMPORT_VALUE_SIZE];
};

struct import_result {
	size_t keys, remarks;
	unsigned links;
	char link_name[IMPORT_LINKS_MAX][IMPORT_WORD_SIZE];
	struct import_key key[IMPORT_KEYS_MAX];
	struct import_remark remark[IMPORT_REMARKS_MAX];
};

/* Translates all of it.  `result` starts zeroed. */
void import_translate(const struct import_tree *tree, unsigned node_id, struct import_result *result);

/* Adds what came to mind elsewhere (later ones than IMPORT_REMARKS_MAX are dropped). */
__attribute__((format(printf, 3, 4))) void import_remark(struct import_result *result, int line,
							 const char *format, ...);

#endif
