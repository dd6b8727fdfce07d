// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node of a later version: speaks the protocol of this one to one peer, and some of its flows have an
 * attribute that this version does not know.
 *
 *   later --id N --key FILE --address A --peer A [--port P] --flows N --attribute TYPE
 *
 * Every fifth flow has the attribute (type below 0x80: critical; else skippable), of two bytes.  Says
 * {"event":"ready"} and goes on until it is ended.  No kernel table is read or changed.
 */
#include "tool.h"

#include "proto/node.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FLOWS_MAX = 10000, ATTRIBUTE_EVERY = 5, TICK_MAX_MS = 50 };

struct later {
	int socket;
	struct sockaddr_storage peer;
	socklen_t peer_length;
	struct node *node;
	struct node_config config;
	uint32_t flows;
	uint8_t attribute;
	bool audit_wanted;
};

static struct monotime now(void)
{
	return monotime_from_us(tool_now_ns() / 1000);
}

/* ---- effects ---- */

static void effect_send(void *context, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
			size_t length)
{
	const struct later *later = context;

	(void)link, (void)to; /* there is only one other */
	sendto(later->socket, bytes, length, 0, (const struct sockaddr *)&later->peer, later->peer_length);
}

static void effect_get(void *context, const struct flow *key)
{
	(void)context, (void)key; /* all rows of an audit are given: nothing is asked about */
}

static void effect_audit(void *context)
{
	struct later *later = context;

	later->audit_wanted = true;
}

static void effect_log(void *context, enum node_log_level level, const char *id, const char *text)
{
	(void)context, (void)level;
	fprintf(stderr, "%s: %s\n", id, text);
}

static void effect_random(void *context, void *bytes, size_t size)
{
	(void)context;
	if (getrandom(bytes, size, 0) != (ssize_t)size)
		tool_die("no random bytes: %m");
}

/* ---- flows ---- */

static struct flow flow_of(const struct later *later, uint32_t i)
{
	struct flow f = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};

	memcpy(f.orig.src, (uint8_t[]){10, 99, (uint8_t)(i >> 8), (uint8_t)i}, 4);
	memcpy(f.orig.dst, (uint8_t[]){198, 51, 100, 2}, 4);
	f.orig.sport = 40000;
	f.orig.dport = 443;
	f.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK | FLOW_HAS_TCP;
	f.reply = flow_tuple_mirror(&f.orig, f.protocol);
	f.status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_CONFIRMED;
	f.timeout_s = 3600;
	f.tcp.state = FLOW_TCP_ESTABLISHED;
	if (i % ATTRIBUTE_EVERY == 0) {
		memcpy(f.extra, (uint8_t[]){later->attribute, 2, 0xbe, 0xef}, 4);
		f.extra_length = 4;
	}
	return f;
}

static void step(struct later *later, struct node_event event)
{
	event.now = now();
	node_step(later->node, &event);
}

static void audit(struct later *later)
{
	later->audit_wanted = false;
	step(later, (struct node_event){.type = NODE_AUDIT_BEGIN});
	for (uint32_t i = 0; i < later->flows; i++) {
		struct flow flow = flow_of(later, i);

		step(later, (struct node_event){.type = NODE_AUDIT_ROW, .flow = &flow});
	}
	step(later, (struct node_event){.type = NODE_AUDIT_END, .clean = true});
}

/* ---- life ---- */

static void take_datagrams(struct later *later)
{
	uint8_t bytes[FRAME_PAYLOAD_MAX + 1];
	struct node_event event = {.type = NODE_DATAGRAM};
	ssize_t length;

	while ((length = recv(later->socket, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0) {
		event.datagram.from.length = 1;
		event.datagram.bytes = bytes;
		event.datagram.length = (size_t)length;
		step(later, event);
	}
}

static _Noreturn void run(struct later *later)
{
	for (;;) {
		struct pollfd poll_for = {.fd = later->socket, .events = POLLIN};
		int64_t wait_ms = (node_deadline(later->node).us - now().us + 999) / 1000;

		poll(&poll_for, 1, wait_ms < 0 ? 0 : wait_ms < TICK_MAX_MS ? (int)wait_ms : TICK_MAX_MS);
		take_datagrams(later);
		step(later, (struct node_event){.type = NODE_TIME});
		if (later->audit_wanted)
			audit(later);
	}
}

static void read_key(struct later *later, const char *path)
{
	uint8_t key[SEAL_KEY_SIZE];
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || read(file, key, sizeof(key)) != sizeof(key))
		tool_die("cannot read a key from %s", path);
	close(file);
	seal_ring_add(&later->config.ring, key);
}

static void open_socket(struct later *later, const char *address, const char *peer, uint16_t port)
{
	struct sockaddr_storage own;
	socklen_t length = tool_address(address, port, &own);

	later->peer_length = tool_address(peer, port, &later->peer);
	later->socket = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (later->socket < 0 || bind(later->socket, (const struct sockaddr *)&own, length) < 0)
		tool_die("cannot listen at %s port %u: %m", address, port);
}

static void start(struct later *later)
{
	const struct node_sink sink = {.context = later,
				       .send = effect_send,
				       .get_flow = effect_get,
				       .audit_now = effect_audit,
				       .log = effect_log,
				       .random = effect_random};

	if (node_create(&later->node, &later->config, &sink, now()))
		tool_die("cannot create a node");
	audit(later);
	puts("{\"event\":\"ready\"}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"id", required_argument, NULL, 'i'},        {"key", required_argument, NULL, 'k'},
	    {"address", required_argument, NULL, 'a'},   {"peer", required_argument, NULL, 'p'},
	    {"port", required_argument, NULL, 'P'},      {"flows", required_argument, NULL, 'f'},
	    {"attribute", required_argument, NULL, 't'}, {0}};
	struct later later = {.config = {.heartbeat = monotime_from_ms(200),
					 .peer_timeout = monotime_from_s(1),
					 .max_flows = FLOWS_MAX,
					 .max_tombstones = FLOWS_MAX,
					 .links = 1,
					 .payload_max = 1452,
					 .receive_window = 1 << 20,
					 .cipher = SEAL_AES_256_GCM,
					 .software = "later"}};
	const char *address = NULL, *peer = NULL;
	uint16_t port = 9788;

	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 'i':
			later.config.id = (uint16_t)tool_number("id", optarg, 1, UINT16_MAX);
			break;
		case 'k':
			read_key(&later, optarg);
			break;
		case 'a':
			address = optarg;
			break;
		case 'p':
			peer = optarg;
			break;
		case 'P':
			port = (uint16_t)tool_number("port", optarg, 1, UINT16_MAX);
			break;
		case 'f':
			later.flows = (uint32_t)tool_number("flows", optarg, 1, FLOWS_MAX);
			break;
		case 't':
			later.attribute = (uint8_t)tool_number("attribute", optarg, 1, UINT8_MAX);
			break;
		default:
			return 2;
		}
	}
	if (!later.config.id || !address || !peer || !later.flows || !later.attribute ||
	    !later.config.ring.count)
		tool_die("usage: later --id N --key FILE --address A --peer A --flows N --attribute TYPE");
	open_socket(&later, address, peer, port);
	start(&later);
	run(&later);
}
