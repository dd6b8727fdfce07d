/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New flows by real packets: UDP from one socket to another through the loopback interface, from another
 * source port each time, one packet each way (so the flow is new, then answered).
 *
 *   newflows [--count N]
 *
 * Prints {"flows":N,"cpu_ns":N}: the processor time of this process, in which all of the packet path runs.
 */
#include "tool.h"

#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 9, FIRST_PORT = 1025, PORTS = 60000, FIRST_ADDRESS = 0x7f000002 };

static struct sockaddr_in address_of(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
}

static int open_at(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		tool_die("a UDP socket: %s", strerror(errno));
	return fd;
}

static void one_flow(int server, const struct sockaddr_in *to, uint32_t number)
{
	struct sockaddr_in from =
	    address_of(FIRST_ADDRESS + number / PORTS, (uint16_t)(FIRST_PORT + number % PORTS));
	int client = open_at(&from);
	struct sockaddr_in seen;
	socklen_t length = sizeof(seen);
	char byte = 0;

	if (sendto(client, &byte, 1, 0, (const struct sockaddr *)to, sizeof(*to)) != 1 ||
	    recvfrom(server, &byte, 1, 0, (struct sockaddr *)&seen, &length) != 1 ||
	    sendto(server, &byte, 1, 0, (struct sockaddr *)&seen, length) != 1 ||
	    recv(client, &byte, 1, 0) != 1)
		tool_die("a packet each way: %s", strerror(errno));
	close(client);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = address_of(INADDR_LOOPBACK, PORT);
	uint32_t count = 100000;
	int64_t start_ns;
	int server;

	if (argc == 3 && !strcmp(argv[1], "--count"))
		count = (uint32_t)tool_number("count", argv[2], 1, 10000000);
	else if (argc != 1)
		tool_die("usage: newflows [--count N]");
	server = open_at(&to);
	start_ns = tool_cpu_ns();
	for (uint32_t i = 0; i < count; i++)
		one_flow(server, &to, i);
	printf("{\"flows\":%u,\"cpu_ns\":%lld}\n", count, (long long)(tool_cpu_ns() - start_ns));
	close(server);
	return 0;
}
