/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections of a simulated world: a connection is a number, and its number gives its original tuple.
 * So a model kernel is an array, and whatever a table holds can be told to be one of ours, or made up.
 */
#ifndef SIM_CONNECTION_H
#define SIM_CONNECTION_H

#include "proto/flow.h"

enum { CONNECTIONS_MAX = 1 << 22 };

/* How far it is: TCP has all of these, others the first three. */
enum connection_state {
	CONNECTION_NEW,
	CONNECTION_REPLIED,
	CONNECTION_ASSURED,
	CONNECTION_CLOSING,
	CONNECTION_CLOSED,
	CONNECTION_STATES,
};

struct connection {
	uint8_t state; /* enum connection_state */
	uint8_t nat;   /* which port it was translated to */
	uint8_t mark;
};

/* The flow as the kernel has it, whole, but without timeout and id. */
void connection_flow(uint32_t number, const struct connection *connection, struct flow *flow);

/* The number of the connection with that key; false: it is none of ours. */
bool connection_number(const struct flow *flow, uint32_t *number);

/* What a flow says of its connection. */
struct connection connection_of(const struct flow *flow);

/* Whether it is a related one, and so needs number - 1 in the kernel when it is created. */
bool connection_is_related(uint32_t number);

/* Whether its records tell to which port it was translated. */
bool connection_tells_nat(uint32_t number);

/* Its ends have said that they are done: what may still come of it keeps nothing alive. */
bool connection_is_closed(uint32_t number, const struct connection *connection);

/* The kernel's default timeout for its protocol and state, seconds. */
uint32_t connection_timeout_s(uint32_t number, const struct connection *connection);

#endif
