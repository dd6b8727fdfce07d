/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/change.h"
#include "syncd/cli/filter.h"
#include "syncd/cli/kernel_table.h"
#include "syncd/cli/show.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A change under way. */
struct changing {
	const struct cli *cli;
	const struct request *request;
	struct kernel_table *table;
	struct show *show; /* NULL: silent */
	unsigned long long done;
	unsigned failed;
};

int change_say_error(const struct cli *cli, int error)
{
	const char *text = strerror(-error);

	switch (-error) {
	case EPERM:
		text =
		    "Operation not permitted (sorry, you must be root or get CAP_NET_ADMIN capability to do this)";
		break;
	case EEXIST:
		text = "Such conntrack exists, try -U to update";
		break;
	case ENOENT:
		text = "such conntrack doesn't exist";
		break;
	case EINVAL:
		text = "invalid parameters";
		break;
	case ENOMEM:
		text = "not enough memory, or the kernel's table is full";
		break;
	case EPROTONOSUPPORT:
		text = "protocol not supported";
		break;
	}
	request_say(cli, "Operation failed: %s", text);
	return CLI_FAILED;
}

/* ---- -I, -A ---- */

static bool has_pair(const struct request *request, enum request_field first)
{
	return request_has_field(request, first) && request_has_field(request, first + 1);
}

/* What the original direction doesn't name follows from the reply. */
static void complete_original(const struct request *request, struct flow *flow)
{
	if (!request_has(request, OPTION_ORIG_SRC) || !request_has(request, OPTION_ORIG_DST)) {
		memcpy(flow->orig.src, request->flow.reply.dst, sizeof(flow->orig.src));
		memcpy(flow->orig.dst, request->flow.reply.src, sizeof(flow->orig.dst));
	}
	if (!flow_has_icmp(flow->protocol) && !has_pair(request, FIELD_ORIG_SPORT)) {
		flow->orig.sport = request->flow.reply.dport;
		flow->orig.dport = request->flow.reply.sport;
	}
}

static bool reply_is_whole(const struct request *request)
{
	bool has_src = request_has(request, OPTION_REPLY_SRC),
	     has_dst = request_has(request, OPTION_REPLY_DST);

	if (!has_src && !has_dst)
		return true;
	/* conntrack(8) has the kernel refuse a reply tuple without ports */
	return !flow_has_ports(request->flow.protocol) || request->flow.protocol == PROTOCOL_DCCP ||
	       has_pair(request, FIELD_REPLY_SPORT);
}

static void apply_nat(const struct request *request, struct flow *flow)
{
	const struct request_nat *src = &request->src_nat, *dst = &request->dst_nat;

	if (src->has_address)
		memcpy(flow->reply.dst, src->address, sizeof(flow->reply.dst));
	if (src->has_port)
		flow->reply.dport = src->port;
	if (dst->has_address)
		memcpy(flow->reply.src, dst->address, sizeof(flow->reply.src));
	if (dst->has_port)
		flow->reply.sport = dst->port;
}

int change_build_flow(const struct request *request, struct flow *flow)
{
	*flow = request->flow;
	if (!reply_is_whole(request))
		return -EINVAL;
	complete_original(request, flow);
	flow->reply = flow_tuple_mirror(&flow->orig, flow->protocol);
	if (request_has(request, OPTION_REPLY_SRC))
		memcpy(flow->reply.src, request->flow.reply.src, sizeof(flow->reply.src));
	if (request_has(request, OPTION_REPLY_DST))
		memcpy(flow->reply.dst, request->flow.reply.dst, sizeof(flow->reply.dst));
	if (has_pair(request, FIELD_REPLY_SPORT)) {
		flow->reply.sport = request->flow.reply.sport;
		flow->reply.dport = request->flow.reply.dport;
	}
	apply_nat(request, flow);
	flow->present |= FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT;
	if (request_has(request, OPTION_MARK))
		flow->present |= FLOW_HAS_MARK;
	if (request_has(request, OPTION_LABEL_ADD)) {
		memcpy(flow->labels, request->label_changes, sizeof(flow->labels));
		flow->present |= FLOW_HAS_LABELS;
	}
	/* the kernel alone says that a flow was expected (ctnetlink_change_status()) */
	return flow->status & FLOW_STATUS_EXPECTED ? -EBUSY : 0;
}

static void note_created(void *context, const struct kernel_change *change, int error)
{
	struct changing *changing = context;

	(void)change;
	if (error == -EEXIST && changing->request->command == REQUEST_ADD)
		return;
	if (error && !changing->failed++)
		change_say_error(changing->cli, error);
	else if (!error)
		changing->done++;
}

static int create(struct changing *changing)
{
	struct kernel_change change = {.kind = KERNEL_CREATE, .has_timeout = true};
	int error = change_build_flow(changing->request, &change.flow);

	if (error)
		return change_say_error(changing->cli, error);
	kernel_table_change(changing->table, &change, note_created, changing);
	kernel_table_settle(changing->table, note_created, changing);
	return changing->failed ? CLI_FAILED : CLI_DONE;
}

/* ---- -U, -D ---- */

static void note_updated(void *context, const struct kernel_change *change, int error)
{
	struct changing *changing = context;
	struct flow flow;

	if (error == -ENOENT) /* it ended meanwhile */
		return;
	if (error) {
		if (!changing->failed++)
			change_say_error(changing->cli, error);
		return;
	}
	/* updated to death: not there any more */
	if (kernel_table_get(changing->table, &change->flow, false, &flow))
		return;
	changing->done++;
	if (changing->show)
		show_flow(changing->show, &flow);
}

static void note_deleted(void *context, const struct kernel_change *change, int error)
{
	struct changing *changing = context;

	if (error == -ENOENT)
		return;
	if (error) {
		if (!changing->failed++)
			change_say_error(changing->cli, error);
		return;
	}
	changing->done++;
	if (changing->show)
		show_flow(changing->show, &change->flow);
}

static bool change_labels(const struct request *request, struct flow *flow)
{
	uint8_t before[FLOW_LABELS_SIZE];

	memcpy(before, flow->labels, sizeof(before));
	for (unsigned i = 0; i < FLOW_LABELS_SIZE; i++) {
		if (request_has(request, OPTION_LABEL_ADD))
			flow->labels[i] |= request->label_changes[i];
		else if (request->label_del_all)
			flow->labels[i] = 0;
		else if (request_has(request, OPTION_LABEL_DEL))
			flow->labels[i] = (uint8_t)(flow->labels[i] & ~request->label_changes[i]);
	}
	if (!memcmp(before, flow->labels, sizeof(before)))
		return false;
	flow->present |= FLOW_HAS_LABELS;
	return true;
}

static bool change_state(const struct flow *wanted, struct flow *flow, uint32_t had)
{
	uint32_t part = wanted->present & (FLOW_HAS_TCP | FLOW_HAS_SCTP | FLOW_HAS_DCCP);
	uint8_t *to = part == FLOW_HAS_TCP    ? &flow->tcp.state
		      : part == FLOW_HAS_SCTP ? &flow->sctp.state
					      : &flow->dccp.state;
	uint8_t from = part == FLOW_HAS_TCP    ? wanted->tcp.state
		       : part == FLOW_HAS_SCTP ? wanted->sctp.state
					       : wanted->dccp.state;

	if (!(had & part) || *to == from)
		return false;
	*to = from;
	flow->present |= part;
	return true;
}

/* True if there is something to change.  What is sent is what differs, and no more. */
static bool build_update(const struct request *request, const struct flow *flow, struct kernel_change *change)
{
	const struct flow *wanted = &request->flow;
	struct flow *now = &change->flow;
	bool any = false;

	*change = (struct kernel_change){.kind = KERNEL_UPDATE, .flow = *flow};
	now->present = 0;
	if (request_has(request, OPTION_MARK)) {
		now->mark = (flow->mark & ~request->mark_mask) ^ wanted->mark;
		if (now->mark != flow->mark)
			now->present |= FLOW_HAS_MARK;
	}
	if (request_has(request, OPTION_STATUS) && wanted->status & ~flow->status) {
		now->status |= wanted->status;
		now->present |= FLOW_HAS_STATUS;
	}
	change->has_timeout = request_has(request, OPTION_TIMEOUT) && wanted->timeout_s != flow->timeout_s;
	if (change->has_timeout)
		now->timeout_s = wanted->timeout_s;
	any |= change_labels(request, now);
	any |= change_state(wanted, now, flow->present);
	return any || now->present || change->has_timeout;
}

static bool take_row(void *context, const struct flow *flow)
{
	struct changing *changing = context;
	struct kernel_change change = {.kind = KERNEL_DELETE};
	bool updates = changing->request->command == REQUEST_UPDATE;

	if (!filter_matches(changing->request, flow))
		return true;
	if (!updates)
		change.flow = *flow;
	else if (!build_update(changing->request, flow, &change))
		return true;
	kernel_table_change(changing->table, &change, updates ? note_updated : note_deleted, changing);
	return !changing->show || !changing->show->output.error;
}

static int change_matching(struct changing *changing)
{
	const struct request *request = changing->request;
	bool updates = request->command == REQUEST_UPDATE;
	struct kernel_dump dump = {.request = IPCTNL_MSG_CT_GET, .family = request->flow.family};
	int error;

	if (!updates && request_has(request, OPTION_MARK)) {
		dump.by_mark = true;
		dump.mark = request->flow.mark;
		dump.mark_mask = request->mark_mask;
	}
	error = kernel_table_dump(changing->table, &dump, take_row, changing);
	kernel_table_settle(changing->table, updates ? note_updated : note_deleted, changing);
	if (error < 0)
		return change_say_error(changing->cli, error);
	return changing->failed ? CLI_FAILED : CLI_DONE;
}

static int carry_out(struct changing *changing)
{
	switch (changing->request->command) {
	case REQUEST_CREATE:
	case REQUEST_ADD:
		return create(changing);
	default:
		return change_matching(changing);
	}
}

int change_run(const struct cli *cli, const struct request *request, struct labels *labels)
{
	static const char *const words[REQUEST_COMMANDS] = {[REQUEST_CREATE] = "created",
							    [REQUEST_ADD] = "added",
							    [REQUEST_UPDATE] = "updated",
							    [REQUEST_DELETE] = "deleted"};
	struct changing changing = {.cli = cli, .request = request, .show = malloc(sizeof(struct show))};
	bool creates = request->command == REQUEST_CREATE || request->command == REQUEST_ADD;
	int error = changing.show ? kernel_table_open(&changing.table) : -ENOMEM;
	int code;

	if (error) {
		free(changing.show);
		return change_say_error(cli, error);
	}
	show_start(changing.show, cli, request, labels);
	code = carry_out(&changing);
	code = show_end(changing.show, cli, code);
	if (!(creates && code)) {
		request_say(cli, "%llu flow entries have been %s.", changing.done, words[request->command]);
		if (!creates && !changing.done)
			code = CLI_FAILED;
	}
	kernel_table_close(changing.table);
	free(changing.show);
	return code;
}

/* ---- -R ---- */

struct loading {
	struct request *request;
	uint32_t *line;
	size_t count, room;
};

enum { WORDS_MAX = 128, LINE_MAX_BYTES = 8192 };

/* Splits a line into words, in place; quotes hold words together.  Their number, or -1: too many, or a quote
 * without an end. */
static int split_words(char *line, char **words)
{
	int count = 0;

	for (;;) {
		char *to;
		char quote = 0;

		line += strspn(line, " \t\r\n");
		if (!*line)
			return count;
		if (count == WORDS_MAX)
			return -1;
		words[count++] = to = line;
		while (*line && (quote || !strchr(" \t\r\n", *line))) {
			if (*line == quote)
				quote = 0;
			else if (!quote && (*line == '"' || *line == '\''))
				quote = *line;
			else
				*to++ = *line;
			line++;
		}
		if (quote)
			return -1;
		if (*line)
			line++;
		*to = 0;
	}
}

static bool make_room(struct loading *loading)
{
	size_t room = loading->room ? loading->room * 2 : 64;
	struct request *request;
	uint32_t *line;

	if (loading->count < loading->room)
		return true;
	request = realloc(loading->request, room * sizeof(*request));
	if (request)
		loading->request = request;
	line = realloc(loading->line, room * sizeof(*line));
	if (line)
		loading->line = line;
	if (!request || !line)
		return false;
	loading->room = room;
	return true;
}

/* -1 to go on, or the exit code. */
static int load_line(struct cli *cli, const char *path, uint32_t number, char *text, struct labels *labels,
		     struct loading *loading)
{
	char *words[WORDS_MAX + 2];
	int count, code;

	words[0] = (char *)"conntrack";
	if (text[strspn(text, " \t\r\n")] == '#')
		return -1;
	count = split_words(text, words + 1);
	if (count == 0)
		return -1;
	if (count > 0 && count <= WORDS_MAX) {
		bool named = !strcmp(words[1], "conntrack");

		words[count + 1] = NULL;
		if (!make_room(loading)) {
			request_say(cli, "%s:%u: out of memory", path, number);
			return CLI_FAILED;
		}
		code = request_read(cli, count + 1 - named, words + named, labels, true,
				    &loading->request[loading->count]);
		if (code < 0)
			loading->line[loading->count++] = number;
		else
			request_say(cli, "%s:%u: this line is wrong; nothing was carried out", path, number);
		return code;
	}
	return request_refuse(cli, "%s:%u: too many words, or a quote without an end", path, number);
}

static int load_file(struct cli *cli, const char *path, FILE *file, struct labels *labels,
		     struct loading *loading)
{
	char text[LINE_MAX_BYTES];
	uint32_t number = 0;
	int code = -1;

	while (code < 0 && fgets(text, sizeof(text), file)) {
		number++;
		if (!strchr(text, '\n') && !feof(file))
			return request_refuse(cli, "%s:%u: longer than %d bytes", path, number,
					      LINE_MAX_BYTES - 2);
		code = load_line(cli, path, number, text, labels, loading);
	}
	if (code < 0 && ferror(file)) {
		request_say(cli, "reading %s failed: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	return code;
}

/* The lines of a file, carried out: creations go in batches. */
struct load_run {
	struct changing changing;
	const char *path;
	const struct loading *loading;
};

static void note_loaded(void *context, const struct kernel_change *change, int error)
{
	struct load_run *run = context;
	enum request_command command = run->loading->request[change->line].command;

	if (!error || (error == -EEXIST && command == REQUEST_ADD) || run->changing.failed)
		return;
	run->changing.failed++;
	change_say_error(run->changing.cli, error);
	request_say(run->changing.cli, "%s:%u: this line failed", run->path,
		    run->loading->line[change->line]);
}

static int load_create(struct load_run *run, size_t at)
{
	struct kernel_change change = {.kind = KERNEL_CREATE, .has_timeout = true, .line = (uint32_t)at};
	int error = change_build_flow(&run->loading->request[at], &change.flow);

	if (error) {
		kernel_table_settle(run->changing.table, note_loaded, run);
		if (!run->changing.failed)
			note_loaded(run, &change, error);
		return CLI_FAILED;
	}
	kernel_table_change(run->changing.table, &change, note_loaded, run);
	return run->changing.failed ? CLI_FAILED : CLI_DONE;
}

static int load_other(struct load_run *run, const struct request *request, struct labels *labels)
{
	struct changing *changing = &run->changing;
	int code;

	kernel_table_settle(changing->table, note_loaded, run);
	if (changing->failed)
		return CLI_FAILED;
	if (request->command == REQUEST_FLUSH) {
		int error =
		    kernel_table_flush(changing->table, request->table == TABLE_EXPECT, request->flow.family);

		return error < 0 ? change_say_error(changing->cli, error) : CLI_DONE;
	}
	changing->request = request;
	show_start(changing->show, changing->cli, request, labels);
	code = change_matching(changing);
	return show_end(changing->show, changing->cli, code);
}

static int load_run(const struct cli *cli, const char *path, const struct loading *loading,
		    struct labels *labels)
{
	struct load_run run = {
	    .changing = {.cli = cli, .show = malloc(sizeof(struct show))}, .path = path, .loading = loading};
	int error = run.changing.show ? kernel_table_open(&run.changing.table) : -ENOMEM;
	int code = CLI_DONE;

	if (error) {
		free(run.changing.show);
		return change_say_error(cli, error);
	}
	for (size_t i = 0; code == CLI_DONE && i < loading->count; i++) {
		enum request_command command = loading->request[i].command;

		code = command == REQUEST_CREATE || command == REQUEST_ADD
			   ? load_create(&run, i)
			   : load_other(&run, &loading->request[i], labels);
	}
	kernel_table_settle(run.changing.table, note_loaded, &run);
	if (run.changing.failed)
		code = CLI_FAILED;
	kernel_table_close(run.changing.table);
	free(run.changing.show);
	return code;
}

int change_load(struct cli *cli, const char *path, struct labels *labels)
{
	struct loading loading = {0};
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	int code;

	if (!file) {
		request_refuse(cli, "Failed to open file %s for reading: %s", path, strerror(errno));
		return CLI_USAGE;
	}
	code = load_file(cli, path, file, labels, &loading);
	if (file != stdin)
		fclose(file);
	if (code < 0)
		code = load_run(cli, path, &loading, labels);
	free(loading.request);
	free(loading.line);
	return code;
}
