/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/connection.h"

#include <string.h>

/* What kind of connection a number is: its last four bits. */
static uint8_t protocol_of(uint32_t number)
{
	switch (number & 15) {
	case 9:
	case 10:
	case 13:
		return PROTOCOL_UDP;
	case 12:
		return PROTOCOL_ICMP;
	default:
		return PROTOCOL_TCP;
	}
}

static bool is_ipv6(uint32_t number)
{
	return (number & 15) == 11 || (number & 15) == 13;
}

bool connection_is_related(uint32_t number)
{
	return (number & 15) == 15;
}

static void write_address(uint8_t *address, bool ipv6, uint8_t first, uint32_t number)
{
	uint8_t *last = address + (ipv6 ? 12 : 0);

	if (ipv6)
		address[0] = 0xfd;
	last[0] = first;
	last[1] = (uint8_t)(number >> 16);
	last[2] = (uint8_t)(number >> 8);
	last[3] = (uint8_t)number;
}

static void write_original(uint32_t number, struct flow *flow)
{
	bool ipv6 = is_ipv6(number);

	flow->family = ipv6 ? FLOW_IPV6 : FLOW_IPV4;
	flow->protocol = protocol_of(number);
	flow->zone = (number & 15) == 14 ? 7 : 0;
	write_address(flow->orig.src, ipv6, 10, number);
	write_address(flow->orig.dst, ipv6, 198, 7);
	if (flow->protocol == PROTOCOL_ICMP) {
		flow->orig.icmp_id = (uint16_t)(number * 7);
		flow->orig.icmp_type = 8;
	} else {
		flow->orig.sport = (uint16_t)(1024 + number % 60000);
		flow->orig.dport = 443;
	}
}

static void write_progress(const struct connection *connection, struct flow *flow)
{
	static const uint8_t tcp_states[CONNECTION_STATES] = {FLOW_TCP_SYN_SENT, FLOW_TCP_SYN_RECV,
							      FLOW_TCP_ESTABLISHED, FLOW_TCP_FIN_WAIT,
							      FLOW_TCP_TIME_WAIT};

	flow->status |= FLOW_STATUS_CONFIRMED;
	if (connection->state >= CONNECTION_REPLIED)
		flow->status |= FLOW_STATUS_SEEN_REPLY;
	if (connection->state >= CONNECTION_ASSURED)
		flow->status |= FLOW_STATUS_ASSURED;
	if (flow->protocol != PROTOCOL_TCP)
		return;
	flow->present |= FLOW_HAS_TCP;
	flow->tcp.state = tcp_states[connection->state];
	flow->tcp.wscale[0] = flow->tcp.wscale[1] = 7;
	flow->tcp.flags[0] = flow->tcp.flags[1] = FLOW_TCP_FLAG_WINDOW_SCALE;
}

void connection_flow(uint32_t number, const struct connection *connection, struct flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	flow->present = FLOW_HAS_REPLY | FLOW_HAS_STATUS;
	write_original(number, flow);
	flow->reply = flow_tuple_mirror(&flow->orig, flow->protocol);
	if (flow->protocol != PROTOCOL_ICMP) { /* source NAT */
		write_address(flow->reply.dst, flow->family == FLOW_IPV6, 203, 1);
		flow->reply.dport = (uint16_t)(1024 + (number * 4 + connection->nat) % 60000);
		flow->status = FLOW_STATUS_SRC_NAT | FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;
	}
	write_progress(connection, flow);
	flow->mark = connection->mark;
	if (flow->mark)
		flow->present |= FLOW_HAS_MARK;
	if (connection_is_related(number)) {
		struct flow master = {0};

		write_original(number - 1, &master);
		flow->present |= FLOW_HAS_MASTER;
		flow->status |= FLOW_STATUS_EXPECTED;
		flow->master = master.orig;
		flow->master_protocol = master.protocol;
		flow->master_zone = master.zone;
	}
}

bool connection_number(const struct flow *flow, uint32_t *number)
{
	const uint8_t *last = flow->orig.src + (flow->family == FLOW_IPV6 ? 12 : 0);
	uint32_t n = (uint32_t)last[1] << 16 | (uint32_t)last[2] << 8 | last[3];
	struct flow expected = {0};

	if (n >= CONNECTIONS_MAX)
		return false;
	write_original(n, &expected);
	*number = n;
	return flow_key_equals(flow, &expected);
}

struct connection connection_of(const struct flow *flow)
{
	struct connection c = {.mark = (uint8_t)(flow->present & FLOW_HAS_MARK ? flow->mark : 0)};

	if (flow->protocol != PROTOCOL_ICMP)
		c.nat = (uint8_t)((uint32_t)(flow->reply.dport - 1024) & 3);
	if (flow->protocol != PROTOCOL_TCP)
		c.state = flow->status & FLOW_STATUS_ASSURED      ? CONNECTION_ASSURED
			  : flow->status & FLOW_STATUS_SEEN_REPLY ? CONNECTION_REPLIED
								  : CONNECTION_NEW;
	else if (flow->tcp.state == FLOW_TCP_TIME_WAIT)
		c.state = CONNECTION_CLOSED;
	else if (flow->tcp.state >= FLOW_TCP_SYN_SENT && flow->tcp.state <= FLOW_TCP_FIN_WAIT)
		c.state = (uint8_t)(flow->tcp.state - FLOW_TCP_SYN_SENT);
	return c;
}

bool connection_tells_nat(uint32_t number)
{
	return protocol_of(number) != PROTOCOL_ICMP;
}

bool connection_is_closed(uint32_t number, const struct connection *connection)
{
	return protocol_of(number) == PROTOCOL_TCP && connection->state >= CONNECTION_CLOSING;
}

uint32_t connection_timeout_s(uint32_t number, const struct connection *connection)
{
	static const uint32_t tcp[CONNECTION_STATES] = {60, 60, 3600, 120, 30};

	if (protocol_of(number) != PROTOCOL_TCP)
		return connection->state == CONNECTION_ASSURED ? 120 : 30;
	return tcp[connection->state];
}
