/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A configuration of conntrackd's, for `twintrack import-config`: refused with a line, or read whole and
 * translated. */
#include "syncd/cli/import_config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WRONG_SIZE = 256 };

static void check_tree(const struct import_tree *tree)
{
	FUZZ_REQUIRE(tree->count <= IMPORT_STATEMENTS_MAX);
	for (size_t i = 0; i < tree->count; i++) {
		const struct import_statement *s = &tree->statement[i];

		FUZZ_REQUIRE(s->words >= 1 && s->words <= IMPORT_WORDS_MAX && s->line >= 1);
		FUZZ_REQUIRE(s->depth <= IMPORT_DEPTH_MAX && s->parent <= i);
		for (size_t w = 0; w < s->words; w++)
			FUZZ_REQUIRE(memchr(s->word[w], 0, IMPORT_WORD_SIZE));
	}
}

static void check_translation(const struct import_tree *tree)
{
	struct import_result *result = calloc(1, sizeof(*result));

	FUZZ_REQUIRE(result);
	import_translate(tree, 7, result);
	FUZZ_REQUIRE(result->keys <= IMPORT_KEYS_MAX && result->remarks <= IMPORT_REMARKS_MAX);
	FUZZ_REQUIRE(result->links <= IMPORT_LINKS_MAX);
	for (size_t i = 0; i < result->keys; i++) {
		FUZZ_REQUIRE(memchr(result->key[i].value, 0, IMPORT_VALUE_SIZE));
		FUZZ_REQUIRE(!strchr(result->key[i].value, '\n')); /* it would be a line of its own */
	}
	for (size_t i = 0; i < result->remarks; i++)
		FUZZ_REQUIRE(memchr(result->remark[i].text, 0, IMPORT_VALUE_SIZE));
	free(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct import_tree *tree = calloc(1, sizeof(*tree));
	uint8_t *copy = fuzz_copy(bytes, length);
	FILE *file = length ? fmemopen(copy, length, "r") : NULL;
	char wrong[WRONG_SIZE] = "";
	int line = 0, error;

	FUZZ_REQUIRE(tree);
	if (file) {
		error = import_parse(file, tree, &line, wrong, sizeof(wrong));
		FUZZ_REQUIRE(error == 0 || error == -EINVAL);
		FUZZ_REQUIRE(memchr(wrong, 0, sizeof(wrong)));
		check_tree(tree);
		if (error)
			FUZZ_REQUIRE(wrong[0] && line >= 0);
		else
			check_translation(tree);
		import_free(tree);
		fclose(file);
	}
	free(copy);
	free(tree);
	return 0;
}
