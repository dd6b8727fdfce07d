/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether what we send reaches a peer.  Small datagrams may arrive where large ones vanish: on a path whose
 * MTU is below that of our links, behind a router that keeps quiet about it.  Then heartbeats go both ways,
 * and no flow ever comes over.  What the peer says of our stream shows it: it hears us, and gets nowhere.
 */
#ifndef PROTO_REACH_H
#define PROTO_REACH_H

#include "proto/monotime.h"

#include <stdbool.h>
#include <stdint.h>

struct reach {
	uint64_t position; /* of our stream, as the peer said last */
	uint32_t full_id;  /* of the full catch-up that this is of; 0: none */
	struct monotime since;
	unsigned tries; /* STATUSes since then that told of no progress though data was under way */
	bool is_lost;
};

/*
 * A STATUS of the peer: so far it has our stream.  `awaits`: more was sent to it.  True when it has just
 * turned out that nothing arrives: several seconds long, and as many tries as no loss explains.
 */
bool reach_note(struct reach *reach, uint64_t position, uint32_t full_id, bool awaits, struct monotime now);

#endif
