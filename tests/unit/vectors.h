/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test vectors of the protocol (tests/vectors), for other implementations: made by the code that ships, the
 * same each time.
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <stdio.h>

struct vectors_file {
	const char *name; /* in tests/vectors */
	void (*write)(FILE *file);
};

enum { VECTORS_FILES = 4 };
extern const struct vectors_file vectors_files[VECTORS_FILES];

/* "name = 0a1b..." */
void vectors_put_hex(FILE *file, const char *name, const void *bytes, size_t length);

#endif
