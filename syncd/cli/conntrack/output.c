/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void output_start(struct output *output, int fd)
{
	output->fd = fd;
	output->error = 0;
	output->used = 0;
}

int output_flush(struct output *output)
{
	size_t done = 0;

	while (!output->error && done < output->used) {
		ssize_t wrote = write(output->fd, output->bytes + done, output->used - done);

		if (wrote > 0)
			done += (size_t)wrote;
		else if (wrote < 0 && errno != EINTR)
			output->error = errno;
	}
	output->used = 0;
	return -output->error;
}

char *output_room_for(struct output *output, size_t size)
{
	if (sizeof(output->bytes) - output->used < size)
		output_flush(output);
	return output->bytes + output->used;
}

char *output_room(struct output *output)
{
	return output_room_for(output, OUTPUT_ROOM_MAX);
}

void output_commit(struct output *output, const char *end)
{
	output->used = (size_t)(end - output->bytes);
}

char *put_text(char *at, const char *text)
{
	size_t length = strlen(text);

	memcpy(at, text, length);
	return at + length;
}

/* two digits at a time halve the divisions */
static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

char *put_u64(char *at, uint64_t value)
{
	char digits[20];
	char *first = digits + sizeof(digits);

	while (value >= 100) {
		first -= 2;
		memcpy(first, digit_pairs + value % 100 * 2, 2);
		value /= 100;
	}
	if (value >= 10) {
		first -= 2;
		memcpy(first, digit_pairs + value * 2, 2);
	} else {
		*--first = (char)('0' + value);
	}
	memcpy(at, first, (size_t)(digits + sizeof(digits) - first));
	return at + (digits + sizeof(digits) - first);
}

char *put_hex(char *at, uint32_t value)
{
	int shift = 28;

	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = "0123456789abcdef"[value >> shift & 0xf];
	return at;
}

static char *put_octet(char *at, uint8_t value)
{
	if (value >= 100) {
		*at++ = (char)('0' + value / 100);
		memcpy(at, digit_pairs + value % 100 * 2, 2);
		return at + 2;
	}
	if (value >= 10) {
		memcpy(at, digit_pairs + value * 2, 2);
		return at + 2;
	}
	*at++ = (char)('0' + value);
	return at;
}

char *put_ipv4(char *at, const uint8_t address[4])
{
	at = put_octet(at, address[0]);
	for (int i = 1; i < 4; i++) {
		*at++ = '.';
		at = put_octet(at, address[i]);
	}
	return at;
}

struct run {
	int start, length;
};

/* The first of the longest runs of zero groups; length 0 when none has two (RFC 5952, 4.2.2). */
static struct run longest_zeros(const uint16_t group[8])
{
	struct run best = {0, 0};

	for (int i = 0; i < 8; i++) {
		struct run run = {i, 0};

		while (i < 8 && group[i] == 0) {
			i++;
			run.length++;
		}
		if (run.length > best.length)
			best = run;
	}
	if (best.length < 2)
		best.length = 0;
	return best;
}

char *put_ipv6(char *at, const uint8_t address[16])
{
	uint16_t group[8];
	struct run zeros;

	for (int i = 0; i < 8; i++)
		group[i] = (uint16_t)(address[2 * i] << 8 | address[2 * i + 1]);
	zeros = longest_zeros(group);
	for (int i = 0; i < 8; i++) {
		if (zeros.length && i == zeros.start) {
			*at++ = ':';
			i += zeros.length - 1;
			if (i == 7)
				*at++ = ':';
			continue;
		}
		if (i > 0)
			*at++ = ':';
		/* the C library shows IPv4-compatible and IPv4-mapped addresses with a dotted end */
		if (i == 6 && zeros.start == 0 &&
		    (zeros.length == 6 || (zeros.length == 5 && group[5] == 0xffff)))
			return put_ipv4(at, address + 12);
		at = put_hex(at, group[i]);
	}
	return at;
}
