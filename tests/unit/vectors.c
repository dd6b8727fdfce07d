/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/vectors.h"

#include "proto/frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const uint8_t key_file[SEAL_KEY_SIZE] = {
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};
static const struct seal_session_id session = {
    {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}};
enum { NODE = 0x0102 };

void vectors_put_hex(FILE *file, const char *name, const void *bytes, size_t length)
{
	fprintf(file, "%s = ", name);
	for (size_t i = 0; i < length; i++)
		fprintf(file, "%02x", ((const uint8_t *)bytes)[i]);
	fputc('\n', file);
}

static void put_number(FILE *file, const char *name, uint64_t value)
{
	fprintf(file, "%s = %" PRIu64 "\n", name, value);
}

static void put_title(FILE *file, const char *kind, const char *name)
{
	fprintf(file, "\n[%s %s]\n", kind, name);
}

/* ---- keys.txt ---- */

static void write_keys(FILE *file)
{
	static const uint8_t other[SEAL_KEY_SIZE] = {0xff, 0xfe, 0xfd};
	static const struct {
		const char *name;
		enum seal_cipher cipher;
		uint16_t node;
	} cases[] = {{"aes-256-gcm", SEAL_AES_256_GCM, NODE},
		     {"chacha20-poly1305", SEAL_CHACHA20_POLY1305, NODE},
		     {"another-node", SEAL_AES_256_GCM, 65535}};

	fputs("# Key ids, and the keys of sessions: HKDF-SHA256, see \"Keys\" in doc/protocol.md.\n", file);
	for (unsigned i = 0; i < 2; i++) {
		put_title(file, "key", i ? "other" : "counting");
		vectors_put_hex(file, "key-file", i ? other : key_file, SEAL_KEY_SIZE);
		fprintf(file, "key-id = %08" PRIx32 "\n", seal_key_id(i ? other : key_file));
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t info[13] = "twintrack", derived[SEAL_KEY_SIZE];

		info[9] = FRAME_VERSION;
		info[10] = (uint8_t)cases[i].cipher;
		info[11] = (uint8_t)(cases[i].node >> 8);
		info[12] = (uint8_t)cases[i].node;
		assert(!seal_hkdf(key_file, sizeof(key_file), session.bytes, sizeof(session.bytes), info,
				  sizeof(info), derived, sizeof(derived)));
		put_title(file, "session-key", cases[i].name);
		vectors_put_hex(file, "key-file", key_file, sizeof(key_file));
		put_number(file, "version", FRAME_VERSION);
		put_number(file, "cipher", cases[i].cipher);
		put_number(file, "node", cases[i].node);
		vectors_put_hex(file, "session", session.bytes, sizeof(session.bytes));
		vectors_put_hex(file, "session-key", derived, sizeof(derived));
	}
}

/* ---- records.txt ---- */

static struct flow flow_of(uint8_t family, uint8_t protocol, const char *src, const char *dst, uint16_t sport,
			   uint16_t dport)
{
	struct flow f = {.family = family, .protocol = protocol, .timeout_s = 120};

	assert(inet_pton(family, src, f.orig.src) == 1 && inet_pton(family, dst, f.orig.dst) == 1);
	f.orig.sport = sport;
	f.orig.dport = dport;
	f.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK;
	f.status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_CONFIRMED;
	f.reply = flow_tuple_mirror(&f.orig, protocol);
	return f;
}

static struct flow tcp_flow(void)
{
	struct flow f = flow_of(FLOW_IPV4, PROTOCOL_TCP, "192.0.2.1", "198.51.100.7", 40000, 443);

	f.present |= FLOW_HAS_TCP;
	f.status |= FLOW_STATUS_ASSURED;
	f.timeout_s = 432000;
	f.tcp.state = FLOW_TCP_ESTABLISHED;
	f.tcp.wscale[0] = 7;
	f.tcp.wscale[1] = 9;
	f.tcp.flags[0] = f.tcp.flags[1] = FLOW_TCP_FLAG_WINDOW_SCALE;
	return f;
}

static struct flow snat_flow_v4(void)
{
	struct flow f = tcp_flow();

	assert(inet_pton(AF_INET, "203.0.113.5", f.reply.dst) == 1);
	f.reply.dport = 1025;
	f.status |= FLOW_STATUS_SRC_NAT | FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;
	f.mark = 0x10;
	return f;
}

static struct flow dnat_flow_v6(void)
{
	struct flow f = flow_of(FLOW_IPV6, PROTOCOL_UDP, "2001:db8::1", "2001:db8::7", 5353, 53);

	assert(inet_pton(AF_INET6, "fd00::53", f.reply.src) == 1);
	f.reply.sport = 5300;
	f.status |= FLOW_STATUS_DST_NAT | FLOW_STATUS_SRC_NAT_DONE | FLOW_STATUS_DST_NAT_DONE;
	return f;
}

static struct flow icmp_flow(void)
{
	struct flow f = flow_of(FLOW_IPV4, PROTOCOL_ICMP, "192.0.2.1", "198.51.100.7", 0, 0);

	f.orig.icmp_id = 0x1234;
	f.orig.icmp_type = 8;
	f.orig.icmp_code = 0;
	f.reply = flow_tuple_mirror(&f.orig, PROTOCOL_ICMP);
	return f;
}

static struct flow zoned_flow(void)
{
	struct flow f = flow_of(FLOW_IPV4, PROTOCOL_GRE, "192.0.2.1", "198.51.100.7", 0x0102, 0x0304);

	f.zone = 77;
	f.zone_scope = FLOW_ZONE_ORIGINAL;
	f.reply_zone = 78;
	f.present |= FLOW_HAS_REPLY_ZONE;
	f.incarnation = 3;
	return f;
}

static struct flow sctp_flow(void)
{
	struct flow f = flow_of(FLOW_IPV6, PROTOCOL_SCTP, "2001:db8::1", "2001:db8::7", 2905, 2906);

	f.present |= FLOW_HAS_SCTP;
	f.sctp.state = 4;
	f.sctp.vtag[0] = 0x01020304;
	f.sctp.vtag[1] = 0x05060708;
	f.zone = 5;
	return f;
}

static struct flow dccp_flow(void)
{
	struct flow f = flow_of(FLOW_IPV4, PROTOCOL_DCCP, "192.0.2.1", "198.51.100.7", 5001, 5002);

	f.present |= FLOW_HAS_DCCP;
	f.dccp.state = 3;
	f.dccp.role = 1;
	f.dccp.handshake_seq = UINT64_C(0x0102030405060708);
	return f;
}

/* Every attribute, and one of a later version: two bytes of length. */
static struct flow full_flow(void)
{
	static const uint8_t extra[] = {0x81, 3, 0xde, 0xad, 0x01};
	struct flow f = snat_flow_v4();

	f.present |=
	    FLOW_HAS_SEQADJ | FLOW_HAS_SYNPROXY | FLOW_HAS_LABELS | FLOW_HAS_HELPER | FLOW_HAS_MASTER;
	f.status |= FLOW_STATUS_EXPECTED | FLOW_STATUS_SEQ_ADJUST | FLOW_STATUS_HELPER;
	f.seqadj[0] = (struct flow_seqadj){1000, -3, 4};
	f.seqadj[1] = (struct flow_seqadj){2000, 5, -6};
	f.synproxy.isn = 11;
	f.synproxy.its = 12;
	f.synproxy.tsoff = 13;
	f.labels[0] = 0x80;
	f.labels[15] = 0x01;
	strcpy(f.helper, "ftp");
	f.master = flow_of(FLOW_IPV4, PROTOCOL_TCP, "192.0.2.1", "198.51.100.7", 39999, 21).orig;
	f.master_protocol = PROTOCOL_TCP;
	memcpy(f.extra, extra, sizeof(extra));
	f.extra_length = sizeof(extra);
	return f;
}

static void put_address(FILE *file, const char *name, uint8_t family, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];

	fprintf(file, "%s = %s\n", name, inet_ntop(family, address, text, sizeof(text)));
}

static void put_tuple(FILE *file, const char *prefix, uint8_t family, uint8_t protocol,
		      const struct flow_tuple *t)
{
	char name[32];

#define NAMED(part) (snprintf(name, sizeof(name), "%s-%s", prefix, part), name)
	put_address(file, NAMED("src"), family, t->src);
	put_address(file, NAMED("dst"), family, t->dst);
	if (flow_has_icmp(protocol)) {
		put_number(file, NAMED("id"), t->icmp_id);
		put_number(file, NAMED("type"), t->icmp_type);
		put_number(file, NAMED("code"), t->icmp_code);
	} else if (flow_has_ports(protocol) || protocol == PROTOCOL_GRE) {
		put_number(file, NAMED("sport"), t->sport);
		put_number(file, NAMED("dport"), t->dport);
	}
#undef NAMED
}

static void put_state(FILE *file, const struct flow *f)
{
	if (f->present & FLOW_HAS_TCP)
		fprintf(file, "tcp = %u %u %u %u %u\n", f->tcp.state, f->tcp.wscale[0], f->tcp.wscale[1],
			f->tcp.flags[0], f->tcp.flags[1]);
	if (f->present & FLOW_HAS_SCTP)
		fprintf(file, "sctp = %u %" PRIu32 " %" PRIu32 "\n", f->sctp.state, f->sctp.vtag[0],
			f->sctp.vtag[1]);
	if (f->present & FLOW_HAS_DCCP)
		fprintf(file, "dccp = %u %u %" PRIu64 "\n", f->dccp.state, f->dccp.role,
			f->dccp.handshake_seq);
}

static void put_attributes(FILE *file, const struct flow *f)
{
	if (f->present & FLOW_HAS_SEQADJ)
		for (unsigned i = 0; i < 2; i++)
			fprintf(file, "seqadj-%s = %" PRIu32 " %" PRId32 " %" PRId32 "\n",
				i ? "reply" : "orig", f->seqadj[i].correction_pos, f->seqadj[i].offset_before,
				f->seqadj[i].offset_after);
	if (f->present & FLOW_HAS_SYNPROXY)
		fprintf(file, "synproxy = %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", f->synproxy.isn,
			f->synproxy.its, f->synproxy.tsoff);
	if (f->present & FLOW_HAS_LABELS)
		vectors_put_hex(file, "labels", f->labels, sizeof(f->labels));
	if (f->present & FLOW_HAS_HELPER)
		fprintf(file, "helper = %s\n", f->helper);
	if (f->present & FLOW_HAS_MASTER) {
		put_number(file, "master-protocol", f->master_protocol);
		put_number(file, "master-zone", f->master_zone);
		put_tuple(file, "master", f->family, f->master_protocol, &f->master);
	}
	if (f->present & FLOW_HAS_REPLY_ZONE)
		put_number(file, "reply-zone", f->reply_zone);
	if (f->extra_length)
		vectors_put_hex(file, "unknown", f->extra, f->extra_length);
}

static void put_record(FILE *file, const char *name, const struct flow *f)
{
	uint8_t record[RECORD_MAX], key[RECORD_KEY_MAX];
	size_t length = record_encode(f, record);

	assert(length);
	put_title(file, "record", name);
	put_number(file, "protocol", f->protocol);
	put_number(file, "zone", f->zone);
	put_number(file, "zone-original-only", f->zone_scope == FLOW_ZONE_ORIGINAL);
	put_tuple(file, "orig", f->family, f->protocol, &f->orig);
	put_tuple(file, "reply", f->family, f->protocol, &f->reply);
	put_number(file, "timeout", f->timeout_s);
	put_number(file, "incarnation", f->incarnation);
	put_number(file, "status", f->status);
	put_number(file, "mark", f->mark);
	put_state(file, f);
	put_attributes(file, f);
	vectors_put_hex(file, "key", key, record_encode_key(f, key));
	vectors_put_hex(file, "bytes", record, length);
	fprintf(file, "hash = %016" PRIx64 "\n", record_hash(record));
}

static void put_expectation(FILE *file)
{
	struct flow f = tcp_flow();
	struct expect e = {.family = FLOW_IPV4,
			   .protocol = PROTOCOL_TCP,
			   .zone = 5,
			   .master_protocol = PROTOCOL_TCP,
			   .master = f.orig,
			   .timeout_s = 300,
			   .flags = EXPECT_PERMANENT,
			   .class = 1,
			   .mask_sport = 0,
			   .helper = "ftp",
			   .function = "nat-follow-master",
			   .has_nat = true,
			   .nat_direction = 1,
			   .nat_port = 2000};
	uint8_t record[RECORD_MAX], key[RECORD_KEY_MAX];

	memset(e.mask_src, 0xff, 4);
	e.tuple = flow_of(FLOW_IPV4, PROTOCOL_TCP, "198.51.100.7", "192.0.2.1", 0, 2001).orig;
	assert(inet_pton(AF_INET, "10.0.0.9", e.nat_address) == 1);
	put_title(file, "expectation", "ftp-data");
	put_number(file, "protocol", e.protocol);
	put_number(file, "zone", e.zone);
	put_tuple(file, "expected", e.family, e.protocol, &e.tuple);
	put_number(file, "timeout", e.timeout_s);
	put_number(file, "flags", e.flags);
	put_number(file, "class", e.class);
	fprintf(file, "helper = %s\n", e.helper);
	put_number(file, "master-protocol", e.master_protocol);
	put_number(file, "master-zone", e.zone);
	put_tuple(file, "master", e.family, e.master_protocol, &e.master);
	put_address(file, "mask-src", e.family, e.mask_src);
	put_number(file, "mask-sport", e.mask_sport);
	fprintf(file, "function = %s\n", e.function);
	put_number(file, "nat-direction", e.nat_direction);
	put_address(file, "nat-src", e.family, e.nat_address);
	put_number(file, "nat-sport", e.nat_port);
	vectors_put_hex(file, "key", key, record_encode_expect_key(&e, key));
	vectors_put_hex(file, "bytes", record, record_encode_expect(&e, record));
	fprintf(file, "hash = %016" PRIx64 "\n", record_hash(record));
}

/* A plain record, changed at one place, and why that is refused or not understood. */
static void put_bad(FILE *file, const char *kind, const char *name, const uint8_t *bytes, size_t length)
{
	size_t taken = 0;
	enum record_verdict verdict = record_check(bytes, length, &taken);

	assert(verdict == (strcmp(kind, "malformed") ? RECORD_INCOMPATIBLE : RECORD_MALFORMED));
	put_title(file, kind, name);
	vectors_put_hex(file, "bytes", bytes, length);
}

/* Offsets in the record of tcp_flow(): length 1, timeout 4, key 13, incarnation 1, status 2, parts 1,
 * state 4. */
enum { AT_SHAPE = 5, AT_STATUS = 19, AT_PARTS = 21, AT_END = 26 };

static void put_changed(FILE *file, const char *name, size_t at, uint8_t value)
{
	struct flow f = tcp_flow();
	uint8_t record[RECORD_MAX];
	size_t length = record_encode(&f, record);

	assert(length == AT_END && at < length);
	record[at] = value;
	put_bad(file, "malformed", name, record, length);
}

/* The same with bytes appended, named by the parts' bit 7. */
static void put_appended(FILE *file, const char *kind, const char *name, uint8_t part, const char *bytes,
			 size_t length)
{
	struct flow f = tcp_flow();
	uint8_t record[RECORD_MAX];

	assert(record_encode(&f, record) == AT_END);
	memcpy(record + AT_END, bytes, length);
	record[0] = (uint8_t)(record[0] + length);
	record[AT_PARTS] |= part;
	put_bad(file, kind, name, record, AT_END + length);
}

static void put_bad_records(FILE *file)
{
#define APPENDED(kind, name, part, bytes) put_appended(file, kind, name, part, bytes, sizeof(bytes) - 1)
	put_changed(file, "shape-bit-7", AT_SHAPE, 0x80);
	put_changed(file, "unknown-class", AT_SHAPE, 0x08);
	put_changed(file, "status-of-a-moment", AT_STATUS, 0x02);
	put_changed(file, "part-named-and-missing", AT_PARTS, 0x30);
	put_changed(file, "zone-scope-without-zone", AT_PARTS, 0x60);
	put_changed(file, "tcp-state-10", AT_PARTS + 1, 10);
	put_changed(file, "longer-than-it-says", 0, AT_END - 2);
	APPENDED("malformed", "reply-source-as-mirrored-and-yet-named", 0x01, "\xc6\x33\x64\x07");
	APPENDED("malformed", "attributes-named-and-none", 0x80, "");
	APPENDED("malformed", "attribute-type-0", 0x80, "\x00\x01\x01");
	APPENDED("malformed", "attributes-not-ascending", 0x80, "\x06\x02\x00\x01\x04\x01\x66");
	APPENDED("malformed", "attribute-beyond-the-end", 0x80, "\x04\x05\x66");
	APPENDED("malformed", "attribute-that-says-nothing", 0x80, "\x06\x02\x00\x00");
	APPENDED("malformed", "attribute-of-another-length", 0x80, "\x06\x03\x00\x01\x02");
	APPENDED("incompatible", "critical-attribute", 0x80, "\x2a\x02\xbe\xef");
#undef APPENDED
}

static void write_records(FILE *file)
{
	const struct {
		const char *name;
		struct flow flow;
	} flows[] = {
	    {"tcp", tcp_flow()},
	    {"tcp-snat-mark", snat_flow_v4()},
	    {"udp6-dnat", dnat_flow_v6()},
	    {"icmp-echo", icmp_flow()},
	    {"icmp6-without-answer", flow_of(FLOW_IPV6, PROTOCOL_ICMPV6, "fe80::1", "ff02::1", 0, 0)},
	    {"gre-zones", zoned_flow()},
	    {"sctp6-zone", sctp_flow()},
	    {"dccp", dccp_flow()},
	    {"udplite", flow_of(FLOW_IPV4, PROTOCOL_UDPLITE, "192.0.2.1", "198.51.100.7", 1, 2)},
	    {"ospf", flow_of(FLOW_IPV4, 89, "192.0.2.1", "224.0.0.5", 0, 0)},
	    {"every-attribute", full_flow()}};

	fputs(
	    "# Records: what they say, their bytes, and their hash (XXH3-64 of all but length and timeout).\n",
	    file);
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
		put_record(file, flows[i].name, &flows[i].flow);
	put_expectation(file);
	put_bad_records(file);
}

/* ---- messages.txt ---- */

static size_t write_data(uint8_t *room, size_t size)
{
	const struct flow flows[] = {tcp_flow(), snat_flow_v4()};
	struct flow gone = icmp_flow(), withdrawn = dnat_flow_v6();
	struct frame_data data = {.flags = FRAME_DATA_TAIL | FRAME_DATA_FULL,
				  .from = 5,
				  .to = 300,
				  .asof = 300,
				  .full_id = 0xcafe,
				  .count = 2};
	uint8_t record[RECORD_MAX], key[RECORD_KEY_MAX];
	struct writer w = writer_over(room, size);
	struct frame_data_writer d;

	assert(frame_data_begin(&d, &w));
	for (size_t i = 0; i < 2; i++) {
		assert(record_encode(&flows[i], record) && frame_data_put_record(&d, record));
		data.digest += record_hash(record);
	}
	frame_data_put_key(&d, FRAME_ENTRY_DESTROY, (struct record_key){key, record_encode_key(&gone, key)});
	frame_data_put_key(&d, FRAME_ENTRY_WITHDRAW,
			   (struct record_key){key, record_encode_key(&withdrawn, key)});
	frame_data_end(&d, &data);
	assert(!w.failed);
	return writer_length(&w);
}

static size_t write_status(uint8_t *room, size_t size)
{
	struct frame_status s = {.role = FRAME_ROLE_PRIMARY,
				 .flags = FRAME_STATUS_COMPLETE | FRAME_STATUS_ACTIVE_ACTIVE,
				 .term = 7,
				 .instance = {.boot_id = {1, 2, 3}, .netns_cookie = 4},
				 .newest = 1000,
				 .horizon = 10,
				 .count = 2,
				 .digest = UINT64_C(0x1122334455667788),
				 .frozen_at = 0,
				 .stamp = 1000000,
				 .heartbeat_us = 200000,
				 .conntrack_max = 262144,
				 .conntrack_buckets = 65536,
				 .filters = 0xf00d,
				 .software = "0.1.0",
				 .peers_count = 1,
				 .claims_count = 1};
	struct frame_peer *p = &s.peers[0];
	struct writer w = writer_over(room, size);

	*p = (struct frame_peer){.node_id = 2,
				 .flags = FRAME_PEER_CURRENT,
				 .session = session,
				 .challenge = UINT64_C(0x0102030405060708),
				 .echo = UINT64_C(0x1112131415161718),
				 .applied = 300,
				 .proven = 290,
				 .holes_count = 2,
				 .holes = {{300, 310}, {400, 401}},
				 .window = 65536,
				 .full_id = 0,
				 .stamp = 999000,
				 .held_us = 1500};
	s.claims[0] = (struct frame_claim){.node_id = 2, .session = session, .version = 299};
	frame_status_write(&w, &s);
	assert(!w.failed);
	return writer_length(&w);
}

static void put_status_fields(FILE *file)
{
	fputs(
	    "role = 1\nflags = 9\nterm = 7\nboot-id = 01020300000000000000000000000000\nnetns-cookie = 4\n"
	    "newest = 1000\nhorizon = 10\ncount = 2\ndigest = 1122334455667788\nfrozen-at = 0\nstamp = 1000000\n"
	    "heartbeat-us = 200000\nconntrack-max = 262144\nconntrack-buckets = 65536\nfilters = 61453\n"
	    "software = 0.1.0\npeers = 1\npeer-node = 2\npeer-flags = 1\n"
	    "peer-session = a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\npeer-challenge = 0102030405060708\n"
	    "peer-echo = 1112131415161718\npeer-window = 65536\npeer-full-id = 0\npeer-stamp = 999000\n"
	    "peer-held-us = 1500\npeer-applied = 300\npeer-proven-plus-1 = 290\npeer-holes = 300-310 400-401\n"
	    "claims = 1\nclaim-node = 2\nclaim-session = a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\nclaim-version = 299\n",
	    file);
}

static void write_messages(FILE *file)
{
	uint8_t room[2048];

	fputs(
	    "# Messages, with type and length.  The entries of the DATA are records and keys of records.txt.\n",
	    file);
	put_title(file, "data", "full-tail");
	fputs("flags = 3\nfrom = 5\nto = 300\nasof = 300\nfull-id = 51966\ncount = 2\n", file);
	fputs("entries = upsert tcp, upsert tcp-snat-mark, destroy icmp-echo, withdraw udp6-dnat\n", file);
	vectors_put_hex(file, "bytes", room, write_data(room, sizeof(room)));
	put_title(file, "status", "primary");
	put_status_fields(file);
	vectors_put_hex(file, "bytes", room, write_status(room, sizeof(room)));
}

/* ---- datagrams.txt ---- */

static void put_datagram(FILE *file, const char *name, enum seal_cipher cipher, uint16_t destination,
			 size_t (*write)(uint8_t *room, size_t size))
{
	uint8_t bytes[4096], nonce[SEAL_NONCE_SIZE];
	struct frame_header header = {FRAME_VERSION,
				      (uint8_t)cipher,
				      NODE,
				      seal_key_id(key_file),
				      session,
				      0xdeadbeef,
				      UINT64_C(0x1000000000000005)};
	struct writer w = writer_over(bytes, sizeof(bytes));
	struct seal *seal = seal_create(key_file, cipher, FRAME_VERSION, NODE, &session);
	size_t inner;

	assert(seal);
	frame_header_write(&w, &header);
	writer_u16(&w, destination);
	writer_u32(&w, 99);
	inner = FRAME_INNER_SIZE + write(w.at, writer_room(&w));
	put_title(file, "datagram", name);
	vectors_put_hex(file, "key-file", key_file, sizeof(key_file));
	vectors_put_hex(file, "clear", bytes, FRAME_HEADER_SIZE);
	vectors_put_hex(file, "sealed", bytes + FRAME_HEADER_SIZE, inner);
	frame_nonce(&header, nonce);
	vectors_put_hex(file, "nonce", nonce, sizeof(nonce));
	assert(!seal_close(seal, nonce, bytes, FRAME_HEADER_SIZE, bytes + FRAME_HEADER_SIZE, inner));
	seal_destroy(seal);
	vectors_put_hex(file, "bytes", bytes, FRAME_OVERHEAD - FRAME_INNER_SIZE + inner);
}

static void write_datagrams(FILE *file)
{
	fputs("# Whole datagrams: the clear header, what is sealed, the nonce, and what is sent.\n", file);
	put_datagram(file, "status-to-the-group", SEAL_AES_256_GCM, 0, write_status);
	put_datagram(file, "data-to-node-2", SEAL_CHACHA20_POLY1305, 2, write_data);
}

const struct vectors_file vectors_files[VECTORS_FILES] = {{"keys.txt", write_keys},
							  {"records.txt", write_records},
							  {"messages.txt", write_messages},
							  {"datagrams.txt", write_datagrams}};
