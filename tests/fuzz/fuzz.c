/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fuzz_fail(const char *condition, const char *file, int line, const char *function)
{
	fprintf(stderr, "%s:%d: %s(): does not hold: %s\n", file, line, function, condition);
	abort();
}

uint8_t *fuzz_copy(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length); /* of 0 bytes, too: the sanitizer guards it */

	FUZZ_REQUIRE(copy || !length);
	if (length)
		memcpy(copy, bytes, length);
	return copy;
}
