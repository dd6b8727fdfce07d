/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the seed corpora: valid samples of each kind, as FOLDER/TARGET/NAME.  The same each time.
 *
 *   build-fuzz/fuzz-corpus tests/fuzz/corpus
 */
#include "syncd/control/message.h"
#include "syncd/kernel/convert.h"
#include "syncd/kernel/expect.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"
#include "tests/fuzz/world.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_ROOM = 4096, SAMPLE_MAX = 64 << 10, SAMPLES = 24 };

static const char *root;

static void save(const char *target, const char *name, unsigned number, const void *bytes, size_t length)
{
	char path[PATH_ROOM];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, target);
	FUZZ_REQUIRE(mkdir(path, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s%u", root, target, name, number);
	file = fopen(path, "wb");
	FUZZ_REQUIRE(file && fwrite(bytes, 1, length, file) == length);
	FUZZ_REQUIRE(fclose(file) == 0);
}

static void copy_file(const char *target, const char *name, unsigned number, const char *from)
{
	uint8_t *bytes = malloc(SAMPLE_MAX);
	FILE *file = fopen(from, "rb");

	FUZZ_REQUIRE(bytes && file);
	save(target, name, number, bytes, fread(bytes, 1, SAMPLE_MAX, file));
	fclose(file);
	free(bytes);
}

/* ---- flows: records, netlink ---- */

static void save_netlink(const struct flow *flow, unsigned number)
{
	const struct convert_options options = {.timeout_s = 300};
	const size_t headers = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	_Alignas(8) uint8_t room[CONVERT_MESSAGE_MAX];
	int length = convert_to_message(flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW, NLM_F_CREATE,
					1, room, sizeof(room));

	if (length < 0)
		return;
	room[headers - 2] = number % 3 ? 0x80 | IPCTNL_MSG_CT_NEW : IPCTNL_MSG_CT_DELETE;
	room[headers - 1] = flow->family;
	save("netlink", "flow", number, room + headers - 2, (size_t)length - headers + 2);
}

static void save_expects(void)
{
	const size_t headers = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	struct flow master = plain_flow(3);

	for (unsigned i = 0; i < 4; i++) {
		struct expect expect = {.family = FLOW_IPV4,
					.protocol = i & 1 ? PROTOCOL_UDP : PROTOCOL_TCP,
					.master_protocol = PROTOCOL_TCP,
					.master = master.orig,
					.tuple = master.reply,
					.timeout_s = 300,
					.flags = (uint8_t)i,
					.class = (uint8_t)(i & 1),
					.helper = "ftp",
					.has_nat = i & 2};
		_Alignas(8) uint8_t room[EXPECT_MESSAGE_MAX];
		uint8_t record[RECORD_MAX];
		int length;

		memset(expect.mask_src, 0xff, 4);
		if (i & 2)
			strcpy(expect.function, "nat-follow-master");
		length = expect_to_message(&expect, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE, 1, room, sizeof(room));
		FUZZ_REQUIRE(length > 0);
		room[headers - 2] = 0xc0 | IPCTNL_MSG_EXP_NEW;
		room[headers - 1] = FLOW_IPV4;
		save("netlink", "expect", i, room + headers - 2, (size_t)length - headers + 2);
		save("record", "expect", i, record, record_encode_expect(&expect, record));
	}
}

static void save_flows(void)
{
	struct random random = {11};
	uint8_t record[RECORD_MAX];

	for (unsigned i = 0; i < SAMPLES; i++) {
		struct flow flow = i ? random_flow(&random) : snat_flow(1);

		save("record", "flow", i, record, record_encode(&flow, record));
		save_netlink(&flow, i);
	}
}

/* ---- DATA and STATUS, alone ---- */

static size_t write_data(struct random *random, uint8_t flags, unsigned entries, uint8_t *room, size_t size)
{
	struct frame_data data = {
	    .flags = flags, .from = 5, .to = 300, .asof = 300, .full_id = 3, .count = 2};
	struct writer w = writer_over(room, size);
	struct frame_data_writer d;

	FUZZ_REQUIRE(frame_data_begin(&d, &w));
	for (unsigned i = 0; i < entries; i++) {
		struct flow flow = random_flow(random);
		uint8_t record[RECORD_MAX];

		record_encode(&flow, record);
		if (i % 3 == 2)
			frame_data_put_key(&d, i % 2 ? FRAME_ENTRY_DESTROY : FRAME_ENTRY_WITHDRAW,
					   record_key(record));
		else
			frame_data_put_record(&d, record);
	}
	frame_data_end(&d, &data);
	return writer_length(&w);
}

static size_t write_status(unsigned peers, unsigned holes, uint8_t *room, size_t size)
{
	struct frame_status status = {.role = FRAME_ROLE_PRIMARY,
				      .flags = FRAME_STATUS_COMPLETE,
				      .term = 3,
				      .newest = 1000,
				      .horizon = 10,
				      .count = 7,
				      .heartbeat_us = 200000,
				      .peers_count = (uint8_t)peers,
				      .claims_count = (uint8_t)(peers / 2),
				      .software = "0.1.0"};
	struct writer w = writer_over(room, size);

	for (unsigned i = 0; i < peers; i++) {
		struct frame_peer *peer = &status.peers[i];

		*peer = (struct frame_peer){.node_id = (uint16_t)(i + 1), .flags = FRAME_PEER_CURRENT};
		peer->window = 1 << 20;
		peer->applied = 100 * i;
		peer->holes_count = (uint8_t)holes;
		for (unsigned h = 0; h < holes; h++)
			peer->holes[h] = (struct frame_hole){100 * i + 10 * h, 100 * i + 10 * h + 5};
		status.claims[i / 2] = (struct frame_claim){.node_id = (uint16_t)(i + 1), .version = i};
	}
	frame_status_write(&w, &status);
	FUZZ_REQUIRE(!w.failed);
	return writer_length(&w);
}

/* A message without its header, behind the byte that frame_fuzz.c wants. */
static void save_messages(void)
{
	const size_t skip = FRAME_MESSAGE_HEADER_SIZE;
	struct random random = {12};
	uint8_t room[SAMPLE_MAX];

	for (unsigned i = 0; i < 8; i++) {
		size_t length = write_data(&random, (uint8_t)(i & 3), i, room, sizeof(room));

		room[skip - 1] = 1;
		save("frame", "data", i, room + skip - 1, length - skip + 1);
		length = write_status(i * 2, i, room, sizeof(room));
		save("status", "status", i, room + skip, length - skip);
	}
}

/* ---- steps: inside the seal ---- */

enum {
	DATA_PLAIN,
	DATA_STATUS,
	DATA_DATA,
	DATA_WAIT,
	DATA_LOCAL,
	DATA_REQUEST,
	DATA_RESTART,
	DATA_IN_STEP,
	DATA_FLOOD
};
enum { FULL = 1, TAIL = 2, RIGHT_DIGEST = 4, AHEAD = 16 };

static void put_step(struct writer *w, uint8_t kind, unsigned argument, const uint8_t *bytes, size_t length)
{
	const struct step step = {kind, (uint16_t)argument, bytes, length};

	step_write(w, &step);
	FUZZ_REQUIRE(!w->failed);
}

/* Flows first..first+count-1, as upserts or destroys. */
static void put_flows(struct writer *w, unsigned argument, unsigned first, unsigned count, bool destroy)
{
	uint8_t bytes[4096], record[RECORD_MAX];
	struct writer entries = writer_over(bytes, sizeof(bytes));

	for (unsigned i = first; i < first + count; i++) {
		struct flow flow = plain_flow(i);

		record_encode(&flow, record);
		if (destroy) {
			struct record_key key = record_key(record);

			writer_u8(&entries, 1);
			writer_bytes(&entries, key.bytes, key.length);
		} else {
			writer_bytes(&entries, record, record_length(record));
		}
	}
	put_step(w, DATA_DATA, argument, bytes, writer_length(&entries));
}

/* The node takes over from the peer, whose stream goes on, and back. */
static void put_takeover(struct writer *w)
{
	put_step(w, DATA_REQUEST, 8, NULL, 0);
	put_step(w, DATA_REQUEST, FRAME_ROLE_PRIMARY << 8, NULL, 0);
	put_step(w, DATA_IN_STEP, 1 | 32, NULL, 0);
	put_flows(w, 2 << 8, 30, 2, false);
	put_step(w, DATA_WAIT, 300, NULL, 0);
	put_step(w, DATA_IN_STEP, 2 | 32, NULL, 0);
	put_step(w, DATA_REQUEST, FRAME_ROLE_BACKUP << 8, NULL, 0);
	put_step(w, DATA_IN_STEP, 1 | 16 | 9 << 8, NULL, 0);
	put_step(w, DATA_WAIT, 300, NULL, 0);
	put_step(w, DATA_IN_STEP, 1 | 16 | 9 << 8, NULL, 0);
	put_step(w, DATA_RESTART, 1, NULL, 0);
}

static void save_sealed(void)
{
	uint8_t *room = malloc(SAMPLE_MAX), message[FRAME_PAYLOAD_MAX];
	struct random random = {13};

	FUZZ_REQUIRE(room);
	for (unsigned i = 0; i < 6; i++) {
		struct writer w = writer_over(room, SAMPLE_MAX);
		size_t length;

		put_flows(&w, FULL | 8 << 8, 0, 8, false);
		put_step(&w, DATA_DATA, FULL | TAIL | RIGHT_DIGEST | 1 << 8, NULL, 0);
		put_step(&w, DATA_IN_STEP, i, NULL, 0);
		if (i & 1)
			put_flows(&w, AHEAD | 4 << 8, 8, 4, false);
		put_flows(&w, 3 << 8, 2, 3, true);
		put_step(&w, DATA_DATA, TAIL | (i & 2 ? RIGHT_DIGEST : 0) | 1 << 8, NULL, 0);
		for (unsigned f = 0; f < 4 * i; f++)
			put_step(&w, DATA_LOCAL, (f % 3) | f % 7 << 8, NULL, 0);
		put_step(&w, DATA_WAIT, 400, NULL, 0);
		put_step(&w, DATA_IN_STEP, 1, NULL, 0);
		put_step(&w, DATA_REQUEST, i, NULL, 0);
		length = write_status(i, i, message, sizeof(message));
		put_step(&w, DATA_STATUS, 0, message + FRAME_MESSAGE_HEADER_SIZE,
			 length - FRAME_MESSAGE_HEADER_SIZE);
		length = write_data(&random, 0, 2, message, sizeof(message));
		put_step(&w, DATA_PLAIN, i & 3, message, length);
		if (i == 3) {
			uint8_t record[RECORD_MAX];
			struct flow flow = snat_flow(1);

			put_step(&w, DATA_FLOOD, 100, record, record_encode(&flow, record));
		}
		if (i == 4)
			put_step(&w, DATA_RESTART, 1, NULL, 0);
		if (i == 5)
			put_takeover(&w);
		put_flows(&w, 60 << 8, 20, 60, false); /* with the others: more than the table takes */
		put_step(&w, DATA_WAIT, 2000, NULL, 0);
		save("data", "session", i, room, writer_length(&w));
	}
	free(room);
}

/* ---- steps: recordings of another node that speaks to the world's ---- */

enum { NODE_STEP_DATAGRAM, NODE_STEP_WAIT, TURNS = 28, TURN_MS = 50 };

struct recording {
	struct world *world;
	struct node *other;
	struct random random;
	struct writer w;
	uint8_t *to_other[64], *to_world[64];
	size_t to_other_length[64], to_world_length[64], to_other_count, to_world_count;
};

static void queue(uint8_t **list, size_t *lengths, size_t *count, const uint8_t *bytes, size_t length)
{
	if (*count == 64)
		return;
	lengths[*count] = length;
	list[(*count)++] = fuzz_copy(bytes, length);
}

static void from_world(void *context, const uint8_t *bytes, size_t length)
{
	struct recording *r = context;

	queue(r->to_other, r->to_other_length, &r->to_other_count, bytes, length);
}

static void from_other(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
		       size_t length)
{
	struct recording *r = context;

	(void)to;
	if (link == 0)
		queue(r->to_world, r->to_world_length, &r->to_world_count, bytes, length);
}

static void other_get(void *context, const struct flow *key)
{
	(void)context, (void)key;
}

static void other_audit(void *context)
{
	(void)context;
}

static void other_log(void *context, enum node_log_level level, const char *id, const char *text)
{
	(void)context, (void)level, (void)id, (void)text;
}

static void other_random(void *context, void *bytes, size_t size)
{
	struct recording *r = context;

	random_fill(&r->random, bytes, size);
}

static void step_other(struct recording *r, struct node_event event)
{
	event.now = r->world->now;
	node_step(r->other, &event);
}

/* A turn: time, what happens at the other node, and what both have sent. */
static void play(struct recording *r, unsigned turn)
{
	struct flow flow = plain_flow(turn % 16);
	struct node_event event = {.type = turn % 4 ? NODE_FLOW_NEW : NODE_FLOW_DESTROY, .flow = &flow};

	if (turn > 6 && turn % 2)
		step_other(r, event);
	step_other(r, (struct node_event){.type = NODE_TIME});
	for (size_t i = 0; i < r->to_world_count; i++) {
		put_step(&r->w, NODE_STEP_DATAGRAM, turn & 1, r->to_world[i], r->to_world_length[i]);
		world_take(r->world, turn & 1, 0, r->to_world[i], r->to_world_length[i]);
		free(r->to_world[i]);
	}
	r->to_world_count = 0;
	put_step(&r->w, NODE_STEP_WAIT, TURN_MS, NULL, 0);
	world_wait(r->world, TURN_MS * 1000);
	for (size_t i = 0; i < r->to_other_count; i++) {
		event = (struct node_event){.type = NODE_DATAGRAM};
		event.datagram.from.length = 1;
		event.datagram.bytes = r->to_other[i];
		event.datagram.length = r->to_other_length[i];
		step_other(r, event);
		free(r->to_other[i]);
	}
	r->to_other_count = 0;
}

/* Variant 1: the other has our own id; 2: another key; 3: the other cipher. */
static void save_recording(unsigned variant)
{
	struct recording *r = calloc(1, sizeof(*r));
	struct world *world = malloc(sizeof(*world));
	struct node_config config = world_config(variant == 1 ? WORLD_NODE_ID : WORLD_PEER_ID);
	struct node_sink sink = {.context = r,
				 .send = from_other,
				 .get_flow = other_get,
				 .audit_now = other_audit,
				 .log = other_log,
				 .random = other_random};
	const uint8_t key[SEAL_KEY_SIZE] = {9};
	uint8_t *room = malloc(SAMPLE_MAX);

	FUZZ_REQUIRE(r && world && room);
	if (variant == 2) {
		config.ring.count = 0;
		seal_ring_add(&config.ring, key);
	}
	if (variant == 3)
		config.cipher = SEAL_CHACHA20_POLY1305;
	world_open(world);
	world->tap = from_world;
	world->tap_context = r;
	r->world = world;
	r->random.state = 100 + variant;
	r->w = writer_over(room, SAMPLE_MAX);
	FUZZ_REQUIRE(node_create(&r->other, &config, &sink, world->now) == 0);
	step_other(r, (struct node_event){.type = NODE_AUDIT_BEGIN});
	step_other(r, (struct node_event){.type = NODE_AUDIT_END, .clean = true});
	for (unsigned turn = 0; turn < TURNS; turn++)
		play(r, turn);
	save("node", "recording", variant, room, writer_length(&r->w));
	node_destroy(r->other);
	world_close(world);
	while (r->to_world_count)
		free(r->to_world[--r->to_world_count]);
	free(room);
	free(world);
	free(r);
}

/* ---- snapshots ---- */

static void write_instance(struct writer *w, const struct frame_kernel_instance *instance)
{
	writer_bytes(w, instance->boot_id, sizeof(instance->boot_id));
	writer_u64(w, instance->netns_cookie);
}

static void write_snapshot_table(struct writer *w, struct random *random, uint16_t owner, uint32_t flows)
{
	struct frame_kernel_instance instance = {.boot_id = {(uint8_t)owner}, .netns_cookie = 7};
	struct seal_session_id session = {{(uint8_t)owner}};
	uint8_t *sum;
	uint64_t digest = 0;

	writer_u16(w, owner);
	writer_u8(w, 1);
	writer_u32(w, 3);
	writer_bytes(w, session.bytes, sizeof(session.bytes));
	write_instance(w, &instance);
	writer_u64(w, 300);
	writer_u64(w, 0);
	writer_u32(w, flows);
	sum = writer_reserve(w, 8);
	for (uint32_t i = 0; i < flows; i++) {
		struct flow flow = i ? random_flow(random) : snat_flow(1);
		uint8_t record[RECORD_MAX];
		size_t length = record_encode(&flow, record);

		digest += record_hash(record);
		writer_bytes(w, record, length);
	}
	for (unsigned i = 0; sum && i < 8; i++)
		sum[i] = (uint8_t)(digest >> (56 - 8 * i));
}

static void save_snapshots(void)
{
	struct node_config config = world_config(WORLD_NODE_ID);
	struct random random = {17};
	uint8_t *room = malloc(SAMPLE_MAX);

	FUZZ_REQUIRE(room);
	for (unsigned tables = 0; tables < 4; tables++) {
		struct writer w = writer_over(room, SAMPLE_MAX);

		writer_bytes(&w, "TWTSNAP", 8);
		writer_u16(&w, 1);
		writer_u16(&w, WORLD_NODE_ID);
		write_instance(&w, &config.instance);
		writer_u64(&w, 0);
		writer_u16(&w, (uint16_t)tables);
		for (unsigned i = 0; i < tables; i++)
			write_snapshot_table(&w, &random, (uint16_t)(2 + i / 2), 1 + 3 * i);
		writer_bytes(&w, "END\n", 4);
		FUZZ_REQUIRE(!w.failed);
		save("snapshot", "tables", tables, room, writer_length(&w));
	}
	free(room);
}

/* ---- texts ---- */

static void save_requests(void)
{
	static const struct {
		const char *bytes;
		size_t length;
	} requests[] = {
#define REQUEST(text) {text, sizeof(text) - 1}
	    REQUEST("status\0"),
	    REQUEST("health\0strict=1\0"),
	    REQUEST("dump\0table=external\0peer=2\0"),
	    REQUEST("count\0table=internal\0"),
	    REQUEST("resync\0peer=65535\0"),
	    REQUEST("flush\0table=kernel\0"),
	    REQUEST("verb\0a=1\0b=2\0c=\0d==\0"),
#undef REQUEST
	};

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		uint8_t room[256];
		struct writer w = writer_over(room, sizeof(room));

		save("request", "request", i, requests[i].bytes, requests[i].length);
		writer_u8(&w, (uint8_t)(i % 3));
		message_write_header(&w, MESSAGE_REQUEST, requests[i].length);
		writer_bytes(&w, requests[i].bytes, requests[i].length);
		save("control", "request", i, room, writer_length(&w));
	}
}

static void save_texts(void)
{
	static const char *const configurations[] = {
	    "conf/examples/twintrackd.conf",
	    "conf/examples/multicast-pair.conf",
	    "conf/examples/unicast-pair.conf",
	    "conf/examples/active-active.conf",
	    "tests/unit/config_cases/accept/every_bound_at_its_edge.conf",
	    "tests/unit/config_cases/accept/carriage_returns.conf",
	    "tests/unit/config_cases/reject/syntax.conf",
	    "tests/unit/config_cases/reject/values.conf",
	    "tests/unit/config_cases/reject/too_many.conf",
	};
	static const char *const states[] = {
	    "twintrack-state 1\nboot @\nrole primary\nterm 7\naddresses 2\nown 192.0.2.1\nown 2001:db8::1\n",
	    "twintrack-state 1\nboot @\nrole backup\nterm 4294967295\nlater thing\n",
	    "twintrack-state 1\nboot 00000000-0000-0000-0000-000000000000\nrole fault\nterm 1\naddresses 0\n",
	    "twintrack-state 2\n",
	};

	/* lines for -R */
	static const char *const loads[] = {
	    "-A -t 431999 -u SEEN_REPLY,ASSURED -s 192.0.2.1 -d 198.51.100.7 -r 198.51.100.7 -n 203.0.113.1 -p tcp "
	    "--sport 40000 --dport 80 --reply-port-src 80 --reply-port-dst 1024 --state ESTABLISHED\n",
	    "# a comment\n\n-A -t 30 -u UNSET -w 7 -s 2001:db8::1 -d 2001:db8::2 -r 2001:db8::2 -q 2001:db8::1 -p "
	    "icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9\n",
	    "-A -t 60 -u SEEN_REPLY --orig-zone 3 --reply-zone 4 -s 10.0.0.1 -d 10.0.0.2 -g 10.0.0.3:8080 -q 10.0.0.1 "
	    "-p udp --sport 1 --dport 2 --reply-port-src 3 --reply-port-dst 4 -m 0x10/0xff -l web\n",
	    "conntrack -I -p sctp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 5 "
	    "--reply-vtag 6 -t 9\n-U -p 47 --srckey 1 --dstkey 2 -m 5 --label-add 'last'\n-F\n",
	    "-D -f ipv6 -p dccp --state OPEN --role server\n-D -s 10.0.0.0/8 --mask-src 255.0.0.0 -i 7 -o id,save\n",
	    "-A -p udp \"unended\n",
	    "-L\n",
	};

	for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		save("load", "lines", i, loads[i], strlen(loads[i]));
	for (unsigned i = 0; i < sizeof(configurations) / sizeof(configurations[0]); i++)
		copy_file("config", "configuration", i, configurations[i]);
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		save("state", "state", i, states[i], strlen(states[i]));
}

int main(int count, char **arguments)
{
	if (count != 2) {
		fprintf(stderr, "usage: fuzz-corpus FOLDER, from the top of the tree\n");
		return 2;
	}
	root = arguments[1];
	save_flows();
	save_expects();
	save_messages();
	save_sealed();
	for (unsigned variant = 0; variant < 4; variant++)
		save_recording(variant);
	save_requests();
	save_snapshots();
	save_texts();
	return 0;
}
