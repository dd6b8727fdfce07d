/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/dump.h"

#include "syncd/daemon/clock.h"

#include <errno.h>
#include <stdlib.h>

enum { PIECE = 64 << 10, SEARCH = 4096 /* entries looked at for expectations in one go */ };

struct dump {
	const struct drive *drive;
	enum dump_table table;
	uint16_t only;  /* peer; 0: all */
	uint16_t node;  /* whose table is being read; 0: the internal one */
	uint64_t after; /* version up to which it was sent */
	bool done;
};

/* The peer with the lowest id above `id`; 0: none. */
static uint16_t next_peer(const struct drive *drive, uint16_t id)
{
	const struct node *node = drive_node(drive);
	struct monotime now = clock_now();
	struct node_view view;
	uint16_t next = 0;
	node_view(node, now, &view);
	for (unsigned i = 0; i < view.peers; i++) {
		struct node_peer_view peer;
		node_peer_view(node, now, i, &peer);
		if (peer.id > id && (next == 0 || peer.id < next))
			next = peer.id;
	}
	return next;
}

static const struct table *current_table(const struct dump *dump)
{
	const struct node *node = drive_node(dump->drive);
	return dump->node == 0 ? node_internal(node) : node_external(node, dump->node);
}

bool dump_is_external(enum dump_table table)
{
	return table == DUMP_EXTERNAL || table == DUMP_EXTERNAL_EXPECT;
}

bool dump_is_of_expects(enum dump_table table)
{
	return table == DUMP_INTERNAL_EXPECT || table == DUMP_EXTERNAL_EXPECT;
}

static void step_to_next_table(struct dump *dump)
{
	dump->after = 0;
	dump->node =
	    dump_is_external(dump->table) && dump->only == 0 ? next_peer(dump->drive, dump->node) : 0;
	dump->done = dump->node == 0;
}

/* Writes records of the current table until the piece is full.  False at its end. */
static bool fill(struct dump *dump, struct writer *w)
{
	const struct table *table = current_table(dump);
	struct table_entry *entry;
	unsigned seen = 0;
	if (table == NULL)
		return false;
	bool of_expects = dump_is_of_expects(dump->table);
	struct table_walk walk = of_expects ? table_walk_records_after(table, dump->after)
					    : table_walk_after(table, dump->after, false);
	while ((entry = table_walk_next(&walk)) != NULL) {
		if (of_expects && seen++ == SEARCH)
			return true;
		if (record_is_expect(entry->bytes) != of_expects) {
			dump->after = walk.version;
			continue;
		}
		size_t length = record_length(entry->bytes);
		if (writer_room(w) < 6 + length)
			return true;
		writer_u16(w, dump->node);
		writer_u32(w, dump->node == 0 ? entry->tag : 0);
		writer_bytes(w, entry->bytes, length);
		dump->after = walk.version;
	}
	return false;
}

static void more(void *context, struct control_client *client)
{
	struct dump *dump = context;
	uint8_t piece[PIECE];
	struct writer w = writer_over(piece, sizeof(piece));
	if (!dump->done && !fill(dump, &w)) /* done at once: there is no peer */
		step_to_next_table(dump);
	if (writer_length(&w) > 0)
		control_send(client, MESSAGE_RECORDS, piece, writer_length(&w));
	if (dump->done)
		control_finish(client, 0, "%s", "");
}

static void gone(void *context, struct control_client *client)
{
	(void)client;
	free(context);
}

void dump_start(struct control_client *client, const struct drive *drive, enum dump_table table,
		uint16_t peer)
{
	struct dump *dump = calloc(1, sizeof(*dump));
	if (dump == NULL) {
		control_finish(client, 1, "out of memory");
		return;
	}
	*dump = (struct dump){.drive = drive, .table = table, .only = peer, .node = peer};
	if (dump_is_external(table) && peer == 0)
		step_to_next_table(dump);
	control_set_stream(client, more, gone, dump);
}

static int64_t count_in(const struct table *table, bool of_expects)
{
	return (int64_t)(of_expects ? table_records(table) - table_count(table) : table_count(table));
}

int64_t dump_count(const struct drive *drive, enum dump_table table, uint16_t peer)
{
	const struct node *node = drive_node(drive);
	bool of_expects = dump_is_of_expects(table);
	if (!dump_is_external(table))
		return count_in(node_internal(node), of_expects);
	if (peer != 0)
		return node_external(node, peer) != NULL ? count_in(node_external(node, peer), of_expects)
							 : -ENOENT;
	int64_t count = 0;
	for (uint16_t id = next_peer(drive, 0); id != 0; id = next_peer(drive, id))
		if (node_external(node, id) != NULL)
			count += count_in(node_external(node, id), of_expects);
	return count;
}
