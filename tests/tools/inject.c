// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sends datagrams that a stranger might: bytes of one's own choice, recorded ones, changed ones, random ones.
 *
 *   inject send   TARGET (--hex HEX | --file FILE) [--count N]
 *   inject record --interface IF --port P --file FILE [--count N] [--seconds S]
 *   inject replay TARGET --file FILE [--only-from ADDRESS] [--first I] [--count N] [--flip-bit B |
 * --flip-random SEED] inject random TARGET --seed S --count N [--size N] [--size-least N]
 *
 * TARGET: --to ADDRESS --port P [--interface IF] [--from ADDRESS] [--from-port P]; --from may be an address
 * that is not ours (IP_FREEBIND, IP_TRANSPARENT). --rate N datagrams a second (default 10000).
 *
 * record listens with a packet socket, so it sees what the host itself sends, too, and needs no place in a
 * group; datagrams in fragments are not put together. It says {"event":"ready"} once it listens, and ends at
 * --count, after --seconds, or at SIGTERM. flip-bit B flips bit B (modulo the length) of each datagram,
 * flip-random another bit of each, from the seed. Each command prints one JSON object:
 * {"datagrams":N,"bytes":N,"errors":N}.
 *
 * File: for each datagram 4 bytes length, 2 bytes source port, 16 bytes source address (IPv4 as
 * ::ffff:a.b.c.d), all in network order, then the payload.
 */
#include "tool.h"

#include <getopt.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAYLOAD_MAX = 65507, RECORD_HEADER = 22 };

struct inject {
	const char *to, *from, *interface, *file, *hex, *only_from;
	uint16_t port, from_port;
	uint64_t count, first, seconds, rate, seed, size, size_least;
	int64_t flip_bit; /* -1: none */
	bool is_flip_random;
	int socket;
	struct sockaddr_storage target;
	socklen_t target_length;
	uint64_t datagrams, bytes, errors, random;
	int64_t start_ns;
	uint8_t payload[PAYLOAD_MAX + 1];
};

/* splitmix64: any seed gives a good sequence, the same on every machine */
static uint64_t inject_random(struct inject *inject)
{
	uint64_t value = inject->random += 0x9e3779b97f4a7c15;

	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
	value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
	return value ^ (value >> 31);
}

static void inject_source(struct inject *inject)
{
	struct sockaddr_storage from;
	socklen_t length;
	int one = 1, level = inject->target.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	const char *any = inject->target.ss_family == AF_INET ? "0.0.0.0" : "::";

	if (!inject->from && !inject->from_port)
		return;
	setsockopt(inject->socket, level, level == IPPROTO_IP ? IP_FREEBIND : IPV6_FREEBIND, &one,
		   sizeof(one));
	setsockopt(inject->socket, level, level == IPPROTO_IP ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one,
		   sizeof(one));
	setsockopt(inject->socket, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(inject->socket, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	length = tool_address(inject->from ? inject->from : any, inject->from_port, &from);
	if (bind(inject->socket, (struct sockaddr *)&from, length) < 0)
		tool_die("bind to %s port %u: %s", inject->from ? inject->from : any, inject->from_port,
			 strerror(errno));
}

static void inject_open(struct inject *inject)
{
	struct ip_mreqn membership = {0};
	uint32_t index = 0;

	if (!inject->to || !inject->port)
		tool_die("--to and --port are needed");
	inject->target_length = tool_address(inject->to, inject->port, &inject->target);
	inject->socket = socket(inject->target.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (inject->socket < 0)
		tool_die("socket: %s", strerror(errno));
	if (inject->interface) {
		index = if_nametoindex(inject->interface);
		if (!index)
			tool_die("--interface %s: %s", inject->interface, strerror(errno));
		membership.imr_ifindex = (int)index;
		if (inject->target.ss_family == AF_INET)
			setsockopt(inject->socket, IPPROTO_IP, IP_MULTICAST_IF, &membership,
				   sizeof(membership));
		else
			((struct sockaddr_in6 *)&inject->target)->sin6_scope_id = index;
		setsockopt(inject->socket, SOL_SOCKET, SO_BINDTODEVICE, inject->interface,
			   (socklen_t)strlen(inject->interface));
	}
	inject_source(inject);
}

/* A full queue or an absent receiver is no reason to stop: both are counted, and the rest is sent. */
static void inject_datagram(struct inject *inject, size_t length)
{
	ssize_t sent = sendto(inject->socket, inject->payload, length, 0, (struct sockaddr *)&inject->target,
			      inject->target_length);

	if (sent < 0)
		inject->errors++;
	inject->datagrams++;
	inject->bytes += length;
	tool_sleep_until_ns(inject->start_ns +
			    (int64_t)((double)inject->datagrams * 1e9 / (double)inject->rate));
}

static size_t payload_from_hex(struct inject *inject)
{
	size_t length = strlen(inject->hex) / 2, i;
	char digits[3] = "";

	if (strlen(inject->hex) % 2 || length > PAYLOAD_MAX ||
	    strspn(inject->hex, "0123456789abcdefABCDEF") != strlen(inject->hex))
		tool_die("--hex: an even number of hexadecimal digits is needed");
	for (i = 0; i < length; i++) {
		memcpy(digits, inject->hex + 2 * i, 2);
		inject->payload[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return length;
}

static FILE *file_open(const struct inject *inject, const char *mode)
{
	FILE *file;

	if (!inject->file)
		tool_die("--file is needed");
	file = fopen(inject->file, mode);
	if (!file)
		tool_die("%s: %s", inject->file, strerror(errno));
	return file;
}

static size_t payload_from_file(struct inject *inject)
{
	FILE *file = file_open(inject, "rb");
	size_t length = fread(inject->payload, 1, sizeof(inject->payload), file);

	fclose(file);
	if (length > PAYLOAD_MAX)
		tool_die("%s: more than a datagram holds", inject->file);
	return length;
}

static void inject_send(struct inject *inject)
{
	size_t length = inject->hex ? payload_from_hex(inject) : payload_from_file(inject);
	uint64_t i;

	inject_open(inject);
	for (i = 0; i < (inject->count ? inject->count : 1); i++)
		inject_datagram(inject, length);
}

static void inject_random_datagrams(struct inject *inject)
{
	uint64_t i, span = inject->size - inject->size_least + 1;
	size_t length, at;

	if (inject->size < inject->size_least)
		tool_die("--size is less than --size-least");
	inject_open(inject);
	for (i = 0; i < inject->count; i++) {
		length = inject->size_least + inject_random(inject) % span;
		for (at = 0; at < length; at++)
			inject->payload[at] = (uint8_t)inject_random(inject);
		inject_datagram(inject, length);
	}
}

static void payload_flip(struct inject *inject, size_t length)
{
	uint64_t bit = inject->is_flip_random ? inject_random(inject) : (uint64_t)inject->flip_bit;

	if (!length || (!inject->is_flip_random && inject->flip_bit < 0))
		return;
	bit %= 8 * length;
	inject->payload[bit / 8] ^= (uint8_t)(1u << (bit % 8));
}

/* An address as the file holds it. */
static struct in6_addr address_mapped(const char *text)
{
	struct sockaddr_storage address;
	struct in6_addr mapped = {0};

	tool_address(text, 0, &address);
	if (address.ss_family == AF_INET6)
		return ((struct sockaddr_in6 *)&address)->sin6_addr;
	mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
	memcpy(mapped.s6_addr + 12, &((struct sockaddr_in *)&address)->sin_addr, 4);
	return mapped;
}

/* Reads the next datagram into the payload; false at the end of the file. */
static bool record_read(struct inject *inject, FILE *file, struct in6_addr *source, size_t *length)
{
	uint8_t header[RECORD_HEADER];
	uint32_t size;

	if (fread(header, 1, sizeof(header), file) != sizeof(header))
		return false;
	memcpy(&size, header, 4);
	memcpy(source, header + 6, 16);
	*length = ntohl(size);
	if (*length > PAYLOAD_MAX || fread(inject->payload, 1, *length, file) != *length)
		tool_die("%s: not a record of datagrams, or cut short", inject->file);
	return true;
}

static void inject_replay(struct inject *inject)
{
	FILE *file = file_open(inject, "rb");
	struct in6_addr source, wanted = {0};
	uint64_t index = 0;
	size_t length;

	if (inject->only_from)
		wanted = address_mapped(inject->only_from);
	inject_open(inject);
	while (record_read(inject, file, &source, &length)) {
		if (inject->only_from && memcmp(&source, &wanted, sizeof(wanted)))
			continue;
		if (index++ < inject->first)
			continue;
		if (inject->count && inject->datagrams == inject->count)
			break;
		payload_flip(inject, length);
		inject_datagram(inject, length);
	}
	fclose(file);
}

/* Writes a captured IP packet's UDP payload to the file, if it is a whole datagram for our port. */
static void record_write(struct inject *inject, FILE *file, const uint8_t *packet, size_t length)
{
	uint8_t header[RECORD_HEADER] = {0};
	size_t at = (packet[0] >> 4) == 4 ? (size_t)(packet[0] & 15) * 4 : sizeof(struct ip6_hdr);
	uint8_t protocol = (packet[0] >> 4) == 4 ? packet[9] : packet[6];
	struct udphdr udp;
	uint32_t size;

	if (length < at + sizeof(udp) || protocol != IPPROTO_UDP)
		return;
	memcpy(&udp, packet + at, sizeof(udp));
	if (ntohs(udp.dest) != inject->port || ntohs(udp.len) < sizeof(udp) || at + ntohs(udp.len) > length)
		return;
	size = htonl((uint32_t)(ntohs(udp.len) - sizeof(udp)));
	memcpy(header, &size, 4);
	memcpy(header + 4, &udp.source, 2);
	if ((packet[0] >> 4) == 4) {
		header[16] = header[17] = 0xff;
		memcpy(header + 18, packet + 12, 4);
	} else {
		memcpy(header + 6, packet + 8, 16);
	}
	fwrite(header, 1, sizeof(header), file);
	fwrite(packet + at + sizeof(udp), 1, ntohl(size), file);
	inject->datagrams++;
	inject->bytes += ntohl(size);
}

static int record_socket(const struct inject *inject)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int size = 64 << 20, fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));

	if (!inject->interface || !inject->port)
		tool_die("--interface and --port are needed");
	address.sll_ifindex = (int)if_nametoindex(inject->interface);
	if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		tool_die("packet socket on %s: %s", inject->interface, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static int record_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void inject_record(struct inject *inject)
{
	static uint8_t packet[65536];
	FILE *file = file_open(inject, "wb");
	struct pollfd fds[2] = {{.fd = record_socket(inject), .events = POLLIN},
				{.fd = record_signals(), .events = POLLIN}};
	int64_t end_ns = inject->start_ns + (int64_t)inject->seconds * 1000000000;
	ssize_t got;

	puts("{\"event\":\"ready\"}");
	fflush(stdout);
	while (tool_now_ns() < end_ns && !(inject->count && inject->datagrams >= inject->count)) {
		if (poll(fds, 2, 100) < 0)
			break;
		if (fds[0].revents & POLLIN) {
			got = recv(fds[0].fd, packet, sizeof(packet), MSG_DONTWAIT);
			if (got > (ssize_t)sizeof(struct ip))
				record_write(inject, file, packet, (size_t)got);
		} else if (fds[1].revents & POLLIN) {
			break;
		}
	}
	if (fclose(file))
		tool_die("%s: %s", inject->file, strerror(errno));
}

static void inject_target_option(struct inject *inject, int option)
{
	switch (option) {
	case 't':
		inject->to = optarg;
		break;
	case 'p':
		inject->port = (uint16_t)tool_number("port", optarg, 1, 65535);
		break;
	case 'i':
		inject->interface = optarg;
		break;
	case 'f':
		inject->from = optarg;
		break;
	case 'F':
		inject->from_port = (uint16_t)tool_number("from-port", optarg, 1, 65535);
		break;
	case 'r':
		inject->rate = tool_number("rate", optarg, 1, 10000000);
		break;
	default:
		exit(2);
	}
}

static void inject_option(struct inject *inject, int option)
{
	switch (option) {
	case 'h':
		inject->hex = optarg;
		break;
	case 'o':
		inject->file = optarg;
		break;
	case 'O':
		inject->only_from = optarg;
		break;
	case 'c':
		inject->count = tool_number("count", optarg, 1, 100000000);
		break;
	case '1':
		inject->first = tool_number("first", optarg, 0, UINT32_MAX);
		break;
	case 's':
		inject->seconds = tool_number("seconds", optarg, 1, 3600);
		break;
	case 'b':
		inject->flip_bit = (int64_t)tool_number("flip-bit", optarg, 0, 8 * PAYLOAD_MAX);
		break;
	case 'B':
		inject->is_flip_random = true;
		inject->random = tool_number("flip-random", optarg, 0, UINT64_MAX);
		break;
	case 'S':
		inject->random = tool_number("seed", optarg, 0, UINT64_MAX);
		break;
	case 'z':
		inject->size = tool_number("size", optarg, 0, PAYLOAD_MAX);
		break;
	case 'Z':
		inject->size_least = tool_number("size-least", optarg, 0, PAYLOAD_MAX);
		break;
	default:
		inject_target_option(inject, option);
	}
}

static void inject_run(struct inject *inject, const char *command)
{
	inject->start_ns = tool_now_ns();
	if (!strcmp(command, "send"))
		inject_send(inject);
	else if (!strcmp(command, "record"))
		inject_record(inject);
	else if (!strcmp(command, "replay"))
		inject_replay(inject);
	else if (!strcmp(command, "random"))
		inject_random_datagrams(inject);
	else
		tool_die("inject send|record|replay|random");
	printf("{\"datagrams\":%llu,\"bytes\":%llu,\"errors\":%llu}\n", (unsigned long long)inject->datagrams,
	       (unsigned long long)inject->bytes, (unsigned long long)inject->errors);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"to", 1, NULL, 't'},       {"port", 1, NULL, 'p'},        {"interface", 1, NULL, 'i'},
	    {"from", 1, NULL, 'f'},     {"from-port", 1, NULL, 'F'},   {"rate", 1, NULL, 'r'},
	    {"hex", 1, NULL, 'h'},      {"file", 1, NULL, 'o'},        {"only-from", 1, NULL, 'O'},
	    {"count", 1, NULL, 'c'},    {"first", 1, NULL, '1'},       {"seconds", 1, NULL, 's'},
	    {"flip-bit", 1, NULL, 'b'}, {"flip-random", 1, NULL, 'B'}, {"seed", 1, NULL, 'S'},
	    {"size", 1, NULL, 'z'},     {"size-least", 1, NULL, 'Z'},  {0}};
	struct inject *inject = calloc(1, sizeof(*inject));
	int option;

	if (!inject)
		tool_die("out of memory");
	if (argc < 2)
		tool_die("usage: inject send|record|replay|random [options]");
	inject->flip_bit = -1;
	inject->seconds = 60;
	inject->rate = 10000;
	inject->size = 1400;
	optind = 2;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		inject_option(inject, option);
	inject_run(inject, argv[1]);
	free(inject);
	return 0;
}
