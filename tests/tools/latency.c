/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long an event takes to another node: creates flows at a rate in the namespace it runs in, and listens
 * on the sync link of the other one, where each flow is found again by its addresses in what passes (sealed
 * by Twintrack, whose key it is given, or in clear by conntrackd).
 *
 *   latency --there NETNS-FILE --interface NAME [--key FILE] --rate N --count N
 *
 * Prints one line a flow, "CREATED ARRIVED" in microseconds of the monotonic clock (ARRIVED 0: never), then
 * "end".  CREATED is taken before the request is sent, ARRIVED is the kernel's receive time stamp.
 */
#include "proto/frame.h"
#include "syncd/kernel/convert.h"
#include "tool.h"

#include <fcntl.h>
#include <getopt.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GROUP = 10, ROOM = 1 << 16, DATAGRAM_MAX = 9216, HEADERS = 28, BUFFER = 32 << 20, GRACE_MS = 500 };

static const uint8_t destination[4] = {203, 0, 113, 9};

struct latency {
	uint32_t count, sent;
	uint64_t rate;
	int netlink, capture;
	uint8_t key[SEAL_KEY_SIZE];
	bool has_key;
	struct seal *seal;
	struct seal_session_id session;
	int64_t realtime_offset_ns; /* realtime minus monotonic */
	int64_t *created_ns, *arrived_ns;
	_Alignas(8) uint8_t room[ROOM];
};

static struct flow flow_number(uint32_t i)
{
	struct flow flow = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};

	memcpy(flow.orig.src, (uint8_t[]){10, (uint8_t)(128 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i}, 4);
	memcpy(flow.orig.dst, destination, 4);
	flow.orig.sport = 1024;
	flow.orig.dport = 443;
	flow.reply = flow_tuple_mirror(&flow.orig, flow.protocol);
	flow.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_TCP;
	flow.status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_CONFIRMED;
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	return flow;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- creating ---- */

static void open_netlink(struct latency *l)
{
	const int size = BUFFER;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};

	l->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (l->netlink < 0 || bind(l->netlink, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(l->netlink, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		tool_die("netlink socket: %s", strerror(errno));
}

static void create_group(struct latency *l)
{
	const struct convert_options options = {.timeout_s = 3600};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	uint32_t first = l->sent;
	size_t length = 0;
	int64_t now_ns;

	for (unsigned i = 0; i < GROUP && l->sent < l->count; i++, l->sent++) {
		struct flow flow = flow_number(l->sent);
		int written =
		    convert_to_message(&flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW,
				       NLM_F_CREATE | NLM_F_EXCL, l->sent, l->room + length, ROOM - length);

		if (written < 0)
			tool_die("writing a flow: %s", strerror(-written));
		length += (size_t)written;
	}
	now_ns = tool_now_ns();
	for (uint32_t i = first; i < l->sent; i++)
		l->created_ns[i] = now_ns;
	if (sendto(l->netlink, l->room, length, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		tool_die("creating: %s", strerror(errno));
}

/* ---- listening ---- */

static void open_capture(struct latency *l, const char *there, const char *interface)
{
	const int on = 1, size = BUFFER;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other = open(there, O_RDONLY | O_CLOEXEC);
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0800)};

	if (home < 0 || other < 0 || setns(other, CLONE_NEWNET))
		tool_die("%s: %s", there, strerror(errno));
	l->capture = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	address.sll_ifindex = (int)if_nametoindex(interface);
	if (l->capture < 0 || !address.sll_ifindex ||
	    setsockopt(l->capture, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
	    setsockopt(l->capture, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(l->capture, (struct sockaddr *)&address, sizeof(address)) || setns(home, CLONE_NEWNET))
		tool_die("listening on %s: %s", interface, strerror(errno));
	close(home);
	close(other);
	l->realtime_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

static int64_t stamp_of(const struct latency *l, struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		struct timespec stamp;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		return (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec - l->realtime_offset_ns;
	}
	return tool_now_ns();
}

/* What a sealed datagram says, in place; what is in clear stays.  Returns the length of it, 0: not for us. */
static size_t open_datagram(struct latency *l, const uint8_t *bytes, size_t length, uint8_t *plain)
{
	struct frame_header header;
	uint8_t nonce[SEAL_NONCE_SIZE];

	if (!l->has_key || frame_header_read(bytes, length, &header) != FRAME_GOOD) {
		memcpy(plain, bytes, length);
		return length;
	}
	if (!l->seal || memcmp(&l->session, &header.session, sizeof(l->session)) != 0) {
		seal_destroy(l->seal);
		l->seal = seal_create(l->key, header.cipher, FRAME_VERSION, header.node_id, &header.session);
		l->session = header.session;
	}
	frame_nonce(&header, nonce);
	if (!l->seal || seal_open(l->seal, nonce, bytes, FRAME_HEADER_SIZE, bytes + FRAME_HEADER_SIZE,
				  length - FRAME_HEADER_SIZE, plain))
		return 0;
	return length - FRAME_HEADER_SIZE - SEAL_TAG_SIZE;
}

/* Every flow of ours that is named: source and destination stand side by side in both protocols. */
static void find_flows(struct latency *l, const uint8_t *plain, size_t length, int64_t at_ns)
{
	for (size_t i = 4; i + 4 <= length; i++) {
		uint32_t n =
		    (uint32_t)(plain[i - 3] - 128) << 16 | (uint32_t)plain[i - 2] << 8 | plain[i - 1];

		if (plain[i] != destination[0] || memcmp(plain + i, destination, 4) || plain[i - 4] != 10)
			continue;
		if (n < l->count && !l->arrived_ns[n])
			l->arrived_ns[n] = at_ns;
	}
}

static void listen_until(struct latency *l, int64_t until_ns)
{
	for (;;) {
		uint8_t bytes[DATAGRAM_MAX], plain[DATAGRAM_MAX], control[128];
		struct iovec vector = {bytes, sizeof(bytes)};
		struct sockaddr_ll from;
		struct msghdr header = {.msg_name = &from,
					.msg_namelen = sizeof(from),
					.msg_iov = &vector,
					.msg_iovlen = 1,
					.msg_control = control,
					.msg_controllen = sizeof(control)};
		struct pollfd entry = {.fd = l->capture, .events = POLLIN};
		int64_t left_ns = until_ns - tool_now_ns();
		struct timespec left = {.tv_nsec = left_ns > 0 ? left_ns % 1000000000 : 0,
					.tv_sec = left_ns > 0 ? left_ns / 1000000000 : 0};
		ssize_t length;

		if (ppoll(&entry, 1, &left, NULL) <= 0)
			return;
		length = recvmsg(l->capture, &header, MSG_DONTWAIT);
		if (length <= HEADERS || from.sll_pkttype == PACKET_OUTGOING)
			continue;
		length = (ssize_t)open_datagram(l, bytes + HEADERS, (size_t)length - HEADERS, plain);
		find_flows(l, plain, (size_t)length, stamp_of(l, &header));
	}
}

static void run(struct latency *l)
{
	int64_t start_ns = tool_now_ns();

	while (l->sent < l->count) {
		create_group(l);
		listen_until(l, start_ns + (int64_t)((double)l->sent * 1e9 / (double)l->rate));
	}
	listen_until(l, tool_now_ns() + GRACE_MS * (int64_t)1000000);
	for (uint32_t i = 0; i < l->count; i++)
		printf("%.1f %.1f\n", (double)l->created_ns[i] / 1e3, (double)l->arrived_ns[i] / 1e3);
	printf("end\n");
}

static void read_key(struct latency *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, l->key, sizeof(l->key)) != (ssize_t)sizeof(l->key))
		tool_die("%s: no key", path);
	close(fd);
	l->has_key = true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"there", 1, NULL, 't'}, {"interface", 1, NULL, 'i'},
						{"key", 1, NULL, 'k'},   {"rate", 1, NULL, 'r'},
						{"count", 1, NULL, 'c'}, {0}};
	struct latency *l = calloc(1, sizeof(*l));
	const char *there = NULL, *interface = "sync0";
	int option;

	if (!l)
		tool_die("out of memory");
	l->rate = 20000;
	l->count = 40000;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 't')
			there = optarg;
		else if (option == 'i')
			interface = optarg;
		else if (option == 'k')
			read_key(l, optarg);
		else if (option == 'r')
			l->rate = tool_number("rate", optarg, 1, 1000000);
		else if (option == 'c')
			l->count = (uint32_t)tool_number("count", optarg, 1, 4000000);
		else
			return 2;
	}
	l->created_ns = calloc(l->count, sizeof(*l->created_ns));
	l->arrived_ns = calloc(l->count, sizeof(*l->arrived_ns));
	if (!there || !l->created_ns || !l->arrived_ns)
		tool_die(
		    "usage: latency --there NETNS-FILE [--interface NAME] [--key FILE] [--rate N] [--count N]");
	open_capture(l, there, interface);
	open_netlink(l);
	run(l);
	return 0;
}
