/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hot paths, each in a function of its own, for an instruction counter (scripts/check-instructions runs
 * it under callgrind).  What it works on is always the same, so that the count is.
 *
 *   hotpath [OPERATIONS]     of each kind; default 2000
 *
 * The flows are IPv4 TCP behind SNAT with a mark.
 */
#include "proto/frame.h"
#include "proto/local.h"
#include "proto/receive.h"
#include "syncd/kernel/convert.h"
#include "tool.h"

#include <linux/netfilter/nfnetlink_conntrack.h>

#define OPERATION __attribute__((noinline))

enum { OPERATIONS_MAX = 1 << 20, ROOM = 1400, EVENT_MAX = 512 };

struct hotpath {
	uint32_t count;
	struct flow *flows;
	uint8_t (*records)[RECORD_MAX];
	uint8_t (*events)[EVENT_MAX];
	uint64_t sum; /* of what the operations came to, so that none is left out */
};

static struct flow flow_number(uint32_t i)
{
	struct flow flow = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};

	memcpy(flow.orig.src, (uint8_t[]){10, 0, (uint8_t)(i >> 16), 1}, 4);
	memcpy(flow.orig.dst, (uint8_t[]){198, 51, 100, 2}, 4);
	flow.orig.sport = (uint16_t)i;
	flow.orig.dport = 443;
	flow.reply = flow_tuple_mirror(&flow.orig, flow.protocol);
	memcpy(flow.reply.dst, (uint8_t[]){192, 0, 2, 1}, 4);
	flow.reply.dport = (uint16_t)(i * 7 + 1);
	flow.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK | FLOW_HAS_TCP;
	flow.status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_CONFIRMED;
	flow.timeout_s = 432000;
	flow.mark = 0x10;
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	return flow;
}

OPERATION static void op_encode(struct hotpath *h)
{
	for (uint32_t i = 0; i < h->count; i++)
		h->sum += record_encode(&h->flows[i], h->records[i]);
}

OPERATION static void op_decode(struct hotpath *h)
{
	struct flow flow;

	for (uint32_t i = 0; i < h->count; i++) {
		record_decode(h->records[i], &flow);
		h->sum += flow.mark;
	}
}

OPERATION static void op_check(struct hotpath *h)
{
	size_t length;

	for (uint32_t i = 0; i < h->count; i++)
		h->sum += record_check(h->records[i], RECORD_MAX, &length);
}

OPERATION static void op_insert(struct hotpath *h, struct table *table)
{
	struct table_entry *entry;

	for (uint32_t i = 0; i < h->count; i++)
		h->sum += table_put(table, h->records[i], &entry);
}

OPERATION static void op_lookup(struct hotpath *h, struct table *table)
{
	for (uint32_t i = 0; i < h->count; i++)
		h->sum += table_find(table, record_key(h->records[i])) != NULL;
}

OPERATION static void op_remove(struct hotpath *h, struct table *table)
{
	for (uint32_t i = 0; i < h->count; i++)
		h->sum += table_remove(table, table_find(table, record_key(h->records[i])));
}

OPERATION static void op_event(struct hotpath *h, struct local *local)
{
	struct flow flow;
	enum convert_kind kind;

	for (uint32_t i = 0; i < h->count; i++) {
		h->sum += (uint64_t)convert_from_message((const struct nlmsghdr *)h->events[i], &flow, &kind);
		local_flow_new(local, &flow);
	}
}

OPERATION static void op_message(struct hotpath *h)
{
	const struct convert_options options = {.timeout_s = 3600, .tcp_liberal = true};

	for (uint32_t i = 0; i < h->count; i++)
		h->sum += (uint64_t)convert_to_message(&h->flows[i], CONVERT_FOR_CREATE, &options,
						       IPCTNL_MSG_CT_NEW, 0, i, h->events[i], EVENT_MAX);
}

OPERATION static void op_apply(struct hotpath *h, struct receive *receive, const uint8_t *body, size_t length)
{
	h->sum += receive_data(receive, reader_over(body, length), monotime_from_s(1));
}

/* As many records as fill a datagram; returns how many. */
static uint32_t put_records(struct hotpath *h, struct writer *w, uint32_t from)
{
	struct frame_data_writer d;
	struct frame_data data = {.from = from, .asof = h->count};
	uint32_t i = from;

	if (!frame_data_begin(&d, w))
		tool_die("a frame does not fit %d bytes", ROOM);
	while (i < h->count && frame_data_put_record(&d, h->records[i]))
		i++;
	data.to = i;
	frame_data_end(&d, &data);
	return i - from;
}

static void apply_all(struct hotpath *h)
{
	struct receive *receive = calloc(1, sizeof(*receive));

	if (!receive)
		tool_die("out of memory");
	receive_init(receive, table_create(h->count, 0, 1));
	for (uint32_t from = 0; from < h->count;) {
		uint8_t bytes[ROOM];
		struct writer w = writer_over(bytes, sizeof(bytes));

		from += put_records(h, &w, from);
		op_apply(h, receive, bytes + FRAME_MESSAGE_HEADER_SIZE,
			 writer_length(&w) - FRAME_MESSAGE_HEADER_SIZE);
	}
	if (table_count(receive->table) != h->count)
		tool_die("%zu of %u applied", table_count(receive->table), h->count);
	receive_destroy(receive);
	free(receive);
}

static void get_none(void *context, const struct flow *key)
{
	(void)context;
	(void)key;
}

static void event_all(struct hotpath *h)
{
	struct table *table = table_create(h->count, h->count, 1);
	struct local local;

	local_init(&local, table, 2, get_none, NULL);
	op_event(h, &local);
	if (table_count(table) != h->count)
		tool_die("%zu of %u events taken in", table_count(table), h->count);
	local_destroy(&local);
}

int main(int argc, char **argv)
{
	struct hotpath h = {
	    .count = argc > 1 ? (uint32_t)tool_number("operations", argv[1], 1, OPERATIONS_MAX) : 2000};
	struct table *table = table_create(h.count, h.count, 1);

	h.flows = calloc(h.count, sizeof(*h.flows));
	h.records = calloc(h.count, sizeof(*h.records));
	h.events = calloc(h.count, sizeof(*h.events));
	if (!table || !h.flows || !h.records || !h.events)
		tool_die("out of memory");
	for (uint32_t i = 0; i < h.count; i++)
		h.flows[i] = flow_number(i);
	op_encode(&h);
	op_decode(&h);
	op_check(&h);
	op_insert(&h, table);
	op_lookup(&h, table);
	op_remove(&h, table);
	op_message(&h);
	event_all(&h);
	apply_all(&h);
	printf("{\"operations\":%u,\"checksum\":%llu}\n", h.count, (unsigned long long)h.sum);
	table_destroy(table);
	free(h.flows);
	free(h.records);
	free(h.events);
	return 0;
}
