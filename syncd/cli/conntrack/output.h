/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A large buffer before a file descriptor, and writers for what a dump prints a million times: numbers and
 * addresses, without printf.  The put functions take and return the place to write at, in room that
 * output_room() gave.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_SIZE = 1 << 18, OUTPUT_ROOM_MAX = 4096, OUTPUT_ROOM_LABELS = 1 << 15 };

struct output {
	int fd;    /* the caller's */
	int error; /* 0, or the errno of the first write that failed: what follows is dropped */
	size_t used;
	char bytes[OUTPUT_SIZE];
};

/* Prepares a buffer before fd. */
void output_start(struct output *output, int fd);

/* At least OUTPUT_ROOM_MAX bytes to write into; flushes first when there are less. */
char *output_room(struct output *output);

/* The same with at least `size` bytes, up to OUTPUT_ROOM_LABELS. */
char *output_room_for(struct output *output, size_t size);

/* Takes what was written from output_room() up to `end`. */
void output_commit(struct output *output, const char *end);

/* Writes all out.  0, or the negative errno of the first write that failed since output_start(). */
int output_flush(struct output *output);

char *put_text(char *at, const char *text);
char *put_u64(char *at, uint64_t value);
char *put_hex(char *at, uint32_t value); /* lower case, no leading zeros */

/* As inet_ntop() of the C library writes them. */
char *put_ipv4(char *at, const uint8_t address[4]);
char *put_ipv6(char *at, const uint8_t address[16]);

#endif
