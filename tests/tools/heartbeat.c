/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The floor of an idle pair: heartbeats over UDP multicast, and nothing besides.  As the daemons do it, one
 * follows the other: it sends as soon as it hears it, and so wakes up once for both.
 *
 *   heartbeat --interface NAME [--group ADDRESS] [--port N] [--bytes N] [--interval MS] [--seconds N]
 *
 * Prints one JSON object: {"sent":N,"received":N,"seconds":S,"cpu_ns":N}.
 */
#include "tool.h"

#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { PAYLOAD_MAX = 1400, LEAD = 64 };

struct beat {
	int fd;
	struct sockaddr_in group;
	uint8_t bytes[PAYLOAD_MAX];
	size_t size;
	int64_t interval_ns, due_ns;
	unsigned long long sent, received;
};

static void open_socket(struct beat *beat, const char *interface)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = beat->group.sin_port};
	struct ip_mreqn membership = {.imr_multiaddr = beat->group.sin_addr,
				      .imr_ifindex = (int)if_nametoindex(interface)};
	int no = 0;

	beat->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (beat->fd < 0 || bind(beat->fd, (struct sockaddr *)&local, sizeof(local)) ||
	    setsockopt(beat->fd, IPPROTO_IP, IP_MULTICAST_LOOP, &no, sizeof(no)) ||
	    setsockopt(beat->fd, IPPROTO_IP, IP_MULTICAST_IF, &membership, sizeof(membership)) ||
	    setsockopt(beat->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership)))
		tool_die("the socket on %s: %s", interface, strerror(errno));
}

/* `lead_ns` earlier than an interval is the next due: who was first stays first. */
static void send_one(struct beat *beat, int64_t lead_ns)
{
	beat->due_ns = tool_now_ns() + beat->interval_ns - lead_ns;
	beat->sent += sendto(beat->fd, beat->bytes, beat->size, MSG_DONTWAIT, (struct sockaddr *)&beat->group,
			     sizeof(beat->group)) > 0;
}

/* True when something came before the next is due. */
static bool hear(struct beat *beat)
{
	int64_t left_ns = beat->due_ns - tool_now_ns();
	struct timespec wait = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
	struct pollfd readable = {.fd = beat->fd, .events = POLLIN};
	uint8_t bytes[PAYLOAD_MAX];

	if (left_ns <= 0 || ppoll(&readable, 1, &wait, NULL) <= 0)
		return false;
	beat->received += recv(beat->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0;
	return true;
}

static void run(struct beat *beat, int64_t end_ns)
{
	beat->due_ns = tool_now_ns() + beat->interval_ns;
	while (tool_now_ns() < end_ns) {
		if (!hear(beat))
			send_one(beat, beat->interval_ns / LEAD);
		else if (beat->due_ns - tool_now_ns() <= beat->interval_ns / 2)
			send_one(beat, 0);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"interface", 1, NULL, 'i'},
						{"group", 1, NULL, 'g'},
						{"port", 1, NULL, 'p'},
						{"bytes", 1, NULL, 'b'},
						{"interval", 1, NULL, 'm'},
						{"seconds", 1, NULL, 's'},
						{0}};
	static struct beat beat = {.size = 250, .interval_ns = 200000000};
	const char *interface = NULL, *group = "239.192.55.1";
	uint64_t port = 9788, seconds = 10;
	int64_t start_ns, start_cpu_ns;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'i')
			interface = optarg;
		else if (option == 'g')
			group = optarg;
		else if (option == 'p')
			port = tool_number("port", optarg, 1, 65535);
		else if (option == 'b')
			beat.size = tool_number("bytes", optarg, 1, PAYLOAD_MAX);
		else if (option == 'm')
			beat.interval_ns = (int64_t)tool_number("interval", optarg, 1, 10000) * 1000000;
		else if (option == 's')
			seconds = tool_number("seconds", optarg, 1, 3600);
		else
			return 2;
	}
	beat.group = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (!interface || inet_pton(AF_INET, group, &beat.group.sin_addr) != 1)
		tool_die("usage: heartbeat --interface NAME [--group IPV4] [options]");
	open_socket(&beat, interface);
	start_ns = tool_now_ns();
	start_cpu_ns = tool_cpu_ns();
	run(&beat, start_ns + (int64_t)seconds * 1000000000);
	printf("{\"sent\":%llu,\"received\":%llu,\"seconds\":%.6f,\"cpu_ns\":%lld}\n", beat.sent,
	       beat.received, (double)(tool_now_ns() - start_ns) / 1e9,
	       (long long)(tool_cpu_ns() - start_cpu_ns));
	return 0;
}
