/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket of one sync link: how it is made, and the addresses that it sends to.
 */
#ifndef DAEMON_LINK_SOCKET_H
#define DAEMON_LINK_SOCKET_H

#include "conf/config.h"
#include "proto/node.h"

#include <netinet/in.h>
#include <sys/socket.h>

union link_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* AF_INET or AF_INET6 */
int link_family(const struct config_link *link);
socklen_t link_address_size(int family);

/* An address and port on the interface with that index (link-local addresses need it). */
union link_address link_address_make(const struct config_address *address, uint16_t port,
				     unsigned interface_index);

struct node_endpoint link_endpoint_of(const union link_address *address);

/*
 * Opens, binds to interface and port, joins the group.  Returns the descriptor or a negative errno, *step is
 * then what failed, in words.
 */
int link_socket_open(const struct config_link *link, unsigned interface_index, const char **step);

/* The ancillary data that makes a datagram leave from the configured address; returns its length, 0: none is
 * configured. */
enum { LINK_CONTROL_SIZE = 64 };
size_t link_source_control(const struct config_link *link, unsigned interface_index,
			   uint8_t control[LINK_CONTROL_SIZE]);

#endif
