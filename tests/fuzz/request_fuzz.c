/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control socket: headers, and requests, whose parts written one after the other are the payload again. */
#include "syncd/control/message.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_header(const uint8_t *bytes)
{
	uint8_t again[MESSAGE_HEADER_SIZE];
	struct writer w = writer_over(again, sizeof(again));
	enum message_type type;
	size_t length;

	if (message_read_header(bytes, &type, &length) < 0)
		return;
	FUZZ_REQUIRE(length <= MESSAGE_PAYLOAD_MAX && type >= MESSAGE_REQUEST && type < MESSAGE_TYPES_END);
	message_write_header(&w, type, length);
	FUZZ_REQUIRE(!memcmp(again, bytes, sizeof(again)));
}

static void check_argument(const struct message_request *request, size_t i, const char *end)
{
	const char *name = request->argument[i].name, *value = request->argument[i].value;
	char own[MESSAGE_REQUEST_MAX];
	size_t length = (size_t)(value - name) - 1;

	FUZZ_REQUIRE(name < value && value < end && value[-1] == '=' && length > 0);
	memcpy(own, name, length);
	own[length] = 0;
	FUZZ_REQUIRE(!memchr(own, '=', length));
	FUZZ_REQUIRE(message_argument(request, own) == value);
}

static void check_request(const uint8_t *bytes, size_t length)
{
	const char *at = (const char *)bytes, *end = at + length;
	struct message_request request;

	if (message_parse_request(bytes, length, &request) < 0)
		return;
	FUZZ_REQUIRE(length && length <= MESSAGE_REQUEST_MAX && bytes[length - 1] == 0);
	FUZZ_REQUIRE(request.arguments <= MESSAGE_ARGUMENTS_MAX);
	FUZZ_REQUIRE(request.verb == at && *at);
	at += strlen(at) + 1;
	for (size_t i = 0; i < request.arguments; i++) {
		FUZZ_REQUIRE(request.argument[i].name == at);
		check_argument(&request, i, end);
		at = request.argument[i].value + strlen(request.argument[i].value) + 1;
	}
	FUZZ_REQUIRE(at == end);
}

/* The whole input is a payload; its start is a header, too. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = fuzz_copy(bytes, length);

	if (length >= MESSAGE_HEADER_SIZE)
		check_header(copy);
	check_request(copy, length);
	free(copy);
	return 0;
}
