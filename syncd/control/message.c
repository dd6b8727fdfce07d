/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/control/message.h"

#include <errno.h>
#include <string.h>

void message_write_header(struct writer *w, enum message_type type, size_t length)
{
	writer_u32(w, (uint32_t)length);
	writer_u8(w, (uint8_t)type);
}

int message_read_header(const uint8_t header[MESSAGE_HEADER_SIZE], enum message_type *type, size_t *length)
{
	struct reader r = reader_over(header, MESSAGE_HEADER_SIZE);
	uint32_t payload = reader_u32(&r);
	uint8_t number = reader_u8(&r);

	if (number < MESSAGE_REQUEST || number >= MESSAGE_TYPES_END || payload > MESSAGE_PAYLOAD_MAX)
		return -EINVAL;
	*type = (enum message_type)number;
	*length = payload;
	return 0;
}

/* The string at the reader, terminator included, is stepped over; NULL if no terminator follows. */
static const char *next_string(struct reader *r)
{
	const uint8_t *end = memchr(r->at, 0, reader_left(r));

	return end ? (const char *)reader_skip(r, (size_t)(end - r->at) + 1) : NULL;
}

/*
 * The payload is not ours to write into, so a name is not terminated by a NUL but by its '='.  A name may
 * stand only once: else a reader that takes the first and one that takes the last would see two different
 * requests.
 */
int message_parse_request(const uint8_t *payload, size_t length, struct message_request *request)
{
	struct reader r = reader_over(payload, length);

	if (length == 0 || length > MESSAGE_REQUEST_MAX)
		return -EINVAL;
	request->arguments = 0;
	request->verb = next_string(&r);
	if (!request->verb || !*request->verb)
		return -EINVAL;
	while (reader_left(&r) > 0) {
		const char *name = next_string(&r);
		const char *equals = name ? strchr(name, '=') : NULL;

		if (!equals || equals == name || request->arguments == MESSAGE_ARGUMENTS_MAX)
			return -EINVAL;
		for (size_t i = 0; i < request->arguments; i++)
			if (!strncmp(request->argument[i].name, name, (size_t)(equals - name) + 1))
				return -EINVAL;
		request->argument[request->arguments].name = name;
		request->argument[request->arguments].value = equals + 1;
		request->arguments++;
	}
	return 0;
}

const char *message_argument(const struct message_request *request, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < request->arguments; i++)
		if (!strncmp(request->argument[i].name, name, length) &&
		    request->argument[i].name[length] == '=')
			return request->argument[i].value;
	return NULL;
}
