/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a configuration of conntrackd's into a tree of statements, whatever their words: "Word value ...", or
 * "Word value ... { statements }".  Knows nothing of what they mean.
 */
#ifndef CLI_IMPORT_PARSE_H
#define CLI_IMPORT_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { IMPORT_WORDS_MAX = 32, IMPORT_WORD_SIZE = 128, IMPORT_STATEMENTS_MAX = 1024, IMPORT_DEPTH_MAX = 6 };

struct import_statement {
	int line;
	unsigned depth;                 /* 0: at the top */
	size_t parent;                  /* index; its own at depth 0 */
	size_t words;                   /* at least 1 */
	char (*word)[IMPORT_WORD_SIZE]; /* owned by the tree */
};

/* In the order of the file, a section before what is in it. */
struct import_tree {
	size_t count;
	struct import_statement statement[IMPORT_STATEMENTS_MAX];
};

/* 0; or -EINVAL with the line and what is wrong there (of `size` bytes); or a negative errno.  The tree
 * starts zeroed, and is to be freed in any case. */
int import_parse(FILE *file, struct import_tree *tree, int *line, char *wrong, size_t size);
void import_free(struct import_tree *tree);

#endif
