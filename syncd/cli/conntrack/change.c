/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/filter.h"
#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

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
	const bool has_ports = flow_has_ports(flow->protocol);

	if (src->has_address)
		memcpy(flow->reply.dst, src->address, sizeof(flow->reply.dst));
	if (src->has_port && has_ports)
		flow->reply.dport = src->port;
	if (dst->has_address)
		memcpy(flow->reply.src, dst->address, sizeof(flow->reply.src));
	if (dst->has_port && has_ports)
		flow->reply.sport = dst->port;
}

/* Nobody knows the windows of a flow that is made by hand, so they are not checked; and from TIME_WAIT on its
 * ports may be used again (IP_CT_TCP_FLAG_CLOSE_INIT).  As conntrack(8) does. */
static void set_tcp_flags(struct flow *flow)
{
	enum { SACK_PERM = 0x02, CLOSE_INIT = 0x04 };
	uint8_t flags = FLOW_TCP_FLAG_BE_LIBERAL | SACK_PERM;

	if (!(flow->present & FLOW_HAS_TCP))
		return;
	if (flow->tcp.state >= FLOW_TCP_TIME_WAIT)
		flags |= CLOSE_INIT;
	flow->tcp.flags[0] = flow->tcp.flags[1] = flags;
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
	set_tcp_flags(flow);
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
	flow = change->flow;
	flow.present = change->shown;
	flow.use++; /* conntrack(8) asks for it again, and whoever asks holds a reference itself */
	/* updated to death: not there any more */
	if (change->has_timeout && !flow.timeout_s &&
	    kernel_table_get(changing->table, &change->flow, false, &flow))
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
	set_tcp_flags(flow);
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
	change->shown = flow->present | now->present; /* what isn't sent is as it was */
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

int change_matching(struct changing *changing)
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
