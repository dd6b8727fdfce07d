/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams records of the internal table or of external ones to a client, a piece whenever it has room.
 */
#ifndef DAEMON_DUMP_H
#define DAEMON_DUMP_H

#include "syncd/daemon/control.h"
#include "syncd/daemon/drive.h"

/* Of flows, or of expectations. */
enum dump_table { DUMP_INTERNAL, DUMP_EXTERNAL, DUMP_INTERNAL_EXPECT, DUMP_EXTERNAL_EXPECT };

bool dump_is_external(enum dump_table table);
bool dump_is_of_expects(enum dump_table table);

/* `peer`: whose external table; 0: all.  Answers the client by itself. */
void dump_start(struct control_client *client, const struct drive *drive, enum dump_table table,
		uint16_t peer);

/* How many flows, or expectations, that names; -ENOENT: there is no such peer. */
int64_t dump_count(const struct drive *drive, enum dump_table table, uint16_t peer);

#endif
