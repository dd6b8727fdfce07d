/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int kernel_init(struct kernel *kernel, uint32_t numbers, uint32_t max, uint32_t queue_max)
{
	memset(kernel, 0, sizeof(*kernel));
	kernel->flows = calloc(numbers, sizeof(*kernel->flows));
	kernel->queue = calloc(queue_max, sizeof(*kernel->queue));
	kernel->begun_us = calloc(numbers, sizeof(*kernel->begun_us));
	kernel->ended_us = calloc(numbers, sizeof(*kernel->ended_us));
	kernel->closed_us = calloc(numbers, sizeof(*kernel->closed_us));
	kernel->expired_us = calloc(numbers, sizeof(*kernel->expired_us));
	kernel->numbers = numbers;
	kernel->max = max;
	kernel->queue_max = kernel->queue_limit = queue_max;
	return kernel->flows && kernel->queue && kernel->begun_us && kernel->ended_us && kernel->closed_us &&
		       kernel->expired_us
		   ? 0
		   : -ENOMEM;
}

void kernel_finish(struct kernel *kernel)
{
	free(kernel->flows);
	free(kernel->queue);
	free(kernel->begun_us);
	free(kernel->ended_us);
	free(kernel->closed_us);
	free(kernel->expired_us);
}

void kernel_reset(struct kernel *kernel)
{
	memset(kernel->flows, 0, kernel->numbers * sizeof(*kernel->flows));
	kernel->count = 0;
	kernel_listen(kernel, false);
}

void kernel_listen(struct kernel *kernel, bool listening)
{
	kernel->listening = listening;
	kernel->overrun = kernel->congested = false;
	kernel->queue_count = 0;
}

/* ---- events ---- */

static void queue_event(struct kernel *kernel, enum node_event_type type, uint32_t number, uint32_t parts,
			int64_t now_us)
{
	const struct kernel_flow *flow = &kernel->flows[number];
	uint32_t at;

	if (!kernel->listening || !flow->has_events)
		return;
	if (!kernel->congested && kernel->queue_count >= kernel->queue_limit) {
		kernel->overruns++;
		kernel->overrun = kernel->congested = true;
	}
	if (kernel->congested)
		return;
	if (!kernel->queue_count)
		kernel->readable_us = now_us;
	at = (kernel->queue_first + kernel->queue_count++) % kernel->queue_max;
	kernel->queue[at] = (struct kernel_event){type, number, parts, *flow};
}

static void flow_of(const struct kernel_flow *known, uint32_t number, int64_t now_us, struct flow *flow)
{
	int64_t left_us = known->expires_us - now_us;

	connection_flow(number, &known->connection, flow);
	flow->present |= FLOW_HAS_TIMEOUT | FLOW_HAS_ID;
	flow->timeout_s = left_us > 0 ? (uint32_t)(left_us / 1000000) : 0;
	flow->id = known->id;
}

int kernel_read(struct kernel *kernel, enum node_event_type *type, struct flow *flow, int64_t now_us)
{
	const struct kernel_event *event = &kernel->queue[kernel->queue_first];

	if (kernel->overrun) { /* netlink_recvmsg(): the error comes before what is still queued */
		kernel->overrun = false;
		kernel->congested = kernel->queue_count > 0;
		return -ENOBUFS;
	}
	if (!kernel->queue_count)
		return 0;
	*type = event->type;
	flow_of(&event->flow, event->number, now_us, flow);
	if (event->type == NODE_FLOW_UPDATE) {
		flow->present &= FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_ID;
		flow->present |= event->parts;
	}
	kernel->queue_first = (kernel->queue_first + 1) % kernel->queue_max;
	if (!--kernel->queue_count)
		kernel->congested = false;
	return 1;
}

bool kernel_row(const struct kernel *kernel, uint32_t number, struct flow *flow, int64_t now_us)
{
	if (number >= kernel->numbers || !kernel->flows[number].present)
		return false;
	flow_of(&kernel->flows[number], number, now_us, flow);
	return true;
}

/* ---- changes ---- */

static bool add(struct kernel *kernel, uint32_t number, struct connection connection, uint32_t timeout_s,
		int64_t now_us)
{
	if (kernel->count >= kernel->max) {
		kernel->refused++;
		return false;
	}
	kernel->count++;
	kernel->flows[number] = (struct kernel_flow){
	    .present = true,
	    .has_events = kernel->listening || kernel->always_events,
	    .connection = connection,
	    .id = 1 + kernel->next_id % KERNEL_IDS,
	    .born = ++kernel->next_id,
	    .expires_us = now_us + timeout_s * INT64_C(1000000),
	    .lived_us = now_us,
	    .since_us = now_us,
	};
	return true;
}

bool kernel_packet_new(struct kernel *kernel, uint32_t number, struct connection connection, int64_t now_us)
{
	if (kernel->flows[number].present ||
	    !add(kernel, number, connection, connection_timeout_s(number, &connection), now_us))
		return false;
	kernel->flows[number].touched = true;
	kernel->begun_us[number] = now_us;
	queue_event(kernel, NODE_FLOW_NEW, number, 0, now_us);
	return true;
}

bool kernel_packet_changes(struct kernel *kernel, uint32_t number, struct connection connection,
			   int64_t now_us)
{
	struct kernel_flow *flow = &kernel->flows[number];
	struct flow whole;
	uint32_t parts = 0;

	if (!flow->present)
		return false;
	connection.nat = flow->connection.nat;
	if (connection.state == flow->connection.state && connection.mark == flow->connection.mark)
		return false;
	connection_flow(number, &connection, &whole);
	if (connection.state != flow->connection.state)
		parts |= whole.present & FLOW_HAS_TCP;
	if (connection.mark != flow->connection.mark)
		parts |= FLOW_HAS_MARK;
	flow->connection = connection;
	kernel_packet_refreshes(kernel, number, now_us);
	queue_event(kernel, NODE_FLOW_UPDATE, number, parts, now_us);
	return true;
}

void kernel_packet_refreshes(struct kernel *kernel, uint32_t number, int64_t now_us)
{
	struct kernel_flow *flow = &kernel->flows[number];

	flow->touched = true;
	flow->lived_us = now_us;
	flow->expires_us = now_us + connection_timeout_s(number, &flow->connection) * INT64_C(1000000);
}

bool kernel_destroy_flow(struct kernel *kernel, uint32_t number, int64_t now_us)
{
	if (!kernel->flows[number].present)
		return false;
	queue_event(kernel, NODE_FLOW_DESTROY, number, 0, now_us);
	kernel->ended_us[number] = now_us;
	if (connection_is_closed(number, &kernel->flows[number].connection))
		kernel->closed_us[number] = now_us;
	return kernel_delete(kernel, number);
}

bool kernel_delete(struct kernel *kernel, uint32_t number)
{
	if (!kernel->flows[number].present)
		return false;
	kernel->flows[number].present = false;
	kernel->count--;
	return true;
}

void kernel_expire(struct kernel *kernel, uint32_t slice, int64_t now_us)
{
	while (slice--) {
		uint32_t number = kernel->expire_next++ % kernel->numbers;

		if (!kernel->flows[number].present || kernel->flows[number].expires_us > now_us)
			continue;
		if (kernel->expires)
			kernel->expires(kernel->context, number);
		kernel_destroy_flow(kernel, number, now_us);
	}
}

/* ---- commit ---- */

static enum kernel_result commit_existing(struct kernel *kernel, uint32_t number, struct connection wanted,
					  uint32_t timeout_s, enum kernel_way way, int64_t now_us)
{
	struct kernel_flow *flow = &kernel->flows[number];
	int64_t expires_us = now_us + timeout_s * INT64_C(1000000);

	if (way == KERNEL_COPIES && !connection_tells_nat(number))
		wanted.nat = flow->connection.nat;
	if (wanted.nat != flow->connection.nat) {
		if (way == KERNEL_COPIES ||
		    (way == KERNEL_FENCE_OPEN && flow->connection.state >= CONNECTION_ASSURED))
			return KERNEL_CLASH;
		flow->present = false;
		kernel->count--;
		return add(kernel, number, wanted, timeout_s, now_us) ? KERNEL_REPLACED : KERNEL_TABLE_FULL;
	}
	if (wanted.state < flow->connection.state)
		return KERNEL_KEPT;
	if (wanted.state == flow->connection.state && wanted.mark == flow->connection.mark &&
	    expires_us <= flow->expires_us)
		return KERNEL_KEPT;
	flow->connection = wanted;
	flow->touched = false;
	if (expires_us > flow->expires_us)
		flow->expires_us = expires_us;
	return KERNEL_UPDATED;
}

enum kernel_result kernel_commit(struct kernel *kernel, const struct flow *flow, uint32_t timeout_s,
				 enum kernel_way way, int64_t now_us, struct flow *result)
{
	struct connection wanted = connection_of(flow);
	enum kernel_result end = KERNEL_CREATED;
	uint32_t number;

	if (!connection_number(flow, &number) || number >= kernel->numbers)
		return KERNEL_NOT_OURS;
	if (!timeout_s)
		end = KERNEL_EXPIRED;
	else if (kernel->flows[number].present)
		end = commit_existing(kernel, number, wanted, timeout_s, way, now_us);
	else if (connection_is_related(number) && !kernel->flows[number - 1].present)
		end = KERNEL_NO_MASTER;
	else if (!add(kernel, number, wanted, timeout_s, now_us))
		end = KERNEL_TABLE_FULL;
	if (end == KERNEL_EXPIRED)
		kernel->expired_us[number] = now_us;
	kernel_row(kernel, number, result, now_us);
	if (end == KERNEL_CREATED || end == KERNEL_REPLACED)
		result->present &= ~(uint32_t)FLOW_HAS_ID; /* the answer to a create does not name it */
	return end;
}

bool kernel_refresh(struct kernel *kernel, uint32_t number, uint32_t timeout_s, int64_t now_us)
{
	if (!kernel->flows[number].present)
		return false;
	kernel->flows[number].expires_us = now_us + timeout_s * INT64_C(1000000);
	return true;
}

void kernel_note_origin(struct kernel *kernel, uint32_t number, int64_t begun_us)
{
	kernel->flows[number].lived_us = begun_us;
}
