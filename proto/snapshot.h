/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node holds for its peers, as bytes that a daemon leaves to the one that comes after it in the same
 * boot.  What is held for an owner that has died since is the only copy: no peer can send it again.
 *
 * The reader takes the bytes for a stranger's: every length, every record and every sum is checked, and
 * nothing is taken over unless all of it is good.
 *
 *      0      8   "TWTSNAP" and a zero
 *      8      2   version of this format: 1
 *     10      2   id of the node that wrote it
 *     12     24   its kernel instance: boot id (16), cookie of the network namespace (8)
 *     36      8   when, microseconds of the daemon's clock
 *     44      2   tables that follow
 *   --- each table --------------------------------------------------------------------------------------
 *      0      2   owner
 *      2      1   flags: bit 0 the owner's kernel instance is known, bit 1 the table is an exact copy
 *      3      4   the owner's term
 *      7     16   the owner's session
 *     23     24   the owner's kernel instance
 *     47      8   version of that session that the table is a copy of
 *     55      8   when the owner was last known to live, microseconds of the daemon's clock
 *     63      4   records
 *     67      8   their digest (table_digest())
 *     75      .   the records, each self-delimiting (record.h)
 *   --- end -----------------------------------------------------------------------------------------------
 *      0      4   "END\n"
 *
 * All numbers are big-endian.
 */
#ifndef PROTO_SNAPSHOT_H
#define PROTO_SNAPSHOT_H

#include "proto/node.h"

enum { SNAPSHOT_HEADER_SIZE = 46, SNAPSHOT_TABLE_SIZE = 75, SNAPSHOT_END_SIZE = 4 };

struct snapshot_report {
	unsigned tables;
	size_t flows;
};

/* Takes the next bytes; 0 or a negative errno, which ends the writing. */
typedef int snapshot_sink(void *context, const uint8_t *bytes, size_t length);

/* Whether there is anything to write. */
bool snapshot_has_content(const struct node *node);

/*
 * Writes what is held for all peers, orphans included; what this node has committed as primary is left out,
 * for it is in its kernel.  0, or what the sink returned.
 */
int snapshot_write(const struct node *node, struct monotime now, snapshot_sink *sink, void *context,
		   struct snapshot_report *report);

/*
 * Takes a snapshot over into a node that has heard nobody yet: each table becomes an orphan of its owner,
 * kept until the owner is proven in step again, or until a newer primary is (node.h).  0; -EINVAL: damaged;
 * -EPROTONOSUPPORT: of another format; -ESTALE: of another node, another boot, or of the future; -ENOSPC:
 * more flows than max_flows, or more owners than there can be; -ENOMEM.  Nothing is taken over unless 0 is
 * returned.
 */
int snapshot_read(struct node *node, struct monotime now, const uint8_t *bytes, size_t length,
		  struct snapshot_report *report);

#endif
