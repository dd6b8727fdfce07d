/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/link_socket.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int link_family(const struct config_link *link)
{
	return (int)(link->group.family != 0 ? link->group.family : link->peer[0].family);
}

socklen_t link_address_size(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static bool needs_scope(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_MULTICAST(address);
}

union link_address link_address_make(const struct config_address *address, uint16_t port,
				     unsigned interface_index)
{
	union link_address result;
	memset(&result, 0, sizeof(result));
	if (address->family == AF_INET) {
		result.v4.sin_family = AF_INET;
		result.v4.sin_port = htons(port);
		result.v4.sin_addr = address->v4;
	} else {
		result.v6.sin6_family = AF_INET6;
		result.v6.sin6_port = htons(port);
		result.v6.sin6_addr = address->v6;
		if (needs_scope(&address->v6))
			result.v6.sin6_scope_id = interface_index;
	}
	return result;
}

struct node_endpoint link_endpoint_of(const union link_address *address)
{
	struct node_endpoint endpoint = {0};
	_Static_assert(sizeof(struct sockaddr_in6) <= NODE_ENDPOINT_SIZE, "an endpoint holds a sockaddr");
	endpoint.length = (uint8_t)link_address_size(address->any.sa_family);
	memcpy(endpoint.bytes, address, endpoint.length);
	return endpoint;
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Asks for a buffer beyond net.core.*mem_max if we may; the kernel doubles what it is given for its own
 * overhead. */
static void set_buffers(int fd, const struct config_link *link)
{
	int size = (int)(link->send_buffer_bytes > INT_MAX / 2 ? INT_MAX / 2 : link->send_buffer_bytes);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, size) < 0)
		set_int(fd, SOL_SOCKET, SO_SNDBUF, size);
	size = (int)(link->receive_buffer_bytes > INT_MAX / 2 ? INT_MAX / 2 : link->receive_buffer_bytes);
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, size) < 0)
		set_int(fd, SOL_SOCKET, SO_RCVBUF, size);
}

/*
 * PROBE sets "don't fragment" and, unlike DO, pays no heed to a path MTU from ICMP: sync links have no
 * routers, and a forged "fragmentation needed" could shrink it until nothing fits.
 */
static int set_options_v4(int fd, const struct config_link *link, unsigned interface_index, const char **step)
{
	struct ip_mreqn membership = {.imr_multiaddr = link->group.v4, .imr_ifindex = (int)interface_index};
	*step = "setting its options";
	if (set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) < 0)
		return -errno;
	if (link->group.family == 0)
		return 0;
	if (set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1) < 0 ||
	    set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) < 0 ||
	    set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) < 0)
		return -errno;
	if (link->address.family != 0)
		membership.imr_address = link->address.v4;
	if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &membership, sizeof(membership)) < 0)
		return -errno;
	*step = "joining the group";
	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership)) < 0 ? -errno
												  : 0;
}

static int set_options_v6(int fd, const struct config_link *link, unsigned interface_index, const char **step)
{
	struct ipv6_mreq membership = {.ipv6mr_multiaddr = link->group.v6,
				       .ipv6mr_interface = interface_index};
	*step = "setting its options";
	if (set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0 ||
	    set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) < 0 ||
	    set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1) < 0)
		return -errno;
	if (link->group.family == 0)
		return 0;
	if (set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1) < 0 ||
	    set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) < 0 ||
	    set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0) < 0 ||
	    set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)interface_index) < 0)
		return -errno;
	*step = "joining the group";
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &membership, sizeof(membership)) < 0 ? -errno
												  : 0;
}

static int set_up(int fd, const struct config_link *link, unsigned interface_index, const char **step)
{
	int family = link_family(link);
	struct config_address any = {.family = (uint32_t)family};
	union link_address local = link_address_make(&any, link->port, interface_index);
	*step = "binding it to the interface";
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, link->interface, (socklen_t)strlen(link->interface)) <
	    0)
		return -errno;
	set_buffers(fd, link);
	set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	int error = family == AF_INET ? set_options_v4(fd, link, interface_index, step)
				      : set_options_v6(fd, link, interface_index, step);
	if (error < 0)
		return error;
	*step = "binding it to the port";
	return bind(fd, &local.any, link_address_size(family)) < 0 ? -errno : 0;
}

int link_socket_open(const struct config_link *link, unsigned interface_index, const char **step)
{
	*step = "opening a socket";
	int fd = socket(link_family(link), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	int error = set_up(fd, link, interface_index, step);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

size_t link_source_control(const struct config_link *link, unsigned interface_index,
			   uint8_t control[LINK_CONTROL_SIZE])
{
	if (link->address.family == 0)
		return 0;
	struct msghdr message = {.msg_control = control, .msg_controllen = LINK_CONTROL_SIZE};
	memset(control, 0, LINK_CONTROL_SIZE);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (link->address.family == AF_INET) {
		struct in_pktinfo info = {.ipi_ifindex = (int)interface_index,
					  .ipi_spec_dst = link->address.v4};
		header->cmsg_level = IPPROTO_IP;
		header->cmsg_type = IP_PKTINFO;
		header->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(header), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	struct in6_pktinfo info = {.ipi6_ifindex = interface_index, .ipi6_addr = link->address.v6};
	header->cmsg_level = IPPROTO_IPV6;
	header->cmsg_type = IPV6_PKTINFO;
	header->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(header), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}
