/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/kernel_table.h"
#include "syncd/kernel/attribute.h"
#include "syncd/kernel/timeouts.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* the kernel fills up to 32 KiB at a time (netlink_dump()) */
	DUMP_BUFFER = 64 * 1024,
	BATCH = 64,
	SOCKET_BUFFER = 1 << 20,
};

struct kernel_table {
	struct mnl_socket *dump, *work; /* changes go on while a dump runs */
	uint32_t sequence;
	size_t queued, used;
	uint32_t first; /* sequence number of change[0] */
	struct kernel_change change[BATCH];
	int error[BATCH];
	struct nlmsghdr *last; /* in the batch */
	_Alignas(8) uint8_t batch[BATCH * CONVERT_MESSAGE_MAX];
	_Alignas(8) uint8_t work_bytes[DUMP_BUFFER];
	_Alignas(8) uint8_t dump_bytes[DUMP_BUFFER];
};

static int open_socket(struct mnl_socket **result)
{
	const int bytes = SOCKET_BUFFER, on = 1;
	struct mnl_socket *one = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int error;

	if (!one)
		return -errno;
	if (mnl_socket_bind(one, 0, MNL_SOCKET_AUTOPID) < 0) {
		error = -errno;
		mnl_socket_close(one);
		return error;
	}
	/* both are only for speed */
	setsockopt(mnl_socket_get_fd(one), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	mnl_socket_setsockopt(one, NETLINK_CAP_ACK, (void *)(uintptr_t)&on, sizeof(on));
	*result = one;
	return 0;
}

int kernel_table_open(struct kernel_table **result)
{
	struct kernel_table *table = calloc(1, sizeof(*table));
	int error;

	if (!table)
		return -ENOMEM;
	/* the first socket gets our pid as its port (netlink_autobind()): by that, listeners name who changed
	 * what */
	error = open_socket(&table->work);
	if (!error)
		error = open_socket(&table->dump);
	if (error) {
		kernel_table_close(table);
		return error;
	}
	*result = table;
	return 0;
}

void kernel_table_close(struct kernel_table *table)
{
	if (table && table->dump)
		mnl_socket_close(table->dump);
	if (table && table->work)
		mnl_socket_close(table->work);
	free(table);
}

/* ---- one request and its answers ---- */

static struct nlmsghdr *begin(struct kernel_table *table, void *room, uint8_t subsystem, uint8_t type,
			      uint16_t flags, uint8_t family)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(room);
	struct nfgenmsg *nfgen = mnl_nlmsg_put_extra_header(message, sizeof(*nfgen));

	message->nlmsg_type = (uint16_t)(subsystem << 8 | type);
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->nlmsg_seq = ++table->sequence;
	nfgen->nfgen_family = family;
	nfgen->version = NFNETLINK_V0;
	return message;
}

/* The error that a message brings: 0 for an acknowledgement or the good end of a dump; 1: it is none. */
static int error_of(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	const int *done = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type == NLMSG_ERROR)
		return mnl_nlmsg_get_payload_len(message) < sizeof(*error) ? -EBADMSG : error->error;
	if (message->nlmsg_type == NLMSG_DONE)
		return mnl_nlmsg_get_payload_len(message) >= sizeof(*done) && *done < 0 ? *done : 0;
	return 1;
}

/* Sends a request and reads until its end.  0; 1: the dump was interrupted; or a negative errno. */
static int ask(struct mnl_socket *one, uint8_t *bytes, const struct nlmsghdr *request,
	       kernel_table_answer *read, void *context)
{
	uint32_t sequence = request->nlmsg_seq;
	bool interrupted = false;

	if (mnl_socket_sendto(one, request, request->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t length = mnl_socket_recvfrom(one, bytes, DUMP_BUFFER);
		const struct nlmsghdr *message = (const struct nlmsghdr *)bytes;
		int left = (int)length;

		if (length < 0 && errno != EINTR)
			return -errno;
		for (; left > 0 && mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
			int end = error_of(message);

			if (message->nlmsg_seq != sequence)
				continue;
			interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (end <= 0)
				return end ? end : interrupted;
			end = read ? read(context, message) : 0;
			if (end)
				return end < 0 ? end : 0;
		}
	}
}

/* ---- dumps ---- */

struct dumping {
	kernel_table_row *row;
	void *context;
};

static int read_row(void *context, const struct nlmsghdr *message)
{
	struct dumping *dumping = context;
	enum convert_kind kind;
	struct flow flow;

	if (convert_from_message(message, &flow, &kind))
		return 0;
	return dumping->row(dumping->context, &flow) ? 0 : 1;
}

/* CTA_FILTER, and the tuple that it means: since Linux 5.8.  Its flags are this machine's numbers
 * (ctnetlink_parse_filter()). */
static void put_tuple_filter(struct nlmsghdr *request, const struct kernel_dump *dump)
{
	static const struct {
		unsigned by;
		uint32_t flag; /* CTA_FILTER_F_* of net/netfilter/nf_conntrack_netlink.c */
	} flags[] = {
	    {KERNEL_DUMP_SRC, 1 << 0},   {KERNEL_DUMP_DST, 1 << 1},   {KERNEL_DUMP_PROTOCOL, 1 << 3},
	    {KERNEL_DUMP_SPORT, 1 << 4}, {KERNEL_DUMP_DPORT, 1 << 5},
	};
	size_t size = flow_address_size(dump->family);
	bool is_ipv6 = dump->family == FLOW_IPV6;
	struct nlattr *nest, *part;
	uint32_t wanted = 0;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		wanted |= dump->by_tuple & flags[i].by ? flags[i].flag : 0;
	nest = mnl_attr_nest_start(request, CTA_TUPLE_ORIG);
	part = mnl_attr_nest_start(request, CTA_TUPLE_IP);
	mnl_attr_put(request, is_ipv6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, size, dump->tuple->src);
	mnl_attr_put(request, is_ipv6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, size, dump->tuple->dst);
	mnl_attr_nest_end(request, part);
	if (dump->by_tuple & KERNEL_DUMP_PROTOCOL) {
		part = mnl_attr_nest_start(request, CTA_TUPLE_PROTO);
		mnl_attr_put_u8(request, CTA_PROTO_NUM, dump->protocol);
		if (dump->by_tuple & KERNEL_DUMP_SPORT)
			mnl_attr_put_u16(request, CTA_PROTO_SRC_PORT, htobe16(dump->tuple->sport));
		if (dump->by_tuple & KERNEL_DUMP_DPORT)
			mnl_attr_put_u16(request, CTA_PROTO_DST_PORT, htobe16(dump->tuple->dport));
		mnl_attr_nest_end(request, part);
	}
	mnl_attr_nest_end(request, nest);
	nest = mnl_attr_nest_start(request, CTA_FILTER);
	mnl_attr_put_u32(request, CTA_FILTER_ORIG_FLAGS, wanted);
	mnl_attr_put_u32(request, CTA_FILTER_REPLY_FLAGS, 0);
	mnl_attr_nest_end(request, nest);
}

static struct nlmsghdr *begin_dump(struct kernel_table *table, const struct kernel_dump *dump, uint8_t *room)
{
	struct nlmsghdr *request =
	    begin(table, room, NFNL_SUBSYS_CTNETLINK, dump->request, NLM_F_DUMP, dump->family);

	if (dump->by_mark) {
		mnl_attr_put_u32(request, CTA_MARK, htobe32(dump->mark));
		mnl_attr_put_u32(request, CTA_MARK_MASK, htobe32(dump->mark_mask));
	}
	if (dump->by_status) {
		mnl_attr_put_u32(request, CTA_STATUS, htobe32(dump->status));
		mnl_attr_put_u32(request, CTA_STATUS_MASK, htobe32(dump->status));
	}
	if (dump->by_zone)
		mnl_attr_put_u16(request, CTA_ZONE, htobe16(dump->zone));
	if (dump->by_tuple)
		put_tuple_filter(request, dump);
	return request;
}

int kernel_table_dump(struct kernel_table *table, const struct kernel_dump *dump, kernel_table_row *row,
		      void *context)
{
	_Alignas(8) uint8_t room[512];
	struct dumping dumping = {row, context};
	struct kernel_dump plain = *dump;
	long buckets = limit_read(LIMIT_BUCKETS);
	int end = ask(table->dump, table->dump_bytes, begin_dump(table, dump, room), read_row, &dumping);

	plain.by_tuple = 0;
	if (dump->by_tuple &&
	    (end == -EINVAL || end == -EOPNOTSUPP)) /* it was refused as a whole: no row came */
		end =
		    ask(table->dump, table->dump_bytes, begin_dump(table, &plain, room), read_row, &dumping);
	/* NLM_F_DUMP_INTR doesn't tell of another size of the kernel's table */
	return end == 0 && limit_read(LIMIT_BUCKETS) != buckets ? 1 : end;
}

/* ---- one flow ---- */

static bool take_flow(void *context, const struct flow *flow)
{
	*(struct flow *)context = *flow;
	return false;
}

static int get(struct kernel_table *table, const struct nlmsghdr *request, struct flow *flow)
{
	struct dumping dumping = {take_flow, flow};

	flow->family = 0;
	return ask(table->work, table->work_bytes, request, read_row, &dumping);
}

int kernel_table_get(struct kernel_table *table, const struct flow *key, bool by_reply, struct flow *flow)
{
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	struct flow query = *key;
	int length;

	if (by_reply)
		query.orig = key->reply; /* the kernel looks among the tuples of both directions */
	length = convert_to_message(&query, CONVERT_FOR_KEY, NULL, IPCTNL_MSG_CT_GET, 0, ++table->sequence,
				    room, sizeof(room));
	return length < 0 ? length : get(table, (const struct nlmsghdr *)room, flow);
}

/* ---- changes ---- */

static int write_change(struct kernel_table *table, const struct kernel_change *change, uint32_t sequence)
{
	static const struct {
		enum convert_purpose purpose;
		uint16_t type, flags;
	} kinds[] = {
	    [KERNEL_CREATE] = {CONVERT_FOR_CREATE, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL},
	    [KERNEL_UPDATE] = {CONVERT_FOR_UPDATE, IPCTNL_MSG_CT_NEW, 0},
	    [KERNEL_DELETE] = {CONVERT_FOR_KEY, IPCTNL_MSG_CT_DELETE, 0},
	};
	struct convert_options options = {.timeout_s = change->has_timeout ? change->flow.timeout_s : 0};
	struct nlmsghdr *message = (struct nlmsghdr *)(table->batch + table->used);
	size_t room = sizeof(table->batch) - table->used;
	int length =
	    convert_to_message(&change->flow, kinds[change->kind].purpose, &options, kinds[change->kind].type,
			       kinds[change->kind].flags, sequence, message, room);

	/* 0 is "leave it alone" to convert_to_message(); here it may be meant */
	if (length > 0 && change->kind == KERNEL_UPDATE && change->has_timeout && !options.timeout_s) {
		if (!mnl_attr_put_u32_check(message, room, CTA_TIMEOUT, 0))
			return -ENOSPC;
		length = (int)message->nlmsg_len;
	}
	return length;
}

/* Takes the answers that have come.  True: that to `end` is among them. */
static bool take_answers(const struct kernel_table *table, int length, uint32_t end, uint32_t first,
			 int *errors, unsigned count)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)table->work_bytes;
	bool is_over = false;

	for (; length > 0 && mnl_nlmsg_ok(message, length); message = mnl_nlmsg_next(message, &length)) {
		uint32_t at = message->nlmsg_seq - first;

		if (message->nlmsg_type != NLMSG_ERROR || at >= count)
			continue;
		if (!errors[at])
			errors[at] = error_of(message);
		is_over |= message->nlmsg_seq == end;
	}
	return is_over;
}

/*
 * Sends a run of messages with sequence numbers from `first`, and reads the answers: those that fail
 * answer each for itself, in their order, and the last has to answer anyway.  errors[] has one for each
 * number; those that are not 0 beforehand stay.
 *
 * All is carried out and answered when the sending returns.  Where the last answer is not there then, the
 * whole was refused with one answer for the first: nfnetlink_rcv() does that to who may not.
 */
static void exchange(struct kernel_table *table, void *bytes, size_t used, struct nlmsghdr *last,
		     uint32_t first, int *errors, unsigned count)
{
	uint32_t end = last->nlmsg_seq;
	int failed = 0;
	bool is_over;

	last->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(table->work, bytes, used) < 0)
		failed = -errno;
	for (is_over = failed; !is_over;) {
		ssize_t length = recv(mnl_socket_get_fd(table->work), table->work_bytes,
				      sizeof(table->work_bytes), MSG_DONTWAIT);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0) {
			failed = errno == EAGAIN ? -EPERM : -errno;
			break;
		}
		is_over = take_answers(table, (int)length, end, first, errors, count);
	}
	for (unsigned i = 0; failed && i < count; i++)
		if (!errors[i])
			errors[i] = failed;
}

void kernel_table_change(struct kernel_table *table, const struct kernel_change *change,
			 kernel_table_done *done, void *context)
{
	size_t at = table->queued;
	int length;

	if (at == 0)
		table->first = table->sequence + 1;
	length = write_change(table, change, ++table->sequence);
	table->change[at] = *change;
	table->error[at] = length < 0 ? length : 0;
	if (length > 0) {
		table->last = (struct nlmsghdr *)(table->batch + table->used);
		table->used += (size_t)length;
	}
	if (++table->queued == BATCH)
		kernel_table_settle(table, done, context);
}

void kernel_table_settle(struct kernel_table *table, kernel_table_done *done, void *context)
{
	unsigned queued = (unsigned)table->queued;

	if (table->used)
		exchange(table, table->batch, table->used, table->last, table->first, table->error, queued);
	table->queued = table->used = 0;
	for (unsigned i = 0; i < queued; i++)
		done(context, &table->change[i], table->error[i]);
}

/* ---- creations prepared beforehand ---- */

enum { CREATIONS_BYTES = 60 * 1024 };

struct kernel_creations {
	unsigned count;
	uint32_t used, last;                   /* bytes; where the last message begins */
	int error[KERNEL_CREATIONS_MAX];       /* known before they are sent */
	uint32_t offset[KERNEL_CREATIONS_MAX]; /* of each message */
	_Alignas(8) uint8_t bytes[CREATIONS_BYTES];
};

struct kernel_creations *kernel_creations_new(void)
{
	struct kernel_creations *batch = malloc(sizeof(*batch));

	if (batch)
		kernel_creations_clear(batch);
	return batch;
}

void kernel_creations_clear(struct kernel_creations *batch)
{
	batch->count = batch->used = batch->last = 0;
}

bool kernel_creations_have_room(const struct kernel_creations *batch)
{
	return batch->count < KERNEL_CREATIONS_MAX &&
	       batch->used + CONVERT_MESSAGE_MAX <= sizeof(batch->bytes);
}

unsigned kernel_creations_add(struct kernel_creations *batch, const struct flow *flow, int error)
{
	const struct convert_options options = {.timeout_s = flow->timeout_s};
	unsigned at = batch->count++;
	int length = error;

	batch->offset[at] = batch->used;
	if (!error)
		length = convert_to_message(flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW,
					    NLM_F_CREATE | NLM_F_EXCL, at, batch->bytes + batch->used,
					    sizeof(batch->bytes) - batch->used);
	batch->error[at] = length < 0 ? length : 0;
	if (length > 0) {
		batch->last = batch->used;
		batch->used += (uint32_t)length;
	}
	return at;
}

unsigned kernel_creations_count(const struct kernel_creations *batch)
{
	return batch->count;
}

const struct nlmsghdr *kernel_creations_message(const struct kernel_creations *batch, unsigned at)
{
	return batch->error[at] ? NULL : (const struct nlmsghdr *)(batch->bytes + batch->offset[at]);
}

unsigned kernel_creations_send(struct kernel_table *table, struct kernel_creations *batch,
			       int errors[KERNEL_CREATIONS_MAX])
{
	uint32_t first = table->sequence + 1;

	memcpy(errors, batch->error, batch->count * sizeof(errors[0]));
	if (!batch->used)
		return batch->count;
	for (unsigned i = 0; i < batch->count; i++)
		if (!batch->error[i])
			((struct nlmsghdr *)(batch->bytes + batch->offset[i]))->nlmsg_seq = first + i;
	table->sequence += batch->count;
	exchange(table, batch->bytes, batch->used, (struct nlmsghdr *)(batch->bytes + batch->last), first,
		 errors, batch->count);
	return batch->count;
}

static void ignore_end(void *context, const struct kernel_change *change, int error)
{
	(void)context;
	(void)change;
	(void)error;
}

void kernel_creations_undo(struct kernel_table *table, const struct kernel_creations *batch, unsigned from,
			   const int errors[KERNEL_CREATIONS_MAX])
{
	for (unsigned i = from; i < batch->count; i++) {
		struct kernel_change change = {.kind = KERNEL_DELETE};
		enum convert_kind kind;

		if (errors[i] ||
		    convert_from_message(kernel_creations_message(batch, i), &change.flow, &kind))
			continue;
		kernel_table_change(table, &change, ignore_end, NULL);
	}
	kernel_table_settle(table, ignore_end, NULL);
}

int kernel_table_flush(struct kernel_table *table, bool expectations, uint8_t family)
{
	_Alignas(8) uint8_t room[256];
	uint8_t subsystem = expectations ? NFNL_SUBSYS_CTNETLINK_EXP : NFNL_SUBSYS_CTNETLINK;
	uint8_t type = expectations ? IPCTNL_MSG_EXP_DELETE : IPCTNL_MSG_CT_DELETE;

	struct nlmsghdr *request = begin(table, room, subsystem, type, NLM_F_ACK, family);

	/* only version 1 means the family that it names (ctnetlink_del_conntrack()) */
	((struct nfgenmsg *)mnl_nlmsg_get_payload(request))->version = family ? 1 : NFNETLINK_V0;
	return ask(table->work, table->work_bytes, request, NULL, NULL);
}

/* ---- numbers ---- */

struct counting {
	kernel_table_counter *counter;
	void *context;
	const char *const *names;
	unsigned most;
	uint32_t count;
};

static int read_counter(void *context, const struct attribute *attribute)
{
	const struct counting *counting = context;
	uint32_t value;

	if (attribute->type > counting->most || !counting->names[attribute->type] ||
	    attribute_get_u32(attribute, &value))
		return 0;
	counting->counter(counting->context, counting->names[attribute->type], value);
	return 0;
}

static int read_stats(void *context, const struct nlmsghdr *message)
{
	const struct counting *counting = context;
	const struct nfgenmsg *nfgen = mnl_nlmsg_get_payload(message);
	size_t length = mnl_nlmsg_get_payload_len(message);

	if (length < sizeof(*nfgen))
		return -EBADMSG;
	counting->counter(counting->context, "cpu", be16toh(nfgen->res_id));
	return attribute_walk((const uint8_t *)(nfgen + 1), length - sizeof(*nfgen), read_counter, context);
}

int kernel_table_stats(struct kernel_table *table, bool expectations, kernel_table_counter *counter,
		       void *context)
{
	static const char *const flow_names[CTA_STATS_CHAIN_TOOLONG + 1] = {
	    [CTA_STATS_FOUND] = "found",
	    [CTA_STATS_INVALID] = "invalid",
	    [CTA_STATS_INSERT] = "insert",
	    [CTA_STATS_INSERT_FAILED] = "insert_failed",
	    [CTA_STATS_DROP] = "drop",
	    [CTA_STATS_EARLY_DROP] = "early_drop",
	    [CTA_STATS_ERROR] = "error",
	    [CTA_STATS_SEARCH_RESTART] = "search_restart",
	    [CTA_STATS_CLASH_RESOLVE] = "clash_resolve",
	    [CTA_STATS_CHAIN_TOOLONG] = "chaintoolong",
	};
	static const char *const expect_names[CTA_STATS_EXP_DELETE + 1] = {
	    [CTA_STATS_EXP_NEW] = "expect_new",
	    [CTA_STATS_EXP_CREATE] = "expect_create",
	    [CTA_STATS_EXP_DELETE] = "expect_delete",
	};
	struct counting counting = {counter, context, expectations ? expect_names : flow_names,
				    expectations ? CTA_STATS_EXP_DELETE : CTA_STATS_CHAIN_TOOLONG, 0};
	_Alignas(8) uint8_t room[256];
	uint8_t subsystem = expectations ? NFNL_SUBSYS_CTNETLINK_EXP : NFNL_SUBSYS_CTNETLINK;
	uint8_t type = expectations ? IPCTNL_MSG_EXP_GET_STATS_CPU : IPCTNL_MSG_CT_GET_STATS_CPU;

	return ask(table->work, table->work_bytes, begin(table, room, subsystem, type, NLM_F_DUMP, 0),
		   read_stats, &counting);
}

static int read_count_attribute(void *context, const struct attribute *attribute)
{
	return attribute->type == CTA_STATS_GLOBAL_ENTRIES ? attribute_get_u32(attribute, context) : 0;
}

static int read_count(void *context, const struct nlmsghdr *message)
{
	const uint8_t *bytes = mnl_nlmsg_get_payload(message);
	size_t length = mnl_nlmsg_get_payload_len(message);
	int error;

	if (length < sizeof(struct nfgenmsg))
		return -EBADMSG;
	error = attribute_walk(bytes + sizeof(struct nfgenmsg), length - sizeof(struct nfgenmsg),
			       read_count_attribute, context);
	return error ? error : 1;
}

int kernel_table_count(struct kernel_table *table, uint32_t *count)
{
	_Alignas(8) uint8_t room[256];

	*count = 0;
	return ask(table->work, table->work_bytes,
		   begin(table, room, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS, 0, 0), read_count,
		   count);
}

struct nlmsghdr *kernel_table_begin(struct kernel_table *table, void *room, uint8_t subsystem, uint8_t type,
				    uint16_t flags, uint8_t family)
{
	return begin(table, room, subsystem, type, flags, family);
}

int kernel_table_ask(struct kernel_table *table, const struct nlmsghdr *request, kernel_table_answer *answer,
		     void *context)
{
	return ask(table->work, table->work_bytes, request, answer, context);
}
