/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/snapshot.h"

#include "proto/node_state.h"

#include <errno.h>
#include <string.h>

enum { FORMAT_VERSION = 1, INSTANCE_KNOWN = 1 << 0, IS_EXACT = 1 << 1, BATCH_SIZE = 64 << 10 };

static const uint8_t magic[8] = "TWTSNAP", end_mark[SNAPSHOT_END_SIZE] = {'E', 'N', 'D', '\n'};

/* ---- writing ---- */

/* What is to be written of a table; `table` is borrowed. */
struct written {
	uint16_t owner;
	bool instance_is_known, is_exact;
	uint32_t term;
	struct seal_session_id session;
	struct frame_kernel_instance instance;
	uint64_t version;
	struct monotime proven_at;
	const struct table *table;
};

struct output {
	snapshot_sink *sink;
	void *context;
	uint8_t bytes[BATCH_SIZE];
	size_t length;
	int error;
};

static void flush(struct output *output)
{
	if (!output->error && output->length)
		output->error = output->sink(output->context, output->bytes, output->length);
	output->length = 0;
}

/* Room for that many bytes, at most BATCH_SIZE. */
static struct writer room_for(struct output *output, size_t length)
{
	if (BATCH_SIZE - output->length < length)
		flush(output);
	return writer_over(output->bytes + output->length, length);
}

static void write_instance(struct writer *w, const struct frame_kernel_instance *instance)
{
	writer_bytes(w, instance->boot_id, sizeof(instance->boot_id));
	writer_u64(w, instance->netns_cookie);
}

static void write_table(struct output *output, const struct written *what)
{
	struct table_walk walk = table_walk_after(what->table, 0, false);
	struct writer w = room_for(output, SNAPSHOT_TABLE_SIZE);
	const struct table_entry *entry;

	writer_u16(&w, what->owner);
	writer_u8(
	    &w, (uint8_t)((what->instance_is_known ? INSTANCE_KNOWN : 0) | (what->is_exact ? IS_EXACT : 0)));
	writer_u32(&w, what->term);
	writer_bytes(&w, what->session.bytes, sizeof(what->session.bytes));
	write_instance(&w, &what->instance);
	writer_u64(&w, what->version);
	writer_u64(&w, (uint64_t)what->proven_at.us);
	writer_u32(&w, (uint32_t)table_count(what->table));
	writer_u64(&w, table_digest(what->table));
	output->length += writer_length(&w);
	while (!output->error && (entry = table_walk_next(&walk)) != NULL) {
		size_t length = record_length(entry->bytes);

		w = room_for(output, length);
		writer_bytes(&w, entry->bytes, length);
		output->length += length;
	}
}

/* As primary we have committed it: it is in our kernel, and what we hold goes as soon as its owner is silent.
 */
static bool is_committed(const struct node *node, const struct written *what)
{
	struct claims claims = node->claims; /* claims_find() hands out what may be written to */
	const struct claim *claim = claims_find(&claims, what->owner, &what->session);

	return node->role.current == FRAME_ROLE_PRIMARY && claim &&
	       (claim->state == CLAIM_OPEN || claim->version >= what->version);
}

static void add(const struct node *node, struct written *list, unsigned *count, const struct written *what)
{
	if (table_count(what->table) && !is_committed(node, what))
		list[(*count)++] = *what;
}

/* The oldest of an owner first: the last one that is read stands before the others. */
static unsigned gather(const struct node *node, struct written list[NODE_TABLES_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++) {
		const struct peer *peer = &node->peers[i];

		if (!peer->id)
			continue;
		for (unsigned o = NODE_ORPHANS_MAX; o-- > 0;)
			if (peer->orphans[o].table &&
			    !(peer->orphans[o].is_taken && node->role.current == FRAME_ROLE_PRIMARY))
				add(node, list, &count,
				    &(struct written){.owner = peer->id,
						      .instance_is_known = peer->orphans[o].instance_is_known,
						      .instance = peer->orphans[o].instance,
						      .is_exact = peer->orphans[o].is_exact,
						      .term = peer->orphans[o].term,
						      .session = peer->orphans[o].session,
						      .version = peer->orphans[o].version,
						      .proven_at = peer->orphans[o].proven_at,
						      .table = peer->orphans[o].table});
		if (!session_exists(&peer->current))
			continue;
		add(node, list, &count,
		    &(struct written){.owner = peer->id,
				      .instance_is_known = peer->instance_is_known,
				      .instance = peer->instance,
				      .is_exact = receive_is_whole(&peer->receive) &&
						  !receive_has_stale(&peer->receive),
				      .term = peer->status.term,
				      .session = peer->current.id,
				      .version = receive_reach(&peer->receive),
				      .proven_at = peer->proven_at,
				      .table = peer->receive.table});
	}
	return count;
}

bool snapshot_has_content(const struct node *node)
{
	struct written list[NODE_TABLES_MAX];

	return gather(node, list) > 0;
}

int snapshot_write(const struct node *node, struct monotime now, snapshot_sink *sink, void *context,
		   struct snapshot_report *report)
{
	struct output output = {.sink = sink, .context = context};
	struct written list[NODE_TABLES_MAX];
	unsigned count = gather(node, list);
	struct writer w = room_for(&output, SNAPSHOT_HEADER_SIZE);

	writer_bytes(&w, magic, sizeof(magic));
	writer_u16(&w, FORMAT_VERSION);
	writer_u16(&w, node->config.id);
	write_instance(&w, &node->config.instance);
	writer_u64(&w, (uint64_t)now.us);
	writer_u16(&w, (uint16_t)count);
	output.length += writer_length(&w);
	*report = (struct snapshot_report){.tables = count};
	for (unsigned i = 0; i < count && !output.error; i++) {
		write_table(&output, &list[i]);
		report->flows += table_count(list[i].table);
	}
	w = room_for(&output, SNAPSHOT_END_SIZE);
	writer_bytes(&w, end_mark, sizeof(end_mark));
	output.length += writer_length(&w);
	flush(&output);
	return output.error;
}

/* ---- reading ---- */

static void read_instance(struct reader *r, struct frame_kernel_instance *instance)
{
	reader_bytes(r, instance->boot_id, sizeof(instance->boot_id));
	instance->netns_cookie = reader_u64(r);
}

/* The clock counts from this boot: a snapshot of another one, or of a time to come, says nothing of ours. */
static int read_header(const struct node *node, struct monotime now, struct reader *r, unsigned *tables)
{
	struct frame_kernel_instance instance;
	uint8_t found[sizeof(magic)];
	uint16_t version, id;
	uint64_t written_at;

	reader_bytes(r, found, sizeof(found));
	version = reader_u16(r);
	if (r->failed || memcmp(found, magic, sizeof(magic)) != 0)
		return -EINVAL;
	if (version != FORMAT_VERSION)
		return -EPROTONOSUPPORT;
	id = reader_u16(r);
	read_instance(r, &instance);
	written_at = reader_u64(r);
	*tables = reader_u16(r);
	if (r->failed || *tables > NODE_TABLES_MAX)
		return -EINVAL;
	if (id != node->config.id || written_at > (uint64_t)now.us ||
	    memcmp(instance.boot_id, node->config.instance.boot_id, sizeof(instance.boot_id)) != 0)
		return -ESTALE;
	return 0;
}

static int read_records(struct reader *r, struct table *table, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct table_entry *entry;
		size_t length;

		if (record_check(r->at, reader_left(r), &length) != RECORD_GOOD)
			return -EINVAL;
		switch (table_put(table, r->at, &entry)) {
		case TABLE_ADDED:
			break;
		case TABLE_FULL:
			return -ENOSPC;
		case TABLE_NO_MEMORY:
			return -ENOMEM;
		case TABLE_SAME:
		case TABLE_REPLACED:
			return -EINVAL; /* a table has each flow once */
		}
		reader_skip(r, length);
	}
	return 0;
}

/* One table; on success it is the caller's. */
static int read_table(struct node *node, struct monotime now, struct reader *r, uint16_t *owner,
		      struct peer_orphan *orphan)
{
	uint8_t flags;
	uint32_t count;
	uint64_t digest;
	int error;

	*owner = reader_u16(r);
	flags = reader_u8(r);
	orphan->term = reader_u32(r);
	reader_bytes(r, orphan->session.bytes, sizeof(orphan->session.bytes));
	read_instance(r, &orphan->instance);
	orphan->instance_is_known = (flags & INSTANCE_KNOWN) != 0;
	orphan->is_exact = (flags & IS_EXACT) != 0;
	orphan->is_restored = true;
	orphan->heard_at = UINT64_MAX; /* our versions were others */
	orphan->version = reader_u64(r);
	orphan->proven_at = monotime_from_us((int64_t)reader_u64(r));
	count = reader_u32(r);
	digest = reader_u64(r);
	if (r->failed || !*owner || *owner == node->config.id || (flags & ~(INSTANCE_KNOWN | IS_EXACT)) ||
	    orphan->proven_at.us < 0 || orphan->proven_at.us > now.us)
		return -EINVAL;
	if (count > node->config.max_flows)
		return -ENOSPC;
	orphan->table = table_create(node->config.max_flows, 0,
				     (uint64_t)node_random32(node) << 32 | node_random32(node));
	if (!orphan->table)
		return -ENOMEM;
	error = read_records(r, orphan->table, count);
	if (!error && table_digest(orphan->table) != digest)
		error = -EINVAL;
	if (error) {
		table_destroy(orphan->table);
		orphan->table = NULL;
	}
	return error;
}

struct found {
	uint16_t owner;
	struct peer_orphan orphan;
};

static struct peer *find_peer(struct node *node, uint16_t id)
{
	for (unsigned i = 0; i < FRAME_PEERS_MAX; i++)
		if (node->peers[i].id == id)
			return &node->peers[i];
	return NULL;
}

/* First a slot for each owner: one that stays unused serves another soon. */
static int install(struct node *node, struct found *found, unsigned count)
{
	struct peer *peer;

	for (unsigned i = 0; i < count; i++) {
		enum node_drop why = NODE_DROPS;

		if (!find_peer(node, found[i].owner))
			why = node_new_peer(node, found[i].owner, &peer);
		if (why != NODE_DROPS)
			return why == NODE_DROP_NO_MEMORY ? -ENOMEM : -ENOSPC;
	}
	for (unsigned i = 0; i < count; i++) {
		peer_add_orphan(find_peer(node, found[i].owner), &found[i].orphan);
		found[i].orphan.table = NULL;
	}
	return 0;
}

int snapshot_read(struct node *node, struct monotime now, const uint8_t *bytes, size_t length,
		  struct snapshot_report *report)
{
	struct reader r = reader_over(bytes, length);
	struct found found[NODE_TABLES_MAX];
	unsigned tables = 0, count = 0;
	int error = read_header(node, now, &r, &tables);

	*report = (struct snapshot_report){0};
	for (; !error && count < tables; count += !error) {
		memset(&found[count], 0, sizeof(found[count]));
		error = read_table(node, now, &r, &found[count].owner, &found[count].orphan);
	}
	if (!error) {
		uint8_t mark[SNAPSHOT_END_SIZE];

		reader_bytes(&r, mark, sizeof(mark));
		if (!reader_is_done(&r) || memcmp(mark, end_mark, sizeof(mark)) != 0)
			error = -EINVAL;
	}
	for (unsigned i = 0; i < count && !error; i++)
		report->flows += table_count(found[i].orphan.table);
	if (!error)
		error = install(node, found, count);
	for (unsigned i = 0; i < count; i++)
		table_destroy(found[i].orphan.table);
	report->tables = error ? 0 : count;
	return error;
}
