/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/expect.h"

#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One command line. */
struct expecting {
	const struct cli *cli;
	const struct request *request;
	struct kernel_table *table;
	struct show *show;
	const struct expectation_format *format;
};

const struct expectation_format *expect_format(const struct request *request)
{
	return request->output & OUTPUT_XML    ? &expectation_xml
	       : request->output & OUTPUT_JSON ? &expectation_json
					       : &expectation_default;
}

static int say_error(const struct expecting *expecting, int error)
{
	const char *text = strerror(-error);

	if (error == -EPERM)
		text =
		    "Operation not permitted (sorry, you must be root or get CAP_NET_ADMIN capability to do this)";
	else if (error == -EINVAL)
		text = "invalid parameters";
	else if (error == -ENOENT && expecting->request->command == REQUEST_CREATE)
		text = "master conntrack not found";
	else if (error == -EOPNOTSUPP && expecting->request->command == REQUEST_CREATE)
		text = "Operation not supported (the master has no helper)";
	request_say(expecting->cli, "Operation failed: %s", text);
	return CLI_FAILED;
}

/* ---- -L, -G, -C ---- */

static int show_row(void *context, const struct nlmsghdr *message)
{
	struct expecting *expecting = context;
	struct show *show = expecting->show;
	struct expectation expectation;

	if (expectation_read(message, &expectation))
		return 0;
	expecting->format->row(&show->dump, &expectation);
	show->flows++;
	return show->output.error ? 1 : 0;
}

static int count_row(void *context, const struct nlmsghdr *message)
{
	(void)message;
	++*(uint32_t *)context;
	return 0;
}

static int show(struct expecting *expecting, const struct nlmsghdr *question)
{
	int error, code;

	show_start(expecting->show, expecting->cli, expecting->request, NULL);
	error = kernel_table_ask(expecting->table, question, show_row, expecting);
	if (!error && expecting->request->command == REQUEST_LIST && expecting->format->end)
		expecting->format->end(&expecting->show->dump);
	code = show_flush(expecting->show, expecting->cli, CLI_DONE);
	if (error < 0)
		return say_error(expecting, error);
	if (code == CLI_DONE && expecting->request->command == REQUEST_LIST)
		request_say(expecting->cli, "%llu expectations have been shown.", expecting->show->flows);
	return code;
}

static int count(struct expecting *expecting, const struct nlmsghdr *question)
{
	uint32_t number = 0;
	int error = kernel_table_ask(expecting->table, question, count_row, &number);

	if (error < 0)
		return say_error(expecting, error);
	printf("%u\n", number);
	return cli_finish(expecting->cli, CLI_DONE);
}

/* ---- -I, -D ---- */

/* What the command line says, as an expectation: for -G and -D, -s and -d name the expected tuple. */
static void build(const struct request *request, struct expectation *expectation)
{
	uint8_t protocol = request->flow.protocol;

	*expectation =
	    (struct expectation){.family = request->flow.family, .timeout_s = request->flow.timeout_s};
	expectation->master = expectation->expected =
	    (struct expectation_tuple){.protocol = protocol, .tuple = request->flow.orig};
	if (request->command != REQUEST_CREATE)
		return;
	expectation->expected.tuple = request->expected;
	expectation->mask = (struct expectation_tuple){.protocol = protocol, .tuple = request->mask};
	memcpy(expectation->mask.tuple.src, request->src_mask, flow_address_size(expectation->family));
	memcpy(expectation->mask.tuple.dst, request->dst_mask, flow_address_size(expectation->family));
}

static int change(struct expecting *expecting, const struct nlmsghdr *question)
{
	int error = kernel_table_ask(expecting->table, question, NULL, NULL);

	if (error < 0)
		return say_error(expecting, error);
	if (expecting->request->command == REQUEST_DELETE)
		request_say(expecting->cli, "1 expectations have been deleted.");
	return CLI_DONE;
}

int expect_flush(const struct cli *cli, struct kernel_table *table)
{
	struct request request = {.command = REQUEST_FLUSH};
	struct expecting expecting = {.cli = cli, .request = &request, .table = table};
	int error = kernel_table_flush(table, true, 0);

	if (error < 0)
		return say_error(&expecting, error);
	request_say(cli, "expectation table has been emptied.");
	return CLI_DONE;
}

int expect_run(const struct cli *cli, const struct request *request, struct kernel_table *table)
{
	static const struct {
		uint8_t type;
		uint16_t flags;
		unsigned parts;
	} questions[REQUEST_COMMANDS] = {
	    [REQUEST_LIST] = {IPCTNL_MSG_EXP_GET, NLM_F_DUMP, 0},
	    [REQUEST_COUNT] = {IPCTNL_MSG_EXP_GET, NLM_F_DUMP, 0},
	    [REQUEST_GET] = {IPCTNL_MSG_EXP_GET, NLM_F_ACK, EXPECTATION_WRITE_EXPECTED},
	    [REQUEST_DELETE] = {IPCTNL_MSG_EXP_DELETE, NLM_F_ACK, EXPECTATION_WRITE_EXPECTED},
	    [REQUEST_CREATE] = {IPCTNL_MSG_EXP_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
				EXPECTATION_WRITE_EXPECTED | EXPECTATION_WRITE_MASTER |
				    EXPECTATION_WRITE_MASK | EXPECTATION_WRITE_TIMEOUT},
	};
	enum request_command command = request->command;
	_Alignas(8) uint8_t room[EXPECTATION_ROOM + 64];
	struct expecting expecting = {.cli = cli, .request = request, .table = table};
	/* conntrack(8) means IPv4 where nothing says otherwise, but when it counts */
	uint8_t family = request->flow.family || command == REQUEST_COUNT ? request->flow.family : FLOW_IPV4;
	struct nlmsghdr *question =
	    kernel_table_begin(table, room, NFNL_SUBSYS_CTNETLINK_EXP, questions[command].type,
			       questions[command].flags, family);
	struct expectation expectation;
	int code;

	build(request, &expectation);
	expectation.family = family;
	expectation_write(question, &expectation, questions[command].parts);
	if (command == REQUEST_COUNT)
		return count(&expecting, question);
	if (command == REQUEST_CREATE || command == REQUEST_DELETE)
		return change(&expecting, question);
	expecting.show = malloc(sizeof(*expecting.show));
	if (!expecting.show)
		return say_error(&expecting, -ENOMEM);
	expecting.format = expect_format(request);
	code = show(&expecting, question);
	free(expecting.show);
	return code;
}
