/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file for `twintrack -R`, as -o save writes it: refused with the number of a line, or read whole; what it
 * creates can be told to the kernel, or is refused before that.
 */
#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/load.h"
#include "syncd/kernel/convert.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_creation(const struct request *request)
{
	const struct convert_options options = {.timeout_s = request->flow.timeout_s};
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	struct flow flow;
	int error = change_build_flow(request, &flow), length;

	FUZZ_REQUIRE(error == 0 || error == -EINVAL || error == -EBUSY);
	if (error)
		return;
	length = convert_to_message(&flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW, NLM_F_CREATE, 1,
				    room, sizeof(room));
	FUZZ_REQUIRE(length == -EINVAL || (length > 0 && (size_t)length <= sizeof(room)));
}

static bool check_request(void *context, const struct request *request, uint32_t line)
{
	(void)context;
	(void)line;
	FUZZ_REQUIRE(request->table < REQUEST_TABLES && request->flow.zone_scope <= FLOW_ZONE_ORIGINAL);
	switch (request->command) {
	case REQUEST_CREATE:
	case REQUEST_ADD:
		check_creation(request);
		break;
	case REQUEST_UPDATE:
	case REQUEST_DELETE:
	case REQUEST_FLUSH:
		break;
	default:
		fuzz_fail("a command that changes nothing was taken", __FILE__, __LINE__, __func__);
	}
	return true;
}

/* What is read ahead by threads is not checked again. */
static bool check_plain(void *context, const struct request *request, uint32_t line)
{
	struct cli cli = {.program = "fuzz", .socket = "none", .as_conntrack = true};

	FUZZ_REQUIRE(request_check(&cli, request, true) == -1);
	return check_request(context, request, line);
}

/* Whether a message begins with the file and a line.  In its middle may stand any word of the input. */
static bool names_a_line(const char *said, size_t length)
{
	static const char start[] = "fuzz v" TWINTRACK_VERSION " (twintrack): input:";
	const size_t size = sizeof(start) - 1;

	for (const char *at = said; at && (size_t)(said + length - at) >= size; at++) {
		if (!memcmp(at, start, size))
			return true;
		at = memchr(at, '\n', (size_t)(said + length - at));
		if (!at)
			break;
	}
	return false;
}

static void check_said(const char *said, size_t length, int code)
{
	FUZZ_REQUIRE((code < 0) == !names_a_line(said, length));
}

static int read_quietly(struct labels *labels, struct load_text *text, char **said, size_t *length)
{
	struct cli cli = {.program = "fuzz", .socket = "none", .as_conntrack = true};
	FILE *terminal = stderr;
	int code;

	stderr = open_memstream(said, length);
	FUZZ_REQUIRE(stderr);
	code = load_read(&cli, "input", text, labels, check_request, NULL);
	fclose(stderr);
	stderr = terminal;
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct labels *labels = calloc(1, sizeof(*labels));
	uint8_t *copy;
	char *said = NULL;
	size_t said_length = 0;
	struct load_text text;
	int code;

	FUZZ_REQUIRE(labels);
	labels->is_open = true; /* the file of this machine is no part of an input */
	strcpy(labels->name[0], "web");
	strcpy(labels->name[127], "last");
	copy = fuzz_copy(bytes, length);
	text = (struct load_text){(const char *)copy, (const char *)copy + length, 0};
	load_read_ahead(&text, check_plain, NULL);
	text = (struct load_text){(const char *)copy, (const char *)copy + length, 0};
	code = read_quietly(labels, &text, &said, &said_length);
	check_said(said, said_length, code);
	FUZZ_REQUIRE(code == -1 || code == CLI_FAILED || code == CLI_USAGE);
	FUZZ_REQUIRE(code != -1 || text.at == text.end);
	free(said);
	free(copy);
	free(labels);
	return 0;
}
