/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What conntrack(8) offers: a command line is read (options.c), and carried out here or, what changes the
 * table, in change.c, events in events.c, the daemon's tables in daemon_table.c.  Exit codes and messages as
 * there; 3 besides, when a table of the daemon is asked for and none answers.
 */
#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/daemon_table.h"
#include "syncd/cli/conntrack/events.h"
#include "syncd/cli/conntrack/expect.h"
#include "syncd/cli/conntrack/filter.h"
#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One command line on the kernel's tables. */
struct work {
	const struct cli *cli;
	const struct request *request;
	struct labels *labels;
	struct kernel_table *table;
	struct show *show;
};

static bool show_row(void *context, const struct flow *flow)
{
	struct work *work = context;

	if (filter_matches(work->request, flow))
		show_flow(work->show, flow);
	return !work->show->output.error;
}

/* What of the original tuple the kernel compares: whole addresses, and ports.  Of IPv6 addresses it shows
 * those that differ (ctnetlink_filter_match_tuple() takes ipv6_addr_cmp() for a truth value; seen with
 * Linux 6.18). */
static unsigned tuple_filter_of(const struct request *request)
{
	bool is_ipv4 = request->flow.family == FLOW_IPV4;
	unsigned by = 0;

	if (!request->flow.family || request->table == TABLE_DYING || request->table == TABLE_UNCONFIRMED)
		return 0;
	if (is_ipv4 && request_has(request, OPTION_ORIG_SRC) && !request_has(request, OPTION_MASK_SRC))
		by |= KERNEL_DUMP_SRC;
	if (is_ipv4 && request_has(request, OPTION_ORIG_DST) && !request_has(request, OPTION_MASK_DST))
		by |= KERNEL_DUMP_DST;
	if (!request_has(request, OPTION_PROTOCOL))
		return by;
	by |= KERNEL_DUMP_PROTOCOL;
	if (flow_has_ports(request->flow.protocol) && request_has_field(request, FIELD_ORIG_SPORT))
		by |= KERNEL_DUMP_SPORT;
	if (flow_has_ports(request->flow.protocol) && request_has_field(request, FIELD_ORIG_DPORT))
		by |= KERNEL_DUMP_DPORT;
	return by;
}

/* What the kernel can leave out itself; the rest is left out by show_row(). */
static struct kernel_dump dump_of(const struct request *request)
{
	struct kernel_dump dump = {.request = IPCTNL_MSG_CT_GET, .family = request->flow.family};

	if (request->table == TABLE_DYING)
		dump.request = IPCTNL_MSG_CT_GET_DYING;
	else if (request->table == TABLE_UNCONFIRMED)
		dump.request = IPCTNL_MSG_CT_GET_UNCONFIRMED;
	else if (request_has(request, OPTION_ZERO))
		dump.request = IPCTNL_MSG_CT_GET_CTRZERO;
	dump.by_tuple = tuple_filter_of(request);
	dump.protocol = request->flow.protocol;
	dump.tuple = &request->flow.orig;
	dump.by_mark = request_has(request, OPTION_MARK);
	dump.mark = request->flow.mark;
	dump.mark_mask = request->mark_mask;
	dump.by_status = request_has(request, OPTION_STATUS) && request->flow.status;
	dump.status = request->flow.status;
	dump.by_zone = request_has(request, OPTION_ZONE) && request->flow.zone;
	dump.zone = request->flow.zone;
	return dump;
}

static int list(struct work *work)
{
	struct kernel_dump dump = dump_of(work->request);
	int error, code;

	if (work->request->status_unset && !work->request->flow.status)
		return change_say_error(work->cli, -EINVAL); /* no bits: nothing to look for */
	show_start(work->show, work->cli, work->request, work->labels);
	error = kernel_table_dump(work->table, &dump, show_row, work);
	code = show_end(work->show, work->cli, error < 0 ? CLI_FAILED : CLI_DONE);
	if (error < 0)
		return change_say_error(work->cli, error);
	if (error > 0)
		request_say(work->cli,
			    "the kernel's table was changed meanwhile: some flows may be missing or "
			    "shown twice.");
	if (code == CLI_DONE)
		request_say(work->cli, "%llu flow entries have been shown.", work->show->flows);
	return code;
}

static int get(struct work *work)
{
	const struct request *request = work->request;
	bool by_reply = !request_has(request, OPTION_ORIG_SRC) || !request_has(request, OPTION_ORIG_DST);
	struct flow key = request->flow, flow;
	int error, code;

	if (by_reply && flow_has_icmp(key.protocol)) {
		struct flow_tuple mirror = flow_tuple_mirror(&key.orig, key.protocol);

		key.reply.icmp_type = mirror.icmp_type;
		key.reply.icmp_code = mirror.icmp_code;
		key.reply.icmp_id = mirror.icmp_id;
	}
	error = kernel_table_get(work->table, &key, by_reply, &flow);
	if (error)
		return change_say_error(work->cli, error);
	if (!filter_matches(request, &flow)) {
		request_say(work->cli, "0 flow entries have been shown.");
		return CLI_FAILED;
	}
	show_start(work->show, work->cli, request, work->labels);
	show_flow(work->show, &flow);
	code = show_end(work->show, work->cli, CLI_DONE);
	if (code == CLI_DONE)
		request_say(work->cli, "%llu flow entries have been shown.", work->show->flows);
	return code;
}

static int flush(struct work *work)
{
	int error = kernel_table_flush(work->table, false, work->request->flow.family);

	if (error < 0)
		return change_say_error(work->cli, error);
	request_say(work->cli, "connection tracking table has been emptied.");
	return CLI_DONE;
}

/* The kernel's own number, which anybody may read; netlink answers only who may administer the net. */
static int read_count(uint32_t *number)
{
	FILE *file = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	int error = file ? 0 : -errno;

	if (file && fscanf(file, "%u", number) != 1)
		error = -EIO;
	if (file)
		fclose(file);
	return error;
}

static int count(struct work *work)
{
	uint32_t number;
	int error = kernel_table_count(work->table, &number);

	if (error == -EPERM)
		error = read_count(&number);
	if (error < 0)
		return change_say_error(work->cli, error);
	printf("%u\n", number);
	return cli_finish(work->cli, CLI_DONE);
}

static void print_counter(void *context, const char *name, uint32_t value)
{
	bool *any = context;

	if (!strcmp(name, "cpu")) {
		printf("%scpu=%-4u\t", *any ? "\n" : "", value);
		*any = true;
	} else {
		printf("%s=%u ", name, value);
	}
}

static int stats(struct work *work)
{
	bool any = false;
	int error =
	    kernel_table_stats(work->table, work->request->table == TABLE_EXPECT, print_counter, &any);

	if (any)
		putchar('\n');
	if (error < 0)
		return change_say_error(work->cli, error);
	return cli_finish(work->cli, CLI_DONE);
}

static int run_kernel(struct work *work)
{
	int error = kernel_table_open(&work->table), code = CLI_FAILED;

	work->show = error ? NULL : malloc(sizeof(*work->show));
	if (error || !work->show) {
		request_say(work->cli, "opening a netlink socket failed: %s",
			    strerror(error ? -error : ENOMEM));
	} else if (work->request->command == REQUEST_STATS) {
		code = stats(work);
	} else if (work->request->table == TABLE_EXPECT) {
		code = work->request->command == REQUEST_FLUSH
			   ? expect_flush(work->cli, work->table)
			   : expect_run(work->cli, work->request, work->table);
	} else if (work->request->command == REQUEST_LIST) {
		code = list(work);
	} else if (work->request->command == REQUEST_GET) {
		code = get(work);
	} else if (work->request->command == REQUEST_FLUSH) {
		code = flush(work);
	} else if (work->request->command == REQUEST_COUNT) {
		code = count(work);
	}
	free(work->show);
	kernel_table_close(work->table);
	return code;
}

static int run(struct cli *cli, const struct request *request, struct labels *labels)
{
	struct work work = {.cli = cli, .request = request, .labels = labels};

	switch (request->command) {
	case REQUEST_NONE: /* conntrack(8) shows its help then */
	case REQUEST_HELP:
		request_print_help(cli, request->protocol);
		return cli_finish(cli, CLI_DONE);
	case REQUEST_VERSION:
		printf("%s v%s (twintrack)\n", cli->program, TWINTRACK_VERSION);
		return cli_finish(cli, CLI_DONE);
	default:
		break;
	}
	if (request_is_about_daemon(request))
		return daemon_table_run(cli, request, labels);
	if (request->table == TABLE_EXPECT && request->command != REQUEST_EVENT)
		return run_kernel(&work);
	switch (request->command) {
	case REQUEST_CREATE:
	case REQUEST_ADD:
	case REQUEST_UPDATE:
	case REQUEST_DELETE:
		return change_run(cli, request, labels);
	case REQUEST_EVENT:
		return events_run(cli, request, labels);
	default:
		return run_kernel(&work);
	}
}

/* -R stands alone and first, as with conntrack(8). */
static bool loads(const char *word, char **value)
{
	*value = NULL;
	if (!strncmp(word, "--load-file=", 12))
		*value = (char *)word + 12;
	else if (!strncmp(word, "-R", 2) && word[2])
		*value = (char *)word + 2;
	return *value || !strcmp(word, "-R") || !strcmp(word, "--load-file");
}

int conntrack_run(struct cli *cli, int argc, char **argv)
{
	struct labels *labels = calloc(1, sizeof(*labels)); /* large */
	struct request request;
	char *file;
	int code;

	if (!labels) {
		request_say(cli, "out of memory");
		return CLI_FAILED;
	}
	if (argc > 1 && loads(argv[1], &file)) {
		if (!file && argc > 2)
			file = argv[2];
		code = file ? change_load(cli, file, labels)
			    : request_refuse(cli, "option `-R' requires an argument: a file, or - for the "
						  "standard input");
	} else {
		code = request_read(cli, argc, argv, labels, false, &request);
		if (code < 0)
			code = run(cli, &request, labels);
	}
	free(labels);
	return code;
}
