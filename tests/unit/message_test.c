/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/control/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *bytes, size_t length, struct message_request *request)
{
	return message_parse_request((const uint8_t *)bytes, length, request);
}

/* `text` is a literal: its size without the terminator that the compiler adds */
#define PARSE(text, request) parse(text, sizeof(text) - 1, request)

static void a_header_survives_the_way(void **state)
{
	uint8_t header[MESSAGE_HEADER_SIZE];
	struct writer w = writer_over(header, sizeof(header));
	enum message_type type;
	size_t length;

	(void)state;
	message_write_header(&w, MESSAGE_RECORDS, 0x12345);
	assert_false(w.failed);
	assert_int_equal(writer_length(&w), MESSAGE_HEADER_SIZE);
	assert_memory_equal(header, "\x00\x01\x23\x45\x02", MESSAGE_HEADER_SIZE);
	assert_int_equal(message_read_header(header, &type, &length), 0);
	assert_int_equal(type, MESSAGE_RECORDS);
	assert_int_equal(length, 0x12345);
}

static void an_unknown_type_or_too_long_a_payload_is_refused(void **state)
{
	enum message_type type;
	size_t length;

	(void)state;
	assert_int_equal(message_read_header((const uint8_t *)"\0\0\0\0\0", &type, &length), -EINVAL);
	assert_int_equal(message_read_header((const uint8_t *)"\0\0\0\0\10", &type, &length), -EINVAL);
	assert_int_equal(message_read_header((const uint8_t *)"\0\x10\0\0\6", &type, &length), 0);
	assert_int_equal(length, MESSAGE_PAYLOAD_MAX);
	assert_int_equal(message_read_header((const uint8_t *)"\0\x10\0\1\6", &type, &length), -EINVAL);
	assert_int_equal(message_read_header((const uint8_t *)"\xff\xff\xff\xff\6", &type, &length), -EINVAL);
}

static void a_request_is_a_verb_and_its_arguments(void **state)
{
	struct message_request request;

	(void)state;
	assert_int_equal(PARSE("status\0", &request), 0);
	assert_string_equal(request.verb, "status");
	assert_int_equal(request.arguments, 0);
	assert_null(message_argument(&request, "peer"));

	assert_int_equal(PARSE("dump\0table=external\0peer=7\0note=\0", &request), 0);
	assert_string_equal(request.verb, "dump");
	assert_int_equal(request.arguments, 3);
	assert_string_equal(message_argument(&request, "table"), "external");
	assert_string_equal(message_argument(&request, "peer"), "7");
	assert_string_equal(message_argument(&request, "note"), "");
	assert_null(message_argument(&request, "pee"));
	assert_null(message_argument(&request, "peers"));
}

static void a_value_may_hold_an_equals_sign(void **state)
{
	struct message_request request;

	(void)state;
	assert_int_equal(PARSE("x\0a=b=c\0", &request), 0);
	assert_string_equal(message_argument(&request, "a"), "b=c");
}

static void what_is_no_request_is_refused(void **state)
{
	struct message_request request;

	(void)state;
	assert_int_equal(PARSE("", &request), -EINVAL);
	assert_int_equal(PARSE("\0", &request), -EINVAL);
	assert_int_equal(PARSE("status", &request), -EINVAL);
	assert_int_equal(PARSE("status\0strict=1", &request), -EINVAL);
	assert_int_equal(PARSE("status\0strict\0", &request), -EINVAL);
	assert_int_equal(PARSE("status\0=1\0", &request), -EINVAL);
	assert_int_equal(PARSE("status\0\0", &request), -EINVAL);
	assert_int_equal(PARSE("status\0a=1\0a=2\0", &request), -EINVAL);
}

static void too_many_arguments_and_too_long_a_request_are_refused(void **state)
{
	static char bytes[MESSAGE_REQUEST_MAX + 1];
	struct message_request request;
	size_t length = 2;

	(void)state;
	memcpy(bytes, "v\0", 2);
	for (int i = 0; i < MESSAGE_ARGUMENTS_MAX; i++, length += 4)
		memcpy(bytes + length, (char[]){(char)('a' + i), '=', '1', 0}, 4);
	assert_int_equal(parse(bytes, length, &request), 0);
	assert_int_equal(request.arguments, MESSAGE_ARGUMENTS_MAX);
	memcpy(bytes + length, "z=1", 4);
	assert_int_equal(parse(bytes, length + 4, &request), -EINVAL);

	memset(bytes, 'a', sizeof(bytes));
	bytes[MESSAGE_REQUEST_MAX - 1] = 0;
	assert_int_equal(parse(bytes, MESSAGE_REQUEST_MAX, &request), 0);
	bytes[MESSAGE_REQUEST_MAX - 1] = 'a';
	bytes[MESSAGE_REQUEST_MAX] = 0;
	assert_int_equal(parse(bytes, MESSAGE_REQUEST_MAX + 1, &request), -EINVAL);
}

/* Each prefix lies in an allocation of just its size, so that the sanitizer sees any read beyond. */
static void no_prefix_is_read_beyond_its_end(void **state)
{
	static const char whole[] = "dump\0table=external\0peer=7";
	struct message_request request;

	(void)state;
	for (size_t length = 0; length <= sizeof(whole); length++) {
		char *bytes = malloc(length ? length : 1);

		memcpy(bytes, whole, length);
		assert_int_equal(parse(bytes, length, &request) == 0,
				 length == 5 || length == 20 || length == 27);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_header_survives_the_way),
	    cmocka_unit_test(an_unknown_type_or_too_long_a_payload_is_refused),
	    cmocka_unit_test(a_request_is_a_verb_and_its_arguments),
	    cmocka_unit_test(a_value_may_hold_an_equals_sign),
	    cmocka_unit_test(what_is_no_request_is_refused),
	    cmocka_unit_test(too_many_arguments_and_too_long_a_request_are_refused),
	    cmocka_unit_test(no_prefix_is_read_beyond_its_end),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
